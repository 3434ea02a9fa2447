"""A configuration that builds on others: ``extends`` names files, of which it says what differs."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from descentflow.errors import ConfigurationError
from descentflow.schema import yaml_file
from descentflow.schema.messages import shown

KEY = "extends"

TAGS = ("kind", "law", "method")
"""Where one of these differs a block replaces that of the same name, of whose keys it may have none."""

MERGED = ("initialization",)
"""Blocks that are laid over another, whatever their law: all laws have the same keys."""

MAX_FILES = 20
"""Files that build on one another."""


def load(path: Path) -> Any:
    """Load a YAML file, laid over the files that it extends.

    Raises ConfigurationError, naming the file and the line, and where files extend themselves.
    """
    return resolve(yaml_file.load(path), path.parent, (path,))


def files(path: Path, chain: Sequence[Path] = ()) -> Iterator[Path]:
    """Yield a YAML file and all that it extends; raises ConfigurationError as :func:`load` does."""
    yield path
    mapping = yaml_file.load(path)
    if isinstance(mapping, Mapping) and KEY in mapping:
        for extended in extended_files(mapping, path.parent, (*chain, path)):
            yield from files(extended, (*chain, path))


def merged(files: Iterable[Path], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Load files, with all that they extend, each laid over those before it; ``overrides`` come last.

    Raises ConfigurationError, naming file and line.
    """
    result: dict[str, Any] = {}
    for path in files:
        mapping = load(path)
        if not isinstance(mapping, dict):
            raise ConfigurationError(f"{path}: a mapping (key: value) is needed")
        result = _over(result, mapping)
    return _over(result, overrides)


def _over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    return {**below} | {
        key: _over(below[key], value)
        if isinstance(value, Mapping) and isinstance(below.get(key), Mapping)
        else value
        for key, value in above.items()
    }


def resolve(mapping: Any, folder: Path, chain: Sequence[Path] = ()) -> Any:
    """Return a mapping laid over the files that it extends, paths relative to ``folder``.

    ``chain`` are the files that led to it. Raises ConfigurationError as :func:`load` does.
    """
    if not isinstance(mapping, Mapping) or KEY not in mapping:
        return mapping
    below: dict[str, Any] = {}
    for path in extended_files(mapping, folder, chain):
        extended = resolve(yaml_file.load(path), path.parent, (*chain, path))
        if not isinstance(extended, Mapping):
            raise ConfigurationError(f"{path}: a mapping (key: value) is needed")
        below = laid_over(below, extended)
    return laid_over(below, {key: value for key, value in mapping.items() if key != KEY})


def extended_files(mapping: Mapping[str, Any], folder: Path, chain: Sequence[Path]) -> list[Path]:
    """Return the files that a mapping extends; raises ConfigurationError."""
    told = f"{chain[-1]}: " if chain else ""
    names = mapping[KEY]
    names = [names] if isinstance(names, str) else names
    if not isinstance(names, list) or not all(isinstance(name, str) and name for name in names):
        text = "a file name or a list of them is needed"
        raise ConfigurationError(f"{told}{KEY}: {text}, found {shown(mapping[KEY])}")
    paths = [folder / name for name in names]
    for path in paths:
        if path.resolve() in [before.resolve() for before in chain]:
            raise ConfigurationError(f"{told}{KEY}: {path} extends itself")
    if len(chain) >= MAX_FILES:
        raise ConfigurationError(f"{told}{KEY}: more than {MAX_FILES} files build on one another")
    return paths


def laid_over(below: Mapping[Any, Any], above: Mapping[Any, Any]) -> dict[Any, Any]:
    """Lay a mapping over another, key by key; null leaves out what lies below."""
    result = dict(below)
    for key, value in above.items():
        before = result.get(key)
        if value is None:
            result.pop(key, None)
        elif (
            isinstance(value, Mapping) and isinstance(before, Mapping) and _same(key, before, value)
        ):
            result[key] = laid_over(before, value)
        else:
            result[key] = value
    return result


def _same(key: object, below: Mapping[Any, Any], above: Mapping[Any, Any]) -> bool:
    """Whether two blocks are of one kind, or the upper one does not say of which it is."""
    return key in MERGED or all(tag not in above or above[tag] == below.get(tag) for tag in TAGS)
