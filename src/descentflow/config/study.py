"""How a study is declared: its names, its figures, its experiments and what they require.

Each folder ``descentflow/studies/<name>/`` declares one: its ``__init__`` a :class:`Study` named
``STUDY``, its module ``experiments`` a mapping ``EXPERIMENTS`` from names to :class:`ExperimentType`.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import Any

from descentflow.schema.messages import ConfigProblem
from descentflow.schema.model import Check, Model

ANY_NAME = "<any name>"
"""The name under which a study declares experiments that may be named freely."""

NAME_PATTERN = r"^[a-z][a-z0-9_]{0,59}$"
"""Such names are those of folders and rows of tables."""


@dataclass(frozen=True)
class RequiredExperiments:
    """Other experiments of the same study that an experiment requires beside it.

    ``find`` yields the problems of a block of valid experiments, each a list of settings by its name;
    paths are relative to the study. ``description`` says in words what is required.
    """

    names: tuple[str, ...]
    description: str
    find: Callable[[Mapping[str, Sequence[Any]]], Iterable[ConfigProblem]]


@dataclass(frozen=True)
class ExperimentType:
    """What may be configured under the name of an experiment: a model, and what it is limited to.

    Empty ``targets``, ``activations`` or ``methods`` allow all of them; ``deep`` allows several hidden
    layers. The docstring of each further constraint's function says in its first line what is required.
    ``find_together`` yields the problems of all settings together, paths relative to the experiment.
    ``drawn`` lists the figures of an experiment that is named freely. With ``landscape`` the critical
    risks of its problems are listed and proved, where that is possible.
    """

    model: type[Model]
    targets: tuple[str, ...] = ()
    activations: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    constraints: tuple[Check, ...] = ()
    required_experiments: RequiredExperiments | None = None
    deep: bool = False
    find_together: Callable[[Sequence[Any]], Iterable[ConfigProblem]] | None = None
    drawn: Callable[[Sequence[Any]], Sequence[str]] | None = None
    landscape: bool = False

    @property
    def words(self) -> tuple[tuple[str, str, tuple[str, ...]], ...]:
        """The blocks and keys whose words are limited, each with the words allowed."""
        limits = (
            ("target", "kind", self.targets),
            ("network", "activation", self.activations),
            ("training", "method", self.methods),
        )
        return tuple((block, key, allowed) for block, key, allowed in limits if allowed)

    @property
    def checks(self) -> tuple[Check, ...]:
        """All constraints, as checks of ``model``."""
        words = (
            Check((block,), partial(_check_words, block, key, allowed))
            for block, key, allowed in self.words
        )
        depth = () if self.deep else (Check(("network",), _one_hidden_layer),)
        return (*words, *depth, *self.constraints)


def _check_words(block: str, key: str, allowed: Sequence[str], run: Any) -> Iterator[ConfigProblem]:
    """Find other words than those allowed for a key of a block, which may be a list of mappings."""
    value = getattr(run, block)
    listed = isinstance(value, tuple)
    for number, mapping in enumerate(value if listed else (value,)):
        word = getattr(mapping, key)
        if word not in allowed:
            path = (block, number, key) if listed else (block, key)
            yield path, required(allowed, word)


def _one_hidden_layer(run: Any) -> Iterator[ConfigProblem]:
    """Find several hidden layers of an interval's networks."""
    if getattr(run.network, "deep", False):
        text = required(["one hidden layer, a number"], list(run.network.hidden))
        yield ("network", "hidden"), text


def required(allowed: Sequence[str], value: object) -> str:
    """Say that an experiment needs one of the ``allowed`` values and not ``value``."""
    return f"this experiment needs {' or '.join(allowed)}, found {value}"


@dataclass(frozen=True)
class Figure:
    """A figure: the experiment that it is drawn from, or any, and its name for people.

    The function of the figure's name in the study's module ``figures`` draws it; the template of that
    name in the study's folder ``captions`` is its caption.
    """

    experiment: str
    title: str


@dataclass(frozen=True)
class Study:
    """A study: the name of its folder, its title, its paper, one line about it, and its figures.

    Studies are listed by ``order``, then by name.
    """

    name: str
    title: str
    paper: str
    description: str
    figures: Mapping[str, Figure]
    order: int = 1000

    @property
    def experiments(self) -> Mapping[str, ExperimentType]:
        """The experiments by name, imported when they are asked for.

        So no job that only draws or judges depends on them.
        """
        module = import_module(f"descentflow.studies.{self.name}.experiments")
        experiments: Mapping[str, ExperimentType] = module.EXPERIMENTS
        return experiments

    def experiment_type(self, name: str) -> ExperimentType | None:
        """Return what may be configured under a name; None if the study has no such experiment."""
        kind = self.experiments.get(ANY_NAME)
        if kind is not None:
            return kind if re.fullmatch(NAME_PATTERN, name) else None
        return self.experiments.get(name)

    def drawings(self, block: Mapping[str, Sequence[Any]]) -> Iterator[str]:
        """Yield the names of the figures of configured experiments, paths below the study's folder.

        Figures of experiments that are named freely lie in a folder for each.
        """
        for name, figure in self.figures.items():
            if figure.experiment in block:
                yield name
        for experiment, settings in block.items():
            kind = self.experiment_type(experiment)
            if kind is not None and kind.drawn is not None:
                yield from (f"{experiment}/{name}" for name in kind.drawn(settings))
