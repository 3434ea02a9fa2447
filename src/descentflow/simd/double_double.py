"""Double-double arithmetic: unevaluated sums of two doubles, about 106 bits, from + and × alone.

A pair ``(high, low)`` stands for ``high + low`` with ``|low| <= ulp(high)/2``. Only additions,
subtractions and multiplications of doubles are used, never a fused multiply-add, so the bits are the
same on every processor. Products split their factors (Veltkamp), which overflows for factors beyond
2**996: such values come out as nan and the callers report an infinite risk.

Sources: T. J. Dekker, A floating-point technique for extending the available precision (1971);
D. E. Knuth, The Art of Computer Programming, vol. 2, section 4.2.2.
"""

from descentflow.simd.jit import jit_inline

SPLITTER = 134217729.0  # 2**27 + 1


@jit_inline
def two_sum(a: float, b: float) -> tuple[float, float]:
    """``a + b`` exactly, as rounded sum and error."""
    total = a + b
    shift = total - a
    return total, (a - (total - shift)) + (b - shift)


@jit_inline
def fast_two_sum(a: float, b: float) -> tuple[float, float]:
    """:func:`two_sum` where a is 0, or a multiple of the last place of b: so in :func:`add`."""
    total = a + b
    return total, b - (total - a)


@jit_inline
def two_product(a: float, b: float) -> tuple[float, float]:
    """``a * b`` exactly (short of under- and overflow), as rounded product and error."""
    product = a * b
    a_high = SPLITTER * a
    a_high = a_high - (a_high - a)
    b_high = SPLITTER * b
    b_high = b_high - (b_high - b)
    a_low, b_low = a - a_high, b - b_high
    return product, a_low * b_low - (
        ((product - a_high * b_high) - a_low * b_high) - a_high * b_low
    )


@jit_inline
def add(high: float, low: float, other_high: float, other_low: float) -> tuple[float, float]:
    """Sum of two pairs, relative error below 2**-104 of the larger summand.

    Algorithm 6 of M. Joldes, J.-M. Muller and V. Popescu, Tight and rigorous error bounds for basic
    building blocks of double-word arithmetic (2017).
    """
    s, e = two_sum(high, other_high)
    t, f = two_sum(low, other_low)
    s, e = fast_two_sum(s, e + t)
    return fast_two_sum(s, e + f)


@jit_inline
def add_product(high: float, low: float, a: float, b: float) -> tuple[float, float]:
    """The pair plus the product ``a * b``."""
    product, error = two_product(a, b)
    return add(high, low, product, error)


@jit_inline
def scale(high: float, low: float, factor: float) -> tuple[float, float]:
    """The pair times a double."""
    product, error = two_product(high, factor)
    return two_sum(product, error + low * factor)
