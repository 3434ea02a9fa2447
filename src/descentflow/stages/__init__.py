"""The commands of the four stages, ``python -m descentflow.stages.<stage>``.

BLAS and OpenMP get one thread each, before anything loads them: their bits depend on the number, and
parallelism here means jobs, and Numba threads over initialisations.
"""

import os

for _variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_variable] = "1"

STAGES = ("sample", "train", "aggregate", "draw", "judge", "show_claims")
"""The modules of this folder that do jobs."""

TRAINERS = ("descent", "flow", "optimizer", "deep_descent", "deep_gram")
"""The modules of ``stages.trainers`` that the stage ``train`` calls."""
