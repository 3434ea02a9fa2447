"""The configuration: what a person may write in ``config.yaml``, checked before any job starts."""

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import PurePosixPath
from typing import Annotated, Any

from pydantic import AfterValidator, Field, ValidationError, create_model

from descentflow.config.catalogue import STUDIES
from descentflow.config.experiment import Experiment as Experiment
from descentflow.config.extends import load as load
from descentflow.config.figure_look import FigureLook
from descentflow.config.study import ANY_NAME, ExperimentType
from descentflow.config.sweeps import expand
from descentflow.errors import ConfigurationError
from descentflow.schema.messages import ConfigProblem, explain, report, shown
from descentflow.schema.model import Model, Whole
from descentflow.schema.yaml_file import size_problem, unsupported_values

SOURCES = (
    *("benchmarks", "config", "docs", "envs", "examples", "profiles", "src", "tests", "workflow"),
)
SYSTEM = ("bin", "boot", "dev", "etc", "lib", "lib32", "lib64", "proc", "sbin", "sys", "usr")


def _own_folder(text: str) -> str:
    """Return a folder that results may be written into; raises ValueError for one of other things."""
    path = PurePosixPath(text)
    first, *_ = (*path.parts[path.is_absolute() :], "")
    if "://" in text:
        raise ValueError("a folder is needed, no address")
    if text.startswith("~") or "$" in text:
        raise ValueError("~ and $ are the shell's and mean nothing here; write the folder out")
    if ".." in path.parts or not first:
        raise ValueError("a folder of its own is needed, such as results/mine")
    if path.is_absolute() and first in SYSTEM:
        raise ValueError("a folder of its own is needed, not the system's")
    if not path.is_absolute() and (first in SOURCES or first.startswith(".")):
        raise ValueError("a folder of its own is needed, not one of the sources or a hidden one")
    return text


Folder = Annotated[
    str,
    Field(min_length=1, max_length=1000, pattern=r"^[^\x00-\x1f\x7f{}]+$"),
    AfterValidator(_own_folder),
]
"""Braces would be wildcards of Snakemake."""


class Outputs(Model):
    """Folders for results and figures, relative to the working directory."""

    results: Folder = Field(default="results", description="folder of everything computed")
    figures: Folder = Field(default="figures", description="folder of the figures")


class Configuration(Model):
    """The top level of a configuration file, but for its studies."""

    seed: Whole = Field(
        ge=0, lt=2**63, description="decides everything drawn: initialisations, inputs, labels"
    )
    outputs: Outputs = Field(default_factory=Outputs, description="where files are written")
    figures: FigureLook = Field(
        default_factory=FigureLook, description="width and letters of the figures"
    )


@cache
def configuration_model() -> type[Configuration]:
    """Make the model of the whole file, with the studies of the catalogue and their experiments.

    It accepts anything for an experiment: :func:`check` looks at its sweep's settings one by one.
    """
    studies = {}
    for study in STUDIES.values():
        experiments: Any = dict.fromkeys(study.experiments, (Any, None))
        free = ANY_NAME in experiments  # then names are checked with the study
        block: Any = (
            dict[Any, Any] if free else create_model(study.name, __base__=Model, **experiments)
        )
        description = f"{study.description}, {study.paper}"
        studies[study.name] = (block | None, Field(default=None, description=description))
    fields: Any = studies
    model = create_model("Studies", __base__=Model, **fields)
    field = Field(description="the experiments, by study")
    return create_model("Configuration", __base__=Configuration, studies=(model, field))


Block = dict[str, list[Any]]
"""A study's experiments by name, each expanded into the settings of its sweep: instances of the
experiment's model."""


def check(mapping: object) -> tuple[Configuration, dict[str, Block]]:
    """Check a mapping; return the configuration and each study's experiments, sweeps expanded.

    Raises ConfigurationError with one line for every problem.
    """
    if size := size_problem(mapping):
        raise ConfigurationError(report([((), f"the configuration {size}")]))
    if problems := unsupported_values(mapping):
        raise ConfigurationError(report(problems))
    configuration: Configuration | None = None
    try:
        configuration = configuration_model().model_validate(mapping)
    except ValidationError as error:
        problems += explain(error, configuration_model())
    studies = mapping.get("studies") if isinstance(mapping, Mapping) else None
    blocks: dict[str, Block] = {}
    for study in STUDIES:
        written = studies.get(study) if isinstance(studies, Mapping) else None
        if isinstance(written, Mapping):
            blocks[study], inner = _check_study(study, written)
            problems += [(("studies", study, *path), text) for path, text in inner]
    if not blocks and not problems:
        problems.append((("studies",), f"no study given; allowed: {', '.join(STUDIES)}"))
    if configuration is None or problems:
        raise ConfigurationError(report(problems))
    return configuration, blocks


def _check_study(study: str, written: Mapping[str, Any]) -> tuple[Block, list[ConfigProblem]]:
    """Expand a study's experiments; return them with their problems, paths relative to the study."""
    block: Block = {}
    problems: list[ConfigProblem] = []
    invalid: set[str] = set()
    types = STUDIES[study].experiments
    for name, kind in _written(study, written, problems):
        block[name], inner = expand(written[name], kind.model, kind.checks)
        if not inner and kind.find_together is not None:
            inner = list(kind.find_together(block[name]))
        problems += [((name, *path), text) for path, text in inner]
        invalid |= {name} if inner else set()
    if not block and not problems and (ANY_NAME in types or set(written) <= set(types)):
        problems.append(((), f"no experiment given; allowed: {', '.join(types)}"))
    # What an experiment requires of others is checked once it and they are valid by themselves.
    for name in (name for name in block if name in types and name not in invalid):
        others = types[name].required_experiments
        if others is not None and not invalid & set(others.names):
            problems += others.find(block)
    return block, problems


def _written(
    study: str, written: Mapping[Any, Any], problems: list[ConfigProblem]
) -> Iterator[tuple[str, ExperimentType]]:
    """Yield the experiments that are given, in the study's order; add names that cannot be free."""
    types = STUDIES[study].experiments
    if ANY_NAME not in types:
        yield from ((name, kind) for name, kind in types.items() if written.get(name) is not None)
        return
    for name, value in written.items():
        if not isinstance(name, str) or STUDIES[study].experiment_type(name) is None:
            text = f"the name {shown(name)} is not allowed"
            problems.append(((), f"{text}; allowed: up to 60 of a-z, 0-9 and _, a letter first"))
        elif value is not None:
            yield name, types[ANY_NAME]
