"""Kernels without reference counts neither make arrays nor get any from what they call."""

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path

import numba
import numpy as np
import pytest

import descentflow
from descentflow.simd.jit import KERNEL_FILES, jit

PACKAGE = Path(descentflow.__file__).parent
BORROWING = {"jit", "jit_inline"}
OWNING = {"jit_owning", "_of_engine", "_unless_of_engine"}
NUMBERS = {"float", "int", "bool", "None", "np.uint64", "np.int64", "Index"}
WITHOUT_ARRAYS = NUMBERS | {"Lanes", "Eight", "Derivatives", "Shape", "Constants", "Matrix", "Pair"}
"""What kernels return that holds no array: numbers, vectors, tuples of these."""


def kernels() -> Iterator[tuple[str, str, ast.FunctionDef]]:
    """All functions with a decorator that compiles: module, decorator, definition."""
    for pattern in KERNEL_FILES:
        for file in sorted(PACKAGE.glob(pattern)):
            for node in ast.parse(file.read_text()).body:
                if isinstance(node, ast.FunctionDef) and node.decorator_list:
                    decorator = ast.unparse(node.decorator_list[0])
                    if decorator in BORROWING | OWNING:
                        yield f"descentflow.{file.parent.name}.{file.stem}", decorator, node


def has_arrays(node: ast.FunctionDef) -> bool:
    """Whether the annotation of the result names anything that may hold an array."""
    result = ast.unparse(node.returns) if node.returns else "None"
    names = result.replace("tuple[", "").replace("]", "").split(", ")
    return not {*names} <= WITHOUT_ARRAYS | {"..."}


def called(module: str, node: ast.FunctionDef) -> set[str]:
    """The names of the functions that a kernel calls, also of those that its module calls otherwise."""
    calls = (call.func for call in ast.walk(node) if isinstance(call, ast.Call))
    names = {ast.unparse(function).rpartition(".")[2] for function in calls}
    own = vars(importlib.import_module(module))
    return {getattr(own.get(name), "__name__", name) for name in names}


def test_borrowing_kernels_meet_no_new_arrays() -> None:
    found = list(kernels())
    returning = {node.name for _, _, node in found if has_arrays(node)}
    assert "new_scratch" in returning
    for module, decorator, node in found:
        if decorator in BORROWING:
            assert not has_arrays(node), f"{module}: {node.name} returns arrays: jit_owning"
            arrays = called(module, node) & returning
            assert not arrays, (
                f"{module}: {node.name} calls {arrays}, which returns arrays: jit_owning"
            )


def test_making_an_array_without_reference_counts_does_not_compile() -> None:
    def kernel(size: int) -> float:
        return float(np.zeros(size).sum())

    with pytest.raises(numba.core.errors.TypingError):
        jit(kernel)(3)
