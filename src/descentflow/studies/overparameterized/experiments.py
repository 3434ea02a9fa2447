"""Experiments of the study ``overparameterized``; their models say all that is required."""

from descentflow.config.study import ExperimentType
from descentflow.deep.experiment import AtStart, Descending, Limit

_AT_START, _DESCENDING = ExperimentType(AtStart), ExperimentType(Descending)

EXPERIMENTS = {
    "concentration": _AT_START,
    "concentration_residual": _AT_START,
    "concentration_images": _AT_START,
    "training": _DESCENDING,
    "training_images": _DESCENDING,
    "stability": _DESCENDING,
    "stability_deep": _DESCENDING,
    "stability_images": _DESCENDING,
    "depth": ExperimentType(Limit),
    "angles": ExperimentType(Limit),
    "step_sizes": _DESCENDING,
    "least_widths": _DESCENDING,
}
