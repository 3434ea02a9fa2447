"""The table of claims as one picture: every statement with its verdict, what failed loudest."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, Rectangle

from descentflow.config.catalogue import STUDIES
from descentflow.studies import claims_table
from descentflow.studies.claims_table import FAILS, HOLDS, UNKNOWN, WORDS, Row

COLUMN, BETWEEN, MARGIN = 5.75, 0.25, 0.15
"""Inches: the width of one of the two columns, between them, and around both."""

HEAD, STUDY, LINE, GAP = 0.55, 0.34, 0.115, 0.06
"""Inches: the heights of the headline, of a study's title and of a line, and between claims."""

BADGE, SIZE, CHARACTERS = 0.7, 6.3, 102
COLORS = {HOLDS: "#1b7837", FAILS: "#c4161c", UNKNOWN: "#6a6a6a"}
TINTS = {FAILS: "#fde0dd", UNKNOWN: "#eeeeee"}


@dataclass(frozen=True)
class Block:
    """A claim, or the title of a study where there is no verdict: its lines of text."""

    verdict: str
    study: str
    lines: tuple[str, ...]

    @property
    def height(self) -> float:
        """Inches."""
        return LINE * len(self.lines) + GAP if self.verdict else STUDY


def claims(rows: Sequence[Row]) -> Figure:
    """One line per claim that holds; the others with what was measured, and where."""
    columns = _columns(_blocks(rows))
    height = HEAD + max(sum(block.height for block in column) for column in columns) + MARGIN
    width = 2 * COLUMN + BETWEEN + 2 * MARGIN
    figure = Figure(figsize=(width, height))
    figure.set_layout_engine("none")
    panel = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    panel.set(xlim=(0.0, width), ylim=(height, 0.0))
    panel.axis("off")
    count = claims_table.tally(rows)
    panel.text(
        MARGIN, 0.3, str(count), size=14, weight="bold", color=COLORS[count.verdict], va="center"
    )
    for number, column in enumerate(columns):
        left, top = MARGIN + number * (COLUMN + BETWEEN), HEAD
        for block in column:
            (_claim if block.verdict else _title)(panel, left, top, block)
            top += block.height
    return figure


def _blocks(rows: Sequence[Row]) -> list[Block]:
    """Study by study, what failed first, then what was not measured."""
    blocks = []
    for study, found in claims_table.by_study(rows).items():
        known = STUDIES[study]
        blocks.append(
            Block("", study, (known.title, f"{known.paper}: {claims_table.tally(found)}"))
        )
        for row in claims_table.worst_first(found):
            lines = textwrap.wrap(claims_table.typeset(row["statement"]), CHARACTERS)
            if row["holds"] != HOLDS:
                lines += _details(row)
            blocks.append(Block(row["holds"], study, tuple(lines)))
    return blocks


def _details(row: Row) -> list[str]:
    texts = (
        f"measured: {row['measured']}",
        f"must be: {row['bound']}",
        f"where: {row['id']}; {row['where']}",
    )
    return [
        line for text in texts for line in textwrap.wrap(claims_table.typeset(text), CHARACTERS)
    ]


def _columns(blocks: Sequence[Block]) -> list[list[Block]]:
    """Two columns of nearly equal height; a study that is cut gets its title twice."""
    half, top = sum(block.height for block in blocks) / 2, 0.0
    first: list[Block] = []
    for block in blocks:
        if first and top + block.height / 2 > half:
            break
        first.append(block)
        top += block.height
    if first and not first[-1].verdict:
        first.pop()
    rest = list(blocks[len(first) :])
    if rest and rest[0].verdict:
        title = f"{STUDIES[rest[0].study].title} (continued)"
        rest.insert(0, Block("", rest[0].study, (title, "")))
    return [first, rest]


def _title(panel: Axes, left: float, top: float, block: Block) -> None:
    base, (title, count) = top + STUDY - 0.1, block.lines
    panel.plot([left, left + COLUMN], [base + 0.035] * 2, color="black", linewidth=0.6)
    panel.text(left, base, title, size=7.6, weight="bold", va="bottom")
    panel.text(left + COLUMN, base, count, size=5.8, va="bottom", ha="right")


def _claim(panel: Axes, left: float, top: float, block: Block) -> None:
    if block.verdict in TINTS:
        corner = (left - 0.04, top - GAP / 2)
        tint = TINTS[block.verdict]
        panel.add_patch(Rectangle(corner, COLUMN + 0.08, block.height, color=tint, zorder=0))
    middle = top + LINE / 2
    box = FancyBboxPatch(
        (left + 0.012, top + 0.01),
        BADGE - 0.1,
        LINE - 0.02,
        boxstyle="round,pad=0.01,rounding_size=0.03",
        color=COLORS[block.verdict],
    )
    panel.add_patch(box)
    panel.text(
        left + BADGE / 2 - 0.04,
        middle,
        WORDS[block.verdict],
        size=5.4,
        weight="bold",
        color="white",
        ha="center",
        va="center_baseline",
    )
    for number, line in enumerate(block.lines):
        panel.text(
            left + BADGE,
            middle + number * LINE,
            line,
            size=SIZE,
            va="center_baseline",
            weight="bold" if block.verdict == FAILS and number == 0 else "normal",
            parse_math=False,
        )
