"""Jobs: their files fit together, and each one's identity is one canonical string."""

import json
import os
import platform
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from descentflow.config.catalogue import FIGURE_FORMATS, STUDIES
from descentflow.errors import ConfigurationError, InputError
from descentflow.planning import code_digest, shallow_runs
from descentflow.planning.costs import Resources
from descentflow.planning.identity import canonical
from descentflow.planning.jobs import PAPER, Jobs, lock_digest, put_interpreter_first

SETTING: dict[str, Any] = {
    "inputs": {"law": "uniform"},
    "network": {"hidden": 3},
    "initialization": {"law": "normal", "count": 5, "chunk": 4},
    "training": {"method": "gd", "step_size": 0.1, "steps": 4000},
}
CONSTANT = {**SETTING, "target": {"kind": "constant", "value": 1.0}}
AFFINE = {**SETTING, "target": {"kind": "affine", "slope": 1.0}}


def configuration(**top: Any) -> dict[str, Any]:
    """Both studies; two widths in one of them."""
    studies = {
        "constant_targets": {"convergence": CONSTANT, "step_sizes": CONSTANT},
        "random_initializations": {"success": {**AFFINE, "sweep": {"network.hidden": [3, 2]}}},
    }
    return {"seed": 1, "studies": studies, **top}


@pytest.fixture(autouse=True)
def short_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    """Segments so short that there are several."""
    monkeypatch.setattr(shallow_runs, "SEGMENT_SECONDS", 3e-4)


@pytest.fixture
def jobs() -> Jobs:
    """The jobs of both studies."""
    return Jobs.from_mapping(configuration(), "lock")


def strings(jobs: Jobs) -> dict[str, str]:
    """The identity of every job by its first file."""
    return {job.outputs[0]: job.json for job in jobs.all()}


def trained(jobs: Jobs, study: str) -> tuple[str, ...]:
    """All files of a study's runs."""
    return jobs.aggregate(study).inputs


# ---- files


def test_files_fit_together(jobs: Jobs) -> None:
    """Every input of a job is what an earlier one writes, and no file is written twice."""
    written: set[str] = set()
    for job in jobs.all():
        assert written.issuperset(job.inputs), job
        assert written.isdisjoint(job.outputs), job
        written |= set(job.outputs)
    read = {path for job in jobs.all() for path in job.inputs}
    lists = {f"results/digests/{name}.sha256" for name in ("show_claims", *jobs.blocks)}
    left = {path for path in written - read if not path.startswith("figures/")}
    proofs = {path for job in jobs.all() if job.stage == "certify" for path in job.outputs[1:]}
    texts = {f"results/{name}" for name in ("claims.html", *PAPER)}
    assert left == texts | lists | proofs


def test_segments_start_from_the_one_before(jobs: Jobs) -> None:
    for study in jobs.blocks:
        for run in jobs.runs[study]:
            for chunk in run.chunks:
                before = jobs.sample(run.start.id, chunk).outputs
                for number in range(len(run.segments)):
                    job = jobs.train(run.id, chunk, number)
                    assert job.inputs == before
                    before = job.outputs
    assert max(len(run.segments) for runs in jobs.runs.values() for run in runs) > 1


def test_file_names_hold_the_wildcards(jobs: Jobs) -> None:
    run = jobs.runs["constant_targets"][0]
    assert jobs.train(run.id, "4-7", 1).outputs == (f"results/runs/{run.id}/4-7.1.nc",)
    assert jobs.sample(run.start.id, "0-3").outputs == (f"results/samples/{run.start.id}/0-3.nc",)
    assert jobs.aggregate("constant_targets").outputs == ("results/datasets/constant_targets.nc",)
    assert jobs.judge().outputs == ("results/claims.csv", "results/digests/judge.sha256")
    assert jobs.judge().artefacts == ("results/claims.csv",)
    alone = jobs.judge("constant_targets")
    assert alone.artefacts == ("results/claims/constant_targets.csv",)
    assert alone.inputs == jobs.aggregate("constant_targets").outputs


