"""The configuration: what a person may write in ``config.yaml``, checked before any job starts."""

import copy
import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import Field, ValidationError

from descentflow.deep.experiment import EXPERIMENTS
from descentflow.errors import ConfigurationError
from descentflow.experiment import Descent, Experiment, LyapunovFraction
from descentflow.schema import Finding, Model, Whole, explain, report

MOST_RUNS = 10_000
UNSWEPT = ("training.steps", "training.until", "initialization.count", "initialization.chunk")


class ConstantTargets(Model):
    """Experiments of the study ``constant_targets``."""

    convergence: Any = None
    dimensions: Any = None
    flow: Any = None
    step_sizes: Any = None


class RandomInitializations(Model):
    """Experiments of the study ``random_initializations``."""

    success: Any = None


class GradientFlows(Model):
    """Experiments of the study ``gradient_flows``."""

    staircase: Any = None
    near_fits: Any = None
    saddles: Any = None
    small_steps: Any = None
    small_steps_flow: Any = None
    vector_targets: Any = None


class BlowUp(Model):
    """Experiments of the study ``blow_up``."""

    diverging: Any = None
    other_jump: Any = None
    random: Any = None
    descent: Any = None
    affine: Any = None
    step_one: Any = None
    step_two: Any = None
    hinge: Any = None
    parabola: Any = None
    parabola_four: Any = None
    parabola_six: Any = None


class Overparameterized(Model):
    """Experiments of the study ``overparameterized``."""

    concentration: Any = None
    concentration_residual: Any = None
    concentration_images: Any = None
    training: Any = None
    training_images: Any = None
    stability: Any = None
    stability_images: Any = None
    depth: Any = None
    step_sizes: Any = None


class Studies(Model):
    """The studies; those left out are not run."""

    constant_targets: ConstantTargets | None = None
    random_initializations: RandomInitializations | None = None
    gradient_flows: GradientFlows | None = None
    blow_up: BlowUp | None = None
    overparameterized: Overparameterized | None = None


class Outputs(Model):
    """Folders for results and figures, relative to the working directory."""

    results: Annotated[str, Field(min_length=1)] = "results"
    figures: Annotated[str, Field(min_length=1)] = "figures"


class Configuration(Model):
    """The top level of a configuration file."""

    seed: Whole = Field(ge=0, lt=2**63)
    outputs: Outputs = Field(default_factory=Outputs)
    studies: Studies


Block = dict[str, list[Any]]
"""A study's experiments by name, each expanded into the settings of its sweep: instances of
``Experiment``, in ``overparameterized`` of the models in ``EXPERIMENTS``."""


def load(path: Path) -> Any:
    """What a YAML file holds; raises ConfigurationError, naming the file."""
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {error.strerror}") from None
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigurationError(f"{path}: cannot be read as YAML: {error}") from None


def check(mapping: object) -> tuple[Configuration, dict[str, Block]]:
    """The configuration of a mapping, and each study's experiments with their sweeps expanded.

    Raises ConfigurationError with one line for every problem found.
    """
    findings: list[Finding] = []
    try:
        configuration = Configuration.model_validate(mapping)
    except ValidationError as error:
        raise ConfigurationError(report(explain(error, Configuration))) from None
    blocks: dict[str, Block] = {}
    for study, experiments in configuration.studies:
        if experiments is None:
            continue
        given = {name: value for name, value in experiments if value is not None}
        if not given:
            allowed = ", ".join(type(experiments).model_fields)
            findings.append((("studies", study), f"no experiment given; allowed: {allowed}"))
        blocks[study] = {}
        for name, value in given.items():
            runs, wrong = expand(value, _schema(study, name))
            wrong += _need_findings(study, name, runs) + _chunk_findings(runs)
            blocks[study][name] = runs
            findings += [(("studies", study, name, *path), text) for path, text in wrong]
    if not blocks and not findings:
        allowed = ", ".join(Studies.model_fields)
        findings.append((("studies",), f"no study given; allowed: {allowed}"))
    if findings:
        raise ConfigurationError(report(findings))
    return configuration, blocks


def _schema(study: str, experiment: str) -> type[Model]:
    return EXPERIMENTS[experiment] if study == "overparameterized" else Experiment


