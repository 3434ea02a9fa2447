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
from descentflow.planning.identity import canonical
from descentflow.planning.jobs import (
    DEEP,
    SHALLOW,
    Jobs,
    lock_digest,
    minutes,
    put_interpreter_first,
)

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


def trainings(jobs: Jobs) -> list[tuple[str, str, int]]:
    """Wildcards of all train jobs."""
    return sorted(
        {
            (run.id, chunk, number)
            for runs in jobs.runs.values()
            for run in runs
            for chunk in run.chunks
            for number in range(len(run.segments))
        }
    )


def strings(jobs: Jobs) -> dict[str, str]:
    """The identity of every job by its file."""
    found = {}
    for run, chunk, number in trainings(jobs):
        path = Path(*jobs.samples(run, chunk))
        found[str(path)] = jobs.sample_job(path.parent.name, chunk)
        found[jobs.segment(run, chunk, number)] = jobs.train_job(run, chunk, number)
    for study in jobs.blocks:
        found[jobs.dataset(study)] = jobs.aggregate_job(study)
        found[jobs.figures(study)[0]] = jobs.draw_job(study)
    found[jobs.claims_figures[0]] = jobs.show_claims_job()
    return {**found, jobs.claims: jobs.judge_job()}


# ---- files


def test_files_fit_together(jobs: Jobs) -> None:
    """Every input of a job is what another one writes."""
    written = {jobs.segment(*wildcards) for wildcards in trainings(jobs)}
    samples = {jobs.samples(run, chunk)[0] for run, chunk, _ in trainings(jobs)}
    for wildcards in trainings(jobs):
        assert set(jobs.train_inputs(*wildcards)) <= written | samples
        assert jobs.segment(*wildcards) not in jobs.train_inputs(*wildcards)
    for study in jobs.blocks:
        assert set(jobs.trained(study)) <= written
    assert written == {path for study in jobs.blocks for path in jobs.trained(study)}


def test_segments_start_from_the_one_before(jobs: Jobs) -> None:
    for run, chunk, number in trainings(jobs):
        (before,) = jobs.train_inputs(run, chunk, number)
        wanted = jobs.segment(run, chunk, number - 1) if number else jobs.samples(run, chunk)[0]
        assert before == wanted
    assert max(number for *_, number in trainings(jobs)) > 0


def test_file_names_hold_the_wildcards(jobs: Jobs) -> None:
    for run, chunk, number in trainings(jobs):
        assert jobs.segment(run, chunk, number) == f"results/runs/{run}/{chunk}.{number}.nc"
    assert jobs.dataset("constant_targets") == "results/datasets/constant_targets.nc"
    assert jobs.claims == "results/claims.csv"


def test_outputs_move_everything() -> None:
    outputs = {"results": "here/r", "figures": "there"}
    jobs = Jobs.from_mapping(configuration(outputs=outputs), "lock")
    paths = [*strings(jobs), *jobs.trained("constant_targets")]
    figures = [path for study in jobs.blocks for path in jobs.figures(study)]
    assert all(path.startswith(("here/r/", "there/")) for path in paths)
    assert all(path.startswith("there/") for path in figures)


def test_samples_are_shared(jobs: Jobs) -> None:
    """By the experiments and studies of one law and width: 2 widths, 2 chunks."""
    samples = {jobs.samples(run, chunk)[0] for run, chunk, _ in trainings(jobs)}
    assert len(samples) == 4
    assert len({path.rsplit("/", 1)[0] for path in samples}) == 2


def test_equal_experiments_share_their_run(jobs: Jobs) -> None:
    first, second = jobs.runs["constant_targets"]
    assert first.id == second.id
    assert jobs.trained("constant_targets").count(jobs.segment(first.id, "0-3", 0)) == 2


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
    assert set(jobs.figures(study)) == expected
    assert len(expected) >= 2 * len(FIGURE_FORMATS)


def test_figures_of_missing_experiments_are_not_drawn() -> None:
    studies = {"constant_targets": {"step_sizes": CONSTANT}}
    jobs = Jobs.from_mapping(configuration(studies=studies), "lock")
    assert list(jobs.blocks) == ["constant_targets"]
    assert {Path(path).stem for path in jobs.figures("constant_targets")} == {"step_size_phases"}


# ---- identities


def test_identities_are_canonical_json(jobs: Jobs) -> None:
    """With spec, code, lock file and Python in them, and one for each job."""
    found = strings(jobs)
    assert len(set(found.values())) == len(found)
    for text in found.values():
        job = json.loads(text)
        assert canonical(job) == text
        assert set(job) == {"stage", "spec", "code", "lock", "python"}
        assert job["lock"] == "lock"
        assert job["python"] == platform.python_version()


def test_identities_follow_the_lock_file(jobs: Jobs) -> None:
    """Jobs of any stage; and files of runs move, so that nothing is overwritten."""
    other = Jobs.from_mapping(configuration(), "other")
    assert not set(strings(jobs).values()) & set(strings(other).values())
    assert not set(jobs.trained("constant_targets")) & set(other.trained("constant_targets"))


def test_identities_follow_the_code(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each has the digest of its own stage and study."""
    monkeypatch.setattr(code_digest, "digest", lambda *modules: " ".join(sorted(modules)))
    folders = {"aggregate": ("measures",), "draw": ("figures",), "judge": ("claims",)}
    for text in strings(jobs).values():
        job = json.loads(text)
        stage, spec = job["stage"], job["spec"]
        studies = spec.get("studies", [spec.get("study")])
        wanted = [f"descentflow.studies.{s}.{f}" for f in folders.get(stage, ()) for s in studies]
        if stage == "show_claims":
            wanted = [f"descentflow.studies.{study}" for study in jobs.blocks]
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
    trained = {path for path in changed if "/runs/" in path}
    assert trained == {jobs.segment(first.id, chunk, last) for chunk in first.chunks}
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
    shown = {*jobs.claims_figures, jobs.claims_page}
    assert {path for path in alone if alone[path] != both[path]} - shown == {jobs.claims}


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
    """What the rules ask for as resources."""
    for run, chunk, number in trainings(jobs):
        assert jobs.seconds(run, chunk, number) > 0
        assert isinstance(jobs.memory_mb(run, chunk, number), int)
        assert 100 < jobs.memory_mb(run, chunk, number) < 10_000
    for study in jobs.blocks:
        assert isinstance(jobs.aggregate_memory_mb(study), int)
        assert 100 < jobs.aggregate_memory_mb(study) < 10_000


def test_the_most_that_a_stage_needs(jobs: Jobs) -> None:
    for need in (jobs.seconds, jobs.memory_mb):
        assert jobs.most(need, SHALLOW) == max(need(*wildcards) for wildcards in trainings(jobs))
        assert jobs.most(need, DEEP) == 0


def test_ids_as_a_regular_expression(jobs: Jobs) -> None:
    ids = {run for run, *_ in trainings(jobs)}
    assert all(re.fullmatch(jobs.ids(SHALLOW), run) for run in ids)
    assert not re.fullmatch(jobs.ids(SHALLOW), "0" * 12)
    assert not any(re.search(jobs.ids(DEEP), run) for run in [*ids, ""])


def test_minutes_grow_with_the_attempt() -> None:
    assert [minutes(attempt, 0.0) for attempt in (1, 2, 3)] == [10, 20, 30]
    assert minutes(1, 601.0) == 10 + 31
