"""A theorem's statement with what was measured and the verdict."""

import re
from dataclasses import dataclass

import numpy as np
import xarray as xr

from descentflow.config.catalogue import STUDIES
from descentflow.studies.hidden_widths import widths_of

COLUMNS = (
    *("study", "paper", "id", "kind", "statement", "source", "where"),
    *("value", "lower", "upper", "unit", "bound", "verdict", "text"),
)
HOLDS, FAILS, TOO_SMALL, NOT_MEASURED = "holds", "fails", "too_small", "not_measured"
VERDICTS = (HOLDS, FAILS, TOO_SMALL, NOT_MEASURED)
STATEMENT, SELF_CHECK = "statement", "self_check"
KINDS = (STATEMENT, SELF_CHECK)
SOURCES = ("paper", "as we state it", "derived", "computed", "predicted")
"""Whose a statement of the shipped studies is, as docs/mathematics.md marks it."""

_SECTION = re.compile(r" (\d+(?:\.\d+)?)$")


@dataclass(frozen=True)
class Claim:
    """One judged statement.

    ``source`` is one of ``SOURCES`` and the section of docs/mathematics.md that says it, such as
    ``derived 1.1``; a prediction that is tested only needs none. ``where`` names the experiment and
    its parameters. ``text`` is what was measured in words, ``value`` the one number that decides,
    in ``unit``, ``interval`` what holds it with the usual 95%, and ``bound`` what it is held against.
    ``holds`` is None where nothing could be measured. ``needs`` says what an experiment must have
    that is too small to judge the statement, such as ``t >= 1e8``; it depends on the experiment's
    size, never on what was measured. A ``self_check`` is about the code: only a bug can break it.
    """

    study: str
    id: str
    statement: str
    where: str
    source: str
    text: str
    bound: str
    holds: bool | None
    needs: str = ""
    value: float | None = None
    interval: tuple[float, float] | None = None
    unit: str = "1"
    self_check: bool = False

    @property
    def verdict(self) -> str:
        """One of VERDICTS."""
        if self.holds is None:
            return NOT_MEASURED
        if self.needs:
            return TOO_SMALL
        return HOLDS if self.holds else FAILS

    @property
    def section(self) -> str:
        """The section of docs/mathematics.md, or ""."""
        found = _SECTION.search(self.source)
        return found[1] if found else ""

    def row(self) -> tuple[str, ...]:
        """Return the cells of the claim's row, in the order of COLUMNS."""
        section = f"({self.section})"
        cited = self.section and section not in self.statement
        cells = {
            "study": self.study,
            "paper": STUDIES[self.study].paper,
            "id": self.id,
            "kind": SELF_CHECK if self.self_check else STATEMENT,
            "statement": f"{self.statement} {section}" if cited else self.statement,
            "source": _SECTION.sub("", self.source),
            "where": self.where,
            "unit": self.unit,
            "bound": self.bound,
            "verdict": self.verdict,
            "text": self.text,
        }
        numbers = (self.value, *(self.interval or (None, None)))
        for name, number in zip(("value", "lower", "upper"), numbers, strict=True):
            cells[name] = "" if number is None else repr(float(number))
        if self.verdict == TOO_SMALL:
            cells["bound"] += f"; needs {self.needs}"
        return tuple(cells[name] for name in COLUMNS)


def describe_runs(runs: xr.Dataset, experiment: str) -> str:
    """Describe the runs of a claim: experiment, widths, number of initialisations in all."""
    shapes = sorted({*widths_of(runs)}, key=lambda widths: (len(widths), widths))
    widths = ("×".join(map(str, shape)) for shape in shapes)
    count = int(runs["count"].values.sum())
    return f"{experiment}: H = {', '.join(widths)}; {count} runs"


def lacks(runs: xr.Dataset, axis: str, least: float) -> str:
    """Return what runs need that end before ``least`` on the axis ``step`` or ``time``, else ""."""
    ends = np.nanmax(runs[axis].values, axis=-1)
    name = {"step": "n", "time": "t"}[axis]
    return "" if (ends >= least).all() else f"{name} >= {least:g}"
