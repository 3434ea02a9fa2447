"""Reduce angles of any size modulo π/2, in integer arithmetic with enough digits of 2/π.

Source: M. H. Payne and R. N. Hanek, Radian reduction for trigonometric functions, SIGNUM Newsletter 18
(1983). An angle is x = m 2^e with an integer m of 53 bits. Leading digits of 2/π contribute multiples
of 4 to m 2^e 2/π and are left out. At least 220 of the next 256 bits lie behind the binary point, which
suffices because no double is closer than 2⁻⁶² to a multiple of π/2.
"""

import math

import numpy as np

from descentflow.simd.jit import jit, jit_inline, jit_owning
from descentflow.simd.vectors import LANES, Lanes, lane_of, with_lane

TWO_OVER_PI_WORDS = np.array(
    [
        0xA2F9836E,
        0x4E441529,
        0xFC2757D1,
        0xF534DDC0,
        0xDB629599,
        0x3C439041,
        0xFE5163AB,
        0xDEBBC561,
        0xB7246E3A,
        0x424DD2E0,
        0x06492EEA,
        0x09D1921C,
        0xFE1DEB1C,
        0xB129A73E,
        0xE88235F5,
        0x2EBB4484,
        0xE99C7026,
        0xB45F7E41,
        0x3991D639,
        0x835339F4,
        0x9C845F8B,
        0xBDF9283B,
        0x1FF897FF,
        0xDE05980F,
        0xEF2F118B,
        0x5A0A6D1F,
        0x6D367ECF,
        0x27CB09B7,
        0x4F463F66,
        0x9E5FEA2D,
        0x7527BAC7,
        0xEBE5F17B,
        0x3D0739F7,
        0x8A5292EA,
        0x6BFB5FB1,
        0x1F8D5D08,
        0x56033046,
        0xFC7B6BAB,
        0xF0CFBC20,
        0x9AF4361D,
    ],
    np.uint64,
)
"""The first 1280 bits of 2/π in words of 32."""
WORDS = 8
"""Number of words of 2/π that enter a product."""
LOW = np.uint64(0xFFFFFFFF)
HALF, WHOLE = np.uint64(32), np.uint64(64)
HALF_PI = 1.5707963267948966


@jit
def reduce_lanes(x: Lanes, limit: float, r: Lanes, shifted_k: Lanes) -> tuple[Lanes, Lanes]:
    """Replace r and k + 1.5·2⁵² in the lanes with |x| > ``limit`` by those of :func:`reduce_angle`."""
    for lane in range(np.uint64(LANES)):
        angle = lane_of(x, lane)
        if limit < abs(angle) < np.inf:
            reduced, k = reduce_angle(angle)
            r = with_lane(r, lane, reduced)
            shifted_k = with_lane(shifted_k, lane, k + 1.5 * 2.0**52)
    return r, shifted_k


@jit_owning
def reduce_angle(x: float) -> tuple[float, float]:
    """Return r = x − kπ/2 with |r| ≤ π/4, relative error 4 u, and k modulo 4, for |x| ≥ 2²⁰."""
    mantissa, exponent = math.frexp(abs(x))
    # With e = exponent − 53, words skipped are multiples of 2^(−32 first), so m 2^e times them
    # is a multiple of 4.
    first = max(0, (exponent - 53 - 2) // 32)
    product = _product(np.uint64(mantissa * 2.0**53), first)
    # The product counts units of 2^(e − 32 (WORDS + first)): bit ``point`` is worth 1.
    point = 32 * (WORDS + first) - (exponent - 53)
    k = int(_word(product, point) & np.uint64(3))
    high, low = _word(product, point - 64), _word(product, point - 128)
    sign = 1.0
    # A fraction of ½ or more becomes fraction − 1: negate 128 bits, with the carry.
    if high >> np.uint64(63) == np.uint64(1):
        k, sign = k + 1, -1.0
        low = ~low + np.uint64(1)
        high = ~high + np.uint64(1 if low == np.uint64(0) else 0)
    r = sign * (float(high) * 2.0**-64 + float(low) * 2.0**-128) * HALF_PI
    return (r, float(k % 4)) if x > 0.0 else (-r, float(-k % 4))


@jit_owning
def _product(m: np.uint64, first: int) -> np.ndarray:
    """Multiply m by the words of 2/π from ``first`` on; return words of 32 bits, the lowest first."""
    # Words above the product stay 0. |x| ≥ 2²⁰ bounds point by 288, so _word reads up to word 11.
    words = np.zeros(WORDS + 4, np.uint64)
    carry, digit_before = np.uint64(0), np.uint64(0)
    for i in range(WORDS + 1):
        digit = TWO_OVER_PI_WORDS[first + WORDS - 1 - i] if i < WORDS else np.uint64(0)
        by_low, by_high = digit * (m & LOW), digit_before * (m >> HALF)
        # Halves of 32 bits are summed, so that no sum exceeds 64 bits.
        total = carry + (by_low & LOW) + (by_high & LOW)
        words[i] = total & LOW
        carry = (total >> HALF) + (by_low >> HALF) + (by_high >> HALF)
        digit_before = digit
    words[WORDS + 1] = carry
    return words


@jit_inline
def _word(words: np.ndarray, lowest_bit: int) -> np.uint64:
    """Return the 64 bits from bit ``lowest_bit`` upwards."""
    at, shift = lowest_bit // 32, np.uint64(lowest_bit % 32)
    value = (words[at] | (words[at + 1] << HALF)) >> shift
    # A shift by all 64 bits is undefined.
    if shift > np.uint64(0):
        value |= words[at + 2] << (WHOLE - shift)
    return np.uint64(value)
