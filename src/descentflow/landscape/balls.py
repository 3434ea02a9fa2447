"""Ball arithmetic by python-flint: conversions, and directed rounding to decimals."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from typing import TypeAlias

from flint import arb, arb_mat, ctx, fmpq

Ball: TypeAlias = arb
"""A real number: a centre and a radius."""
Matrix: TypeAlias = arb_mat
"""A matrix of them."""

PRECISION = 256
"""Bits of the centres of balls."""
DIGITS = 30
"""Significant digits of bounds written as decimals."""


@contextmanager
def precision(bits: int = PRECISION) -> Iterator[None]:
    """Set the precision of balls for a while."""
    before = ctx.prec
    ctx.prec = bits
    try:
        yield
    finally:
        ctx.prec = before


def ball(value: Fraction | int) -> arb:
    """Enclose a rational number."""
    return _ball(value, ctx.prec)


def ends(x: arb) -> tuple[Fraction, Fraction]:
    """Return the exact ends of a finite ball."""
    middle, radius = _exact(x.mid()), _exact(x.rad())
    return middle - radius, middle + radius


def doubles(x: arb) -> tuple[float, float]:
    """Return doubles below and above a ball."""
    # Neither conversion errs by more than one unit in the last place.
    near, radius = float(x.mid()), 1.001 * float(x.rad())
    low, high = (math.nextafter(near, sign * math.inf) + sign * radius for sign in (-1, 1))
    return math.nextafter(low, -math.inf), math.nextafter(high, math.inf)


def decimal(value: Fraction, *, up: bool, digits: int = DIGITS) -> str:
    """Write a number with that many significant digits, rounded up or down."""
    if value == 0:
        return "0"
    size = abs(value)
    exponent = len(str(size.numerator)) - len(str(size.denominator))
    exponent -= size < Fraction(10) ** exponent
    scaled = value * Fraction(10) ** (digits - 1 - exponent)
    whole = math.ceil(scaled) if up else math.floor(scaled)
    # Decimals with more digits than their context has are exact if made from parts.
    figures = tuple(map(int, str(abs(whole))))
    return format(Decimal((whole < 0, figures, exponent + 1 - digits)), "f")


@lru_cache(maxsize=1024)
def _ball(value: Fraction | int, _precision: int) -> arb:
    return arb(fmpq(value.numerator, value.denominator))


def _exact(x: arb) -> Fraction:
    mantissa, exponent = x.man_exp()
    return Fraction(int(mantissa)) * Fraction(2) ** int(exponent)
