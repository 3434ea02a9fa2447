"""Files gone wrong, many thousands of them: archives, netCDF files, YAML files, entries of a cache.

A reader refuses them in its own words, and never takes one for what it is not. ``make test-slow``
spends about a minute on them; ``make fuzz`` more.
"""

import hashlib
import io
import multiprocessing
import os
import shutil
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small_results as small
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from descentflow.archive.build import build
from descentflow.archive.verify import check
from descentflow.config import validate
from descentflow.datasets import netcdf
from descentflow.errors import ConfigurationError, DamagedFile, InputError
from descentflow.runtime import result_cache

FACTOR = int(os.environ.get("DESCENTFLOW_FUZZ", "0")) / 1000.0
SHORT, LONG = "short", pytest.param("long", marks=pytest.mark.slow)


def fuzz(length: str, short: int, long: int) -> Any:
    """Hypothesis' settings: the same examples every time, none of them timed."""
    examples = short if length == SHORT else max(long, int(long * FACTOR))
    return settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )


Edit = tuple[str, float, int, bytes]
EDITS = st.lists(
    st.tuples(
        st.sampled_from(["flip", "cut", "insert", "overwrite", "repeat", "zeros"]),
        st.floats(0.0, 1.0, exclude_max=True),
        st.integers(0, 2000),
        st.binary(min_size=1, max_size=12),
    ),
    min_size=1,
    max_size=4,
)
"""What is done to the bytes of a file: kind, place as a part of the length, a number, new bytes."""


def edited(data: bytes, edits: list[Edit]) -> bytes:
    """Apply edits to bytes."""
    for kind, where, number, new in edits:
        place = int(where * len(data))
        before, after = data[:place], data[place:]
        match kind:
            case "flip":
                first = bytes([after[0] ^ 1 << number % 8]) if after else b""
                data = before + first + after[1:]
            case "cut":
                data = before + after[number:]
            case "insert":
                data = before + new + after
            case "overwrite":
                data = before + new + after[len(new) :]
            case "repeat":
                data = before + after[:number] + after
            case "zeros":
                data = before + bytes(min(number, len(after))) + after[number:]
    return data


# ---- archives


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A small archive."""
    root = small.make(tmp_path_factory.mktemp("fuzz") / "checkout")
    return build(small.jobs(root), "config.yaml", root.with_name("x.tar"), root).path.read_bytes()


def found_out(data: bytes) -> bool:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.tar"
        path.write_bytes(data)
        try:
            return bool(check(path).problems)
        except InputError as refusal:
            assert "\n" not in str(refusal)  # noqa: PT017
            return True


@pytest.mark.parametrize("length", [SHORT, LONG])
def test_bytes_of_an_archive(archive: bytes, length: str) -> None:
    """Any other bytes are found out."""
    assert not found_out(archive)

    @fuzz(length, 20, 400)
    @given(EDITS)
    def try_one(edits: list[Edit]) -> None:
        data = edited(archive, edits)
        assert found_out(data) == (data != archive)

    try_one()


HEADERS: dict[str, Callable[[tarfile.TarInfo, int, str], object]] = {
    "mode": lambda entry, number, _: setattr(entry, "mode", number),
    "mtime": lambda entry, number, _: setattr(entry, "mtime", number),
    "uid": lambda entry, number, _: setattr(entry, "uid", number),
    "name": lambda entry, _, text: setattr(entry, "name", f"{entry.name}{text}"),
    "linkname": lambda entry, _, text: setattr(entry, "linkname", text),
    "uname": lambda entry, _, text: setattr(entry, "uname", text),
    "type": lambda entry, number, _: setattr(entry, "type", b"01234567xgLKS"[number % 13 :][:1]),
}


@pytest.mark.parametrize("length", [SHORT, LONG])
def test_headers_of_an_archive(archive: bytes, length: str) -> None:
    """A tar that is well formed, with other headers or members, is found out as well."""
    texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)
    change = st.tuples(
        st.sampled_from([*HEADERS, "drop", "swap", "content"]), st.integers(0, 4000), texts
    )

    @fuzz(length, 20, 400)
    @given(st.lists(change, min_size=1, max_size=3))
    def try_one(changes: list[tuple[str, int, str]]) -> None:
        data = rewritten(archive, changes)
        assert data is None or found_out(data) == (data != archive)

    try_one()


def rewritten(archive: bytes, changes: list[tuple[str, int, str]]) -> bytes | None:
    """Write the archive's members again with changes; None where tarfile cannot write them."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        members = [(entry, tar.extractfile(entry).read()) for entry in tar]  # type: ignore[union-attr]
    for kind, number, text in changes:
        place = number % len(members)
        entry, content = members[place]
        match kind:
            case "drop" if len(members) > 1:
                del members[place]
            case "swap":
                members[place - 1], members[place] = members[place], members[place - 1]
            case "content":
                members[place] = entry, content + text.encode()
            case name if name in HEADERS:
                HEADERS[name](entry, number, text)
    target = io.BytesIO()
    try:
        with tarfile.open(fileobj=target, mode="w:", format=tarfile.USTAR_FORMAT) as tar:
            for entry, content in members:
                entry.size = len(content)
                tar.addfile(entry, io.BytesIO(content))
    except (ValueError, UnicodeError, tarfile.TarError):
        return None
    return target.getvalue()


