"""The table of claims as it was written: read back, counted, and typeset for people."""

import csv
import re
from collections.abc import Container, Sequence
from dataclasses import dataclass
from pathlib import Path

from descentflow.config.catalogue import STUDIES
from descentflow.errors import InputError
from descentflow.studies.claim import (
    COLUMNS,
    FAILS,
    HOLDS,
    KINDS,
    NOT_MEASURED,
    SELF_CHECK,
    SOURCES,
    STATEMENT,
    TOO_SMALL,
)

Row = dict[str, str]
"""A claim's cells by the names in COLUMNS."""

WORDS = {
    HOLDS: "holds",
    FAILS: "FAILS",
    TOO_SMALL: "too small to judge",
    NOT_MEASURED: "not measured",
}
NOUNS = {STATEMENT: "statements", SELF_CHECK: "self-checks"}
"""What the two kinds of claims are called, in the order in which they are shown."""

CHOICES: dict[str, Container[str]] = {
    "verdict": WORDS,
    "kind": KINDS,
    "source": SOURCES,
    "study": STUDIES,  # as it is: to list it would import every study
}
"""What some cells may hold."""

ORDER = (FAILS, TOO_SMALL, NOT_MEASURED, HOLDS)
"""Verdicts, worst first: pages and pictures show claims in this order."""

GREEK = {
    "theta": "θ",
    "Theta": "Θ",
    "alpha": "α",
    "beta": "β",
    "gamma": "γ",
    "eta": "η",
    "kappa": "κ",
    "lambda": "λ",
    "xi": "ξ",
}
SIGNS = {"<=": "≤", ">=": "≥", "+-": "±", "->": "→", "sqrt(": "√("}

_GREEK = re.compile(rf"(?<![A-Za-z])({'|'.join(GREEK)})(?![A-Za-z])")
_POWER = re.compile(r"\^(-?\d+)(?![\d.])")
_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True)
class Tally:
    """How many claims hold, fail, have too small an experiment, and could not be measured."""

    noun: str
    holds: int
    fails: int
    too_small: int
    unknown: int

    @property
    def total(self) -> int:
        """All claims."""
        return self.holds + self.fails + self.too_small + self.unknown

    @property
    def verdict(self) -> str:
        """The worst verdict."""
        if self.fails:
            return FAILS
        if self.too_small:
            return TOO_SMALL
        return NOT_MEASURED if self.unknown else HOLDS

    def __str__(self) -> str:
        parts = [f"{self.holds} of {self.total} {self.noun} hold"]
        parts += [f"{self.fails} FAIL{'S' if self.fails == 1 else ''}"] if self.fails else []
        parts += [f"{self.too_small} too small to judge"] if self.too_small else []
        parts += [f"{self.unknown} not measured"] if self.unknown else []
        return ", ".join(parts)


def read(path: Path) -> list[Row]:
    """The claims of a table; raises InputError where it is none."""
    if path.exists() and not path.is_file():  # a pipe would be waited for
        raise InputError(f"{path}: not a file")
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            rows, names = list(reader), tuple(reader.fieldnames or ())
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: not a readable table of claims ({error})") from None
    if names != COLUMNS or any(tuple(row) != COLUMNS or None in row.values() for row in rows):
        raise InputError(f"{path}: not a table of claims; its columns are {', '.join(COLUMNS)}")
    for row in rows:
        for name, allowed in CHOICES.items():
            if row[name] not in allowed:
                raise InputError(f"{path}: claim {row['id']}: no {name} but {row[name]!r}")
        for name in ("value", "lower", "upper"):
            try:
                float(row[name] or "nan")
            except ValueError:
                raise InputError(f"{path}: claim {row['id']}: {name}: no number") from None
    return rows


def tally(rows: Sequence[Row], noun: str = "claims") -> Tally:
    """Count verdicts."""
    verdicts = [row["verdict"] for row in rows]
    return Tally(noun, *map(verdicts.count, (HOLDS, FAILS, TOO_SMALL, NOT_MEASURED)))


def by_kind(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Return the claims of each kind that there is, by its noun: statements first, worst first."""
    groups = {
        noun: sorted(
            (row for row in rows if row["kind"] == kind),
            key=lambda row: ORDER.index(row["verdict"]),
        )
        for kind, noun in NOUNS.items()
    }
    return {noun: group for noun, group in groups.items() if group}


def counted(rows: Sequence[Row]) -> str:
    """Return how many statements and self-checks hold, in words."""
    kinds = by_kind(rows) or {NOUNS[STATEMENT]: []}
    return "; ".join(str(tally(group, noun)) for noun, group in kinds.items())


def by_study(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Return the claims of each study, in the table's order."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row["study"], []).append(row)
    return groups


def number(row: Row) -> str:
    """Return the value, where it is uncertain with its interval, and its unit."""
    if not row["value"]:
        return ""
    value, unit = f"{float(row['value']):.6g}", "" if row["unit"] == "1" else f" {row['unit']}"
    if row["lower"]:
        value += f" ({float(row['lower']):.4g} to {float(row['upper']):.4g})"
    return value + unit


def typeset(text: str) -> str:
    """Greek letters, signs and integer powers instead of their names: ``gamma^2 <= 1`` is γ² ≤ 1."""
    text = _GREEK.sub(lambda match: GREEK[match[1]], text)
    for plain, sign in SIGNS.items():
        text = text.replace(plain, sign)
    return _POWER.sub(lambda match: match[1].translate(_SUPERSCRIPT), text)
