"""Problems: which engine, which shapes, and what is refused with which words."""

from typing import Any

import numpy as np
import pytest

import descentflow as df
from descentflow.errors import ConfigurationError, InputError
from descentflow.functions.activations import ACTIVATIONS
from descentflow.functions.networks import Layout

Mapping = dict[str, Any]

AFFINE: Mapping = {"kind": "affine", "slope": 1.0}
CONSTANT: Mapping = {"kind": "constant", "value": 0.3}
FORMULA: Mapping = {"kind": "expression", "formula": "x**(1/4)"}
UNIFORM: Mapping = {"law": "uniform"}
DENSITY: Mapping = {"law": "polynomial_density", "coefficients": [1.0, 1.0]}
SQUARE: Mapping = {"law": "uniform", "rule": "tensor", "nodes": 4, "dimension": 2}
POINTS: Mapping = {"law": "points", "points": [[0.1], [0.7]]}


def problem(
    inputs: Mapping = UNIFORM, target: Any = AFFINE, hidden: int = 2, **network: Any
) -> df.Problem:
    """The problem of these parts."""
    mapping = {"inputs": inputs, "target": target, "network": {"hidden": hidden, **network}}
    return df.Problem.from_mapping(mapping)


ENGINES: list[tuple[Mapping, Any, Mapping, str]] = [
    (UNIFORM, AFFINE, {}, "closed_form"),
    (UNIFORM, CONSTANT, {}, "closed_form"),
    (UNIFORM, {"kind": "step", "at": 0.5}, {}, "closed_form"),
    (UNIFORM, AFFINE, {"activation": "leaky_relu"}, "quadrature"),
    (UNIFORM, AFFINE, {"activation": "tanh"}, "quadrature"),
    (UNIFORM, FORMULA, {}, "quadrature"),
    (UNIFORM, {"kind": "polynomial", "coefficients": [0.0, 1.0]}, {}, "quadrature"),
    (DENSITY, AFFINE, {}, "quadrature"),
    (UNIFORM, [AFFINE, CONSTANT], {"outputs": 2}, "quadrature"),
    (POINTS, AFFINE, {}, "empirical"),
    (SQUARE, CONSTANT, {}, "empirical"),
    ({"law": "uniform", "rule": "sobol", "nodes": 8}, FORMULA, {}, "empirical"),
]


@pytest.mark.parametrize(("inputs", "target", "network", "engine"), ENGINES)
def test_engines(inputs: Mapping, target: Any, network: Mapping, engine: str) -> None:
    """The engine by the rule of the documentation; the model is what its kernels take."""
    given = problem(inputs, target, **network)
    assert given.engine == engine
    kinds = {"closed_form": np.ndarray, "quadrature": tuple, "empirical": tuple}
    assert isinstance(given.model, kinds[engine])
    assert given.model is given.model
    assert (
        type(given.model).__name__
        == {
            "closed_form": "ndarray",
            "quadrature": "Rule",
            "empirical": "Sample",
        }[engine]
    )


def test_layouts() -> None:
    assert problem().parameter_count == 7
    two = problem(SQUARE, [CONSTANT] * 3, hidden=4, outputs=3)
    assert two.layout == Layout(inputs=2, hidden=4, outputs=3)
    assert two.parameter_count == 4 * 6 + 3


def test_shapes() -> None:
    """Leading dimensions go through."""
    given = problem(SQUARE, [CONSTANT] * 2, hidden=2, outputs=2)
    theta = np.random.default_rng(71).normal(size=(2, 3, given.parameter_count))
    risk, gradient = given.risk(theta), given.gradient(theta)
    hessian = given.hessian(theta)
    assert risk.shape == (2, 3)
    assert gradient.shape == theta.shape
    assert hessian.shape == (*theta.shape, theta.shape[-1])
    assert risk[1, 2] == given.risk(theta[1, 2])
    assert gradient[1, 2].tolist() == given.gradient(theta[1, 2].tolist()).tolist()
    assert given.risk(theta[:0]).shape == (0, 3)
    for wrong in (np.zeros(3), np.zeros((7, 2)), np.full(theta.shape, np.nan)):
        with pytest.raises(InputError, match=r"^theta"):
            given.risk(wrong)


def test_lyapunov() -> None:
    """Centred at 2ξ for constant targets and homogeneous activations, else nothing."""
    for name, row in ACTIVATIONS.items():
        terms = problem(SQUARE, [CONSTANT, CONSTANT], outputs=2, activation=name).lyapunov
        assert terms.centres.tolist() == ([0.6, 0.6] if row.homogeneous else [])
        assert terms.weights.tolist() == ([1.0, 1.0] if row.homogeneous else [])
    assert not problem(UNIFORM, [CONSTANT, AFFINE], outputs=2).has_lyapunov
    assert not problem(UNIFORM, {"kind": "affine", "slope": 0.0}).has_lyapunov


def test_what_problems_do_not_have() -> None:
    with pytest.raises(InputError, match=r"^target: a piecewise linear"):
        _ = problem(UNIFORM, FORMULA).target_table
    for inputs in (POINTS, SQUARE):
        with pytest.raises(InputError, match=r"^inputs: a law on an interval"):
            _ = problem(inputs, CONSTANT).interval


