"""Describe the settings of an experiment in one sentence, made from the configuration."""

from collections.abc import Iterable, Sequence
from typing import Any

from descentflow.config.experiment import CriticalRisks, Experiment, Flow, Optimizer
from descentflow.deep.data import Images, Points, Sphere
from descentflow.deep.experiment import Descending, Limit
from descentflow.functions.input_laws import Normal, PolynomialDensity, Uniform
from descentflow.functions.labels import Values
from descentflow.functions.step_schedules import StepSchedule
from descentflow.functions.targets import Affine, Constant, PiecewiseLinear, Polynomial, Step
from descentflow.risk.problem import Problem

MAX_LISTED = 8
"""More numbers of one kind are given by their count and their ends."""

_DIGITS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def sentence(settings: Sequence[Any]) -> str:
    """Name problem, law, networks, initialisations and horizon of an experiment and its sweep."""
    if isinstance(settings[0], CriticalRisks):
        parts = _listed(settings)
    else:
        parts = _shallow(settings) if isinstance(settings[0], Experiment) else _deep(settings)
    return "; ".join(parts) + "."


def training(setting: Any) -> str:
    """Name the training: gradient descent, gradient flow, stochastic optimiser, or none."""
    if not isinstance(setting, Experiment | Descending):
        return "none"
    if isinstance(setting.training, Optimizer):
        return "stochastic optimiser"
    return "gradient flow" if isinstance(setting.training, Flow) else "gradient descent"


def power(value: float) -> str:
    """Write a number for prose: 300,000, 0.03, 10⁸, 1.5×10⁻⁹."""
    if value == int(value) and abs(value) < 1e6:
        return f"{int(value):,}"
    text = f"{value:g}"
    if "e" not in text:
        return f"{int(value):,}" if value == int(value) else text
    digits, exponent = f"{value:.6e}".split("e")
    digits = digits.rstrip("0").rstrip(".")
    raised = f"10{str(int(exponent)).translate(_DIGITS)}"
    return raised if digits == "1" else f"{digits}×{raised}"


def _shallow(settings: Sequence[Experiment]) -> list[str]:
    return [
        _either(_problem(setting) for setting in settings),
        _either(_law(setting.inputs) for setting in settings),
        _networks(settings),
        _starts(settings),
        _count(settings),
        *_descents(settings, "γ", "of the bound at each start"),
        *_flows(settings),
    ]


def _listed(settings: Sequence[CriticalRisks]) -> list[str]:
    problems = list(dict.fromkeys(_problem(setting) for setting in settings))
    first, *_, last = (*problems, problems[-1])
    several = f"{len(problems)} targets, from {first} to {last}"
    widths = _values(sorted({setting.network.width for setting in settings}), "H = ")
    text = several if len(problems) > MAX_LISTED else _either(iter(problems))
    return [text, _law(settings[0].inputs), f"all critical risks up to {widths}", "not trained"]


def _problem(setting: Problem) -> str:
    texts = [_target(target) for target in setting.targets]
    if len(texts) > 1:
        return f"f(x) = ({', '.join(texts)})"
    return f"f {texts[0]}" if isinstance(setting.target, PiecewiseLinear) else f"f(x) = {texts[0]}"


def _target(target: Any) -> str:
    if isinstance(target, Constant):
        return f"{target.value:g}"
    if isinstance(target, Affine):
        return _polynomial((target.intercept, target.slope))
    if isinstance(target, Polynomial):
        return _polynomial(target.coefficients)
    if isinstance(target, Step):
        return f"{target.below:g} up to {target.at:g}, {target.above:g} beyond"
    if isinstance(target, PiecewiseLinear):
        pairs = zip(target.knots, target.values, strict=True)
        return "piecewise linear through " + ", ".join(f"({x:g}, {y:g})" for x, y in pairs)
    if isinstance(target, Values):
        noise = f" with noise of scale {target.noise.scale:g}" if target.noise else ""
        return f"{len(target.values or ())} given values{noise}"
    return str(target.formula)


def _polynomial(coefficients: Sequence[float]) -> str:
    """Write a polynomial, highest power first: x² − x + 0.25."""
    text = ""
    for exponent, coefficient in reversed(list(enumerate(coefficients))):
        if not coefficient:
            continue
        variable = ("", "x")[min(exponent, 1)]
        variable += str(exponent).translate(_DIGITS) if exponent > 1 else ""
        size = "" if abs(coefficient) == 1 and variable else f"{abs(coefficient):g}"
        sign = "−" if coefficient < 0 else "+" if text else ""
        text += f" {sign} {size}{variable}" if text else f"{sign}{size}{variable}"
    return text or "0"


def _law(law: Any) -> str:
    if isinstance(law, Normal):
        return f"X normal with mean {law.mean:g} and scale {law.scale:g}"
    if not isinstance(law, Uniform | PolynomialDensity):
        return f"X on {len(law.points)} points"
    interval = f"[{law.low:g}, {law.high:g}]"
    if isinstance(law, PolynomialDensity):
        return f"X with a polynomial density on {interval}"
    if law.rule is None:
        return f"X uniform on {interval}"
    cube = interval + (str(law.dimension).translate(_DIGITS) if law.dimension > 1 else "")
    rule = {"tensor": "Gauss-Legendre nodes a side", "sobol": "Sobol points"}[law.rule]
    return f"X uniform on {law.nodes:,} {rule} in {cube}"


