"""What is wrong with a mapping, told to who wrote it: where, what was found, what is allowed.

:func:`explain` turns pydantic's errors into findings; :func:`report` makes one line of each.
"""

import difflib
import math
import re
import reprlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from descentflow.errors import ConfigurationError

Path = tuple[str | int, ...]
ConfigProblem = tuple[Path, str]
"""A key's path and what is wrong with it."""

UNION_TAGS = ("<number>", "<mapping>", "<list>")
"""Tags for members of unions that no key tells apart; pydantic puts them into its locations."""

LONGEST = 80
"""Characters of a value or a key that a message shows."""

MAX_PROBLEMS = 50
"""Lines of a report; more are counted."""


class _Short(reprlib.Repr):
    """Values cut to a glance, whole numbers of thousands of digits too."""

    def repr_int(self, x: int, level: int) -> str:  # noqa: ARG002
        if abs(x) < 10**LONGEST:
            return repr(x)
        return f"a whole number of {math.floor(x.bit_length() * math.log10(2.0)) + 1} digits"


_SHORT = _Short()
_SHORT.maxdict = _SHORT.maxlist = _SHORT.maxtuple = _SHORT.maxset = 6
_SHORT.maxlevel, _SHORT.maxstring, _SHORT.maxother = 3, LONGEST, LONGEST


def report(findings: Sequence[ConfigProblem]) -> str:
    """One line per finding, each once; the first MAX_PROBLEMS and how many there are beyond."""
    lines = list(dict.fromkeys(f"{dotted(path)}: {text}" for path, text in findings))
    beyond = len(lines) - MAX_PROBLEMS
    if beyond > 0:
        lines[MAX_PROBLEMS:] = [f"(top level): and {beyond} more problems like these"]
    return "\n".join(lines)


def dotted(path: Sequence[str | int]) -> str:
    """``("studies", "x", "knots", 2)`` as ``studies.x.knots[2]``."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{_printable(part)}" if text else _printable(part)
    return text or "(top level)"


def shown(value: object) -> str:
    """A value as a message shows it, cut, whatever its size."""
    text = repr(value) if isinstance(value, str | float) else _SHORT.repr(value)
    text = text if text.isprintable() else ascii(text)
    return text if len(text) <= LONGEST else text[: LONGEST - 3] + "..."


def nearest(word: str, allowed: Sequence[str]) -> str:
    """`` (did you mean 'x'?)``, or nothing where no allowed word is near."""
    close = difflib.get_close_matches(word[:LONGEST], allowed, n=1)
    return f" (did you mean '{close[0]}'?)" if close else ""


def unknown(key: object, allowed: Sequence[str], hint: str = "") -> str:
    """What to say about a key that is none of those allowed."""
    hint = nearest(str(key), allowed) or hint
    return f"unknown key{hint}; allowed: {', '.join(allowed)}"


def explain(error: ValidationError, model: Any) -> list[ConfigProblem]:
    """What is wrong where: what was found, what is allowed."""
    details = error.errors(include_url=False)
    locations = [detail["loc"] for detail in details]

    def follows(detail: ErrorDetails) -> bool:
        """Whether a list is short only because some of its entries are wrong."""
        inside = (loc[: len(detail["loc"])] == detail["loc"] for loc in locations)
        return detail["type"] == "too_short" and sum(inside) > 1

    return [_finding(detail, model) for detail in details if not follows(detail)]


def allowed_keys(model: Any, location: Path) -> list[str]:
    """The keys the mapping at ``location`` may have."""
    models = members(model)
    for part in location:
        models, _ = _descend(models, part)
    return sorted({name for m in models for name in m.model_fields})


def members(annotation: Any) -> list[Any]:
    """The models an annotation may stand for, ``Annotated`` and unions opened."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    if get_origin(annotation) is Literal:
        return []
    return [model for argument in get_args(annotation) for model in members(argument)]


def limits(annotation: Any, metadata: Sequence[Any] = ()) -> str:
    """Say the range of a number in words; empty where it has no narrow one."""
    constraints = list(_constraints(annotation, metadata))

    def tightest(bound: str, choose: Callable[[list[float]], float]) -> float | None:
        values = [getattr(c, bound) for c in constraints if getattr(c, bound, None) is not None]
        return choose(values) if values else None

    return number_range(
        *(tightest(b, max if b[0] == "g" else min) for b in ("ge", "le", "gt", "lt"))
    )


