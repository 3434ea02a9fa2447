"""The configuration: what a person may write in ``config.yaml``, checked before any job starts."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import Field, ValidationError

from descentflow.config.experiment import Experiment
from descentflow.config.requirements import NEEDS, companions
from descentflow.config.sweeps import expand
from descentflow.deep.experiment import EXPERIMENTS
from descentflow.errors import ConfigurationError
from descentflow.schema.messages import ConfigProblem, explain, report
from descentflow.schema.model import Check, Model, Whole
from descentflow.schema.yaml_file import load as load
from descentflow.schema.yaml_file import oversized, strange


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

    constant_targets: ConstantTargets | None = Field(
        default=None, description="gradient descent and flow for constant targets, arXiv:2102.09924"
    )
    random_initializations: RandomInitializations | None = Field(
        default=None, description="piecewise linear targets from random starts, arXiv:2108.04620"
    )
    gradient_flows: GradientFlows | None = Field(
        default=None, description="gradient flows for affine targets, arXiv:2107.04479"
    )
    blow_up: BlowUp | None = Field(
        default=None, description="gradient flows that diverge, arXiv:2211.15641"
    )
    overparameterized: Overparameterized | None = Field(
        default=None, description="deep over-parameterised networks, arXiv:1811.03804"
    )


STUDIES: dict[str, type[Model]] = {
    "constant_targets": ConstantTargets,
    "random_initializations": RandomInitializations,
    "gradient_flows": GradientFlows,
    "blow_up": BlowUp,
    "overparameterized": Overparameterized,
}
"""The model of each study's block."""

COMPANIONS_OF = {
    "small_steps": ("small_steps_flow",),
    "small_steps_flow": ("small_steps",),
    "descent": ("diverging",),
}
"""Nothing is said about an experiment's companions while they are wrong themselves."""


Folder = Annotated[str, Field(min_length=1, max_length=1000, pattern=r"^[^\x00-\x1f\x7f{}]+$")]
"""Braces would be wildcards of Snakemake."""


class Outputs(Model):
    """Folders for results and figures, relative to the working directory."""

    results: Folder = Field(default="results", description="folder of everything computed")
    figures: Folder = Field(default="figures", description="folder of the figures")


class Configuration(Model):
    """The top level of a configuration file."""

    seed: Whole = Field(
        ge=0, lt=2**63, description="decides everything drawn: initialisations, inputs, labels"
    )
    outputs: Outputs = Field(default_factory=Outputs, description="where files are written")
    studies: Studies = Field(description="the experiments, by study")


Block = dict[str, list[Any]]
"""A study's experiments by name, each expanded into the settings of its sweep: instances of
``Experiment``, in ``overparameterized`` of the models in ``EXPERIMENTS``."""


def check(mapping: object) -> tuple[Configuration, dict[str, Block]]:
    """The configuration of a mapping, and each study's experiments with their sweeps expanded.

    Raises ConfigurationError with one line for every problem found.
    """
    if too_much := oversized(mapping):
        raise ConfigurationError(report([((), f"the configuration {too_much}")]))
    if findings := strange(mapping):
        raise ConfigurationError(report(findings))
    configuration: Configuration | None = None
    try:
        configuration = Configuration.model_validate(mapping)
    except ValidationError as error:
        findings += explain(error, Configuration)
    blocks: dict[str, Block] = {}
    for study, given in _studies(mapping):
        blocks[study], wrong = _block(study, given)
        findings += [(("studies", study, *path), text) for path, text in wrong]
    if not blocks and not findings:
        allowed = ", ".join(Studies.model_fields)
        findings.append((("studies",), f"no study given; allowed: {allowed}"))
    if configuration is None or findings:
        raise ConfigurationError(report(findings))
    return configuration, blocks


def experiments_of(study: str) -> dict[str, type[Model]]:
    """The model of every experiment of a study, by name."""
    model = STUDIES[study]
    if study == "overparameterized":
        return dict(EXPERIMENTS)
    return dict.fromkeys(model.model_fields, Experiment)


def checks_of(study: str, experiment: str) -> tuple[Check, ...]:
    """What is looked for in an experiment beyond what its model says."""
    needs = NEEDS.get(study, {}).get(experiment)
    return needs.checks if needs else ()


def _studies(mapping: object) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The studies that are given, whatever else is wrong with the mapping."""
    studies = mapping.get("studies") if isinstance(mapping, Mapping) else None
    for study in Studies.model_fields if isinstance(studies, Mapping) else ():
        given = studies.get(study) if isinstance(studies, Mapping) else None
        if isinstance(given, Mapping):
            yield study, given


def _block(study: str, given: Mapping[str, Any]) -> tuple[Block, list[ConfigProblem]]:
    """A study's experiments, and what is wrong with them."""
    block: Block = {}
    findings: list[ConfigProblem] = []
    wrong: set[str] = set()
    models = experiments_of(study)
    for name, model in models.items():
        if given.get(name) is None:
            continue
        further: dict[type[Model], tuple[Check, ...]] = {Experiment: checks_of(study, name)}
        block[name], found = expand(given[name], model, further)
        findings += [((name, *path), text) for path, text in found]
        wrong |= {name} if found else set()
    if not block and set(given) <= set(models):
        findings.append(((), f"no experiment given; allowed: {', '.join(models)}"))
    # What two experiments need of one another can be asked of those that are well.
    findings += [
        (path, text)
        for path, text in companions(
            study, {n: runs for n, runs in block.items() if n not in wrong}
        )
        if not wrong & set(COMPANIONS_OF.get(str(path[0]), ()))
    ]
    return block, findings
