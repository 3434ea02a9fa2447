"""Double-double arithmetic: unevaluated sums of two doubles, about 106 bits, from + and × alone.

A pair ``(high, low)`` represents ``high + low`` with ``|low| <= ulp(high)/2``. The functions use
additions, subtractions and multiplications of doubles and no fused multiply-add, so every processor
gives the same bits. Products split their factors (Veltkamp), which overflows for factors beyond
2**996: the result is then nan, and the callers report an infinite risk.

Sources: T. J. Dekker, A floating-point technique for extending the available precision (1971);
D. E. Knuth, The Art of Computer Programming, vol. 2, section 4.2.2.
"""

from descentflow.simd.jit import jit_inline

SPLITTER = 134217729.0  # 2**27 + 1


@jit_inline
def two_sum(a: float, b: float) -> tuple[float, float]:
    """Return ``a + b`` exactly, as rounded sum and error (Knuth)."""
    total = a + b
    shift = total - a
    return total, (a - (total - shift)) + (b - shift)


@jit_inline
def fast_two_sum(a: float, b: float) -> tuple[float, float]:
    """Do what :func:`two_sum` does, for a that is 0 or a multiple of the last place of b."""
    total = a + b
    return total, b - (total - a)


@jit_inline
def two_product(a: float, b: float) -> tuple[float, float]:
    """Return ``a * b`` exactly, barring under- and overflow, as rounded product and error (Dekker)."""
    product = a * b
    # Halves of at most 26 bits and a sign: their products are exact.
    a_high = SPLITTER * a
    a_high = a_high - (a_high - a)
    b_high = SPLITTER * b
    b_high = b_high - (b_high - b)
    a_low, b_low = a - a_high, b - b_high
    # Subtracted from the largest on, so that every difference is exact.
    return product, a_low * b_low - (
        ((product - a_high * b_high) - a_low * b_high) - a_high * b_low
    )


@jit_inline
def add(high: float, low: float, other_high: float, other_low: float) -> tuple[float, float]:
    """Add two pairs, with an error below 2**-104 times the larger summand.

    Algorithm 6 of M. Joldes, J.-M. Muller and V. Popescu, Tight and rigorous error bounds for basic
    building blocks of double-word arithmetic (2017).
    """
    s, e = two_sum(high, other_high)
    t, f = two_sum(low, other_low)
    # Each of the two normalises the pair, so |low| ≤ ulp(high)/2 holds again.
    s, e = fast_two_sum(s, e + t)
    return fast_two_sum(s, e + f)


@jit_inline
def add_product(high: float, low: float, a: float, b: float) -> tuple[float, float]:
    """Add the product ``a * b`` to a pair."""
    product, error = two_product(a, b)
    return add(high, low, product, error)


@jit_inline
def scale(high: float, low: float, factor: float) -> tuple[float, float]:
    """Multiply a pair by a double."""
    product, error = two_product(high, factor)
    return two_sum(product, error + low * factor)
