"""Classify the ends of trajectories: refine critical points, detect divergence, search critical risks.

Refinement is Levenberg's method on G(θ) = 0 with the exact Hessian. An eigendecomposition removes the
Hessian's null directions, which exist since neurons can be rescaled and inactive ones do nothing. A
row's result depends on no other row. Its last bits depend on the number of threads of LAPACK: set
``OPENBLAS_NUM_THREADS=1`` before NumPy is imported, as :mod:`descentflow.stages` does.
"""

import math
from collections.abc import Iterator

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from descentflow.errors import InputError
from descentflow.functions.initializations import InitializationLaw
from descentflow.functions.networks import split
from descentflow.functions.targets import EDGE
from descentflow.risk.problem import Problem
from descentflow.schema.arguments import real_array
from descentflow.simd.arrays import Array
from descentflow.training.flow import flow
from descentflow.training.recording import as_dataset, describe

Flags = NDArray[np.bool_]
Counts = NDArray[np.int64]

KINDS = {"critical": 0, "diverging": 1, "undecided": 2}

CRITICAL_TOLERANCE = 1e-11
"""A point is critical if ‖G‖ is at most this times max(1, ‖θ‖)."""
NULL_TOLERANCE = 1e-13
"""Newton's step leaves out Hessian eigenvalues below this times the largest modulus."""
ZERO_TOLERANCE = 1e-8
"""Hessian eigenvalues below this times the largest modulus count as zero in the signature."""
DEGENERATE_TOLERANCE = 1e-8
"""A neuron is degenerate if |v σ(wx+b)| stays below this times the largest of 1 and all neurons'."""
MAX_DISPLACEMENT = 0.1
"""Bound on the displacement by refinement, as a multiple of 1 + ‖θ‖."""
MAX_ITERATIONS = 150
MIN_DAMPING, MAX_DAMPING = 1e-6, 1e12

MIN_GROWTH = 0.02
"""Least log-log slope of ‖Θ‖ over time of a diverging flow."""
MAX_SLOPE_RATIO = 1.5
"""Bound on the ratio of a diverging flow's log-log slopes in two successive half decades."""

_SIGNATURE = {
    "positive": "positive Hessian eigenvalues",
    "zero": f"Hessian eigenvalues below {ZERO_TOLERANCE:g} times the largest modulus",
    "negative": "negative Hessian eigenvalues",
}
_NEURONS = {
    "dead": "neurons inactive on the whole interval",
    "degenerate": f"neurons not dead that add less than {DEGENERATE_TOLERANCE:g} to the network",
    "active": "neurons neither dead nor degenerate",
}


def refine_critical_points(
    problem: Problem,
    theta: ArrayLike,
    *,
    records: xr.Dataset | None = None,
    max_displacement: float = MAX_DISPLACEMENT,
) -> xr.Dataset:
    """Refine the ends of trajectories to G = 0 and classify them.

    A step is accepted only if ‖G‖ falls, θ stays within ``max_displacement``·(1+‖θ₀‖) of its start
    θ₀, and |L(θ) − L(θ₀)| ≤ ‖G(θ₀)‖·|θ − θ₀|. A larger change of the risk would mean that ‖G‖ was
    larger on the way, so that the point belongs to another trajectory's end.

    Parameters
    ----------
    theta : (K, P), the ends; ‖G‖ there should be small.
    records : the dataset that :func:`descentflow.flow` returned for the same K flows; without it no
        row is classified as diverging.
    max_displacement : ``inf`` lifts the bounds on displacement and risk, for searches from anywhere.

    Returns
    -------
    Dataset with dim ``initialization``: ``kind`` (int8, see ``KINDS``) is diverging according to
    :func:`is_diverging`, else critical if ‖G‖ ≤ CRITICAL_TOLERANCE·max(1, ‖θ‖) after refinement, else
    undecided; rows that are not critical keep their θ. Further ``parameters``, ``risk``,
    ``gradient_norm``, ``displacement``, the signature ``positive``, ``zero``, ``negative``, and for the
    engine ``closed_form`` the numbers of neurons ``dead``, ``degenerate`` (such as active on a tiny
    interval only) and ``active``.

    Raises
    ------
    InputError if ``theta`` is no (K, P) array or ``records`` has another number of flows.
    """
    start = problem.layout.parameters("theta", theta).copy()
    if start.ndim != 2:
        raise InputError(f"theta: must have shape (K, P), found {start.shape}")
    diverging = np.zeros(len(start), np.bool_)
    if records is not None:
        if records.sizes["initialization"] != len(start):
            raise InputError(f"records: must be those of the {len(start)} flows of theta")
        names = ("time", "parameter_norm", "gradient_norm")
        diverging = is_diverging(*(records[name].values for name in names))
    end = start.copy()
    end[~diverging] = _levenberg(problem, start[~diverging], max_displacement)
    norm = _length(problem.gradient(end))
    critical = ~diverging & (norm <= CRITICAL_TOLERANCE * np.maximum(1.0, _length(end)))
    end[~critical] = start[~critical]
    kind = np.where(critical, KINDS["critical"], KINDS["undecided"]).astype(np.int8)
    kind[diverging] = KINDS["diverging"]
    return _described(problem, start, end, kind)


