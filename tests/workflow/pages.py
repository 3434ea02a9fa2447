"""The code blocks of a page, and how to run them; as a command, runs those of one page in order.

A comment before a block says how it differs in a test:

``<!-- test: skip, because … -->``            it is not run
``<!-- test: instead COMMAND, because … -->`` that is run instead
``<!-- test: file PATH -->``                  it is written to that file
``<!-- test: beside the clone -->``           the page's commands run in the folder with the clone
``<!-- test: in a copy of the package -->``   from here on, Python imports a copy of ``src/``
"""

import json
import os
import re
import shutil
import subprocess
import sys
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

SHOWN_ONLY = (
    "",
    "math",
    "text",
    "json",
    "toml",
    "{eval-rst}",
    "{include}",
    "{toctree}",
    "{all-figures}",
)
RUN = ("bash", "console", "python")
WRITTEN = ("yaml", "diff", "latex")

_FENCE = re.compile(r"^```(\S*)")
_COMMENT = re.compile(r"^<!-- test: (.*?) -->$")
_INSTEAD = re.compile(r"instead (.+), because .+")
_SKIP = re.compile(r"skip, because .{10,}")
_FILE = re.compile(r"file (\S+)")
BESIDE, COPY = "beside the clone", "in a copy of the package"


@dataclass(frozen=True)
class Block:
    """A fenced block, the line of its fence, and the comments right before it."""

    language: str
    text: str
    line: int
    remarks: tuple[str, ...]


@dataclass(frozen=True)
class Step:
    """What the test does for a block: ``kind`` is bash, python, file or copy."""

    kind: str
    text: str
    line: int
    path: str = ""


def blocks(page: str) -> list[Block]:
    """The blocks of a page, in order."""
    found: list[Block] = []
    remarks: list[str] = []
    lines = iter(enumerate(page.splitlines(), 1))
    for number, line in lines:
        if comment := _COMMENT.match(line):
            remarks.append(comment[1])
        elif fence := _FENCE.match(line):
            body = []
            for _, inner in lines:
                if inner.startswith("```"):
                    break
                body.append(inner)
            found.append(Block(fence[1], "\n".join(body) + "\n", number, tuple(remarks)))
            remarks = []
        elif line.strip():
            assert not remarks, f"line {number}: no block follows the comment {remarks}"
    return found


def steps(block: Block) -> list[Step]:
    """What a test does for a block; raises AssertionError where it does not know."""
    out: list[Step] = []
    for remark in block.remarks:
        if found := _FILE.fullmatch(remark):
            return [*out, Step("file", block.text, block.line, found[1])]
        if found := _INSTEAD.fullmatch(remark):
            return [*out, Step("bash", found[1], block.line)]
        if _SKIP.fullmatch(remark):
            return out
        if remark == COPY:
            out.append(Step("copy", "", block.line))
        else:
            assert remark == BESIDE, f"line {block.line}: unknown remark {remark!r}"
    if block.language == "console":
        typed = [line[2:] for line in block.text.splitlines() if line.startswith("$ ")]
        return [*out, Step("bash", "\n".join(typed), block.line)]
    assert block.language in (*RUN, *SHOWN_ONLY, *WRITTEN), f"line {block.line}: {block.language}"
    return [*out, Step(block.language, block.text, block.line)] if block.language in RUN else out


def run(name: str, todo: list[dict[str, Any]], source: str, environment: dict[str, str]) -> None:
    """Run steps in this process and folder: Python in one namespace, bash one shell per block.

    ``source`` is the package's folder, for a page that edits a copy of it.
    """
    namespace: dict[str, Any] = {"__name__": "__main__"}
    for step in (Step(**one) for one in todo):
        print(f"{name}:{step.line}", flush=True)
        if step.kind == "file":
            Path(step.path).write_text(step.text, encoding="utf-8")
        elif step.kind == "copy":
            shutil.copytree(source, "src", dirs_exist_ok=True)
            environment = {**environment, "PYTHONPATH": str(Path("src").absolute())}
        elif step.kind == "bash":
            # Importing a stage, as other tests do, sets this variable; a reader's shell has not.
            given = {**os.environ, **environment}
            given.pop("PYTHONSAFEPATH", None)
            command = ["bash", "-euo", "pipefail", "-c", step.text]
            subprocess.run(command, env=given, check=True, stdin=subprocess.DEVNULL)
        else:
            code = compile("\n" * step.line + step.text, name, "exec")
            exec(code, namespace)


def as_json(name: str, page: str, source: Path, environment: dict[str, str]) -> str:
    """The arguments of :func:`run` for a page."""
    todo = [asdict(step) for block in blocks(page) for step in steps(block)]
    given = {"name": name, "todo": todo, "source": str(source), "environment": environment}
    return json.dumps(given)


if __name__ == "__main__":
    warnings.simplefilter("error")
    run(**json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
