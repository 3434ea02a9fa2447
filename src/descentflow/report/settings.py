"""The settings of an experiment as one sentence, made from the configuration."""

from collections.abc import Iterable, Sequence
from typing import Any

from descentflow.config.experiment import Descent, Experiment
from descentflow.deep.data import Images, Points, Sphere
from descentflow.deep.experiment import Descending, Limit
from descentflow.functions.input_laws import PolynomialDensity, Uniform
from descentflow.functions.targets import Affine, Constant, PiecewiseLinear, Polynomial, Step

LISTED = 8
"""More values of one kind than this are given by their number and their ends."""

_DIGITS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def sentence(settings: Sequence[Any]) -> str:
    """Problem, law, networks, initialisations and horizon of an experiment's settings, its sweep."""
    shallow = isinstance(settings[0], Experiment)
    parts = _shallow(settings) if shallow else _deep(settings)
    return "; ".join(part for part in parts if part) + "."


def training(setting: Any) -> str:
    """What is done with the parameters: descent, flow, or nothing."""
    if not isinstance(setting, Experiment | Descending):
        return "none"
    return "gradient descent" if method(setting) == "gd" else "gradient flow"


def method(setting: Any) -> str:
    """``gd`` or ``gf``; deep networks are trained by descent only."""
    return getattr(setting.training, "method", "gd")


def power(value: float) -> str:
    """A number for prose: 300,000, 0.03, 10⁸, 1.5×10⁻⁹."""
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
        *_trained(settings),
    ]


def _problem(setting: Experiment) -> str:
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
    return str(target.formula)


def _polynomial(coefficients: Sequence[float]) -> str:
    """Highest power first: x² − x + 0.25."""
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
    widths = sorted({setting.network.hidden for setting in settings})
    return f"{names} networks, {_values(widths, 'H = ')}"


def _starts(settings: Sequence[Experiment]) -> str:
    laws: dict[str, list[float]] = {}
    for setting in settings:
        start = setting.initialization
        number = len(start.points)
        around = f"around {'one point' if number == 1 else f'{number} points'}"
        laws.setdefault(around if number else start.law, []).append(start.scale)
    texts = []
    for law, scales in laws.items():
        if law == "normal" and set(scales) == {1.0}:
            texts.append("standard normal")
        else:
            texts.append(f"{law}, {_values(scales, 'noise ' if 'around' in law else 'scale ')}")
    return f"θ₀ {' or '.join(texts)}"


def _count(settings: Sequence[Any]) -> str:
    counts = sorted({setting.initialization.count for setting in settings})
    return f"{_values(counts)} initialisations each"


def _trained(settings: Sequence[Experiment]) -> list[str]:
    sizes: dict[int, list[Any]] = {}
    flows = []
    for setting in settings:
        if isinstance(setting.training, Descent):
            sizes.setdefault(setting.training.steps, []).append(setting.training.step_size)
        else:
            until, rtol = power(setting.training.until), power(setting.training.rtol)
            flows.append(f"gradient flow to t = {until} with tolerance {rtol}")
    descents = [
        f"{steps:,} steps of gradient descent with {_step_sizes('γ', of, 'of the bound at each start')}"
        for steps, of in sizes.items()
    ]
    return [*descents, *dict.fromkeys(flows)]


def _step_sizes(name: str, sizes: Sequence[Any], unit: str) -> str:
    """Step sizes themselves, and those that are relative to each start."""
    given = [size for size in sizes if isinstance(size, float)]
    relative = [v for size in sizes if not isinstance(size, float) for _, v in size]
    parts = [_values(given, f"{name} = ")] if given else []
    parts += [f"{name} = {_values(relative)} {unit}"] if relative else []
    return " and ".join(parts)


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
    sizes: dict[int, list[Any]] = {}
    for setting in settings:
        sizes.setdefault(setting.training.steps, []).append(setting.training.step_size)
    return parts + [
        f"{steps:,} steps of gradient descent with {_step_sizes('η', of, 'times 2/λ_max(ΣG(0))')}"
        for steps, of in sizes.items()
    ]


def _inputs(inputs: Sphere | Points | Images) -> str:
    if isinstance(inputs, Sphere):
        size = f"{inputs.dimension} entries"
        if inputs.pixels is not None:
            size = f"{inputs.pixels} pixels of {inputs.dimension} channels"
        return f"{inputs.number} inputs of {size}, uniform on the sphere"
    return f"{inputs.number} inputs as given"


def _values(values: Iterable[Any], name: str = "") -> str:
    """Different values in their order; the ends alone where numbers are many."""
    found = list(dict.fromkeys(values))
    texts = [power(v) if isinstance(v, int | float) else str(v) for v in found]
    if len(found) > LISTED and all(isinstance(value, int | float) for value in found):
        return f"{name}{texts[0]} to {texts[-1]} ({len(found)} values)"
    return f"{name}{', '.join(texts)}"


def _either(texts: Iterable[str]) -> str:
    return " or ".join(dict.fromkeys(texts))
