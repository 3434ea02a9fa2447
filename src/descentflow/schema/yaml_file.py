"""YAML files, without YAML's traps.

A key given twice, of which YAML would silently keep the last, is refused; so is a file whose aliases
would grow beyond measure. :func:`size_problem` finds the latter in mappings read by others.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from descentflow.errors import ConfigurationError
from descentflow.schema.messages import ConfigProblem, dotted, shown
from descentflow.schema.messages import Path as ValuePath

MAX_VALUES = 4_000_000
"""Numbers, words and keys of a configuration, aliases counted wherever they stand."""

MAX_DEPTH = 30
"""Lists and mappings inside one another."""

MAX_BYTES = 100_000_000

MAX_BITS = 10_000
"""Bits of a whole number; Python refuses to print one of more than 4300 digits."""

_MERGE = "tag:yaml.org,2002:merge"


def load(path: Path) -> Any:
    """Load a YAML file; raises ConfigurationError, naming the file and the line."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ConfigurationError(f"{path}: is larger than {MAX_BYTES / 1e6:g} MB")
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise ConfigurationError(
            f"{path}: line {line}: is not UTF-8 text; save the file with that encoding"
        ) from None
    try:
        return _parse(text)
    except ConfigurationError as error:
        lines = "\n".join(f"{path}: {line}" for line in str(error).splitlines())
        raise ConfigurationError(lines) from None
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{path}: {_parser_message(error)}") from None
    except RecursionError:
        raise ConfigurationError(f"{path}: is nested too deeply; allowed: {MAX_DEPTH}") from None
    except (ValueError, OverflowError, TypeError) as error:  # dates and numbers that are none
        raise ConfigurationError(f"{path}: cannot be read as YAML: {error}") from None


def size_problem(value: object) -> str:
    """Say what is wrong with a mapping's size or depth; empty if nothing is.

    It takes as long as the mapping is written, not as long as its aliases make it.
    """
    return _size_problem(*_measure(value, _inside_value, {}, set()))


def unsupported_values(value: object) -> list[ConfigProblem]:
    """Find what no configuration holds: sets, bytes, whole numbers that Python cannot even print."""
    problems: list[ConfigProblem] = []
    waiting: list[tuple[ValuePath, object]] = [((), value)]
    seen: set[int] = set()
    while waiting:
        path, item = waiting.pop()
        if isinstance(item, Mapping | list | tuple):
            pairs = item.items() if isinstance(item, Mapping) else enumerate(item)
            if id(item) not in seen:
                seen.add(id(item))
                waiting += [((*path, _part(key)), inner) for key, inner in pairs]
        elif isinstance(item, set | frozenset | bytes):
            text = f"a list, a number or text is needed, found a YAML {type(item).__name__}"
            problems.append((path, text))
        elif isinstance(item, int) and item.bit_length() > MAX_BITS:
            problems.append((path, f"a number of moderate size is needed, found {shown(item)}"))
    return problems[::-1]


def _part(key: object) -> str | int:
    return key if isinstance(key, int) else str(key)


def count_values(value: object) -> int:
    """Count the numbers, words and keys of a value, aliases wherever they stand."""
    return int(_measure(value, _inside_value, {}, set())[0])


def _size_problem(count: float, depth: float) -> str:
    if depth > MAX_DEPTH:
        return f"is nested too deeply, or contains itself; allowed: {MAX_DEPTH} levels"
    if count > MAX_VALUES:
        return f"holds {count:.3g} values, aliases included; allowed: {MAX_VALUES:g}"
    return ""


def _measure(
    value: Any,
    inside: Callable[[Any], list[Any] | None],
    measured: dict[int, tuple[float, float]],
    active: set[int],
    level: int = 0,
) -> tuple[float, float]:
    """Count the values in a value, and how deep they lie; both are infinite if it contains itself.

    ``inside`` lists what a value holds, None for one that holds nothing else. ``measured`` has the
    results by identity, so that shared parts are walked once; ``active`` those being walked.
    """
    inner = inside(value)
    if inner is None:
        return 1.0, 0.0
    identity = id(value)
    if identity in active or level > MAX_DEPTH:
        return float("inf"), float("inf")
    if identity not in measured:
        active.add(identity)
        parts = [_measure(item, inside, measured, active, level + 1) for item in inner]
        active.remove(identity)
        count = 1.0 + sum(part[0] for part in parts)
        measured[identity] = count, 1.0 + max((part[1] for part in parts), default=0.0)
    return measured[identity]


def _inside_value(value: object) -> list[Any] | None:
    if isinstance(value, Mapping):
        return [*value.keys(), *value.values()]
    return list(value) if isinstance(value, list | tuple | set | frozenset) else None


def _inside_node(node: yaml.Node) -> list[yaml.Node] | None:
    if isinstance(node, yaml.MappingNode):
        return [item for pair in node.value for item in pair]
    return list(node.value) if isinstance(node, yaml.SequenceNode) else None


def _parse(text: str) -> Any:
    loader = yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        if problem := _size_problem(*_measure(node, _inside_node, {}, set())):
            raise ConfigurationError(problem)
        if lines := list(_duplicate_keys(node, (), set())):
            raise ConfigurationError("\n".join(lines))
        return loader.construct_document(node)
    finally:
        loader.dispose()


def _duplicate_keys(node: yaml.Node, path: ValuePath, seen: set[int]) -> Iterator[str]:
    """Yield a line for every key that stands twice in one mapping."""
    if id(node) in seen or isinstance(node, yaml.ScalarNode):
        return
    seen.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield from _duplicate_keys(item, (*path, index), seen)
        return
    lines: dict[str, int] = {}
    for key, value in node.value:
        name = str(key.value) if isinstance(key, yaml.ScalarNode) else ""
        line = key.start_mark.line + 1
        if key.tag != _MERGE and name in lines:
            text = f"is given twice, in line {lines[name]} and in line {line}; keep one"
            yield f"{dotted((*path, name))}: {text}"
        lines.setdefault(name, line)
        yield from _duplicate_keys(value, (*path, name), seen)


def _parser_message(error: yaml.YAMLError) -> str:
    """Write the parser's complaint in one line."""
    mark = getattr(error, "problem_mark", None)
    problem = str(getattr(error, "problem", None) or getattr(error, "reason", None) or error)
    problem = re.sub(r"\s+", " ", problem)
    where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark is not None else ""
    advice = "; indent with blanks, tabs are not allowed" if "\\t" in problem else ""
    return f"{where}cannot be read as YAML: {problem}{advice}"


def as_yaml(mapping: Mapping[str, Any]) -> str:
    """Write a mapping as YAML, keys in their order, without anchors to shared parts."""
    return yaml.safe_dump(_plain(mapping), sort_keys=False, width=90, allow_unicode=True)


def _plain(value: Any) -> Any:
    """Mappings and lists of YAML's own types, without anchors to shared parts."""
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list | tuple) else value
