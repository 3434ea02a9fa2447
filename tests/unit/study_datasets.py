"""Small datasets of the studies: the variables that figures read, made from formulas.

Runs differ in length and number as in real datasets, and the rest is NaN. Theory comes from the
studies' own modules, so that figures can be compared with theory coded independently. The dataset of
``optimizers`` and ``deep_networks`` come from small runs.
"""

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
import yaml
from in_process import do_all

from descentflow.datasets import netcdf
from descentflow.datasets.landscapes import read_landscapes
from descentflow.landscape.critical_risks import critical_risks
from descentflow.planning.jobs import Jobs
from descentflow.planning.landscapes import Landscape
from descentflow.risk.problem import Problem
from descentflow.simd.arrays import Array
from descentflow.studies.blow_up import minimiser_theory
from descentflow.studies.blow_up.escape_laws import relu_step
from descentflow.studies.gradient_flows import theory as flow_theory
from descentflow.studies.random_initializations import theory as success_theory

UNIFORM = {"law": "uniform", "low": 0.0, "high": 1.0}
REPOSITORY = Path(__file__).resolve().parents[2]
AFFINE = {"kind": "affine", "slope": 1.0, "intercept": 0.0}
RNG = np.random.default_rng(20261122)


def problem(target: Any, hidden: int, activation: str = "relu") -> Problem:
    """The problem on [0, 1] with this target and width."""
    network = {"hidden": hidden, "activation": activation}
    return Problem.from_mapping({"inputs": UNIFORM, "target": target, "network": network})


def padded(rows: Sequence[Any]) -> Array:
    """Stack arrays of different shapes, the rest NaN."""
    arrays = [np.asarray(row, dtype=float) for row in rows]
    shape = np.max([array.shape for array in arrays], axis=0)
    stacked = np.full((len(arrays), *shape), np.nan)
    for whole, part in zip(stacked, arrays, strict=True):
        whole[tuple(slice(size) for size in part.shape)] = part
    return stacked


def axis(last: float, first: float = 1.0) -> Array:
    """0 and four records per decade up to ``last``."""
    count = round(4 * np.log10(last / first)) + 1
    return np.array([0.0, *np.geomspace(first, last, count)])


def falling(x: Array, count: int, power: float = 1.0) -> Array:
    """Risks (initialization, record) of runs whose last record is NaN for one that diverged."""
    start = RNG.uniform(0.5, 2.0, (count, 1))
    risk = start * (1.0 + x) ** (-power * RNG.uniform(0.8, 1.2, (count, 1)))
    risk[0, -1] = np.nan
    return risk


def quantiles(values: Array) -> Array:
    """Three values that were there (quantile, record)."""
    return np.nanquantile(values, [0.05, 0.5, 0.95], axis=0, method="lower")


