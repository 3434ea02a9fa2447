"""What the report says of figures and claims: read by the templates in workflow/report/."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from descentflow.config.catalogue import STUDIES
from descentflow.planning.jobs import Jobs
from descentflow.report import settings
from descentflow.studies import claims_table
from descentflow.studies.claims_table import FAILS, UNKNOWN, WORDS, Row

CLAIMS = "All claims"
"""The report's category of the claims; the first in the alphabet."""

TITLES = {
    "risk_and_lyapunov": "Risk and Lyapunov function",
    "dimensions": "Inputs of several dimensions",
    "flow": "Gradient flow and its envelope",
    "step_size_phases": "Step size against the bound",
    "success": "Success over width and number of runs",
    "risk_curves": "Risk curves and running minimum",
    "final_risks": "Distribution of final risks",
    "hessian_spectra": "Hessian spectra at minima",
    "rates": "Predicted and measured rates",
    "staircase": "Staircase of critical risks",
    "basin": "Basin of one neuron",
    "invariants": "Gradient norm and invariants",
    "saddles": "Zig-zag saddles",
    "small_steps": "Descent against flow",
    "vector_targets": "Targets with several outputs",
    "divergence": "Divergence and its power laws",
    "realizations": "Networks that steepen to the step",
    "flow_and_descent": "Flow and descent, edge of stability",
    "affine": "Blow-up of thirteen activations",
    "other_targets": "Step, hinge and parabola",
    "minimisers": "Who attains the infimum",
    "concentration": "Gram matrices at the start",
    "training": "Training loss and its bound",
    "stability": "Stability over the width",
    "depth": "Least eigenvalue over the depth",
    "step_sizes": "Around the stability limit",
}
"""The figures' names for people."""

EQUATIONS = {
    "gradient descent": "Θₙ₊₁ = Θₙ − γG(Θₙ)",
    "gradient flow": "Θ′ = −G(Θ)",
    "none": "Θ = Θ₀",
}


class Captions:
    """Texts about one configuration; ``mapping`` is the configuration as it was given."""

    def __init__(self, jobs: Jobs, mapping: Mapping[str, Any]) -> None:
        self._jobs = jobs
        self._mapping = mapping

    def category(self, study: str) -> str:
        """The report's category of a study's figures."""
        return study.replace("_", " ").capitalize()

    def labels(self, study: str, figure: str) -> dict[str, str]:
        """The report's labels of a figure.

        The last two tell the same apart, on purpose: Snakemake turns a label into a switch where it
        halves a list, unless two do, and a switch hides figures or, for some lists, breaks the page.
        """
        experiment = STUDIES[study].figures[figure]
        training = settings.training(self._jobs.blocks[study][experiment][0])
        return {"figure": TITLES[figure], "training": training, "rule": EQUATIONS[training]}

    def setting(self, study: str, *experiments: str) -> str:
        """One reStructuredText bullet for each of the experiments that is configured."""
        block = self._jobs.blocks[study]
        return "\n".join(
            f"* ``{name}``: {_escaped(settings.sentence(block[name]))}"
            for name in experiments
            if name in block
        )

    def verdicts(self, study: str = "") -> str:
        """How many claims hold, of one study or of all; and those that do not, a bullet each."""
        rows = claims_table.read(Path(self._jobs.judge().outputs[0]))
        rows = [row for row in rows if study in ("", row["study"])]
        bad = [row for row in rows if row["holds"] in (FAILS, UNKNOWN)]
        return "\n".join([f"**{claims_table.tally(rows)}.**", "", *map(_bullet, bad)])

    @property
    def configuration(self) -> str:
        """The configuration as YAML."""
        return yaml.safe_dump(_plain(self._mapping), sort_keys=False, width=90, allow_unicode=True)

    @property
    def studies(self) -> list[tuple[str, str, str]]:
        """Name, title and paper of each study that is configured."""
        found = (STUDIES[study] for study in self._jobs.blocks)
        return [(study.name, study.title, study.paper) for study in found]


def _bullet(row: Row) -> str:
    text = f"{row['statement']}; measured: {row['measured']}; must be: {row['bound']}"
    return f"* **{WORDS[row['holds']]}**: {_escaped(claims_table.typeset(text))} (``{row['id']}``)"


def _escaped(text: str) -> str:
    """Text that reStructuredText leaves as it is."""
    return "".join(f"\\{sign}" if sign in "\\*`|_" else sign for sign in text)


def _plain(value: Any) -> Any:
    """Mappings and lists of YAML's own types, without anchors to shared parts."""
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list | tuple) else value
