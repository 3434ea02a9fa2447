"""A theorem's statement with what was measured and the verdict."""

from dataclasses import dataclass

import numpy as np
import xarray as xr

from descentflow.config.catalogue import STUDIES
from descentflow.studies.hidden_widths import widths_of

COLUMNS = ("study", "paper", "id", "statement", "where", "source", "measured", "bound", "holds")
HOLDS, FAILS, TOO_SMALL, NOT_MEASURED = "holds", "fails", "too_small", "not_measured"
VERDICTS = (HOLDS, FAILS, TOO_SMALL, NOT_MEASURED)


@dataclass(frozen=True)
class Claim:
    """One judged statement.

    ``source`` says whose it is: ``paper``, ``as we state it`` (recalled), ``derived``, ``computed`` (a
    calculation that is no complete proof) or ``predicted here``; ``where`` names the experiment and
    its parameters; ``bound`` is what ``measured`` is held against. ``holds`` is None where nothing
    could be measured. ``needs`` says what an experiment must have that is too small to judge the
    statement, such as ``t >= 1e8``; it
    depends on the experiment's size, never on what was measured.
    """

    study: str
    id: str
    statement: str
    where: str
    source: str
    measured: str
    bound: str
    holds: bool | None
    needs: str = ""

    @property
    def verdict(self) -> str:
        """One of VERDICTS."""
        if self.holds is None:
            return NOT_MEASURED
        if self.needs:
            return TOO_SMALL
        return HOLDS if self.holds else FAILS

    def row(self) -> tuple[str, ...]:
        """Return the cells of the claim's row, in the order of COLUMNS."""
        paper = STUDIES[self.study].paper
        bound = f"{self.bound}; needs {self.needs}" if self.verdict == TOO_SMALL else self.bound
        texts = (self.id, self.statement, self.where, self.source, self.measured, bound)
        return (self.study, paper, *texts, self.verdict)


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
