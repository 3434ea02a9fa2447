"""How long planning takes, and how much memory, over the number of jobs.

    .venv/bin/python benchmarks/planning.py 1000 5000 20000

For each number a configuration with so many jobs is planned twice, each time in a process of its own:
by the package (`Jobs`, with every job's spec and digest), and by Snakemake's dry run of the workflow.
Limits on the number of jobs are lifted for it.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from descentflow.planning import job_limits
from descentflow.runtime import new_checkout

CONFIG = """
seed: 1
studies:
  explore:
    planned:
      inputs: {{law: uniform, low: 0, high: 1}}
      target: {{kind: affine, slope: 1, intercept: 0}}
      network: {{hidden: 4, activation: relu}}
      initialization: {{law: normal, count: {count}, chunk: 1}}
      training: {{method: gd, step_size: 0.05, steps: 100}}
      measures: {{terminal_states: 0}}
"""


def planned_by_package() -> None:
    """Make every job of config.yaml here, with its JSON."""
    from descentflow.config import validate
    from descentflow.planning.jobs import Jobs, lock_digest

    lock = lock_digest(Path("envs/requirements.lock"))
    jobs = Jobs.from_mapping(validate.load(Path("config.yaml")), lock)
    assert all(job.json for job in jobs.all())


def planned_by_snakemake() -> None:
    """Plan the workflow here."""
    from snakemake.cli import main as snakemake

    snakemake(["--cores", "1", "--dry-run", "--quiet", "all"])


WAYS = {"package": planned_by_package, "snakemake": planned_by_snakemake}


def measured(way: str, folder: Path) -> tuple[float, float]:
    """Return seconds and peak memory in MB of a process that plans."""
    began = time.perf_counter()
    command = [sys.executable, str(Path(__file__).resolve()), "--here", way]
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise SystemExit(ended.stderr)
    return time.perf_counter() - began, float(ended.stdout.splitlines()[-1])


def here(way: str) -> None:
    """Plan in this process and print its peak memory."""
    job_limits.MAX_CHUNKS = job_limits.MAX_SEGMENTS = job_limits.MAX_JOBS = 10**9
    try:
        WAYS[way]()
    except SystemExit as ended:  # Snakemake's main
        if ended.code:
            raise
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000)


def main(counts: Sequence[int]) -> None:
    print(f"{'jobs':>8}{'package':>12}{'snakemake':>12}{'memory':>12}")
    for count in counts:
        with tempfile.TemporaryDirectory() as parent:
            folder = Path(parent) / "checkout"
            new_checkout.make(folder)
            (folder / "config.yaml").write_text(CONFIG.format(count=count // 2))
            own, _ = measured("package", folder)
            seconds, memory = measured("snakemake", folder)
        print(f"{count:>8}{own:>10.1f} s{seconds:>10.1f} s{memory:>9.0f} MB", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("jobs", type=int, nargs="*", default=[1_000, 5_000, 20_000])
    parser.add_argument("--here", choices=WAYS, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.here:
        here(given.here)
    else:
        main(given.jobs)
