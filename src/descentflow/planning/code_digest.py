"""Which source code a job consists of, found without running it.

Snakemake never looks into imported modules. Each job therefore carries a digest of every module of
the package that it can import: an edit reruns the jobs that it can change and no others. What cannot
change a result is left out: comments, layout, line endings, docstrings, the words of refusals and of
the configuration's descriptions, and the checks of models, which refuse and compute nothing.
"""

import ast
import hashlib
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path

PACKAGE = "descentflow"

WORDS = ("descentflow.errors", "descentflow.schema.messages", "descentflow.schema.yaml_file")
"""Modules that only word refusals."""

DESCRIBED = ("Field", "Study")
"""What takes a ``description`` that computes nothing."""


@cache
def folder() -> Path:
    """Return the package's folder."""
    spec = find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(PACKAGE)
    return Path(spec.origin).parent


@cache
def digest(*modules: str) -> str:
    """Digest of the code in the import closure of ``modules``: 16 hexadecimal digits."""
    hashed = hashlib.sha256()
    for name in sorted(closure(*modules).difference(WORDS)):
        hashed.update(name.encode() + b"\0" + _read(name)[1])
    return hashed.hexdigest()[:16]


def closure(*modules: str) -> set[str]:
    """Return the package's modules that ``modules`` import, themselves and parents included.

    Imports inside functions count; those under ``if TYPE_CHECKING`` do not.
    """
    names: set[str] = set()
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        if name in names:
            continue
        names.add(name)
        parent = name.rpartition(".")[0]
        waiting += [parent] if parent else []
        waiting += _read(name)[0]
    return names


@cache
def _read(module: str) -> tuple[tuple[str, ...], bytes]:
    """Return a module's imports of the package, and the digest of its code without words."""
    path = _file(module)
    if path is None:
        raise ModuleNotFoundError(module)
    tree = ast.parse(path.read_bytes())
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    imports = tuple(name for name in _imports(tree, package) if _file(name) is not None)
    code = ast.dump(_WithoutWords().visit(tree))
    return imports, hashlib.sha256(code.encode()).digest()


class _WithoutWords(ast.NodeTransformer):
    """Drop everything that cannot change a result."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST | None:
        """Drop a model's checks."""
        method = [argument.arg for argument in node.args.args] == ["self"]
        if method and any(_called(decorator) == "check" for decorator in node.decorator_list):
            return None
        return self.generic_visit(node)

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        """Drop docstrings, of constants too."""
        return ast.Pass() if _is_string(node.value) else self.generic_visit(node)

    def visit_Raise(self, node: ast.Raise) -> ast.AST:
        """Drop the words of a refusal, keep its class and other values."""
        if isinstance(node.exc, ast.Call):
            node.exc.args = [
                value
                for value in node.exc.args
                if not _is_string(value) and not isinstance(value, ast.JoinedStr)
            ]
        return self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        """Drop descriptions of the configuration's keys."""
        if _called(node) in DESCRIBED:
            node.keywords = [word for word in node.keywords if word.arg != "description"]
        return self.generic_visit(node)


def _called(node: ast.expr) -> str:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        return node.func.id
    return ""


def _is_string(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _imports(tree: ast.Module, package: str) -> Iterator[str]:
    """Yield the package's names among the imports of a module in ``package``, modules or not."""
    for node in _running(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
            if PACKAGE in names:
                names += _homes().values()
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")[: len(package.split(".")) - node.level + 1]
            parts = [*(parents if node.level else []), *([node.module] if node.module else [])]
            source = ".".join(parts)
            names = [source, *(f"{source}.{alias.name}" for alias in node.names)]
            if source == PACKAGE:
                names += [_homes().get(alias.name, PACKAGE) for alias in node.names]
        else:
            continue
        yield from (name for name in names if name.split(".")[0] == PACKAGE)


def _homes() -> dict[str, str]:
    """Return the modules of the public names, which the package imports when they are used."""
    tree = ast.parse((folder() / "__init__.py").read_bytes())
    return {
        alias.name: str(node.module)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


def _running(node: ast.AST) -> list[ast.AST]:
    """Return all nodes below but those that only a type checker sees."""
    if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
        return [inner for child in node.orelse for inner in _running(child)]
    return [node, *(inner for child in ast.iter_child_nodes(node) for inner in _running(child))]


def _file(module: str) -> Path | None:
    """Return the module's file, or None where the name is not a module of the package."""
    base = folder().joinpath(*module.split(".")[1:])
    for path in (base / "__init__.py", base.with_suffix(".py")):
        if path.is_file():
            return path
    return None
