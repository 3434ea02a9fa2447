"""Claims of ``random_initializations``: each holds on data as predicted, and notices what is not."""

import numpy as np
import pytest
import study_datasets
import xarray as xr

from descentflow.studies.claim import Claim
from descentflow.studies.random_initializations.claims import judge
from descentflow.studies.random_initializations.measures import GROUPS, HORIZONS

WIDTHS, COUNT = (1, 2, 4), 2048
SHARES = np.array([0.1, 0.3, 0.6])
DEAD = np.array([0.375, 0.375**2, 0.375**4])


def first(share: float) -> np.ndarray:
    """1 for the first runs, a share of them."""
    return (np.arange(COUNT) < round(share * COUNT)).astype(float)


@pytest.fixture
def runs() -> xr.Dataset:
    """Three widths of ``success`` and one run of ``long_runs``, as the theory has them."""
    target = study_datasets.random_initializations()["target"].values[0]
    listed = study_datasets.random_initializations()
    lists = listed[[name for name in listed.data_vars if str(name).startswith("listed_")]]
    every, minimum = ("run", "initialization"), ("run", "minimum")
    success = np.stack([*map(first, SHARES), first(0.6)])
    success = success[:, ::-1]
    dead = np.stack([*map(first, DEAD), first(0.0)])
    final = np.where(success == 1.0, 1e-25, 1.0 / 48.0)
    exponential = np.full((4, 3), 4.0)
    data = xr.Dataset(
        {
            "count": ("run", [COUNT] * 4),
            "success": (every, success),
            "dead_start": (every, dead),
            "final_risk": (every, final),
            "dead_probability": ("run", [*DEAD, DEAD[-1]]),
            "success_probability": ("run", success.mean(axis=1)),
            "kind_share": (("run", "kind"), np.tile([0.4, 0.2, 0.3, 0.1], (4, 1))),
            "group_success": (
                ("run", "best_of", "horizon"),
                np.ones((4, len(GROUPS), len(HORIZONS))),
            ),
            "decay_kind": (every, np.where(success == 1.0, 2, 0)),
            "final_slope": (every, np.full((4, COUNT), -3.0)),
            "algebraic_growth": (every, np.where(success == 1.0, 1.001, np.nan)),
            "rank": (minimum, exponential),
            "codimension": (minimum, exponential.copy()),
            "moved_risk": (minimum, np.full((4, 3), 1e-31)),
            "rate_predicted": (minimum, np.full((4, 3), 1e-3)),
            "rate_measured": (minimum, np.full((4, 3), 1.001e-3)),
        },
        coords={
            "experiment": ("run", ["success"] * 3 + ["long_runs"]),
            "target": ("run", [target] * 4),
            "network_hidden": ("run", [*WIDTHS, 4]),
            "best_of": list(GROUPS),
            "horizon": list(HORIZONS),
            "kind": ["failed", "exponential", "degenerate", "undecided"],
        },
    )
    return data.merge(lists)


def verdicts(dataset: xr.Dataset) -> dict[str, str]:
    claims: list[Claim] = judge(dataset)
    return {claim.id: claim.verdict for claim in claims}


def test_data_as_predicted(runs: xr.Dataset) -> None:
    found = verdicts(runs)
    assert len(found) == 10
    assert set(found.values()) == {"holds"}


CHANGES = {
    "dead_networks_fail": ("dead_start", (0, slice(0, 200)), 0.0),
    "joint_limit": ("group_success", (2, 6, -1), 0.9),
    "success_grows_with_width": ("success_probability", 2, 0.31),
    "hessian_rank": ("rank", (1, 0), 5.0),
    "minima_are_a_manifold": ("moved_risk", (1, 0), 1e-20),
    "exponential_rate": ("rate_measured", (1, 0), 1.02e-3),
    "algebraic_law": ("algebraic_growth", (3, COUNT - 1), 1.1),
    "limits_are_regular_or_degenerate": ("decay_kind", (3, COUNT - 1), 3),
    "failed_runs_end_at_minima": ("final_risk", (1, COUNT // 2), 0.01),
}


@pytest.mark.parametrize("claim", CHANGES)
def test_what_is_not_as_predicted_fails(runs: xr.Dataset, claim: str) -> None:
    """One number is changed, and one claim fails."""
    name, place, value = CHANGES[claim]
    runs[name].values[place] = value
    found = verdicts(runs)
    assert found.pop(claim) == "fails"
    assert set(found.values()) == {"holds"}


def test_dead_starts_end_at_the_variance(runs: xr.Dataset) -> None:
    runs["final_risk"].values[0, 0] *= 1.0 + 1e-9
    assert verdicts(runs)["dead_networks_fail"] == "fails"


def test_a_width_without_exponential_runs(runs: xr.Dataset) -> None:
    runs["kind_share"].values[3] = [0.4, 0.0, 0.3, 0.3]
    assert verdicts(runs)["exponential_with_positive_probability"] == "fails"
