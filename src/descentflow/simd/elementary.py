"""Evaluate elementary functions on vectors of eight doubles by + − × ÷, comparisons and bits alone.

The functions call no C library and use no fused multiply-adds, so every processor gives the same
bits. Errors are relative, in units of u = 2⁻⁵³, half a unit in the last place of 1; nan gives nan.

| function | for | error |
|---|---|---|
| :func:`exp_expm1`: e^x | x ≤ 0 | 2.5 u |
| :func:`exp_expm1`: e^x − 1 | x ≤ 0 | 3.5 u |
| :func:`log1p`: ln(1 + x) | 0 ≤ x ≤ 1 | 4 u |
| :func:`erfcx`: e^(x²) erfc x | 0 ≤ x ≤ 28 | 23 u |
| :func:`erf`: erf x | −1 ≤ x ≤ 1 | 9 u |
| :func:`arctan` | all x | 5.5 u |
| :func:`sine_cosine` | abs x ≤ 2²⁰ | 3 u |
| :func:`sine_cosine` | all finite x | 6 u |

Results below 2⁻¹⁰²² have an additional error of one smallest subnormal number.
``tests/unit/simd/test_elementary.py`` derives each bound by adding up the errors of all operations.

Every polynomial interpolates at Chebyshev nodes; its coefficients were computed with 60 digits and
rounded. The string below each table names the interpolated function and the interval.
Interpolation contributes less than 0.3 u.
"""

from descentflow.simd.jit import Index, jit_inline
from descentflow.simd.payne_hanek import reduce_lanes
from descentflow.simd.vectors import (
    Lanes,
    bit,
    flags,
    magnitude,
    polynomial,
    power_of_two,
    select,
    signed_as,
    splat,
)

ROUNDER = 1.5 * 2.0**52
"""Adding it to a number below 2⁵¹ rounds that number to an integer, held in the last bits."""
DEEP_EXPONENT, DEEP = -700.0, 64
"""For smaller x, e^x 2^DEEP is computed and then scaled: 2^k itself has no bits for k < −1022."""
MIN_EXPONENT = -746.0
"""For smaller x, e^x is less than half the smallest subnormal number, 2^−1075."""
ONE_OVER_LN_2 = 1.4426950408889634
LN_2 = (0.6931471805598903, 5.497923018708371e-14)
"""ln 2 as a sum: its first 42 bits, so that multiples up to 2¹¹ are exact, and the remainder."""
HALF_PI_PARTS = (
    1.5707963267341256,
    6.077100506303966e-11,
    2.0222662487111665e-21,
    8.4784276603689e-32,
)
"""π/2 as a sum: three parts of 33 bits, so that multiples up to 2²⁰ are exact, and the remainder."""
TWO_OVER_PI = 0.6366197723675814
HALF_PI = (1.5707963267948966, 6.123233995736766e-17)
QUARTER_PI = (0.7853981633974483, 3.061616997868383e-17)
"""π/2 and π/4: each rounded, with its rounding error."""
TAN_EIGHTH, TAN_THREE_EIGHTHS = 0.41421356237309503, 2.414213562373095
"""tan π/8 and tan 3π/8, where the reduction of the arc tangent changes."""
MAX_ERFCX = 28.0
"""For larger x, erfc x is less than the smallest subnormal number."""
MAX_ANGLE = 2.0**20
"""For |x| up to here the multiples of :data:`HALF_PI_PARTS` are exact."""

