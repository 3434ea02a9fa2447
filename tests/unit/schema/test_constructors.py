"""Public classes beside mappings: the same models, the same refusals, and what they look like."""

import copy
import inspect
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import descentflow as df
from descentflow.errors import ConfigurationError
from descentflow.functions.networks import Layout
from descentflow.schema.model import parse

DATA = Path(__file__).with_name("data.csv")
CLASSES = [name for name in df.__all__ if name[0].isupper()]

SAME: dict[str, tuple[Any, dict[str, Any]]] = {
    "Uniform()": (df.Uniform(), {"law": "uniform"}),
    "Uniform": (df.Uniform(-1, 2), {"law": "uniform", "low": -1, "high": 2}),
    "cube": (
        df.Uniform(dimension=2, rule="sobol", nodes=8),
        {"law": "uniform", "dimension": 2, "rule": "sobol", "nodes": 8},
    ),
    "PolynomialDensity": (
        df.PolynomialDensity(0, 2, coefficients=[1, 3]),
        {"law": "polynomial_density", "low": 0, "high": 2, "coefficients": [1, 3]},
    ),
    "Points": (
        df.Points(np.array([[0.0, 1.0], [2.0, 3.0]]), [0.25, 0.75]),
        {"law": "points", "points": [[0, 1], [2, 3]], "weights": [0.25, 0.75]},
    ),
    "Points of one coordinate": (
        df.Points([1, 2.5]),
        {"law": "points", "points": [[1], [2.5]]},
    ),
    "Points of a file": (
        df.Points(file=str(DATA), columns={"inputs": ["x"]}),
        {"law": "points", "file": str(DATA), "columns": {"inputs": ["x"]}},
    ),
    "Normal": (df.Normal(1, 2), {"law": "normal", "mean": 1, "scale": 2}),
    "Values": (
        df.Values(np.array([1.0, 2.0]), noise={"scale": 0.5, "seed": 1}),
        {"kind": "values", "values": [1, 2], "noise": {"scale": 0.5, "seed": 1}},
    ),
    "Values of a column": (df.Values(column="y"), {"kind": "values", "column": "y"}),
    "StepSchedule": (
        df.StepSchedule(0.1, factor=0.5, every=3),
        {"initial": 0.1, "factor": 0.5, "every": 3},
    ),
    "Constant": (df.Constant(np.float32(0.5)), {"kind": "constant", "value": 0.5}),
    "Affine": (df.Affine(2), {"kind": "affine", "slope": 2}),
    "Affine with intercept": (df.Affine(2, 3), {"kind": "affine", "slope": 2, "intercept": 3}),
    "Step": (df.Step(0.5, 1, 2), {"kind": "step", "at": 0.5, "below": 1, "above": 2}),
    "PiecewiseLinear": (
        df.PiecewiseLinear([0, 1], np.array([2.0, 3.0])),
        {"kind": "piecewise_linear", "knots": [0, 1], "values": [2, 3]},
    ),
    "Polynomial": (df.Polynomial((1, 2)), {"kind": "polynomial", "coefficients": [1, 2]}),
    "Expression": (df.Expression("sin(x)"), {"kind": "expression", "formula": "sin(x)"}),
    "Network": (df.Network(np.int64(3)), {"hidden": 3}),
    "Network with outputs": (
        df.Network(3, "tanh", outputs=2),
        {"hidden": 3, "activation": "tanh", "outputs": 2},
    ),
    "InitializationLaw": (df.InitializationLaw("he", 0.5), {"law": "he", "scale": 0.5}),
    "laws of parts": (
        df.InitializationLaw(w={"law": "normal"}, c={"law": "constant", "scale": 2}),
        {"w": {"law": "normal"}, "c": {"law": "constant", "scale": 2}},
    ),
    "around": (
        df.InitializationLaw("around", points=[[1.0] * 4]),
        {"law": "around", "points": [[1.0] * 4]},
    ),
}


