"""The table of claims as one picture: every statement with its verdict, what failed loudest."""

import textwrap
from collections.abc import Sequence
from itertools import chain
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, Rectangle

from descentflow.config.catalogue import STUDIES
from descentflow.studies import claims_table
from descentflow.studies.claim import FAILS, HOLDS, NOT_MEASURED, SELF_CHECK, TOO_SMALL
from descentflow.studies.claims_table import WORDS, Row

COLUMN, BETWEEN, MARGIN = 5.75, 0.25, 0.15
"""Inches: the width of one of the two columns, between them, and around both."""

HEAD, STUDY, LINE, GAP = 0.55, 0.46, 0.115, 0.06
"""Inches: the heights of the headline, of a study's title and of a line, and between claims."""

BADGE, SIZE, CHARACTERS = 0.85, 6.3, 99
"""Inches that a badge takes, and points and characters of a line."""

COLORS = {HOLDS: "#1b7837", FAILS: "#c4161c", TOO_SMALL: "#8a6100", NOT_MEASURED: "#6a6a6a"}
TINTS = {FAILS: "#fde0dd", TOO_SMALL: "#fdf1d6", NOT_MEASURED: "#eeeeee"}


class Block(NamedTuple):
    """The lines of a claim; without a verdict, the title of a study and its count of claims."""

    verdict: str
    study: str
    lines: tuple[str, ...]

    @property
    def height(self) -> float:
        """Inches."""
        return LINE * len(self.lines) + GAP if self.verdict else STUDY


def claims(rows: Sequence[Row]) -> Figure:
    """Draw one line per claim that holds; the others with their measured value, bound and place."""
    columns = _columns(_blocks(rows))
    height = HEAD + max(sum(block.height for block in column) for column in columns) + MARGIN
    width = 2 * COLUMN + BETWEEN + 2 * MARGIN
    figure = Figure(figsize=(width, height))
    figure.set_layout_engine("none")
    panel = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    panel.set(xlim=(0.0, width), ylim=(height, 0.0))
    panel.axis("off")
    color, count = COLORS[claims_table.tally(rows).verdict], claims_table.counted(rows)
    panel.text(MARGIN, 0.3, count, size=12, weight="bold", color=color, va="center")
    for index, column in enumerate(columns):
        left, top = MARGIN + index * (COLUMN + BETWEEN), HEAD
        for block in column:
            (_draw_claim if block.verdict else _draw_title)(panel, left, top, block)
            top += block.height
    return figure


def _blocks(rows: Sequence[Row]) -> list[Block]:
    """Return the blocks study by study: statements, then self-checks, each the failed ones first."""
    blocks = []
    for name, of_study in claims_table.by_study(rows).items():
        study, count = STUDIES[name], claims_table.counted(of_study)
        blocks.append(Block("", name, (study.title, f"{study.paper}: {count}")))
        for row in chain.from_iterable(claims_table.by_kind(of_study).values()):
            check = "self-check: " if row["kind"] == SELF_CHECK else ""
            texts = [check + row["statement"]]
            if row["verdict"] != HOLDS:
                texts += [f"measured: {row['text']}", f"must be: {row['bound']}"]
                texts += [f"where: {row['id']}; {row['where']}"]
            typeset = map(claims_table.typeset, texts)
            lines = [line for text in typeset for line in textwrap.wrap(text, CHARACTERS)]
            blocks.append(Block(row["verdict"], name, tuple(lines)))
    return blocks


def _columns(blocks: Sequence[Block]) -> list[list[Block]]:
    """Split the blocks into two columns of nearly equal height, and repeat a split study's title."""
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


def _draw_title(panel: Axes, left: float, top: float, block: Block) -> None:
    base, (title, count) = top + STUDY - 0.1, block.lines
    panel.plot([left, left + COLUMN], [base + 0.035] * 2, color="black", linewidth=0.6)
    # Beside each other they would meet where many verdicts are counted.
    panel.text(left, base - LINE, title, size=7.6, weight="bold", va="bottom")
    panel.text(left, base, count, size=5.8, va="bottom")


def _draw_claim(panel: Axes, left: float, top: float, block: Block) -> None:
    """Draw a badge with the verdict and the lines beside it, on a tint unless the claim holds."""
    if block.verdict in TINTS:
        corner = (left - 0.04, top - GAP / 2)
        tint = TINTS[block.verdict]
        panel.add_patch(Rectangle(corner, COLUMN + 0.08, block.height, color=tint, zorder=0))
    box: dict[str, Any] = {
        "boxstyle": "round,pad=0.01,rounding_size=0.03",
        "color": COLORS[block.verdict],
    }
    corner = (left + 0.012, top + 0.01)
    panel.add_patch(FancyBboxPatch(corner, BADGE - 0.1, LINE - 0.02, **box))
    middle = top + LINE / 2
    look: dict[str, Any] = {"size": 5.4, "weight": "bold", "color": "white", "ha": "center"}
    center = left + BADGE / 2 - 0.04
    panel.text(center, middle, WORDS[block.verdict], va="center_baseline", **look)
    for index, line in enumerate(block.lines):
        weight = "bold" if block.verdict == FAILS and index == 0 else "normal"
        look = {"size": SIZE, "weight": weight, "va": "center_baseline", "parse_math": False}
        panel.text(left + BADGE, middle + index * LINE, line, **look)
