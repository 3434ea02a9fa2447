"""The part that all stage commands share: arguments, errors as one message, progress."""

import argparse
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, NoReturn, TypeVar

from descentflow.errors import InputError
from descentflow.schema.model import Model, parse

Spec = TypeVar("Spec", bound=Model)


@dataclass(frozen=True)
class Task(Generic[Spec]):
    """A job to be done: its spec, parsed and as ``written``; the whole ``job`` object; its files."""

    spec: Spec
    written: Mapping[str, Any]
    job: Mapping[str, Any]
    inputs: list[Path]
    outputs: list[Path]


@dataclass(frozen=True)
class Stage(Generic[Spec]):
    """A stage as a function and as a command.

    ``perform`` does a job. ``spec`` is the model of the job's spec, or a function from the job to it.
    ``inputs`` is the number of input files, None if it depends on the spec.
    """

    perform: Callable[[Task[Spec]], None]
    spec: type[Spec] | Callable[[Mapping[str, Any]], type[Spec]]
    inputs: int | None

    def run(self, job: Mapping[str, Any], inputs: list[Path], outputs: list[Path]) -> None:
        """Parse a job's spec and perform it; raises InputError."""
        if not isinstance(job.get("spec"), Mapping):
            raise InputError("--job: a JSON object with a 'spec' is needed")
        model = self.spec if isinstance(self.spec, type) else self.spec(job)
        spec: Spec = parse(model, job["spec"])
        if self.inputs is not None and len(inputs) != self.inputs:
            raise InputError(f"--input: {self.inputs} files are needed, found {len(inputs)}")
        self.perform(Task(spec, job["spec"], job, inputs, outputs))

    def main(self) -> None:
        """Do the job of the command line.

        A refusal ends the process with its message on standard error and status 1.
        """
        parser = argparse.ArgumentParser(description=self.perform.__doc__)
        parser.add_argument("--job", required=True, help="the job as JSON; see config/README.md")
        parser.add_argument("--input", nargs="*", type=Path, default=[], metavar="FILE")
        parser.add_argument("--output", nargs="+", type=Path, required=True, metavar="FILE")
        arguments = parser.parse_args()
        try:
            self.run(_job(arguments.job), arguments.input, arguments.output)
        except InputError as refusal:
            _give_up(f"error: {refusal}")


def _give_up(message: str) -> NoReturn:
    """End with status 1 and the message on standard error, which the workflow sends to a log.

    If the log's disk is full, the message goes to standard output, which nobody redirects.
    """
    line = f"{message}\n".encode()
    try:
        os.write(2, line)
    except OSError:
        os.write(1, line)
    raise SystemExit(1)


def _job(text: str) -> dict[str, Any]:
    """Parse the argument --job; raises InputError unless it is a JSON object."""
    try:
        job = json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(f"--job: not JSON: {error}") from None
    if not isinstance(job, dict):
        raise InputError("--job: a JSON object with a 'spec' is needed")
    return job