def number_range(
    low: float | None, high: float | None, above: float | None = None, below: float | None = None
) -> str:
    """Say in words which numbers are at least ``low``, at most ``high``, above and below others.

    Such as ``above 0, to 100``; empty where nothing bounds them.
    """
    least = max((b for b in (low, above) if b is not None), default=None)
    most = min((b for b in (high, below) if b is not None), default=None)
    if least is None or most is None:
        return "" if least is None else f"at least {number(least)}"
    if least == above and most == below:
        return f"between {number(least)} and {number(most)}, both excluded"
    if least == above:
        return f"above {number(least)}, to {number(most)}"
    return f"{number(least)} to {number(most)}" + (" (excluded)" if most == below else "")


def number(value: float) -> str:
    """A bound, short."""
    if value == 2**63:
        return "2^63"
    if isinstance(value, int) and abs(value) < 10**6:
        return str(value)
    return re.sub(r"e([+-])0*", lambda sign: f"e{sign[1].strip('+')}", f"{value:g}")


def _constraints(annotation: Any, metadata: Sequence[Any]) -> Iterator[Any]:
    for item in metadata:
        yield from _constraints(None, item.metadata) if isinstance(item, FieldInfo) else [item]
    if get_origin(annotation) is Literal:
        return
    yield from getattr(annotation, "__metadata__", ())
    for item in getattr(annotation, "__metadata__", ()):
        if isinstance(item, FieldInfo):
            yield from item.metadata
    for argument in get_args(annotation):
        if not (isinstance(argument, type) and issubclass(argument, BaseModel)):
            yield from _constraints(argument, ())


def _finding(detail: ErrorDetails, model: Any) -> ConfigProblem:
    location, found = detail["loc"], shown(detail["input"])
    context: Mapping[str, Any] = detail.get("ctx", {})
    path = _keys(location, model)
    match detail["type"]:
        case "extra_forbidden":
            allowed = allowed_keys(model, location[:-1])
            path = (*_keys(location[:-1], model), location[-1])
            return path, unknown(location[-1], allowed, _elsewhere(str(location[-1]), model))
        case "invalid_key":
            allowed = allowed_keys(model, location[:-1])
            return _keys(
                location[:-1], model
            ), f"the key {found} is no word; allowed: " + ", ".join(allowed)
        case "missing":
            return path, "missing; it is required" + _allowed(model, location)
        case "union_tag_not_found":
            key = str(context["discriminator"]).strip("'")
            tags = ", ".join(_tag_values(members_at(model, location), key))
            return path, f"needs a key '{key}', found {found}; allowed for it: {tags}"
        case "union_tag_invalid":
            allowed = [tag.strip().strip("'") for tag in str(context["expected_tags"]).split(",")]
            tag = str(context["tag"])
            path = (*path, str(context["discriminator"]).strip("'"))
            return path, f"found {shown(tag)}{nearest(tag, allowed)}; allowed: {', '.join(allowed)}"
        case "literal_error":
            allowed = str(context["expected"]).replace("'", "").replace(" or ", ", ").split(", ")
            hint = (
                nearest(str(detail["input"]), allowed) if isinstance(detail["input"], str) else ""
            )
            return path, f"found {found}{hint}; allowed: {', '.join(allowed)}"
        case "model_type" | "model_attributes_type" | "dict_type":
            return (
                path,
                f"a mapping (key: value) is needed, found {found}{_allowed(model, location)}",
            )
        case "value_error" if isinstance(context["error"], ConfigurationError):
            return (*path, *context["error"].where), context["error"].text
        case "value_error":
            return path, f"{context['error']}, found {found}{_allowed(model, location)}"
        case "too_short" | "too_long":
            bound = "at least" if detail["type"] == "too_short" else "at most"
            size = context.get("min_length", context.get("max_length"))
            return path, f"a list of {bound} {size} value(s) is needed, found {found}"
        case "string_pattern_mismatch":
            return path, f"has a character that is not allowed here, found {found}"
        case "string_too_short" | "string_too_long":
            bound = "at least" if detail["type"] == "string_too_short" else "at most"
            size = context.get("min_length", context.get("max_length"))
            return path, f"text of {bound} {size} character(s) is needed, found {found}"
        case "string_unicode":
            return path, f"text of Unicode characters is needed, found {found}"
        case "tuple_type" | "list_type":
            return path, f"a list is needed, found {found}"
        case "string_type":
            return path, f"text is needed, found {found}"
        case _:
            text = detail["msg"].replace("Input", "it", 1)
            return path, f"{text}, found {found}{_allowed(model, location)}"


