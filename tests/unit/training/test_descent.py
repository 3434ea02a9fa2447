"""Gradient descent against the same steps in rational arithmetic, and its bits."""

from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import xarray as xr
from rational import UNIT, Exact, distance, fractions
from run_bits import check_threads, digest

import descentflow as df
from descentflow.simd.arrays import Array

Mapping = dict[str, Any]

TARGETS: dict[str, tuple[tuple[float, float], Mapping]] = {
    "constant": ((0.0, 1.0), {"kind": "constant", "value": 0.3}),
    "wide-constant": ((-1.0, 2.0), {"kind": "constant", "value": -1.7}),
    "hinges": (
        (0.0, 1.0),
        {"kind": "piecewise_linear", "knots": [0.0, 0.5, 1.0], "values": [0.5, 0.0, 0.5]},
    ),
    "wide-jumps": (
        (-1.0, 2.0),
        {
            "kind": "piecewise_linear",
            "knots": [-1.0, 0.1, 0.1, 0.7, 2.0],
            "values": [0.3, -0.2, 0.9, 1.1, -0.4],
        },
    ),
    "step": ((0.0, 1.0), {"kind": "step", "at": 0.5, "below": 0.0, "above": 1.0}),
}
CONSTANTS = ("constant", "wide-constant")
GAMMA = 0.03
RECORDED = ("risk", "gradient_norm", "parameter_norm")


def mapping_of(target: str, hidden: int) -> Mapping:
    """A problem's mapping."""
    (low, high), kind = TARGETS[target]
    return {
        "inputs": {"law": "uniform", "low": low, "high": high},
        "target": kind,
        "network": {"hidden": hidden, "activation": "relu"},
    }


