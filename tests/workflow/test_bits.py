"""The same bits for any number of threads and chunks, and for any folder to draw in."""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from checkout import (
    REPOSITORY,
    Checkout,
    Command,
    Configuration,
    commands,
    experiments,
    segments_of,
    tiny,
)

from descentflow.datasets import netcdf
from descentflow.datasets.trained_runs import TrainedRun, read_chunks, rows_of
from descentflow.planning.jobs import Jobs
from descentflow.planning.shallow_runs import Run
from descentflow.runtime import digest_list

STUDIES = ("constant_targets", "random_initializations")
LOCK = "0" * 16
COMPUTING = ("certify", "sample", "train", "aggregate")
COUNT = 12


def reduced(folder: Path, chunk: int, count: int = COUNT) -> Configuration:
    """The tiny configuration with fewer steps, other chunks, a flow, and outputs in ``folder``."""
    configuration = tiny()
    configuration["studies"]["constant_targets"].pop("step_sizes")
    results = {"results": str(folder / "results"), "figures": str(folder / "figures")}
    configuration["outputs"] = results
    for study in STUDIES:
        for experiment in experiments(configuration, study):
            experiment["initialization"].update(chunk=chunk, count=count)
            experiment["training"].update(steps=3000, snapshots=2)
            experiment["sweep"]["training.step_size"] = [0.01, 0.1]
    (convergence,) = experiments(configuration, "constant_targets")
    flow = {**convergence, "training": {"method": "gf", "until": 300.0, "snapshots": 2}}
    del flow["sweep"]
    configuration["studies"]["constant_targets"]["flow"] = flow
    return configuration


def trains(command: Command) -> bool:
    """Whether a command trains."""
    return command.stage == "train"


def run(chosen: Iterable[Command]) -> dict[str, Path]:
    """Run stages in this process; the datasets by study."""
    datasets = {}
    for command in chosen:
        command.run()
        if command.stage == "aggregate":
            datasets[command.spec["study"]] = command.outputs[0]
    return datasets


def computed(configuration: Configuration, segment_seconds: float) -> dict[str, Path]:
    """The datasets of a configuration."""
    found = commands(configuration, LOCK, segment_seconds)
    with segments_of(segment_seconds):
        return run(command for command in found if command.stage in COMPUTING)


def same_files(left: Path, right: Path) -> None:
    """Equal content, and equal bytes."""
    contents = [netcdf.read(path).attrs[netcdf.DIGEST] for path in (left, right)]
    assert contents[0] == contents[1]
    assert left.read_bytes() == right.read_bytes()


# ---- chunks and segments


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Datasets with all initialisations in one chunk and all steps in one segment."""
    return computed(reduced(tmp_path_factory.mktemp("whole"), COUNT), 600.0)


@pytest.mark.parametrize(("chunk", "seconds"), [(1, 600.0), (7, 600.0), (64, 600.0), (5, 5e-4)])
def test_chunks_and_segments_leave_no_trace(
    whole: dict[str, Path], tmp_path: Path, chunk: int, seconds: float
) -> None:
    """One at a time, chunks that do not divide the number, more than asked for, many segments."""
    configuration = reduced(tmp_path, chunk)
    files = commands(configuration, LOCK, seconds)
    pieces = Counter(command.spec["training"]["method"] for command in files if trains(command))
    chunks = -(-COUNT // chunk)
    assert pieces["gd"] >= 2 * chunks * (4 if seconds < 1 else 1)
    assert pieces["gf"] >= chunks * (2 if seconds < 1 else 1)
    for study, path in computed(configuration, seconds).items():
        same_files(whole[study], path)


def whole_rows(runs: Sequence[Run], files: Sequence[Path]) -> list[TrainedRun]:
    """The rows of a study with all their chunks."""
    known = rows_of(runs)
    parts: list[list[xr.Dataset]] = [[] for _ in known]
    for number, first, block in read_chunks(runs, iter(files)):
        assert first == sum(part.sizes["initialization"] for part in parts[number])
        parts[number].append(block.data)
    return [
        TrainedRun(row.run, row.step_size, xr.concat(part, "initialization", join="exact"))
        for row, part in zip(known, parts, strict=True)
    ]


def rows(configuration: Configuration, segment_seconds: float) -> list[TrainedRun]:
    """All trained runs as the measures see them, from files that are there."""
    found = commands(configuration, LOCK, segment_seconds)
    joined: list[TrainedRun] = []
    with segments_of(segment_seconds):
        runs = Jobs.from_mapping(configuration, LOCK).runs
        for command in found:
            if command.stage == "aggregate":
                files = [path for path in command.inputs if "landscapes" not in path.parts]
                joined += whole_rows(runs[command.spec["study"]], files)
    return joined


@pytest.mark.parametrize(("chunk", "seconds"), [(1, 600.0), (5, 5e-4), (COUNT, 5e-4)])
def test_chunks_and_segments_leave_no_trace_in_what_is_measured(
    tmp_path: Path, chunk: int, seconds: float
) -> None:
    """Snapshots included, which only some initialisations have, and only at steps of their own."""
    pair = []
    for name, size, length in (("whole", COUNT, 600.0), ("pieces", chunk, seconds)):
        configuration = reduced(tmp_path / name, size)
        computed(configuration, length)
        pair.append(rows(configuration, length))
    for left, right in zip(*pair, strict=True):
        for name in sorted(map(str, {*left.data.variables, *right.data.variables})):
            a, b = left.data[name], right.data[name]
            assert a.dims == b.dims
            assert a.shape == b.shape, (left.run.experiment, name)
            values = [np.ascontiguousarray(variable.values) for variable in (a, b)]
            assert values[0].tobytes() == values[1].tobytes(), (left.run.experiment, name)


def test_more_initializations_change_none(whole: dict[str, Path], tmp_path: Path) -> None:
    """The first ones of a larger number have the bits they have among fewer."""
    for study, path in computed(reduced(tmp_path, 7, count=17), 600.0).items():
        few, many = netcdf.read(whole[study]), netcdf.read(path)
        for name in ("risk", "gradient_norm", "parameter_norm", "final_risk", "step_size"):
            assert many[name].sizes["initialization"] == 17
            part = many[name].isel(initialization=slice(0, COUNT))
            assert part.values.tobytes() == few[name].values.tobytes(), name


# ---- threads


def by_hand(checkout: Checkout, command: Command, **environment: Any) -> None:
    """Run a stage's command as a person would."""
    ended = checkout.python(*command.arguments, **environment)
    assert ended.code == 0, ended.text


