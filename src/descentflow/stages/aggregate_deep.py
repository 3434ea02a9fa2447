"""Stage aggregate_deep: the dataset of ``overparameterized``, with all that figures and claims read."""

from pathlib import Path
from typing import Any

from descentflow.config.catalogue import STUDIES
from descentflow.datasets import netcdf
from descentflow.datasets.deep_rows import assemble
from descentflow.errors import InputError
from descentflow.schema.model import parse
from descentflow.stages import command
from descentflow.stages.trainers.deep_specs import AggregateDeepSpec
from descentflow.studies.overparameterized.experiments import EXPERIMENTS
from descentflow.studies.overparameterized.measures import measure


def aggregate_deep(job: dict[str, Any], inputs: list[Path], outputs: list[Path]) -> None:
    """Join the files of the study's runs, add the limits, measure, and write the dataset."""
    spec = job["spec"]
    block: dict[str, list[Any]] = {}
    for name, settings in spec["experiments"].items():
        if name not in EXPERIMENTS:
            allowed = ", ".join(EXPERIMENTS)
            raise InputError(f"experiments: unknown experiment '{name}'; allowed: {allowed}")
        block[name] = [parse(EXPERIMENTS[name].model, setting) for setting in settings]
    rows = assemble(block, spec["seed"], job["lock"], iter(inputs))
    study = STUDIES[spec["study"]]
    dataset = measure(rows)
    dataset.attrs["references"] = study.paper
    netcdf.write(dataset, outputs[0], _without_chunks(spec), study.title)


def _without_chunks(spec: dict[str, Any]) -> dict[str, Any]:
    """The spec but for chunk sizes, which leave no trace in a dataset."""
    experiments = {
        name: [_without_chunk(setting) for setting in settings]
        for name, settings in spec["experiments"].items()
    }
    return {**spec, "experiments": experiments}


def _without_chunk(setting: dict[str, Any]) -> dict[str, Any]:
    if "initialization" not in setting:
        return setting
    return {**setting, "initialization": {"count": setting["initialization"]["count"]}}


def main() -> None:
    """Run the stage as a command."""
    command.run(aggregate_deep, "Join the deep study's runs.", AggregateDeepSpec, None)


if __name__ == "__main__":
    main()
