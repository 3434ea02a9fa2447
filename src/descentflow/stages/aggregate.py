"""Stage aggregate: one dataset per study, with everything that figures and claims read."""

from importlib import import_module
from pathlib import Path
from typing import Any

from descentflow import store
from descentflow.experiment import Experiment
from descentflow.measures.table import tabulate
from descentflow.measures.trained import assemble
from descentflow.plan import runs_of
from descentflow.stages import command
from descentflow.stages.specs import AggregateSpec
from descentflow.studies import STUDIES


def aggregate(job: dict[str, Any], inputs: list[Path], outputs: list[Path]) -> None:
    """Join the files of a study's runs, measure them, and write the dataset."""
    spec = job["spec"]
    block = {
        name: [Experiment.model_validate(setting) for setting in settings]
        for name, settings in spec["experiments"].items()
    }
    runs = runs_of(block, spec["seed"], job["lock"])
    rows = assemble(runs, iter(inputs))
    study = STUDIES[spec["study"]]
    measure = import_module(f"descentflow.measures.{study.name}").measure
    dataset = measure(tabulate(rows), rows)
    dataset.attrs["references"] = study.paper
    store.write(dataset, outputs[0], _without_chunks(spec), study.title)


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
