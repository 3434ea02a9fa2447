"""Statements of one's own, on both sides of their bounds, undecided, and without data."""

from typing import Any

import numpy as np
import pytest
import xarray as xr
from pydantic import TypeAdapter
from scipy.stats import beta

from descentflow.config.exploration import Expectation
from descentflow.studies.claim import COLUMNS, Claim
from descentflow.studies.explore.claims import judge

READ: TypeAdapter[Any] = TypeAdapter(Expectation)
COUNT = 40
STEPS = np.array([0.0, 1, 10, 100, 1000])


def dataset() -> xr.Dataset:
    """Two widths: 30 and 10 of 40 runs end at 1e-8, the others at 0.25; risks fall like n^-2 or not.

    The second has one run that left the finite numbers. A third run is of another experiment.
    """
    risk = np.full((3, COUNT, 5), 0.25)
    for number, low in enumerate((30, 10, 0)):
        risk[number, :low] = [1.0, 1e-2, 1e-4, 1e-6, 1e-8]
    risk[1, -1, 2:] = np.nan
    norm = np.tile(np.array([1.0, 2, 3, 4, 5]), (3, COUNT, 1))
    status = np.zeros((3, COUNT), np.int8)
    status[1, -1] = 1
    return xr.Dataset(
        {
            "step": (("run", "record"), np.tile(STEPS, (3, 1))),
            "risk": (("run", "initialization", "record"), risk),
            "parameter_norm": (("run", "initialization", "record"), norm),
            "gradient_norm": (("run", "initialization", "record"), norm),
            "dead_neurons": (("run", "initialization"), np.tile(np.arange(COUNT) % 4, (3, 1))),
            "status": (("run", "initialization"), status),
            "count": ("run", [COUNT] * 3),
            "critical_risk": (("run", "level"), [[0, 0.25], [0.25, np.nan], [np.nan, np.nan]]),
            "experiment": ("run", ["mine", "mine", "other"]),
            "gamma": ("run", [0.1, 0.1, np.nan]),
            "spectrum": (("run", "first", "eigenvalue"), [[[20.0, 1.0], [np.nan] * 2]] * 3),
            "snapshot_at": (("run", "snapshot"), np.tile(STEPS, (3, 1))),
            "snapshot_spectrum": (
                ("run", "first", "snapshot", "eigenvalue"),
                np.tile(np.arange(1.0, 6)[:, None] ** 3, (3, 2, 1, 2)),
            ),
        },
        coords={
            "network_hidden": (
                "run",
                [2, 4, 2],
                {"long_name": "configuration key network.hidden"},
            )
        },
    )


def judged(**statement: Any) -> Claim:
    read = READ.validate_python({"statement": "it is so", **statement})
    (claim,) = judge(dataset(), {"mine": [read]})
    assert (claim.study, claim.id, claim.statement) == ("explore", "mine_1", "it is so")
    return claim