def _networks(settings: Sequence[Experiment]) -> str:
    names = _values(setting.network.activation for setting in settings)
    shapes = sorted({setting.network.widths for setting in settings}, key=lambda s: (len(s), s))
    widths = [shape[0] if len(shape) == 1 else "×".join(map(str, shape)) for shape in shapes]
    return f"{names} networks, {_values(widths, 'H = ')}"


def _starts(settings: Sequence[Experiment]) -> str:
    laws: dict[str, list[float]] = {}
    for setting in settings:
        start = setting.initialization
        number = len(start.points)
        around = f"around {'one point' if number == 1 else f'{number} points'}"
        law = around if number else start.law or "with laws of its parts"
        laws.setdefault(law, []).append(start.scale)
    texts = []
    for law, scales in laws.items():
        if law == "normal" and set(scales) == {1.0}:
            texts.append("standard normal")
        elif law.startswith("with"):
            texts.append(law)
        else:
            texts.append(f"{law}, {_values(scales, 'noise ' if 'around' in law else 'scale ')}")
    below = any(setting.initialization.below for setting in settings)
    bound = ", of less risk than every critical risk > 0" if below else ""
    return f"θ₀ {' or '.join(texts)}{bound}"


def _count(settings: Sequence[Any]) -> str:
    counts = sorted({setting.initialization.count for setting in settings})
    return f"{_values(counts)} initialisations each"


def _flows(settings: Sequence[Experiment]) -> list[str]:
    flows = (s.training for s in settings if isinstance(s.training, Flow))
    return list(
        dict.fromkeys(
            f"gradient flow to t = {power(flow.until)} with tolerance {power(flow.rtol)}"
            for flow in flows
        )
    )


def _descents(settings: Sequence[Any], name: str, unit: str) -> list[str]:
    """Describe descents by their steps; ``unit`` is that of step sizes relative to each start."""
    sizes: dict[str, list[Any]] = {}
    for setting in settings:
        kind = training(setting)
        if kind in ("gradient descent", "stochastic optimiser"):
            way = kind if kind == "gradient descent" else _method(setting.training)
            steps = f"{setting.training.steps:,} steps of {way}"
            sizes.setdefault(steps, []).append(setting.training.step_size)
    texts = []
    for steps, of in sizes.items():
        absolute = [size for size in of if isinstance(size, float)]
        falling = [size.initial for size in of if isinstance(size, StepSchedule)]
        others = [size for size in of if not isinstance(size, float | StepSchedule)]
        relative = [value for size in others for _, value in size]
        parts = [_values(absolute, f"{name} = ")] if absolute else []
        parts += [f"{name} falling from {_values(falling)}"] if falling else []
        parts += [f"{name} = {_values(relative)} {unit}"] if relative else []
        texts.append(f"{steps} with {' and '.join(parts)}")
    return texts


def _method(optimizer: Optimizer) -> str:
    """Name a method and its batches."""
    batches = f"batches of {optimizer.batch:,}" if optimizer.batch else "exact gradients"
    return f"{optimizer.method} ({batches})"


def _deep(settings: Sequence[Any]) -> list[str]:
    networks = [setting.network for setting in settings]
    names = _values(network.architecture.replace("_", " ") for network in networks)
    parts = [
        _either(_inputs(setting.inputs) for setting in settings),
        f"{names} networks, {_values(network.activation for network in networks)}",
        _values((network.depth for network in networks), "H = "),
    ]
    if isinstance(settings[0], Limit):
        return [*parts, "infinite width"]
    parts.append(_values((network.width for network in networks), "m = "))
    parts.append(_count(settings))
    if not isinstance(settings[0], Descending):
        return [*parts, "not trained"]
    labels = {"signs": "random signs", "normal": "normal", "listed": "given"}
    parts.append(f"labels: {_values(labels[setting.labels.law] for setting in settings)}")
    return parts + _descents(settings, "η", "times 2/λ_max(ΣG(0))")


def _inputs(inputs: Sphere | Points | Images) -> str:
    if isinstance(inputs, Sphere):
        size = f"{inputs.dimension} entries"
        if inputs.pixels is not None:
            size = f"{inputs.pixels} pixels of {inputs.dimension} channels"
        return f"{inputs.number} inputs of {size}, uniform on the sphere"
    return f"{inputs.number} inputs as given"


def _values(values: Iterable[Any], name: str = "") -> str:
    """List different values in their order; the ends alone where numbers are many."""
    different = list(dict.fromkeys(values))
    texts = [power(v) if isinstance(v, int | float) else str(v) for v in different]
    if len(different) > MAX_LISTED and all(isinstance(v, int | float) for v in different):
        return f"{name}{texts[0]} to {texts[-1]} ({len(different)} values)"
    return f"{name}{', '.join(texts)}"


def _either(texts: Iterable[str]) -> str:
    return " or ".join(dict.fromkeys(texts))
