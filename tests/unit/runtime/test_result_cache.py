"""The shared cache of the stages: what it finds, what it refuses, and that two may write at once."""

import errno
import itertools
import json
import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import numpy as np
import pytest

from descentflow.errors import InputError
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


DENIED = "cache: {}: Permission denied\n"


def entry_of(folder: Path, key: str) -> Path:
    return folder / key[:2] / key


@pytest.mark.parametrize("harm", ["deep", "long", "pipe", "pipe of digests", "link to a folder"])
def test_an_entry_that_means_harm_is_damage(tmp_path: Path, made: Path, harm: str) -> None:
    """No recursion, no memory, and nothing waits for a writer that never comes."""
    folder, copy = tmp_path / "cache", tmp_path / "copy" / "0-7.nc"
    key = result_cache.key_of(JOB, [], [made])
    result_cache.store(folder, key, [made])
    entry = entry_of(folder, key)
    kept, listed = entry / made.name, entry / result_cache.DIGESTS
    match harm:
        case "deep":
            listed.write_text("[" * 100_000)
        case "long":
            listed.write_text("[" + "1," * 10**6 + "1]")
        case "pipe" | "pipe of digests":
            path = kept if harm == "pipe" else listed
            path.unlink()
            os.mkfifo(path)
        case "link to a folder":
            kept.unlink()
            kept.symlink_to(tmp_path)
    assert not result_cache.fetch(folder, key, [copy])
    assert not entry.exists()
    assert not copy.exists()


@pytest.mark.parametrize("fault", ["full disk", "no folder", "too many files", "not renamed"])
def test_faults_of_the_reader_are_not_blamed_on_the_entry(
    tmp_path: Path,
    made: Path,
    fault: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder, copy = tmp_path / "cache", tmp_path / "copy" / "0-7.nc"
    key = result_cache.key_of(JOB, [], [made])
    result_cache.store(folder, key, [made])

    def fail(*_arguments: object, **_options: object) -> int:
        number = errno.EMFILE if fault == "too many files" else errno.ENOSPC
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        match fault:
            case "full disk":
                patch.setattr(result_cache, "_copy", fail)
            case "no folder":
                copy.parent.write_text("a file where the folder should be")
            case "too many files":
                patch.setattr(os, "open", fail)
            case "not renamed":
                patch.setattr(Path, "replace", fail)
        assert not result_cache.fetch(folder, key, [copy])
    assert capsys.readouterr().err.startswith("cache: ")
    copy.parent.unlink() if copy.parent.is_file() else None
    assert not list(tmp_path.glob("copy/*"))
    assert result_cache.fetch(folder, key, [copy])
    assert copy.read_bytes() == made.read_bytes()


def as_nobody(code: str, *arguments: object) -> str:
    """Run a function of the cache as a user without rights; what it says."""
    program = (
        "import os, sys; from pathlib import Path; from descentflow.runtime import result_cache\n"
        "os.umask(0o077); os.setgid(65534); os.setuid(65534)\n" + code
    )
    command = [sys.executable, "-c", program, *map(str, arguments)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "Traceback" not in ended.stderr
    return ended.stdout + ended.stderr


@pytest.mark.skipif(os.getuid() != 0, reason="only root may become another user")
def test_permissions_are_told_and_survived(made: Path) -> None:
    """Entries of another user with umask 077: in a shared folder all can read them."""
    with tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o755)
        folder, key = Path(place) / "cache", result_cache.key_of(JOB, [], [made])
        folder.mkdir()
        folder.chmod(0o777)
        source, copy = Path(place) / made.name, Path(place) / "mine" / made.name
        source.write_bytes(made.read_bytes())
        source.chmod(0o644)
        store = "result_cache.store(Path(sys.argv[1]), sys.argv[2], [Path(sys.argv[3])])"
        assert as_nobody(store, folder, key, source) == ""
        assert entry_of(folder, key).stat().st_uid == 65534
        assert entry_of(folder, key).stat().st_mode & 0o777 == 0o777
        assert result_cache.fetch(folder, key, [copy])
        for path in (entry_of(folder, key), folder / key[:2]):
            path.chmod(0o700)
            os.chown(path, 0, 0)
            assert as_nobody(store, folder, key, source) in ("", DENIED.format(path / key))
            fetch = "print(result_cache.fetch(Path(sys.argv[1]), sys.argv[2], [Path(sys.argv[3])]))"
            said = as_nobody(fetch, folder, key, copy)
            assert "False" in said
            assert "Permission denied" in said
        assert result_cache.fetch(folder, key, [copy])


def test_what_killed_writers_leave_is_removed(tmp_path: Path, made: Path) -> None:
    """But not the folder of a writer that is at work."""
    folder, key = tmp_path / "cache", result_cache.key_of(JOB, [], [made])
    shard = folder / key[:2]
    left, busy = shard / f".{key}.0.part", shard / f".{key[:2]}aa.1.part"
    for path in (left, busy):
        path.mkdir(parents=True)
        (path / "half").write_text("x")
    with result_cache._locked(busy):
        result_cache.store(folder, key, [made])
        assert sorted(p.name for p in shard.iterdir()) == sorted([busy.name, key])
    result_cache.store(folder, key, [made])
    assert [p.name for p in shard.iterdir()] == [key]


def test_a_folder_that_others_may_write_is_not_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"
    monkeypatch.delenv(result_cache.FOLDER, raising=False)
    assert result_cache.folder() is None
    monkeypatch.setenv(result_cache.FOLDER, str(cache))
    assert result_cache.folder() == cache
    cache.mkdir()
    for mode in (0o775, 0o757, 0o777):
        cache.chmod(mode)
        with pytest.raises(InputError, match="others may write into"):
            result_cache.folder()
    done = run_stage(JOB, tmp_path / "a/0-7.nc", cache)
    assert done.returncode == 1
    assert "error: DESCENTFLOW_CACHE: others may write" in done.stderr
    monkeypatch.setenv(result_cache.TRUST, "1")
    assert result_cache.folder() == cache
    monkeypatch.delenv(result_cache.TRUST)
    cache.chmod(0o755)
    assert result_cache.folder() == cache


def test_a_new_cache_is_its_owners(tmp_path: Path, made: Path) -> None:
    """Also with a umask that lets the group write."""
    folder, key = tmp_path / "cache", result_cache.key_of(JOB, [], [made])
    before = os.umask(0o002)
    try:
        result_cache.store(folder, key, [made])
    finally:
        os.umask(before)
    for path in (folder, folder / key[:2], entry_of(folder, key)):
        assert path.stat().st_mode & 0o777 == 0o755


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
    # A writer may lose its folder to another run's sweep, which then stores the entry itself.
    assert result_cache.fetch(folder, key, [tmp_path / "last" / made.name])
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
