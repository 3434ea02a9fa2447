"""A theorem's statement with what was measured and the verdict."""

from dataclasses import dataclass

import xarray as xr

COLUMNS = ("study", "id", "statement", "where", "source", "measured", "bound", "holds")


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
        """The cells of the table, in the order of COLUMNS."""
        texts = (self.study, self.id, self.statement, self.where)
        verdict = {True: "yes", False: "NO", None: "not measured"}[self.holds]
        return (*texts, self.source, self.measured, self.bound, verdict)


def describe_runs(runs: xr.Dataset, experiment: str) -> str:
    """Which runs a claim is about: experiment, widths, number of initialisations in all."""
    widths = sorted({int(width) for width in runs["network_hidden"].values})
    count = int(runs["count"].values.sum())
    return f"{experiment}: H = {', '.join(map(str, widths))}; {count} runs"
