"""Every claim of ``deep_networks`` on both sides of its bound, by changes of the small dataset."""

from collections.abc import Callable

import numpy as np
import pytest
import study_datasets
import xarray as xr

import descentflow as df
from descentflow.studies.claim import Claim
from descentflow.studies.deep_networks import measures
from descentflow.studies.deep_networks.claims import judge


@pytest.fixture(scope="module")
def small() -> xr.Dataset:
    """The small configuration's dataset."""
    return study_datasets.small_dataset("deep_networks")


def judged(dataset: xr.Dataset) -> dict[str, Claim]:
    return {claim.id: claim for claim in judge(dataset)}


def test_all_claims_are_judged(small: xr.Dataset) -> None:
    claims = judged(small)
    assert len(claims) == 8
    assert all(claim.holds is not None for claim in claims.values())
    exact = ("dead_starts_fail", "dead_layers_stay")
    assert all(claims[name].holds for name in exact)
    assert claims["breakpoints_of_normal_starts"].verdict == "too_small"


CHANGES: dict[str, tuple[str, str, Callable[[np.ndarray], np.ndarray]]] = {
    "breakpoints_of_normal_starts": ("starts", "expected_breakpoints", lambda a: a + 3.0),
    "pieces_grow_with_neurons": ("starts", "breakpoints", lambda a: a + 5.0),
    "pieces_in_training": ("training", "pieces", lambda a: a + 8.0),
    "dead_starts_fail": ("training", "success", np.ones_like),
    "dead_layer_probability": ("dead_layers", "dead_layer", np.ones_like),
    "dead_layers_stay": ("dead_layers", "moved", np.ones_like),
    "dead_layers_end_at_the_variance": ("dead_layers", "least_risk", lambda a: 0.999 * a),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_claim_fails_beyond_its_bound(small: xr.Dataset, name: str) -> None:
    experiment, variable, change = CHANGES[name]
    dataset = small.copy(deep=True)
    if name == "dead_starts_fail":
        dataset["dead_start"][:] = 1.0
    chosen = np.flatnonzero(dataset["experiment"].values == experiment)
    for run in chosen:
        dataset[variable][run] = change(dataset[variable].values[run].astype(float))
    assert judged(dataset)[name].holds is False


def test_success_that_falls_with_the_width_is_noticed(small: xr.Dataset) -> None:
    runs = np.flatnonzero(small["experiment"].values == "training")
    dataset = small.copy(deep=True)
    dataset["count"][runs] = 100
    dataset["success_share"][runs] = [0.9, 0.5]
    assert judged(dataset)["success_grows_with_width"].holds is False
    dataset["success_share"][runs] = [0.5, 0.48]
    assert judged(dataset)["success_grows_with_width"].holds is True


def test_tracks_are_the_breakpoints_layer_by_layer(small: xr.Dataset) -> None:
    """Those of layer 1 are −b/w; all together they are those of the network."""
    run = small.isel(run=int(np.flatnonzero(small["experiment"].values == "folding")[0]))
    target = df.PiecewiseLinear([0, 0.5, 1], [0.5, 0, 0.5])
    problem = df.Problem(inputs=df.Uniform(0, 1), target=target, network=df.Network([4, 4]))
    theta = df.InitializationLaw("normal").draw(problem.layout, 1, 0, 1)
    (w, b), *_ = problem.layers(theta[0])
    places = -b / w[:, 0]
    first = np.sort(places[(places > 0) & (places < 1)])
    track, layer = run["track"].values[0], run["track_layer"].values[0]
    np.testing.assert_allclose(np.sort(track[layer == 1]), first, rtol=1e-13)
    found = problem.breakpoints(theta)[0]
    np.testing.assert_array_equal(np.sort(track[np.isfinite(track)]), found[np.isfinite(found)])


def test_the_first_dead_layer() -> None:
    """A network whose second layer has negative biases and no weights."""
    target = df.PiecewiseLinear([0, 0.5, 1], [0.5, 0, 0.5])
    problem = df.Problem(inputs=df.Uniform(0, 1), target=target, network=df.Network([2, 2, 2]))
    theta = np.ones((3, problem.parameter_count))
    w, b = problem.layers(theta)[1]
    w[1], b[1] = 0.0, -1.0
    problem.layers(theta)[0][0][2] = -1.0
    problem.layers(theta)[0][1][2] = 0.0
    assert measures._first_dead_layer(problem, theta).tolist() == [0, 2, 1]
