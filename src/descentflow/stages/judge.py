"""Stage judge: every claim with what was measured and its verdict, as a table."""

import csv
from importlib import import_module

from descentflow.datasets import netcdf
from descentflow.datasets.whole_file import atomic_path
from descentflow.errors import InputError
from descentflow.stages.command import Stage, Task
from descentflow.stages.study_specs import ClaimsSpec
from descentflow.studies.claim import COLUMNS, Claim


def judge(task: Task[ClaimsSpec]) -> None:
    """Judge the claims of all studies, datasets in the order of the job's studies."""
    claims: list[Claim] = []
    studies, inputs = task.spec.studies, task.inputs
    if len(studies) != len(inputs):
        raise InputError(f"--input: one dataset per study is needed, {len(studies)} of them")
    for study, path in zip(studies, inputs, strict=True):
        module = import_module(f"descentflow.studies.{study}.claims")
        with netcdf.opened_study(path, study) as dataset:
            statements = (task.spec.expect[study],) if study in task.spec.expect else ()
            claims += module.judge(dataset, *statements)
    with atomic_path(task.outputs[0]) as temporary, temporary.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(claim.row() for claim in claims)


STAGE = Stage(judge, ClaimsSpec, None)


if __name__ == "__main__":
    STAGE.main()