def trained_by_hand(checkout: Checkout, study: str, threads: int) -> Path:
    """Compute and aggregate a study again, in a folder of its own; the dataset."""
    stages = ("certify", "train", "aggregate")
    chosen = {c.outputs[0]: c for c in checkout.commands() if c.stage in stages}
    (last,) = (c for c in chosen.values() if c.stage == "aggregate" and c.spec["study"] == study)
    folder = checkout.root / f"threads-{threads}"
    moved: dict[Path, Path] = {}
    for path in dict.fromkeys(last.inputs):
        command = chosen[path].into(folder / path.parent.name)
        command = command.reading(*(moved.get(before, before) for before in command.inputs))
        by_hand(checkout, command, NUMBA_NUM_THREADS=str(threads))
        moved[path] = command.outputs[0]
        assert moved[path].read_bytes() == (checkout.root / path).read_bytes()
    by_hand(checkout, last.into(folder).reading(*(moved[path] for path in last.inputs)))
    return folder / last.outputs[0].name


@pytest.mark.parametrize("threads", [pytest.param(2, marks=pytest.mark.slow), 4])
@pytest.mark.parametrize("study", STUDIES)
def test_threads_leave_no_trace(warm: Checkout, study: str, threads: int) -> None:
    """Every file of the workflow's, which trains on one thread."""
    dataset = trained_by_hand(warm, study, threads)
    same_files(dataset, warm.root / "results" / "datasets" / dataset.name)


def test_threads_leave_no_trace_in_flows(tmp_path: Path) -> None:
    """The integrator, on one thread and on several."""
    installed = Checkout(tmp_path, REPOSITORY / "src")
    configuration = reduced(tmp_path, COUNT)
    found = commands(configuration, LOCK, 600.0)
    flow = next(c for c in found if trains(c) and c.spec["training"]["method"] == "gf")
    next(c for c in found if c.outputs == flow.inputs).run()
    made = []
    for threads in (1, 2, 4):
        command = flow.into(tmp_path / str(threads))
        by_hand(installed, command, NUMBA_NUM_THREADS=str(threads))
        made.append(command.outputs[0].read_bytes())
    assert made[0] == made[1] == made[2]


# ---- figures


SURROUNDINGS: dict[str, Any] = {"PYTHONHASHSEED": "5", "TZ": "Pacific/Apia", "LC_ALL": "C"}


@pytest.mark.parametrize("study", STUDIES)
def test_figures_are_the_same_bytes_everywhere(
    finished: Checkout, tmp_path: Path, study: str
) -> None:
    """Drawn in another folder, time zone and locale, by an interpreter that hashes differently."""
    (command,) = (c for c in finished.commands() if c.stage == "draw" and c.spec["study"] == study)
    dataset = finished.root / command.inputs[0]
    elsewhere = command.into(tmp_path / "drawn here").reading(dataset)
    ended = finished.python(*elsewhere.arguments, folder=tmp_path, **SURROUNDINGS)
    assert ended.code == 0, ended.text
    for path, again in zip(command.outputs, elsewhere.outputs, strict=True):
        if path.suffix != digest_list.SUFFIX:  # it names files as seen from its folder
            assert again.read_bytes() == (finished.root / path).read_bytes(), path
