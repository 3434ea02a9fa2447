"""What is computed again after a change, and what is left alone.

Most tests compare the jobs before and after a change (:func:`checkout.changes`); the first ones hold
that Snakemake starts the same.
"""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
import yaml
from checkout import (
    REPOSITORY,
    SEGMENT_SECONDS,
    Checkout,
    Command,
    Configuration,
    Job,
    changes,
    code_in,
    commands,
    experiments,
    lock_digest,
    outputs,
    rules,
    segments_of,
    tiny,
)

from descentflow.datasets import netcdf
from descentflow.planning import code_digest

CONSTANT, RANDOM = STUDIES = ("constant_targets", "random_initializations")
SHOWN = dict.fromkeys((*STUDIES, "claims"), 1)
EVERYTHING = {"certify": 1, "sample": 1, "train": 3, "aggregate": 2, "judge": 1, **SHOWN}
RECORDED = ("risk", "gradient_norm", "parameter_norm")
LOCK = "0" * 16


def set_key(study: str, block: str, key: str, value: Any) -> Callable[[Configuration], None]:
    """A change of one key in every experiment of a study."""

    def change(configuration: Configuration) -> None:
        for experiment in experiments(configuration, study):
            experiment[block][key] = value

    return change


def drop(study: str) -> Callable[[Configuration], object]:
    """Leave a study out."""
    return lambda configuration: configuration["studies"].pop(study)


def digests(checkout: Checkout) -> dict[Path, bytes]:
    """The bytes of everything computed but logs."""
    files = [*checkout.files("results"), *checkout.files("figures")]
    return {path: (checkout.root / path).read_bytes() for path in files if path.suffix != ".log"}


# ---- Snakemake itself


def test_the_copy_is_what_runs(checkout: Checkout) -> None:
    """Not the installed package: neither by hand nor in Snakemake, which made two segments."""
    where = checkout.python("-c", "import descentflow; print(descentflow.__file__)").text
    assert Path(where.strip()) == checkout.root / "src" / "descentflow" / "__init__.py"
    assert [path.name for path in checkout.files("results/runs")].count("0-15.1.nc") == 1


def test_touched_and_moved_files_rerun_nothing(checkout: Checkout) -> None:
    """Every file is later than what was made from it, in a folder of another name.

    Nor does another hash seed.
    """
    folders = ("figures", "results/datasets", "results/runs", "results/samples", "results/logs")
    now = (checkout.root / "results" / "claims.csv").stat().st_mtime_ns
    for later, folder in enumerate((*folders, "src", "workflow", "profiles", "envs")):
        for file in checkout.files(folder):
            os.utime(checkout.root / file, ns=(now, now + later * 10**6))
    for name in ("Snakefile", "config.yaml", "tiny.yaml"):
        os.utime(checkout.root / name)
    moved = checkout.moved(checkout.root.with_name("another name"))
    where = moved.python("-c", "import descentflow; print(descentflow.__file__)").text
    assert "another name" in where
    assert moved.planned(PYTHONHASHSEED="424242") == []


def edit_everywhere(checkout: Checkout) -> None:
    """A measure, a claim and the figures of a study: its runs stay, all else of it is done again."""
    for part in ("measures", "claims"):
        checkout.edit(f"src/descentflow/studies/{CONSTANT}/{part}.py")
    checkout.edit(f"src/descentflow/studies/{RANDOM}/figures.py")


def extend(checkout: Checkout) -> None:
    """More initialisations of one study, more steps of another."""
    checkout.configure(
        set_key(RANDOM, "initialization", "count", 20),
        set_key(CONSTANT, "training", "steps", 40_000),
    )


def move_outputs(checkout: Checkout) -> None:
    """Another lock file too, so that nothing is left."""
    checkout.edit("envs/requirements.lock", "# another package\n")
    checkout.configure(lambda c: c.update(outputs={"results": "r/s", "figures": "f g"}))


