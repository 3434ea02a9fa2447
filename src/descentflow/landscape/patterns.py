"""Patterns of critical networks: what lies on either side of the break (docs/mathematics.md, 7.2).

A side is flat (the residual vanishes on one piece) or a zig-zag of m ≥ 0 pieces of one length, on which
residuals and types of neurons alternate.
"""

from collections.abc import Iterator
from typing import Literal, NamedTuple, TypeAlias

from descentflow.landscape.broken_line import BrokenLine

FLAT = -1
"""Stands for a flat side where otherwise the number of pieces stands."""

Kind: TypeAlias = Literal["none", "flat", "even", "odd"]


class Pattern(NamedTuple):
    """Numbers of pieces left and right of the piece that holds the break, or FLAT."""

    left: int
    right: int

    @property
    def neurons(self) -> int:
        """The number of places where the network bends, which is that of neurons if μ ≠ 0."""
        return abs(self.left) + abs(self.right)

    @property
    def shape(self) -> "Shape":
        """What decides the form of the equations."""
        return Shape(_kind(self.left), _kind(self.right))


class Shape(NamedTuple):
    """The kinds of both sides; D = delta μ is the first moment of the residual on the middle piece."""

    left: Kind
    right: Kind

    @property
    def delta(self) -> int:
        """M₁(r) − M₁(l) over μ."""
        return (self.right != "odd") - (self.left == "odd")

    @property
    def left_sign(self) -> int:
        """The sign of the residual at l is that of this times μ; 0 if there is none."""
        return {"none": 0, "flat": 0, "even": -1, "odd": 1}[self.left]

    @property
    def right_sign(self) -> int:
        """The same at r."""
        return {"none": 0, "flat": 0, "even": 1, "odd": -1}[self.right]

    @property
    def free_slope(self) -> int | None:
        """The side, 0 or 1, whose slope of the target determines μ if delta = 0."""
        if self.delta:
            return None
        return 0 if self.left == "odd" else 1

    def possible(self, target: BrokenLine) -> bool:
        """Whether the equations can have a solution with μ ≠ 0 for this target (7.4)."""
        side = self.free_slope
        if side is None:
            return True
        if "flat" in self and target.jump == 0:
            return False
        return (target.left_slope, target.right_slope)[side] != 0


def patterns(hidden: int) -> Iterator[Pattern]:
    """Yield all patterns of at most ``hidden`` places, but for the one without any."""
    for left in range(FLAT, hidden + 1):
        for right in range(FLAT, hidden + 1):
            pattern = Pattern(left, right)
            if 1 <= pattern.neurons <= hidden:
                yield pattern


def _kind(pieces: int) -> Kind:
    if pieces == FLAT:
        return "flat"
    if pieces == 0:
        return "none"
    return "odd" if pieces % 2 else "even"


def label(pieces: int) -> str:
    """Name a side: F, or Z and its number of pieces."""
    return "F" if pieces == FLAT else f"Z{pieces}"
