"""Where trajectories end: critical points finished to G = 0, runs to infinity, critical risks.

The finisher is Levenberg's method on G(θ) = 0 with the exact Hessian, whose null directions (neurons
can be rescaled; inactive ones do nothing) an eigendecomposition sets aside. A row's result depends on
no other row. Its last bits depend on the number of threads of LAPACK: set ``OPENBLAS_NUM_THREADS=1``
before NumPy is imported, as :mod:`descentflow.stages` does.
"""

import math

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from descentflow.errors import InputError
from descentflow.functions.initializations import InitializationLaw
from descentflow.functions.networks import split
from descentflow.functions.targets import EDGE
from descentflow.risk.problem import Problem
from descentflow.simd.arrays import Array
from descentflow.training.flow import flow
from descentflow.training.recording import as_dataset, describe

Flags = NDArray[np.bool_]
Counts = NDArray[np.int64]

KINDS = {"critical": 0, "diverging": 1, "undecided": 2}

CRITICAL = 1e-11
"""A point with ‖G‖ at or below this times max(1, ‖θ‖) counts as critical."""
NULL = 1e-13
"""Hessian eigenvalues below this times the largest modulus are left out of Newton's step."""
ZERO = 1e-8
"""Hessian eigenvalues below this times the largest modulus count as zero in the signature."""
DEGENERATE = 1e-8
"""A neuron is degenerate if v·σ(wx+b) stays below this times the largest of 1 and all neurons'."""
REACH = 0.1
"""How far the finisher may go, as a multiple of 1 + ‖θ‖."""
ITERATIONS = 150
MIN_DAMPING, MAX_DAMPING = 1e-6, 1e12

MIN_GROWTH, STRAIGHT = 0.02, 1.5
"""Diverging: least log-log slope of ‖Θ‖; how much slopes may change from half decade to half."""

_SIGNATURE = {
    "positive": "positive Hessian eigenvalues",
    "zero": f"Hessian eigenvalues below {ZERO:g} times the largest modulus",
    "negative": "negative Hessian eigenvalues",
}
_NEURONS = {
    "dead": "neurons inactive on the whole interval",
    "degenerate": f"neurons not dead that add less than {DEGENERATE:g} to the network",
    "active": "neurons neither dead nor degenerate",
}


def finish(
    problem: Problem, theta: ArrayLike, *, records: xr.Dataset | None = None, reach: float = REACH
) -> xr.Dataset:
    """Drive the ends of trajectories to G = 0 and say what they are.

    A step is taken only if ‖G‖ falls, θ stays within ``reach``·(1+‖θ₀‖) of its start θ₀, and
    |L(θ) − L(θ₀)| ≤ ‖G(θ₀)‖·|θ − θ₀|: a larger change of the risk means that ‖G‖ was larger on the
    way, so that the point would belong to something else.

    Parameters
    ----------
    theta : (K, P), the ends; ‖G‖ there should be small.
    records : what :func:`descentflow.flow` returned for the same K flows; without it nothing is
        called diverging.
    reach : ``inf`` lifts the bounds on displacement and risk, for a search from anywhere.

    Returns
    -------
    Dataset with dim ``initialization``: ``kind`` (int8, see ``KINDS``) is diverging where
    :func:`is_diverging` says so, else critical where ‖G‖ reached CRITICAL·max(1, ‖θ‖), else
    undecided; only critical rows are moved. Then ``parameters``, ``risk``, ``gradient_norm``,
    ``displacement``, the signature ``positive``, ``zero``, ``negative``, and where the engine is
    ``closed_form`` the numbers of neurons ``dead``, ``degenerate`` (active only on a tiny interval
    is one case) and ``active``.
    """
    start = np.array(theta, dtype=np.float64)
    if start.ndim != 2:
        raise InputError(f"theta: must have shape (K, P), found {start.shape}")
    diverging = np.zeros(len(start), np.bool_)
    if records is not None:
        if records.sizes["initialization"] != len(start):
            raise InputError(f"records: must be those of the {len(start)} flows of theta")
        names = ("time", "parameter_norm", "gradient_norm")
        diverging = is_diverging(*(records[name].values for name in names))
    end = start.copy()
    end[~diverging] = _to_critical(problem, start[~diverging], reach)
    norm = _length(problem.gradient(end))
    critical = ~diverging & (norm <= CRITICAL * np.maximum(1.0, _length(end)))
    end[~critical] = start[~critical]
    kind = np.where(critical, KINDS["critical"], KINDS["undecided"]).astype(np.int8)
    kind[diverging] = KINDS["diverging"]
    return _described(problem, start, end, kind)