def is_diverging(times: ArrayLike, norms: ArrayLike, gradient_norms: ArrayLike) -> Flags:
    """Decide which trajectories run to infinity, from ‖Θ‖ and ‖G‖ (K, R) at ``times`` (R,).

    The test looks at the last decade of the times. ‖Θ‖ must increase from record to record and ‖G‖
    fall; both log-log slopes must agree within a factor MAX_SLOPE_RATIO on its two halves, and that of
    ‖Θ‖ must be at least MIN_GROWTH. A convergent flow fails: if ‖G‖ ∼ t^{−2}, its slopes of ‖Θ‖ fall
    by √10. A flow that leaves a saddle fails as its slopes grow; so do flows that repeat their last
    state and flows with nan.
    """
    t, size, grad = _records(times, norms=norms, gradient_norms=gradient_norms)
    last, middle = _last_decade(t), math.sqrt(0.1) * t[-1]
    halves = (last & (t <= middle * (1.0 + 1e-9)), last & (t >= middle * (1.0 - 1e-9)))
    if min(half.sum() for half in halves) < 2:
        return np.zeros(len(size), np.bool_)
    growth = [_loglog_slope(t[half], size[:, half]) for half in halves]
    decay = [-_loglog_slope(t[half], grad[:, half]) for half in halves]
    # Comparisons with nan are false, so a nan in the last decade means not diverging.
    outward: Flags = (np.minimum(*growth) >= MIN_GROWTH) & (np.minimum(*decay) > 0.0)
    outward &= np.all(np.diff(size[:, last], axis=1) > 0.0, axis=1)
    for first, second in (growth, decay):
        outward &= (second <= MAX_SLOPE_RATIO * first) & (first <= MAX_SLOPE_RATIO * second)
    return outward


def exponents(times: ArrayLike, norms: ArrayLike, risks: ArrayLike) -> tuple[Array, Array]:
    """Return the log-log slopes of ‖Θ‖ and L (K, R) over the last decade of ``times`` (R,), each (K,).

    They are exponents of growth and decay if :func:`is_diverging`; nan if a record is not positive.
    """
    t, size, risk = _records(times, norms=norms, risks=risks)
    last = _last_decade(t)
    return _loglog_slope(t[last], size[:, last]), _loglog_slope(t[last], risk[:, last])


def least_critical_risk(
    problem: Problem,
    *,
    starts: int = 1000,
    seed: int = 0,
    until: float = 1e3,
    norm_bound: float = 100.0,
    tolerance: float = 1e-9,
) -> xr.Dataset:
    """Search for critical points of any index; the least critical risk found comes first.

    There are three searches of ``starts`` starts each: gradient flow from standard normal θ₀ to time
    ``until``, then refinement; refinement without bounds from the same θ₀; and from zig-zags. A search
    proves neither that its list is complete nor that no critical risk is less.

    Parameters
    ----------
    norm_bound : bound on ‖θ‖ of a critical point, neurons rescaled so that |(w,b)| = |v|. Without a
        global minimum, G also tends to 0 at infinity.
    tolerance : neighbouring risks closer than this count as one.

    Returns
    -------
    The variables of :func:`refine_critical_points` with dim ``level``: distinct critical risks,
    ascending, each with the θ of least ‖G‖ found there (others may have another signature); and
    ``found``, the number of searches that ended at this risk.
    """
    normal = InitializationLaw("normal").draw(problem.layout, seed, 0, starts)
    ran = flow(problem, normal, until=until, rtol=1e-6, max_steps=2000)
    searches = [refine_critical_points(problem, _balanced(ran["parameters"].values))]
    zigzags = _zigzags(problem, starts, seed)
    searches += [
        refine_critical_points(problem, _balanced(start), max_displacement=math.inf)
        for start in (normal, zigzags)
    ]
    points = xr.concat(searches, "initialization")
    size = _length(_balanced(points["parameters"].values))
    points = points.isel(
        initialization=(points["kind"] == KINDS["critical"]) & (size <= norm_bound)
    )
    points = points.sortby("risk")
    norms, gaps = points["gradient_norm"].values, np.diff(points["risk"].values) > tolerance
    groups = np.split(np.arange(norms.size), np.flatnonzero(gaps) + 1) if norms.size else []
    best = np.array([group[np.argmin(norms[group])] for group in groups], np.int64)
    levels = points.isel(initialization=best).rename(initialization="level")
    sizes = np.array([group.size for group in groups], np.int64)
    return levels.assign(
        found=("level", sizes, {"long_name": "number of searches that ended here"})
    )


