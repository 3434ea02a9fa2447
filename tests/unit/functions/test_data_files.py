"""Points and labels from csv files and lists: what is read, and what is refused with which words."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import descentflow as df
from descentflow.errors import ConfigurationError
from descentflow.functions.labels import Noise

NETWORK = {"hidden": 2, "activation": "tanh"}
TEXT = "name,x1,x2,p,y,z\na,0.5,-1,0.25,1,2\n\nb,1e-1,3,0.5,-2,0\n c ,-.5,0, 0.25 ,0.5,1\n"


def mapping(path: Path, columns: Any, targets: Sequence[Any], **network: Any) -> dict[str, Any]:
    target = targets[0] if len(targets) == 1 else list(targets)
    inputs = {"law": "points", "file": str(path), "columns": columns}
    return {"inputs": inputs, "target": target, "network": {**NETWORK, **network}}


def test_a_file(tmp_path: Path) -> None:
    """Two inputs, weights and two outputs of a file are those written down; blank lines are nothing."""
    path = tmp_path / "data.csv"
    path.write_text(TEXT)
    columns = {"inputs": ["x1", "x2"], "weights": "p"}
    labels = [{"kind": "values", "column": "y"}, {"kind": "values", "column": "z"}]
    read = df.Problem.from_mapping(mapping(path, columns, labels, outputs=2))
    written = df.Problem(
        inputs=df.Points([[0.5, -1], [0.1, 3], [-0.5, 0]], [0.25, 0.5, 0.25]),
        target=[df.Values([1, -2, 0.5]), df.Values([2, 0, 1])],
        network=df.Network(2, "tanh", outputs=2),
    )
    assert read == written
    # c alone: L = E|c − y|² by hand.
    theta = np.zeros(read.parameter_count)
    assert read.risk(theta) == 0.25 * (1 + 4) + 0.5 * 4 + 0.25 * (0.25 + 1)
    # The problem stays what it was when the file changes, and a new one is new.
    path.write_text(TEXT.replace("0.5,-2,0", "0.5,-3,0"))
    assert read == written
    assert df.Problem.from_mapping(mapping(path, columns, labels, outputs=2)) != written


def test_noise() -> None:
    """Of the standard deviation asked for, its own for each output, a function of seed and number."""
    noise = Noise(scale=0.5, seed=3)
    drawn = noise.draw(20_000, 0)
    assert abs(drawn.std() / 0.5 - 1) < 5 / np.sqrt(2 * drawn.size)
    assert noise.draw(7, 0).tobytes() == drawn[:7].tobytes()
    assert (noise.draw(7, 1) != drawn[:7]).all()
    assert (Noise(scale=0.5, seed=4).draw(7, 0) != drawn[:7]).all()
    x, y = [0.0, 1.0, 2.0], np.array([1.0, -1.0, 3.0])
    problem = df.Problem(
        inputs=df.Points(x),
        target=df.Values(y, noise={"scale": 0.5, "seed": 3}),
        network=df.Network(1),
    )
    np.testing.assert_allclose(problem.risk(np.zeros(4)), np.mean((y + drawn[:3]) ** 2), rtol=1e-15)


Y = [{"kind": "values", "column": "y"}]
X = {"inputs": ["x1"]}
NOTHING = "target.column: {}, line 4, column 'y': a number is needed, found nothing"
NOT_FINITE = "target.column: {}, line 4, column 'y': a finite number is needed, found 'nan'"
NO_X3 = "inputs.file: {} has no column 'x3'; its columns: name, x1, x2, p, y, z"
TOO_FEW = "target.values: needs one per point, found 2 for 3 points"
BAD_FILES: list[tuple[str, Any, Any, str]] = [
    (
        TEXT,
        {"inputs": ["name"]},
        Y,
        "inputs.file: {}, line 2, column 'name': a number is needed",
    ),
    (
        TEXT.replace("-2,0", ",0"),
        X,
        Y,
        NOTHING,
    ),
    (
        TEXT.replace("-2,0", "nan,0"),
        X,
        Y,
        NOT_FINITE,
    ),
    (
        TEXT.replace(",-2,0", ""),
        X,
        Y,
        NOTHING,
    ),
    (
        TEXT,
        {"inputs": ["x3"]},
        Y,
        NO_X3,
    ),
    (TEXT.replace("x2", "x1"), X, Y, "inputs.file: {} has more than one column 'x1'"),
    (TEXT, {"inputs": ["x1"], "weights": "y"}, Y, "inputs.file: weights: must be probabilities"),
    (
        TEXT,
        {"inputs": ["x1"]},
        [{"kind": "values", "column": "w"}],
        "target.column: {} has no column 'w'",
    ),
    (
        TEXT,
        {"inputs": ["x1"]},
        [{"kind": "values", "values": [1, 2]}],
        TOO_FEW,
    ),
    ("", X, Y, "inputs.file: {} is empty"),
    ("x1,y\n", X, Y, "inputs.file: {} has no line of numbers below the names of its columns"),
    ("x1,y\n2e6,1\n", X, Y, "inputs.file: points: point 0: coordinates reach to 1e+06"),
    (TEXT, None, Y, "inputs.columns: missing; name the file's columns, such as {{inputs: [x]}}"),
    (TEXT, {}, Y, "inputs.columns.inputs: missing; it is required"),
]


@pytest.mark.parametrize(("text", "columns", "targets", "message"), BAD_FILES)
def test_bad_files(text: str, columns: Any, targets: Any, message: str, tmp_path: Path) -> None:
    """One line, which names the key, the file, the line and the column."""
    path = tmp_path / "data.csv"
    path.write_text(text)
    with pytest.raises(ConfigurationError) as refused:
        df.Problem.from_mapping(mapping(path, columns, targets))
    assert str(refused.value).startswith(message.format(path))
    assert "\n" not in str(refused.value)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    binary = tmp_path / "binary.csv"
    binary.write_bytes(b"x1,y\n\xff\xfe,1\n")
    for path, text in (
        (tmp_path / "none.csv", "cannot be read: No such file or directory"),
        (tmp_path, "cannot be read: Is a directory"),
        (binary, "is no csv file: "),
    ):
        with pytest.raises(ConfigurationError, match=rf"^inputs\.file: .*{text}"):
            df.Problem.from_mapping(mapping(path, X, Y))


def given(inputs: Any, target: Any) -> dict[str, Any]:
    return {"inputs": inputs, "target": target, "network": NETWORK}


THREE = {"law": "points", "points": [1, 2, 3]}
PLANE = {"law": "points", "points": [[1, 2], [3, 4]]}
BAD: list[tuple[Any, Any, str]] = [
    (
        THREE,
        {"kind": "values", "values": [1, 2]},
        TOO_FEW,
    ),
    (
        THREE,
        {"kind": "values", "values": [1, None, 2]},
        "target.values[1]: a number is needed, found None",
    ),
    (THREE, {"kind": "values"}, "target.values: missing; give values, or a column"),
    (
        THREE,
        {"kind": "values", "column": "y"},
        "target.column: a column needs inputs of law points",
    ),
    (
        {"law": "points"},
        {"kind": "constant", "value": 1},
        "inputs.points: missing; give points, or a file",
    ),
    (
        {**THREE, "columns": X},
        {"kind": "constant", "value": 1},
        "inputs.columns: are those of a file",
    ),
    (
        {"law": "uniform"},
        {"kind": "values", "values": [1]},
        "target.kind: values need finitely many inputs",
    ),
    (
        PLANE,
        {"kind": "expression", "formula": "x1*x3"},
        "target.formula: column 4: 'x3' is no input; the formula's inputs",
    ),
    (
        PLANE,
        {"kind": "expression", "formula": "x*x1"},
        "target.formula: column 1: 'x' is no input; the formula's inputs",
    ),
    (PLANE, {"kind": "expression", "formula": "log(x1 - 5)"}, "target: no number at a point"),
    (
        THREE,
        {"kind": "expression", "formula": "x2"},
        "target.formula: column 1: 'x2' is no input; the formula's inputs here: x",
    ),
    (
        PLANE,
        {"kind": "affine", "slope": 1},
        "target.kind: inputs of dimension 2 need constant, expression or",
    ),
]


@pytest.mark.parametrize(("inputs", "target", "message"), BAD)
def test_bad_data(inputs: Any, target: Any, message: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        df.Problem.from_mapping(given(inputs, target))
    assert str(refused.value).startswith(message)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("formula", "function"),
    [
        ("x1*x2 - 1", lambda x: x[0] * x[1] - 1),
        ("where(x1 < x3, erf(x2), max(x1, abs(x3))**2)", None),
        ("2.5", lambda x: np.full(x.shape[1], 2.5)),
    ],
)
def test_formulas_of_several_inputs(formula: str, function: Any) -> None:
    """The targets that the engine integrates, against NumPy and SciPy."""
    from scipy.special import erf

    points = np.random.default_rng(91).normal(size=(20, 3))
    if function is None:

        def function(x: Any) -> Any:
            return np.where(x[0] < x[2], erf(x[1]), np.maximum(x[0], np.abs(x[2])) ** 2)

    problem = df.Problem(
        inputs=df.Points(points), target=df.Expression(formula), network=df.Network(2)
    )
    theta = np.zeros(problem.parameter_count)
    exact = np.mean(function(points.T) ** 2)
    np.testing.assert_allclose(problem.risk(theta), exact, rtol=1e-14)