# ---- netCDF files


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, str]:
    """A netCDF file as stages write it, and the digest of its content."""
    path = tmp_path_factory.mktemp("fuzz") / "x.nc"
    numbers = np.random.default_rng(3).normal(size=(2, 5, 40))
    dataset = xr.Dataset(
        {"parameters": (("size", "initialization", "parameter"), numbers)},
        coords={"name": (("size",), ["ξ", ""])},
    )
    netcdf.write(dataset, path, {"seed": 1}, "Fuzzed")
    return path.read_bytes(), netcdf.content_digest(netcdf.read(path))


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[ProcessPoolExecutor]:
    """A process with one thread, which may fork as often as it likes."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        yield pool


def reading(path: Path, digest: str) -> tuple[int, str]:
    """Read in a process of its own, which may have to end: 0 for what was written, 1 for a refusal."""
    said = path.with_suffix(".txt")
    if child := os.fork():
        ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        return ended, said.read_text(encoding="utf-8")
    os.dup2(os.open(said, os.O_WRONLY | os.O_CREAT), 2)
    netcdf.PATIENCE = 1.0
    try:
        os._exit(0 if netcdf.content_digest(netcdf.read(path)) == digest else 2)
    except DamagedFile as damage:
        os.write(2, f"error: {damage}".encode())
        os._exit(1)
    finally:
        os._exit(3)


@pytest.mark.parametrize("length", [SHORT, LONG])
def test_bytes_of_a_netcdf_file(
    stored: tuple[bytes, str], elsewhere: ProcessPoolExecutor, tmp_path: Path, length: str
) -> None:
    """What is read is what was written, or it is refused."""
    original, digest = stored
    path = tmp_path / "x.nc"

    @fuzz(length, 60, 1500)
    @given(EDITS)
    def try_one(edits: list[Edit]) -> None:
        path.write_bytes(edited(original, edits))
        status, said = elsewhere.submit(reading, path, digest).result()
        path.with_suffix(".txt").unlink()
        assert status in (0, 1)
        assert said.startswith(f"error: {path}: " if status else "")

    try_one()


def test_a_file_over_which_hdf5_loops(
    stored: tuple[bytes, str], elsewhere: ProcessPoolExecutor, tmp_path: Path
) -> None:
    """A heap whose objects have no length."""
    original, digest = stored
    path, heap = tmp_path / "x.nc", original.index(b"GCOL") + 16
    path.write_bytes(original[:heap] + bytes(400) + original[heap + 400 :])
    status, said = elsewhere.submit(reading, path, digest).result()
    assert status == 1
    assert said == (
        f"error: {path}: damaged: reading it does not come to an end; delete it and run again\n"
    )


# ---- YAML files


WORDS = st.sampled_from(
    ["&a ", "*a", "<<: ", "- ", ": ", "? ", "!!set ", "!!python/name:os.system ", "!!binary ", "|\n",
     "{", "}", "[", "]", "'", '"', "#", "\t", "\r", "\x85", "\ufeff", "1e999", "0x", "1:30", "~",
     "2026-13-45", "---\n", "...\n", "%YAML 9.9\n", "\0", "\ud7ff", "9" * 5000],
)  # fmt: skip


@pytest.mark.parametrize("length", [SHORT, LONG])
def test_text_of_a_configuration(tmp_path: Path, length: str) -> None:
    """A text is a valid configuration, or refused like a person's mistake."""
    original = (small.REPOSITORY / "config" / "smoke.yaml").read_bytes()
    words = st.lists(st.tuples(st.floats(0.0, 1.0, exclude_max=True), WORDS), max_size=3)
    path = tmp_path / "x.yaml"

    @fuzz(length, 40, 400)
    @given(words, st.one_of(st.just([]), EDITS))
    def try_one(inserted: list[tuple[float, str]], edits: list[Edit]) -> None:
        data = original
        for where, word in inserted:
            place = int(where * len(data))
            data = data[:place] + word.encode() + data[place:]
        path.write_bytes(edited(data, edits))
        try:
            validate.check(validate.load(path))
        except ConfigurationError as refusal:
            assert str(refusal)  # noqa: PT017

    try_one()


# ---- a cache that several write, damage and read


class Cache(RuleBasedStateMachine):
    """Entries of three jobs, stored, damaged and fetched in any order."""

    keys = st.sampled_from(["aa" * 32, "ab" * 32, "ba" * 32])

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.cache, self.copy = self.folder / "cache", self.folder / "copy" / "x.nc"

    def teardown(self) -> None:
        """Remove what was made."""
        shutil.rmtree(self.folder)

    def content(self, key: str) -> bytes:
        return hashlib.sha256(key.encode()).digest() * 10

    @rule(key=keys)
    def store(self, key: str) -> None:
        source = self.folder / "x.nc"
        source.write_bytes(self.content(key))
        result_cache.store(self.cache, key, [source])

    @rule(key=keys)
    def fetch(self, key: str) -> None:
        if result_cache.fetch(self.cache, key, [self.copy]):
            assert self.copy.read_bytes() == self.content(key)
            self.copy.unlink()
        assert not list(self.folder.glob("copy/*"))

    @rule(key=keys, edits=EDITS, digests=st.booleans())
    def damage(self, key: str, edits: list[Edit], digests: bool) -> None:
        name = result_cache.DIGESTS if digests else "x.nc"
        path = self.cache / key[:2] / key / name
        if path.is_file():
            path.write_bytes(edited(path.read_bytes(), edits))

    @rule(key=keys)
    def killed_writer(self, key: str) -> None:
        left = self.cache / key[:2] / f".{key}.0.part"
        left.mkdir(parents=True, exist_ok=True)
        (left / "x.nc").write_bytes(b"half")


@pytest.mark.parametrize("length", [SHORT, LONG])
def test_a_cache_gives_what_was_stored(length: str) -> None:
    """Or nothing; and it never leaves half a copy."""
    run_state_machine_as_test(Cache, settings=fuzz(length, 15, 300))  # type: ignore[no-untyped-call]