def test_outputs_move_everything() -> None:
    outputs = {"results": "here/r", "figures": "there"}
    jobs = Jobs.from_mapping(configuration(outputs=outputs), "lock")
    paths = [path for job in jobs.all() for path in job.outputs]
    assert all(path.startswith(("here/r/", "there/")) for path in paths)
    assert all(
        path.startswith("there/") for study in jobs.blocks for path in jobs.draw(study).artefacts
    )


def test_samples_are_shared(jobs: Jobs) -> None:
    """By the experiments and studies of one law and width: 2 widths, 2 chunks."""
    samples = [job for job in jobs.all() if job.stage == "sample"]
    assert len(samples) == 4
    assert len({job.planned.id for job in samples}) == 2


def test_equal_experiments_share_their_run(jobs: Jobs) -> None:
    first, second = jobs.runs["constant_targets"]
    assert first.id == second.id
    (shared,) = jobs.train(first.id, "0-3", 0).outputs
    assert trained(jobs, "constant_targets").count(shared) == 2


def test_experiments_that_would_share_files_are_refused() -> None:
    longer = {**CONSTANT, "training": {**CONSTANT["training"], "steps": 5000}}
    studies = {"constant_targets": {"convergence": CONSTANT, "step_sizes": longer}}
    with pytest.raises(ConfigurationError, match=r"convergence.*step_sizes"):
        Jobs.from_mapping(configuration(studies=studies), "lock")


@pytest.mark.parametrize("study", ["constant_targets", "random_initializations"])
def test_figures_in_every_format(jobs: Jobs, study: str) -> None:
    """Those whose experiment is there."""
    expected = {
        f"figures/{study}/{name}.{ending}"
        for name, figure in STUDIES[study].figures.items()
        if figure.experiment in jobs.blocks[study]
        for ending in FIGURE_FORMATS
    }
    assert set(jobs.draw(study).artefacts) == expected
    assert len(expected) >= 2 * len(FIGURE_FORMATS)


def test_figures_of_missing_experiments_are_not_drawn() -> None:
    studies = {"constant_targets": {"step_sizes": CONSTANT}}
    jobs = Jobs.from_mapping(configuration(studies=studies), "lock")
    assert list(jobs.blocks) == ["constant_targets"]
    drawn = jobs.draw("constant_targets").artefacts
    assert {Path(path).stem for path in drawn} == {"step_size_phases"}


# ---- identities


def test_identities_are_canonical_json(jobs: Jobs) -> None:
    """With spec, code, lock file and Python in them, and one for each job."""
    found = strings(jobs)
    assert len(set(found.values())) == len(found)
    for text in found.values():
        job = json.loads(text)
        assert canonical(job) == text
        assert set(job) - {"trainer"} == {"stage", "spec", "code", "lock", "python"}
        assert ("trainer" in job) == (job["stage"] == "train")
        assert job["lock"] == "lock"
        assert job["python"] == platform.python_version()


def test_identities_follow_the_lock_file(jobs: Jobs) -> None:
    """Jobs of any stage; and files of runs move, so that nothing is overwritten."""
    other = Jobs.from_mapping(configuration(), "other")
    assert not set(strings(jobs).values()) & set(strings(other).values())
    assert not set(trained(jobs, "constant_targets")) & set(trained(other, "constant_targets"))