def listed(*problems: Problem) -> xr.Dataset:
    """The certified critical risks of problems, as datasets hold them."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{number}.nc" for number in range(len(problems))]
        landscapes = [Landscape(one, "lock") for one in problems]
        for landscape, path in zip(landscapes, paths, strict=True):
            netcdf.write(critical_risks(landscape.problem), path, landscape.spec, "List")
        return read_landscapes(landscapes, paths)


def text(mapping: Any) -> str:
    """Canonical JSON, as datasets hold it."""
    return json.dumps(mapping, sort_keys=True, separators=(",", ":"))


def constant_targets() -> xr.Dataset:
    """Two widths of GD, two dimensions, one flow, three step sizes on a grid of cells, two depths."""
    experiments = ["convergence", "convergence", "dimensions", "dimensions", "flow"]
    experiments += ["step_sizes"] * 3 + ["depths"] * 2
    axes = [axis(1e3), axis(1e2), axis(1e3), axis(1e3), axis(1e3, 1e-2), *[axis(1e2)] * 5]
    risks = [falling(x, 5) for x in axes]
    ratios = [1.0 - 0.1 * x / (1.0 + x) * RNG.uniform(0.1, 1.0, (5, 1)) for x in axes]
    flow = np.array(experiments) == "flow"
    share = RNG.uniform(0.0, 1.0, (4, 3))
    share[1, 2] = np.nan
    envelope = [
        50.0 / np.maximum(x, 1e-3) if f else [np.nan] for x, f in zip(axes, flow, strict=True)
    ]
    return xr.Dataset(
        {
            "experiment": ("run", experiments),
            "network_hidden": ("run", ["4", "16", *["4"] * 7, "[4,4]"]),
            "dimension": ("run", [1, 1, 2, 3, *[1] * 6]),
            "count": ("run", [5] * 10),
            "step": (("run", "record"), np.where(flow[:, None], np.nan, padded(axes))),
            "time": (("run", "record"), np.where(flow[:, None], padded(axes), np.nan)),
            "risk": (("run", "initialization", "record"), padded(risks)),
            "risk_quantiles": (("run", "quantile", "record"), padded([*map(quantiles, risks)])),
            "lyapunov_ratio_quantiles": (
                ("run", "quantile", "record"),
                padded([*map(quantiles, ratios)]),
            ),
            "envelope_median": ("run", np.linspace(10.0, 100.0, 10)),
            "flow_envelope": (("run", "record"), padded(envelope)),
            "monotone_share": (("start_bin", "step_size_bin"), share),
        },
        coords={
            "start_edge": np.geomspace(3.0, 600.0, 5),
            "step_size_edge": np.geomspace(1e-3, 0.5, 4),
        },
        attrs={"moment_norm": 4.0 / 3.0},
    )


def random_initializations() -> xr.Dataset:
    """Two targets, widths 4 and 2, runs of every kind of decay; rates exactly as predicted."""
    hat = {"kind": "piecewise_linear", "knots": [0.0, 0.5, 1.0], "values": [0.5, 0.0, 0.5]}
    hinge = {"kind": "piecewise_linear", "knots": [0.0, 0.5, 1.0], "values": [0.0, 0.0, 0.5]}
    settings = [(target, hidden) for target in (hat, hinge) for hidden in (4, 2)]
    problems = [problem(target, hidden) for target, hidden in settings]
    step, count = axis(1e4), 8
    risks = np.stack([falling(step, count, 3.0) for _ in settings])
    risks[:, :, -1] = 10.0 ** np.linspace(-28.0, -2.0, count)
    kind = np.tile([1, 1, 2, 2, 2, 3, 0, 0], (4, 1))
    predicted = padded([np.geomspace(1e-3, 5e-3, 2 + n) for n in range(4)])
    ranks = np.where(np.isfinite(predicted), 4.0, np.nan)
    spectrum = padded([[10.0 ** -np.arange(3.0 * hidden + 1)] * 5 for _, hidden in settings])
    best = np.minimum.accumulate(risks, axis=1)[:, [0, 1, 3]]
    share = np.array([0.4, 0.2, 0.5, 0.3])
    return xr.Dataset(
        {
            "experiment": ("run", ["success"] * 4),
            "target": ("run", [text(target) for target, _ in settings]),
            "network_hidden": ("run", [hidden for _, hidden in settings]),
            "count": ("run", [count] * 4),
            "step": (("run", "record"), np.tile(step, (4, 1))),
            "risk": (("run", "initialization", "record"), risks),
            "final_risk": (("run", "initialization"), risks[:, :, -1]),
            "final_slope": (("run", "initialization"), RNG.uniform(-4.0, -2.0, (4, count))),
            "decay_kind": (("run", "initialization"), kind),
            "kind_share": (("run", "kind"), np.tile([0.25, 0.25, 0.375, 0.125], (4, 1))),
            "success_probability": ("run", share),
            "success_interval": (("run", "bound"), share[:, None] + [-0.1, 0.15]),
            "dead_probability": (
                "run",
                [success_theory.dead_network_probability(one) for one in problems],
            ),
            "success": (("run", "initialization"), np.where(risks[:, :, -1] < 1e-4, 1.0, 0.0)),
            "group_success": (
                ("run", "best_of", "horizon"),
                padded([[0.2, 0.5], [0.1, 0.3], [0.6] * 3, [0.2]])[..., None],
            ),
            "best_risk": (("run", "best_of", "record"), best),
            "rate_predicted": (("run", "minimum"), predicted),
            "rate_measured": (("run", "minimum"), predicted),
            "codimension": (("run", "minimum"), ranks),
            "spectrum": (("run", "minimum", "eigenvalue"), spectrum),
        },
        coords={"best_of": [1, 2, 4], "kind": ["failed", "exponential", "degenerate", "undecided"]},
    ).merge(listed(*problems[::2]))


def gradient_flows() -> xr.Dataset:
    """Staircase for H = 1 and 4, flows from saddles of H = 4, small steps, and a vector target."""
    experiments = ["staircase", "staircase", "saddles", "small_steps", "small_steps"]
    experiments += ["vector_targets"]
    hidden, counts = [4, 1, 4, 4, 4, 2], [6, 5, 4, 3, 3, 4]
    problems = [problem(AFFINE, width) for width in hidden]
    levels = padded([*map(flow_theory.critical_risks, problems)])
    time = axis(1e4, 1e-2)
    risks = padded([falling(time, count, 2.0) for count in counts])
    final = padded([RNG.choice([1e-20, 1 / 12], count) for count in counts])
    start = padded([RNG.choice([1 / 972, 1 / 7500], count) for count in counts])
    saddles = np.stack([flow_theory.saddle(problems[0], kinks) for kinks in (0, 2, 4)])
    x = np.linspace(0.0, 1.0, 41)
    w, b, v = (saddles[:, part].T[:, :, None] for part in (slice(4), slice(4, 8), slice(8, 12)))
    networks = (v * np.maximum(w * x + b, 0.0)).sum(axis=0) + saddles[:, -1:]
    errors = 1e-12 * (1.0 + np.arange(len(time))) * RNG.uniform(0.1, 1.0, (6, 6, len(time)))
    quantile = ("run", "quantile", "record")
    every = ("run", "initialization", "record")
    return xr.Dataset(
        {
            "experiment": ("run", experiments),
            "target": ("run", [text(AFFINE)] * 5 + [text([AFFINE, AFFINE])]),
            "network_hidden": ("run", hidden),
            "network_outputs": ("run", [1, 1, 1, 1, 1, 2]),
            "training_step_size": ("run", ["null", "null", "null", "0.1", "0.01", "null"]),
            "count": ("run", counts),
            "time": (("run", "record"), np.tile(time, (6, 1))),
            "risk": (every, risks),
            "energy_error": (every, errors),
            "balance_drift": (every, errors),
            "start_risk": (("run", "initialization"), start),
            "final_risk": (("run", "initialization"), final),
            "distance_to_flow": (("run", "initialization"), RNG.uniform(0.01, 0.1, (6, 6))),
            "critical_risk": (("run", "level"), levels),
            "threshold": ("run", [flow_theory.threshold(one) for one in problems]),
            "gradient_norm_quantiles": (quantile, np.stack([quantiles(e) for e in errors])),
            "energy_error_quantiles": (quantile, np.stack([quantiles(e) for e in errors])),
            "balance_drift_quantiles": (quantile, np.stack([quantiles(e) for e in errors])),
            "saddle_realization": (("saddle", "x"), networks),
            "saddle_spectrum": (("saddle", "eigenvalue"), RNG.uniform(-1.0, 3.0, (3, 13))),
        },
        coords={"x": x, "saddle": [0, 2, 4]},
    )


def _target(name: str) -> str:
    """A target as JSON."""
    return json.dumps(minimiser_theory.TARGETS[name].model_dump(mode="json"))


RUNS = (
    ("diverging", "relu", 2, "step", 0.0, 1),
    ("descent", "relu", 2, "", np.nan, 2),
    ("affine", "relu", 1, "affine", 1.0, 0),
    ("affine", "tanh", 1, "affine", 0.0, 1),
    ("hinge", "relu", 1, "hinge", 1.0, 2),
    ("hinge", "softplus", 1, "hinge", 0.0, 0),
    ("hinge", "leaky_relu", 2, "hinge", np.nan, 0),
)
"""Experiment, activation, width, case, whether a minimiser is listed, verdict."""


NONE = np.nan
PREDICTED = {
    "decay": [-0.5, NONE, NONE, -2 / 3, NONE, -0.6, NONE],
    "growth": [0.25, NONE, NONE, 1 / 6, NONE, 0.2, NONE],
    "risk": [1e-5, NONE, NONE, 1e-9, NONE, NONE, NONE],
    "norm": [10.0, NONE, NONE, 20.0, NONE, NONE, NONE],
}
"""What the laws of escape predict of each run; that of the hinge has no constant here."""


def blow_up() -> xr.Dataset:
    """One run of each kind; the verdict of softplus is against the list, that of ReLU open."""
    count, time = len(RUNS), axis(1e4, 1e-2)
    risks = np.stack([falling(time, 4, 0.5) for _ in RUNS])
    risks[:, 0, -1] = 1e-3
    risks[4, 2, -3:] = 0.0
    norms = np.stack([2.0 / falling(time, 4, 0.2) for _ in RUNS])
    norms[:, 0, -1] = 3.0
    x = np.linspace(0.0, 1.0, 11)
    ramps = np.stack([np.clip((x - 0.5) * slope + 0.5, 0.0, 1.0) for slope in (4.0, 40.0)])
    jumps = [0.5, 0.5, *[np.nan] * 5]
    every = ("run", "initialization", "record")
    return xr.Dataset(
        {
            "experiment": ("run", [run[0] for run in RUNS]),
            "network_activation": ("run", [run[1] for run in RUNS]),
            "network_hidden": ("run", [run[2] for run in RUNS]),
            "case": ("run", [run[3] for run in RUNS]),
            "expected_attained": ("run", [run[4] for run in RUNS]),
            "verdict": ("run", [run[5] for run in RUNS]),
            "initialization_law": ("run", ["around"] * 4 + ["normal"] * 3),
            "training_step_size": ("run", ["null", "0.05", *["null"] * 5]),
            "count": ("run", [4] * count),
            "best": ("run", [1, 0, 2, 3, 2, 1, 3]),
            "best_end_risk": ("run", [1e-5, np.nan, 0.0, 1e-9, 0.0, 2e-6, 0.05]),
            "jump": ("run", jumps),
            "growth_constant": ("run", [relu_step(jump).length(1.0) ** 4 for jump in jumps]),
            "decay_constant": ("run", [relu_step(jump).excess(1.0) for jump in jumps]),
            "best_risk_slope": ("run", [-0.5, np.nan, 0.0, -0.66, 0.0, -0.6, 0.0]),
            "best_risk_law_ratio": ("run", [1.01, np.nan, np.nan, 1.0, np.nan, np.nan, np.nan]),
            **{
                f"predicted_{name}": (("run", "initialization"), np.tile(predicted, (4, 1)).T)
                for name, predicted in PREDICTED.items()
            },
            "time": (("run", "record"), np.tile(time, (count, 1))),
            "clock": (("run", "record"), np.tile(time, (count, 1))),
            "risk": (every, risks),
            "parameter_norm": (every, norms),
            "decay_ratio": (every, 1.0 - risks),
            "growth_ratio": (every, 1.0 + risks),
            "snapshot_at": (("run", "snapshot"), np.tile([0.0, 10.0], (count, 1))),
            "realization": (("run", "snapshot", "point"), np.tile(ramps, (count, 1, 1))),
            "realization_at": (("run", "snapshot", "point"), np.tile(x, (count, 2, 1))),
            "target": ("run", [_target(run[3] or "step") for run in RUNS]),
            "end_kind": (("run", "initialization"), np.ones((count, 4))),
        }
    ).merge(
        listed(problem({"kind": "step", "at": 0.3}, 3), problem({"kind": "step", "at": 0.5}, 6))
    )


def overparameterized() -> xr.Dataset:
    """Two architectures with two widths in each sweep over the width, and three other experiments."""
    swept = [("concentration", "fully_connected"), ("concentration_residual", "residual")]
    swept += [("stability", "residual"), ("stability", "fully_connected")]
    runs = [(name, kind, 2, width) for name, kind in swept for width in (64, 16)]
    runs += [("training", kind, 3, 32) for kind in ("residual", "fully_connected")]
    runs += [("depth", kind, h, np.nan) for kind in ("residual", "fully_connected") for h in (4, 2)]
    runs += [("step_sizes", "residual", 2, 32)] * 2
    runs += [("least_widths", "residual", h, m) for h in (2, 4) for m in (16, 32)]
    names, kinds, depths, widths = (list(values) for values in zip(*runs, strict=True))
    groups = [f"{name} {kind} tanh H={depth}" for name, kind, depth, _ in runs]
    step = axis(1e2)
    losses = np.stack([quantiles(falling(step, 4, 4.0)) for _ in runs])
    swept_quantiles = np.nan_to_num(np.array(widths), nan=1.0)[:, None] ** -0.5 * [0.5, 1.0, 2.0]
    known = list(dict.fromkeys(groups))
    measured = ("greatest_gram_change", "greatest_weight_change", "linearisation_error")
    depth = np.array(depths, float)
    return xr.Dataset(
        {
            "experiment": ("run", names),
            "network_architecture": ("run", kinds),
            "network_activation": ("run", ["tanh"] * len(runs)),
            "network_depth": ("run", depths),
            "network_width": ("run", widths),
            "group_of_run": ("run", groups),
            "input_count": ("run", [4] * len(runs)),
            "count": ("run", [4] * len(runs)),
            "step": (("run", "record"), np.tile(step, (len(runs), 1))),
            **{
                f"{name}_quantiles": (("run", "quantile"), swept_quantiles)
                for name in ("gram_error", *measured)
            },
            **{
                f"{name}_quantiles": (("run", "quantile", "record"), losses)
                for name in ("loss", "linearised_loss", "loss_bound")
            },
            "limit_least": ("run", 0.1**depth),
            "limit_greatest": ("run", depth),
            "scaled_least": ("run", 0.05 + 0.001 * depth),
            "stability_ratio": (("run", "initialization"), RNG.uniform(0.5, 2.0, (len(runs), 4))),
            "mode_growth": (("run", "initialization"), RNG.uniform(0.0, 3.0, (len(runs), 4))),
            "trained_share": ("run", [0.5] * len(runs)),
            "trained_loss": ("run", [1e-6] * len(runs)),
            "exponent": (("quantity", "group"), np.full((5, len(known)), -0.5)),
            "exponent_error": (("quantity", "group"), np.full((5, len(known)), 0.02)),
        },
        coords={
            "quantity": ["concentration", "stability", "weights", "linearisation", "mode"],
            "group": known,
        },
    )


def explore() -> xr.Dataset:
    """Two widths and two step sizes; the last setting has fewer runs, one of which diverged."""
    hidden, gamma, counts = [2, 2, 4, 4], [0.1, 0.4, 0.1, 0.4], [8, 8, 8, 6]
    step, at, x = axis(1e3), [0.0, 1.0, 10.0, 100.0, 1e3], np.linspace(0.0, 1.0, 41)
    risks = padded([falling(step, count) for count in counts])
    risks[:, 0, -1] = 1e-3
    risks[3, 1, -3:] = np.nan
    status = np.zeros((4, 8), np.int8)
    status[3] = [0, 1, 0, 0, 0, 0, -1, -1]
    curves = np.stack([np.sort(risk[:6], axis=0)[[0, 2, 5]] for risk in risks])
    curves[3, 2, -3:] = np.inf
    quantile = ("run", "quantile", "record")
    key = "configuration key"
    return xr.Dataset(
        {
            "experiment": ("run", ["corner"] * 4),
            "count": ("run", counts),
            "step": (("run", "record"), np.tile(step, (4, 1))),
            "risk": (("run", "initialization", "record"), risks),
            "final_risk": (("run", "initialization"), risks[:, :, -1]),
            "status": (("run", "initialization"), status),
            "gamma": ("run", gamma),
            "risk_quantiles": (quantile, curves),
            "parameter_norm_quantiles": (quantile, 2.0 + curves),
            "gradient_norm_quantiles": (quantile, curves),
            "gradient_norm_rms": (("run", "record"), 1.5 * curves[:, 1]),
            "critical_risk": (("run", "level"), padded([[0.0, 0.002], [0.002], [], [0.002]])),
            "snapshot_at": (("run", "snapshot"), padded([at, at, at, at])),
            "distance_to_end": (
                ("run", "first", "snapshot"),
                padded([RNG.uniform(0, 1, (3, 5))] * 4),
            ),
            "snapshot_spectrum": (
                ("run", "first", "snapshot", "eigenvalue"),
                padded([RNG.uniform(1, 9, (3, 5, 3 * h + 1)) for h in hidden]),
            ),
            "grid": (("run", "x"), np.tile(x, (4, 1))),
            "target_input": (("run", "place"), np.tile(x, (4, 1))),
            "target_value": (("run", "output", "place"), np.tile(abs(x - 0.5), (4, 1, 1))),
            "realization": (
                ("run", "first", "snapshot", "output", "x"),
                padded([RNG.uniform(-1, 1, (3, 5, 1, 41))] * 4),
            ),
            "kink": (
                ("run", "first", "kink"),
                padded([RNG.uniform(0, 1, (3, h)) for h in hidden]),
            ),
        },
        coords={
            "network_hidden": ("run", hidden, {"long_name": f"{key} network.hidden"}),
            "training_step_size": ("run", gamma, {"long_name": f"{key} training.step_size"}),
        },
    )


def small_dataset(study: str) -> xr.Dataset:
    """The dataset of the small configuration, made by the stages."""
    small = yaml.safe_load((REPOSITORY / "config" / "smoke.yaml").read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as folder:
        outputs = {"results": f"{folder}/results", "figures": f"{folder}/figures"}
        block = {study: small["studies"][study]}
        jobs = Jobs.from_mapping({"seed": 1, "outputs": outputs, "studies": block}, "0" * 64)
        do_all(jobs, "certify", "sample", "train", "aggregate")
        return xr.load_dataset(jobs.aggregate(study).outputs[0])


def datasets() -> dict[str, xr.Dataset]:
    """Every study's dataset by its name."""
    makers = (
        *(constant_targets, random_initializations, gradient_flows),
        *(blow_up, overparameterized, explore),
    )
    made = {name: small_dataset(name) for name in ("optimizers", "deep_networks")}
    return {make.__name__: make() for make in makers} | made
