"""Stage show_claims: the table of claims as a picture, as a page with filters, and for LaTeX."""

from collections.abc import Callable, Mapping, Sequence

from descentflow.config.catalogue import FIGURE_FORMATS
from descentflow.datasets.whole_file import atomic_path
from descentflow.errors import InputError
from descentflow.report import claims_figure, claims_html, latex, references
from descentflow.stages.command import Stage, Task
from descentflow.stages.study_specs import ClaimsSpec
from descentflow.studies import claims_table, style
from descentflow.studies.claims_table import Row

TEXTS: Mapping[str, Callable[[Sequence[Row]], str]] = {
    "claims.html": claims_html.page,
    "numbers.tex": latex.numbers,
    "claims.tex": latex.tables,
    "references.bib": references.text_for,
}
"""What is written as text, by the file's name."""


def show_claims(task: Task[ClaimsSpec]) -> None:
    """Write each output, a figure by its ending or a text by its name, from the table."""
    rows, pictures = claims_table.read(task.inputs[0]), []
    for path in task.outputs:
        if path.suffix[1:] in FIGURE_FORMATS:
            pictures.append(path)
        elif path.name not in TEXTS:
            allowed = ", ".join((*FIGURE_FORMATS, *TEXTS))
            raise InputError(f"{path}: the claims can be written as {allowed}")
    for path in task.outputs:
        if path not in pictures:
            with atomic_path(path) as temporary:
                temporary.write_text(TEXTS[path.name](rows), encoding="utf-8")
    with style.paper():
        style.save(claims_figure.claims(rows), pictures)


STAGE = Stage(show_claims, ClaimsSpec, 1, one_output=False)


if __name__ == "__main__":
    STAGE.main()
