"""Configurations gone wrong: one or two experiments of the shipped files, with mistakes in them."""

import copy
import datetime
import itertools
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import yaml

REPOSITORY = Path(__file__).parents[2]
FILES = ("config.yaml", "config/smoke.yaml", "config/cluster.yaml", "tests/workflow/tiny.yaml")

Mapping = dict[str, Any]


def _pool() -> list[tuple[str, str, Mapping]]:
    """Every shipped experiment, sweeps cut to two values each."""
    found = []
    for name in FILES:
        loaded = yaml.safe_load((REPOSITORY / name).read_text())
        for study, experiments in loaded["studies"].items():
            for experiment, mapping in experiments.items():
                small = copy.deepcopy(mapping)
                small["sweep"] = {k: v[:2] for k, v in mapping.get("sweep", {}).items()}
                found.append((study, experiment, small))
    return found


POOL = _pool()

WORDS = (
    *("uniform", "points", "polynomial_density", "sobol", "tensor", "sphere", "images", "normal"),
    *("constant", "affine", "piecewise_linear", "step", "polynomial", "expression", "gd", "gf"),
    *("relu", "leaky_relu", "tanh", "gelu", "sin", "he", "xavier", "around", "signs", "listed"),
    *("fully_connected", "residual", "convolutional_residual"),
)
KEYS = (
    *("inputs", "target", "network", "initialization", "training", "labels", "sweep"),
    *("law", "low", "high", "dimension", "rule", "nodes", "coefficients", "points", "weights"),
    *("kind", "value", "slope", "intercept", "knots", "values", "at", "below", "above", "formula"),
    *("hidden", "activation", "outputs", "scale", "count", "chunk", "method", "step_size", "steps"),
    *("records_per_decade", "snapshots", "until", "rtol", "gradient_tolerance", "max_steps"),
    *("architecture", "depth", "width", "residual_scale", "number", "pixels", "images"),
    *("lyapunov_fraction", "stability_fraction", "seed", "studies", "results", "figures"),
)
SWEPT = (
    *("network.hidden", "network.activation", "network.outputs", "network", "target", "inputs"),
    *("target.kind", "target.slope", "training.step_size", "training.steps", "training.rtol"),
    *("initialization.scale", "initialization.count", "network.width", "network.depth", "x.y"),
    *("training", "training.step_size.lyapunov_fraction", "inputs.nodes", "", ".", "network."),
)
FORMULAS = (
    "x**2",
    "log(x)",
    "1/(x - 1/3)",
    "where(x < 1/2, 0, x)",
    "y",
    "x" * 2000,
    "((((",
    "x**(-2)",
)


def nested(levels: int) -> list[Any]:
    """Lists inside one another."""
    value: list[Any] = []
    for _ in range(levels):
        value = [value]
    return value


def endless() -> list[Any]:
    """A list that contains itself, as an alias can make it."""
    value: list[Any] = [1]
    value.append(value)
    return value


def laughs(levels: int = 12) -> list[Any]:
    """Ten to the power of ``levels`` values, in a few lists."""
    value: list[Any] = [1.0] * 10
    for _ in range(levels - 1):
        value = [value] * 10
    return value


NUMBERS: tuple[Any, ...] = (
    *(0, 1, 2, 3, 5, 7, 8, 64, 100, 1000, 4096, 5000, 65_536, 65_537, 10**6, 10**8, 10**13, 10**30),
    *(
        -1,
        -3,
        0.5,
        1.5,
        1e-9,
        1e-300,
        5e-324,
        1e15,
        1e30,
        1e100,
        1e300,
        2**63 - 1,
        2**63,
        -0.0,
        0.1,
    ),
    *(10**400, 10**5000, math.nan, math.inf, -math.inf),
)
TEXTS: tuple[Any, ...] = (
    *("", " ", "1e-2", " 3 ", "1e5", "nan", "-inf", "1e999", "0x10", "1_000", "²", "+-5", "one"),
    *("a{b}", "\x00", "\ud800", "a\nb: c", "x" * 10_000, "\u202e", "../..", "1" * 5000),
)
OTHERS: tuple[Callable[[], Any], ...] = (
    *(lambda: None, lambda: True, lambda: False, list, dict, lambda: [[]], lambda: {"a": 1}),
    *(lambda: [1, 2], lambda: [0.5] * 2000, lambda: nested(40), endless, laughs, lambda: {1: 2}),
    *(lambda: datetime.date(2001, 1, 1), lambda: b"x", lambda: {1, 2}, lambda: (1, 2)),
    *(lambda: {None: 1}, lambda: {"\ud800": 1}, lambda: {True: {}}, lambda: laughs(5)),
)