def is_diverging(times: ArrayLike, norms: ArrayLike, gradient_norms: ArrayLike) -> Flags:
    """Whether trajectories run to infinity, from ‖Θ‖ and ‖G‖ (K, R) at ``times`` (R,).

    On the last decade of the times ‖Θ‖ increases from record to record, ‖G‖ falls, both log-log
    slopes agree within a factor STRAIGHT on its two halves, and ‖Θ‖'s is at least MIN_GROWTH. A
    convergent flow fails: its slopes of ‖Θ‖ fall by √10 already if ‖G‖ ∼ t^{−2}. So does one that
    leaves a saddle, as its slopes grow, one that repeats its last state, and one with nan.
    """
    t, size, slope = (np.asarray(a, dtype=np.float64) for a in (times, norms, gradient_norms))
    last, middle = _last_decade(t), math.sqrt(0.1) * t[-1]
    halves = (last & (t <= middle * (1.0 + 1e-9)), last & (t >= middle * (1.0 - 1e-9)))
    if min(half.sum() for half in halves) < 2:
        return np.zeros(len(size), np.bool_)
    growth = [_slope(t[half], size[:, half]) for half in halves]
    decay = [-_slope(t[half], slope[:, half]) for half in halves]
    outward: Flags = (np.minimum(*growth) >= MIN_GROWTH) & (np.minimum(*decay) > 0.0)
    outward &= np.all(np.diff(size[:, last], axis=1) > 0.0, axis=1)
    for first, second in (growth, decay):
        outward &= (second <= STRAIGHT * first) & (first <= STRAIGHT * second)
    return outward


def exponents(times: ArrayLike, norms: ArrayLike, risks: ArrayLike) -> tuple[Array, Array]:
    """Log-log slopes of ‖Θ‖ and L (K, R) over the last decade of ``times`` (R,): two arrays (K,).

    They mean something where :func:`is_diverging`; nan where a record is not positive.
    """
    t, size, risk = (np.asarray(a, dtype=np.float64) for a in (times, norms, risks))
    last = _last_decade(t)
    return _slope(t[last], size[:, last]), _slope(t[last], risk[:, last])


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

    Three searches of ``starts`` starts each: gradient flow from standard normal θ₀ to time
    ``until``, then the finisher; the finisher without bounds from the same θ₀; and from zig-zags.
    A search proves neither that a list is complete nor that its least member is least.

    Parameters
    ----------
    norm_bound : critical points with a larger ‖θ‖, neurons rescaled so that |(w,b)| = |v|, are left
        out: where no global minimum exists, G also vanishes at infinity.
    tolerance : neighbouring risks closer than this are one.

    Returns
    -------
    The variables of :func:`finish` with dim ``level``: distinct critical risks, ascending, each with
    the θ of least ‖G‖ found there (others there may have another signature); and ``found``.
    """
    normal = InitializationLaw("normal").draw(problem.layout, seed, 0, starts)
    ran = flow(problem, normal, until=until, rtol=1e-6, max_steps=2000)
    searches = [finish(problem, _balanced(ran["parameters"].values))]
    zigzags = _zigzags(problem, starts, seed)
    searches += [finish(problem, _balanced(s), reach=math.inf) for s in (normal, zigzags)]
    found = xr.concat(searches, "initialization")
    size = _length(_balanced(found["parameters"].values))
    found = found.isel(initialization=(found["kind"] == KINDS["critical"]) & (size <= norm_bound))
    found = found.sortby("risk")
    norms, gaps = found["gradient_norm"].values, np.diff(found["risk"].values) > tolerance
    groups = np.split(np.arange(norms.size), np.flatnonzero(gaps) + 1) if norms.size else []
    best = np.array([group[np.argmin(norms[group])] for group in groups], np.int64)
    levels = found.isel(initialization=best).rename(initialization="level")
    sizes = np.array([group.size for group in groups], np.int64)
    return levels.assign(
        found=("level", sizes, {"long_name": "number of searches that ended here"})
    )


def _to_critical(problem: Problem, start: Array, reach: float) -> Array:
    """Levenberg's method on G = 0, rows that still move together; see :func:`finish`."""
    theta = start.copy()
    slope = problem.gradient(theta)
    norm = _length(slope)
    risk0, norm0 = problem.risk(theta), norm.copy()
    radius = reach * (1.0 + _length(theta))
    damping = np.ones(len(theta))
    values, vectors = np.linalg.eigh(problem.hessian(theta))
    for _ in range(ITERATIONS):
        goal = 1e-16 * np.maximum(1.0, _length(theta))
        rows = np.flatnonzero((norm > goal) & (damping <= MAX_DAMPING))
        if not rows.size:
            break
        step = _step(values[rows], vectors[rows], slope[rows], damping[rows] * norm[rows] ** 2)
        point = theta[rows] + step
        away = _length(point - start[rows])
        new = problem.gradient(point)
        accept = (_length(new) < norm[rows]) & (away <= radius[rows])
        if math.isfinite(reach):
            change = np.abs(problem.risk(point) - risk0[rows])
            accept &= change <= norm0[rows] * away + 1e-15 * (1.0 + risk0[rows])
        taken = rows[accept]
        theta[taken], slope[taken], norm[taken] = point[accept], new[accept], _length(new[accept])
        values[taken], vectors[taken] = np.linalg.eigh(problem.hessian(theta[taken]))
        damping[taken] = np.maximum(MIN_DAMPING, damping[taken] / 8.0)
        damping[rows[~accept]] *= 8.0
    return theta


