"""Arrays that people give to public functions: refused or read, and never changed."""

from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import xarray as xr

import descentflow as df
from descentflow.deep.step_sizes import stability_limit
from descentflow.errors import InputError
from descentflow.schema.arguments import real_array
from descentflow.studies.overparameterized import theory as deep_theory
from descentflow.studies.random_initializations import minima
from descentflow.training import critical_points, step_sizes

PROBLEM = df.Problem(inputs=df.Uniform(0, 1), target=df.Constant(0.5), network=df.Network(hidden=2))
MATRIX = np.array([[2.0, 1.0], [1.0, 3.0]])
TIMES = np.array([0.0, 1.0, 5.0, 10.0])
GRAM = {"architecture": "fully_connected", "activation": "erf", "depth": 2}

FUNCTIONS: dict[str, tuple[Callable[[Any], Any], Any]] = {
    "risk": (PROBLEM.risk, np.ones((3, 7))),
    "gradient": (PROBLEM.gradient, np.ones((3, 7))),
    "hessian": (PROBLEM.hessian, np.ones((3, 7))),
    "descend": (lambda x: df.descend(PROBLEM, x, step_size=0.1, steps=2), np.ones((3, 7))),
    "step_size": (
        lambda x: df.descend(PROBLEM, np.ones((3, 7)), step_size=x, steps=2),
        np.full(3, 0.1),
    ),
    "save_at": (
        lambda x: df.descend(PROBLEM, np.ones((3, 7)), step_size=0.1, steps=2, save_at=x),
        np.ones(1),
    ),
    "flow": (lambda x: df.flow(PROBLEM, x, until=1.0), np.ones((3, 7))),
    "optimize": (
        lambda x: df.optimize(PROBLEM, x, method="adam", step_size=0.1, steps=2),
        np.ones((3, 7)),
    ),
    "limit_gram": (lambda x: df.limit_gram(x, **GRAM), MATRIX),
    "realization": (lambda x: PROBLEM.network.realization(x, [0.5]), np.ones((3, 7))),
    "realization x": (lambda x: PROBLEM.network.realization(np.ones(7), x), TIMES),
    "constant": (df.Constant(1).evaluate, TIMES),
    "affine": (df.Affine(1).evaluate, TIMES),
    "piecewise linear": (df.PiecewiseLinear([0, 1], [2, 3]).evaluate, TIMES),
    "step": (df.Step(0.5).evaluate, TIMES),
    "polynomial": (df.Polynomial([1, 2]).evaluate, TIMES),
    "expression": (df.Expression("x*x").evaluate, TIMES),
    "refine": (lambda x: critical_points.refine_critical_points(PROBLEM, x), np.ones((3, 7))),
    "is_diverging": (lambda x: critical_points.is_diverging(x, [TIMES], [TIMES]), TIMES),
    "norms": (lambda x: critical_points.is_diverging(TIMES, x, [TIMES]), np.ones((1, 4))),
    "exponents": (lambda x: critical_points.exponents(TIMES, x, [TIMES]), np.ones((1, 4))),
    "lyapunov": (lambda x: step_sizes.lyapunov(PROBLEM, x), np.ones((3, 7))),
    "lyapunov_gradient": (lambda x: step_sizes.lyapunov_gradient(PROBLEM, x), np.ones((3, 7))),
    "limit": (lambda x: minima.limit_of(PROBLEM, x), np.ones(7)),
    "loss": (deep_theory.loss, np.ones((3, 2))),
    "loss_bound": (lambda x: deep_theory.loss_bound(1.0, 0.5, 0.5, x), TIMES),
    "change": (lambda x: deep_theory.first_order_change(MATRIX, x, 0.1), np.ones(2)),
    "linearised": (
        lambda x: deep_theory.linearised_residuals(MATRIX, x, 0.1, TIMES),
        np.ones(2),
    ),
    "fastest_mode": (deep_theory.fastest_mode, MATRIX),
    "stability_limit": (stability_limit, MATRIX),
    "points": (df.Points, np.array([[0.25], [0.5]])),
    "weights": (lambda x: df.Points([[0.25], [0.5]], x), np.full(2, 0.5)),
    "knots": (lambda x: df.PiecewiseLinear(x, TIMES), TIMES),
    "coefficients": (df.Polynomial, TIMES),
}
CONSTRUCTORS = ("points", "weights", "knots", "coefficients")
MAY_BE_NAN = ("norms", "exponents", "loss", "change", "linearised")


def fourfold(good: Any) -> Any:
    """Return an array with one dimension too many, and one more."""
    return np.ones((2, 2, *np.shape(good)))


def bad_arrays(name: str, good: Any) -> dict[str, Any]:
    """Return what no function may take in place of a good array."""
    first = (0,) * good.ndim
    unfinished = good.copy()
    unfinished[first] = np.nan
    mask = np.zeros(good.shape, bool)
    mask[first] = True
    masked = np.ma.array(good, mask=mask)
    bad = {
        "complex": good + 0.5j,
        "masked": masked,
        "list of masked": list(masked) if good.ndim > 1 else [np.ma.masked, *good[1:]],
        "text": good.astype(str),
        "truth values": good > 0,
        "objects": np.full(good.shape, None),
        "decimals": np.full(good.shape, Decimal(1)),
        "dates": np.full(good.shape, np.datetime64("2001-01-01")),
    }
    return bad if name in MAY_BE_NAN else bad | {"nan": unfinished, "infinite": unfinished * np.inf}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_no_function_guesses(name: str) -> None:
    function, good = FUNCTIONS[name]
    for kind, bad in bad_arrays(name, good).items():
        if name in CONSTRUCTORS and kind == "text":
            continue  # numbers written as text are numbers in a configuration
        with pytest.raises(InputError):
            raise AssertionError(f"{kind}: taken, as {function(bad)!r}")


