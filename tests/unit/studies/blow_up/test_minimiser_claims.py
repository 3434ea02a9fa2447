"""Claims about global minimisers and laws: what holds, what is contradicted, what is undecided."""

from typing import Any

import numpy as np
import pytest
import xarray as xr

from descentflow.studies.blow_up.escape_laws import laws
from descentflow.studies.blow_up.minimiser_claims import judge
from descentflow.studies.blow_up.minimiser_theory import ENTRIES
from descentflow.studies.claim import Claim

ATTAINED, NOT_ATTAINED, UNDECIDED = 0, 1, 2
FLOWS = 3
EACH = ("predicted_decay", "risk_slope", "risk_law_ratio", "risk_law_drift", "norm_law_ratio")


def run(case: str, activation: str, hidden: int, verdict: int, **changes: Any) -> xr.Dataset:
    """One run as ``measures`` leaves it, on its law exactly where there is one."""
    entry = ENTRIES.get((case, activation, hidden))
    known = laws(case, activation, hidden)
    decay = known[-1].decay if known else np.nan
    flow = {"predicted_decay": decay, "risk_slope": decay, "risk_law_drift": 1.0}
    flow["risk_law_ratio"] = flow["norm_law_ratio"] = np.nan
    if known and np.isfinite(known[-1].constant):
        flow["risk_law_ratio"] = flow["norm_law_ratio"] = 1.0
    values: dict[str, Any] = {
        "experiment": case,
        "network_activation": activation,
        "network_hidden": hidden,
        "case": case,
        "count": FLOWS,
        "verdict": verdict,
        "expected_attained": np.nan if entry is None else float(entry.attained),
        "until": 1e10,
        **flow,
        **{f"best_{name}": value for name, value in flow.items()},
        **changes,
    }
    dataset = xr.Dataset({"time": (("run", "record"), [[0.0, 1.0, values.pop("until")]])})
    # a flow that the run does not have is nan, as in every dataset
    status = np.array([[0] * FLOWS + [-1]])
    dataset["status"] = (("run", "initialization"), status)
    for name, value in values.items():
        flows = [[value] * FLOWS + [np.nan]]
        dataset[name] = (("run", "initialization"), flows) if name in EACH else ("run", [value])
    return dataset


def claims(*runs: xr.Dataset) -> dict[str, Claim]:
    """The claims by their ids, which are unique."""
    found = judge(xr.concat(runs, "run"))
    by_id = {claim.id: claim for claim in found}
    assert len(by_id) == len(found)
    return by_id


# ---- the table


@pytest.mark.parametrize(
    ("case", "activation", "hidden", "expected"),
    [
        ("affine", "relu", 1, ATTAINED),
        ("step", "relu", 1, ATTAINED),
        ("step", "tanh", 1, NOT_ATTAINED),
        ("hinge", "gelu", 1, NOT_ATTAINED),
        ("parabola", "erf", 2, NOT_ATTAINED),
    ],
)
def test_entries_are_confirmed_contradicted_or_not_measured(
    case: str, activation: str, hidden: int, expected: int
) -> None:
    for verdict in (ATTAINED, NOT_ATTAINED, UNDECIDED):
        (claim,) = claims(run(case, activation, hidden, verdict)).values()
        shown = (
            "not_measured" if verdict == UNDECIDED else "holds" if verdict == expected else "fails"
        )
        assert (claim.id, claim.study) == (f"minimiser_{case}", "blow_up")
        assert claim.verdict == shown
        assert (f"{activation} with H = {hidden}" in claim.text) == (
            verdict != expected or expected == NOT_ATTAINED
        )


def test_what_is_not_listed_is_no_claim() -> None:
    """It is in the figure; nobody said what would come out."""
    assert not claims(run("step", "gelu", 1, ATTAINED), run("step", "elu", 1, NOT_ATTAINED))