@pytest.mark.parametrize("change", [edit_everywhere, extend, move_outputs])
def test_snakemake_starts_the_jobs_that_changed(
    checkout: Checkout, change: Callable[[Checkout], None]
) -> None:
    """The other tests of this file compare jobs: here Snakemake says the same, file by file."""
    before = own_commands(checkout)
    change(checkout)
    found = changes(before, own_commands(checkout))
    assert len(found) > 4
    assert in_order(checkout.planned()) == in_order(found)


def own_commands(checkout: Checkout) -> list[Command]:
    """The commands of a checkout with the digests of its own files."""
    with code_in(checkout.source / "descentflow"):
        return checkout.commands()


def in_order(jobs: list[Job]) -> list[Job]:
    return sorted(jobs, key=lambda job: (job.rule, job.outputs))


def test_the_front_door_reads_config_yaml(fresh: Checkout) -> None:
    """Plain ``snakemake`` plans config.yaml; an option beside it keeps its studies."""
    shutil.copyfile(REPOSITORY / "config" / "smoke.yaml", fresh.root / "config.yaml")
    configuration = yaml.safe_load((fresh.root / "config.yaml").read_text(encoding="utf-8"))
    made = commands({**configuration, "seed": 3}, lock_digest(fresh.root), SEGMENT_SECONDS)
    planned = fresh.planned("--config", "seed=3", config=None)
    trained = {job.outputs for job in planned if job.rule.startswith("train")}
    expected = {path for c in made if c.stage == "train" for path in c.outputs}
    assert {Path(path) for (path,) in trained} == expected
    assert all(rules(planned)[study] == 1 for study in configuration["studies"])


def test_one_study_by_name(warm: Checkout) -> None:
    """``snakemake <study>`` draws that study alone, with the bytes it had."""
    before = digests(warm)
    for file in warm.files("figures"):
        (warm.root / file).unlink()
    assert rules(warm.executed(CONSTANT)) == {CONSTANT: 1}
    drawn = warm.files("figures")
    assert {path.parts[1] for path in drawn} == {CONSTANT}
    assert len(drawn) == 6
    after = digests(warm)
    assert all(after[path] == before[path] for path in after)


def test_the_claims_of_one_study_by_name(warm: Checkout) -> None:
    """``snakemake judge_<study>`` makes the rows that the table of all studies has."""
    assert rules(warm.executed(f"judge_{RANDOM}")) == {f"judge_{RANDOM}": 1}
    header, *everything = (warm.root / "results/claims.csv").read_text().splitlines()
    own = [line for line in everything if line.startswith(f"{RANDOM},")]
    table = (warm.root / f"results/claims/{RANDOM}.csv").read_text().splitlines()
    assert own
    assert table == [header, *own]


def test_a_deleted_dataset_is_rebuilt_without_training(warm: Checkout) -> None:
    """With the bytes it had, after which nothing else is out of date."""
    path = f"results/datasets/{CONSTANT}.nc"
    before = (warm.root / path).read_bytes()
    (warm.root / path).unlink()
    assert rules(warm.executed(path)) == {"aggregate": 1}
    assert (warm.root / path).read_bytes() == before
    assert warm.planned() == []