EXPONENTIAL_TERMS = (
    0.5,
    0.1666666666666667,
    0.04166666666666667,
    0.008333333333326084,
    0.0013888888888883711,
    0.0001984126987500228,
    2.480158732567746e-05,
    2.755725517000089e-06,
    2.755727347871858e-07,
    2.5105312729622103e-08,
    2.09147553258932e-09,
)
"""(e^r − 1 − r)/r² at 11 nodes on ±1.001 ln(2)/2."""
LOGARITHM_TERMS = (
    0.3333333333333333,
    0.20000000000007292,
    0.1428571428355438,
    0.11111111358713932,
    0.09090894718066429,
    0.07692785032479312,
    0.06657072104827468,
    0.06000536404795356,
    0.04400369243072337,
    0.08082022805971766,
)
"""(artanh(√y)/√y − 1)/y at 10 nodes on [0, 1/9]."""
ERF_TERMS = (
    1.1283791670955126,
    -0.3761263890318375,
    0.11283791670954879,
    -0.026866170645076792,
    0.0052239776248180145,
    -0.000854832698083379,
    0.0001205533111164271,
    -1.4925595266831182e-05,
    1.6461000484121368e-06,
    -1.6350312701054695e-07,
    1.4659775274047436e-08,
    -1.1372848856791674e-09,
    5.957176147748911e-11,
)
"""erf(√y)/√y at 13 nodes on [0, 1]."""
ERFCX_TERMS = (
    1.200457942046949,
    0.9862040036460702,
    0.6773320899694404,
    0.3846846365949377,
    0.17609785772635922,
    0.06143471892283792,
    0.014036181067439158,
    0.00074373178391716,
    -0.0007892706334106168,
    -0.0002445034826815331,
    1.885085686810602e-05,
    2.4956951075008028e-05,
    1.2183994066121772e-06,
    -2.4046860441602906e-06,
    -2.6749945186314764e-07,
    2.56587418272691e-07,
    3.155544362340448e-08,
    -3.0528161437340325e-08,
    -2.6797019211430425e-09,
    3.5515494344903003e-09,
    1.2703326378369147e-10,
    -2.7729339856040875e-10,
)
"""e^(x²) erfc(x)/D at 22 nodes on [−1, 1], with x = 1/D − 3.5 and D = (t + 1.25)/7.875."""
ARCTAN_TERMS = (
    -0.3333333333333333,
    0.1999999999999548,
    -0.14285714284657894,
    0.11111111014561013,
    -0.09090904549884611,
    0.07692182535116648,
    -0.06664502215671447,
    0.058580687568615106,
    -0.05085030492810941,
    0.03921955253255129,
    -0.019162068915902573,
)
"""(arctan(√y)/√y − 1)/y at 11 nodes on [0, 1.001 tan² π/8]."""
SINE_TERMS = (
    -0.16666666666666666,
    0.008333333333333331,
    -0.0001984126984126504,
    2.755731921932058e-06,
    -2.50521062259944e-08,
    1.6058530596645953e-10,
    -7.586636882825159e-13,
)
"""(sin(√y)/√y − 1)/y at 7 nodes on [0, 1.001 (π/4)²]."""
COSINE_TERMS = (
    0.041666666666666664,
    -0.0013888888888888887,
    2.4801587301584632e-05,
    -2.755731922139249e-07,
    2.0876755787492604e-09,
    -1.1470460319209511e-11,
    4.745838412531023e-14,
)
"""(cos(√y) − 1 + y/2)/y² at 7 nodes on [0, 1.001 (π/4)²]."""


@jit_inline
def exp_expm1(x: Lanes) -> tuple[Lanes, Lanes]:
    """Return e^x and e^x − 1 for x ≤ 0.

    With x = k ln 2 + r they are s + sp and (s − 1) + sp, where s = 2^k and p = e^r − 1 = r + r²q(r).
    For k = 0 the reduced argument r is x itself, otherwise its error is 0.25 u.
    """
    # nan fails the comparison and stays nan.
    clamped = select(x < MIN_EXPONENT, splat(MIN_EXPONENT), x)
    shifted = clamped * ONE_OVER_LN_2 + ROUNDER
    k = shifted - ROUNDER
    # The first product and difference are exact: only the small second term rounds.
    r = (clamped - k * LN_2[0]) - k * LN_2[1]
    p = r + (r * r) * polynomial(r, EXPONENTIAL_TERMS)
    deep = clamped < DEEP_EXPONENT
    scale = power_of_two(shifted + select(deep, splat(float(DEEP)), splat(0.0)))
    product = scale * p
    power = (scale + product) * select(deep, splat(0.5**DEEP), splat(1.0))
    # For k = 0, scale − 1 is 0, and e^x − 1 keeps all digits of p.
    return power, (scale - 1.0) + product


