"""The commands of the stages, ``python -m descentflow.stages.<stage>``.

Variables and files of the session that would change results are set aside before anything reads them.
"""

import sys

if sys.argv[:1] == ["-m"] and not sys.flags.safe_path:
    del sys.path[0]  # the working folder, whose numpy.py is not NumPy

from descentflow.errors import InputError
from descentflow.runtime.session import check_session, ignore_matplotlibrc, own_variables

STAGES = ("certify", "sample", "sample_below", "train", "aggregate", "draw", "judge", "show_claims")
"""The modules of this folder that do jobs."""

TRAINERS = ("descent", "flow", "optimizer", "deep_descent", "deep_gram")
"""The modules of ``stages.trainers`` that the stage ``train`` calls."""

own_variables()
try:
    check_session()
except InputError as refusal:
    sys.exit(f"error: {refusal}")
ignore_matplotlibrc()