def _levenberg(problem: Problem, start: Array, max_displacement: float) -> Array:
    """Solve G = 0 by Levenberg's method from each row; see :func:`refine_critical_points`.

    Rows that still move take their steps together. A row is done at ‖G‖ ≤ 1e-16·max(1, ‖θ‖), and given
    up when its damping exceeds MAX_DAMPING.
    """
    theta = start.copy()
    grad = problem.gradient(theta)
    norm = _length(grad)
    risk0, norm0 = problem.risk(theta), norm.copy()
    radius = max_displacement * (1.0 + _length(theta))
    damping = np.ones(len(theta))
    values, vectors = np.linalg.eigh(problem.hessian(theta))
    for _ in range(MAX_ITERATIONS):
        goal = 1e-16 * np.maximum(1.0, _length(theta))
        rows = np.flatnonzero((norm > goal) & (damping <= MAX_DAMPING))
        if not rows.size:
            break
        # Damping of order ‖G‖² lets the steps tend to Newton's as ‖G‖ falls.
        step = _step(values[rows], vectors[rows], grad[rows], damping[rows] * norm[rows] ** 2)
        point = theta[rows] + step
        distance = _length(point - start[rows])
        new = problem.gradient(point)
        # A gradient with nan fails the comparison, so its step is refused.
        accept = (_length(new) < norm[rows]) & (distance <= radius[rows])
        if math.isfinite(max_displacement):
            change = np.abs(problem.risk(point) - risk0[rows])
            # The last term allows for the rounding of L.
            accept &= change <= norm0[rows] * distance + 1e-15 * (1.0 + risk0[rows])
        moved = rows[accept]
        theta[moved], grad[moved], norm[moved] = point[accept], new[accept], _length(new[accept])
        values[moved], vectors[moved] = np.linalg.eigh(problem.hessian(theta[moved]))
        damping[moved] = np.maximum(MIN_DAMPING, damping[moved] / 8.0)
        damping[rows[~accept]] *= 8.0
    return theta


def _step(values: Array, vectors: Array, grad: Array, damping: Array) -> Array:
    """Return −(A² + damping)⁺ A G for A = Σ value·vector vectorᵀ, without null directions of A."""
    smallest = NULL_TOLERANCE * np.abs(values).max(axis=1, keepdims=True)
    parts = (vectors.transpose(0, 2, 1) @ grad[:, :, None])[:, :, 0]
    factor = np.where(np.abs(values) > smallest, values, 0.0)
    # The bound 1e-300 gives null directions 0, not 0/0, whatever the damping.
    parts *= -factor / (factor * factor + np.maximum(damping[:, None], 1e-300))
    return np.asarray((vectors @ parts[:, :, None])[:, :, 0])


def _described(problem: Problem, start: Array, end: Array, kind: NDArray[np.int8]) -> xr.Dataset:
    """Make the dataset that :func:`refine_critical_points` describes."""
    each = ("initialization",)
    values: dict[str, NDArray[np.generic]] = {
        "risk": problem.risk(end),
        "gradient_norm": _length(problem.gradient(end)),
        "displacement": _length(end - start),
        "kind": kind,
        **dict(zip(_SIGNATURE, _signatures(problem, end), strict=True)),
    }
    if problem.engine == "closed_form":
        values |= dict(zip(_NEURONS, _neurons(problem, end), strict=True))
    dataset = as_dataset({name: (each, value) for name, value in values.items()})
    dataset["parameters"] = ("initialization", "parameter"), end, describe("parameters")
    for name, long_name in (_SIGNATURE | _NEURONS).items():
        if name in dataset:
            dataset[name].attrs = {"long_name": f"number of {long_name}", "units": "1"}
    dataset["displacement"].attrs = {"long_name": "distance the finisher went", "units": "1"}
    flags = np.array(list(KINDS.values()), dtype=np.int8)
    dataset["kind"].attrs = {"flag_values": flags, "flag_meanings": " ".join(KINDS)}
    return dataset


def _signatures(problem: Problem, theta: Array) -> tuple[Counts, ...]:
    """Return the numbers (K,) of positive, zero and negative eigenvalues of the Hessian."""
    values = np.linalg.eigvalsh(problem.hessian(theta))
    smallest = ZERO_TOLERANCE * np.abs(values).max(axis=1, keepdims=True)
    above, below = (values > smallest).sum(axis=1), (values < -smallest).sum(axis=1)
    return above, values.shape[1] - above - below, below


