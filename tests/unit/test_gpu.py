"""Descent on a GPU, in Numba's simulator: the bits of a processor, and what is refused."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from numba import cuda
from numpy.typing import NDArray

import descentflow as df
from descentflow.errors import Refused
from descentflow.gpu import descend_on_gpu

SIMULATED = {"NUMBA_ENABLE_CUDASIM": "1", "NUMBA_DISABLE_JIT": "1"}
PROGRAM = """
import json, sys
import numpy as np
import descentflow as df
from descentflow.gpu import descend_on_gpu
problem = df.Problem.from_mapping(json.loads(sys.argv[1]))
with np.load(sys.argv[2]) as given:
    found = descend_on_gpu(problem, given["theta0"], step_size=given["sizes"], steps=40)
found.to_netcdf(sys.argv[3])
"""
SIZES = np.array([0.5, 0.1, 0.05, 0.3, 1e300])


def mapping(target: dict[str, Any], activation: str = "relu") -> dict[str, Any]:
    return {
        "inputs": {"law": "uniform", "low": -0.5, "high": 1.0},
        "target": target,
        "network": {"hidden": 3, "activation": activation},
    }


LINES = mapping({"kind": "piecewise_linear", "knots": [-0.5, 0.3, 1], "values": [0.5, 0, 1]})
CONSTANT = mapping({"kind": "constant", "value": 1.0})


def starts(count: int) -> NDArray[np.float64]:
    return np.random.default_rng(4).standard_normal((count, 10))


@pytest.mark.parametrize("described", [LINES, CONSTANT], ids=["lines", "constant"])
def test_bits_in_the_simulator(described: dict[str, Any], tmp_path: Path) -> None:
    """Risks, norms, V, θ and how runs end; the last run leaves the finite numbers."""
    given, written = tmp_path / "given.npz", tmp_path / "found.nc"
    np.savez(given, theta0=starts(5), sizes=SIZES)
    subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(described), str(given), str(written)],
        env={**os.environ, **SIMULATED},
        check=True,
    )
    wanted = df.descend(df.Problem.from_mapping(described), starts(5), step_size=SIZES, steps=40)
    assert wanted["status"].values.tolist() == [0, 0, 0, 0, 1]
    with xr.open_dataset(written) as found:
        assert set(found.variables) == set(wanted.variables) - {"lyapunov_increase"}
        for name in found.data_vars:
            assert found[name].values.tobytes() == wanted[name].values.tobytes(), name


def test_refusals() -> None:
    """Other engines, no GPU, and what descend refuses."""
    smooth = df.Problem.from_mapping(mapping({"kind": "constant", "value": 1.0}, "tanh"))
    with pytest.raises(Refused, match="quadrature does not run on a GPU"):
        descend_on_gpu(smooth, starts(1), step_size=0.1, steps=1)
    problem = df.Problem.from_mapping(LINES)
    for steps in (0, 1.5, True):
        with pytest.raises(Refused, match="steps: a whole number"):
            descend_on_gpu(problem, starts(1), step_size=0.1, steps=steps)  # type: ignore[arg-type]
    with pytest.raises(Refused, match="step_size"):
        descend_on_gpu(problem, starts(1), step_size=-0.1, steps=1)
    if not cuda.is_available():  # type: ignore[no-untyped-call]
        with pytest.raises(Refused, match="no GPU"):
            descend_on_gpu(problem, starts(1), step_size=0.1, steps=1)
