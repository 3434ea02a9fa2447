"""Parts of an archive computed again: every study, every trainer and the claims, the deep ones too."""

import contextlib
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import deep_jobs
import pytest
import small_results as small
from in_process import do

from descentflow import cli
from descentflow.archive import recompute, verify
from descentflow.archive.build import build
from descentflow.archive.bundle import Archive
from descentflow.archive.compare import Outcome
from descentflow.config import validate
from descentflow.planning.jobs import Job, Jobs, lock_digest
from descentflow.runtime import digest_list

pytestmark = pytest.mark.filterwarnings("ignore:constrained_layout not applied")

STUDIES = (
    "constant_targets",
    "random_initializations",
    "gradient_flows",
    "blow_up",
    "overparameterized",
)
FLOW = {
    **small.CONFIG["studies"]["random_initializations"]["success"],
    "training": {"method": "gf", "until": 1.0},
}
SMALL: dict[str, Any] = {
    **small.CONFIG,
    "studies": {
        **small.CONFIG["studies"],
        "gradient_flows": {"staircase": FLOW},
        "overparameterized": {
            "concentration": deep_jobs.start(),
            "depth": deep_jobs.limit(),
            "stability": deep_jobs.descent(),
        },
    },
}
LIST = "results/digests/judge.sha256"
TRAINERS = {"descent", "flow", "deep_gram", "deep_descent"}


def do_quickly(job: Job, inputs: Iterable[Path] = (), outputs: Iterable[Path] = ()) -> None:
    """Do a job in this process, but draw one line instead of a study's figures."""
    if job.stage != "draw":
        do(job, inputs, outputs)
        return
    *drawn, listed = map(Path, outputs or job.outputs)
    for path in (*drawn, listed):
        path.parent.mkdir(parents=True, exist_ok=True)
    for path in drawn:
        small.picture(path)
    listed.write_text(digest_list.text(listed, drawn))


def archived(
    root: Path, config: dict[str, Any], do: Callable[[Job], None] = do
) -> tuple[Path, Jobs]:
    """The archive of a configuration, all of whose jobs were done in this process."""
    small.sources(root, config)
    jobs = Jobs.from_mapping(config, lock_digest(root / "envs/requirements.lock"))
    digests: dict[str, str] = {}
    with contextlib.chdir(root):
        for job in jobs.all():
            do(job)
            small.record(root, job, digests)
    return build(jobs, "config.yaml", root.with_name("x.tar"), root).path, jobs


def verified(archive: Path, *parts: str) -> list[str]:
    """Run ``descentflow verify``, which must end well; the lines after the check."""
    options = [word for part in parts for word in ("--recompute", part)]
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(Lines()) as lines:
        patch.setattr(sys, "argv", ["descentflow", "verify", str(archive), *options])
        cli.main()
    text = lines.text.splitlines()
    return text[text.index("every digest is right") + 1 :]


class Lines:
    """What was printed."""

    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str) -> None:
        self.text += text

    def flush(self) -> None:
        """Nothing waits."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Jobs]:
    """A small archive with every trainer."""
    path, jobs = archived(tmp_path_factory.mktemp("small") / "checkout", SMALL, do_quickly)
    assert {job.trainer for job in jobs.all() if job.trainer} == TRAINERS
    return path, jobs


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch) -> list[Job]:
    """The jobs that are done again, in this process."""
    done: list[Job] = []

    def run(job: Job, inputs: Iterable[Path], outputs: Iterable[Path], _folder: Path) -> None:
        done.append(job)
        do_quickly(job, inputs, outputs)

    monkeypatch.setattr(recompute, "run_command", run)
    return done


def test_every_part_is_computed_again(made: tuple[Path, Jobs], in_process: list[Job]) -> None:
    """All jobs, each once; every byte is the same, and no code is another one."""
    path, jobs = made
    lines = verified(path, "all")
    assert in_process == list(jobs.all())
    count = sum(len(job.artefacts) for job in jobs.all())
    assert lines[-1] == f"{count} bytes equal, 0 content equal, 0 within tolerance, 0 different"
    assert len(lines) == count + 1


@pytest.mark.parametrize("trainer", sorted(TRAINERS))
def test_a_run_of_every_trainer(
    made: tuple[Path, Jobs], in_process: list[Job], trainer: str
) -> None:
    path, jobs = made
    run = next(job.planned.id for job in jobs.all() if job.trainer == trainer and job.planned)
    lines = verified(path, run)
    assert {job.trainer for job in in_process} - {""} == {trainer}
    assert lines[-1].endswith("0 content equal, 0 within tolerance, 0 different")


@pytest.mark.usefixtures("in_process")
def test_the_claims_alone_are_judged_from_the_archived_datasets(made: tuple[Path, Jobs]) -> None:
    """An altered table is different; page and picture are shown from the table judged anew."""
    path, _ = made
    assert verified(path, "claims")[-1].startswith("8 bytes equal")
    with recompute.unpacked(path) as root:
        jobs = verify.jobs_of(root)
        table = root / "results/claims.csv"
        table.write_text(table.read_text().replace("holds", "fails"))
        altered = digest_list.text(root / LIST, [table])
        (root / LIST).write_text(altered)  # a forger changes the list as well
        chosen = recompute.jobs_behind(jobs, [recompute.CLAIMS])
        found = {f.key: f.outcome for f in recompute.recompute(jobs, root, chosen)}
    assert found.pop("results/claims.csv") is Outcome.DIFFERENT
    assert set(found.values()) == {Outcome.BYTES}


def test_every_artefact_belongs_to_a_part(made: tuple[Path, Jobs]) -> None:
    """Studies and claims together are all jobs, and each says what it leaves out."""
    path, jobs = made
    parts = [*jobs.blocks, recompute.CLAIMS]
    chosen = recompute.jobs_behind(jobs, parts)
    assert chosen == recompute.jobs_behind(jobs, ["all"]) == list(jobs.all())
    assert recompute.parts_left_out(jobs, chosen) == []
    with Archive.open(path) as archive:
        outputs = {p for job in chosen for p in job.outputs}
        computed = {n for n in archive.members if n.startswith(("results/", "figures/"))}
    assert computed == outputs
    claims = recompute.jobs_behind(jobs, ["claims"])
    assert set(recompute.parts_left_out(jobs, claims)) == set(jobs.blocks)


def test_a_command_imports_nothing_from_its_folder(tmp_path: Path) -> None:
    """An archive may bring a numpy.py, and so may the folder in which it is verified."""
    (tmp_path / "numpy.py").write_text("raise SystemExit('foreign code')")
    jobs = Jobs.from_mapping(small.CONFIG, "lock")
    job = next(job for job in jobs.all() if job.stage == "sample")
    with contextlib.chdir(tmp_path):
        recompute.run_command(job, [], [tmp_path / path for path in job.outputs], tmp_path)
    assert (tmp_path / job.outputs[0]).exists()


@pytest.fixture(scope="module")
def smoke(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The archive of the smoke configuration."""
    config = dict(validate.load(small.REPOSITORY / "config/smoke.yaml"))
    config.pop("outputs", None)
    return archived(tmp_path_factory.mktemp("smoke") / "checkout", config)[0]


@pytest.mark.slow
@pytest.mark.parametrize("part", [*STUDIES, "claims"])
def test_every_part_of_the_smoke_configuration(smoke: Path, part: str) -> None:
    """Jobs as commands of their own, as they are for whoever receives an archive."""
    lines = verified(smoke, part)
    assert lines[-1].endswith("0 content equal, 0 within tolerance, 0 different"), lines
    assert not any(line.startswith("note") for line in lines), lines
