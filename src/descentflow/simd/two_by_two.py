"""2 × 2 matrices in kernels: tuples of their entries, row by row, which stay in registers."""

from descentflow.simd.jit import jit_inline

Matrix = tuple[float, float, float, float]
Pair = tuple[float, float]

ZERO, IDENTITY = (0.0, 0.0, 0.0, 0.0), (1.0, 0.0, 0.0, 1.0)


@jit_inline
def transposed(a: Matrix) -> Matrix:
    """Return aᵀ."""
    return a[0], a[2], a[1], a[3]


@jit_inline
def symmetric(a: Matrix) -> Matrix:
    """Return the mean of a matrix and its transpose, which differ by rounding."""
    mean = 0.5 * (a[1] + a[2])
    return a[0], mean, mean, a[3]


@jit_inline
def plus(a: Matrix, b: Matrix) -> Matrix:
    """Return a + b."""
    return a[0] + b[0], a[1] + b[1], a[2] + b[2], a[3] + b[3]


@jit_inline
def minus(a: Matrix, b: Matrix) -> Matrix:
    """Return a − b."""
    return a[0] - b[0], a[1] - b[1], a[2] - b[2], a[3] - b[3]


@jit_inline
def scaled(a: Matrix, by: float) -> Matrix:
    """Return a matrix times a number."""
    return by * a[0], by * a[1], by * a[2], by * a[3]


@jit_inline
def times(a: Matrix, b: Matrix) -> Matrix:
    """Return a b."""
    return (
        a[0] * b[0] + a[1] * b[2],
        a[0] * b[1] + a[1] * b[3],
        a[2] * b[0] + a[3] * b[2],
        a[2] * b[1] + a[3] * b[3],
    )


@jit_inline
def congruent(a: Matrix, b: Matrix, c: Matrix) -> Matrix:
    """Return aᵀ b c."""
    return times(transposed(a), times(b, c))


@jit_inline
def applied(a: Matrix, x: Pair) -> Pair:
    """Return a x."""
    return a[0] * x[0] + a[1] * x[1], a[2] * x[0] + a[3] * x[1]


@jit_inline
def added(x: Pair, y: Pair) -> Pair:
    """Return x + y."""
    return x[0] + y[0], x[1] + y[1]