@pytest.mark.parametrize("name", SAME)
def test_classes_are_mappings(name: str) -> None:
    """Positional and named values give the model of the mapping; so do its copies and its repr."""
    built, mapping = SAME[name]
    assert built == parse(type(built), mapping)
    assert hash(built) == hash(parse(type(built), mapping))
    assert type(built)(**mapping) == built
    for again in (
        pickle.loads(pickle.dumps(built)),
        copy.deepcopy(built),
        eval(repr(built), NAMES),
    ):
        assert type(again) is type(built)
        assert again == built


NAMES = {name: getattr(df, name) for name in CLASSES}


@pytest.mark.parametrize("name", CLASSES)
def test_signatures_are_the_fields(name: str) -> None:
    """Parameters and defaults of a constructor, written beside the fields, agree with them."""
    fields = dict(NAMES[name].model_fields)
    for parameter in inspect.signature(NAMES[name]).parameters.values():
        field = fields.pop(parameter.name)
        required = parameter.default is parameter.empty
        assert field.is_required() == required
        assert required or field.default == parameter.default
    assert set(fields) <= {"law", "kind"}


def test_a_problem_in_python() -> None:
    problem = df.Problem(
        inputs=df.Uniform(0, 1),
        target=[df.Affine(1), df.Step(0.5)],
        network=df.Network(hidden=8, outputs=2),
    )
    text = "Problem(inputs=Uniform(0.0, 1.0), target=(Affine(1.0, 0.0), Step(0.5, 0.0, 1.0)), "
    assert repr(problem) == str(problem) == text + "network=Network(8, 'relu', outputs=2))"
    assert eval(repr(problem), NAMES) == problem
    assert pickle.loads(pickle.dumps(problem)) == problem
    assert len(repr(df.Points(np.zeros((10_000, 3))))) < 100
    theta = df.InitializationLaw("he").draw(problem.layout, 1, 0, 5)
    assert theta.shape == (5, problem.parameter_count)
    assert problem.layout == Layout(hidden=8, outputs=2)


NUMBER = "; allowed: -1e100 to 1e100"
REFUSED: list[tuple[Callable[[], Any], str]] = [
    (lambda: df.Affine(), "slope: missing; it is required" + NUMBER),
    (
        lambda: df.Affine("a", "b"),
        f"slope: a number is needed, found 'a'{NUMBER}\n"
        f"intercept: a number is needed, found 'b'{NUMBER}",
    ),
    (
        lambda: df.Affine(1, 2, 3),
        "Affine: takes at most 2 value(s) without their names, found 3; the names: slope, intercept",
    ),
    (lambda: df.Affine(1, slope=2), "slope: given twice"),
    (
        lambda: df.Step(0, abov=2),
        "abov: unknown key (did you mean 'above'?); allowed: above, at, below, kind",
    ),
    (lambda: df.Step(0, kind="affine"), "kind: found 'affine'; allowed: step"),
    (
        lambda: df.Problem(df.Uniform()),
        "Problem: takes at most 0 value(s) without their names, found 1; the names: inputs, target, "
        "network",
    ),
    (
        lambda: df.Problem(
            inputs=df.Constant(1), target=df.Affine(1), network=df.Network(1)
        ),
        "inputs: needs a key 'law', found Constant(1.0); allowed for it: uniform, "
        "polynomial_density, normal, points",
    ),
    (
        lambda: df.Problem(inputs=df.Uniform(), target=df.Step(2), network=df.Network(1)),
        "target.at: the step at 2 must lie inside the inputs' interval (0, 1)",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("build", "text"), REFUSED)
def test_refusals_are_those_of_mappings(build: Callable[[], Any], text: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        build()
    assert str(refused.value) == text
    assert refused.value.__cause__ is None
    assert refused.value.__suppress_context__ or refused.value.__context__ is None


def test_importing_the_package_loads_nothing() -> None:
    code = "import sys, descentflow; assert not {'numpy', 'pydantic', 'numba'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_field_cannot_be_changed_and_the_message_says_what_can() -> None:
    problem = df.Problem(inputs=df.Uniform(0, 1), target=df.Affine(1), network=df.Network(hidden=2))
    with pytest.raises(ValueError, match=r"^Problem\.inputs: cannot be changed; .*model_copy"):
        problem.inputs = 3  # type: ignore[assignment, misc]
    assert problem.inputs == df.Uniform(0, 1)
