"""Which source files a job's code consists of, found without running it.

Snakemake never looks into imported modules. Each job therefore carries a digest of every file of the
package that its stage can import: editing one file reruns the jobs that use it and no others.
"""

import ast
import hashlib
from functools import cache
from importlib.util import find_spec
from pathlib import Path

PACKAGE = "descentflow"


@cache
def folder() -> Path:
    """The package's folder."""
    spec = find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(PACKAGE)
    return Path(spec.origin).parent


def digest(*modules: str) -> str:
    """Digest of the files in the import closure of ``modules``: 16 hexadecimal digits."""
    hashed = hashlib.sha256()
    for name in sorted(closure(*modules)):
        path = _file(name)
        assert path is not None
        hashed.update(name.encode() + b"\0" + path.read_bytes().replace(b"\r\n", b"\n") + b"\0")
    return hashed.hexdigest()[:16]


def closure(*modules: str) -> set[str]:
    """Names of the package's modules that ``modules`` import, themselves and parents included.

    Imports inside functions count; those under ``if TYPE_CHECKING`` do not.
    """
    found: set[str] = set()
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found.add(name)
        parent = name.rpartition(".")[0]
        waiting += [parent] if parent else []
        waiting += _imports(name)
    return found


@cache
def _imports(module: str) -> tuple[str, ...]:
    path = _file(module)
    if path is None:
        raise ModuleNotFoundError(module)
    names: list[str] = []
    for node in _running(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.append(node.module)
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    ours = [name for name in names if name.split(".")[0] == PACKAGE]
    return tuple(name for name in ours if _file(name) is not None)


def _running(node: ast.AST) -> list[ast.AST]:
    """All nodes below but those that only a type checker sees."""
    if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
        return [inner for child in node.orelse for inner in _running(child)]
    return [node, *(inner for child in ast.iter_child_nodes(node) for inner in _running(child))]


def _file(module: str) -> Path | None:
    """The module's file, or None where the name is not a module of the package."""
    base = folder().joinpath(*module.split(".")[1:])
    for path in (base / "__init__.py", base.with_suffix(".py")):
        if path.is_file():
            return path
    return None
