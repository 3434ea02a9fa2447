"""A made-up table of claims: three that hold, and one with each other verdict."""

import csv
from pathlib import Path

from descentflow.studies.claim import COLUMNS, Claim
from descentflow.studies.claims_table import Row

CLAIMS = (
    Claim("constant_targets", "one", "V <= 1", "convergence: H = 4", "paper", "0.5", "<= 1", True),
    Claim("constant_targets", "two", "<b>bold</b> | bar", "flow", "derived", "3", "2", False),
    Claim("blow_up", "three", "gamma^2 > 0", "affine", "derived", "no start", "all", None),
    Claim("blow_up", "four", "a word " * 30, "random", "predicted here", "1", "1", True),
    Claim("blow_up", "five", "risk to 0", "random", "predicted here", "1", "1", True),
    Claim("blow_up", "six", "|v| ~ t", "affine", "derived", "2", "1", False, "t >= 1e8"),
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