def _printable(key: object) -> str:
    text = str(key)
    text = text if text.isprintable() and text else ascii(text)
    return text if len(text) <= LONGEST else text[: LONGEST - 3] + "..."


def _allowed(model: Any, location: Path) -> str:
    """``; allowed: ..`` for the key at a location: its words or its range, if it has some."""
    models = members(model)
    if not location:
        return f"; its keys: {', '.join(allowed_keys(model, ()))}"
    for part in location[:-1]:
        models, is_key = _descend(models, part)
        if not is_key and part in UNION_TAGS:
            return ""
    fields = [m.model_fields[str(location[-1])] for m in models if location[-1] in m.model_fields]
    if len(fields) != 1:
        return ""
    (field,) = fields
    if get_origin(field.annotation) is Literal:
        return f"; allowed: {', '.join(map(str, get_args(field.annotation)))}"
    if inner := members(field.annotation):
        keys = sorted({name for m in inner for name in m.model_fields})
        return f"; its keys: {', '.join(keys)}"
    span = limits(field.annotation, field.metadata)
    return f"; allowed: {span}" if span else ""


def _elsewhere(word: str, model: Any) -> str:
    """A hint where the word is a key of another mapping than the one it stands in."""
    waiting: list[tuple[Path, Any]] = [((), m) for m in members(model)]
    seen = set()
    while waiting:
        path, known = waiting.pop(0)
        if word in known.model_fields and path:
            return f" here; did you mean '{dotted((*path, word))}'?"
        seen.add(known)
        waiting += [
            ((*path, name), inner)
            for name in known.model_fields
            for inner in _below(known, name)
            if inner not in seen
        ]
    return ""


@cache
def _below(model: type[BaseModel], key: str) -> tuple[Any, ...]:
    """The models that may stand below a key."""
    return tuple(members(model.model_fields[key].annotation))


@cache
def _tags(model: type[BaseModel]) -> set[object]:
    return {
        tag
        for field in model.model_fields.values()
        if get_origin(field.annotation) is Literal
        for tag in get_args(field.annotation)
    }


def _tag_values(models: Sequence[type[BaseModel]], key: str) -> list[str]:
    """The words that tell the models of a union apart."""
    known = [m.model_fields[key].annotation for m in models if key in m.model_fields]
    return list(dict.fromkeys(str(tag) for annotation in known for tag in get_args(annotation)))


def members_at(model: Any, location: Path) -> list[Any]:
    """The models that may stand at a location."""
    models = members(model)
    for part in location:
        models, _ = _descend(models, part)
    return models


def _descend(models: list[Any], part: str | int) -> tuple[list[Any], bool]:
    """Models one location part further down, and whether the part is a key of the input."""
    if part in UNION_TAGS or str(part).startswith(("function-wrap[", "function-after[")):
        return models, False
    tagged = [m for m in models if part in _tags(m)]
    if len(models) > 1 and tagged:
        return tagged, False
    named = [m for m in models if m.__name__ == part]
    if named:
        return named, False
    below = [
        inner
        for model in models
        if str(part) in model.model_fields
        for inner in _below(model, str(part))
    ]
    return (below or models if isinstance(part, int) else below), True


def _keys(location: Path, model: Any) -> Path:
    """The location without the tags that pydantic adds for members of a union."""
    models, keys = members(model), []
    for part in location:
        models, is_key = _descend(models, part)
        if is_key:
            keys.append(part)
    return tuple(keys)