def _step(values: Array, vectors: Array, slope: Array, damping: Array) -> Array:
    """−(A² + damping)⁺ A G for A = Σ value·vector vectorᵀ, null directions of A left out."""
    least = NULL * np.abs(values).max(axis=1, keepdims=True)
    parts = (vectors.transpose(0, 2, 1) @ slope[:, :, None])[:, :, 0]
    factor = np.where(np.abs(values) > least, values, 0.0)
    parts *= -factor / (factor * factor + np.maximum(damping[:, None], 1e-300))
    return np.asarray((vectors @ parts[:, :, None])[:, :, 0])


def _described(problem: Problem, start: Array, end: Array, kind: NDArray[np.int8]) -> xr.Dataset:
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
    values = np.linalg.eigvalsh(problem.hessian(theta))
    least = ZERO * np.abs(values).max(axis=1, keepdims=True)
    above, below = (values > least).sum(axis=1), (values < -least).sum(axis=1)
    return above, values.shape[1] - above - below, below


def _neurons(problem: Problem, theta: Array) -> tuple[Counts, ...]:
    w, b, v, _ = split(theta, problem.network.hidden)
    low, high = problem.interval
    most = np.maximum(w * low + b, w * high + b)
    dead = most <= 0.0
    size = np.where(dead, 0.0, np.abs(v) * most)
    faint = ~dead & (size <= DEGENERATE * np.maximum(1.0, size.max(axis=1, keepdims=True)))
    return dead.sum(axis=1), faint.sum(axis=1), (~dead & ~faint).sum(axis=1)


def _zigzags(problem: Problem, count: int, seed: int) -> Array:
    """Networks with random kinks and, for these, the best v and c.

    Half have dead neurons; in three quarters orientations alternate. The kinks on each piece of the
    target lie one in each of equally many equal cells, at about the same place of each.
    """
    random = np.random.Generator(np.random.Philox(key=[seed, 1]))
    hidden, edges = problem.network.hidden, problem.target_table[EDGE]
    chance, shape = random.random((3, count, 1)), (count, hidden)
    dead = (chance[0] < 0.5) & (random.random(shape) < 0.4)
    sign = np.where((np.cumsum(~dead, axis=1) % 2 == 0) ^ (chance[1] < 0.5), 1.0, -1.0)
    sign = np.where(chance[2] < 0.25, random.choice([-1.0, 1.0], shape), sign)
    cuts = random.integers(hidden + 1, size=(count, len(edges) - 2, 1))
    piece = (np.arange(hidden) >= cuts).sum(axis=1)
    cells = (piece[:, :, None] == piece[:, None, :]).sum(axis=2)
    place = np.arange(hidden) - (piece[:, :, None] > piece[:, None, :]).sum(axis=2)
    inside = np.take_along_axis(random.random((count, len(edges) - 1)), piece, axis=1)
    inside = np.clip(inside + 0.1 * random.standard_normal(shape), 0.01, 0.99)
    kinks = edges[piece] + np.diff(edges)[piece] * (place + inside) / cells
    theta = np.zeros((count, problem.parameter_count))
    w, b, _, _ = split(theta, hidden)
    w[:], b[:] = np.where(dead, 0.0, sign), np.where(dead, -1.0, -sign * kinks)
    linear = slice(2 * hidden, None)
    fit = np.linalg.pinv(problem.hessian(theta)[:, linear, linear], rcond=1e-12, hermitian=True)
    theta[:, linear] = -(fit @ problem.gradient(theta)[:, linear, None])[:, :, 0]
    return theta


def _balanced(theta: Array) -> Array:
    """The same networks with |(w, b)| = |v| for every neuron with v ≠ 0 and (w, b) ≠ 0."""
    result = theta.copy()
    w, b, v, _ = split(result, theta.shape[-1] // 3)
    inner, outer = np.hypot(w, b), np.abs(v)
    usual = (inner > 0.0) & (outer > 0.0)
    factor = np.sqrt(np.where(usual, outer, 1.0) / np.where(usual, inner, 1.0))
    w[:], b[:], v[:] = w * factor, b * factor, v / factor
    return result


def _length(rows: Array) -> Array:
    return np.asarray(np.sqrt((rows * rows).sum(axis=-1)))


def _last_decade(times: Array) -> Flags:
    return np.asarray((times > 0.0) & (times >= 0.1 * times[-1] * (1.0 - 1e-9)))


def _slope(times: Array, values: Array) -> Array:
    """Least-squares slopes of log values (K, R) over log times (R,); nan where a value is ≤ 0."""
    x = np.log(times) - np.log(times).mean()
    positive = np.where(values > 0.0, values, np.nan)
    return np.asarray((np.log(positive) * x).sum(axis=1) / (x * x).sum())
