"""The engine of gradient flows on data points with ReLU, leaky ReLU or clipping: G jumps along them.

Between events a flow is smooth (``kinked_pieces``); at events it crosses kinks or begins to slide along
them (``kinked_events``).
"""

import sys

from descentflow.risk import engine
from descentflow.risk.empirical import Scratch
from descentflow.risk.kinked_events import crossing, settle, slides, start_flow
from descentflow.risk.kinked_pieces import (
    KinkedSample,
    derivatives,
    gradient,
    kink_regions,
    kinked,
    new_scratch,
    risk,
)

__all__ = [
    "KinkedSample",
    "Scratch",
    "crossing",
    "derivatives",
    "gradient",
    "kink_regions",
    "kinked",
    "new_scratch",
    "risk",
    "settle",
    "slides",
    "start_flow",
]

engine.ENGINES[KinkedSample] = sys.modules[__name__]