def nasty(random: Random) -> Any:
    """A value that may be anything."""
    kind = random.random()
    if kind < 0.4:
        return random.choice(NUMBERS)
    if kind < 0.55:
        return random.choice(TEXTS)
    if kind < 0.75:
        return random.choice(WORDS)
    if kind < 0.8:
        return {"kind": "expression", "formula": random.choice(FORMULAS)}
    return random.choice(OTHERS)()


def configuration(random: Random) -> Mapping:
    """One or two shipped experiments."""
    mapping: Mapping = {"seed": 1, "studies": {}}
    for study, experiment, given in random.sample(POOL, random.choice((1, 1, 2))):
        mapping["studies"].setdefault(study, {})[experiment] = copy.deepcopy(given)
    return mapping


def places(value: Any, depth: int = 0) -> Iterator[tuple[Any, Any]]:
    """Every mapping or list with each of its keys, outermost first."""
    if depth > 8 or not isinstance(value, dict | list):
        return
    for key in list(value) if isinstance(value, dict) else range(min(len(value), 20)):
        yield value, key
        yield from places(value[key], depth + 1)


def mutate(mapping: Mapping, random: Random) -> None:
    """One mistake, in place."""
    found = list(itertools.islice(places(mapping), 2000))
    if not found:
        mapping["studies"] = nasty(random)
        return
    holder, key = random.choice(found)
    kind = random.randrange(12)
    if kind < 3:
        holder[key] = nasty(random)
    elif kind == 3 and isinstance(holder, dict):
        holder[misspelt(str(key), random)] = holder.pop(key)
    elif kind == 4 and isinstance(holder, dict):
        del holder[key]
    elif kind == 5 and isinstance(holder, dict):
        holder[random.choice(KEYS)] = nasty(random)
    elif kind == 6:
        other, place = random.choice(found)
        holder[key] = copy.deepcopy(other[place])
    elif kind == 7:
        holder[key] = [holder[key]] if random.random() < 0.5 else {"value": holder[key]}
    elif kind == 8:
        _sweep(found, random)
    elif kind == 9 and isinstance(holder[key], int | float) and not isinstance(holder[key], bool):
        scale = random.choice((-1, 0, 0.1, 10, 10**6, 10**12))
        value = holder[key] * scale if abs(holder[key]) < 1e290 else 1
        holder[key] = random.choice((value, str(value)))
    elif kind == 10 and isinstance(holder[key], list):
        holder[key] = holder[key] * random.choice((0, 2, 3, 50))
    else:
        holder[key] = random.choice(WORDS)


def _sweep(found: list[tuple[Any, Any]], random: Random) -> None:
    sweeps = [h[k] for h, k in found if k == "sweep" and isinstance(h[k], dict)]
    if not sweeps:
        return
    values = [nasty(random) for _ in range(random.choice((0, 1, 2, 3)))]
    if random.random() < 0.3:
        values = list(range(1, random.choice((3, 20, 200, 2000))))
    random.choice(sweeps)[random.choice(SWEPT)] = random.choice((values, values, values, 3))


def misspelt(word: str, random: Random) -> str:
    """A letter lost, doubled, swapped or in upper case."""
    at = random.randrange(max(1, len(word)))
    return random.choice(
        (
            word[:at] + word[at + 1 :],
            word[:at] + word[at : at + 1] * 2 + word[at + 1 :],
            word[:at] + word[at + 1 : at + 2] + word[at : at + 1] + word[at + 2 :],
            word.upper(),
            f"{word} ",
        )
    )


def mutated(random: Random) -> Mapping:
    """A configuration with none to four mistakes."""
    mapping = configuration(random)
    for _ in range(random.choice((0, 1, 1, 1, 2, 2, 3, 4))):
        mutate(mapping, random)
    return mapping