ROUGH = {"kind": "expression", "formula": "log(x - 1/2)"}
REFUSED: list[tuple[Mapping, Any, Mapping, str]] = [
    ({"law": "uniform", "dimension": 3}, CONSTANT, {}, r"^inputs.rule: .*tensor or sobol"),
    ({"law": "uniform", "nodes": 3}, CONSTANT, {}, r"^inputs.nodes: .*both or neither"),
    (
        {"law": "gauss"},
        CONSTANT,
        {},
        r"^inputs.law: .*allowed: uniform, polynomial_density, normal, points",
    ),
    (
        SQUARE,
        AFFINE,
        {},
        r"^target.kind: inputs of dimension 2 need constant, expression or values",
    ),
    (SQUARE, [CONSTANT, AFFINE], {"outputs": 2}, r"^target\[1\].kind: inputs of dimension 2"),
    (UNIFORM, AFFINE, {"outputs": 2}, r"^target: the network has 2 output\(s\).* found 1"),
    (UNIFORM, [AFFINE] * 3, {"outputs": 2}, r"^target: the network has 2 output\(s\).* found 3"),
    (UNIFORM, [], {}, r"^target: .*at least 1"),
    (UNIFORM, "x", {}, r"^target: a mapping"),
    (UNIFORM, {"kind": "sinus"}, {}, r"^target.kind: .*allowed: constant, affine, "),
    (UNIFORM, {"kind": "step", "at": 2.0}, {}, r"^target.at: .*must lie inside"),
    (UNIFORM, {"kind": "expression", "formula": "x+*2"}, {}, r"^target.formula: column 3: "),
    (
        UNIFORM,
        [AFFINE, {"kind": "expression", "formula": "x+*2"}],
        {"outputs": 2},
        r"^target\[1\].formula: column 3: ",
    ),
    (UNIFORM, ROUGH, {}, r"^target.formula: the function is not a number near x = "),
    (
        UNIFORM,
        [AFFINE, ROUGH],
        {"outputs": 2},
        r"^target\[1\].formula: the function is not a number",
    ),
    (POINTS, ROUGH, {}, r"^target: no number at a point"),
    (
        POINTS,
        {"kind": "piecewise_linear", "knots": [0.5, 1.0], "values": [0, 1]},
        {},
        r"^target: no number at a point",
    ),
    (
        UNIFORM,
        {"kind": "piecewise_linear", "knots": [0.5, 1.0], "values": [0, 1]},
        {},
        r"^target.knots: .*must cover",
    ),
    (UNIFORM, AFFINE, {"activation": "rleu"}, r"^network.activation: .*did you mean 'relu'"),
    (UNIFORM, AFFINE, {"outputs": 65}, r"^network.outputs: .*64"),
    ({**DENSITY, "coefficients": [1, -2]}, AFFINE, {}, r"^inputs.coefficients: .*positive"),
]


@pytest.mark.parametrize(("inputs", "target", "network", "text"), REFUSED)
def test_refused(inputs: Mapping, target: Any, network: Mapping, text: str) -> None:
    """The message begins with the path of the key."""
    with pytest.raises(ConfigurationError, match=text):
        problem(inputs, target, **network)


def test_equal_problems() -> None:
    """Equality and hash follow the mapping, however it was written and whatever was computed."""
    by_class = df.Problem(inputs=df.Uniform(0, 1), target=df.Affine(1), network=df.Network(2))
    by_mapping = problem()
    theta = np.random.default_rng(73).normal(size=(3, 7))
    for used in (False, True):
        assert by_class == by_mapping
        assert hash(by_class) == hash(by_mapping)
        assert by_class not in (problem(hidden=3), problem(target=CONSTANT), "x")
        if not used:
            np.testing.assert_array_equal(by_class.hessian(theta), by_mapping.hessian(theta))
            assert len(by_class.piecewise_forms) == len(by_mapping.piecewise_forms)
    assert problem(target=[AFFINE]) != by_class  # another engine, so another problem


def test_copies_with_other_fields() -> None:
    """They forget what was computed, and are checked."""
    theta = np.random.default_rng(73).normal(size=(3, 7))
    first = problem()
    first.risk(theta)
    other = first.model_copy(update={"target": df.Constant(2)})
    np.testing.assert_array_equal(other.risk(theta), problem(target=other.target).risk(theta))
    with pytest.raises(ConfigurationError, match="target: the network has 1 output"):
        first.model_copy(update={"target": [df.Affine(1), df.Affine(2)]})


def test_problems_with_more_fields() -> None:
    """Every field counts for equality, and shows."""

    class Named(df.Problem):
        name: str = ""

    given = {"inputs": df.Uniform(0, 1), "target": df.Affine(1), "network": df.Network(2)}
    first, other = Named(**given, name="a"), Named(**given, name="b")
    assert first != other
    assert first == Named(**given, name="a")
    assert first not in (Named(**given), df.Problem(**given))
    assert repr(first) == repr(df.Problem(**given)).replace("Problem", "Named")[:-1] + ", name='a')"


def test_a_point_where_a_target_jumps_first() -> None:
    """Sobol's first point is the corner, and a target may jump there."""
    jump = {"kind": "piecewise_linear", "knots": [0, 0, 1], "values": [5, 0, 1]}
    given = problem({"law": "uniform", "rule": "sobol", "nodes": 4}, jump)
    # N = 0: the mean of 5², 0.5², 0.75², 0.25².
    assert float(given.risk(np.zeros(7))) == (25 + 0.25 + 0.5625 + 0.0625) / 4


def test_one_target_in_a_list() -> None:
    """A list with one target is that target to rounding, by another engine."""
    theta = np.random.default_rng(72).normal(size=(5, 7))
    alone, listed = problem(UNIFORM, AFFINE), problem(UNIFORM, [AFFINE])
    np.testing.assert_allclose(listed.risk(theta), alone.risk(theta), rtol=1e-13)
    scale = np.abs(alone.gradient(theta)).max()
    np.testing.assert_allclose(
        listed.gradient(theta), alone.gradient(theta), rtol=0, atol=1e-14 * scale
    )
