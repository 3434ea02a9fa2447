"""Problems of a mapping, told to the person who wrote it: where, what was found, what is allowed.

:func:`explain` turns pydantic's errors into problems; :func:`report` makes one line of each.
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
"""A key's path, and a text about what is wrong with its value."""

UNION_TAGS = ("<number>", "<mapping>", "<list>")
"""Tags for members of unions that no key tells apart; pydantic puts them into its locations."""

MAX_SHOWN = 80
"""Characters of a value or a key that a message shows."""

MAX_PROBLEMS = 50
"""Lines of a report; more are counted."""


class _Short(reprlib.Repr):
    """Values cut to a glance, whole numbers of thousands of digits too."""

    def repr_int(self, x: int, level: int) -> str:  # noqa: ARG002
        if abs(x) < 10**MAX_SHOWN:
            return repr(x)
        return f"a whole number of {math.floor(x.bit_length() * math.log10(2.0)) + 1} digits"


_SHORT = _Short()
_SHORT.maxdict = _SHORT.maxlist = _SHORT.maxtuple = _SHORT.maxset = 6
_SHORT.maxlevel, _SHORT.maxstring, _SHORT.maxother = 3, MAX_SHOWN, MAX_SHOWN


def report(problems: Sequence[ConfigProblem]) -> str:
    """Write one line per problem, each once: the first MAX_PROBLEMS, and how many there are beyond."""
    lines = list(dict.fromkeys(f"{dotted(path)}: {text}" for path, text in problems))
    beyond = len(lines) - MAX_PROBLEMS
    if beyond > 0:
        lines[MAX_PROBLEMS:] = [f"(top level): and {beyond} more problems like these"]
    return "\n".join(lines)


def dotted(path: Sequence[str | int]) -> str:
    """Write the path ``("studies", "x", "knots", 2)`` as ``studies.x.knots[2]``."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{_cut(str(part))}" if text else _cut(str(part))
    return text or "(top level)"


def shown(value: object) -> str:
    """Write a value of any size as a message shows it, cut to MAX_SHOWN characters."""
    return _cut(repr(value) if isinstance(value, str | float) else _SHORT.repr(value))


def _cut(text: str) -> str:
    text = text if text.isprintable() and text else ascii(text)
    return text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 3] + "..."


def nearest(word: str, allowed: Sequence[str]) -> str:
    """Ask `` (did you mean 'x'?)``, or nothing where no allowed word is near."""
    folded = {name.casefold(): name for name in allowed}
    close = difflib.get_close_matches(word[:MAX_SHOWN].casefold(), folded, n=1)
    return f" (did you mean '{folded[close[0]]}'?)" if close else ""


def explain(error: ValidationError, model: Any) -> list[ConfigProblem]:
    """Explain pydantic's errors of a model: what was found where, and what is allowed."""
    details = error.errors(include_url=False)
    locations = [detail["loc"] for detail in details]

    def follows(detail: ErrorDetails) -> bool:
        """Whether a list is short only because some of its entries are wrong."""
        inside = (loc[: len(detail["loc"])] == detail["loc"] for loc in locations)
        return detail["type"] == "too_short" and sum(inside) > 1

    return [_problem(detail, model) for detail in details if not follows(detail)]


def members(annotation: Any) -> list[Any]:
    """List the models that an annotation stands for, ``Annotated`` and unions opened."""
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
    """Write a bound, short."""
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


_NEEDED = {
    "string_pattern_mismatch": "has a character that is not allowed here",
    "string_unicode": "text of Unicode characters is needed",
    "string_type": "text is needed",
    "tuple_type": "a list is needed",
    "list_type": "a list is needed",
}