def _neurons(problem: Problem, theta: Array) -> tuple[Counts, ...]:
    """Return the numbers (K,) of dead, degenerate and active neurons."""
    w, b, v, _ = split(theta, problem.network.width)
    low, high = problem.interval
    # wx + b is largest at an end of the interval.
    largest = np.maximum(w * low + b, w * high + b)
    dead = largest <= 0.0
    size = np.where(dead, 0.0, np.abs(v) * largest)
    bound = DEGENERATE_TOLERANCE * np.maximum(1.0, size.max(axis=1, keepdims=True))
    degenerate = ~dead & (size <= bound)
    return dead.sum(axis=1), degenerate.sum(axis=1), (~dead & ~degenerate).sum(axis=1)


def _zigzags(problem: Problem, count: int, seed: int) -> Array:
    """Draw networks (K, P) with random kinks and the v and c that minimise the risk for these.

    Half of them have dead neurons; in three quarters the signs of w alternate. Each piece of the
    target is divided into as many equal cells as it has kinks. Each cell has one kink, at about the
    same relative position.
    """
    random = np.random.Generator(np.random.Philox(key=[seed, 1]))
    hidden, edges = problem.network.width, problem.target_table[EDGE]
    chance, shape = random.random((3, count, 1)), (count, hidden)
    dead = (chance[0] < 0.5) & (random.random(shape) < 0.4)
    sign = np.where((np.cumsum(~dead, axis=1) % 2 == 0) ^ (chance[1] < 0.5), 1.0, -1.0)
    sign = np.where(chance[2] < 0.25, random.choice([-1.0, 1.0], shape), sign)
    cuts = random.integers(hidden + 1, size=(count, len(edges) - 2, 1))
    piece = (np.arange(hidden) >= cuts).sum(axis=1)
    cells = (piece[:, :, None] == piece[:, None, :]).sum(axis=2)
    cell = np.arange(hidden) - (piece[:, :, None] > piece[:, None, :]).sum(axis=2)
    inside = np.take_along_axis(random.random((count, len(edges) - 1)), piece, axis=1)
    inside = np.clip(inside + 0.1 * random.standard_normal(shape), 0.01, 0.99)
    kinks = edges[piece] + np.diff(edges)[piece] * (cell + inside) / cells
    theta = np.zeros((count, problem.parameter_count))
    w, b, _, _ = split(theta, hidden)
    w[:], b[:] = np.where(dead, 0.0, sign), np.where(dead, -1.0, -sign * kinks)
    # L is quadratic in (v, c), so one Newton step from 0 reaches a minimiser. The pseudoinverse is
    # needed for the zero rows of dead neurons.
    linear = slice(2 * hidden, None)
    fit = np.linalg.pinv(problem.hessian(theta)[:, linear, linear], rcond=1e-12, hermitian=True)
    theta[:, linear] = -(fit @ problem.gradient(theta)[:, linear, None])[:, :, 0]
    return theta


def _balanced(theta: Array) -> Array:
    """Rescale neurons to |(w, b)| = |v| where v ≠ 0 and (w, b) ≠ 0; the networks stay the same."""
    result = theta.copy()
    w, b, v, _ = split(result, theta.shape[-1] // 3)
    inner, outer = np.hypot(w, b), np.abs(v)
    usual = (inner > 0.0) & (outer > 0.0)
    factor = np.sqrt(np.where(usual, outer, 1.0) / np.where(usual, inner, 1.0))
    w[:], b[:], v[:] = w * factor, b * factor, v / factor
    return result


def _length(rows: Array) -> Array:
    """Return the Euclidean norms of vectors (.., P), shape (..)."""
    return np.asarray(np.sqrt((rows * rows).sum(axis=-1)))


def _records(times: ArrayLike, **columns: ArrayLike) -> Iterator[Array]:
    """Yield times (R,) and columns (K, R), which may hold nan; raise InputError for other shapes."""
    t = real_array("times", times)
    if t.ndim != 1 or not t.size:
        raise InputError(f"times: the shape must be (R,) with R > 0, found {t.shape}")
    yield t
    count = np.shape(next(iter(columns.values())))[:1]
    for name, column in columns.items():
        values = real_array(name, column, finite=False)
        if values.shape != (*count, t.size):
            shape = (*(count or ("K",)), t.size)
            raise InputError(f"{name}: the shape must be {shape}, found {values.shape}")
        yield values


def _last_decade(times: Array) -> Flags:
    """Return which times (R,) are positive and at least a tenth of the last, up to rounding."""
    return np.asarray((times > 0.0) & (times >= 0.1 * times[-1] * (1.0 - 1e-9)))


def _loglog_slope(times: Array, values: Array) -> Array:
    """Return least-squares slopes of log values (K, R) over log times (R,); nan if a value is ≤ 0."""
    x = np.log(times) - np.log(times).mean()
    positive = np.where(values > 0.0, values, np.nan)
    return np.asarray((np.log(positive) * x).sum(axis=1) / (x * x).sum())
