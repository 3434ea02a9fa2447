"""Step sizes that fall, against Python's own powers and a loop over the library's gradient."""

from fractions import Fraction

import mpmath
import numpy as np
import pytest

import descentflow as df
from descentflow.errors import ConfigurationError
from descentflow.training.decay import CONSTANT, NEVER, Decay, relative_step, unchanged_until

DECAYS = [Decay(0.1), Decay(0.5), Decay(1.0), Decay(10.0), Decay(0.0, 0.5, 7), Decay(0.3, 0.9, 500)]
STEPS = [0, 1, 2, 6, 7, 13, 99, 499, 500, 12345, 2**30 - 1, 10**13]


@pytest.mark.parametrize("decay", DECAYS)
def test_relative_steps(decay: Decay) -> None:
    """(n+1)^(−p) q^⌊(n+1)/k⌋ by mpmath with 40 digits.

    The exponent p ln(n+1) is below 300 and has an error of some 4 units in the last place, so the power
    is right to 300 · 4 · 2^-53 < 2e-13. The squares of a power of q double their relative errors.
    """
    with mpmath.workdps(40):
        for n in STEPS:
            exact = mpmath.mpf(n + 1) ** -mpmath.mpf(decay.power)
            if decay.every:
                exact *= mpmath.mpf(decay.factor) ** ((n + 1) // decay.every)
            if exact < 1e-280:  # underflow
                assert relative_step(decay, n) < 1e-279
                continue
            bound = 2e-15 + 2e-15 * decay.power * float(mpmath.log(n + 1))
            bound += 2.3e-16 * ((n + 1) // decay.every if decay.every else 0)
            assert abs(relative_step(decay, n) / exact - 1) < bound


def test_when_they_change() -> None:
    assert relative_step(CONSTANT, 123) == 1.0
    assert unchanged_until(CONSTANT, 5) == NEVER
    for decay in DECAYS:
        for n in (0, 1, 5, 6, 7, 498, 499):
            end = unchanged_until(decay, n)
            values = {relative_step(decay, m) for m in range(n, end)}
            assert len(values) == 1
            assert relative_step(decay, end) not in values


SCHEDULES = [
    df.StepSchedule(0.3, power=0.5),
    df.StepSchedule(0.3, factor=0.5, every=7),
    df.StepSchedule(0.3, power=0.1, factor=0.9, every=3),
]
PROBLEMS = {
    "lanes": df.Problem(inputs=df.Uniform(), target=df.Affine(1), network=df.Network(3)),
    "rows": df.Problem(
        inputs=df.Points([0.1, 0.4, 0.8]), target=df.Affine(1), network=df.Network(3, "tanh")
    ),
}


@pytest.mark.parametrize("kernel", PROBLEMS)
@pytest.mark.parametrize("schedule", SCHEDULES, ids=repr)
def test_descent(kernel: str, schedule: df.StepSchedule) -> None:
    """A loop with the same step sizes gives the same bits, in both kernels."""
    problem = PROBLEMS[kernel]
    theta = np.random.default_rng(81).normal(size=(9, problem.parameter_count))
    run = df.descend(problem, theta, step_size=schedule, steps=60)
    decay = Decay(schedule.power, schedule.factor, schedule.every or 0)
    for n in range(60):
        theta = theta - schedule.initial * relative_step(decay, n) * problem.gradient(theta)
    assert run["parameters"].values.tobytes() == theta.tobytes()


def test_halves_are_exact() -> None:
    """Powers of ½ have no rounding."""
    decay = Decay(0.0, 0.5, 500)
    for n in (0, 498, 499, 10_000):
        assert Fraction(relative_step(decay, n)) == Fraction(1, 2 ** ((n + 1) // 500))


def test_bad_schedules() -> None:
    for words in ({"factor": 0.5}, {"every": 3}):
        with pytest.raises(ConfigurationError, match=r"^every: belongs to a factor below 1"):
            df.StepSchedule(0.1, **words)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match=r"^power: .*0 to 10"):
        df.StepSchedule(0.1, power=-1)
