"""The key ``figures`` of a configuration: how wide figures are, and in which letters."""

import re
from collections.abc import Iterator
from typing import Annotated

from pydantic import AfterValidator, Field

from descentflow.schema.messages import ConfigProblem
from descentflow.schema.model import Model, check

UNITS = {"in": 1.0, "cm": 1 / 2.54, "mm": 1 / 25.4, "pt": 1 / 72.27}
"""Inches in each unit; the point is TeX's, in which it prints \\columnwidth."""
COLUMN, PAGE = 3.4, 7.0
"""Inches that the figures are designed for: one column of a page with two, and the page."""
NARROWEST, WIDEST = 2.0, 12.0

_WIDTH = rf"^(\d+(?:\.\d+)?)({'|'.join(UNITS)})$"


def _inches(width: str) -> float:
    """Return a width that figures can have, in inches; raises ValueError for another."""
    written = re.fullmatch(_WIDTH, width)
    if written is None:
        raise ValueError(f"a width is needed, such as 3.4in; units: {', '.join(UNITS)}")
    inches = float(written[1]) * UNITS[written[2]]
    if not NARROWEST <= inches <= WIDEST:
        raise ValueError(f"must be from {NARROWEST:g}in to {WIDEST:g}in")
    return inches


def _checked(width: str) -> str:
    _inches(width)
    return width


Width = Annotated[
    str, AfterValidator(_checked), Field(max_length=20, json_schema_extra={"pattern": _WIDTH})
]


class FigureLook(Model):
    """Width and letters of the figures, so that they fit the document that includes them."""

    column: Width = Field(
        default=f"{COLUMN:g}in",
        description=f"width of figures with few panels, in {', '.join(UNITS)} (TeX's points); "
        "heights stay",
    )
    page: Width = Field(
        default=f"{PAGE:g}in", description="width of figures with many panels, likewise"
    )
    font: str = Field(
        default="DejaVu Serif",
        min_length=1,
        max_length=100,
        pattern=r"^[\w][\w .-]*$",
        description="family of the letters, a font of this machine; `DejaVu Serif`, `DejaVu Sans` "
        "and `STIXGeneral` are on every one",
    )
    usetex: bool = Field(
        default=False,
        description="whether LaTeX sets all text, in its own fonts; needs `latex`, `dvipng` and the "
        "package cm-super, and a second or so for each text",
    )
    preamble: str = Field(
        default="",
        max_length=2000,
        description=r"with `usetex`: lines of LaTeX that load the document's fonts, such as "
        r"`\usepackage[T1]{fontenc}\usepackage{lmodern}`",
    )

    @check("usetex", "preamble")
    def _preamble_is_used(self) -> Iterator[ConfigProblem]:
        if self.preamble and not self.usetex:
            yield ("preamble",), "is read only with usetex: true"

    def scale(self, width: float) -> float:
        """Return the factor for a figure that was designed for so many inches by default."""
        if width < (COLUMN + PAGE) / 2:
            return _inches(self.column) / COLUMN
        return _inches(self.page) / PAGE
