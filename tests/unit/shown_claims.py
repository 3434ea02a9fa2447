"""A made-up table of claims: three that hold, one a self-check, and one with each other verdict."""

import csv
from pathlib import Path

from descentflow.studies.claim import COLUMNS, Claim
from descentflow.studies.claims_table import Row

CLAIMS = (
    Claim(
        *(
            "constant_targets",
            "one",
            "V <= 1",
            "convergence: H = 4",
            "paper 1.1",
            "half",
            "<= 1",
            True,
        ),
        value=0.5,
        interval=(0.4, 0.61),
        unit="s",
    ),
    Claim("constant_targets", "two", "<b>bold</b> | bar", "flow", "derived", "3", "2", False),
    Claim("blow_up", "three", "gamma^2 > 0", "affine", "derived", "no start", "all", None),
    Claim("blow_up", "four", "a word " * 30, "random", "predicted", "1", "1", True),
    Claim("blow_up", "five", "risk to 0", "random", "derived", "1", "1", True, self_check=True),
    Claim("blow_up", "six", "|v| ~ t", "affine", "derived", "2", "1", False, "t >= 1e8"),
)

COUNTED = (
    "2 of 5 statements hold, 1 FAILS, 1 too small to judge, 1 not measured; 1 of 1 self-checks hold"
)


def rows() -> list[Row]:
    """The table's rows."""
    return [dict(zip(COLUMNS, claim.row(), strict=True)) for claim in CLAIMS]


def write(path: Path) -> Path:
    """The table as a file."""
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows())
    return path
