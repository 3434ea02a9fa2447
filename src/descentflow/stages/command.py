"""The part that all stage commands share: arguments, errors as one message, progress."""

import argparse
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, NoReturn, TypeVar

from descentflow.datasets.whole_file import atomic_path
from descentflow.errors import DamagedFile, InputError, printable
from descentflow.runtime import digest_list
from descentflow.runtime.lifetime import end_with_head
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
    ``inputs`` is the number of input files, None if it depends on the spec. ``one_output`` is false
    for a stage that writes as many files as it is asked for.
    """

    perform: Callable[[Task[Spec]], None]
    spec: type[Spec] | Callable[[Mapping[str, Any]], type[Spec]]
    inputs: int | None
    one_output: bool = True

    def run(self, job: Mapping[str, Any], inputs: list[Path], outputs: list[Path]) -> None:
        """Parse a job's spec and perform it; raises InputError.

        Files whose suffix is ``.sha256`` stand last and hold the digests of the others: those of the
        inputs are checked, those of the outputs written.
        """
        if not isinstance(job.get("spec"), Mapping):
            raise InputError("--job: a JSON object with a 'spec' is needed")
        model = self.spec if isinstance(self.spec, type) else self.spec(job)
        spec: Spec = parse(model, job["spec"])
        read, made = _checked(inputs), _without_lists(outputs)
        if self.inputs is not None and len(read) != self.inputs:
            raise InputError(f"--input: {files_needed(self.inputs, len(read))}")
        if self.one_output and len(made) != 1:
            raise InputError(f"--output: {files_needed(1, len(made))}")
        self.perform(Task(spec, job["spec"], job, read, made))
        for path in outputs[len(made) :]:
            with atomic_path(path) as temporary:
                temporary.write_text(digest_list.text(path, made), encoding="utf-8")

    def main(self) -> None:
        """Do the job of the command line.

        A refusal ends the process with its message on standard error and status 1.
        """
        parser = argparse.ArgumentParser(description=self.perform.__doc__)
        parser.add_argument("--job", required=True, help="the job as JSON; see config/README.md")
        parser.add_argument("--input", nargs="*", type=Path, default=[], metavar="FILE")
        parser.add_argument("--output", nargs="+", type=Path, required=True, metavar="FILE")
        arguments = parser.parse_args()
        end_with_head()
        try:
            self.run(_job(arguments.job), arguments.input, arguments.output)
        except InputError as refusal:
            _give_up(printable(f"error: {refusal}"))


def _without_lists(paths: list[Path]) -> list[Path]:
    """Return the files but for lists of digests, which stand behind the files that they tell of."""
    return [path for path in paths if path.suffix != digest_list.SUFFIX]


def _checked(inputs: list[Path]) -> list[Path]:
    """Return the input files but for lists of digests; raises DamagedFile where one is altered."""
    read = _without_lists(inputs)
    for path in inputs[len(read) :]:
        for file in digest_list.altered(path, read):
            raise DamagedFile(f"{file}: altered since it was made; delete it and run again")
    return read


def files_needed(count: int, found: int) -> str:
    """Say how many files are needed."""
    needed = {0: "no file is", 1: "1 file is"}.get(count, f"{count} files are")
    return f"{needed} needed, found {found}"


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
