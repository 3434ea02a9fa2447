"""The jobs behind a configuration's results: which command made which files from which."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from descentflow.planning.jobs import Jobs


@dataclass(frozen=True)
class Made:
    """One job: its stage, study (empty where shared), run id, canonical JSON, inputs and outputs."""

    stage: str
    study: str
    run: str
    job: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


def all_jobs(jobs: Jobs) -> list[Made]:
    """Every job once, each after those it needs."""
    found = [made for study in jobs.blocks for made in of_study(jobs, study)]
    datasets = tuple(jobs.dataset(study) for study in jobs.blocks)
    found.append(Made("judge", "", "", jobs.judge_job(), datasets, (jobs.claims,)))
    shown = (*jobs.claims_figures, jobs.claims_page)
    found.append(Made("show_claims", "", "", jobs.show_claims_job(), (jobs.claims,), shown))
    return once(found)


def once(found: Iterable[Made]) -> list[Made]:
    """The jobs without repetitions, each where it stands first: samples serve several runs."""
    first: dict[tuple[str, ...], Made] = {}
    for made in found:
        first.setdefault(made.outputs, made)
    return list(first.values())


def of_study(jobs: Jobs, study: str) -> Iterator[Made]:
    """A study's jobs, from samples to figures."""
    for run in jobs.runs[study]:
        for chunk in run.chunks:
            if run.start is not None:
                job, samples = jobs.sample_job(run.start.id, chunk), jobs.samples(run.id, chunk)
                yield Made("sample", study, run.id, job, (), tuple(samples))
            for number in range(len(run.segments)):
                job = jobs.train_job(run.id, chunk, number)
                inputs = tuple(jobs.train_inputs(run.id, chunk, number))
                output = jobs.segment(run.id, chunk, number)
                yield Made("train", study, run.id, job, inputs, (output,))
    dataset = jobs.dataset(study)
    trained = tuple(jobs.trained(study))
    yield Made("aggregate", study, "", jobs.aggregate_job(study), trained, (dataset,))
    figures = tuple(jobs.figures(study))
    if figures:
        yield Made("draw", study, "", jobs.draw_job(study), (dataset,), figures)