SHAPELESS = ("constant", "affine", "piecewise linear", "step", "polynomial", "expression", "loss")
ANY_BEFORE = ("risk", "gradient", "hessian", "realization", "lyapunov", "lyapunov_gradient")


@pytest.mark.parametrize("name", sorted(FUNCTIONS.keys() - {*SHAPELESS, *ANY_BEFORE, "loss_bound"}))
def test_shapes_are_known(name: str) -> None:
    function, good = FUNCTIONS[name]
    empty = np.zeros((0, *good.shape[1:]))
    for bad in (fourfold(good), [], empty):
        if name in ("save_at", "realization x", "refine") and np.size(bad) == 0:
            continue  # nothing to save, nowhere to evaluate, nothing to refine
        with pytest.raises(InputError):
            function(bad)


@pytest.mark.parametrize("name", ANY_BEFORE)
def test_batches_of_any_shape(name: str) -> None:
    """One θ, none at all, and a grid of them; another length is refused."""
    function, _ = FUNCTIONS[name]
    theta = np.linspace(0.1, 1.0, 7)
    one = np.asarray(function(theta))
    assert np.asarray(function(np.zeros((0, 7)))).shape == (0, *one.shape)
    many = np.asarray(function(np.tile(theta, (2, 3, 1))))
    np.testing.assert_allclose(many, np.broadcast_to(one, (2, 3, *one.shape)), rtol=1e-15)
    for bad in (np.ones(6), np.ones((7, 3)), 1.0, []):
        with pytest.raises(InputError, match="theta"):
            function(bad)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_inputs_stay_as_they_are(name: str) -> None:
    """Written to by nobody; read-only, strided and foreign ones give the same as a plain one."""
    function, good = FUNCTIONS[name]
    before = good.copy()
    expected = function(good)
    np.testing.assert_array_equal(good, before)
    frozen = good.copy()
    frozen.setflags(write=False)
    strided = np.repeat(good, 2, axis=-1)[..., ::2]
    foreign = good.astype(good.dtype.newbyteorder())
    labelled = [] if name in CONSTRUCTORS else [xr.DataArray(good)]
    for same in (frozen, strided, foreign, *labelled, np.ma.array(good), good.tolist()):
        result = function(same)
        if isinstance(expected, xr.Dataset):
            xr.testing.assert_identical(result, expected)
        elif isinstance(expected, np.ndarray | tuple | float | int):
            np.testing.assert_array_equal(result, expected)
        else:
            assert result == expected


def test_numbers_of_other_types() -> None:
    fractions = real_array("x", [Fraction(1, 4), 2, np.float32(0.5)])
    assert fractions.tolist() == [0.25, 2.0, 0.5]
    assert real_array("x", np.array([3], np.uint8)).dtype == np.float64
    with pytest.raises(InputError, match="x: every entry must be finite"):
        real_array("x", [10**400])
    with pytest.raises(InputError, match="x: rows of numbers, all of one length"):
        real_array("x", [[1.0], [1.0, 2.0]])
    with pytest.raises(InputError, match="x: real numbers are needed, found complex ones"):
        real_array("x", [1j])
    with pytest.raises(InputError, match="x: has masked entries"):
        real_array("x", np.ma.masked_less([1.0, 2.0], 1.5))


START, HUGE = np.ones((1, 7)), 10**400
ABSURD: dict[str, tuple[Callable[[], Any], str]] = {
    "no problem": (lambda: df.descend(None, START, step_size=0.1, steps=1), "problem: a Problem"),
    "no problem of a flow": (lambda: df.flow("x", START, until=1.0), "problem: .* found str"),
    "step size": (lambda: df.descend(PROBLEM, START, step_size=HUGE, steps=1), "step_size: "),
    "steps": (lambda: df.descend(PROBLEM, START, step_size=0.1, steps=HUGE), "steps: "),
    "until": (lambda: df.flow(PROBLEM, START, until=HUGE), "until: a number of moderate size"),
    "max_steps": (lambda: df.flow(PROBLEM, START, until=1.0, max_steps=HUGE), "max_steps: "),
    "terabytes of records": (
        lambda: df.descend(PROBLEM, START, step_size=0.1, steps=9, records_per_decade=10**13),
        "records_per_decade: .*allowed: 1 to 1000",
    ),
    "a flow's": (
        lambda: df.flow(PROBLEM, START, until=1.0, records_per_decade=10**13),
        "records_per_decade: .*allowed: 1 to 1000",
    ),
    "depth": (lambda: df.limit_gram(MATRIX, **{**GRAM, "depth": HUGE}), "depth: "),
    "slope": (lambda: df.Affine(HUGE), "slope: a number of moderate size"),
}


@pytest.mark.parametrize(("call", "says"), ABSURD.values(), ids=ABSURD.keys())
def test_absurd_values_are_refused(call: Callable[[], Any], says: str) -> None:
    """Before they overflow a double or ask for terabytes."""
    with pytest.raises(InputError, match=says):
        call()
