"""The long version of test_faults: kills of every kind on the toy studies; prints a table.

Run by ``make torture``; ``KILLS=50 make torture`` for fewer. A checkout is killed at random moments
(fixed seed), the whole run or one of its workers, and at the end must hold the bytes of one that was
left in peace.
"""

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
from checkout import REPOSITORY, Checkout
from test_faults import SEED, digests, kill_a_worker, launch, rerun

KILLS = int(os.environ.get("KILLS", "200"))


def main() -> None:
    """Torture, compare, print."""
    with tempfile.TemporaryDirectory() as folder:
        peace = Checkout.new(Path(folder) / "peace", Path(folder) / "kernels")
        smoke = (REPOSITORY / "config" / "smoke.yaml").read_text()
        (peace.root / "tiny.yaml").write_text(smoke)
        war = peace.copy(Path(folder) / "war")
        started = time.monotonic()
        assert rerun(peace).code == 0
        alone = time.monotonic() - started
        counts = torture(war, alone)
        last = rerun(war)
        same = digests(war) == digests(peace)
        parts = len(list(war.root.rglob("*.part")))
        files = len(digests(peace))
        shutil.rmtree(war.root)
    print("| fault | times |\n|---|---|")
    for name, count in counts.items():
        print(f"| {name} | {count} |")
    print(
        f"\nlast run: status {last.code}; {files} files, all bytes equal: {same}; leftovers: {parts}"
    )
    sys.exit(0 if last.code == 0 and same and not parts else 1)


def torture(war: Checkout, alone: float) -> dict[str, int]:
    """Kill KILLS times; how often what."""
    chance = random.Random(SEED)
    counts = {"the run killed (kill -9)": 0, "a worker killed (kill -9)": 0, "files removed": 0}
    whole, worker, removed = counts
    while counts[whole] + counts[worker] < KILLS:
        process, moment = launch(war), chance.uniform(0.3, min(10.0, 0.3 * alone))
        try:
            process.wait(timeout=moment)
        except subprocess.TimeoutExpired:
            if chance.random() < 0.3:
                counts[worker] += 1
                try:
                    kill_a_worker(process)
                    process.wait(timeout=600)
                except psutil.NoSuchProcess:
                    pass
            else:
                counts[whole] += 1
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        else:
            counts[removed] += 1
            made = sorted(digests(war))
            for path in chance.sample(made, min(5, len(made))):
                (war.root / path).unlink()
    return counts


if __name__ == "__main__":
    main()