def expand(mapping: object, schema: type[Model] = Experiment) -> tuple[list[Any], list[Finding]]:
    """The runs of an experiment: every combination of the values in its ``sweep``.

    ``sweep`` maps dotted keys (``network.hidden``) to lists of values. Returns the runs and the
    findings, paths relative to the experiment; a finding about a swept value names its entry.
    """
    if not isinstance(mapping, Mapping):
        return [], [((), f"a mapping (key: value) is needed, found {mapping!r}")]
    base = {key: value for key, value in mapping.items() if key != "sweep"}
    sweep = mapping.get("sweep", {})
    findings = _check_sweep(sweep, schema)
    if findings:
        return [], findings
    runs: list[Any] = []
    for choice in itertools.product(*(range(len(values)) for values in sweep.values())):
        chosen = dict(zip(sweep, choice, strict=True))
        candidate = copy.deepcopy(base)
        for key, index in chosen.items():
            if not _set(candidate, key.split("."), sweep[key][index]):
                findings.append((("sweep", key), "leads below a value that is not a mapping"))
        try:
            runs.append(schema.model_validate(candidate))
        except ValidationError as error:
            found = explain(error, schema)
            findings += [(_swept(path, chosen), text) for path, text in found]
            continue
        findings += [(_swept(path, chosen), text) for path, text in _fraction_findings(runs[-1])]
    return runs, list(dict.fromkeys(findings))


def _check_sweep(sweep: object, schema: type[Model]) -> list[Finding]:
    if not isinstance(sweep, Mapping):
        return [(("sweep",), f"a mapping of keys to lists is needed, found {sweep!r}")]
    findings: list[Finding] = []
    runs = 1
    for key, values in sweep.items():
        path = ("sweep", str(key))
        if not isinstance(values, list) or not values:
            findings.append((path, f"a list of at least one value is needed, found {values!r}"))
            continue
        runs *= len(values)
        if key in UNSWEPT:
            findings.append((path, "cannot be swept: the largest value contains the others"))
        if str(key).split(".")[0] not in schema.model_fields:
            allowed = ", ".join(schema.model_fields)
            findings.append((path, f"unknown key; allowed: keys below {allowed}"))
    if runs > MOST_RUNS:
        findings.append((("sweep",), f"{runs} combinations; allowed: at most {MOST_RUNS}"))
    return findings


def _set(mapping: dict[str, Any], keys: list[str], value: object) -> bool:
    """Set the value below nested keys; False where a key on the way holds no mapping."""
    for key in keys[:-1]:
        inner = mapping.setdefault(key, {})
        if not isinstance(inner, dict):
            return False
        mapping = inner
    mapping[keys[-1]] = value
    return True


def _swept(path: tuple[str | int, ...], chosen: Mapping[str, int]) -> tuple[str | int, ...]:
    """The path of the sweep's entry that a finding is about, or the path itself."""
    for key, index in chosen.items():
        keys = tuple(key.split("."))
        if path[: len(keys)] == keys:
            return ("sweep", key, index, *path[len(keys) :])
    return path


RELU, HOMOGENEOUS = ("relu",), ("relu", "leaky_relu")
LINEAR = ("constant", "affine", "piecewise_linear", "step")
NEEDS: dict[str, dict[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "constant_targets": {"*": (("constant",), HOMOGENEOUS)},
    "random_initializations": {"*": (LINEAR, RELU)},
    "gradient_flows": {"*": (("affine",), RELU)},
    "blow_up": dict.fromkeys(("diverging", "other_jump", "random", "descent"), (("step",), RELU)),
}
"""Kinds of target and activations that an experiment's measurements are about; ``*``: every one."""


MOST_CHUNKS = 5_000
"""Snakemake plans no more jobs than about this in reasonable time."""


def _chunk_findings(runs: list[Any]) -> list[Finding]:
    chunks = sum(run.chunks for run in runs)
    if chunks <= MOST_CHUNKS:
        return []
    text = f"makes {chunks} jobs of this experiment, allowed are {MOST_CHUNKS}; take larger chunks"
    return [(("initialization", "chunk"), text)]


def _need_findings(study: str, experiment: str, runs: list[Any]) -> list[Finding]:
    needs = NEEDS.get(study, {})
    known = needs.get(experiment) or needs.get("*")
    if known is None:
        return []
    targets: set[str] = {target.kind for run in runs for target in run.targets}
    activations: set[str] = {run.network.activation for run in runs}
    pairs = ((("target", "kind"), targets), (("network", "activation"), activations))
    return [
        (path, f"this experiment needs {' or '.join(allowed)}, found {', '.join(sorted(found))}")
        for (path, found), allowed in zip(pairs, known, strict=True)
        if found - set(allowed)
    ]


def _fraction_findings(run: Any) -> Iterator[Finding]:
    training = getattr(run, "training", None)
    fraction = isinstance(training, Descent) and isinstance(training.step_size, LyapunovFraction)
    if fraction and not run.lyapunov_centre.size:
        text = "needs constant targets and activation relu or leaky_relu"
        yield ("training", "step_size", "lyapunov_fraction"), text
