"""Eight initialisations in the lanes of vectors against one at a time: the same bits, alone or not.

The reference takes the steps with the scalar gradient and NumPy, so it shares neither the order of
neurons in memory nor the instructions with the kernel under test.
"""

from typing import Any

import numpy as np
import pytest

import descentflow as df
from descentflow.simd.arrays import Array
from descentflow.training.vectorized_layout import KINK, NEURON, SECTIONS, sort

LINE = {"kind": "affine", "slope": 1.0, "intercept": 0.25}
ZIGZAG = {
    "kind": "piecewise_linear",
    "knots": [-1.0, -0.5, 0.0, 0.0, 0.5, 1.0],
    "values": [0.0, 1.0, -1.0, 0.5, 0.5, -0.25],
}
GAMMA = 2.0**-6


def problem(target: dict[str, Any], hidden: int) -> df.Problem:
    return df.Problem.from_mapping(
        {
            "inputs": {"law": "uniform", "low": -1.0, "high": 1.0},
            "target": target,
            "network": {"hidden": hidden, "activation": "relu"},
        }
    )


def starts(hidden: int, count: int) -> Array:
    """Normal starts; ties of kinks, kinks at ends and knots, neurons dead and always active."""
    theta = np.random.default_rng([7, hidden]).normal(size=(count, 3 * hidden + 1))
    theta[1::5, 1:hidden] = theta[1::5, :1]
    theta[1::5, hidden : 2 * hidden] = 0.5 * theta[1::5, :1]  # all kinks at -1/2, a knot
    theta[2::5, hidden : 2 * hidden] = np.abs(theta[2::5, :hidden])  # all at the ends
    theta[3::5, hidden : 2 * hidden] = -3.0 * np.abs(theta[3::5, :hidden])  # all dead
    theta[4::5, hidden : 2 * hidden : 2] = 4.0  # every other active everywhere
    return theta


def stepped(setting: df.Problem, theta: Array, steps: int) -> Array:
    for _ in range(steps):
        theta = theta - GAMMA * setting.gradient(theta)
    return theta


@pytest.mark.parametrize("hidden", [1, 2, 5, 16, 33])
@pytest.mark.parametrize("target", [LINE, ZIGZAG], ids=["line", "zigzag"])
def test_lanes_have_the_bits_of_one_at_a_time(target: dict[str, Any], hidden: int) -> None:
    """With a last block of 3 lanes, kinks that change slots and neurons that die included."""
    setting, theta = problem(target, hidden), starts(hidden, 11)
    ended = df.descend(setting, theta, step_size=GAMMA, steps=300)["parameters"].values
    np.testing.assert_array_equal(ended, stepped(setting, theta, 300))


def test_a_lane_does_not_see_its_company() -> None:
    """Nor its place: alone, reversed, and beside lanes that leave the finite numbers early and late."""
    setting, theta = problem(ZIGZAG, 6), starts(6, 8)
    sizes = np.full(8, GAMMA)
    together = df.descend(setting, theta, step_size=sizes, steps=200)
    backwards = df.descend(setting, theta[::-1], step_size=sizes, steps=200)
    sizes[[1, 5]] = 50.0, 1e200
    among_lost = df.descend(setting, theta, step_size=sizes, steps=200)
    assert among_lost["status"].values.tolist() == [0, 1, 0, 0, 0, 1, 0, 0]
    kept = [0, 2, 3, 4, 6, 7]
    for name in ("parameters", "risk", "gradient_norm", "stopped_at"):
        values = together[name].values
        np.testing.assert_array_equal(backwards[name].values[::-1], values)
        np.testing.assert_array_equal(among_lost[name].values[kept], values[kept])
        for k in range(8):
            alone = df.descend(setting, theta[k], step_size=GAMMA, steps=200)
            np.testing.assert_array_equal(alone[name].values[0], values[k])


def test_a_lost_lane_stops_where_one_alone_does() -> None:
    """At the last finite state, with the number of the steps that led there."""
    setting, theta = problem(LINE, 3), starts(3, 8)
    lost = df.descend(setting, theta, step_size=50.0, steps=400)
    assert (lost["status"].values == 1).any()
    for k in np.flatnonzero(lost["status"].values == 1):
        steps = int(lost["stopped_at"].values[k])
        state = theta[k]
        for _ in range(steps):
            state = state - 50.0 * setting.gradient(state)
        np.testing.assert_array_equal(lost["parameters"].values[k], state)
        with np.errstate(over="ignore", invalid="ignore"):
            beyond = state - 50.0 * setting.gradient(state)
        assert not np.isfinite(beyond).all()


def test_sorting_is_by_kink_and_index() -> None:
    """Against NumPy, in the lanes that the bits name and in no others."""
    slots = 40
    rng = np.random.default_rng(3)
    rows = np.zeros((slots, SECTIONS, 8))
    rows[:, KINK] = rng.integers(0, 6, size=(slots, 8))
    rows[:, NEURON] = rng.permuted(np.tile(np.arange(slots), (8, 1)), axis=1).T
    rows[:, 0] = 100.0 * rows[:, KINK] + rows[:, NEURON]
    before = rows.copy()
    block = np.concatenate([rows.reshape(-1, 8), np.zeros((2, 8))])
    sort(block, np.uint64(slots), np.uint64(0b10100101))
    after = block[:-2].reshape(slots, SECTIONS, 8)
    for lane in range(8):
        order = np.lexsort((before[:, NEURON, lane], before[:, KINK, lane]))
        order = order if lane in (0, 2, 5, 7) else np.arange(slots)
        for section in (0, KINK, NEURON):
            np.testing.assert_array_equal(after[:, section, lane], before[order, section, lane])
