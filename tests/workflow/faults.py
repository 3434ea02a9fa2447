"""What is done to a run, and how its files are compared afterwards."""

import hashlib
import random
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress

import psutil
from checkout import Checkout, Ended

SEED = 20221115
LAUNCH = "from descentflow.cli import main; main()"
ARGUMENTS = ("run", "--configfile", "tiny.yaml", "--cores")

REMOVED = "files removed, as the run was done before its moment came"


def launch(checkout: Checkout, cores: int = 2, **variables: str) -> subprocess.Popen[bytes]:
    """The command behind ``make figures``, in a process group of its own."""
    return subprocess.Popen(
        [sys.executable, "-c", LAUNCH, *ARGUMENTS, str(cores)],
        cwd=checkout.root,
        env=checkout.environment(**variables),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )


def rerun(checkout: Checkout, **variables: str) -> Ended:
    """The same command, to its end."""
    return checkout.python("-c", LAUNCH, *ARGUMENTS, "2", **variables)


def limited(checkout: Checkout, limit: str, *arguments: str) -> Ended:
    """Run the interpreter under a limit of the shell, such as ``-f 1``: no file above a block."""
    process = subprocess.run(
        ["sh", "-c", f'ulimit {limit}; exec "$@"', "sh", sys.executable, *arguments],
        cwd=checkout.root,
        env=checkout.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return Ended(process.returncode, process.stdout)


def digests(checkout: Checkout) -> dict[str, str]:
    """SHA-256 of everything computed, logs left out."""
    found = {}
    for folder in ("results", "figures"):
        for path in checkout.files(folder):
            if "logs" not in path.parts:
                found[str(path)] = hashlib.sha256((checkout.root / path).read_bytes()).hexdigest()
    return found


def kill(
    checkout: Checkout, chance: random.Random, longest: float, cores: int = 2, **variables: str
) -> str:
    """Start a run, and kill a part of it within ``longest`` seconds; say which, a key of TARGETS.

    A run that ends before loses some of its files, so that there is work to be killed in. Nothing of
    the run may live on.
    """
    process, moment = launch(checkout, cores, **variables), chance.uniform(0.3, longest)
    try:
        process.wait(timeout=moment)
    except subprocess.TimeoutExpired:
        head = psutil.Process(process.pid)
        family = [head, *head.children(recursive=True)]
        target = chance.choice(list(TARGETS))
        chosen = TARGETS[target](family)
        target, chosen = (target, chosen) if chosen else (GROUP, family)
        for victim in [chance.choice(chosen)] if target == WORKER else chosen:
            with suppress(psutil.NoSuchProcess):
                victim.kill()
        process.wait(timeout=600)
        left = still_running(family)
        assert not left, (target, left)
        return target
    remove_some(checkout, chance)
    return REMOVED


def still_running(family: list[psutil.Process]) -> list[psutil.Process]:
    """Those that have not ended in 20 seconds. Zombies have, where nobody asks how they ended."""
    left = []
    for process in psutil.wait_procs(family, timeout=20)[1]:
        with suppress(psutil.NoSuchProcess):
            if process.status() != psutil.STATUS_ZOMBIE:
                left.append(process)
    return left


def running(words: str) -> Callable[[list[psutil.Process]], list[psutil.Process]]:
    """The processes of a run with these words in their command."""

    def find(family: list[psutil.Process]) -> list[psutil.Process]:
        found = []
        for process in family:
            with suppress(psutil.NoSuchProcess):
                if words in " ".join(process.cmdline()):
                    found.append(process)
        return found

    return find


HEAD, WORKER, SERVER = "the head alone", "a worker", "the fork server and its forks"
SNAKEMAKE, GROUP = "Snakemake alone", "all at once"
TARGETS: dict[str, Callable[[list[psutil.Process]], list[psutil.Process]]] = {
    HEAD: lambda family: family[:1],
    WORKER: running("descentflow.stages"),
    SERVER: running("descentflow.runtime.fork_server"),
    SNAKEMAKE: running("-m snakemake"),
    GROUP: lambda family: family,
}
"""What is killed of a run, with SIGKILL: a worker is a stage's command or a shell around it."""


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
