"""The model of the quadrature engine: nodes, law, targets and activation in two packed tables."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from descentflow.functions import gauss_legendre
from descentflow.functions.activations import Activation
from descentflow.functions.breakpoints import resolve
from descentflow.functions.input_laws import IntervalLaw, Normal
from descentflow.functions.targets import PiecewiseForm
from descentflow.risk.panels import Cuts
from descentflow.simd.arrays import Array
from descentflow.simd.load_store import padded

Codes = NDArray[np.int64]


class Rule(NamedTuple):
    """The engine's model: two tables, and the positions of their parts.

    ``packed`` holds, one after the other, the nodes and the weights of the Gauss-Legendre rule on
    [−1, 1], ``nodes`` each; the edges of the pieces on which all targets are smooth; the density's
    coefficients, lowest power first; the kinks of σ and the jumps of σ' there; the jumps of the
    targets; the operands of the programs. A pair of indices (first, last + 1) bounds a part. ``codes``
    holds the start of each target's program on each piece, target by target, and then the programs;
    the operand of ``codes[j]`` is ``packed[operands + j]``. For a ``normal`` law the three numbers
    of its density stand in place of coefficients.
    """

    packed: Array
    codes: Codes
    nodes: int
    cuts: Cuts
    density: tuple[int, int]
    normal: bool
    jumps: tuple[int, int]
    operands: int
    outputs: int
    activation: int


def new_rule(
    piecewise_forms: Sequence[PiecewiseForm], law: IntervalLaw, activation: Activation
) -> Rule:
    """Build the rule for targets on the law's interval and an activation.

    If the integrands are polynomial between kinks, the rule has as many nodes as make it exact.
    """
    normal, density = isinstance(law, Normal), law.density
    edges = np.unique(
        np.concatenate([_edges_of_law(law), *(form.edges for form in piecewise_forms)])
    )
    codes, operands = _programs(piecewise_forms, edges)
    count = gauss_legendre.NODES if normal else _node_count(piecewise_forms, density, activation)
    nodes, weights = _whole_vectors(*gauss_legendre.rule(count))
    kinks = np.array([activation.kinks, activation.jumps], np.float64)
    parts = [nodes, weights, edges, np.array(density), *kinks, _jumps(piecewise_forms), operands]
    # ends[k] is where part k begins: nodes 0, weights 1, edges 2, density 3, kinks of σ 4,
    # jumps of σ' 5, jumps of the targets 6, operands 7.
    ends = np.cumsum([0, *(part.size for part in parts)]).tolist()
    return Rule(
        packed=np.concatenate(parts),
        codes=codes,
        nodes=nodes.size,
        cuts=Cuts(
            edges=(ends[2], ends[3]),
            kinks=(ends[4], ends[5]),
            radius=activation.resolution_radius,
            decay_factor=activation.decay_factor,
        ),
        density=(ends[3], ends[4]),
        normal=normal,
        jumps=(ends[6], ends[7]),
        operands=ends[7],
        outputs=len(piecewise_forms),
        activation=activation.code,
    )


def _edges_of_law(law: IntervalLaw) -> Array:
    """Return the ends of pieces on which 16 nodes resolve the density times polynomials."""
    if not isinstance(law, Normal):
        return np.array([law.low, law.high])

    # The integrand holds the density, r² and x²: the root of the density times x² must be resolved.
    def root(x: Array) -> Array:
        z = (x - law.mean) / law.scale
        return law.root_of_density(x) * (1.0 + z * z)

    return resolve(root, [law.low, law.mean, law.high], gauss_legendre.NODES)


def _programs(piecewise_forms: Sequence[PiecewiseForm], edges: Array) -> tuple[Codes, Array]:
    """Return ``codes``, the table of starts and then the programs, and an operand for each entry."""
    pieces = edges.size - 1
    size = len(piecewise_forms) * pieces
    starts = np.zeros(size, np.int64)
    codes, operands = [starts], [np.zeros(size)]
    start_of: dict[int, int] = {}
    for k, form in enumerate(piecewise_forms):
        for m in range(pieces):
            own_piece = int(np.searchsorted(form.edges, edges[m + 1])) - 1
            program = form.programs[own_piece]
            if id(program) not in start_of:
                start_of[id(program)] = size
                codes.append(program.code)
                operands.append(program.operands)
                size += program.code.size
            starts[k * pieces + m] = start_of[id(program)]
    return np.concatenate(codes), np.concatenate(operands)


def _node_count(
    piecewise_forms: Sequence[PiecewiseForm], density: Sequence[float], activation: Activation
) -> int:
    """Return how many nodes make the rule exact, at most NODES."""
    degrees = [form.degree for form in piecewise_forms if form.degree is not None]
    if len(degrees) < len(piecewise_forms) or activation.resolution_radius < np.inf:
        return gauss_legendre.NODES
    # σ is linear between kinks here: r² times the density has at most degree 2n − 1.
    exact = max(1, *degrees) + (len(density) - 1) // 2 + 1
    return min(exact, gauss_legendre.NODES)


def _whole_vectors(nodes: Array, weights: Array) -> tuple[Array, Array]:
    """Add nodes of weight 0 at the centre up to a multiple of 8, so that a rule is whole vectors."""
    spare = padded(nodes.size) - nodes.size
    return np.pad(nodes, (0, spare)), np.pad(weights, (0, spare))


def _jumps(piecewise_forms: Sequence[PiecewiseForm]) -> Array:
    """Return the edges where a target jumps: its values left and right differ by over 1e-6."""
    jumps: set[float] = set()
    for form in piecewise_forms:
        shift = 1e-9 * (form.edges[-1] - form.edges[0])
        for m, edge in enumerate(form.edges[1:-1]):
            left, right = form.programs[m : m + 2]
            before, after = left(np.array([edge - shift])), right(np.array([edge + shift]))
            if abs(after - before) > 1e-6 * max(1.0, abs(float(after[0]))):
                jumps.add(edge)
    return np.array(sorted(jumps), np.float64)
