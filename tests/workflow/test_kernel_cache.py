"""Compiled kernels are kept by content: an edit is never missed, and equal files compile nothing.

The package here is a toy: the real :mod:`descentflow.simd.jit` beside kernels of one line, in files
that the real list of files with kernels covers.
"""

import ast
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from checkout import CALLER

from descentflow.planning import code_digest
from descentflow.simd import jit

PACKAGE = code_digest.folder()

CALLEE = """
from descentflow.functions.constants import FACTOR
from descentflow.simd.jit import {decorator}

@{decorator}
def callee(x):
    return FACTOR * x
"""
CALLER_MODULE = """
from descentflow.risk.callee import callee
from descentflow.simd.jit import jit

@jit
def caller(x):
    return callee(x) + 1.0
"""
PROGRAM = "from descentflow.training.caller import caller; print(caller(3.0))"


class Toy:
    """A package named like the real one, and the folder where its kernels are kept."""

    def __init__(self, root: Path, kernels: Path) -> None:
        self.package, self.kernels = root / "descentflow", kernels

    @classmethod
    def new(cls, folder: Path, decorator: str) -> "Toy":
        toy = cls(folder / "checkout", folder / "kernels")
        for part in ("functions", "risk", "simd", "training", "report"):
            (toy.package / part).mkdir(parents=True)
            toy.write(f"{part}/__init__.py", "")
        toy.write("__init__.py", "")
        shutil.copyfile(PACKAGE / "simd" / "jit.py", toy.package / "simd" / "jit.py")
        toy.write("functions/constants.py", "FACTOR = 2.0\n")
        toy.write("risk/callee.py", CALLEE.format(decorator=decorator))
        toy.write("training/caller.py", CALLER_MODULE)
        toy.write("report/captions.py", "TEXT = 'a caption'\n")
        return toy

    def write(self, name: str, text: str) -> None:
        (self.package / name).write_text(text, encoding="utf-8")

    def replace(self, name: str, old: str, new: str) -> None:
        before = (self.package / name).read_text(encoding="utf-8")
        assert old in before
        self.write(name, before.replace(old, new))

    def computed(self) -> float:
        """2·3 + 1 as the kernels say, in an interpreter of its own."""
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(CALLER)}
        given = {"PYTHONPATH": str(self.package.parent), "NUMBA_CACHE_DIR": str(self.kernels)}
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM],
            env={**inherited, **given},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return float(done.stdout)

    def compiled(self) -> dict[str, int]:
        """The files with compiled code, and when each was written."""
        return {str(path): path.stat().st_mtime_ns for path in self.kernels.rglob("*.nbc")}


@pytest.fixture(params=["jit", "jit_inline"])
def toy(tmp_path: Path, request: pytest.FixtureRequest) -> Toy:
    """A toy whose kernels are compiled."""
    made = Toy.new(tmp_path, request.param)
    assert made.computed() == 7.0
    assert made.compiled()
    return made


def test_an_edited_callee_is_compiled_anew(toy: Toy) -> None:
    """So is its caller, which holds the callee's code, in another file that nobody edited."""
    toy.replace("risk/callee.py", "FACTOR * x", "FACTOR * x * x")
    assert toy.computed() == 19.0
    toy.replace("functions/constants.py", "2.0", "4.0")
    assert toy.computed() == 37.0


def touched(toy: Toy) -> Toy:
    """Every file later than what was compiled from it."""
    for path in toy.package.rglob("*.py"):
        os.utime(path)
    return toy


def copied(toy: Toy) -> Toy:
    """The package in another folder, with new modification times."""
    there = toy.package.parent.with_name("another checkout") / "descentflow"
    shutil.copytree(toy.package, there, copy_function=shutil.copyfile)
    shutil.rmtree(toy.package)
    return Toy(there.parent, toy.kernels)


def with_crlf(toy: Toy) -> Toy:
    """Line endings of another system."""
    for path in toy.package.rglob("*.py"):
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    return toy


def edited_elsewhere(toy: Toy) -> Toy:
    """A file that has nothing to do with kernels."""
    toy.write("report/captions.py", "TEXT = 'another caption'\n")
    return toy


@pytest.mark.parametrize("toy", ["jit"], indirect=True)
def test_equal_kernels_are_not_compiled_again(toy: Toy) -> None:
    before = toy.compiled()
    for change in (touched, edited_elsewhere, with_crlf, copied):
        toy = change(toy)
        assert toy.computed() == 7.0
        assert toy.compiled() == before, change.__name__


@pytest.mark.parametrize("toy", ["jit"], indirect=True)
def test_kernels_in_other_files_are_never_old(toy: Toy) -> None:
    """The digest does not see their edits, such as those of a trainer of one's own."""
    before = toy.compiled()
    (toy.package / "training" / "caller.py").rename(toy.package / "report" / "caller.py")
    toy.write("training/caller.py", "from descentflow.report.caller import caller as caller\n")
    assert toy.computed() == 7.0
    toy.replace("report/caller.py", "+ 1.0", "+ 2.0")
    assert toy.computed() == 8.0
    assert not [path for path in toy.compiled().keys() - before if "report" in path]


# ---- the list of files


@cache
def sources() -> list[tuple[str, ast.Module]]:
    """The package's modules: paths in the package, and what is in them."""
    files = sorted(PACKAGE.rglob("*.py"))
    return [(path.relative_to(PACKAGE).as_posix(), ast.parse(path.read_bytes())) for path in files]


def covered() -> set[str]:
    """The files that the list names."""
    found = {path for pattern in jit.KERNEL_FILES for path in PACKAGE.glob(pattern)}
    return {path.relative_to(PACKAGE).as_posix() for path in found}


def imports(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Modules of the package that a file imports from, each with a name that it takes."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("descentflow"):
            yield from ((str(node.module), alias.name) for alias in node.names)
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names if alias.name.startswith("descentflow")]
            assert not names, "kernels name what they import, so that one sees what it is"


def test_kernels_are_compiled_in_one_way() -> None:
    """No file but ``simd/jit.py`` calls Numba's decorators, whose cache misses edits."""
    decorators = re.compile(r"\b(njit|numba\.(jit|vectorize|guvectorize|stencil|cfunc))\b")
    using = [name for name, _ in sources() if decorators.search((PACKAGE / name).read_text())]
    assert using == ["simd/jit.py"]


def test_every_file_with_kernels_is_in_the_list() -> None:
    found = set()
    for name, tree in sources():
        taken = {taken for module, taken in imports(tree) if module == "descentflow.simd.jit"}
        if taken & {"jit", "jit_inline", "jit_owning"}:
            found.add(name)
    assert len(found) > 10
    assert found <= covered()


def test_no_number_comes_into_the_list_from_outside() -> None:
    """Numbers are compiled into kernels: classes and functions may be another file's, numbers not."""
    inside = covered()
    for name, tree in sources():
        if name not in inside:
            continue
        for module, taken in imports(tree):
            path = code_digest._file(f"{module}.{taken}") or code_digest._file(module)
            assert path is not None
            if path.relative_to(PACKAGE).as_posix() not in inside:
                value = getattr(import_module(module), taken)
                assert not compiles_into_kernels(value), f"{name}: {taken} of {module}"


def compiles_into_kernels(value: Any) -> bool:
    """Whether it is a number, or holds some; a module may hold many."""
    if isinstance(value, tuple):
        return any(map(compiles_into_kernels, value))
    return isinstance(value, (bool, int, float, complex, np.ndarray, np.generic, ModuleType))