def test_a_longer_run_has_the_bits_of_a_fresh_one(
    finished: Checkout, warm: Checkout, fresh: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More steps, on top of what is there and from nothing: the same datasets, byte by byte."""
    datasets = [f"results/datasets/{study}.nc" for study in STUDIES]
    for checkout in (warm, fresh):
        checkout.configure(
            set_key(CONSTANT, "training", "steps", 25_000),
            set_key(RANDOM, "training", "steps", 120_000),
        )
    assert rules(warm.executed(*datasets)) == {"train": 2, "aggregate": 2}
    monkeypatch.chdir(fresh.root)
    with segments_of(SEGMENT_SECONDS):
        for command in fresh.commands():
            if command.rule in ("certify", "sample", "train", "aggregate"):
                command.run()
    for path in datasets:
        longer, anew = netcdf.read(warm.root / path), netcdf.read(fresh.root / path)
        assert longer.attrs[netcdf.DIGEST] == anew.attrs[netcdf.DIGEST]
        common_records(netcdf.read(finished.root / path), longer)


def common_records(short: xr.Dataset, long: xr.Dataset) -> None:
    """Records of both at the same steps have the same bits."""
    both = np.intersect1d(short["step"].values[0], long["step"].values[0])
    assert len(both) >= short.sizes["record"] - 1
    for name in RECORDED:
        rows = [
            dataset[name].values[:, :, np.isin(dataset["step"].values[0], both)].tobytes()
            for dataset in (short, long)
        ]
        assert rows[0] == rows[1], name


def test_leftovers_of_killed_jobs_are_swept(
    warm: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the files that are made again; what another job may be writing stays."""
    monkeypatch.chdir(warm.root)
    command = next(c for c in warm.commands() if c.rule == "sample")
    (sample,) = command.outputs
    before = sample.read_bytes()
    sample.unlink()
    stale = sample.with_name(f".{sample.name}.0badcafe.part")
    alive = sample.with_name(".16-31.nc.0badcafe.part")
    for path in (stale, alive):
        path.write_bytes(b"half a file")
    command.run()
    assert not stale.exists()
    assert alive.exists()
    assert sample.read_bytes() == before


# ---- code


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package, whose files are edited and put back."""
    folder = tmp_path_factory.mktemp("package") / "descentflow"
    return shutil.copytree(code_digest.folder(), folder, ignore=shutil.ignore_patterns("*.pyc"))


@pytest.fixture(scope="module")
def unedited(package: Path) -> list[Command]:
    """The tiny configuration's commands."""
    with code_in(package):
        return commands(tiny(), LOCK)


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("studies/constant_targets/figures.py", {CONSTANT: 1}),
        ("studies/random_initializations/figures.py", {RANDOM: 1}),
        ("studies/style.py", SHOWN),
        ("studies/constant_targets/claims.py", {"judge": 1, "claims": 1}),
        (
            "studies/constant_targets/measures.py",
            {"aggregate": 1, CONSTANT: 1, "judge": 1, "claims": 1},
        ),
        (
            "risk/closed_form_gradient.py",
            {"certify": 1, "train": 3, "aggregate": 2, "judge": 1, **SHOWN},
        ),
        ("archive/crate.py", {}),
    ],
)
def test_an_edited_file_changes_the_jobs_that_run_it(
    package: Path, unedited: list[Command], file: str, expected: dict[str, int]
) -> None:
    before = (package / file).read_text(encoding="utf-8")
    (package / file).write_text(before + "\nADDED = 1\n", encoding="utf-8")
    try:
        with code_in(package):
            edited = commands(tiny(), LOCK)
    finally:
        (package / file).write_text(before, encoding="utf-8")
    assert rules(changes(unedited, edited)) == expected


def test_another_lock_file_changes_every_id(unedited: list[Command]) -> None:
    found = changes(unedited, commands(tiny(), "1" * 16))
    assert rules(found) == EVERYTHING
    written = {Path(path) for rule in ("sample", "train") for path in outputs(found, rule)}
    ids = {path.parent.name for path in written}
    assert len(ids) == 3
    assert not ids & {path.parent.name for c in unedited for path in c.outputs}


# ---- configuration


def after(*configured: Callable[[Configuration], object]) -> list[Job]:
    """The jobs that are started after changes of the finished tiny configuration."""
    configuration = tiny()
    for change in configured:
        change(configuration)
    return changes(commands(tiny(), LOCK), commands(configuration, LOCK))


def test_an_equal_configuration_changes_nothing() -> None:
    assert after() == []


