"""The long version of test_faults: every fault, many times, on the toy studies; prints two tables.

Run by ``make torture``; ``KILLS=50 make torture`` for fewer. A checkout is killed at random moments
(fixed seed): its head, a worker, the fork server, Snakemake, or all at once, on one core and on two,
and while a second checkout writes the same cache. Between the kills it meets the other faults. After
each of those, and at the end, it must hold the bytes of one that was left in peace. Full and closed
disks are mounted, which only root may do; where that is refused they are left out.
"""

import os
import platform
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml
from checkout import REPOSITORY, Checkout, Ended
from faults import (
    ARGUMENTS,
    LAUNCH,
    REMOVED,
    SEED,
    TARGETS,
    digests,
    forget,
    kill,
    launch,
    limited,
    remove_some,
    rerun,
)

KILLS = int(os.environ.get("KILLS", "200"))
BETWEEN = max(1, min(20, KILLS // 10))
"""Kills between two of the other faults."""

MODES = {
    "1 core": (1, False),
    "2 cores": (2, False),
    "2 cores, cache shared": (2, True),
}
"""Columns of the first table: the number of cores, and whether another checkout shares a cache."""

AFTER = {"samples": ("runs", "datasets"), "runs": ("datasets",), "datasets": ()}
"""What is removed, besides the claims, so that a damaged file of a folder is read again."""

Kills = Counter[tuple[str, str]]
Others = Counter[str]


def main() -> None:
    """Torture, compare, print."""
    with tempfile.TemporaryDirectory() as folder:
        peace = Checkout.new(Path(folder) / "peace")
        smoke = yaml.safe_load((REPOSITORY / "config" / "smoke.yaml").read_text())
        del smoke["outputs"]
        (peace.root / "tiny.yaml").write_text(yaml.safe_dump(smoke, sort_keys=False))
        war, ally = (peace.copy(Path(folder) / name) for name in ("war", "ally"))
        started = time.monotonic()
        finish(peace)
        kills, others = torture(war, ally, peace, time.monotonic() - started)
        finish(war)
        finish(ally)
        wrong = differing(war, peace) + differing(ally, peace)
        files = len(digests(peace))
        leftovers = sum(len(list(place.root.rglob("*.part"))) for place in (war, ally))
    show(kills, others)
    print(f"\n{files} files compared, {wrong} differ; files left half written: {leftovers}")
    sys.exit(1 if wrong or leftovers else 0)


def show(kills: Kills, others: Others) -> None:
    """Print how often what happened."""
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores, {platform.platform()}\n")
    print(f"| killed (kill -9) | {' | '.join(MODES)} |\n|---{'|---' * len(MODES)}|")
    for target in (*TARGETS, REMOVED):
        print(f"| {target} | {' | '.join(str(kills[target, mode]) for mode in MODES)} |")
    print("\n| other fault | times |\n|---|---|")
    for name, count in sorted(others.items()):
        print(f"| {name} | {count} |")


def finish(checkout: Checkout) -> None:
    """Run to the end, as a person would after a fault."""
    ended = rerun(checkout)
    assert ended.code == 0, ended.text


def differing(war: Checkout, peace: Checkout) -> int:
    """How many files are missing, too many or not the same."""
    return len(digests(war).items() ^ digests(peace).items())


def torture(war: Checkout, ally: Checkout, peace: Checkout, alone: float) -> tuple[Kills, Others]:
    """Kill KILLS times, with another fault after each BETWEEN; how often what."""
    chance, kills, others, killed = random.Random(SEED), Kills(), Others(), 0
    names = list(OTHER_FAULTS)
    while killed < KILLS:
        mode = chance.choice(list(MODES))
        target = one_kill(war, ally, chance, mode, min(6.0, 0.3 * alone))
        kills[target, mode] += 1
        if target == REMOVED:
            continue
        killed += 1
        if killed % BETWEEN:
            continue
        name = names[(killed // BETWEEN - 1) % len(names)]
        print(f"after {killed} kills: {name}", file=sys.stderr, flush=True)
        if OTHER_FAULTS[name](war, chance):
            others[name] += 1
            finish(war)
            assert not differing(war, peace), name
            remove_some(war, chance)
    return kills, others


def one_kill(
    war: Checkout, ally: Checkout, chance: random.Random, mode: str, longest: float
) -> str:
    """Kill a part of one run; with a shared cache beside another's, which dies a moment later."""
    cores, shared = MODES[mode]
    if not shared:
        return kill(war, chance, longest, cores)
    cache = war.root.parent / "cache"
    if cache.is_dir() and chance.random() < 0.3:
        shutil.rmtree(cache)  # or there would be nothing left to compute
    variables = {"DESCENTFLOW_CACHE": str(cache)}
    other = launch(ally, cores, **variables)
    try:
        return kill(war, chance, longest, cores, **variables)
    finally:
        os.killpg(other.pid, signal.SIGKILL)
        other.wait()
        remove_some(ally, chance)


def resources(limit: str, least: int, most: int) -> Callable[..., bool]:
    """A fault of a run under a limit of the shell: it fails, or has enough and ends well."""

    def fault(war: Checkout, chance: random.Random) -> bool:
        limited(war, f"{limit} {chance.randrange(least, most)}", "-c", LAUNCH, *ARGUMENTS, "2")
        return True

    return fault


def vanished_folder(war: Checkout, chance: random.Random) -> bool:
    """The folder of results is gone while a run writes to it."""
    process = launch(war)
    time.sleep(chance.uniform(1.0, 6.0))
    shutil.rmtree(war.root / "results", ignore_errors=True)
    process.wait(timeout=600)
    return True


def full_disk(war: Checkout, chance: random.Random) -> bool:
    """A disk of a few kB instead of the folder of results; False where it cannot be mounted."""
    with mounted(war, f"size={chance.randrange(16, 400)}k") as possible:
        if possible:
            failed_in_a_line(rerun(war), "results")
    return possible


def closed_folder(war: Checkout, _chance: random.Random) -> bool:
    """A folder of results that can be read only."""
    with mounted(war, "ro") as possible:
        if possible:
            failed_in_a_line(rerun(war), "results")
    return possible


@contextmanager
def mounted(war: Checkout, options: str) -> Iterator[bool]:
    """Another file system as ``results``; False where that is not allowed."""
    folder = war.root / "results"
    folder.mkdir(exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    possible = subprocess.run(command, capture_output=True, check=False).returncode == 0
    try:
        yield possible
    finally:
        if possible:
            subprocess.run(["umount", str(folder)], check=True)


def damage(change: Callable[[bytes, random.Random], bytes]) -> Callable[..., bool]:
    """A fault that changes one netCDF file, and what would be made from it is made again."""

    def fault(war: Checkout, chance: random.Random) -> bool:
        finish(war)
        files = [p for p in war.files("results") if p.suffix == ".nc" and p.parts[1] in AFTER]
        chosen = chance.choice(files)
        made = [f"results/{folder}" for folder in AFTER[chosen.parts[1]]]
        forget(war, *made)
        before = (war.root / chosen).stat()
        (war.root / chosen).write_bytes(change((war.root / chosen).read_bytes(), chance))
        os.utime(war.root / chosen, ns=(before.st_atime_ns, before.st_mtime_ns))
        ended = rerun(war)
        if ended.code:  # else no content was changed, as what was made from it must show
            failed_in_a_line(ended, str(chosen))
        (war.root / chosen).unlink()
        forget(war, *made)
        return True

    return fault


def truncated(data: bytes, chance: random.Random) -> bytes:
    return data[: chance.randrange(len(data))]


def bit_flipped(data: bytes, chance: random.Random) -> bytes:
    """Any bit; some are room that HDF5 keeps for its own use."""
    place = chance.randrange(len(data))
    return data[:place] + bytes([data[place] ^ 1 << chance.randrange(8)]) + data[place + 1 :]


def foreign(_data: bytes, _chance: random.Random) -> bytes:
    return b"CDF\x01" + bytes(64)


def clock_set_back(war: Checkout, _chance: random.Random) -> bool:
    """All results are from tomorrow."""
    ahead = time.time() + 86_400.0
    for path in war.files("results"):
        os.utime(war.root / path, (ahead, ahead))
    return True


def failed_in_a_line(ended: Ended, words: str) -> None:
    """The run failed, and a line of a stage or of Snakemake says why; nothing of Python shows."""
    said = [x for x in ended.text.splitlines() if "error: " in x.lower() and words in x]
    assert ended.code != 0, ended.text
    assert said, ended.text
    assert "Traceback" not in ended.text, ended.text


OTHER_FAULTS: dict[str, Callable[[Checkout, random.Random], bool]] = {
    "no room on the disk (ENOSPC)": full_disk,
    "few open files (EMFILE)": resources("-n", 12, 64),
    "little memory (ulimit -v)": resources("-v", 200_000, 3_000_000),
    "the folder of results removed": vanished_folder,
    "results cannot be written": closed_folder,
    "a netCDF file cut short": damage(truncated),
    "a bit of a netCDF file flipped": damage(bit_flipped),
    "a netCDF file of something else": damage(foreign),
    "the clock set back a day": clock_set_back,
}


if __name__ == "__main__":
    main()
