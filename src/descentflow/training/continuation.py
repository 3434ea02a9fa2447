"""What the dataset of a run says about the run, and how a longer run goes on from there.

``descend`` and ``flow`` write the problem, and all settings that decide the numbers beside start and
step sizes, into the attribute ``spec``. With ``continue_from`` they read them from there, so that the
longer run has the bits of one that was never interrupted.
"""

import json
from collections.abc import Mapping
from typing import Any, ClassVar, TypeVar

import numpy as np
import xarray as xr
from numpy.typing import DTypeLike, NDArray
from pydantic import Field

from descentflow import __version__
from descentflow.errors import InputError
from descentflow.risk.problem import Problem
from descentflow.schema.arguments import real_array
from descentflow.schema.model import Model, Number, Whole, parse
from descentflow.simd.arrays import Array
from descentflow.training.recording import Grid, Steps

S = TypeVar("S", bound="Settings")


class Settings(Model):
    """What decides the numbers of a run beside its problem, start and step sizes.

    ``snapshots`` is the number of initialisations whose θ is kept, at ``save_at`` where that is given.
    """

    title: ClassVar[str]
    horizon: ClassVar[str]
    """The name of the field with the last step or time."""

    snapshots: Whole = Field(default=0, ge=0, le=10**9)
    save_at: tuple[Number, ...] = ()

    @property
    def end(self) -> float:
        """The last step or time."""
        return float(getattr(self, self.horizon))

    def snapshot_grid(self, default: Grid) -> Grid:
        """Return the steps or times at which θ is kept."""
        return np.array(self.save_at, default.dtype) if self.save_at else default


def settings_of(model: type[S], count: int, given: Mapping[str, object]) -> S:
    """Check the settings of a new run of ``count`` initialisations; None stands for a default.

    Raises InputError.
    """
    mapping = {name: _plain(value) for name, value in given.items() if value is not None}
    if "save_at" in mapping:
        mapping = {"snapshots": count, **mapping, "save_at": _saved(given["save_at"])}
    return _checked(model, mapping)


def continued_settings(
    model: type[S], problem: Problem, run: xr.Dataset, given: Mapping[str, object]
) -> S:
    """Return the settings of ``run`` with another horizon, and with steps or times to save added.

    Raises InputError where anything else is given, and where ``run`` is no shorter run of this kind
    and problem.
    """
    earlier = _settings_in(model, problem, run)
    for name, value in given.items():
        if value is not None and name not in (model.horizon, "save_at"):
            raise InputError(f"{name}: is that of the run to be continued; leave it out")
    mapping = earlier.model_dump() | {model.horizon: _plain(given[model.horizon])}
    if given["save_at"] is not None:
        if earlier.snapshots and not earlier.save_at:
            raise InputError("save_at: the run to be continued keeps θ at 0, 1, 10, .. already")
        added = _saved(given["save_at"])
        if added and added[0] <= earlier.end:
            raise InputError(
                f"save_at: must lie above {earlier.end:g}, where the run to be continued ends, "
                f"found {added[0]:g}"
            )
        everyone = int(column(run, "initialization", ("initialization",)).max()) + 1
        mapping["save_at"] = [*earlier.save_at, *added]
        mapping["snapshots"] = earlier.snapshots or everyone
    later = _checked(model, mapping)
    if later.end <= earlier.end:
        raise InputError(
            f"{model.horizon}: must be above {earlier.end:g}, where the run to be continued ends, "
            f"found {later.end:g}"
        )
    return later


def _plain(value: object) -> object:
    """Return a number of NumPy or xarray as Python's, anything else as it is."""
    return value.item() if getattr(value, "ndim", None) == 0 else value  # type: ignore[attr-defined]


def _saved(save_at: object) -> list[float]:
    """Return the steps or times of ``save_at`` in order; raise InputError unless it is a list."""
    array = real_array("save_at", save_at)  # type: ignore[arg-type]
    if array.ndim != 1:
        raise InputError(f"save_at: a list of numbers is needed, found shape {array.shape}")
    values: list[float] = np.unique(array).tolist()
    return values


def _checked(model: type[S], mapping: Mapping[str, object]) -> S:
    settings = parse(model, mapping)
    if settings.save_at and not 0 <= settings.save_at[0] <= settings.save_at[-1] <= settings.end:
        raise InputError(
            f"save_at: must lie between 0 and {model.horizon} = {settings.end:g}, "
            f"found {list(settings.save_at)}"
        )
    return settings


def attributes(problem: Problem, settings: Settings) -> dict[str, str]:
    """Return the attributes of a run's dataset: CF's, and ``spec``, the problem and the settings."""
    spec = {**_problem_in(problem), "training": settings.model_dump(mode="json")}
    return {
        "Conventions": "CF-1.11",
        "title": settings.title,
        "source": f"descentflow {__version__}",
        "descentflow_version": __version__,
        "spec": json.dumps(spec, sort_keys=True),
    }


def _problem_in(problem: Problem) -> dict[str, Any]:
    """Return the problem's mapping as JSON gives it back."""
    fields = problem.model_dump(mode="json", include=set(Problem.model_fields))
    if not problem.trains_all:
        fields["train"] = problem.trained
    mapping: dict[str, Any] = json.loads(json.dumps(fields))
    return mapping


def _settings_in(model: type[S], problem: Problem, run: xr.Dataset) -> S:
    try:
        spec = json.loads(run.attrs["spec"])
        training = spec.pop("training")
        settings = parse(model, training)
    except (AttributeError, KeyError, TypeError, ValueError):
        raise InputError(
            f"continue_from: a dataset of {model.title.lower()} with its attribute 'spec' is needed"
        ) from None
    if spec != _problem_in(problem):
        raise InputError("continue_from: is the run of another problem")
    return settings


def column(
    run: xr.Dataset, name: str, dims: tuple[str, ...], dtype: DTypeLike = np.float64
) -> NDArray[Any]:
    """Return a variable of the run to be continued; raise InputError if it is missing."""
    if name not in run.variables or set(run[name].dims) != set(dims):
        raise InputError(f"continue_from: needs the variable {name} ({', '.join(dims)})")
    return np.require(run[name].transpose(*dims).values, dtype, ["C", "W"])


def with_earlier_records(
    run: xr.Dataset, later: xr.Dataset, start: float, grids: Mapping[str, Steps | Array]
) -> xr.Dataset:
    """Return ``later`` with the records of ``run`` up to ``start`` put before its own.

    ``grids`` are the steps or times of all records and of all snapshots, by dimension; those of the
    shorter run that are not among them, such as its end, are left out.
    """
    variables = {"initialization": run["initialization"].variable}
    for name, variable in later.variables.items():
        for dim in grids:
            if dim in variable.dims and name in run.variables:
                at = run[dim].values
                rows = np.flatnonzero((at <= start) & (start > 0) & np.isin(at, grids[dim]))
                earlier = run[name].variable.transpose(*variable.dims).isel({dim: rows})
                variable = earlier.concat([earlier, variable], dim)  # type: ignore[no-untyped-call]
        variables.setdefault(str(name), variable)
    return xr.Dataset(variables)
