"""Configuration files as they are written: YAML without its traps.

A key given twice, of which YAML would silently keep the last, is refused; so is a file whose aliases
would grow beyond measure. :func:`oversized` asks the same of mappings that somebody else has read.
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
"""Of a whole number; Python refuses to write those of more than 4300 digits."""

_MERGE = "tag:yaml.org,2002:merge"


def load(path: Path) -> Any:
    """What a YAML file holds; raises ConfigurationError, naming the file and the line."""
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
        return _read(text)
    except ConfigurationError as error:
        lines = "\n".join(f"{path}: {line}" for line in str(error).splitlines())
        raise ConfigurationError(lines) from None
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{path}: {_explained(error)}") from None
    except RecursionError:
        raise ConfigurationError(f"{path}: is nested too deeply; allowed: {MAX_DEPTH}") from None
    except (ValueError, OverflowError, TypeError) as error:  # dates and numbers that are none
        raise ConfigurationError(f"{path}: cannot be read as YAML: {error}") from None


def oversized(value: object) -> str:
    """What is wrong with a mapping's size or depth, empty where nothing is.

    It takes as long as the mapping is written, not as long as its aliases make it.
    """
    count, height = _extent(value, _inside_value, {}, set())
    return _too_much(count, height)


def strange(value: object) -> list[ConfigProblem]:
    """What no configuration holds: sets, bytes, and whole numbers that Python cannot even print."""
    findings: list[ConfigProblem] = []
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
            findings.append((path, text))
        elif isinstance(item, int) and item.bit_length() > MAX_BITS:
            findings.append((path, f"a number of moderate size is needed, found {shown(item)}"))
    return findings[::-1]


def _part(key: object) -> str | int:
    return key if isinstance(key, int) else str(key)


def extent(value: object) -> int:
    """How many numbers, words and keys a value holds, aliases counted wherever they stand."""
    return int(_extent(value, _inside_value, {}, set())[0])


def _too_much(count: float, height: float) -> str:
    if height > MAX_DEPTH:
        return f"is nested too deeply, or contains itself; allowed: {MAX_DEPTH} levels"
    if count > MAX_VALUES:
        return f"holds {count:.3g} values, aliases included; allowed: {MAX_VALUES:g}"
    return ""


def _extent(
    value: Any,
    inside: Callable[[Any], list[Any] | None],
    known: dict[int, tuple[float, float]],
    active: set[int],
    depth: int = 0,
) -> tuple[float, float]:
    """How many values there are, and how deep they lie; both infinite where it has no end.

    ``inside`` lists what a value holds, None for one that holds nothing else.
    """
    inner = inside(value)
    if inner is None:
        return 1.0, 0.0
    number = id(value)
    if number in active or depth > MAX_DEPTH:
        return float("inf"), float("inf")
    if number not in known:
        active.add(number)
        parts = [_extent(item, inside, known, active, depth + 1) for item in inner]
        active.remove(number)
        count = 1.0 + sum(part[0] for part in parts)
        known[number] = count, 1.0 + max((part[1] for part in parts), default=0.0)
    return known[number]


def _inside_value(value: object) -> list[Any] | None:
    if isinstance(value, Mapping):
        return [*value.keys(), *value.values()]
    return list(value) if isinstance(value, list | tuple | set | frozenset) else None


def _inside_node(node: yaml.Node) -> list[yaml.Node] | None:
    if isinstance(node, yaml.MappingNode):
        return [item for pair in node.value for item in pair]
    return list(node.value) if isinstance(node, yaml.SequenceNode) else None


def _read(text: str) -> Any:
    loader = yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        if too_much := _too_much(*_extent(node, _inside_node, {}, set())):
            raise ConfigurationError(too_much)
        if twice := list(_given_twice(node, (), set())):
            raise ConfigurationError("\n".join(twice))
        return loader.construct_document(node)
    finally:
        loader.dispose()


def _given_twice(node: yaml.Node, path: tuple[str | int, ...], seen: set[int]) -> Iterator[str]:
    """A line for every key that stands twice in one mapping."""
    if id(node) in seen or isinstance(node, yaml.ScalarNode):
        return
    seen.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for number, item in enumerate(node.value):
            yield from _given_twice(item, (*path, number), seen)
        return
    lines: dict[str, int] = {}
    for key, value in node.value:
        name = str(key.value) if isinstance(key, yaml.ScalarNode) else ""
        line = key.start_mark.line + 1
        if key.tag != _MERGE and name in lines:
            text = f"is given twice, in line {lines[name]} and in line {line}; keep one"
            yield f"{dotted((*path, name))}: {text}"
        lines.setdefault(name, line)
        yield from _given_twice(value, (*path, name), seen)


def _explained(error: yaml.YAMLError) -> str:
    """The parser's complaint in one line."""
    mark = getattr(error, "problem_mark", None)
    problem = str(getattr(error, "problem", None) or getattr(error, "reason", None) or error)
    problem = re.sub(r"\s+", " ", problem)
    where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark is not None else ""
    advice = "; indent with blanks, tabs are not allowed" if "\\t" in problem else ""
    return f"{where}cannot be read as YAML: {problem}{advice}"