def test_more_initializations_compute_new_chunks_only() -> None:
    """Of the study that asks for them; the other one keeps its files and figures."""
    found = after(set_key(RANDOM, "initialization", "count", 20))
    once = ("sample", "train", "aggregate", "judge", "claims", RANDOM)
    assert rules(found) == dict.fromkeys(once, 1)
    new = [*outputs(found, "sample"), *outputs(found, "train")]
    assert [Path(path).name for path in new] == ["16-31.nc", "16-31.0.nc"]
    old = {path.parent for command in commands(tiny(), LOCK) for path in command.outputs}
    assert {Path(path).parent for path in new} <= old


def test_fewer_initializations_compute_nothing_new() -> None:
    found = rules(after(set_key(RANDOM, "initialization", "count", 10)))
    assert found["sample"] == found["train"] == found[CONSTANT] == 0
    assert found["aggregate"] == 1


@pytest.mark.parametrize(
    ("study", "steps", "segments"),
    [
        (CONSTANT, 15_000, ["0-15.1.nc"]),
        (CONSTANT, 25_000, ["0-15.1.nc"]),
        (CONSTANT, 40_000, ["0-15.1.nc", "0-15.2.nc"]),
        (RANDOM, 120_000, ["0-15.1.nc"]),
    ],
)
def test_other_horizons_compute_the_last_segments_only(
    study: str, steps: int, segments: list[str]
) -> None:
    """A finished segment that ends at a boundary stays, an unfinished one is done again."""
    found = after(set_key(study, "training", "steps", steps))
    assert [Path(path).name for path in outputs(found, "train")] == segments
    assert rules(found)["sample"] == 0
    assert rules(found)["aggregate"] == 1


def test_another_seed_starts_anew() -> None:
    found = rules(after(lambda configuration: configuration.update(seed=8)))
    assert found == {rule: count for rule, count in EVERYTHING.items() if rule != "certify"}


@pytest.mark.parametrize("study", STUDIES)
def test_a_configuration_of_one_study_runs_that_one(study: str) -> None:
    """And leaves what its runs were as it was."""
    (other,) = set(STUDIES) - {study}
    configuration = tiny()
    drop(other)(configuration)
    alone = changes([], commands(configuration, LOCK))
    assert rules(alone)[study] == rules(alone)["aggregate"] == rules(alone)["judge"] == 1
    assert rules(alone)["train"] == {CONSTANT: 2}.get(study, 1)
    assert not any(other in path for job in alone for path in job.outputs)
    assert rules(after(drop(other))) == {"judge": 1, "claims": 1}


def test_other_folders_for_results_and_figures() -> None:
    """``outputs`` moves everything."""
    found = after(lambda c: c.update(outputs={"results": "r/s", "figures": "f g"}))
    assert rules(found) == EVERYTHING
    assert {path.split("/")[0] for job in found for path in job.outputs} == {"r", "f g"}


# ---- other systems


def test_line_endings_change_neither_ids_nor_digests(package: Path, tmp_path: Path) -> None:
    """Of a checkout with CRLF in its sources, its lock file and its configuration."""
    folders = {}
    for name, ending in (("as it is", b"\n"), ("with CRLF", b"\r\n")):
        root = tmp_path / name
        shutil.copytree(package, root / "descentflow")
        (root / "envs").mkdir()
        shutil.copyfile(REPOSITORY / "envs" / "requirements.lock", root / "envs/requirements.lock")
        shutil.copyfile(REPOSITORY / "config" / "smoke.yaml", root / "smoke.yaml")
        for path in root.rglob("*"):
            if path.suffix in (".py", ".lock", ".yaml"):
                path.write_bytes(path.read_bytes().replace(b"\r\n", b"\n").replace(b"\n", ending))
        with code_in(root / "descentflow"):
            text = (root / "smoke.yaml").read_text(encoding="utf-8")
            folders[name] = commands(yaml.safe_load(text), lock_digest(root), 600.0)
    assert len(folders["as it is"]) > 40
    assert folders["with CRLF"] == folders["as it is"]
