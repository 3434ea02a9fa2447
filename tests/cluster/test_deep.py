"""Two of the shipped studies at toy sizes on Slurm: also deep networks, which have their own rule."""

import shutil
from pathlib import Path

from checkout import REPOSITORY, Checkout
from mini_slurm import MiniSlurm
from scene import Scene, digests

SMOKE = "config/smoke.yaml"
STUDIES = ("overparameterized", "deep_networks")
FOLDERS = ("results/smoke", "figures/smoke")


def smoke(root: Path) -> Checkout:
    """A checkout that imports the repository's package, whose kernels other tests have compiled."""
    Checkout.new(root)
    (root / "config").mkdir()
    shutil.copyfile(REPOSITORY / SMOKE, root / SMOKE)
    return Checkout(root, REPOSITORY / "src")


def test_deep_networks(cluster: MiniSlurm, tmp_path: Path, row: list[str]) -> None:
    """With both studies' figures. Other studies' jobs have the rules of the tests' configuration."""
    here, there = smoke(tmp_path / "local"), smoke(tmp_path / "cluster")
    assert here.executed(*STUDIES, config=SMOKE)
    scene = Scene(there, cluster)
    # Jobs share the local run's compiled kernels: a scratch folder would start empty.
    head = scene.head("--configfile", SMOKE, "--", *STUDIES, DESCENTFLOW_SCRATCH="")
    scene.ends_well(head)
    assert scene.digests(*FOLDERS) == digests(here.root, *FOLDERS)
    assert scene.lines("overlap") == []
    row += ["digests equal", f"{len(scene.lines('start'))} jobs"]
