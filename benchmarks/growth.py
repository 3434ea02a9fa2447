"""How the cost of each kernel grows with the size of its problem: measured exponents and a figure.

Every kernel is timed on one core for sizes that double; the exponent is the slope of a straight line
through log time over log size, beside what counting the algorithm's operations predicts. Timings take
turns over ``--rounds``, the least of each is kept. The figure goes to the path given by ``--figure``.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numba
import numpy as np

import descentflow as df
from descentflow.simd.arrays import Array
from descentflow.studies import style

Call = Callable[[], Any]


@dataclass(frozen=True)
class Series:
    """One kernel over one size: how to make a call of each size, and the predicted exponent."""

    label: str
    axis: str
    sizes: Sequence[int]
    predicted: float
    call: Callable[[int], Call]


def shallow(hidden: int | list[int], activation: str = "relu") -> df.Problem:
    """f = x on [0, 1]; smooth activations take the quadrature engine."""
    return df.Problem.from_mapping(
        {
            "inputs": {"law": "uniform", "low": 0.0, "high": 1.0},
            "target": {"kind": "affine", "slope": 1.0, "intercept": 0.0},
            "network": {"hidden": hidden, "activation": activation},
        }
    )


def starts(count: int, hidden: int) -> Array:
    """Standard normal starts (count, 3H+1)."""
    return np.random.default_rng([count, hidden]).standard_normal((count, 3 * hidden + 1))


def descent(count: int, hidden: int, steps: int, activation: str = "relu") -> Call:
    """Gradient descent with as few records as there can be."""
    problem, theta = shallow(hidden, activation), starts(count, hidden)
    return lambda: df.descend(problem, theta, step_size=1e-4, steps=steps, records_per_decade=1)


def deep(*hidden: int) -> Call:
    """Gradient descent of deep networks, every entry of a layer from N(0, 2/h)."""
    rng, parts = np.random.default_rng(hidden), []
    for before, width in zip((1, *hidden), (*hidden, 1), strict=True):
        parts.append(rng.normal(0.0, (2 / before) ** 0.5, (32, width * (before + 1))))
    problem, theta = shallow(list(hidden)), np.concatenate(parts, axis=1)
    return lambda: df.descend(problem, theta, step_size=1e-5, steps=200, records_per_decade=1)


def flow(hidden: int) -> Call:
    """Gradient flow to time 100."""
    problem, theta = shallow(hidden), starts(4, hidden)
    return lambda: df.flow(problem, theta, until=100.0, rtol=1e-9, records_per_decade=1)


def limit(number: int) -> Call:
    """The limit of a Gram matrix of ``number`` inputs."""
    inputs = np.random.default_rng(number).standard_normal((number, 10))
    inputs /= np.linalg.norm(inputs, axis=1, keepdims=True)
    return lambda: df.limit_gram(inputs, architecture="residual", activation="tanh", depth=3)


def finite(number: int, width: int) -> Call:
    """Outputs and all Gram matrices of a residual network of three layers."""
    import jax
    import jax.numpy as jnp

    from descentflow.deep.gram_finite import observe
    from descentflow.deep.network import DeepNetwork
    from descentflow.deep.weights import draw_weights

    network = DeepNetwork(architecture="residual", activation="tanh", depth=3, width=width)
    inputs = np.random.default_rng(number).standard_normal((number, 10))
    data = jnp.asarray(inputs / np.linalg.norm(inputs, axis=1, keepdims=True))
    weights = tuple(jnp.asarray(w) for w in draw_weights(network, (10,), 1, 0))
    return lambda: jax.block_until_ready(observe(network, weights, data))


SERIES = (
    Series("descent", "H", (8, 16, 32, 64, 128), 1.0, lambda h: descent(64, h, 10_000)),
    Series(
        "descent", "initialisations", (64, 128, 256, 512), 1.0, lambda k: descent(k, 16, 10_000)
    ),
    Series("descent", "steps", (10_000, 20_000, 40_000, 80_000), 1.0, lambda n: descent(64, 16, n)),
    Series("descent, tanh", "H", (4, 8, 16, 32), 1.0, lambda h: descent(8, h, 2000, "tanh")),
    Series("descent, deep", "h, h", (8, 16, 32, 64), 3.0, lambda h: deep(h, h)),
    Series("descent, deep", "layers", (2, 4, 8, 16), 2.0, lambda n: deep(*[16] * n)),
    Series("flow", "H", (64, 128, 256, 512, 1024), 1.0, flow),
    Series("limit of G", "n", (64, 128, 256, 512), 2.0, limit),
    Series("G at width m", "n", (8, 16, 32, 64), 1.0, lambda n: finite(n, 512)),
    Series("G at width m", "m", (256, 512, 1024, 2048), 2.0, lambda m: finite(16, m)),
)


def least_times(series: Series, rounds: int) -> Array:
    """Seconds of one call of each size, the least of interleaved rounds, the first not counted."""
    calls = [series.call(size) for size in series.sizes]
    found = np.full((rounds, len(calls)), np.inf)
    for number in range(-1, rounds):
        for place, call in enumerate(calls):
            began = time.perf_counter()
            call()
            if number >= 0:
                found[number, place] = time.perf_counter() - began
    return found.min(axis=0)


def exponent(sizes: Sequence[int], seconds: Array) -> float:
    """Slope of log seconds over log size by least squares."""
    return float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])


def draw(measured: list[tuple[Series, Array, float]], path: Path) -> None:
    """Time over size, one line per kernel, beside the predicted slope."""
    with style.paper():
        figure, (axis,) = style.new(style.PAGE, 3.2)
        for number, (series, seconds, slope) in enumerate(measured):
            label = f"{series.label} over {series.axis}: {slope:.2f} ({series.predicted:g})"
            color = style.palette(len(measured))[number]
            sizes = np.array(series.sizes, dtype=float)
            axis.loglog(
                sizes / sizes[0],
                seconds / seconds[0],
                style.MARKERS[number % len(style.MARKERS)] + "-",
                color=color,
                label=label,
            )
        for power in (1, 2, 3):
            reach = np.array([1.0, 16.0 if power < 3 else 8.0])
            axis.loglog(reach, reach**power, ":", color="black", linewidth=0.7)
        axis.set_xlabel("size over the smallest")
        axis.set_ylabel("time over that of the smallest")
        axis.legend(title="measured (predicted) exponent", title_fontsize=7, loc="upper left")
        style.save(figure, [path])


def main() -> None:
    """Measure, print and draw."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--figure", type=Path, default=None, metavar="FILE.png")
    options = parser.parse_args()
    numba.set_num_threads(1)
    print(f"{'kernel':<16}{'over':<17}{'sizes':<22}{'exponent':>9}{'predicted':>11}  seconds")
    measured = []
    for series in SERIES:
        seconds = least_times(series, options.rounds)
        slope = exponent(series.sizes, seconds)
        measured.append((series, seconds, slope))
        sizes = ", ".join(map(str, series.sizes))
        times = ", ".join(f"{value:.2g}" for value in seconds)
        print(
            f"{series.label:<16}{series.axis:<17}{sizes:<22}{slope:>9.2f}"
            f"{series.predicted:>11g}  {times}",
            flush=True,
        )
    if options.figure is not None:
        draw(measured, options.figure)


if __name__ == "__main__":
    main()
