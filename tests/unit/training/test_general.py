"""Descent and flow on the quadrature and empirical engines.

Flows are compared with SciPy's at rtol 1e-12 or so; what a tolerance of 1e-9 may leave is that times
the condition of the flow, which is measured by the flow's own answer to a changed start.
"""

from typing import Any

import numpy as np
import pytest
from run_bits import digest, threads
from scipy.integrate import solve_ivp

import descentflow as df
from descentflow.simd.arrays import Array
from descentflow.training.descent import DescentState, StepSizes, descent_dataset
from descentflow.training.descent import advance as advance_descent
from descentflow.training.flow import FlowState, Tolerances, advance, flow_dataset
from descentflow.training.recording import record_steps, record_times, snapshot_steps

Mapping = dict[str, Any]

UNIT = 2.0**-53


def mapping_of(inputs: Mapping, target: Any, **network: Any) -> Mapping:
    """A problem's mapping."""
    return {"inputs": inputs, "target": target, "network": network}


INTERVAL: Mapping = {"law": "uniform"}
SQUARE: Mapping = {"law": "uniform", "rule": "tensor", "nodes": 6, "dimension": 2}
SQUARED = {"kind": "polynomial", "coefficients": [0.25, -1.0, 1.0]}
LINE = {"kind": "affine", "slope": 1.0}
STEP = {"kind": "step", "at": 0.5}
CONSTANTS = [{"kind": "constant", "value": 0.3}, {"kind": "constant", "value": -0.5}]

PROBLEMS: dict[str, df.Problem] = {
    name: df.Problem.from_mapping(mapping)
    for name, mapping in {
        "tanh": mapping_of(INTERVAL, LINE, hidden=1, activation="tanh"),
        "logistic": mapping_of(INTERVAL, STEP, hidden=2, activation="logistic"),
        "relu": mapping_of(INTERVAL, SQUARED, hidden=2, activation="relu"),
        "vectors": mapping_of(
            INTERVAL, [LINE, SQUARED], hidden=2, activation="leaky_relu", outputs=2
        ),
        "constants": mapping_of(INTERVAL, CONSTANTS, hidden=2, activation="relu", outputs=2),
        "square": mapping_of(SQUARE, CONSTANTS[0], hidden=2, activation="tanh"),
        "square constants": mapping_of(SQUARE, CONSTANTS, hidden=2, activation="relu", outputs=2),
        "points": mapping_of(
            {"law": "points", "points": [[0.1], [0.35], [0.6], [0.9]]},
            {"kind": "expression", "formula": "sin(3*x)"},
            hidden=2,
            activation="gelu",
        ),
    }.items()
}
HOMOGENEOUS = ("relu", "vectors", "constants", "square constants")
CONSTANT = ("constants", "square constants")


def starts(name: str, count: int) -> Array:
    """Standard normal parameters, kinks of relu mostly inside."""
    problem = PROBLEMS[name]
    rng = np.random.default_rng([81, *name.encode()])
    theta = rng.normal(size=(count, problem.parameter_count))
    if problem.layout.inputs == 1:
        hidden = problem.network.hidden
        inside = -theta[:, :hidden] * rng.uniform(0.1, 0.9, size=(count, hidden))
        theta[:, hidden : 2 * hidden] = inside
    return theta


# ---- descent


@pytest.mark.parametrize("name", PROBLEMS)
def test_descent_is_a_loop(name: str) -> None:
    """θ − γG(θ) in NumPy, up to the rounding of the gradients' last bits over the steps."""
    problem, theta = PROBLEMS[name], starts(name, 3)
    sizes = np.array([0.01, 0.05, 0.02])
    result = df.descend(problem, theta, step_size=sizes, steps=30, snapshots=3)
    at = theta.copy()
    for _ in range(30):
        at = at - sizes[:, None] * problem.gradient(at)
    np.testing.assert_allclose(result["parameters"].values, at, rtol=1e-13, atol=1e-15)
    risk = result["risk"].values
    np.testing.assert_array_equal(risk[:, 0], problem.risk(theta))
    np.testing.assert_array_equal(risk[:, -1], problem.risk(result["parameters"].values))
    norms = np.linalg.norm(problem.gradient(theta), axis=1)
    np.testing.assert_allclose(result["gradient_norm"].values[:, 0], norms, rtol=1e-14)
    assert ("lyapunov" in result) == ("lyapunov_increase" in result) == (name in CONSTANT)


