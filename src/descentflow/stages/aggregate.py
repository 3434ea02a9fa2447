"""Stage aggregate: one dataset per study, with everything that figures and claims read."""

import contextlib
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from descentflow.config.catalogue import STUDIES
from descentflow.datasets.aggregate import Measures, collect
from descentflow.datasets.column_writer import write
from descentflow.datasets.landscapes import read_landscapes
from descentflow.datasets.trained_runs import read_chunks, rows_of
from descentflow.errors import CannotWrite, InputError
from descentflow.planning.landscapes import plan_landscapes
from descentflow.planning.runs import plan_runs
from descentflow.schema.model import Model, parse
from descentflow.stages.command import Stage, Task
from descentflow.stages.study_specs import AggregateSpec


def aggregate(task: Task[AggregateSpec]) -> None:
    """Join the files of a study's runs, measure them, add critical risks, and write the dataset."""
    spec, path = task.spec, task.outputs[0]
    measures: Measures = import_module(f"descentflow.studies.{spec.study}.measures")
    lock = task.job.get("lock")
    if not isinstance(lock, str):
        raise InputError(f"--job: needs a key 'lock', the lock file's digest; found {lock!r}")
    study, block = STUDIES[spec.study], _block(spec)
    runs = plan_runs(block, measures.RUN_CLASSES, spec.seed, lock)
    landscapes = list(plan_landscapes(study, block, lock).values())
    last = len(task.inputs) - len(landscapes)
    with column_folder(path) as folder:
        chunks = read_chunks(runs, iter(task.inputs[:last]))
        dataset, columns = collect(measures, rows_of(runs), chunks, folder)
        dataset = dataset.merge(read_landscapes(landscapes, task.inputs[last:]))
        dataset.attrs["references"] = study.paper
        dataset.attrs |= _versions(task.job.get("versions", {}))
        write(dataset, columns, path, _without_chunks(task.written), study.title)


def _versions(versions: object) -> dict[str, str]:
    """Return an attribute that names packages other than the lock file's, if there are any."""
    if not isinstance(versions, Mapping):
        raise InputError(f"--job: 'versions' must be a mapping, found {versions!r}")
    text = ", ".join(f"{name} {version}" for name, version in sorted(versions.items()))
    return {"versions_other_than_the_lock_file": text} if text else {}


def _block(spec: AggregateSpec) -> dict[str, list[Model]]:
    """Parse the settings as the study's experiments; raises InputError."""
    study, block = STUDIES[spec.study], {}
    for name, settings in spec.experiments.items():
        if (kind := study.experiment_type(name)) is None:
            allowed = ", ".join(study.experiments)
            raise InputError(f"experiments: unknown experiment '{name}'; allowed: {allowed}")
        block[name] = [parse(kind.model, setting) for setting in settings]
    return block


@contextlib.contextmanager
def column_folder(path: Path) -> Iterator[Path]:
    """A folder beside the file to be written; what killed attempts left there is swept first.

    Raises CannotWrite, naming the file.
    """
    for stale in path.parent.glob(f".{path.name}.*.scratch"):
        shutil.rmtree(stale, ignore_errors=True)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(
            dir=path.parent, prefix=f".{path.name}.", suffix=".scratch"
        ) as folder:
            yield Path(folder)
    except OSError as error:
        raise CannotWrite(f"{path}: cannot be written: {error.strerror}") from None


def _without_chunks(spec: Any) -> dict[str, Any]:
    """Return the spec but for chunk sizes, which leave no trace in a dataset."""
    experiments = {
        name: [_without_chunk(setting) for setting in settings]
        for name, settings in spec["experiments"].items()
    }
    return {**spec, "experiments": experiments}


def _without_chunk(setting: dict[str, Any]) -> dict[str, Any]:
    if "initialization" not in setting:
        return setting
    law = {key: value for key, value in setting["initialization"].items() if key != "chunk"}
    return {**setting, "initialization": law}


STAGE = Stage(aggregate, AggregateSpec, None)


if __name__ == "__main__":
    STAGE.main()
