"""Claims of ``gradient_flows`` on thresholds and saddles: they notice what is not as predicted."""

import numpy as np
import pytest
import xarray as xr

from descentflow.studies.claim import Claim
from descentflow.studies.gradient_flows import measures
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
    dataset["escape_ratio"] = (("run", "initialization"), [[1.0, 1.0]])
    dataset = dataset.assign_coords(saddle=[0, 2])
    assert found(dataset, "saddle_signature").verdict == verdict


@pytest.mark.parametrize(
    ("ratios", "verdict"),
    [([0.96, 1.04], "holds"), ([0.94, 1.0], "fails"), ([1.0, np.nan], "fails")],
)
def test_escape_rate(ratios: list[float], verdict: str) -> None:
    """Each flow leaves at twice the least eigenvalue; one that was not seen leaving is against it."""
    dataset = table("saddles", [2], start_risk=[[1 / 972] * 2], final_risk=[[0.0, 0.0]])
    dataset["saddle_spectrum"] = (("saddle", "eigenvalue"), [[0.1], [-0.1]])
    dataset["escape_ratio"] = (("run", "initialization"), [ratios])
    assert found(dataset.assign_coords(saddle=[0, 2]), "escape_rate").verdict == verdict


def test_the_rate_of_an_escape() -> None:
    """That of an exponential between the two bounds, whatever comes before and after."""
    time = np.geomspace(1.0, 1e4, 60)
    departure = np.minimum(1e-12 * np.exp(0.02 * np.minimum(time, 2e3)), 1.0)
    assert measures._escape_rate(time, departure) == pytest.approx(0.02, rel=1e-12)
    assert np.isnan(measures._escape_rate(time, np.full(60, 1e-10)))


@pytest.mark.parametrize(
    ("sizes", "powers", "verdict"),
    [
        ([1e-4, 1e-3, 1e-2, 0.1], [1.0, 1.05, 3.0], "holds"),
        ([1e-4, 1e-3, 1e-2], [1.0, 1.2], "fails"),
        ([1e-3, 1e-2], [1.0], "too_small"),
    ],
)
def test_descent_follows_flow(sizes: list[float], powers: list[float], verdict: str) -> None:
    """By neighbouring step sizes up to 0.01, of which three are needed."""
    steps = np.concatenate([[0.0], np.cumsum(np.diff(np.log(sizes)) * powers)])
    dataset = table("small_steps", [4] * len(sizes))
    dataset["training_step_size"] = ("run", [f"{size:g}" for size in sizes])
    dataset["distance_to_flow"] = (("run", "initialization"), np.exp(steps)[:, None] * [0.5, 1.0])
    assert found(dataset, "descent_follows_flow").verdict == verdict
