"""Landscapes: lists of the critical risks of problems, one for each target, as wide as is asked for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from descentflow.config.experiment import MAX_LISTED
from descentflow.config.study import Study
from descentflow.errors import InputError
from descentflow.landscape.broken_line import broken_line
from descentflow.planning.identity import canonical, identity
from descentflow.risk.problem import Problem


@dataclass(frozen=True)
class Landscape:
    """The critical risks of networks that are at most as wide as the problem's."""

    problem: Problem
    lock: str

    @property
    def spec(self) -> dict[str, Any]:
        """All that decides the list, as JSON can hold it."""
        return self.problem.model_dump(mode="json", include={"inputs", "target", "network"})

    @cached_property
    def id(self) -> str:
        """Twelve hexadecimal digits."""
        return identity({**self.spec, "lock": self.lock})


def plan_landscapes(
    study: Study, block: Mapping[str, Sequence[Any]], lock: str
) -> dict[str, Landscape]:
    """Plan the landscapes that a study's experiments or their starts need, by :func:`key_of`.

    Settings whose critical risks cannot be listed have none. ``lock`` is the lock file's digest.
    """
    widest: dict[str, Problem] = {}
    for name, settings in sorted(block.items()):
        kind = study.experiment_type(name)
        for setting in settings:
            below = getattr(getattr(setting, "initialization", None), "below", None)
            wanted = below or (kind is not None and kind.landscape)
            if not wanted or (problem := _listable(setting)) is None:
                continue
            known = widest.setdefault(key_of(problem), problem)
            if known.network.width < problem.network.width:
                widest[key_of(problem)] = problem
    return {key: Landscape(problem, lock) for key, problem in sorted(widest.items())}


def key_of(problem: Problem) -> str:
    """Return law and target as JSON: problems that differ in their width alone share a landscape."""
    return canonical(problem.model_dump(mode="json", include={"inputs", "target"}))


def _listable(setting: Problem) -> Problem | None:
    """Return the problem, at most MAX_LISTED wide; None where its critical risks cannot be listed."""
    fields = setting.model_dump(include={"inputs", "target", "network"})
    if setting.network.deep:
        return None
    fields["network"]["hidden"] = min(setting.network.width, MAX_LISTED)
    problem = Problem.model_validate(fields)
    try:
        broken_line(problem)
    except InputError:
        return None
    return problem