@pytest.mark.parametrize("name", CONSTANT)
def test_lyapunov_along_descent(name: str) -> None:
    """V(θ − γG) = V − 8γL + γ²(|G|² + |G_c|²), summed over the steps; V from its definition."""
    problem, theta, gamma = PROBLEMS[name], starts(name, 4), 0.01
    result = df.descend(problem, theta, step_size=gamma, steps=50)
    outputs, expected, at = problem.network.outputs, 0.0, theta.copy()
    value = (theta**2).sum(axis=1) + ((theta[:, -outputs:] - problem.lyapunov.centres) ** 2).sum(1)
    np.testing.assert_allclose(result["lyapunov"].values[:, 0], value, rtol=1e-14)
    largest = np.full(4, -np.inf)
    for _ in range(50):
        slope = problem.gradient(at)
        squares = (slope**2).sum(axis=1) + (slope[:, -outputs:] ** 2).sum(axis=1)
        change = -8 * gamma * problem.risk(at) + gamma**2 * squares
        expected, largest = expected + change, np.maximum(largest, change)
        at = at - gamma * slope
    np.testing.assert_allclose(result["lyapunov"].values[:, -1], value + expected, rtol=1e-12)
    np.testing.assert_allclose(result["lyapunov_increase"].values, largest, rtol=0, atol=1e-13)


@pytest.mark.parametrize("name", ["vectors", "square constants"])
def test_descent_cut_and_on(name: str) -> None:
    """A run cut in two and one on another number of threads have the same bits."""
    problem, theta = PROBLEMS[name], starts(name, 7)
    sizes = np.full(7, 0.03)
    whole = df.descend(problem, theta, step_size=sizes, steps=100)
    with threads(1):
        state, ends = DescentState.start(theta), []
        for until in (37, 100):
            steps = record_steps(until, 20)
            steps = steps[steps >= state.step]
            state, records = advance_descent(
                problem, state, StepSizes(sizes), steps, snapshot_steps(until)[:0], 0
            )
            ends.append(descent_dataset(problem, state, records))
    assert state.parameters.tobytes() == whole["parameters"].values.tobytes()
    for variable in ("risk", "gradient_norm", "parameter_norm"):
        cut = ends[1][variable].sel(step=[100]).values
        assert cut.tobytes() == whole[variable].sel(step=[100]).values.tobytes()
    with threads(1):
        again = df.descend(problem, theta, step_size=sizes, steps=100)
    assert digest(again) == digest(whole)


def test_beyond_capacity_runs_stop() -> None:
    """Where the quadrature gives nan a run ends with a status, beside one that goes on."""
    problem = df.Problem.from_mapping(mapping_of(INTERVAL, LINE, hidden=1, activation="sin"))
    theta = np.array([[5e4, 0.1, 1.0, 0.2], [1.0, 0.1, 1.0, 0.2]])
    result = df.descend(problem, theta, step_size=0.01, steps=5)
    assert result["status"].values.tolist() == [1, 0]
    np.testing.assert_array_equal(result["parameters"].values[0], theta[0])
    assert result["stopped_at"].values.tolist() == [0, 5]


# ---- flow


def condition(problem: df.Problem, start: Array, end: float) -> float:
    """Largest change at the end for a change at the start, both in units of 1 + |θ|; at least 1."""
    change = 1e-7
    changed = np.vstack([start, start + change * np.diag(1 + np.abs(start))])
    ends = df.flow(problem, changed, until=end, rtol=1e-11, records_per_decade=1)
    values = ends["parameters"].values
    growth = np.abs(values[1:] - values[0]).sum(0) / (1 + np.abs(values[0])) / change
    return max(1.0, float(growth.max()))


@pytest.mark.parametrize("method", ["Radau", "LSODA"])
@pytest.mark.parametrize("name", PROBLEMS)
def test_flow_against_scipy(name: str, method: str) -> None:
    """To time 10 at rtol 1e-9 and 1e-11, within rtol times the condition and 1e-10 of SciPy's own.

    Where a kink passes an end of the interval the references lose some digits, as integrators of
    high order do: their stated error is that they agree with each other this far.
    """
    problem, end = PROBLEMS[name], 10.0
    for start in starts(name, 2):

        def right_hand_side(_: float, theta: Array) -> Array:
            return -problem.gradient(theta)

        more: Mapping = {"method": method, "rtol": 1e-11, "atol": 1e-12}
        if method == "Radau":
            more["jac"] = lambda _, theta: -problem.hessian(theta)
        exact = solve_ivp(right_hand_side, (0, end), start, **more).y[:, -1]
        sensitivity = condition(problem, start, end)
        for rtol in (1e-9, 1e-11):
            result = df.flow(problem, start[None], until=end, rtol=rtol, records_per_decade=1)
            assert result["status"].values.tolist() == [0]
            gap = np.abs(result["parameters"].values[0] - exact) / (1 + np.abs(exact))
            assert gap.max() <= (rtol + 1e-10) * sensitivity, (rtol, gap.max(), sensitivity)


