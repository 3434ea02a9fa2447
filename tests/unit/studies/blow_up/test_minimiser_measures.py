"""Verdicts: on synthetic ends of flows, rule by rule, and on small real flows."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import descentflow as df
from descentflow.config.validate import Experiment
from descentflow.datasets.aggregate import whole
from descentflow.datasets.trained_runs import TrainedRun
from descentflow.planning.shallow_runs import Run
from descentflow.studies.blow_up import escape_laws, measures
from descentflow.studies.blow_up.escape_measures import add_escapes
from descentflow.studies.blow_up.minimiser_measures import STILL, VERDICTS, judge_minimiser
from descentflow.training.critical_points import KINDS

UNIT = {"law": "uniform", "low": 0.0, "high": 1.0}
TARGETS: dict[str, dict[str, Any]] = {
    "affine": {"kind": "affine", "slope": 1},
    "other": {"kind": "affine", "slope": 2},
    "parabola": {"kind": "polynomial", "coefficients": [0.25, -1, 1]},
    "step": {"kind": "step", "at": 0.5},
}


def run_of(case: str, hidden: int, activation: str, **starts: Any) -> Run:
    """A run of gradient flows."""
    setting = Experiment.model_validate(
        {
            "inputs": UNIT,
            "target": TARGETS[case],
            "network": {"hidden": hidden, "activation": activation},
            "initialization": {"law": "normal", "count": 2} | starts,
            "training": {"method": "gf", "until": 1e4},
        }
    )
    return Run(1, "", "affine", setting, (None,))


def trained(case: str, activation: str, until: float) -> TrainedRun:
    """Two flows with one neuron, as if read from files."""
    points = [[0.6, 0.3, 1.6, -0.3], [0.61, 0.29, 1.6, -0.3]]
    run = run_of(case, 1, activation, law="around", points=points)
    data = df.flow(run.setting, np.array(points), until=until, snapshots=2)
    return TrainedRun(run, None, data)


def ends(**flows: list[float]) -> xr.Dataset:
    """A dataset of one run whose flows ended like this; what is not given is in order."""
    count = len(flows["final_risk"])
    defaults = {
        "final_risk": np.zeros(count),
        "end_kind": np.full(count, KINDS["critical"]),
        "end_gradient_norm": np.full(count, 1e-17),
        "end_negative": np.zeros(count),
        "parameter_norm_slope": np.zeros(count),
        "risk_slope": np.zeros(count),
        **dict.fromkeys(("predicted_decay", "risk_law_ratio", "risk_law_drift"), np.ones(count)),
    }
    values = defaults | {name: np.array(flow) for name, flow in flows.items() if name != "norm"}
    values.setdefault("end_risk", values["final_risk"])
    values["first_norm"] = np.array(flows.get("norm", [2.0] * count))
    return xr.Dataset({name: ("initialization", value) for name, value in values.items()})


@pytest.fixture(scope="module")
def rows() -> dict[tuple[str, int], TrainedRun]:
    """Runs without records: the ends are synthetic."""
    none = xr.Dataset(coords={"time": [0.0]})
    cases = [("affine", 1), ("other", 1), ("parabola", 2)]
    return {case: TrainedRun(run_of(*case, "relu"), None, none) for case in cases}


def judged(row: TrainedRun, **flows: list[float]) -> tuple[str, int]:
    """The verdict on synthetic ends, and the number of the flow it is about."""
    measured = judge_minimiser(ends(**flows), row)
    names = {number: name for name, number in VERDICTS.items()}
    return names[int(measured["verdict"])], int(measured["best"])


# ---- verdicts

DIVERGING, UNDECIDED = float(KINDS["diverging"]), float(KINDS["undecided"])


def test_a_critical_point_at_the_infimum_attains_it(rows: Any) -> None:
    assert judged(rows["affine", 1], final_risk=[0.1, 1e-30]) == ("attained", 1)


def test_a_critical_point_above_the_infimum_decides_nothing(rows: Any) -> None:
    """A local minimum may not be the global one: 1/12 for f = x."""
    assert judged(rows["affine", 1], final_risk=[1 / 12]) == ("undecided", 0)
    infimum = 1 / (180 * 81)
    for excess, verdict in ((1e-12, "attained"), (1e-8, "undecided")):
        risks = [infimum * (1 + excess)]
        assert judged(rows["parabola", 2], final_risk=risks)[0] == verdict


def test_where_no_infimum_is_listed_a_minimum_is_enough(rows: Any) -> None:
    assert judged(rows["other", 1], final_risk=[1 / 12]) == ("attained", 0)


def test_a_saddle_decides_nothing(rows: Any) -> None:
    assert judged(rows["affine", 1], final_risk=[0.0], end_negative=[1.0])[0] == "undecided"


def test_a_flow_to_infinity_misses_the_infimum(rows: Any) -> None:
    flows = {"final_risk": [1e-3, 1e-9], "end_kind": [0.0, DIVERGING]}
    assert judged(rows["affine", 1], **flows) == ("not_attained", 1)


def test_the_least_risk_decides_among_ends_of_different_kinds(rows: Any) -> None:
    flows = {"final_risk": [1e-9, 1e-30], "end_kind": [DIVERGING, 0.0]}
    assert judged(rows["affine", 1], **flows) == ("attained", 1)


@pytest.mark.parametrize("norm", [0.1, 1.0, 300.0])
def test_a_slow_flow_is_no_critical_point(rows: Any, norm: float) -> None:
    """‖G‖ ≤ STILL max(1, ‖θ‖) is still; a little above may be a flow on its way to infinity."""
    for factor, verdict in ((0.9, "attained"), (1.1, "undecided")):
        gradient = factor * STILL * max(1.0, norm)
        flows = {"final_risk": [0.0], "end_gradient_norm": [gradient], "norm": [norm]}
        assert judged(rows["affine", 1], **flows)[0] == verdict


def test_slow_and_undecided_flows_stand_back(rows: Any) -> None:
    """Whatever their risk: the best flow is the best of those that show where they go."""
    flows = {
        "final_risk": [1e-12, 1e-11, 1e-9],
        "end_kind": [0.0, UNDECIDED, DIVERGING],
        "end_gradient_norm": [1e-12, 1e-17, 1e-10],
    }
    assert judged(rows["affine", 1], **flows) == ("not_attained", 2)


def test_without_a_decided_flow_the_best_is_the_one_of_least_risk(rows: Any) -> None:
    flows = {"final_risk": [1e-3, 1e-5, 1e-4], "end_kind": [UNDECIDED] * 3}
    assert judged(rows["affine", 1], **flows) == ("undecided", 1)


def test_flows_that_broke_off_are_never_the_best(rows: Any) -> None:
    """One that spent its budget has nan, at the end and in the norm."""
    nan = float("nan")
    flows = {
        "final_risk": [nan, 1e-30],
        "end_risk": [1e-31, 1e-30],
        "end_kind": [UNDECIDED, 0.0],
        "norm": [nan, 2.0],
    }
    assert judged(rows["affine", 1], **flows) == ("attained", 1)
    flows = {"final_risk": [nan, 1e-3], "end_kind": [UNDECIDED] * 2, "norm": [nan, 2.0]}
    assert judged(rows["affine", 1], **flows) == ("undecided", 1)
    flows = {"final_risk": [nan, nan], "end_kind": [UNDECIDED] * 2, "norm": [nan, nan]}
    assert judged(rows["affine", 1], **flows)[0] == "undecided"


def test_what_is_listed_is_beside_the_verdict(rows: Any) -> None:
    known = judge_minimiser(ends(final_risk=[0.0]), rows["affine", 1])
    assert known["case"].item() == "affine"
    assert (known["infimum"].item(), known["expected_attained"].item()) == (0.0, 1.0)
    other = judge_minimiser(ends(final_risk=[0.0]), rows["other", 1])
    assert other["case"].item() == ""
    assert np.isnan(other["infimum"].item())
    assert np.isnan(other["expected_attained"].item())


# ---- real flows


def test_small_real_flows_get_their_verdicts(tmp_path: Path) -> None:
    """ReLU attains f = x, tanh blows up on it; at 1e8 its constants are within 1%."""
    rows = [trained("affine", name, 1e8) for name in ("relu", "tanh")]
    data = whole(measures, rows, tmp_path)
    assert data["verdict"].values.tolist() == [VERDICTS["attained"], VERDICTS["not_attained"]]
    assert data["verdict"].attrs["flag_meanings"] == "attained not_attained undecided"
    assert data["best_end_risk"].values[0] < 1e-20
    for name in ("risk_law_ratio", "norm_law_ratio"):
        assert np.isnan(data[name].values[0]).all()
        assert np.abs(data[name].values[1] - 1).max() < 0.01
    assert np.abs(data["predicted_risk"] / data["final_risk"] - 1)[1].max() < 0.02
    assert (data["predicted_growth"].values[1] == 1 / 6).all()


def late(name: str, law: Any, shift: float) -> TrainedRun:
    """A flow for f = x that follows a law from ``shift`` on, exactly."""
    time = np.geomspace(1e6, 1e10, 81)
    length = law.length(1.0) * (time - shift) ** law.growth
    outer = np.tile([length[-21], length[-1]], (2, 1))
    theta = np.zeros((2, 2, 4))
    theta[..., 1], theta[..., 2] = law.place, outer
    data = xr.Dataset(
        {
            "risk": (("initialization", "record"), [law.constant * length**-law.power] * 2),
            "parameters": (("initialization", "parameter"), theta[:, -1]),
            "snapshots": (("initialization", "snapshot", "parameter"), theta),
        },
        coords={"time": ("record", time), "snapshot": time[[-21, -1]]},
    )
    return TrainedRun(run_of("affine", 1, name), None, data)


def ended(kind: str) -> xr.Dataset:
    """What a dataset holds of two flows that ended like this, before their laws are added."""
    kinds = np.full(2, KINDS[kind])
    return xr.Dataset({"jump": ((), np.nan), "end_kind": ("initialization", kinds)})


@pytest.mark.parametrize("shift", [0.0, 9e5, -1e9])
def test_constants_do_not_depend_on_when_a_flow_sets_out(shift: float) -> None:
    for law in escape_laws.laws("affine", "swish", 1)[:2]:
        found = add_escapes(ended("diverging"), late("swish", law, shift))
        for name in ("risk_law_ratio", "risk_law_drift", "norm_law_ratio"):
            np.testing.assert_allclose(found[name], 1.0, rtol=1e-9)
        assert (found["predicted_risk"].values == law.excess(1e10)).all()


@pytest.mark.parametrize("kind", ["critical", "undecided"])
def test_a_flow_that_does_not_escape_has_no_constants(kind: str) -> None:
    """They would be quotients of roundings; what the law predicts stays."""
    law = escape_laws.laws("affine", "swish", 1)[0]
    found = add_escapes(ended(kind), late("swish", law, 0.0))
    for name in ("risk_law_ratio", "risk_law_drift", "norm_law_ratio"):
        assert found[name].isnull().all()
    assert found["predicted_risk"].notnull().all()


def test_a_flow_cut_short_is_undecided(tmp_path: Path) -> None:
    rows = [trained("step", "tanh", 10.0)]
    data = whole(measures, rows, tmp_path)
    assert data["verdict"].values.tolist() == [VERDICTS["undecided"]]
