"""Train some runs of an experiment again, keep θ along them, and write the page on which they move."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from descentflow.config.catalogue import STUDIES
from descentflow.datasets import netcdf
from descentflow.errors import InputError
from descentflow.planning.jobs import Jobs
from descentflow.planning.shallow_runs import Run
from descentflow.report import moving_page
from descentflow.schema.model import parse
from descentflow.stages.train import trainer_of

MAX_STARTS = 64
"""Initialisations that are trained again, the first ones of the run."""
LASTING = 20
"""Least number of records of runs that are worth a look."""
USUAL_PARAMETERS = 60
"""Of an experiment's settings the largest with at most so many parameters is shown."""


def animate(jobs: Jobs, folder: Path, chosen: list[str]) -> Iterator[Path]:
    """Write pages of the chosen STUDY.EXPERIMENT, or of each study's first; yield their paths.

    Raises InputError for experiments that are not configured or cannot be shown, and where the
    workflow has not drawn their initial parameters.
    """
    for name in chosen or _first(jobs):
        run = _run(jobs, name)
        path = folder / f"{name}.html"
        path.parent.mkdir(parents=True, exist_ok=True)
        moving_page.animate(run.problem, _trained(jobs, run), path, f"{name}, {_setting(run)}")
        yield path


def _shown(jobs: Jobs, study: str) -> list[Run]:
    """Return the runs of a study that a page can show."""
    return [
        run
        for run in jobs.runs.get(study, ())
        if isinstance(run, Run) and run.setting.inputs.dimension == run.setting.network.outputs == 1
    ]


def _first(jobs: Jobs) -> list[str]:
    """Name an experiment of each study: that of its first figure whose runs last."""
    names = []
    for study in jobs.blocks:
        lasting = [
            run.experiment for run in _shown(jobs, study) if len(run.record_grid()) >= LASTING
        ]
        figures = [figure.experiment for figure in STUDIES[study].figures.values()]
        chosen = [name for name in (*figures, *lasting) if name in lasting]
        names += [f"{study}.{name}" for name in chosen[:1]]
    return names


def _run(jobs: Jobs, name: str) -> Run:
    study, _, experiment = name.partition(".")
    runs = [run for run in _shown(jobs, study) if run.experiment == experiment]
    if not runs:
        names = {
            f"{study}.{run.experiment}" for study in jobs.blocks for run in _shown(jobs, study)
        }
        raise InputError(
            f"{name}: no experiment with one input and one output; allowed: {', '.join(sorted(names))}"
        )
    usual = [run for run in runs if run.setting.parameter_count <= USUAL_PARAMETERS]
    return max(usual, key=lambda run: run.setting.parameter_count) if usual else runs[0]


def _setting(run: Run) -> str:
    network = run.setting.network
    return f"{network.activation}, {network.neurons} neurons, {run.setting.training.method}"


def _trained(jobs: Jobs, run: Run) -> Any:
    """Train the first starts of a run as its job would, with θ at up to MAX_TIMES records."""
    chunk = run.chunks[0]
    job = jobs.train(run.id, chunk, 0)
    samples = netcdf.read(_drawn(job.inputs[0])).isel(initialization=slice(MAX_STARTS))
    count = samples.sizes["initialization"]
    grid = run.record_grid()
    shown = moving_page.spread(len(grid), moving_page.MAX_TIMES)
    training = {
        **job.spec["training"],
        "snapshots": count,
        "save_at": grid[shown].tolist(),
    }
    segment = [0, run.segments[-1][1]]
    written = {**job.spec, "chunk": f"0-{count - 1}", "segment": segment, "training": training}
    trainer = trainer_of({"trainer": run.trainer})
    spec = parse(trainer.Spec, written)
    state, records = trainer.advance(spec, trainer.start(spec, samples), lambda _: None)
    data = trainer.dataset(spec, state, records)
    return data.isel(size=0) if "size" in data.dims else data


def _drawn(name: str) -> Path:
    path = Path(name)
    if not path.exists():
        raise InputError(f"{path}: not there yet; run the workflow first")
    return path
