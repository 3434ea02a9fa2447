"""A checkout whose jobs run on the tests' Slurm, with a journal of what ran."""

import hashlib
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import psutil
from checkout import Checkout
from mini_slurm import MiniSlurm, wait_until

JOURNAL = Path(__file__).with_name("journal")
HASTE = (
    *("--slurm-init-seconds-before-status-checks", "3"),
    *("--seconds-between-status-checks", "3"),
    *("--max-status-checks-per-second", "1"),
)
"""The profile's patience is made for jobs of minutes."""
SLOW = 900.0
"""Seconds that a loaded machine may take for what takes one minute on a free one."""


@dataclass(frozen=True)
class Line:
    """One line of the journal."""

    what: str
    output: str
    node: str
    job: str
    pid: int


@dataclass(frozen=True)
class Scene:
    """A checkout, and the cluster its jobs run on."""

    checkout: Checkout
    cluster: MiniSlurm

    @property
    def root(self) -> Path:
        return self.checkout.root

    @property
    def journal(self) -> Path:
        folder = self.root / ".snakemake" / "journal"
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    @property
    def environment(self) -> dict[str, str]:
        """Of heads, and by Slurm of their jobs; the scratch folder is the scene's own."""
        scratch = self.root / ".snakemake" / "scratch"
        scratch.mkdir(parents=True, exist_ok=True)
        return self.checkout.environment(
            SLURM_CONF=str(self.cluster.conf),
            PYTHONPATH=f"{self.checkout.source}:{JOURNAL}",
            DESCENTFLOW_SCRATCH=str(scratch),
            DESCENTFLOW_TEST_JOURNAL=str(self.journal),
        )

    # ---- heads

    def head(
        self, *arguments: str, command: str = "snakemake", **environment: str
    ) -> subprocess.Popen[bytes]:
        """Start Snakemake with the Slurm profile; ``descentflow run`` clears what a kill left."""
        run = "-m", "snakemake"
        if command == "descentflow":
            run = "-c", "from descentflow.cli import main; main()", "run"
        with self.said.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, *run, "--profile", "profiles/slurm", *HASTE, *arguments],
                cwd=self.root,
                env={**self.environment, **environment},
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )

    @property
    def said(self) -> Path:
        """All that heads say."""
        return self.root / "head.log"

    def ends_well(self, head: subprocess.Popen[bytes]) -> None:
        """Wait for a head's end, and see that it is a good one."""
        try:
            assert head.wait(SLOW) == 0, self.said.read_text()[-6000:]
        except subprocess.TimeoutExpired:
            kill(head)
            raise AssertionError(f"still running:\n{self.said.read_text()[-6000:]}") from None

    # ---- jobs

    def lines(self, what: str, output: str = "") -> list[Line]:
        """The journal's lines of a kind, of one output or of all."""
        path = self.journal / "lines"
        words = (
            [line.split("\t") for line in path.read_text().splitlines()] if path.exists() else []
        )
        found = [Line(w[0], w[1], w[2], w[3], int(w[4])) for w in words if w[0] == what]
        return [line for line in found if output in ("", line.output)]

    def hold(self, output: str) -> None:
        """Let the next job that writes ``output`` hang."""
        (self.journal / f"hold+{output.replace('/', '+')}").touch()

    def held(self, output: str) -> Line:
        """Wait for a job that hangs there."""
        wait_until(lambda: bool(self.lines("held", output)), f"{output} to be held", SLOW)
        return self.lines("held", output)[-1]

    def release(self, output: str) -> None:
        """Let a job go on that hangs."""
        (process,) = [p for p in psutil.process_iter(["cmdline"]) if self._writes(p, output)]
        wait_until(lambda: process.status() == psutil.STATUS_STOPPED, f"{output} to hang")
        process.send_signal(signal.SIGCONT)
        process.wait(SLOW)

    def _writes(self, process: psutil.Process, output: str) -> bool:
        words = process.info["cmdline"] or []
        try:
            here = output in words and "descentflow.stages" in words
            return here and words[0].endswith("python") and Path(process.cwd()) == self.root
        except psutil.Error:
            return False

    def state(self, job: str) -> str:
        """What Slurm's accounting says of a job: one word."""
        said = self.cluster.ask("sacct", "-X", "-n", "-P", "--format=State", "-j", job)
        return said.split()[0] if said.split() else ""

    def reaches(self, job: str, state: str) -> None:
        """Wait until a job has a state."""
        wait_until(lambda: self.state(job) == state, f"job {job} to be {state}", SLOW)

    # ---- results

    def digests(self, *folders: str) -> dict[str, str]:
        """SHA-256 of everything computed, logs left out."""
        return digests(self.root, *folders)

    def forget(self, *folders: str) -> None:
        """Remove results, and what the journal says about them."""
        for folder in folders:
            shutil.rmtree(self.root / folder)
        shutil.rmtree(self.journal)


def digests(root: Path, *folders: str) -> dict[str, str]:
    """SHA-256 of every file of a result below ``folders``."""
    found = {}
    for folder in folders:
        for path in sorted((root / folder).rglob("*")):
            if path.is_file() and "logs" not in path.parts:
                name = str(path.relative_to(root))
                found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a head and what it started here, but none of its jobs: they are Slurm's."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
