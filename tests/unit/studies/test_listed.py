"""Claims against certified critical risks: what is off the list is noticed."""

import numpy as np
import pytest
import study_datasets as made
import xarray as xr

import descentflow as df
from descentflow.simd.arrays import Array
from descentflow.studies import listed
from descentflow.studies.blow_up import landscape_claims
from descentflow.studies.claim import Claim
from descentflow.studies.gradient_flows import claims as flow_claims
from descentflow.studies.random_initializations import claims as success_claims
from descentflow.training.critical_points import KINDS

STEP = {"kind": "step", "at": 0.5}
TARGET = made.text({"above": 1.0, "at": 0.5, "below": 0.0, "kind": "step"})
M_2 = 0.0450657942008641  # 7.8


def flows(experiment: str, risks: Array, kinds: list[str], hidden: int = 2) -> xr.Dataset:
    """One run of flows with these risks at their ends, and the list of its target."""
    each = ("run", "initialization")
    count = len(risks)
    return xr.Dataset(
        {
            "experiment": ("run", [experiment]),
            "target": ("run", [TARGET]),
            "network_hidden": ("run", [hidden]),
            "count": ("run", [count]),
            "jump": ("run", [0.5]),
            "time": (("run", "record"), [[1.0, 1e8]]),
            "status": (each, np.zeros((1, count), np.int8)),
            "end_kind": (each, [[KINDS[kind] for kind in kinds]]),
            "end_risk": (each, risks[None]),
            "final_risk": (each, risks[None]),
            "start_risk": (each, np.full((1, count), 0.9 * M_2)),
            "norm_grows": (each, np.ones((1, count))),
        }
    ).merge(made.listed(made.problem(STEP, 3)))


def verdict(claims: list[Claim], name: str) -> Claim:
    (claim,) = (claim for claim in claims if claim.id == name)
    return claim


def test_levels_up_to_a_width() -> None:
    """H = 2: those of mathematics 4.2; a wider list than there is, is none."""
    dataset = flows("random", np.array([0.25]), ["critical"])
    levels = listed.levels_of(dataset, dataset.isel(run=0))
    assert levels is not None
    expected = [M_2, 1 / 18, 0.0558796553018122, 1 / 16, 1 / 4]
    np.testing.assert_allclose(np.unique(levels["risk"].values.round(14)), expected, rtol=1e-12)
    assert listed.least(levels) == pytest.approx(M_2, rel=1e-14)
    assert [listed.name_of(levels, level) for level in (0, -2, -1)] == [
        *("(1,1)", "affine", "constant")
    ]
    assert listed.levels_of(dataset, dataset.isel(run=0), 4) is None


def test_networks_of_levels_are_the_library_s() -> None:
    problem = made.problem(STEP, 3)
    levels = listed.up_to(flows("random", np.array([0.25]), ["critical"]), 0, 3)
    x = np.linspace(0.0, 1.0, 9)
    theta = df.critical_risks(problem)["parameters"].values[0]
    expected = problem.network.realization(theta, x)
    np.testing.assert_allclose(listed.realization(levels, 0, x), expected, rtol=0, atol=1e-14)


def test_ends_off_the_list_are_noticed() -> None:
    at = np.array([M_2, 1 / 18, 1e-6])
    kinds = ["critical", "critical", "diverging"]
    name = "ends_of_random_flows"
    assert verdict(landscape_claims.judge(flows("random", at, kinds)), name).holds is True
    for change in (np.array([2e-6, 0, 0]), np.array([0, -2e-6, 0])):
        claims = landscape_claims.judge(flows("random", at + change, kinds))
        assert verdict(claims, name).holds is False
    undecided = landscape_claims.judge(flows("random", at, ["critical", "critical", "undecided"]))
    assert verdict(undecided, name).holds is False


@pytest.mark.parametrize(
    ("name", "value"), [("start_risk", M_2 * 1.0001), ("norm_grows", 0.0), ("end_kind", 0.0)]
)
def test_flows_below_every_level_must_diverge(name: str, value: float) -> None:
    dataset = flows("below", np.array([1e-6, 1e-7]), ["diverging", "undecided"])
    claim = "every_flow_below_the_least_critical_risk_diverges"
    assert verdict(landscape_claims.judge(dataset), claim).holds is True
    dataset[name].values[0, 1] = value
    assert verdict(landscape_claims.judge(dataset), claim).holds is False


def test_an_incomplete_list_proves_nothing() -> None:
    dataset = flows("below", np.array([1e-6]), ["diverging"])
    dataset["listed_complete"].values[0] = 0
    claims = landscape_claims.judge(dataset)
    assert verdict(claims, "every_flow_below_the_least_critical_risk_diverges").holds is False
    assert verdict(claims, "least_critical_risk_falls").holds is False


@pytest.mark.parametrize(("risk", "holds"), [(1 / 48, True), (0.0143, False), (6.427448e-4, False)])
def test_failed_runs_end_at_minima(risk: float, holds: bool) -> None:
    """0.0143 is two thousandths off the level; 6.43e-4 is a saddle's."""
    dataset = made.random_initializations()
    dataset["final_risk"].values[:] = 1e-9
    dataset["success"].values[:] = 1.0
    dataset["final_risk"].values[0, 0] = risk * (1.0 + 1e-9)
    dataset["success"].values[0, 0] = 0.0
    if risk == 0.0143:
        dataset["final_risk"].values[0, 0] = (3 - 2 * 2**0.5) / 12 * 1.002
    (claim,) = success_claims._failures(dataset)
    assert claim.holds is holds


def test_a_search_must_find_every_level() -> None:
    """Affine f, H = 2: 0, 1/972 and 1/12."""
    dataset = xr.Dataset(
        {
            "target": ("run", [made.text(made.AFFINE)]),
            "network_hidden": ("run", [2]),
            "critical_risk_found": (("searched_width", "found"), [[0.0, 1 / 972, 1 / 12]]),
        },
        coords={"searched_width": [2]},
    ).merge(made.listed(made.problem(made.AFFINE, 2)))
    assert flow_claims._search(dataset, dataset.isel(run=0)).holds is True
    for found in (np.nan, 1 / 972 + 1e-6):
        dataset["critical_risk_found"].values[0, 1] = found
        assert flow_claims._search(dataset, dataset.isel(run=0)).holds is False
