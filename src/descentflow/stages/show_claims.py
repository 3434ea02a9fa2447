"""Stage show_claims: the table of claims as a picture, in every format, and as a page with filters."""

from pathlib import Path
from typing import Any

from descentflow.config.catalogue import FIGURE_FORMATS
from descentflow.datasets.whole_file import atomic_path
from descentflow.errors import InputError
from descentflow.report import claims_figure, claims_html
from descentflow.schema.model import Model
from descentflow.stages import command
from descentflow.studies import claims_table, style

PAGE = "html"


class ShowClaimsSpec(Model):
    """The spec of the job: empty, as the table holds everything."""


def show_claims(_job: dict[str, Any], inputs: list[Path], outputs: list[Path]) -> None:
    """Write each output, a figure or the page by its ending, from the table."""
    rows = claims_table.read(inputs[0])
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


def main() -> None:
    """Run the stage as a command."""
    command.run(show_claims, "Show the table of claims.", ShowClaimsSpec, 1)


if __name__ == "__main__":
    main()
