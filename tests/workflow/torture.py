"""The long version of test_faults: every fault, many times, on the toy studies; prints a table.

Run by ``make torture``; ``KILLS=50 make torture`` for fewer. A checkout is killed at random moments
(fixed seed), the whole run or one of its workers, and between the kills it meets the other faults.
After each of those, and at the end, it must hold the bytes of one that was left in peace. Full and
closed disks are mounted, which only root may do; where that is refused they are left out.
"""

import os
import random
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
from faults import SEED, WHOLE, WORKER, digests, forget, kill, remove_some, rerun

KILLS = int(os.environ.get("KILLS", "200"))
BETWEEN = 20
"""Kills between two of the other faults."""

AFTER = {"samples": ("runs", "datasets"), "runs": ("datasets",), "datasets": ()}
"""What is removed, besides the claims, so that a damaged file of a folder is read again."""


def main() -> None:
    """Torture, compare, print."""
    with tempfile.TemporaryDirectory() as folder:
        peace = Checkout.new(Path(folder) / "peace")
        smoke = yaml.safe_load((REPOSITORY / "config" / "smoke.yaml").read_text())
        del smoke["outputs"]
        (peace.root / "tiny.yaml").write_text(yaml.safe_dump(smoke, sort_keys=False))
        war = peace.copy(Path(folder) / "war")
        started = time.monotonic()
        finish(peace)
        counts = torture(war, peace, time.monotonic() - started)
        finish(war)
        wrong = differing(war, peace)
        files = len(digests(peace))
        leftovers = len(list(war.root.rglob("*.part")))
    print("| fault | times |\n|---|---|")
    for name, count in sorted(counts.items()):
        print(f"| {name} | {count} |")
    print(f"\n{files} files compared, {wrong} differ; files left half written: {leftovers}")
    sys.exit(1 if wrong or leftovers else 0)


def finish(checkout: Checkout) -> None:
    """Run to the end, as a person would after a fault."""
    ended = rerun(checkout)
    assert ended.code == 0, ended.text


def differing(war: Checkout, peace: Checkout) -> int:
    """How many files are missing, too many or not the same."""
    return len(digests(war).items() ^ digests(peace).items())


def torture(war: Checkout, peace: Checkout, alone: float) -> Counter[str]:
    """Kill KILLS times, with another fault after each BETWEEN; how often what."""
    chance, counts = random.Random(SEED), Counter[str]()
    others = list(OTHER_FAULTS)
    while (killed := counts[WHOLE] + counts[WORKER]) < KILLS:
        counts[kill(war, chance, min(6.0, 0.3 * alone))] += 1
        if counts[WHOLE] + counts[WORKER] == killed or (killed + 1) % BETWEEN:
            continue
        name = others[(killed // BETWEEN) % len(others)]
        print(f"after {killed + 1} kills: {name}", file=sys.stderr, flush=True)
        if OTHER_FAULTS[name](war, chance):
            counts[name] += 1
            finish(war)
            assert not differing(war, peace), name
            remove_some(war, chance)
    return counts


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
    "no room on the disk": full_disk,
    "results cannot be written": closed_folder,
    "a netCDF file cut short": damage(truncated),
    "a bit of a netCDF file flipped": damage(bit_flipped),
    "a netCDF file of something else": damage(foreign),
    "the clock set back a day": clock_set_back,
}


if __name__ == "__main__":
    main()
