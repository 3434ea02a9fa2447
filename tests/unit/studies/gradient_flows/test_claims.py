"""Claims of ``gradient_flows`` on thresholds and saddles: they notice what is not as predicted."""

import numpy as np
import pytest
import xarray as xr

from descentflow.studies.claim import Claim
from descentflow.studies.gradient_flows.claims import judge


def found(dataset: xr.Dataset, name: str) -> Claim:
    (claim,) = (claim for claim in judge(dataset) if claim.id == name)
    return claim


def table(experiment: str, widths: list[int], **variables: object) -> xr.Dataset:
    """Runs of one experiment, two flows each."""
    each = ("run", "initialization")
    runs = len(widths)
    return xr.Dataset(
        {
            "status": (each, np.zeros((runs, 2))),
            "count": ("run", [2] * runs),
            "time": (("run", "record"), [[0.0, 1e8]] * runs),
            "critical_risk": (("run", "level"), [[0.0, 1 / 972, 1 / 12]] * runs),
            **{name: (each, np.array(values)) for name, values in variables.items()},
        },
        coords={"experiment": ("run", [experiment] * runs), "network_hidden": ("run", widths)},
    )


@pytest.mark.parametrize(
    ("start", "final", "verdict"),
    [
        (0.9e-3, 1e-20, "holds"),
        (1.1e-3, 1e-20, "fails"),  # a start above 1/972
        (0.9e-3, 1.0e-4, "fails"),  # an end above 0
    ],
)
def test_thresholds(start: float, final: float, verdict: str) -> None:
    dataset = table(
        "below_threshold",
        [1, 2],
        start_risk=[[0.01, 0.02], [start, 1e-5]],
        final_risk=[[0.0, 1e-30], [final, 0.0]],
    )
    dataset["threshold"] = ("run", [1 / 12, 1 / 972])
    claim = found(dataset, "thresholds")
    assert claim.verdict == verdict
    assert "1/12, 1/972" in claim.text


@pytest.mark.parametrize(("third", "verdict"), [(-0.5, "holds"), (-1e-12, "fails")])
def test_saddle_signature(third: float, verdict: str) -> None:
    """Zig-zags with 0 and 2 kinks: as many eigenvalues are negative, beyond rounding."""
    dataset = table("saddles", [2], start_risk=[[1 / 12, 1 / 972]], final_risk=[[0.0, 0.0]])
    spectra = [[-1e-16, 0.0, 0.3, 2.0], [-1.0, third, 0.1, 3.0]]
    dataset["saddle_spectrum"] = (("saddle", "eigenvalue"), spectra)
    dataset = dataset.assign_coords(saddle=[0, 2])
    assert found(dataset, "saddle_signature").verdict == verdict
