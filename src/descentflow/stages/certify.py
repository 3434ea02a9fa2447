"""Stage certify: the critical risks of a problem as a dataset, and their proof as a certificate."""

from descentflow.datasets import netcdf
from descentflow.datasets.whole_file import atomic_path
from descentflow.errors import InputError
from descentflow.landscape.broken_line import broken_line
from descentflow.landscape.certificate import as_json
from descentflow.landscape.critical_risks import as_dataset
from descentflow.landscape.levels import landscape
from descentflow.risk.problem import Problem
from descentflow.stages.command import Stage, Task


class CertifySpec(Problem):
    """A job that lists critical risks: the problem, with the greatest width."""


def certify(task: Task[CertifySpec]) -> None:
    """List the critical risks of networks up to the problem's width, with a proof."""
    if [path.suffix for path in task.outputs] != [".nc", ".json"]:
        raise InputError("--output: a dataset .nc and a certificate .json are needed")
    dataset, certificate = task.outputs
    found = landscape(broken_line(task.spec), task.spec.network.width)
    netcdf.write(as_dataset(found), dataset, task.written, "Critical risks")
    with atomic_path(certificate) as temporary:
        temporary.write_text(as_json(found), encoding="utf-8")


STAGE = Stage(certify, CertifySpec, 0, one_output=False)


if __name__ == "__main__":
    STAGE.main()
