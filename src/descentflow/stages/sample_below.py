"""Stage sample_below: initial parameters of one chunk, of risk below the least critical risk m_H > 0.

A candidate has w and b from the law, and those v and c of least risk, plus NOISE times what the law
draws for them. Each neuron is then rescaled so that |v| = |(w, b)|, which leaves the network as it is:
else ||theta|| is huge where kinks are close, and says nothing about the network. Initialisation k is
the first candidate of its own whose risk is below m_H.
"""

import numpy as np
from numpy.typing import NDArray

from descentflow.datasets import netcdf
from descentflow.errors import DamagedFile, InputError
from descentflow.planning.identity import canonical
from descentflow.risk.problem import Problem
from descentflow.simd.arrays import Array
from descentflow.stages.command import Stage, Task
from descentflow.stages.sample import write_samples
from descentflow.stages.specs import SampleSpec

NOISE = 0.05
BLOCK = 2**8
"""Candidates that are drawn together."""
CANDIDATES = 2**32
"""Candidate j of initialisation k is initialisation CANDIDATES k + j of the law."""
MAX_TRIED = 2**18
SINGULAR = 1e-9
"""A pivot at most this times its diagonal entry: v and c are not determined."""


class SampleBelowSpec(SampleSpec):
    """A job that draws initial parameters of small risk."""

    below: Problem


def sample_below(task: Task[SampleBelowSpec]) -> None:
    """Draw θ₀ for a chunk of initialisations, below the least critical risk in the input file."""
    spec, problem = task.spec, task.spec.below
    bound = _least_critical_risk(task)
    theta = np.empty((spec.count, spec.layout.parameter_count))
    for row, number in enumerate(spec.numbers):
        for first in range(0, MAX_TRIED, BLOCK):
            at = CANDIDATES * number + first
            drawn = spec.initialization.draw(spec.layout, spec.seed, at, BLOCK)
            candidates, usable = _fitted(problem, drawn)
            accepted = np.flatnonzero(usable & (problem.risk(candidates) < bound))
            if len(accepted):
                theta[row] = candidates[accepted[0]]
                break
        else:
            text = f"none of {MAX_TRIED} candidates for initialisation {number} has a risk below"
            raise InputError(f"initialization: {text} {bound:.6g}")
    write_samples(task, theta)


def _least_critical_risk(task: Task[SampleBelowSpec]) -> float:
    """Return a lower bound of m_H from the problem's landscape; raises DamagedFile for another."""
    path, problem = task.inputs[0], task.spec.below
    levels = netcdf.read(path)
    listed, wanted = netcdf.spec_of(levels, path), problem.model_dump(mode="json")
    same = all(canonical(listed.get(key)) == canonical(wanted[key]) for key in ("inputs", "target"))
    width = problem.network.width
    if not same or listed["network"]["hidden"] < width:
        raise DamagedFile(f"{path}: is not the landscape of the problem; {netcdf.AGAIN}")
    risks = levels["risk"].values[levels["neurons"].values <= width]
    return float(np.nextafter(risks[risks > 0].min(), 0.0))


def _fitted(problem: Problem, drawn: Array) -> tuple[Array, NDArray[np.bool_]]:
    """Return candidates (K, P), and which of them have v and c that the risk determines."""
    hidden = problem.network.width
    theta = drawn.copy()
    theta[:, 2 * hidden :] = 0.0
    # The risk is quadratic in v and c.
    gradient = problem.gradient(theta)[:, 2 * hidden :]
    hessian = problem.hessian(theta)[:, 2 * hidden :, 2 * hidden :]
    best, usable = _solve(hessian, -gradient)
    theta[:, 2 * hidden :] = best + NOISE * drawn[:, 2 * hidden :]
    w, b, v = (theta[:, part * hidden : (part + 1) * hidden] for part in range(3))
    factor = np.sqrt(np.abs(v) / np.sqrt(w * w + b * b))
    usable &= (factor > 0.0).all(axis=1)
    factor[~usable] = 1.0
    w *= factor
    b *= factor
    v /= factor
    return theta, usable


def _solve(matrices: Array, right: Array) -> tuple[Array, NDArray[np.bool_]]:
    """Solve symmetric positive semidefinite systems (K, n, n) x = (K, n); say which are regular.

    Elimination entry by entry, with the same bits on every processor, as LAPACK's has not.
    """
    a, x = matrices.copy(), right.copy()
    size = a.shape[1]
    regular = np.ones(len(a), bool)
    diagonal = np.array([matrices[:, k, k] for k in range(size)])
    for k in range(size):
        regular &= a[:, k, k] > SINGULAR * diagonal[k]
        pivot = np.where(regular, a[:, k, k], 1.0)
        for i in range(k + 1, size):
            factor = a[:, i, k] / pivot
            a[:, i] -= factor[:, None] * a[:, k]
            x[:, i] -= factor * x[:, k]
    for k in reversed(range(size)):
        for i in range(k + 1, size):
            x[:, k] -= a[:, k, i] * x[:, i]
        x[:, k] /= np.where(regular, a[:, k, k], 1.0)
    return np.where(regular[:, None], x, 0.0), regular


STAGE = Stage(sample_below, SampleBelowSpec, 1)


if __name__ == "__main__":
    STAGE.main()