def _problem(detail: ErrorDetails, model: Any) -> ConfigProblem:
    """Make a problem of one of pydantic's errors of a model."""
    location, written = detail["loc"], shown(detail["input"])
    context: Mapping[str, Any] = detail.get("ctx", {})
    path = _keys(location, model)
    match detail["type"]:
        case "extra_forbidden":
            key, keys = str(location[-1]), _allowed_keys(model, location[:-1])
            hint = nearest(key, keys) or _elsewhere(key, model)
            path = (*_keys(location[:-1], model), location[-1])
            return path, f"unknown key{hint}; allowed: {', '.join(keys)}"
        case "invalid_key":
            keys = _allowed_keys(model, location[:-1])
            text = f"the key {written} is no word; allowed: {', '.join(keys)}"
            return _keys(location[:-1], model), text
        case "missing":
            return path, "missing; it is required" + _allowed(model, location)
        case "union_tag_not_found":
            key = str(context["discriminator"]).strip("'")
            tags = ", ".join(_tag_values(_members_at(model, location), key))
            return path, f"needs a key '{key}', found {written}; allowed for it: {tags}"
        case "union_tag_invalid":
            words = [tag.strip().strip("'") for tag in str(context["expected_tags"]).split(",")]
            tag = str(context["tag"])
            path = (*path, str(context["discriminator"]).strip("'"))
            return path, f"found {shown(tag)}{nearest(tag, words)}; allowed: {', '.join(words)}"
        case "literal_error":
            words = str(context["expected"]).replace("'", "").replace(" or ", ", ").split(", ")
            hint = nearest(detail["input"], words) if isinstance(detail["input"], str) else ""
            return path, f"found {written}{hint}; allowed: {', '.join(words)}"
        case "value_error" if isinstance(context["error"], ConfigurationError):
            return (*path, *context["error"].where), context["error"].text
        case "too_short" | "too_long" | "string_too_short" | "string_too_long" as kind:
            bound = "at least" if kind.endswith("short") else "at most"
            size = context.get("min_length", context.get("max_length"))
            what = f"text of {bound} {size} character(s)"
            if not kind.startswith("string"):
                what = f"a list of {bound} {size} value(s)"
            return path, f"{what} is needed, found {written}"
        case kind if kind in _NEEDED:
            return path, f"{_NEEDED[kind]}, found {written}"
        case "value_error":
            text = str(context["error"])
        case "model_type" | "model_attributes_type" | "dict_type":
            text = "a mapping (key: value) is needed"
        case _:
            text = detail["msg"].replace("Input", "it", 1)
    return path, f"{text}, found {written}{_allowed(model, location)}"


def _allowed(model: Any, location: Path) -> str:
    """Write ``; allowed: ..`` for the key at a location: its words or its range, if it has some."""
    models = members(model)
    if not location:
        return f"; its keys: {', '.join(_allowed_keys(model, ()))}"
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
        return f"; its keys: {', '.join(_field_names(inner))}"
    span = limits(field.annotation, field.metadata)
    return f"; allowed: {span}" if span else ""


def _allowed_keys(model: Any, location: Path) -> list[str]:
    """List the keys that the mapping at a location may have."""
    return _field_names(_members_at(model, location))


def _field_names(models: Sequence[type[BaseModel]]) -> list[str]:
    return sorted({name for model in models for name in model.model_fields})


def _elsewhere(word: str, model: Any) -> str:
    """Hint at another mapping than the one it stands in, if the word is a key of that."""
    waiting: list[tuple[Path, Any]] = [((), member) for member in members(model)]
    seen = set()
    while waiting:
        path, holder = waiting.pop(0)
        if word in holder.model_fields and path:
            return f" here; did you mean '{dotted((*path, word))}'?"
        seen.add(holder)
        waiting += [
            ((*path, name), inner)
            for name in holder.model_fields
            for inner in _below(holder, name)
            if inner not in seen
        ]
    return ""


@cache
def _below(model: type[BaseModel], key: str) -> tuple[Any, ...]:
    """List the models that may stand below a key."""
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
    """List the words that tell the models of a union apart."""
    annotations = [m.model_fields[key].annotation for m in models if key in m.model_fields]
    return list(
        dict.fromkeys(str(tag) for annotation in annotations for tag in get_args(annotation))
    )


def _members_at(model: Any, location: Path) -> list[Any]:
    """List the models that may stand at a location."""
    models = members(model)
    for part in location:
        models, _ = _descend(models, part)
    return models


def _descend(models: list[Any], part: str | int) -> tuple[list[Any], bool]:
    """Return the models one part of a location further down, and whether it is a key of the input."""
    if part in UNION_TAGS or str(part).startswith(("function-wrap[", "function-after[")):
        return models, False
    # A union and a list of it name their members twice.
    tagged = list(dict.fromkeys(m for m in models if part in _tags(m)))
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
    """Return a location without the tags that pydantic adds for members of a union."""
    models, keys = members(model), []
    for part in location:
        models, is_key = _descend(models, part)
        if is_key:
            keys.append(part)
    return tuple(keys)
