"""Docstrings as Sphinx reads them: sections in the style of NumPy, where ``name : text`` says all.

They are written for terminals, so in |v| and x_1 no markup is meant.
"""

import re
from typing import Any

from sphinx.application import Sphinx

_LITERAL = re.compile(r"(``.*?``|`[^`]*`)")
_FIELDS = {
    "Parameters": lambda line: "\n".join(_parameters(*line.split(" : ", 1))),
    "Returns": lambda line: f":returns: {line}",
    "Raises": lambda line: re.sub(r"^(\w+) ", r":raises \1: ", line),
}


def setup(app: Sphinx) -> dict[str, Any]:
    """Rewrite every docstring."""
    app.connect("autodoc-process-docstring", _process)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _process(
    _app: Sphinx, _what: str, _name: str, _of: object, _options: Any, lines: list[str]
) -> None:
    lines[:] = _sections([_escaped(line) for line in lines])


def _escaped(line: str) -> str:
    parts = _LITERAL.split(line)
    parts[::2] = [re.sub(r"([|*]|_(?=\W|$))", r"\\\1", part) for part in parts[::2]]
    return "".join(parts)


def _parameters(names: str, text: str) -> list[str]:
    return [f":param {name}: {text}" for name in names.split(", ")]


def _sections(lines: list[str]) -> list[str]:
    """Underlined headings and what is below them as field lists."""
    out: list[str] = []
    field = ""
    for number, line in enumerate(lines):
        following = lines[number + 1] if number + 1 < len(lines) else ""
        if line in _FIELDS and following and set(following) == {"-"}:
            field, opened = line, False
        elif field and line and set(line) == {"-"}:
            continue
        elif field and line.strip():
            starts = not line.startswith(" ") and (field == "Parameters" or not opened)
            out.extend((_FIELDS[field](line) if starts else f"    {line.strip()}").split("\n"))
            opened = True
        else:
            out.append(line)
    return out
