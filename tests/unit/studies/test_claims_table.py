"""The table of claims read back: what is no table, how it is counted, how it is typeset."""

import ast
import csv
import re
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from shown_claims import CLAIMS, rows, write

from descentflow.config.catalogue import STUDIES
from descentflow.errors import InputError
from descentflow.studies import claim as claim_module
from descentflow.studies import claims_table
from descentflow.studies.claim import COLUMNS, SOURCES, Claim, lacks

MATHEMATICS = Path(__file__).parents[3] / "docs" / "mathematics.md"


def test_a_table_is_read_as_it_was_written(tmp_path: Path) -> None:
    """Every claim with its paper."""
    found = claims_table.read(write(tmp_path / "claims.csv"))
    assert [row["id"] for row in found] == [claim.id for claim in CLAIMS]
    assert all(row["paper"] == STUDIES[row["study"]].paper for row in found)
    assert [row["verdict"] for row in found].count("fails") == 1


def forged(**cells: str) -> str:
    """A table whose only row has these cells."""
    lines = COLUMNS, ({**rows()[0], **cells}).values()
    return "".join(f"{','.join(line)}\n" for line in lines)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "not a readable table"),
        ("study,id\na,b\n", "its columns are study, paper, id"),
        (",".join(COLUMNS) + "\na,b\n", "its columns are"),
        (forged(verdict="perhaps"), "claim one: no verdict but 'perhaps'"),
        (forged(kind="guess"), "claim one: no kind but 'guess'"),
        (forged(source="hearsay"), "claim one: no source but 'hearsay'"),
        (forged(study="mine"), "claim one: no study but 'mine'"),
        (forged(lower="small"), "claim one: lower: no number"),
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
    assert (row["verdict"], row["bound"]) == ("too_small", "<= 1; needs t >= 1e8")
    times = xr.Dataset({"time": (("run", "record"), [[0.0, 1e4, np.nan], [0.0, 1e3, 1e8]])})
    assert lacks(times, "time", 1e4) == ""
    assert lacks(times, "time", 1e5) == "t >= 100000"
    assert lacks(times.isel(run=0), "time", 1e8) == "t >= 1e+08"


def test_verdicts_are_counted() -> None:
    words = "2 of 5 statements hold, 1 FAILS, 1 too small to judge, 1 not measured"
    assert claims_table.counted(rows()) == f"{words}; 1 of 1 self-checks hold"
    assert claims_table.counted(rows()[:1] * 2) == "2 of 2 statements hold"
    two = [row | {"verdict": "fails"} for row in rows()[:2]]
    assert claims_table.counted(two) == "0 of 2 statements hold, 2 FAIL"


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


def test_numbers_are_numbers() -> None:
    """They come back as they were; words have a column of their own."""
    row = rows()[0]
    assert (float(row["value"]), float(row["lower"]), float(row["upper"])) == (0.5, 0.4, 0.61)
    assert (row["unit"], row["text"], row["kind"]) == ("s", "half", "statement")
    assert (row["source"], row["statement"]) == ("paper", "V <= 1 (1.1)")
    assert claims_table.number(row) == "0.5 (0.4 to 0.61) s"
    third = 1.0 / 3.0
    claim = Claim("blow_up", "an_id", "s (7.9)", "w", "derived 7.9", "m", "b", True, value=third)
    written = dict(zip(COLUMNS, claim.row(), strict=True))
    assert (float(written["value"]), written["lower"]) == (third, "")
    assert written["statement"] == "s (7.9)"


def test_kinds_are_shown_one_after_the_other() -> None:
    groups = claims_table.by_kind(rows())
    assert [*groups] == ["statements", "self-checks"]
    assert [row["id"] for row in groups["statements"]] == ["two", "six", "three", "one", "four"]


def marks() -> dict[str, set[str]]:
    """The marks in each section of docs/mathematics.md, without those of its subsections."""
    text = MATHEMATICS.read_text(encoding="utf-8")
    parts = re.split(r"^#+ (\d[\d.]*b?) ", text, flags=re.M)[1:]
    # A mark may be broken over two lines.
    found = (re.findall(r"\*\*\[([a-z ]+)\]\*\*", " ".join(part.split())) for part in parts[1::2])
    return dict(zip(parts[::2], map(set, found), strict=True))


def test_sources_are_the_marks_of_the_page() -> None:
    """Every source in the claims' code names a section, and the section has its mark."""
    cited = re.compile(rf"({'|'.join(SOURCES)})(?: (\d+(?:\.\d+)?))?")
    found, count = marks(), 0
    for path in sorted(Path(claim_module.__file__).parent.glob("*/*claims.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Constant) or not isinstance(node.value, str):
                continue
            if source := cited.fullmatch(node.value):
                whose, section = source.groups()
                count += 1
                if whose == "predicted":
                    assert section is None, (path.name, node.value)
                else:
                    assert whose in found.get(section, ()), (path.name, node.value)
    assert count > 40
    assert (
        "derived" in found["1.2"] & found["1.3"] & found["9.3"]
    )  # of constant_targets, by its width


@pytest.mark.parametrize(
    ("mark", "section", "right"),
    [
        ("paper", "1", True),
        ("paper", "1.2", False),
        ("computed", "4.4", True),
        ("derived", "4.4", False),
        ("as we state it", "5.3", True),
    ],
)
def test_the_marks_of_the_page_are_read(mark: str, section: str, right: bool) -> None:
    """1 and 1.2 are sections of their own; the mark of 5.3 is broken over two lines."""
    assert (mark in marks()[section]) is right
