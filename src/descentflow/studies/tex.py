"""Signs in LaTeX, and figures whose text LaTeX sets."""

import re

from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import FixedFormatter

from descentflow.studies import claims_table

SIGNS = {
    **{sign: rf"$\{name}$" for name, sign in claims_table.GREEK.items()},
    "≤": r"$\le$",
    "≥": r"$\ge$",
    "±": r"$\pm$",
    "→": r"$\to$",
    "√": r"$\surd$",
    "×": r"$\times$",
    "|": r"$|$",
    "<": "$<$",
    ">": "$>$",
    "~": r"$\sim$",
    "^": r"\textasciicircum{}",
    "\\": r"\textbackslash{}",
    **{sign: rf"\{sign}" for sign in "_{}$&#%"},
}
"""Signs outside of formulas that LaTeX reads as something else, or not at all."""

PREAMBLE = r"\usepackage{amsmath, amssymb}"


def escape(figure: Figure) -> None:
    """Write all text outside of formulas so that LaTeX sets it as it stands."""
    for text in figure.findobj(Text):
        text.set_text(escaped(text.get_text()))
    for panel in figure.axes:
        for axis in (panel.xaxis, panel.yaxis):
            for which in (axis.major, axis.minor):
                if isinstance(which.formatter, FixedFormatter):
                    labels = (escaped(label) for label in which.formatter.seq)
                    which.formatter = FixedFormatter(list(labels))


def complaint(text: str) -> str:
    """Return what LaTeX complains about in matplotlib's report of a failure, in one line."""
    found = re.search(r"^! (.*?)\n\n", text, re.MULTILINE | re.DOTALL)
    line = " ".join((found[1] if found else text[-200:]).split())
    return f"LaTeX could not set the text of a figure: {line}"


def escaped(text: str) -> str:
    """Escape what stands outside of formulas, which dollar signs enclose."""
    parts = re.split(r"(?<!\\)(\$.*?(?<!\\)\$)", text)
    return "".join(
        part if index % 2 else "".join(SIGNS.get(sign, sign) for sign in part.replace(r"\$", "$"))
        for index, part in enumerate(parts)
    )