def test_identities_follow_the_code(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each has the digest of its own stage and study."""
    monkeypatch.setattr(code_digest, "digest", lambda *modules: " ".join(sorted(modules)))
    folders = {"aggregate": (".experiments", ".measures"), "draw": (".figures",)}
    folders |= {"judge": (".claims",), "show_claims": ("",)}
    for text in strings(jobs).values():
        job = json.loads(text)
        stage, spec = job["stage"], job["spec"]
        studies = spec.get("studies", [spec.get("study")])
        wanted = [f"descentflow.studies.{s}{f}" for f in folders.get(stage, ()) for s in studies]
        wanted += [f"descentflow.stages.trainers.{job['trainer']}"] if stage == "train" else []
        assert job["code"].split() == sorted([f"descentflow.stages.{stage}", *wanted])


def test_more_steps_change_the_last_segment_only(jobs: Jobs) -> None:
    """Its file's name stays; identities of earlier segments and of samples stay too."""
    longer = {**CONSTANT, "training": {**CONSTANT["training"], "steps": 6000}}
    studies = {"constant_targets": {"convergence": longer}}
    later = strings(Jobs.from_mapping(configuration(studies=studies), "lock"))
    now = strings(jobs)
    kept = {path for path in now.keys() & later.keys() if now[path] == later[path]}
    changed = (now.keys() & later.keys()) - kept
    first = jobs.runs["constant_targets"][0]
    last = len(first.segments) - 1
    assert last > 0
    again = {path for path in changed if "/runs/" in path}
    assert again == {jobs.train(first.id, chunk, last).outputs[0] for chunk in first.chunks}
    assert not [path for path in changed if "/samples/" in path]


def test_more_initializations_change_no_chunk(jobs: Jobs) -> None:
    more = {**CONSTANT, "initialization": {**CONSTANT["initialization"], "count": 50}}
    studies = {"constant_targets": {"convergence": more, "step_sizes": more}}
    later = strings(Jobs.from_mapping(configuration(studies=studies), "lock"))
    now = strings(jobs)
    run = jobs.runs["constant_targets"][0]
    chunks = {path: text for path, text in now.items() if run.id in path or run.start.id in path}
    assert chunks
    assert all(later[path] == text for path, text in chunks.items())


def test_other_studies_leave_a_study_alone(jobs: Jobs) -> None:
    """All but the table of claims and what shows it."""
    studies = {"constant_targets": configuration()["studies"]["constant_targets"]}
    alone = strings(Jobs.from_mapping(configuration(studies=studies), "lock"))
    both = strings(jobs)
    assert {path for path in alone if alone[path] != both[path]} == {
        "results/claims.csv",
        "figures/claims.pdf",
    }


# ---- surroundings


def test_lock_digests(tmp_path: Path) -> None:
    path = tmp_path / "requirements.lock"
    path.write_text("numpy==2\n")
    one = lock_digest(path)
    assert len(one) == 16
    path.write_text("numpy==3\n")
    assert lock_digest(path) != one
    with pytest.raises(InputError, match="nothing"):
        lock_digest(tmp_path / "nothing")


def test_rules_find_the_running_interpreter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/usr/bin")
    put_interpreter_first()
    folders = os.environ["PATH"].split(os.pathsep)
    assert folders == [str(Path(sys.executable).parent), "/usr/bin"]


def test_every_job_says_what_it_will_take(jobs: Jobs) -> None:
    """As the rules ask for resources: all jobs of an array for what the largest needs."""
    resources = Resources(jobs)
    training = [job for job in jobs.all() if job.stage == "train"]
    (memory,) = {resources.memory_mb(job) for job in training}
    assert 100 < memory < 10_000
    for job in training:
        assert resources.minutes(job, 2) == 2 * resources.minutes(job, 1) >= 20
    assert all(isinstance(resources.aggregate_mb(study), int) for study in jobs.blocks)


def test_ids_as_a_regular_expression(jobs: Jobs) -> None:
    ids = {run.id for runs in jobs.runs.values() for run in runs}
    assert all(re.fullmatch(jobs.run_pattern(alone=False), run) for run in ids)
    assert not re.fullmatch(jobs.run_pattern(alone=False), "0" * 12)
    assert not any(re.search(jobs.run_pattern(alone=True), run) for run in [*ids, ""])
