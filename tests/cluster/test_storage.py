"""Results in a storage that jobs do not share as files, by the plugin for folders."""

import shutil
import sys
from pathlib import Path

import pytest
from checkout import Checkout
from scene import digests


@pytest.mark.skipif(shutil.which("rsync") is None, reason="the plugin copies by rsync")
def test_results_live_in_a_storage(local: Checkout, tmp_path: Path, row: list[str]) -> None:
    """Every file goes there and comes back; the bytes are a local run's; nothing is made twice."""
    there = local.copy(tmp_path / "checkout", computed=False)
    storage = tmp_path / "storage"

    def run() -> str:
        ended = there.python(
            *("-m", "snakemake", "--configfile", "tiny.yaml", "--cores", "2"),
            *("--default-storage-provider", "fs", "--default-storage-prefix", str(storage)),
            PATH=f"{Path(sys.executable).parent}:/usr/bin:/bin",
        )
        assert ended.code == 0, ended.text
        return ended.text

    run()
    assert "Nothing to be done" in run()
    folders = ("results", "figures")
    assert digests(storage, *folders) == digests(local.root, *folders)
    row += ["digests equal, a second run has nothing to do"]