WIDE, NARROW = {"network.hidden": 4}, {"network.hidden": 2}
HALF = {"measure": "share_below", "risk": 1e-6}
VERDICTS: dict[str, tuple[dict[str, Any], bool | None]] = {
    "share, surely more": ({**HALF, "at_least": 0.55, "where": NARROW}, True),
    "share, perhaps more": ({**HALF, "at_least": 0.7, "where": NARROW}, None),
    "share, surely less": ({**HALF, "at_least": 0.95, "where": NARROW}, False),
    "share in one of two settings": ({**HALF, "at_least": 0.5}, False),
    "share, at most": ({**HALF, "at_most": 0.5, "where": WIDE}, True),
    "not below itself": ({"measure": "share_below", "risk": 1e-8, "at_most": 0}, True),
    "share early": ({**HALF, "at": 100, "at_most": 0}, True),
    "all": ({"measure": "share_below", "risk": 0.3, "at_least": 1, "where": NARROW}, True),
    "all but one": ({"measure": "share_below", "risk": 0.3, "at_least": 1, "where": WIDE}, False),
    "within": (
        {
            "measure": "share_within",
            "value": 0.25,
            "within": 1e-9,
            "at_most": 0.45,
            "where": NARROW,
        },
        True,
    ),
    "dead": (
        {"measure": "share_within", "of": "dead_neurons", "value": 0, "within": 0, "at_least": 0.6},
        False,
    ),
    "median": ({"measure": "quantile", "at_most": 1e-8, "where": NARROW}, True),
    "median, wide": ({"measure": "quantile", "at_least": 0.25, "where": WIDE}, True),
    "largest": ({"measure": "quantile", "q": 1, "at_most": 1, "where": WIDE}, False),
    "largest, narrow": ({"measure": "quantile", "q": 1, "at_most": 0.25, "where": NARROW}, True),
    "mean": (
        {"measure": "mean", "of": "dead_neurons", "at_least": 1.5, "at_most": 1.5},
        True,
    ),
    "mean with a run that diverged": ({"measure": "mean", "at_most": 1e9, "where": WIDE}, False),
    "mean on the way": ({"measure": "mean", "of": "parameter_norm", "at": 99, "at_most": 3}, True),
    "slope": (
        {
            "measure": "slope",
            "between": [1, 1000],
            "at_most": -1.99,
            "at_least": -2.01,
            "where": NARROW,
        },
        True,
    ),
    "flat": ({"measure": "slope", "between": [1, 1000], "at_most": -1, "where": WIDE}, False),
    "one record": ({"measure": "slope", "between": [100, 200], "at_most": -1}, None),
    "norm": ({"measure": "norm", "at_most": 5, "where": NARROW}, True),
    "norm of a run that diverged": ({"measure": "norm", "at_most": 5}, False),
    "levels": ({"measure": "levels", "at_least": 2, "at_most": 2, "where": NARROW}, True),
    "levels, wide": ({"measure": "levels", "at_least": 2}, False),
    "nearest level": ({"measure": "nearest_level", "value": 0.24, "at_most": 0.011}, True),
    "sharpness": ({"measure": "sharpness", "at_least": 0.999, "at_most": 1.001}, True),
    "sharpness, below": ({"measure": "sharpness", "at_most": 0.9}, False),
    "power of the norm": (
        {
            "measure": "sharpness_power",
            "between": [20, 2000],
            "at_least": 2.999,
            "at_most": 3.001,
        },
        True,
    ),
    "norm that stays": ({"measure": "sharpness_power", "between": [200, 900], "at_least": 0}, None),
    "no level near": ({"measure": "nearest_level", "value": 0, "at_most": 1e-9}, False),
}


@pytest.mark.parametrize(("statement", "holds"), VERDICTS.values(), ids=VERDICTS.keys())
def test_verdicts(statement: dict[str, Any], holds: bool | None) -> None:
    assert judged(**statement).holds is holds


def test_the_interval_is_that_of_clopper_and_pearson() -> None:
    """By quantiles of the beta distribution."""
    claim = judged(**HALF, at_least=0.7, where=NARROW)
    low, high = beta.ppf(0.025, 30, 11), beta.ppf(0.975, 31, 10)
    assert f": 0.75 ({low:.3g} to {high:.3g}); more runs are needed to decide" in claim.text
    assert claim.text.startswith("share of runs with risk below 1e-06, 95% interval")
    assert claim.bound == ">= 0.7"
    assert claim.where == "mine; network.hidden = 2; 1 setting(s), 40 runs"


def test_settings_are_named_where_there_are_several() -> None:
    claim = judged(measure="quantile", at_most=1)
    text = "quantile 0.5 of risk: H = 2: 1e-08; H = 4: 0.25; source: my conjecture"
    assert claim.text == text


def test_whose_a_statement_is_stands_in_the_text() -> None:
    """A year in it is no section of docs/mathematics.md."""
    claim = judged(measure="norm", at_most=1, source="A. Person 2024")
    row = dict(zip(COLUMNS, claim.row(), strict=True))
    assert (row["source"], row["statement"]) == ("predicted", "it is so")
    assert row["text"].endswith("; source: A. Person 2024")


def test_the_number_is_that_of_the_setting_nearest_to_its_bound() -> None:
    assert judged(measure="quantile", at_most=1).value == 0.25
    assert judged(measure="quantile", at_least=1e-9).value == 1e-8
    claim = judged(**HALF, at_least=0.5)
    interval = beta.ppf(0.025, 10, 31), beta.ppf(0.975, 11, 30)
    assert claim.value == 0.25
    assert claim.interval == pytest.approx(interval, rel=1e-12)


def test_no_critical_risk_is_no_data() -> None:
    read = READ.validate_python(
        {"statement": "s", "measure": "nearest_level", "value": 0, "at_most": 1}
    )
    (claim,) = judge(dataset(), {"other": [read]})
    assert claim.holds is None
    assert claim.value is None
    assert "no data" in claim.text


def test_without_statements_there_are_no_claims() -> None:
    assert judge(dataset()) == []