def test_one_claim_for_a_target_fails_by_one_entry() -> None:
    runs = [run("hinge", name, 1, NOT_ATTAINED) for name in ("elu", "gelu", "swish")]
    (claim,) = claims(*runs).values()
    assert (claim.verdict, claim.value) == ("holds", 3)
    (claim,) = claims(*runs, run("hinge", "relu", 1, NOT_ATTAINED)).values()
    assert (claim.verdict, claim.value) == ("fails", 3)
    assert "against the list: relu with H = 1" in claim.text
    (claim,) = claims(*runs, run("hinge", "relu", 1, UNDECIDED)).values()
    assert claim.verdict == "not_measured"
    assert "undecided: relu with H = 1" in claim.text


def test_of_runs_of_one_entry_the_longest_that_decides_counts() -> None:
    short = run("step", "relu", 2, ATTAINED, until=1e6)
    long = run("step", "relu", 2, NOT_ATTAINED)
    undecided = run("step", "relu", 2, UNDECIDED, until=1e12)
    for runs in ((short, long, undecided), (undecided, long, short)):
        (claim,) = claims(*runs).values()
        assert claim.holds is True
    (claim,) = claims(short, undecided).values()
    assert claim.verdict == "too_small"


@pytest.mark.parametrize(("factor", "holds"), [(1.049, True), (1.051, False), (0.949, False)])
def test_a_best_flow_off_its_law_is_a_no(factor: float, holds: bool) -> None:
    (claim,) = claims(run("hinge", "gelu", 1, NOT_ATTAINED, best_risk_law_ratio=factor)).values()
    assert claim.holds is holds
    unknown = run("step", "elu", 2, NOT_ATTAINED, best_risk_law_drift=factor)
    (claim,) = claims(unknown).values()
    assert claim.holds is holds


def test_a_best_flow_without_constants_is_a_no() -> None:
    """Where it should fall L rose over a decade."""
    rising = run("hinge", "gelu", 1, NOT_ATTAINED, best_risk_law_ratio=np.nan)
    assert not claims(rising.assign(best_risk_law_drift=("run", [np.nan])))["minimiser_hinge"].holds


# ---- all flows for f = x


@pytest.mark.parametrize("name", ["risk_law_ratio", "norm_law_ratio"])
@pytest.mark.parametrize(("factor", "holds"), [(1.009, True), (1.011, False), (0.989, False)])
def test_a_constant_outside_of_the_tolerance_is_a_no(name: str, factor: float, holds: bool) -> None:
    exact = run("affine", "tanh", 1, NOT_ATTAINED)
    ratios = exact[name].copy()
    ratios[0, FLOWS - 1] *= factor  # one flow off is enough
    found = claims(exact.assign({name: ratios}))
    assert found["affine_laws"].holds is holds
    assert found["affine_laws"].value == (FLOWS if holds else FLOWS - 1)


def test_a_constant_that_is_missing_is_a_no() -> None:
    """A flow that broke off, or one whose parameters were not kept, has nan."""
    exact = run("affine", "tanh", 1, UNDECIDED)
    found = claims(exact.assign(norm_law_ratio=exact["norm_law_ratio"] * np.nan))
    assert found["affine_laws"].holds is False


@pytest.mark.parametrize(("factor", "holds"), [(1.06, True), (1.08, False)])
def test_logarithmic_flows_are_judged_by_their_exponent(factor: float, holds: bool) -> None:
    soft = run("affine", "softplus", 1, NOT_ATTAINED)
    found = claims(soft.assign(risk_slope=soft["risk_slope"] * factor))
    assert found["affine_laws"].holds is holds


def test_activations_that_attain_have_no_law() -> None:
    assert set(claims(run("affine", "elu", 1, ATTAINED))) == {"minimiser_affine"}


def test_short_flows_are_too_small() -> None:
    found = claims(run("affine", "tanh", 1, NOT_ATTAINED, until=1e9))
    assert found["affine_laws"].verdict == "too_small"
