"""Stage show_claims: the table of claims as a picture, in every format, and as a page with filters."""

from descentflow.config.catalogue import FIGURE_FORMATS
from descentflow.datasets.whole_file import atomic_path
from descentflow.errors import InputError
from descentflow.report import claims_figure, claims_html
from descentflow.stages.command import Stage, Task
from descentflow.stages.study_specs import ClaimsSpec
from descentflow.studies import claims_table, style

PAGE = "html"


def show_claims(task: Task[ClaimsSpec]) -> None:
    """Write each output, a figure or the page by its ending, from the table."""
    rows, outputs = claims_table.read(task.inputs[0]), task.outputs
    allowed = (*FIGURE_FORMATS, PAGE)
    for path in outputs:
        if path.suffix[1:] not in allowed:
            raise InputError(f"{path}: the claims can be written as {', '.join(allowed)}")
    for path in outputs:
        if path.suffix[1:] == PAGE:
            with atomic_path(path) as temporary:
                temporary.write_text(claims_html.page(rows), encoding="utf-8")
    with style.paper():
        pictures = [path for path in outputs if path.suffix[1:] in FIGURE_FORMATS]
        style.save(claims_figure.claims(rows), pictures)


STAGE = Stage(show_claims, ClaimsSpec, 1, one_output=False)


if __name__ == "__main__":
    STAGE.main()
