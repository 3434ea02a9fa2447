"""A Slurm cluster for the session, and the tiny configuration run locally and on it."""

import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "workflow"))
sys.path.insert(0, str(Path(__file__).parent))
from checkout import Checkout
from mini_slurm import PACKAGES, MiniSlurm, missing
from scene import Scene

HERE = Path(__file__).parent
ROWS = pytest.StashKey[list[tuple[str, str]]]()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what is here, saying so, but for ``make test-cluster`` where Slurm is installed."""
    lacking = missing()
    if lacking:
        reason = f"needs Slurm ({', '.join(lacking)} missing; Debian: {PACKAGES})"
    elif "TEST_CLUSTER" not in os.environ:
        reason = "runs by make test-cluster"
    else:
        return
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def cluster() -> Iterator[MiniSlurm]:
    """Three nodes with two processors each. Its folder's name is short: sockets lie in it."""
    with tempfile.TemporaryDirectory(prefix="mini-slurm-", ignore_cleanup_errors=True) as folder:
        slurm = MiniSlurm(Path(folder))
        try:
            slurm.start()
            yield slurm
        finally:
            slurm.stop()


@pytest.fixture(scope="session")
def local(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """The tiny configuration computed on this machine."""
    checkout = Checkout.new(tmp_path_factory.mktemp("local") / "checkout")
    assert checkout.executed()
    return checkout


@pytest.fixture(scope="session")
def whole(local: Checkout, cluster: MiniSlurm, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """The tiny configuration computed on the cluster from scratch."""
    root = tmp_path_factory.mktemp("whole") / "checkout"
    scene = Scene(local.copy(root, computed=False), cluster)
    scene.ends_well(scene.head("--configfile", "tiny.yaml"))
    return scene


@pytest.fixture
def row(request: pytest.FixtureRequest) -> Iterator[list[str]]:
    """Collects what the table says about a test."""
    rows = request.config.stash.setdefault(ROWS, [])
    words: list[str] = []
    start = time.monotonic()
    yield words
    rows.append((request.node.name, f"{'; '.join(words)} ({time.monotonic() - start:.0f} s)"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the table."""
    rows = terminalreporter.config.stash.get(ROWS, [])
    if rows:
        terminalreporter.section("on the cluster")
        width = max(len(name) for name, _ in rows)
        for name, what in rows:
            terminalreporter.write_line(f"{name:{width}}  {what}")
