"""On a real Slurm: the bits of a local run, whatever fails on the way, and never two at one output."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
from checkout import Checkout
from mini_slurm import MiniSlurm, wait_until
from scene import SLOW, Scene, digests, kill

DATASETS = [f"results/datasets/{s}.nc" for s in ("constant_targets", "random_initializations")]
ARGUMENTS = ("--configfile", "tiny.yaml", "--", *DATASETS)


def test_tiny(whole: Scene, local: Checkout, row: list[str]) -> None:
    """Everything, figures and claims too."""
    folders = ("results", "figures")
    assert digests(local.root, *folders) == whole.digests(*folders)
    assert whole.lines("overlap") == []
    nodes = {line.node for line in whole.lines("start") if line.job != "-"}
    assert nodes <= {"n1", "n2", "n3"}
    light = {line.output for line in whole.lines("start") if line.job == "-"}
    assert all(path.startswith("figures") or path.endswith("claims.csv") for path in light)
    row += ["digests equal", f"{len(whole.lines('start')) - len(light)} jobs"]


def test_kernels_are_shared_as_one_file(whole: Scene) -> None:
    """And the nodes' disks are left clean."""
    assert list((whole.root / ".snakemake" / "kernels").glob("*.tar"))
    assert list((whole.root / ".snakemake" / "scratch").iterdir()) == []


# ---- faults


def segments(scene: Scene) -> list[str]:
    """The two segments of the run that has two."""
    written = [str(c.outputs[0]) for c in scene.checkout.commands() if c.stage == "train"]
    (second,) = [path for path in written if path.endswith(".1.nc")]
    return [second.replace(".1.nc", ".0.nc"), second]


def cancelled(scene: Scene) -> str:
    """A job that runs."""
    first, second = segments(scene)
    scene.hold(second)
    head = scene.head(*ARGUMENTS)
    job = scene.held(second).job
    scene.cluster.ask("scancel", job)
    scene.reaches(job, "CANCELLED")
    scene.ends_well(head)
    assert len(scene.lines("start", first)) == 1
    return "submitted again"


def cancelled_array(scene: Scene) -> str:
    """All waiting tasks of an array at once: Slurm then speaks of 7_[1-2], not of 7_1."""
    scene.cluster.ask("scontrol", "update", "PartitionName=main", "State=DOWN")
    head = scene.head(*ARGUMENTS)
    try:
        wait_until(lambda: bool(waiting(scene)), "an array", SLOW)
        (array,) = waiting(scene)
        scene.cluster.ask("scancel", array)
    finally:
        scene.cluster.ask("scontrol", "update", "PartitionName=main", "State=UP")
    scene.ends_well(head)
    return "submitted again"


def waiting(scene: Scene) -> set[str]:
    """Ids of the arrays that wait and were sent from here."""
    said = scene.cluster.ask("squeue", "-h", "-t", "PENDING", "--format=%F|%K|%Z")
    rows = [line.split("|") for line in said.splitlines()]
    return {number for number, task, folder in rows if folder == str(scene.root) and task != "N/A"}


def over_time(scene: Scene) -> str:
    """A job that hangs is ended by Slurm; the next attempt has more time and one segment to do."""
    first, second = segments(scene)
    scene.hold(second)
    head = scene.head("--set-resources", "train:runtime=attempt", *ARGUMENTS)
    job, before = scene.held(second).job, len(scene.lines("start", first))
    scene.reaches(job, "TIMEOUT")
    scene.ends_well(head)
    again = scene.lines("start", second)[-1]
    limits = scene.cluster.ask(
        "sacct", "-X", "-n", "-P", "--format=TimelimitRaw", "-j", f"{job},{again.job}"
    )
    short, long = sorted(map(int, limits.split()))
    assert short < long
    assert len(scene.lines("start", first)) == before
    return "resumed from its last segment with more time"


def head_killed(scene: Scene) -> str:
    """Its job lives on, until the new head ends it before submitting it again."""
    first, second = segments(scene)
    scene.hold(second)
    head = scene.head(*ARGUMENTS)
    job = scene.held(second).job
    kill(head)
    assert scene.state(job) == "RUNNING"
    scene.ends_well(scene.head(*ARGUMENTS, command="descentflow"))
    assert scene.state(job) == "CANCELLED"
    assert len(scene.lines("start", first)) == 1
    return "its job cancelled, then done again"


