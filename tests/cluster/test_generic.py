"""Other schedulers, by the executor cluster-generic: a script that submits, and one that tells."""

import sys
from pathlib import Path

from checkout import Checkout
from scene import digests

HERE = Path(__file__).parent


def test_cluster_generic(local: Checkout, tmp_path: Path, row: list[str]) -> None:
    """With a scheduler that is a background process of this machine."""
    there = local.copy(tmp_path / "checkout", computed=False)
    ended = there.python(
        *("-m", "snakemake", "--configfile", "tiny.yaml", "--jobs", "2", "--retries", "1"),
        *("--executor", "cluster-generic", "--latency-wait", "30"),
        *("--cluster-generic-submit-cmd", f"{HERE}/submit.sh {{resources.runtime}}"),
        *("--cluster-generic-status-cmd", f"{HERE}/status.sh"),
        *("--cluster-generic-cancel-cmd", f"{HERE}/cancel.sh"),
        *("--seconds-between-status-checks", "2"),
        PATH=f"{Path(sys.executable).parent}:/usr/bin:/bin",
    )
    assert ended.code == 0, ended.text
    folders = ("results", "figures")
    assert digests(there.root, *folders) == digests(local.root, *folders)
    row += ["digests equal"]
