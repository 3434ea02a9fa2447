"""Claims about global minimisers and rates: what holds, what is contradicted, what is undecided."""

from typing import Any

import numpy as np
import pytest
import xarray as xr

from descentflow.studies.blow_up.minimiser_claims import judge
from descentflow.studies.blow_up.minimiser_theory import ENTRIES, affine_rate
from descentflow.studies.claim import Claim

ATTAINED, NOT_ATTAINED, UNDECIDED = 0, 1, 2
FLOWS = 3
UNTIL = 1e10


def run(case: str, activation: str, hidden: int, verdict: int, **changes: Any) -> xr.Dataset:
    """One run as ``measures.minimisers`` leaves it, at the derived rates where there are some."""
    entry = ENTRIES.get((case, activation, hidden))
    rate = affine_rate(activation) if (case, hidden) == ("affine", 1) else None
    values: dict[str, Any] = {
        "experiment": case,
        "network_activation": activation,
        "network_hidden": hidden,
        "case": case,
        "count": FLOWS,
        "verdict": verdict,
        "infimum": np.nan if entry is None else entry.infimum,
        "expected_attained": np.nan if entry is None else float(entry.attained),
        "best_end_risk": 1e-9,
        "best_end_gradient_norm": 1e-16,
        "best_end_negative": 0.0,
        "best_parameter_norm_slope": 0.1667,
        "best_risk_slope": -0.6667,
    }
    for name in ("growth", "decay", "growth_constant", "decay_constant", "tolerance"):
        values[f"rate_{name}"] = np.nan if rate is None else getattr(rate, name)
    if rate is not None:
        outer = (rate.growth_constant * UNTIL) ** (1 / 6)
        values |= {
            "outer_norm": outer,
            "outer_norm_slope": rate.growth,
            "risk_slope": rate.decay,
            "final_risk": rate.decay_constant / outer**4,
        }
    each = ("outer_norm", "outer_norm_slope", "risk_slope", "final_risk")
    values = dict.fromkeys(each, np.nan) | values | changes
    dataset = xr.Dataset({"time": (("run", "record"), [[0.0, 1.0, UNTIL]])})
    for name, value in values.items():
        # flows that a run does not have are nan, as in every dataset
        flows = [[value] * FLOWS + [np.nan]]
        dataset[name] = (("run", "initialization"), flows) if name in each else ("run", [value])
    return dataset


def claims(*runs: xr.Dataset) -> dict[str, Claim]:
    """The claims by their ids, which are unique."""
    found = judge(xr.concat(runs, "run"))
    by_id = {claim.id: claim for claim in found}
    assert len(by_id) == len(found)
    return by_id


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
    name = f"minimiser_{case}_{activation}_{hidden}"
    for verdict in (ATTAINED, NOT_ATTAINED, UNDECIDED):
        (claim,) = claims(run(case, activation, hidden, verdict)).values()
        shown = (
            "not_measured" if verdict == UNDECIDED else "holds" if verdict == expected else "fails"
        )
        assert (claim.id, claim.study) == (name, "blow_up")
        assert claim.verdict == shown
        assert ("diverges" in claim.text) == (verdict == NOT_ATTAINED)
        assert activation in claim.statement
        assert f"H = {hidden}; {FLOWS} flows" in claim.where


def test_what_is_not_listed_is_no_claim() -> None:
    """It is in the figure; nobody said what would come out."""
    assert not claims(run("step", "gelu", 1, ATTAINED), run("step", "elu", 1, NOT_ATTAINED))


def test_of_two_experiments_the_one_that_was_decided_counts() -> None:
    first = run("step", "relu", 2, UNDECIDED, experiment="random")
    second = run("step", "relu", 2, NOT_ATTAINED, experiment="diverging")
    for runs in ((first, second), (second, first)):
        (claim,) = claims(*runs).values()
        assert claim.holds is True
        assert claim.where.startswith("diverging")


def test_a_contradiction_is_not_hidden_by_what_decided_nothing() -> None:
    against = run("step", "relu", 2, ATTAINED)
    for runs in ((against, run("step", "relu", 2, UNDECIDED)), (against,)):
        (claim,) = claims(*runs).values()
        assert claim.holds is False


def test_rates_and_constants_at_the_derived_values_hold() -> None:
    found = claims(run("affine", "tanh", 1, NOT_ATTAINED))
    assert set(found) == {"minimiser_affine_tanh_1", "affine_rate_tanh", "affine_constants_tanh"}
    assert all(claim.holds for claim in found.values())
    assert "1.0000 to 1.0000" in found["affine_constants_tanh"].text


@pytest.mark.parametrize("name", ["outer_norm_slope", "risk_slope"])
@pytest.mark.parametrize(("factor", "holds"), [(1.019, True), (1.021, False), (0.979, False)])
def test_an_exponent_outside_of_the_tolerance_is_a_no(
    name: str, factor: float, holds: bool
) -> None:
    exact = run("affine", "tanh", 1, NOT_ATTAINED)
    found = claims(exact.assign({name: exact[name] * factor}))
    assert found["affine_rate_tanh"].holds is holds


def test_one_flow_off_is_enough() -> None:
    exact = run("affine", "tanh", 1, NOT_ATTAINED)
    slopes = exact["risk_slope"].copy()
    slopes[0, FLOWS - 1] *= 1.05
    assert claims(exact.assign(risk_slope=slopes))["affine_rate_tanh"].holds is False


@pytest.mark.parametrize(
    ("name", "factor"), [("outer_norm", 1.002), ("final_risk", 1.011), ("final_risk", 0.989)]
)
def test_a_constant_off_by_more_than_a_hundredth_is_a_no(name: str, factor: float) -> None:
    """|v| enters with its sixth power."""
    exact = run("affine", "sin", 1, NOT_ATTAINED)
    found = claims(exact.assign({name: exact[name] * factor}))
    assert found["affine_constants_sin"].holds is False
    assert found["affine_rate_sin"].holds is True


@pytest.mark.parametrize("missing", ["risk_slope", "outer_norm_slope"])
def test_an_exponent_that_is_missing_is_a_no(missing: str) -> None:
    """A flow that broke off, or one whose parameters were not kept, has nan."""
    exact = run("affine", "tanh", 1, UNDECIDED)
    found = claims(exact.assign({missing: exact[missing] * np.nan}))
    assert found["affine_rate_tanh"].holds is False
    assert found["affine_constants_tanh"].holds is True


@pytest.mark.parametrize("missing", ["final_risk", "outer_norm"])
def test_a_constant_that_is_missing_is_a_no(missing: str) -> None:
    exact = run("affine", "tanh", 1, UNDECIDED)
    found = claims(exact.assign({missing: exact[missing] * np.nan}))
    assert found["affine_constants_tanh"].holds is False


def test_softplus_and_softsign_have_exponents_only() -> None:
    soft = run("affine", "softplus", 1, NOT_ATTAINED)
    found = claims(soft.assign(risk_slope=soft["risk_slope"] * 1.06))
    assert set(found) == {"minimiser_affine_softplus_1", "affine_rate_softplus"}
    assert found["affine_rate_softplus"].holds is True
    assert "|v|" not in found["affine_rate_softplus"].text
    assert set(claims(run("affine", "softsign", 1, NOT_ATTAINED))) == {
        "minimiser_affine_softsign_1",
        "affine_rate_softsign",
    }


def test_activations_that_attain_have_no_rate() -> None:
    assert set(claims(run("affine", "elu", 1, ATTAINED))) == {"minimiser_affine_elu_1"}
