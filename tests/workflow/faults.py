"""What is done to a run, and how its files are compared afterwards."""

import hashlib
import os
import random
import signal
import subprocess
import sys

import psutil
from checkout import CALLER, Checkout, Ended

SEED = 20221115
LAUNCH = "from descentflow.cli import main; main()"
ARGUMENTS = ("run", "--cores", "2", "--configfile", "tiny.yaml")

WHOLE, WORKER, REMOVED = "the run killed (kill -9)", "a worker killed (kill -9)", "files removed"


def environment(checkout: Checkout) -> dict[str, str]:
    """The caller's, and the checkout's own sources and kernels."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(CALLER)}
    return {
        **inherited,
        "PYTHONPATH": str(checkout.source),
        "PYTHONDONTWRITEBYTECODE": "1",
        "NUMBA_CACHE_DIR": str(checkout.kernels),
        "NO_COLOR": "1",
    }


def launch(checkout: Checkout) -> subprocess.Popen[bytes]:
    """The command behind ``make figures``, in a process group of its own."""
    return subprocess.Popen(
        [sys.executable, "-c", LAUNCH, *ARGUMENTS],
        cwd=checkout.root,
        env=environment(checkout),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )


def rerun(checkout: Checkout) -> Ended:
    """The same command, to its end."""
    return checkout.python("-c", LAUNCH, *ARGUMENTS)


def digests(checkout: Checkout) -> dict[str, str]:
    """SHA-256 of everything computed, logs left out."""
    found = {}
    for folder in ("results", "figures"):
        for path in checkout.files(folder):
            if "logs" not in path.parts:
                found[str(path)] = hashlib.sha256((checkout.root / path).read_bytes()).hexdigest()
    return found


def kill(checkout: Checkout, chance: random.Random, longest: float) -> str:
    """Start a run, and kill it or one of its workers within ``longest`` seconds; say which.

    A run that ends before loses some of its files, so that there is work to be killed in.
    """
    process, moment = launch(checkout), chance.uniform(0.3, longest)
    try:
        process.wait(timeout=moment)
    except subprocess.TimeoutExpired:
        if chance.random() < 0.3 and kill_a_worker(process, chance):
            process.wait(timeout=600)
            return WORKER
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return WHOLE
    remove_some(checkout, chance)
    return REMOVED


def kill_a_worker(process: subprocess.Popen[bytes], chance: random.Random) -> bool:
    """Kill a stage's command, a fork that does its work, or the process that forks.

    False where there is none. Snakemake lives on.
    """
    try:
        children = psutil.Process(process.pid).children(recursive=True)
        stages = [c for c in children if "descentflow.stages" in " ".join(c.cmdline())]
        if stages:
            chance.choice(stages).kill()
    except psutil.NoSuchProcess:
        return False
    return bool(stages)


def remove_some(checkout: Checkout, chance: random.Random) -> None:
    """Delete a few trained files, and what is made of them: Snakemake makes only what is asked for."""
    trained = checkout.files("results/runs")
    for path in chance.sample(trained, min(8, len(trained))):
        (checkout.root / path).unlink()
    forget(checkout, "results/datasets")


def forget(checkout: Checkout, *folders: str) -> None:
    """Delete the files of folders, and the claims."""
    for path in (path for folder in folders for path in checkout.files(folder)):
        (checkout.root / path).unlink()
    (checkout.root / "results" / "claims.csv").unlink(missing_ok=True)
