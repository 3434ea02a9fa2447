"""The catalogue of studies: every package in ``descentflow/studies`` is one."""

import pkgutil
from collections.abc import Iterator, Mapping
from functools import cached_property
from importlib import import_module
from pathlib import Path

from descentflow.config.study import Study

FIGURE_FORMATS = ("pdf", "svg", "png")

FOLDER = Path(__file__).parents[1] / "studies"
"""Where the folders of the studies are."""


class _Catalogue(Mapping[str, Study]):
    """Studies by name, each imported when it is asked for, and in their order."""

    @cached_property
    def _names(self) -> set[str]:
        return {module.name for module in pkgutil.iter_modules([str(FOLDER)]) if module.ispkg}

    @cached_property
    def _order(self) -> tuple[str, ...]:
        return tuple(sorted(self._names, key=lambda name: (self[name].order, name)))

    def __getitem__(self, name: str) -> Study:
        if name not in self._names:
            raise KeyError(name)
        study: Study = import_module(f"descentflow.studies.{name}").STUDY
        if study.name != name:
            raise ValueError(f"the folder studies/{name} declares a study named {study.name}")
        return study

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._order)

    def __len__(self) -> int:
        return len(self._names)


STUDIES: Mapping[str, Study] = _Catalogue()
