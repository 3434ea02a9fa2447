"""Texts of the report about figures and claims, read by its templates.

The templates are those in workflow/report/ and, for figures, in the folder ``captions`` of each study.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from descentflow.config.catalogue import FOLDER, STUDIES
from descentflow.config.study import ANY_NAME
from descentflow.planning.jobs import Jobs
from descentflow.report import settings
from descentflow.schema.yaml_file import as_yaml
from descentflow.studies import claims_table
from descentflow.studies.claim import HOLDS
from descentflow.studies.claims_table import WORDS, Row

CLAIMS = "All claims"
"""The report's category of the claims; the first in the alphabet."""

EQUATIONS = {
    "gradient descent": "Θₙ₊₁ = Θₙ − γG(Θₙ)",
    "gradient flow": "Θ′ = −G(Θ)",
    "stochastic optimiser": "Θₙ₊₁ = Θₙ − γΦₙ(G₁, …, Gₙ₊₁)",
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

    def template(self, study: str, figure: str) -> str:
        """Path of the template of the caption of a figure, given by its name or its file."""
        return str(FOLDER / study / "captions" / f"{Path(figure).stem}.rst")

    def labels(self, study: str, figure: str) -> dict[str, str]:
        """The report's labels of a figure, given by its name or its file.

        ``training`` and ``rule`` split the figures identically on purpose: Snakemake renders a label
        as a switch if it alone splits a list in two, and the switch hides figures or, for some lists,
        breaks the page.
        """
        declared = STUDIES[study].figures[Path(figure).stem]
        experiment, title = declared.experiment, declared.title
        if experiment == ANY_NAME:
            experiment = Path(figure).parent.name
            title = f"{experiment}: {title}"
        # Where methods are compared, gradient descent comes first.
        training = settings.training(self._jobs.blocks[study][experiment][-1])
        return {"figure": title, "training": training, "rule": EQUATIONS[training]}

    def setting_and_claims(self, study: str, *experiments: str) -> str:
        """The end of a figure's caption: its experiments as configured, and the study's verdicts."""
        setting = self.setting(study, *experiments)
        verdicts = self.verdicts(study)
        made_of = self._made_of(study, *experiments)
        return f"**Setting.**\n\n{setting}\n\n{made_of}\n\n**Claims of this study.** {verdicts}"

    def _made_of(self, study: str, *experiments: str) -> str:
        """A sentence about the data, the code and the keys of the configuration behind a figure."""
        block = self._jobs.blocks[study]
        keys = (f"``studies.{study}.{name}``" for name in experiments or block if name in block)
        (data,) = self._jobs.aggregate(study).outputs
        return (
            f"**Made of** ``{data}`` by ``descentflow.studies.{study}.figures``; "
            f"in the configuration {', '.join(keys)}."
        )

    def setting(self, study: str, *experiments: str) -> str:
        """One reStructuredText bullet for each of the experiments, or of all, that is configured."""
        block = self._jobs.blocks[study]
        return "\n".join(
            f"* ``{name}``: {_escaped(settings.sentence(block[name]))}"
            for name in experiments or block
            if name in block
        )

    def verdicts(self, study: str = "") -> str:
        """How many claims hold, of one study or of all; and those that do not, a bullet each."""
        rows = claims_table.read(Path(self._jobs.judge().outputs[0]))
        rows = [row for row in rows if study in ("", row["study"])]
        bad = [row for row in rows if row["verdict"] != HOLDS]
        return "\n".join([f"**{claims_table.counted(rows)}.**", "", *map(_bullet, bad)])

    @property
    def configuration(self) -> str:
        """The configuration as YAML."""
        return as_yaml(self._mapping)

    @property
    def studies(self) -> list[tuple[str, str, str]]:
        """Name, title and paper of each study that is configured."""
        configured = (STUDIES[study] for study in self._jobs.blocks)
        return [(study.name, study.title, study.paper) for study in configured]


def _bullet(row: Row) -> str:
    text = f"{row['statement']}; measured: {row['text']}; must be: {row['bound']}"
    return (
        f"* **{WORDS[row['verdict']]}**: {_escaped(claims_table.typeset(text))} (``{row['id']}``)"
    )


def _escaped(text: str) -> str:
    """Text that reStructuredText leaves as it is."""
    return "".join(f"\\{sign}" if sign in "\\*`|_" else sign for sign in text)
