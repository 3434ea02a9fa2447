"""The tiny configuration, run once for all workers; tests work on copies of the result."""

import fcntl
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from checkout import Checkout, rules

TINY_JOBS = {
    "certify": 1,
    "sample": 1,
    "train": 3,
    "aggregate": 2,
    "judge": 1,
    "claims": 1,
    "constant_targets": 1,
    "random_initializations": 1,
}


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Checkout:
    """A checkout in which everything is done; read only, and shared by the workers."""
    base = tmp_path_factory.getbasetemp()
    folder = (base if worker_id == "master" else base.parent) / "finished"
    folder.mkdir(exist_ok=True)
    root, done = folder / "checkout", folder / "done"
    with alone(folder / "lock"):
        if not done.exists():
            checkout = Checkout.new(root)
            assert rules(checkout.executed()) == TINY_JOBS
            done.touch()
    return Checkout(root, root / "src")


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """One worker after the other."""
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.fixture
def checkout(finished: Checkout, tmp_path: Path) -> Checkout:
    """A finished checkout with a package of its own."""
    return finished.copy(tmp_path / "checkout", own_source=True)


@pytest.fixture
def warm(finished: Checkout, tmp_path: Path) -> Checkout:
    """A finished checkout that imports the package of the first one."""
    return finished.copy(tmp_path / "warm")


@pytest.fixture
def fresh(finished: Checkout, tmp_path: Path) -> Checkout:
    """A checkout with nothing computed, which imports the package of the first one."""
    return finished.copy(tmp_path / "fresh", computed=False)
