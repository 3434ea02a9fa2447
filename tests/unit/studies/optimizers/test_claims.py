"""Every claim of ``optimizers`` on both sides of its bound, on the small dataset and changes of it."""

from collections.abc import Callable

import numpy as np
import pytest
import study_datasets
import xarray as xr
from scipy.stats import binom

from descentflow.studies.claim import Claim
from descentflow.studies.optimizers.claims import judge
from descentflow.studies.optimizers.method_claims import Comparison, compare


@pytest.fixture(scope="module")
def small() -> xr.Dataset:
    """The small configuration's dataset."""
    return study_datasets.small_dataset("optimizers")


def judged(dataset: xr.Dataset) -> dict[str, Claim]:
    """The claims by their ids."""
    return {claim.id: claim for claim in judge(dataset)}


def changed(small: xr.Dataset, name: str, run: int, values: object) -> xr.Dataset:
    """A copy with other values of a variable in one run."""
    dataset = small.copy(deep=True)
    dataset[name][run] = values
    return dataset


def first(small: xr.Dataset, experiment: str, method: str = "") -> int:
    """The number of the first run of an experiment, and of a method there."""
    right = small["experiment"].values == experiment
    if method:
        right &= small["method"].values == method
    return int(np.flatnonzero(right)[0])


def test_all_claims_are_judged(small: xr.Dataset) -> None:
    claims = judged(small)
    assert len(claims) == 13
    assert all(claim.holds is not None for claim in claims.values())
    exact = ("dead_neurons_never_move", "risk_above_effective_width", "batch_identity")
    assert all(claims[name].holds for name in exact)


CHANGES: dict[str, tuple[str, str, Callable[[np.ndarray], np.ndarray]]] = {
    "dead_for_ever": ("dead_neurons", "dead_count", np.zeros_like),
    "dead_neurons_never_move": ("dead_neurons", "moved_count", lambda a: a + np.eye(len(a))[0]),
    "risk_above_effective_width": ("dead_neurons", "risk_ratio", lambda a: a * (1 - 1e-9)),
    "misses_grow_with_width": ("dead_neurons", "dead_count_interval", lambda a: a * 0 + [0, 1]),
    "batch_identity": ("constant", "identity_error", lambda a: a + 1e-12),
    "lyapunov_falls": ("constant", "lyapunov", lambda a: a * (1 + 1e-7 * np.arange(a.shape[1]))),
    "risk_to_zero": ("constant", "final_risk", lambda a: a + 1e-3),
    "no_noise_at_zero_risk": ("zero_risk", "final_risk", lambda a: a + 1e-23),
    "noise_scale_at_positive_risk": ("positive_risk", "excess_mean", lambda a: a * [2.0, 1.0]),
    "batch_loss_unbiased": ("success", "batch_loss", lambda a: a * 1.2),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_claim_fails_beyond_its_bound(small: xr.Dataset, name: str) -> None:
    """One run is changed; risks near the bound are first put below it."""
    experiment, variable, change = CHANGES[name]
    method = {"success": "sgd"}.get(experiment, "")
    run = first(small, experiment, method)
    values = small[variable].values[run].astype(float)
    if name == "risk_above_effective_width":
        values = np.where(np.isfinite(values), 1.0, np.nan)
    before = changed(small, variable, run, values)
    if name != "risk_to_zero":
        assert judged(before)[name].holds is True
    assert judged(changed(small, variable, run, change(values)))[name].holds is False


def test_runs_that_diverge_count_against_limits(small: xr.Dataset) -> None:
    dataset = small.copy(deep=True)
    for experiment in ("constant", "zero_risk"):
        run = first(small, experiment)
        dataset["final_risk"][run, 0], dataset["status"][run, 0] = np.nan, 1
    claims = judged(dataset)
    assert claims["risk_to_zero"].holds is False
    assert claims["no_noise_at_zero_risk"].holds is False


def test_comparison_is_mcnemars_test() -> None:
    """Two-sided, by the binomial law of the starts with one success."""
    one = Comparison(100, 9, 1)
    assert one.p_value == pytest.approx(2 * binom.cdf(1, 10, 0.5), rel=1e-12)
    assert Comparison(100, 0, 0).p_value == 1.0
    assert str(one).startswith("+8.0% of 100 starts")
    assert str(one).endswith("(gained 9, lost 1)")


def test_success_is_compared_start_by_start(small: xr.Dataset) -> None:
    """Shares that are equal do not hide starts with other outcomes; steps must agree."""
    base, other = (first(small, "success", method) for method in ("gd", "sgd"))
    count = int(small["count"].values[base])
    dataset = small.copy(deep=True)
    dataset["success"][base, :count] = np.arange(count) < 8
    dataset["success"][other, :count] = (np.arange(count) >= 5) & (np.arange(count) < 13)
    (found,) = compare(dataset.isel(run=[base, other]), "gd", "sgd", same_step=True).values()
    assert (found.starts, found.gained, found.lost) == (count, 5, 5)
    dataset["long_step"][other] *= 2.0
    runs = dataset.isel(run=[base, other])
    assert not compare(runs, "gd", "sgd", same_step=True)
    assert judged(runs)["batch_noise_and_success"].holds is None
    assert len(compare(runs, "gd", "sgd", same_step=False)) == 1


@pytest.mark.parametrize("gained", [30, 0])
def test_noise_that_helps_or_harms_fails_the_claim(small: xr.Dataset, gained: int) -> None:
    base, other = (first(small, "success", method) for method in ("gd", "sgd"))
    dataset = small.copy(deep=True)
    dataset["success"][base] = np.where(np.isfinite(small["success"][base]), 0.0, np.nan)
    dataset["success"][other] = dataset["success"][base]
    winner = other if gained else base
    dataset["success"][winner, :30] = 1.0
    assert judged(dataset)["batch_noise_and_success"].holds is False
