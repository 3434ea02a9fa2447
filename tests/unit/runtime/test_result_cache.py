"""The shared cache of the stages: what it finds, what it refuses, and that two may write at once."""

import itertools
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from descentflow.planning.jobs import Jobs
from descentflow.runtime import result_cache

JOB = json.dumps(
    {
        "stage": "sample",
        "spec": {
            "seed": 3,
            "chunk": "0-7",
            "initialization": {"law": "normal", "scale": 1.0},
            "layout": {"inputs": 1, "hidden": 2, "outputs": 1},
        },
    }
)


@pytest.fixture
def made(tmp_path: Path) -> Path:
    path = tmp_path / "made" / "0-7.nc"
    path.parent.mkdir()
    path.write_bytes(bytes(range(256)) * 40)
    return path


def test_what_was_stored_is_found(tmp_path: Path, made: Path) -> None:
    folder, copy = tmp_path / "cache", tmp_path / "elsewhere" / "0-7.nc"
    key = result_cache.key_of(JOB, [], [made])
    assert not result_cache.fetch(folder, key, [copy])
    result_cache.store(folder, key, [made])
    assert result_cache.fetch(folder, key, [copy])
    assert copy.read_bytes() == made.read_bytes()
    assert [p.name for p in copy.parent.iterdir()] == ["0-7.nc"]


@pytest.mark.parametrize("damage", ["flip", "cut", "remove", "no digests", "odd digests", "empty"])
def test_a_damaged_entry_is_noticed_and_made_again(tmp_path: Path, made: Path, damage: str) -> None:
    folder, copy = tmp_path / "cache", tmp_path / "copy" / "0-7.nc"
    key = result_cache.key_of(JOB, [], [made])
    result_cache.store(folder, key, [made])
    entry = folder / key[:2] / key
    kept, digests = entry / made.name, entry / result_cache.DIGESTS
    match damage:
        case "flip":
            data = bytearray(kept.read_bytes())
            data[5000] ^= 1
            kept.write_bytes(bytes(data))
        case "cut":
            kept.write_bytes(kept.read_bytes()[:-1])
        case "remove":
            kept.unlink()
        case "no digests":
            digests.unlink()
        case "odd digests":
            digests.write_text("[3")
        case "empty":
            digests.write_text("{}")
    assert not result_cache.fetch(folder, key, [copy])
    assert not copy.exists()
    assert not entry.exists()
    result_cache.store(folder, key, [made])
    assert result_cache.fetch(folder, key, [copy])


def test_many_may_write_and_read_one_entry(tmp_path: Path, made: Path) -> None:
    folder, key = tmp_path / "cache", result_cache.key_of(JOB, [], [made])
    found: list[bytes] = []

    def work(number: int) -> None:
        for turn in range(20):
            copy = tmp_path / f"{number}-{turn}" / made.name
            result_cache.store(folder, key, [made])
            if result_cache.fetch(folder, key, [copy]):
                found.append(copy.read_bytes())

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 160
    assert set(found) == {made.read_bytes()}
    assert [p.name for p in (folder / key[:2]).iterdir()] == [key]


def test_a_cache_that_cannot_be_written_loses_nothing(tmp_path: Path, made: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    result_cache.store(blocked, "ab" * 32, [made])
    assert not result_cache.fetch(blocked, "ab" * 32, [tmp_path / "copy"])
    assert blocked.read_text() == "not a folder"


def test_keys_tell_jobs_inputs_and_outputs_apart(tmp_path: Path, made: Path) -> None:
    other = tmp_path / "other.nc"
    other.write_bytes(made.read_bytes() + b"x")
    same = tmp_path / "same.nc"
    same.write_bytes(made.read_bytes())
    key = result_cache.key_of(JOB, [made], [Path("a.nc")])
    assert result_cache.key_of(JOB, [same], [Path("elsewhere/a.nc")]) == key
    assert result_cache.key_of(JOB, [other], [Path("a.nc")]) != key
    assert result_cache.key_of(JOB, [made], [Path("b.nc")]) != key
    assert result_cache.key_of(JOB, [made, made], [Path("a.nc")]) != key
    assert result_cache.key_of(JOB.replace("3", "4", 1), [made], [Path("a.nc")]) != key


def configurations() -> list[dict[str, object]]:
    """48 configurations that differ in one or more of seed, law, scale, width, activation, target."""
    lists = (
        (1, 2),
        ("normal", "uniform"),
        (1.0, 0.5),
        (2, 3, 4),
        ({"kind": "affine", "slope": 1.0}, {"kind": "step", "at": 0.5}),
    )
    found = []
    for seed, law, scale, hidden, target in itertools.product(*lists):
        experiment = {
            "inputs": {"law": "uniform"},
            "target": target,
            "network": {"hidden": hidden},
            "initialization": {"law": law, "scale": scale, "count": 40, "chunk": 20},
            "training": {"method": "gd", "steps": 10000},
            "sweep": {"training.step_size": [0.1]},
        }
        found.append({"seed": seed, "studies": {"random_initializations": {"success": experiment}}})
    return found


def test_different_jobs_share_no_key() -> None:
    """Thousands of pairs of jobs: same key if and only if the same job."""
    jobs = set()
    for mapping in configurations():
        for lock in ("0" * 16, "1" * 16):
            known = Jobs.from_mapping(mapping, lock)
            stages = ("sample", "train", "aggregate")
            jobs |= {job.json for job in known.all() if job.stage in stages}
    pairs = len(jobs) * (len(jobs) - 1) // 2
    assert pairs > 1000
    keys = {result_cache.key_of(job, [], [Path("0-19.0.nc")]) for job in jobs}
    assert len(keys) == len(jobs)


INTERPRETER = (sys.executable, "-X", "importtime")


def run_stage(job: str, output: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*INTERPRETER, "-m", "descentflow.stages", "--job", job, "--output", str(output)],
        env={**os.environ, "DESCENTFLOW_CACHE": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_stage_through_the_cache(tmp_path: Path) -> None:
    """Made once, then copied without loading NumPy, then made again after damage; same bytes."""
    folder, first, second = tmp_path / "cache", tmp_path / "a/0-7.nc", tmp_path / "b/0-7.nc"
    done = run_stage(JOB, first, folder)
    assert done.returncode == 0, done.stderr
    assert "numpy" in done.stderr
    done = run_stage(JOB, second, folder)
    assert done.returncode == 0, done.stderr
    assert "numpy" not in done.stderr
    assert second.read_bytes() == first.read_bytes()
    (kept,) = folder.glob("*/*/0-7.nc")
    kept.write_bytes(np.random.default_rng(0).bytes(300))
    third = tmp_path / "c/0-7.nc"
    done = run_stage(JOB, third, folder)
    assert done.returncode == 0, done.stderr
    assert third.read_bytes() == first.read_bytes()
    assert kept.read_bytes() == first.read_bytes()


def test_a_refusal_leaves_nothing_behind(tmp_path: Path) -> None:
    done = run_stage(JOB.replace('"seed": 3', '"seed": "x"'), tmp_path / "a/0-7.nc", tmp_path / "c")
    assert done.returncode == 1
    assert "seed" in done.stderr.splitlines()[-1]
    assert not list(tmp_path.rglob("*.nc"))
