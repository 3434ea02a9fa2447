"""The table of claims for a LaTeX document: a macro for each number, a table for each study.

Both files need the packages siunitx and longtable, and any TeX engine.
"""

import re
from collections.abc import Sequence
from decimal import Context, Decimal
from itertools import starmap

from descentflow.config.catalogue import STUDIES
from descentflow.studies import claims_table, tex
from descentflow.studies.claim import FAILS, HOLDS, NOT_MEASURED, TOO_SMALL
from descentflow.studies.claims_table import Row

DIGITS, UNCERTAIN_DIGITS = 4, 2
"""Digits of numbers without an uncertainty, and of uncertainties."""
PLAIN_EXPONENTS = range(-3, 6)
"""Numbers of other sizes are written with a power of ten."""
WIDTHS = ("0.09", "0.40", "0.18", "0.24")
"""Widths of a table's columns, in line widths; the rest lies between the columns."""
HEADERS = ("verdict", "statement", "measured", "must be")
WORDS = {
    HOLDS: "holds",
    FAILS: r"\textbf{fails}",
    TOO_SMALL: "too small to judge",
    NOT_MEASURED: "not measured",
}
_SUPERSCRIPTS = "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"
_INDEX = r"(?:(?<![A-Za-z_][A-Za-z0-9])(?<=[\w)|])|(?<=max|min))_([A-Za-z0-9]+)"
_POWER = rf"([{_SUPERSCRIPTS}]+)|\^(\([^()]*\))"
_TOKEN = re.compile(rf"{_INDEX}|{_POWER}|([^\w\s]|_|[^\x00-\x7f])")
_BACK = str.maketrans(_SUPERSCRIPTS, "-0123456789")

NUMBERS = r"""% Written by descentflow from the table of claims; needs \usepackage{siunitx}.
% \measured{STUDY.ID} is the number that decides a claim, its uncertainty in brackets where it has one;
% \interval{STUDY.ID} the interval that holds it with 95%; \verdict{STUDY.ID} what became of it.
\newcommand*{\descentflowentry}[2]{\ifcsname #1@#2\endcsname\csname #1@#2\endcsname
  \else\errmessage{descentflow: no #1 of #2}\fi}
\newcommand*{\measured}[1]{\descentflowentry{measured}{#1}}
\newcommand*{\interval}[1]{\descentflowentry{interval}{#1}}
\newcommand*{\verdict}[1]{\descentflowentry{verdict}{#1}}
"""
TABLES = r"""% Written by descentflow from the table of claims; needs \usepackage{longtable, siunitx}.
% \claims{STUDY} is the table of a study's claims.
\newcommand*{\claims}[1]{\csname claims@#1\endcsname}
"""


def numbers(rows: Sequence[Row]) -> str:
    """Return numbers.tex: macros for the numbers, intervals and verdicts of all claims."""
    lines = []
    for row in rows:
        key = f"{row['study']}.{row['id']}"
        cells = {"measured": measured(row), "verdict": WORDS[row["verdict"]]}
        if row["lower"]:
            low, high = (rounded(float(row[name])) for name in ("lower", "upper"))
            cells["interval"] = f"[{low}, {high}]"
        for name, text in cells.items():
            if text:
                lines.append(rf"\expandafter\def\csname {name}@{key}\endcsname{{{text}}}")
    return NUMBERS + "\n".join([*lines, ""])


def measured(row: Row) -> str:
    """Return the number of a claim, rounded to the two digits of its uncertainty; "" without one."""
    if not row["value"]:
        return ""
    value = float(row["value"])
    sides = [abs(float(row[name]) - value) for name in ("lower", "upper") if row[name]]
    return rounded(value, max(sides, default=0.0))


def rounded(value: float, uncertainty: float = 0.0) -> str:
    r"""Return ``\num{..}`` of a number: to two digits of its uncertainty, or to DIGITS digits.

    Whole numbers are written as they are; infinities and nan as words.
    """
    if abs(value) == float("inf") or value != value:
        return r"$\infty$" if value > 0 else r"$-\infty$" if value < 0 else "undefined"
    number, size = Decimal(repr(value)), Decimal(repr(uncertainty))
    if not size and value == int(value) and abs(value) < 1e6:
        return rf"\num{{{int(value)}}}"
    known = bool(size) and size.is_finite()
    if known:
        size = Context(prec=UNCERTAIN_DIGITS).plus(size)
        last = Decimal(1).scaleb(size.adjusted() - UNCERTAIN_DIGITS + 1)
        number = number.quantize(last)
    else:
        number = Context(prec=DIGITS).plus(number)
    shift = 0 if _is_plain(number) else number.adjusted()
    text = f"{number.scaleb(-shift):f}"
    if known:
        text += f"({int(size / last)})"
    return rf"\num{{{text}{f'e{shift}' if shift else ''}}}"


def _is_plain(number: Decimal) -> bool:
    """Whether a number is written without a power of ten, and needs no zeros for digits it lacks."""
    return number.adjusted() in PLAIN_EXPONENTS and int(number.as_tuple().exponent) <= 0


def tables(rows: Sequence[Row]) -> str:
    """Return claims.tex: a table for each study."""
    return TABLES + "".join(starmap(_table, claims_table.by_study(rows).items()))


def _table(study: str, rows: Sequence[Row]) -> str:
    columns = "".join(rf"p{{{width}\linewidth}}" for width in WIDTHS)
    title = f"{STUDIES[study].title} ({STUDIES[study].paper}): {claims_table.counted(rows)}."
    head = rf"\hline {' & '.join(HEADERS)} \\ \hline"
    groups = claims_table.by_kind(rows).values()
    lines = "\n".join(_line(row) for group in groups for row in group)
    return (
        rf"\expandafter\def\csname claims@{study}\endcsname{{%" + "\n"
        rf"\begin{{longtable}}{{@{{}}{columns}@{{}}}}" + "\n"
        rf"\caption{{{escaped(title)}}}\\ {head} \endfirsthead" + "\n"
        rf"{head} \endhead" + f"\n{lines}\n"
        r"\hline\end{longtable}}" + "\n"
    )


def _line(row: Row) -> str:
    number = measured(row)
    if number and row["unit"] != "1":
        number += f" {escaped(row['unit'])}"
    cells = [WORDS[row["verdict"]], escaped(row["statement"]), number, escaped(row["bound"])]
    return rf"{' & '.join(cells)} \\"


def escaped(text: str) -> str:
    """Return a text of the table as LaTeX: Greek letters, signs, powers and indices in formulas."""
    # Formulas that touch become one, but for powers and indices, of which one can have two.
    return re.sub(r"\$\$(?![_^])", "", _TOKEN.sub(_sign, claims_table.typeset(text)))


def _sign(match: re.Match[str]) -> str:
    index, digits, power, sign = match.groups()
    if index:
        return rf"$_{{\mathrm{{{index}}}}}$" if len(index) > 1 else f"$_{{{index}}}$"
    if digits or power:
        return f"$^{{{power or digits.translate(_BACK)}}}$"
    return tex.SIGNS.get(sign, sign)
