"""Stage aggregate: one dataset per study, with everything that figures and claims read."""

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from descentflow.config.catalogue import STUDIES
from descentflow.config.experiment import Experiment
from descentflow.datasets.aggregate import collect
from descentflow.datasets.column_writer import write
from descentflow.datasets.trained_runs import blocks, rows_of
from descentflow.errors import CannotWrite
from descentflow.planning.shallow_runs import runs_of
from descentflow.stages import command
from descentflow.stages.trainers.specs import AggregateSpec


def aggregate(job: dict[str, Any], inputs: list[Path], outputs: list[Path]) -> None:
    """Join the files of a study's runs, measure them, and write the dataset."""
    spec = job["spec"]
    block = {
        name: [Experiment.model_validate(setting) for setting in settings]
        for name, settings in spec["experiments"].items()
    }
    runs = runs_of(block, spec["seed"], job["lock"])
    study = STUDIES[spec["study"]]
    measures = import_module(f"descentflow.studies.{study.name}.measures")
    with scratch(outputs[0]) as folder:
        dataset, columns = collect(measures, rows_of(runs), blocks(runs, iter(inputs)), folder)
        dataset.attrs["references"] = study.paper
        write(dataset, columns, outputs[0], _without_chunks(spec), study.title)


@contextlib.contextmanager
def scratch(path: Path) -> Iterator[Path]:
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


def _without_chunks(spec: dict[str, Any]) -> dict[str, Any]:
    """The spec but for chunk sizes, which leave no trace in a dataset."""
    experiments = {
        name: [
            {**s, "initialization": {k: v for k, v in s["initialization"].items() if k != "chunk"}}
            for s in settings
        ]
        for name, settings in spec["experiments"].items()
    }
    return {**spec, "experiments": experiments}


def main() -> None:
    """Run the stage as a command."""
    command.run(aggregate, "Join a study's runs into one dataset.", AggregateSpec, None)


if __name__ == "__main__":
    main()
