"""YAML files, without YAML's traps.

A key given twice, of which YAML would silently keep the last, is refused; so is a number that YAML
reads as another one than it says (``010`` is 8, ``1:30`` is 90), and a file whose aliases would grow
beyond measure. :func:`size_problem` finds the latter in mappings read by others.
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

MAX_KEYS = 50_000
"""Keys that a file writes out; reading them takes some seconds."""

MAX_BITS = 10_000
"""Bits of a whole number; Python refuses to print one of more than 4300 digits."""

_MERGE = "tag:yaml.org,2002:merge"
_INT, _FLOAT, _NULL = (f"tag:yaml.org,2002:{name}" for name in ("int", "float", "null"))

_TRAPS = {
    re.compile(r"[-+]?0_*[0-9][0-9_]*(\.[0-9_]*)?([eE][-+]?[0-9]+)?"): (
        "has leading zeros, which YAML may take for base 8"
    ),
    re.compile(r"[-+]?0([bB][01_]+|[oO][0-7_]+|[xX][0-9a-fA-F_]+)"): "is not in base 10",
    re.compile(r"[-+]?[0-9][0-9_]*(:[0-9_]+)+(\.[0-9_]*)?"): "is a number of base 60 in YAML",
    re.compile(r"[-+]?(?=.*(__|_\.|\._|_$))[0-9._]+"): "has a '_' that is not between digits",
    re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt ].*)?"): "is a date in YAML",
}
"""Words that YAML reads as other numbers than a person means."""


def load(path: Path) -> Any:
    """Load a YAML file; raises ConfigurationError, naming the file and the line."""
    try:
        if path.exists() and not path.is_file():  # a pipe would be waited for
            raise ConfigurationError(f"{path}: a file is needed")
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


def check_text(text: str, name: str) -> None:
    """Refuse a word or mapping in which a number or a key is not what it seems; text may be anything.

    Raises ConfigurationError, each line beginning with ``name``.
    """
    try:
        _parse(text)
    except ConfigurationError as error:
        texts = (line.removeprefix("(top level): line 1: ") for line in str(error).splitlines())
        raise ConfigurationError("\n".join(f"{name}: {text}" for text in texts)) from None
    except (yaml.YAMLError, RecursionError, ValueError, OverflowError, TypeError):
        return


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


class _Loader(yaml.SafeLoader):
    """PyYAML's loader, which stops where a file has more keys than a configuration can have."""

    keys = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Compose one node, a key where it stands in a mapping and has no index."""
        if isinstance(parent, yaml.MappingNode) and index is None:
            self.keys += 1
            if self.keys > MAX_KEYS:
                raise ConfigurationError(f"has more than {MAX_KEYS} keys")
        return super().compose_node(parent, index)


def _parse(text: str) -> Any:
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        if problem := _size_problem(*_measure(node, _inside_node, {}, set())):
            raise ConfigurationError(problem)
        if lines := list(_traps(node, (), set())):
            raise ConfigurationError("\n".join(lines))
        return loader.construct_document(node)
    finally:
        loader.dispose()


def _traps(node: yaml.Node, path: ValuePath, seen: set[int]) -> Iterator[str]:
    """Yield a line for every key that stands twice in one mapping, and for every ambiguous number."""
    if id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, yaml.ScalarNode):
        if problem := _number_trap(node):
            yield f"{dotted(path)}: line {node.start_mark.line + 1}: {problem}"
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield from _traps(item, (*path, index), seen)
    elif isinstance(node, yaml.MappingNode):
        yield from _key_traps(node, path)
        for key, value in node.value:
            yield from _traps(value, (*path, _name(key)), seen)


def _key_traps(node: yaml.MappingNode, path: ValuePath) -> Iterator[str]:
    """Yield a line for every key of a mapping that stands twice, or was meant as decimals."""
    lines: dict[str, int] = {}
    for key, value in node.value:
        name, line = _name(key), key.start_mark.line + 1
        if key.tag != _MERGE and name in lines:
            text = f"is given twice, in line {lines[name]} and in line {line}; keep one"
            yield f"{dotted((*path, name))}: {text}"
        elif key.tag == _INT and value.tag == _NULL:
            text = f"{shown(name)} has no value; is there a decimal comma? write a point, as in 0.5"
            yield f"{dotted(path)}: line {line}: {text}"
        lines.setdefault(name, line)


def _name(key: yaml.Node) -> str:
    return str(key.value) if isinstance(key, yaml.ScalarNode) else ""


def _number_trap(node: yaml.ScalarNode) -> str:
    """Say why a word is not the number that it looks like; empty if it is, or looks like none."""
    if node.style is not None and node.tag not in (_INT, _FLOAT):
        return ""
    for pattern, trap in _TRAPS.items():
        if pattern.fullmatch(node.value):
            return f"{shown(node.value)} {trap}; write the number in base 10, or text in quotes"
    return ""


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