@pytest.mark.parametrize("name", PROBLEMS)
def test_flow_identities(name: str) -> None:
    """To time 1000: the risk falls, by ∫|G|²; balances stay; V falls by 8∫L.

    Parameters are held to rtol = 1e-9 of themselves, so squares to 2·1e-9 |θ|(1 + |θ|) and risks, of
    size 1 here at the start, to 1e-8.
    """
    problem, theta = PROBLEMS[name], starts(name, 5)
    result = df.flow(problem, theta, until=1000.0, records_per_decade=5)
    assert (result["status"].values == 0).all()
    risk, size = result["risk"].values, result["parameter_norm"].values.max(axis=1)
    assert np.abs(risk[:, :1] - risk - result["dissipated"].values).max() <= 1e-8 * (
        1 + risk[:, 0].max()
    )
    assert (np.diff(risk, axis=1) <= 8 * UNIT * (1 + risk[:, :1])).all()
    assert ("balance_drift" in result) == (name in HOMOGENEOUS)
    assert ("lyapunov" in result) == ("integrated_risk" in result) == (name in CONSTANT)
    if name in HOMOGENEOUS:
        drift = result["balance_drift"].values
        # With several terms the start's balance is summed in another order: its rounding is all.
        assert (drift[:, 0] <= 8 * UNIT * (1 + size**2)).all()
        assert (drift.max(axis=1) <= 2e-9 * size * (1 + size)).all()
        w, b, v, _ = problem.layout.split(theta)
        before = (w**2).sum(axis=-1) + b**2 - (v**2).sum(axis=-2)
        w, b, v, _ = problem.layout.split(result["parameters"].values)
        after = (w**2).sum(axis=-1) + b**2 - (v**2).sum(axis=-2)
        gap = np.abs(np.abs(after - before).max(axis=1) - drift[:, -1])
        assert (gap <= 16 * UNIT * (1 + size**2)).all()
    if name in CONSTANT:
        value = result["lyapunov"].values
        off = value - value[:, :1] + 8 * result["integrated_risk"].values
        assert np.abs(off).max() <= 4e-9 * (1 + value.max())


@pytest.mark.parametrize("name", ["vectors", "square constants"])
def test_flow_cut_and_on(name: str) -> None:
    """A flow cut at a power of ten, and one on another number of threads, have the same bits."""
    problem, theta = PROBLEMS[name], starts(name, 7)
    tolerances, times = Tolerances(1e-8, 1e-8, 0.0, 100_000), record_times(100.0, 5)
    start = FlowState.start(theta, problem.layout)
    state, records = advance(problem, start, tolerances, times, times[:0], 2)
    whole = flow_dataset(problem, state, records)
    with threads(1):
        half, _ = advance(problem, start, tolerances, times[times <= 10.0], times[:0], 2)
        state, records = advance(problem, half, tolerances, times[times > 10.0], times[:0], 2)
        cut = flow_dataset(problem, state, records)
    late = whole.sel(time=times[times > 10.0])
    for variable in ("parameters", "step_count", "refused_count", "risk_increase", "status"):
        assert cut[variable].values.tobytes() == whole[variable].values.tobytes(), variable
    for variable in ("risk", "gradient_norm", "dissipated", "balance_drift"):
        values = (np.ascontiguousarray(data[variable].values) for data in (cut, late))
        assert next(values).tobytes() == next(values).tobytes(), variable
    alone = df.flow(problem, theta[3:4], until=100.0, rtol=1e-8, records_per_decade=5)
    assert alone["parameters"].values[0].tobytes() == whole["parameters"].values[3].tobytes()


def test_tanh_runs_off_at_its_rate() -> None:
    """H = 1, f = x: |v| grows like t^(1/6) and L falls like t^(−2/3) (docs/mathematics.md, 4.4).

    From the start given there the local slopes between 1e7 and 1e8 are within 2%.
    """
    result = df.flow(PROBLEMS["tanh"], [[0.6, 0.3, 1.6, -0.3]], until=1e8, snapshots=1)
    assert result["status"].values.tolist() == [0]
    risk = result["risk"].sel(time=[1e7, 1e8]).values[0]
    v = np.abs(result["snapshots"].sel(parameter=2).values[0, -2:])
    assert result["snapshot"].values[-2:].tolist() == [1e7, 1e8]
    assert np.log10(v[1] / v[0]) == pytest.approx(1 / 6, rel=0.02)
    assert np.log10(risk[1] / risk[0]) == pytest.approx(-2 / 3, rel=0.02)


def test_parabolas_attain_their_minimum() -> None:
    """ReLU, H = 2: the flow ends at or above 1/(180·3⁴), and from a good start at it (4.5)."""
    result = df.flow(PROBLEMS["relu"], starts("relu", 12), until=1e5, records_per_decade=1)
    least = 1 / (180 * 3**4)
    assert (result["risk"].values[:, -1] >= least * (1 - 1e-9)).all()
    good = np.array([[-1.2, 1.2, 0.4, -0.8, 0.9, 0.9, 0.02]])
    end = df.flow(PROBLEMS["relu"], good, until=1e5, records_per_decade=1)
    assert float(end["risk"].values[0, -1]) == pytest.approx(least, rel=1e-6)