def node_failed(scene: Scene) -> str:
    """Power off, and on again when all is over."""
    first, second = segments(scene)
    scene.hold(second)
    head = scene.head(*ARGUMENTS)
    line = scene.held(second)
    scene.cluster.kill_node(line.node)
    try:
        scene.reaches(line.job, "NODE_FAIL")
        scene.ends_well(head)
    finally:
        scene.cluster.start_node(line.node)
    (again,) = scene.lines("start", second)
    assert again.node != line.node
    assert len(scene.lines("start", first)) == 1
    scene.cluster.wait_for_nodes()
    return f"from {line.node} to {again.node}"


def controller_restarted(scene: Scene) -> str:
    """A job ends while nobody listens."""
    _first, second = segments(scene)
    scene.hold(second)
    head = scene.head(*ARGUMENTS)
    scene.held(second)
    scene.cluster.kill_controller()
    try:
        scene.release(second)
    finally:
        scene.cluster.start_controller()
    scene.ends_well(head)
    assert len(scene.lines("held", second)) + len(scene.lines("start", second)) <= 2
    return f"{len(scene.lines('start', second))} jobs lost"


def unequal(scene: Scene) -> str:
    """The second task of an array does not wait for the first one's output."""
    written = [str(c.outputs[0]) for c in scene.checkout.commands() if c.stage == "train"]
    both = [path for path in written if path.endswith(".0.nc")]
    for path in both:
        scene.hold(path)
    head = scene.head("--latency-wait", "5", *ARGUMENTS)
    jobs = {path: scene.held(path).job for path in both}
    late, early = sorted(both, key=lambda path: jobs[path])
    assert [jobs[path].split("_")[1] for path in (late, early)] == ["1", "2"]
    scene.release(early)
    scene.reaches(jobs[early], "COMPLETED")
    scene.release(late)
    scene.ends_well(head)
    assert scene.lines("start", late) == scene.lines("start", early) == []
    return "each task counts for itself"


TOGETHER = (cancelled, unequal, over_time, head_killed)
ALONE = (cancelled_array, node_failed, controller_restarted)
"""Faults that other jobs would notice."""


@dataclass(frozen=True)
class Outcome:
    """How a fault ended: the scene, and what to say about it."""

    scene: Scene
    future: Future[str]


@pytest.fixture(scope="module")
def outcomes(
    whole: Scene, cluster: MiniSlurm, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Outcome]:
    """All faults, each in a copy whose samples are there and whose runs are not."""
    found = {}
    for faults in (TOGETHER, *((fault,) for fault in ALONE)):
        with ThreadPoolExecutor() as pool:
            for fault in faults:
                root = tmp_path_factory.mktemp(fault.__name__) / "checkout"
                scene = Scene(whole.checkout.copy(root), cluster)
                scene.forget("results/runs", "results/datasets")
                found[fault.__name__] = Outcome(scene, pool.submit(fault, scene))
    return found


@pytest.mark.parametrize("fault", [*TOGETHER, *ALONE], ids=lambda fault: fault.__name__)
def test_survives(
    fault: Callable[[Scene], str],
    outcomes: dict[str, Outcome],
    local: Checkout,
    row: list[str],
) -> None:
    outcome = outcomes[fault.__name__]
    row.append(outcome.future.result())
    folders = ("results/runs", "results/datasets")
    assert outcome.scene.digests(*folders) == digests(local.root, *folders)
    assert outcome.scene.lines("overlap") == []
    row += ["digests equal", "never two at one output"]


def test_resources_of_one_array_are_equal(local: Checkout) -> None:
    """An array has the resources of its first job: so all jobs of these rules must agree."""
    said = local.snakemake("--dry-run", "--forceall", "--printshellcmds").text
    for rule in ("sample", "train"):
        blocks = [block for block in said.split("\n\n") if f"\nrule {rule}:" in f"\n{block}"]
        found = {line for b in blocks for line in b.splitlines() if "resources:" in line}
        assert len(found) == 1, found


def test_gpu_is_a_line_of_the_profile(local: Checkout) -> None:
    """For deep networks alone."""
    smoke = Path(__file__).parents[2] / "config" / "smoke.yaml"
    arguments = ("--dry-run", "--set-resources", "train_deep:gpu=1")
    said = local.snakemake(*arguments, config=str(smoke)).text
    assert said.count(" gpu=1") == said.count("\nrule train_deep:") > 0
