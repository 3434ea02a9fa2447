"""The table of claims read back: what is no table, how it is counted, how it is typeset."""

import csv
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from shown_claims import CLAIMS, rows, write

from descentflow.config.catalogue import STUDIES
from descentflow.errors import InputError
from descentflow.studies import claims_table
from descentflow.studies.claim import COLUMNS, Claim, lacks


def test_a_table_is_read_as_it_was_written(tmp_path: Path) -> None:
    """Every claim with its paper."""
    found = claims_table.read(write(tmp_path / "claims.csv"))
    assert [row["id"] for row in found] == [claim.id for claim in CLAIMS]
    assert all(row["paper"] == STUDIES[row["study"]].paper for row in found)
    assert [row["holds"] for row in found].count("fails") == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "not a readable table"),
        ("study,id\na,b\n", "its columns are study, paper, id"),
        (",".join(COLUMNS) + "\na,b\n", "its columns are"),
        (",".join(COLUMNS) + f"\n{'a,' * 8}perhaps\n", "no verdict but 'perhaps'"),
        ('"open', "not a readable table"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path: Path, text: str | None, words: str) -> None:
    path = tmp_path / "claims.csv"
    if text is not None:
        path.write_text(text)
    with pytest.raises(InputError, match=words) as refusal:
        claims_table.read(path)
    assert str(path) in str(refusal.value)


@pytest.mark.parametrize("holds", [True, False])
def test_what_is_too_small_is_not_judged(holds: bool) -> None:
    """Whatever came out; the bound says what is needed."""
    claim = Claim("blow_up", "an_id", "s", "w", "paper", "m", "<= 1", holds, "t >= 1e8")
    row = dict(zip(COLUMNS, claim.row(), strict=True))
    assert (row["holds"], row["bound"]) == ("too_small", "<= 1; needs t >= 1e8")
    times = xr.Dataset({"time": (("run", "record"), [[0.0, 1e4, np.nan], [0.0, 1e3, 1e8]])})
    assert lacks(times, "time", 1e4) == ""
    assert lacks(times, "time", 1e5) == "t >= 100000"
    assert lacks(times.isel(run=0), "time", 1e8) == "t >= 1e+08"


def test_verdicts_are_counted() -> None:
    words = "3 of 6 claims hold, 1 FAILS, 1 too small to judge, 1 not measured"
    assert str(claims_table.tally(rows())) == words
    assert str(claims_table.tally(rows()[:1] * 2)) == "2 of 2 claims hold"
    two = [row | {"holds": "fails"} for row in rows()[:2]]
    assert str(claims_table.tally(two)) == "0 of 2 claims hold, 2 FAIL"


@pytest.mark.parametrize(
    ("text", "typeset"),
    [
        ("|Theta|^4/t -> (2/3)kappa^2", "|Θ|⁴/t → (2/3)κ²"),
        ("gamma n, lambda_min(K^(H)), lambda+", "γ n, λ_min(K^(H)), λ+"),
        ("<= 1e-12, >= 0, 1 +- 0.1", "≤ 1e-12, ≥ 0, 1 ± 0.1"),
        ("~ m^-1, n^-3, t^-0.667, t^(-1/2)", "~ m⁻¹, n⁻³, t^-0.667, t^(-1/2)"),
        ("beta, thetas, alphabet, exit", "β, thetas, alphabet, exit"),
        ("L sqrt(t)", "L √(t)"),
    ],
)
def test_names_become_letters_and_powers(text: str, typeset: str) -> None:
    assert claims_table.typeset(text) == typeset


def test_the_paper_is_in_the_table_itself(tmp_path: Path) -> None:
    with write(tmp_path / "claims.csv").open() as file:
        header = next(csv.reader(file))
    assert tuple(header) == COLUMNS
    claim = Claim("blow_up", "an_id", "s", "w", "paper", "m", "b", None)
    assert dict(zip(COLUMNS, claim.row(), strict=True))["paper"] == "arXiv:2211.15641"