@jit_inline
def log1p(x: Lanes) -> Lanes:
    """Return ln(1 + x) for 0 ≤ x ≤ 1, as 2 artanh s with s = x/(2 + x) ≤ 1/3."""
    s = x / (2.0 + x)
    square = s * s
    twice = s + s
    # The leading term is added last, so errors of the series count little.
    return twice + twice * (square * polynomial(square, LOGARITHM_TERMS))


@jit_inline
def erfcx(x: Lanes) -> Lanes:
    """Return e^(x²) erfc(x) for x ≥ 0; beyond 28 its value at 28, since erfc is 0 in doubles there.

    The result is D times a polynomial in t = 1 − 2.25 xD, with D = 1/(x + 3.5); t covers [−1, 1].
    """
    clamped = select(x > MAX_ERFCX, splat(MAX_ERFCX), x)
    inverse = 1.0 / (clamped + 3.5)
    return inverse * polynomial(1.0 - 2.25 * (clamped * inverse), ERFCX_TERMS)


@jit_inline
def erf(x: Lanes) -> Lanes:
    """Return the error function for |x| ≤ 1, as x times a polynomial in x²."""
    return x * polynomial(x * x, ERF_TERMS)


@jit_inline
def arctan(x: Lanes) -> Lanes:
    """Return the arc tangent, as a multiple of π/4 plus arctan q with |q| ≤ tan π/8."""
    size = magnitude(x)
    steep, middle = size > TAN_THREE_EIGHTHS, size > TAN_EIGHTH
    numerator = select(steep, splat(-1.0), select(middle, size - 1.0, size))
    denominator = select(steep, size, select(middle, size + 1.0, splat(1.0)))
    q = numerator / denominator
    square = q * q
    correction = q * (square * polynomial(square, ARCTAN_TERMS))
    zero = splat(0.0)
    angle = select(steep, splat(HALF_PI[0]), select(middle, splat(QUARTER_PI[0]), zero))
    angle_tail = select(steep, splat(HALF_PI[1]), select(middle, splat(QUARTER_PI[1]), zero))
    return signed_as(angle + (q + (correction + angle_tail)), x)


@jit_inline
def sine_cosine(x: Lanes) -> tuple[Lanes, Lanes]:
    """Return sine and cosine; nan where x is infinite.

    The argument becomes r = x − kπ/2. All products but that with the last part of π/2 are exact, and
    the rounding errors of the differences are added at the end, so the relative error of r is 1 u
    although r may be as small as 2⁻⁶⁰. Lanes with |x| > 2²⁰ take the slow reduction of
    :mod:`descentflow.simd.payne_hanek`.
    """
    shifted = x * TWO_OVER_PI + ROUNDER
    k = shifted - ROUNDER
    first = x - k * HALF_PI_PARTS[0]
    second, second_error = _two_difference(first, k * HALF_PI_PARTS[1])
    third, third_error = _two_difference(second, k * HALF_PI_PARTS[2])
    r = third + ((second_error + third_error) - k * HALF_PI_PARTS[3])
    if flags(magnitude(x) > MAX_ANGLE) != Index(0):
        r, shifted = reduce_lanes(x, MAX_ANGLE, r, shifted)
    square = r * r
    sine = r + r * (square * polynomial(square, SINE_TERMS))
    half = 0.5 * square
    rounded = 1.0 - half
    # Exact, since 1 ≥ r²/2: what 1 − r²/2 lost.
    rounding = (1.0 - rounded) - half
    cosine = rounded + (rounding + square * square * polynomial(square, COSINE_TERMS))
    # The last two bits of k + 1.5·2⁵² are k mod 4, for negative k as well.
    odd = bit(shifted, Index(0))
    sine, cosine = select(odd, cosine, sine), select(odd, sine, cosine)
    half_turn = bit(shifted, Index(1))
    return select(half_turn, -sine, sine), select(half_turn ^ odd, -cosine, cosine)


@jit_inline
def _two_difference(a: Lanes, b: Lanes) -> tuple[Lanes, Lanes]:
    """Return a − b exactly, as rounded difference and error (Knuth)."""
    value = a - b
    shadow = value - a
    return value, (a - (value - shadow)) - (b + shadow)
