"""The archive of real results: deterministic, complete, and found out when altered."""

import json
import os
import random
import re
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest
import yaml
from checkout import REPOSITORY, SEGMENT_SECONDS, Checkout, rules, segments_of
from conftest import TINY_JOBS
from rocrate.rocrate import ROCrate

from descentflow.archive import bundle, checkout, crate
from descentflow.archive.build import EVERYTHING
from descentflow.archive.bundle import FIRST, Archive
from descentflow.archive.verify import check
from descentflow.planning.jobs import Jobs, lock_digest

FLIPS, SEED = 30, 2102
MAIN = "import sys; from descentflow.cli import main; main()"


def descentflow(checkout: Checkout, *arguments: str, folder: Path | None = None) -> list[str]:
    """Run the command there; its lines."""
    ended = checkout.python("-c", MAIN, *arguments, folder=folder)
    assert ended.code == 0, ended.text
    return ended.text.splitlines()


@pytest.fixture
def archived(warm: Checkout) -> Path:
    """The archive of the tiny configuration's results."""
    for name in ("CITATION.cff", "LICENSE"):
        shutil.copyfile(REPOSITORY / name, warm.root / name)
    descentflow(warm, "archive", "tiny.yaml", "--output", "../one.tar")
    return warm.root.parent / "one.tar"


@pytest.mark.slow
def test_the_archive_of_real_results(archived: Path, warm: Checkout, tmp_path: Path) -> None:
    """One test, so that the results are archived once."""
    with segments_of(SEGMENT_SECONDS):  # as in the checkout
        two_builds_are_equal(archived, warm)
        flips_are_found(archived)
        unpacked = tmp_path / "unpacked"
        unpacked.mkdir()
        with tarfile.open(archived, "r:") as tar:
            tar.extractall(unpacked, filter="data")
        (folder,) = unpacked.iterdir()
        there = Checkout(folder, warm.source)
        nothing_to_do_when_unpacked(there)
        the_crate_is_read(folder)
        manifest_and_comparison(there)
        a_study_is_computed_again(archived, warm, tmp_path)


def two_builds_are_equal(archived: Path, warm: Checkout) -> None:
    """After every run time and modification time has changed, and with another hash seed."""
    for path in (warm.root / checkout.RECORDS).iterdir():
        record = json.loads(path.read_text())
        path.write_text(
            json.dumps({**record, "starttime": 1.0, "endtime": 2.0, "job_hash": 3, "shellcmd": "x"})
        )
    for path in warm.files("results"):
        os.utime(warm.root / path)
    code = ("-c", MAIN, "archive", "tiny.yaml", "--output", "../two.tar")
    assert warm.python(*code, PYTHONHASHSEED="7").code == 0
    assert archived.with_name("two.tar").read_bytes() == archived.read_bytes()


def places(archive: Archive, size: int) -> list[int]:
    """Where to flip: the first header, one byte of each kind of member, and anywhere."""
    chosen = random.Random(SEED)
    kinds = (FIRST, crate.NAME, "environment.json", "archive.json", "results/claims.csv")
    named = [archive.members[name] for name in kinds]
    for start, end in ((checkout.RECORDS, ""), ("results/datasets", ".nc"), ("figures", ".png")):
        found = [n for n in archive.members if n.startswith(start) and n.endswith(end)]
        named.append(archive.members[chosen.choice(found)])
    inside = [member.offset_data + chosen.randrange(member.size) for member in named]
    headers = [member.offset + chosen.randrange(512) for member in named]
    fixed = [0, size - 1, *inside, *headers]
    return fixed + [chosen.randrange(size) for _ in range(FLIPS - len(fixed))]


def flips_are_found(archived: Path) -> None:
    assert check(archived).problems == []
    with Archive.open(archived) as archive:
        where = places(archive, archived.stat().st_size)
    assert len(where) >= FLIPS
    damaged = archived.with_name("damaged.tar")
    shutil.copyfile(archived, damaged)
    with damaged.open("r+b") as file:
        for number, place in enumerate(where):
            file.seek(place)
            (before,) = file.read(1)
            file.seek(place)
            file.write(bytes([before ^ 1 << number % 8]))
            file.flush()
            assert found_out(damaged), place
            file.seek(place)
            file.write(bytes([before]))
    assert damaged.read_bytes() == archived.read_bytes()


def found_out(path: Path) -> bool:
    try:
        return bool(check(path).problems)
    except bundle.NotAnArchive:
        return True


def nothing_to_do_when_unpacked(there: Checkout) -> None:
    """And not because Snakemake sees nothing at all: an edited picture is drawn again."""
    assert there.planned() == []
    record = there.root / checkout.record_name("results/claims.csv")
    text = record.read_text()
    record.write_text(text.replace('\\"lock\\":\\"', '\\"lock\\":\\"0'))
    assert [job.rule for job in there.planned()] == ["judge", "claims"]
    record.write_text(text)


def the_crate_is_read(folder: Path) -> None:
    read = ROCrate(folder)
    configuration = yaml.safe_load((folder / "tiny.yaml").read_text())
    lock = lock_digest(folder / "envs/requirements.lock")
    planned = list(Jobs.from_mapping(configuration, lock).all())
    actions = [entity for entity in read.get_entities() if entity.type == "CreateAction"]
    assert len(actions) >= len(planned)
    assert {entity.id for entity in read.get("#run")["result"]} >= {"results/claims.csv"}
    runcrate = os.environ.get("RUNCRATE") or shutil.which("runcrate")
    if runcrate:
        report = subprocess.run([runcrate, "report", folder], capture_output=True, check=True)
        assert report.stdout.decode().count("action: ") == len(actions)


def manifest_and_comparison(there: Checkout) -> None:
    descentflow(there, "manifest", "tiny.yaml")
    first = (there.root / checkout.MANIFEST).read_bytes()
    descentflow(there, "manifest", "tiny.yaml")
    assert (there.root / checkout.MANIFEST).read_bytes() == first
    last = descentflow(there, "compare", "tiny.yaml")[-1]
    assert last.endswith("0 content equal, 0 within tolerance, 0 different")


def a_study_is_computed_again(archived: Path, warm: Checkout, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    arguments = ("verify", str(archived), "--recompute", "constant_targets")
    lines = descentflow(warm, *arguments, folder=elsewhere)
    assert "every digest is right" in lines
    assert lines[-1].endswith("0 content equal, 0 within tolerance, 0 different"), lines
    assert not any(line.startswith("note") for line in lines), lines
    assert list(elsewhere.iterdir()) == []


def test_the_advice_about_missing_files_makes_them(warm: Checkout) -> None:
    """A finished run needs no intermediate files, an archive does: its command asks for them."""
    shutil.rmtree(warm.root / "results" / "runs")
    assert warm.planned() == []
    ended = warm.python("-c", MAIN, "archive", "tiny.yaml", "--output", "../one.tar")
    assert ended.code == 1
    advised = re.search(r"\.nc: missing; `descentflow (.*)` makes", ended.text)
    assert advised, ended.text
    before, _, target = advised[1].rpartition(" -- ")
    assert "--configfile tiny.yaml" in before
    arguments = (*before.split(), "--dry-run", "--", target)
    assert rules(warm.python("-c", MAIN, *arguments).jobs)["train"] == TINY_JOBS["train"]


def test_make_archive_asks_for_every_file() -> None:
    lines = (REPOSITORY / "Makefile").read_text().split("\narchive:")[1].splitlines()[1:3]
    assert lines[0].endswith(f"--configfile $(CONFIG) -- {EVERYTHING}")
