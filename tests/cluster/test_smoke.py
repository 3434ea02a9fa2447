"""The shipped studies at toy sizes on Slurm: every stage, deep networks and figures too."""

import shutil
from pathlib import Path

from checkout import REPOSITORY, Checkout
from mini_slurm import MiniSlurm
from scene import Scene, digests

SMOKE = "config/smoke.yaml"
FOLDERS = ("results/smoke", "figures/smoke")


def smoke(root: Path) -> Checkout:
    """A checkout that imports the repository's package, whose kernels other tests have compiled."""
    Checkout.new(root)
    (root / "config").mkdir()
    shutil.copyfile(REPOSITORY / SMOKE, root / SMOKE)
    return Checkout(root, REPOSITORY / "src")


def test_smoke(cluster: MiniSlurm, tmp_path: Path, row: list[str]) -> None:
    here, there = smoke(tmp_path / "local"), smoke(tmp_path / "cluster")
    assert here.executed(config=SMOKE)
    scene = Scene(there, cluster)
    # Jobs share the local run's compiled kernels: a scratch folder would start empty.
    scene.ends_well(scene.head("--configfile", SMOKE, DESCENTFLOW_SCRATCH=""))
    assert scene.digests(*FOLDERS) == digests(here.root, *FOLDERS)
    assert scene.lines("overlap") == []
    row += ["digests equal", f"{len(scene.lines('start'))} jobs"]
