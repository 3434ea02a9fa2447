"""How a study is declared: its names, its figures, its experiments and what they require.

Each folder ``descentflow/studies/<name>/`` declares one: its ``__init__`` a :class:`Study` named
``STUDY``, its module ``experiments`` a mapping ``EXPERIMENTS`` from names to :class:`ExperimentType`.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from descentflow.schema.messages import ConfigProblem
from descentflow.schema.model import Check, Model


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

    Empty ``targets``, ``activations`` or ``methods`` allow all of them. The docstring of each further
    constraint's function says in its first line what is required.
    """

    model: type[Model]
    targets: tuple[str, ...] = ()
    activations: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    constraints: tuple[Check, ...] = ()
    required_experiments: RequiredExperiments | None = None

    @property
    def checks(self) -> tuple[Check, ...]:
        """All constraints, as checks of ``model``."""
        words = (
            (self.targets, Check(("target",), self._check_targets)),
            (self.activations, Check(("network",), self._check_activation)),
            (self.methods, Check(("training",), self._check_method)),
        )
        return (*(check for allowed, check in words if allowed), *self.constraints)

    def _check_targets(self, run: Any) -> Iterator[ConfigProblem]:
        for number, target in enumerate(run.targets):
            if target.kind not in self.targets:
                path = ("target", number) if isinstance(run.target, tuple) else ("target",)
                yield (*path, "kind"), required(self.targets, target.kind)

    def _check_activation(self, run: Any) -> Iterator[ConfigProblem]:
        if run.network.activation not in self.activations:
            text = required(self.activations, run.network.activation)
            yield ("network", "activation"), text

    def _check_method(self, run: Any) -> Iterator[ConfigProblem]:
        if run.training.method not in self.methods:
            yield ("training", "method"), required(self.methods, run.training.method)


def required(allowed: Sequence[str], value: object) -> str:
    """Say that an experiment needs one of the ``allowed`` values and not ``value``."""
    return f"this experiment needs {' or '.join(allowed)}, found {value}"


@dataclass(frozen=True)
class Figure:
    """A figure: the experiment that it is drawn from, and its name for people.

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
