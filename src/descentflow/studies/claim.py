"""A theorem's statement with what was measured and the verdict."""

from dataclasses import dataclass

import xarray as xr

from descentflow.config.catalogue import STUDIES

COLUMNS = ("study", "paper", "id", "statement", "where", "source", "measured", "bound", "holds")
VERDICTS = {True: "yes", False: "NO", None: "not measured"}


@dataclass(frozen=True)
class Claim:
    """One judged statement.

    ``source`` says whose it is: ``paper``, ``as we state it`` (recalled), ``derived`` or
    ``predicted here``; ``where`` names the experiment and its parameters; ``bound`` is what
    ``measured`` is held against. ``holds`` is None where nothing could be measured.
    """

    study: str
    id: str
    statement: str
    where: str
    source: str
    measured: str
    bound: str
    holds: bool | None

    def row(self) -> tuple[str, ...]:
        """Return the cells of the claim's row, in the order of COLUMNS."""
        paper = STUDIES[self.study].paper
        texts = (self.id, self.statement, self.where, self.source, self.measured, self.bound)
        return (self.study, paper, *texts, VERDICTS[self.holds])


def describe_runs(runs: xr.Dataset, experiment: str) -> str:
    """Describe the runs of a claim: experiment, widths, number of initialisations in all."""
    widths = sorted({int(width) for width in runs["network_hidden"].values})
    count = int(runs["count"].values.sum())
    return f"{experiment}: H = {', '.join(map(str, widths))}; {count} runs"