def starts(target: str, hidden: int, count: int, seed: int = 21) -> Array:
    """Initial parameters with at least half of the kinks inside."""
    rng = np.random.default_rng([seed, hidden, *target.encode()])
    low, high = TARGETS[target][0]
    theta = rng.normal(size=(count, 3 * hidden + 1))
    kinks = rng.uniform(low, high, size=(count, hidden))
    half = slice(0, (hidden + 1) // 2)
    theta[:, hidden : 2 * hidden][:, half] = (-theta[:, :hidden] * kinks)[:, half]
    return theta


def descend(
    mapping: Mapping, theta: Array, steps: int, size: Any = GAMMA, **more: Any
) -> xr.Dataset:
    """Run the package."""
    problem = df.Problem.from_mapping(mapping)
    return df.descend(problem, theta, step_size=size, steps=steps, **more)


def state(mapping: Mapping, theta: Array, steps: int, size: float = GAMMA) -> Array:
    """The parameters after so many steps from one start; the start itself after none."""
    if steps == 0:
        return theta.copy()
    result = descend(mapping, theta[None], steps, size)
    return np.array(result["parameters"].values[0])


def same_bits(left: xr.Dataset, right: xr.Dataset) -> None:
    """Every variable has the same bytes."""
    assert set(left.data_vars) == set(right.data_vars)
    for name in left.data_vars:
        a, b = left[name].values, right[name].values
        assert a.shape == b.shape, name
        assert a.tobytes() == b.tobytes(), name


# ---- against rational arithmetic


@pytest.mark.parametrize("hidden", [1, 2, 3, 16])
@pytest.mark.parametrize("target", TARGETS)
def test_every_step_is_a_step(target: str, hidden: int) -> None:
    """Each state is one exact step from the state before, to the rounding of one step."""
    mapping = mapping_of(target, hidden)
    (start,) = starts(target, hidden, 1)
    before = start
    for n in range(3 if hidden > 3 else 8):
        exact = Exact(mapping, before)
        after = state(mapping, start, n + 1)
        off = distance(after, exact.step(GAMMA))
        room = exact.step_error(GAMMA)
        assert (off <= room).all(), (n, off / room)
        for j in range(hidden):
            if exact.dead[j]:
                assert (after[j::hidden][:3] == before[j::hidden][:3]).all()
        before = after


@pytest.mark.parametrize("target", TARGETS)
def test_three_steps_without_any_rounding(target: str) -> None:
    """Three steps in plain fractions; the errors of doubles stay near the unit roundoff."""
    mapping = mapping_of(target, 1)
    (start,) = starts(target, 1, 1, seed=22)
    exact = fractions(start)
    for _ in range(3):
        exact = Exact(mapping, exact).step(GAMMA)
    size = max(1.0, np.abs(start).max())
    assert distance(state(mapping, start, 3), exact).max() <= 500 * UNIT * size


@pytest.mark.parametrize("hidden", [1, 3])
@pytest.mark.parametrize("target", TARGETS)
def test_a_longer_orbit(target: str, hidden: int) -> None:
    """Fifty steps against fractions rounded to 200 bits after each step.

    The bound is that of one step, carried along by I - gamma H, with room for one per cent of
    difference between the Hessians on the two orbits.
    """
    steps = 50
    mapping = mapping_of(target, hidden)
    (start,) = starts(target, hidden, 1, seed=23)
    exact, room = Exact(mapping, start), 0.0
    for _ in range(steps):
        hessian = np.array([[float(entry) for entry in row] for row in exact.hessian])
        spectrum = np.linalg.eigvalsh(hessian)
        growth = np.abs(1 - GAMMA * spectrum).max() + 0.01 * GAMMA * np.abs(spectrum).max()
        room = growth * room + float(np.linalg.norm(exact.step_error(GAMMA)))
        exact = Exact(mapping, exact.step(GAMMA, bits=200))
    assert room < 1e-11
    assert np.linalg.norm(distance(state(mapping, start, steps), exact.theta)) <= room


@pytest.mark.parametrize("target", TARGETS)
def test_records_are_those_of_the_states(target: str) -> None:
    """Risk, gradient norm and parameter norm at each recorded step, for several starts."""
    mapping = mapping_of(target, 2)
    theta = starts(target, 2, 3)
    result = descend(mapping, theta, 30, records_per_decade=4)
    for column, n in enumerate(result["step"].values):
        for row in range(3):
            exact = Exact(mapping, state(mapping, theta[row], int(n)))
            record = result.isel(initialization=row, step=column)
            assert distance([record["risk"].item()], [exact.risk])[0] <= exact.risk_error
            gradient = np.array([float(g) for g in exact.gradient])
            norm = np.linalg.norm(gradient)
            room = np.linalg.norm(exact.gradient_error) + 20 * UNIT * norm
            assert abs(record["gradient_norm"].item() - norm) <= room
            norm = np.linalg.norm([float(x) for x in exact.theta])
            assert abs(record["parameter_norm"].item() - norm) <= 20 * UNIT * norm


@pytest.mark.parametrize("target", TARGETS)
def test_balance_along_the_orbit(target: str) -> None:
    """mathematics 0.5: w^2 + b^2 - v^2 changes by gamma^2 (G_w^2 + G_b^2 - G_v^2) at each step."""
    hidden, steps = 3, 12
    mapping = mapping_of(target, hidden)
    (start,) = starts(target, hidden, 1, seed=24)
    sign = np.repeat([1, 1, -1], hidden)
    orbit = [start, *(state(mapping, start, n) for n in range(1, steps + 1))]
    predicted = [Fraction(0)] * hidden
    room = np.zeros(hidden)
    for before in orbit[:-1]:
        exact = Exact(mapping, before)
        error = exact.step_error(GAMMA)
        after = np.array([abs(float(x)) for x in exact.step(GAMMA)])
        for i in range(hidden):
            for k in range(i, 3 * hidden, hidden):
                predicted[i] += int(sign[k]) * (Fraction(GAMMA) * exact.gradient[k]) ** 2
                room[i] += 2 * after[k] * error[k] + error[k] ** 2
    first, last = fractions(start), fractions(orbit[-1])
    for i in range(hidden):
        measured = sum(
            int(sign[k]) * (last[k] ** 2 - first[k] ** 2) for k in range(i, 3 * hidden, hidden)
        )
        assert abs(measured - predicted[i]) <= room[i]


# ---- dead networks


@pytest.mark.parametrize("size", [0.03, 0.4, 0.9])
@pytest.mark.parametrize("target", TARGETS)
def test_a_dead_network_forgets_geometrically(target: str, size: float) -> None:
    """mathematics 0.5: c_n = mean f + (1 - 2 gamma)^n (c_0 - mean f); all else stays, bit by bit."""
    mapping = mapping_of(target, 2)
    start = np.array([1.0, -1.0, -9.0, -9.0, 3.0, -2.0, 0.7])
    exact = Exact(mapping, start)
    mean = exact.c - exact.gradient[-1] / 2
    for n in (1, 2, 17, 100):
        after = state(mapping, start, n, size)
        assert after[:-1].tobytes() == start[:-1].tobytes()
        expected = mean + (1 - 2 * Fraction(size)) ** n * (exact.c - mean)
        # each step adds one step's rounding and shrinks what was there
        room = min(n, 1 / (1 - abs(1 - 2 * size))) * 2 * exact.step_error(size)[-1]
        assert distance(after[-1:], [expected])[0] <= room


def test_a_network_may_die_but_the_dead_stay_dead() -> None:
    """A large step kills the only neuron; from then on it does not move."""
    mapping = mapping_of("constant", 1)
    start = np.array([1.0, -0.5, 4.0, 5.0])
    assert not Exact(mapping, start).dead[0]
    killed = state(mapping, start, 1, 0.4)
    assert Exact(mapping, killed).dead[0]
    later = state(mapping, start, 50, 0.4)
    assert later[:3].tobytes() == killed[:3].tobytes()
    assert later[3] == pytest.approx(0.3, rel=1e-14)


# ---- the Lyapunov function


@pytest.mark.parametrize("size", [0.01, 0.2, 0.45])
@pytest.mark.parametrize("target", CONSTANTS)
def test_lyapunov_function(target: str, size: float) -> None:
    """V at the records, and the largest V_{n+1} - V_n over every step, recorded or not."""
    mapping = mapping_of(target, 2)
    steps, theta = 25, starts(target, 2, 3, seed=25)
    result = descend(mapping, theta, steps, size, records_per_decade=2)
    assert result["lyapunov"].dims == ("initialization", "step")
    assert result["lyapunov_increase"].dims == ("initialization",)
    assert result.sizes["step"] < steps
    for row in range(3):
        orbit = [Exact(mapping, state(mapping, theta[row], n, size)) for n in range(steps + 1)]
        for column, n in enumerate(result["step"].values):
            off = distance([result["lyapunov"].values[row, column]], [orbit[n].lyapunov])
            assert off[0] <= orbit[n].lyapunov_error
        increases = [after.lyapunov - before.lyapunov for before, after in pairwise(orbit)]
        off = distance([result["lyapunov_increase"].values[row]], [max(increases)])
        assert off[0] <= 2 * max(point.lyapunov_error for point in orbit)


def test_lyapunov_function_grows_for_large_steps_and_falls_below_the_bound() -> None:
    """mathematics 1.3: gamma <= 2 / ((1 + E X^2) V_0 + 2) makes V non-increasing."""
    mapping = mapping_of("wide-constant", 3)
    theta = starts("wide-constant", 3, 20, seed=26)
    initial = np.array([float(Exact(mapping, row).lyapunov) for row in theta])
    bound = 2 / (2 * initial + 2)  # E X^2 = 1 on [-1, 2]
    result = descend(mapping, theta, 3000, bound)
    assert (result["status"].values == 0).all()
    assert (result["lyapunov_increase"].values <= 1e-14 * initial).all()
    assert (result["lyapunov"].values[:, -1] <= initial).all()
    wild = descend(mapping, theta, 20, 30 * bound)
    assert (wild["lyapunov_increase"].values > 0).any()


def test_lyapunov_function_is_for_constant_targets_only() -> None:
    """No other target has it."""
    result = descend(mapping_of("hinges", 1), starts("hinges", 1, 2), 5)
    assert "lyapunov" not in result
    assert "lyapunov_increase" not in result


# ---- the dataset


def test_layout() -> None:
    """Dimensions, coordinates and flags as documented."""
    theta = starts("hinges", 2, 4)
    result = descend(mapping_of("hinges", 2), theta, 1234)
    for name in RECORDED:
        assert result[name].dims == ("initialization", "step")
        assert result[name].dtype == np.float64
        assert np.isfinite(result[name].values).all()
    assert result["parameters"].dims == ("initialization", "parameter")
    assert result["parameters"].shape == theta.shape
    assert (result["stopped_at"].values == 1234).all()
    assert (result["status"].values == 0).all()
    assert {"flag_values", "flag_meanings"} <= set(result["status"].attrs)
    flags = result["status"].attrs
    assert len(np.atleast_1d(flags["flag_values"])) == len(flags["flag_meanings"].split())


@pytest.mark.parametrize("steps", [1, 2, 9, 10, 11, 1000, 1234])
@pytest.mark.parametrize("density", [1, 5, 30])
def test_recorded_steps(steps: int, density: int) -> None:
    """Whole numbers, increasing, with 0 and the last, about so many in each decade."""
    theta = starts("hinges", 1, 1)
    recorded = descend(mapping_of("hinges", 1), theta, steps, records_per_decade=density)["step"]
    values = recorded.values
    assert np.issubdtype(values.dtype, np.integer)
    assert values[0] == 0
    assert values[-1] == steps
    assert (np.diff(values) > 0).all()
    for decade in (1, 10, 100):
        inside = ((values >= decade) & (values < 10 * decade)).sum()
        assert inside <= density + 2
        if 10 * decade <= steps:
            assert inside >= min(density, 9 * decade) * 0.6


def test_a_longer_run_extends_a_shorter_one() -> None:
    """Records but for the last step are the same steps and the same bits."""
    mapping, theta = mapping_of("wide-jumps", 3), starts("wide-jumps", 3, 3)
    short, long = (descend(mapping, theta, steps) for steps in (123, 1000))
    common = short["step"].values[:-1]
    assert set(common) <= set(long["step"].values)
    for name in RECORDED:
        a = np.ascontiguousarray(short[name].sel(step=common).values)
        assert a.tobytes() == np.ascontiguousarray(long[name].sel(step=common).values).tobytes()


def test_descent_remembers_nothing_but_the_state() -> None:
    """70 steps are 29 steps and 41 steps, bit by bit."""
    mapping, theta = mapping_of("wide-jumps", 5), starts("wide-jumps", 5, 6)
    whole = descend(mapping, theta, 70)
    first = descend(mapping, theta, 29)
    second = descend(mapping, first["parameters"].values, 41)
    for name in ("parameters", *RECORDED):
        a = whole[name].values[..., -1:] if name in RECORDED else whole[name].values
        b = second[name].values[..., -1:] if name in RECORDED else second[name].values
        assert np.ascontiguousarray(a).tobytes() == np.ascontiguousarray(b).tobytes()


@pytest.mark.parametrize("steps", [7, 10, 250])
def test_snapshots(steps: int) -> None:
    """States at 0, powers of ten and the last step, for the first few; NaN for the others."""
    mapping, theta = mapping_of("hinges", 2), starts("hinges", 2, 4)
    result = descend(mapping, theta, steps, snapshots=2)
    assert result["snapshots"].dims == ("initialization", "snapshot", "parameter")
    times = [0, *(10**k for k in range(4) if 10**k < steps), steps]
    assert result["snapshot"].values.tolist() == times
    assert np.isnan(result["snapshots"].values[2:]).all()
    for row in range(2):
        for column, n in enumerate(times):
            taken = np.ascontiguousarray(result["snapshots"].values[row, column])
            assert taken.tobytes() == state(mapping, theta[row], n).tobytes()
    without = descend(mapping, theta, steps)
    for name in (*RECORDED, "parameters", "stopped_at", "status", "step"):
        assert without[name].values.tobytes() == result[name].values.tobytes()


def test_the_start_is_left_alone() -> None:
    """theta0 is not written to, whatever its memory layout, and need not be contiguous."""
    mapping, theta = mapping_of("hinges", 2), starts("hinges", 2, 4)
    before = theta.copy()
    plain = descend(mapping, theta, 20)
    assert theta.tobytes() == before.tobytes()
    same_bits(plain, descend(mapping, np.asfortranarray(theta), 20))
    same_bits(plain, descend(mapping, np.repeat(theta, 2, axis=0)[::2], 20))
    theta.setflags(write=False)
    same_bits(plain, descend(mapping, theta, 20))


# ---- step sizes


def test_one_step_size_for_each_initialization() -> None:
    """Row k with its own step size is the run of row k alone."""
    mapping, theta = mapping_of("constant", 3), starts("constant", 3, 5)
    sizes = np.array([0.001, 0.01, 0.05, 0.1, 0.3])
    result = descend(mapping, theta, 40, sizes)
    for row in range(5):
        alone = descend(mapping, theta[row : row + 1], 40, float(sizes[row]))
        for name in (*RECORDED, "parameters", "lyapunov", "lyapunov_increase", "status"):
            assert result[name].values[row].tobytes() == alone[name].values[0].tobytes()
    exact = Exact(mapping, theta[4])
    one = descend(mapping, theta, 1, sizes)["parameters"].values[4]
    assert (distance(one, exact.step(0.3)) <= exact.step_error(0.3)).all()


@pytest.mark.parametrize("bad", [0.0, -0.0, -0.1, np.nan, np.inf, -np.inf])
def test_bad_step_sizes_are_refused(bad: float) -> None:
    """Alone, and as one among many."""
    mapping, theta = mapping_of("hinges", 1), starts("hinges", 1, 3)
    for size in (bad, np.array([0.1, bad, 0.1])):
        with pytest.raises(ValueError, match="step"):
            descend(mapping, theta, 5, size)


@pytest.mark.parametrize("shape", [(2,), (4,), (3, 1), (1, 3)])
def test_wrong_numbers_of_step_sizes_are_refused(shape: tuple[int, ...]) -> None:
    """One, or one for each initialisation."""
    mapping, theta = mapping_of("hinges", 1), starts("hinges", 1, 3)
    with pytest.raises(ValueError, match="step"):
        descend(mapping, theta, 5, np.full(shape, 0.1))


@pytest.mark.parametrize("shape", [(3, 3), (3, 5), (2, 3, 3)])
def test_wrong_starts_are_refused(shape: tuple[int, ...]) -> None:
    """theta0 is (K, P)."""
    with pytest.raises(ValueError, match=r"4|shape|parameter|theta"):
        descend(mapping_of("hinges", 1), np.zeros(shape), 5)


@pytest.mark.parametrize("steps", [-1, -100])
def test_negative_numbers_of_steps_are_refused(steps: int) -> None:
    """There are no negative steps."""
    with pytest.raises(ValueError, match="step"):
        descend(mapping_of("hinges", 1), starts("hinges", 1, 1), steps)


# ---- divergence


def test_divergence_stops_at_the_last_finite_state() -> None:
    """A dead network at gamma = 3/2 has c_n = (-2)^n exactly, and leaves the doubles at 1024."""
    mapping = mapping_of("constant", 1)
    mapping["target"] = {"kind": "constant", "value": 0.0}
    start = np.array([[1.0, -2.0, 3.0, 1.0]])
    result = descend(mapping, start, 3000, 1.5, snapshots=1)
    assert result["status"].values.tolist() == [1]
    assert result["stopped_at"].values.tolist() == [1023]
    np.testing.assert_array_equal(result["parameters"].values, [[1.0, -2.0, 3.0, -(2.0**1023)]])
    step = result["step"].values
    early = step <= 500
    np.testing.assert_array_equal(result["risk"].values[0, early], 4.0 ** step[early])
    np.testing.assert_array_equal(
        result["gradient_norm"].values[0, early], 2.0 * 2.0 ** step[early]
    )
    for name in (*RECORDED, "lyapunov"):
        assert np.isnan(result[name].values[0, step > 1023]).all()
    times = result["snapshot"].values
    assert times.tolist() == [0, 1, 10, 100, 1000, 3000]
    np.testing.assert_array_equal(result["snapshots"].values[0, :5, -1], (-2.0) ** times[:5])
    assert np.isnan(result["snapshots"].values[0, 5]).all()
    shorter = descend(mapping, start, 1023, 1.5)
    assert shorter["status"].values.tolist() == [0]
    assert shorter["parameters"].values[0, -1] == -(2.0**1023)


def test_divergence_is_isolated() -> None:
    """Rows that leave the finite numbers change no bit of the others."""
    mapping, theta = mapping_of("wide-jumps", 3), starts("wide-jumps", 3, 7)
    sizes = np.array([0.01, 50.0, 0.02, 0.01, 80.0, 0.03, 0.01])
    result = descend(mapping, theta, 800, sizes, snapshots=7)
    wild = sizes > 1
    assert result["status"].values.tolist() == wild.astype(int).tolist()
    assert np.isfinite(result["parameters"].values).all()
    assert (result["stopped_at"].values[wild] < 800).all()
    for row in np.flatnonzero(wild):
        after = result["step"].values > result["stopped_at"].values[row]
        assert after.any()
        for name in RECORDED:
            assert np.isnan(result[name].values[row, after]).all()
    calm = descend(mapping, theta[~wild], 800, sizes[~wild], snapshots=5)
    same_bits(calm, result.isel(initialization=np.flatnonzero(~wild)))


# ---- bits


def bits_of_a_run() -> str:
    """The digest of a run with all kinds of rows."""
    theta = starts("wide-jumps", 5, 43)
    theta[5] = 0.0
    theta[6, 5:10] = -50.0
    sizes = np.linspace(0.001, 0.05, 43)
    sizes[7] = 90.0
    return digest(descend(mapping_of("wide-jumps", 5), theta, 400, sizes, snapshots=3))


@pytest.mark.parametrize("count", [1, 7])
def test_chunks_have_the_bits_of_the_whole(count: int) -> None:
    """Splitting the initialisations changes nothing."""
    mapping, theta = mapping_of("constant", 5), starts("constant", 5, 43)
    sizes = np.linspace(0.001, 0.2, 43)
    whole = descend(mapping, theta, 100, sizes)
    parts = [
        descend(mapping, theta[k : k + count], 100, sizes[k : k + count])
        for k in range(0, 43, count)
    ]
    for name in (*RECORDED, "parameters", "status", "stopped_at", "lyapunov", "lyapunov_increase"):
        joined = np.concatenate([part[name].values for part in parts])
        assert joined.tobytes() == whole[name].values.tobytes(), name


def test_threads() -> None:
    """The number of threads changes no bit, in this process and in others."""
    check_threads(__file__, bits_of_a_run)
