"""The base of everything a person writes in a configuration: strict, frozen, explained.

Numbers may be given as strings (YAML reads ``1e-2`` as one); nan, infinities and booleans are
refused. :func:`parse` turns every problem of a mapping into one message that names the key's path.
"""

import difflib
import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from descentflow.errors import ConfigurationError

Path = tuple[str | int, ...]


class Model(BaseModel):
    """A frozen mapping whose unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError("a number is needed")
    try:
        number = float(value)
    except (ValueError, OverflowError):
        raise ValueError("a number is needed") from None
    if not math.isfinite(number):
        raise ValueError("a finite number is needed")
    return number


def _whole(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and value.strip().lstrip("+-").isdigit() and len(value) < 40:
        return int(value)
    number = _number(value)
    if number != math.floor(number):
        raise ValueError("a whole number is needed")
    return int(number)


MAGNITUDE = 1e100
Number = Annotated[float, BeforeValidator(_number), Field(ge=-MAGNITUDE, le=MAGNITUDE)]
Positive = Annotated[float, BeforeValidator(_number), Field(gt=0, le=MAGNITUDE)]
Whole = Annotated[int, BeforeValidator(_whole)]

UNION_TAGS = ("<number>", "<mapping>", "<list>")
"""Tags for members of unions that no key tells apart; pydantic puts them into its locations."""


def number_or_mapping(value: object) -> str:
    """The tag of a value that may be either."""
    return UNION_TAGS[isinstance(value, Mapping | Model)]


M = TypeVar("M", bound=BaseModel)
Finding = tuple[Path, str]
"""A key's path and what is wrong with it."""


def parse(model: type[M], mapping: object) -> M:
    """Validate ``mapping`` as ``model``.

    Raises ConfigurationError with one line per problem, each starting with the key's path.
    """
    try:
        return model.model_validate(mapping)
    except ValidationError as error:
        raise ConfigurationError(report(explain(error, model))) from None


def report(findings: Sequence[Finding]) -> str:
    """One line per finding, each once."""
    return "\n".join(dict.fromkeys(f"{dotted(path)}: {text}" for path, text in findings))


def explain(error: ValidationError, model: Any) -> list[Finding]:
    """What is wrong where: what was found, what is allowed."""
    details = error.errors(include_url=False)
    locations = [detail["loc"] for detail in details]

    def follows(detail: ErrorDetails) -> bool:
        """Whether a list is short only because some of its entries are wrong."""
        inside = (loc[: len(detail["loc"])] == detail["loc"] for loc in locations)
        return detail["type"] == "too_short" and sum(inside) > 1

    return [_finding(detail, model) for detail in details if not follows(detail)]


def dotted(path: Sequence[str | int]) -> str:
    """``("studies", "x", "knots", 2)`` as ``studies.x.knots[2]``."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text or "(top level)"


def _finding(detail: ErrorDetails, model: Any) -> Finding:
    location, found = detail["loc"], _shown(detail["input"])
    context: Mapping[str, Any] = detail.get("ctx", {})
    path = _keys(location, model)
    match detail["type"]:
        case "extra_forbidden":
            allowed = allowed_keys(model, location[:-1])
            hint = _nearest(str(location[-1]), allowed)
            path = (*_keys(location[:-1], model), location[-1])
            return path, f"unknown key{hint}; allowed: {', '.join(allowed)}"
        case "missing":
            return path, "missing; it is required"
        case "union_tag_not_found":
            return path, f"needs a key {context['discriminator']}, found {found}"
        case "union_tag_invalid":
            allowed = [tag.strip().strip("'") for tag in str(context["expected_tags"]).split(",")]
            tag = str(context["tag"])
            path = (*path, str(context["discriminator"]).strip("'"))
            return path, f"found '{tag}'{_nearest(tag, allowed)}; allowed: {', '.join(allowed)}"
        case "literal_error":
            allowed = str(context["expected"]).replace("'", "").replace(" or ", ", ").split(", ")
            hint = _nearest(str(detail["input"]), allowed)
            return path, f"found {found}{hint}; allowed: {', '.join(allowed)}"
        case "model_type" | "model_attributes_type" | "dict_type":
            return path, f"a mapping (key: value) is needed, found {found}"
        case "value_error" if isinstance(context["error"], ConfigurationError):
            return (*path, *context["error"].where), context["error"].text
        case "value_error":
            return path, f"{context['error']}, found {found}"
        case _:
            return path, f"{detail['msg'].replace('Input', 'it', 1)}, found {found}"


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _nearest(word: str, allowed: Sequence[str]) -> str:
    close = difflib.get_close_matches(word, allowed, n=1)
    return f" (did you mean '{close[0]}'?)" if close else ""


def _members(annotation: Any) -> list[Any]:
    """The models an annotation may stand for, ``Annotated`` and unions opened."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    if get_origin(annotation) is Literal:
        return []
    return [model for argument in get_args(annotation) for model in _members(argument)]


def _tags(model: type[BaseModel]) -> set[object]:
    return {
        tag
        for field in model.model_fields.values()
        if get_origin(field.annotation) is Literal
        for tag in get_args(field.annotation)
    }


def _descend(models: list[Any], part: str | int) -> tuple[list[Any], bool]:
    """Models one location part further down, and whether the part is a key of the input."""
    if part in UNION_TAGS:
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
        for inner in _members(model.model_fields[str(part)].annotation)
    ]
    return (below or models if isinstance(part, int) else below), True


def _keys(location: Path, model: Any) -> Path:
    """The location without the tags that pydantic adds for members of a union."""
    models, keys = _members(model), []
    for part in location:
        models, is_key = _descend(models, part)
        if is_key:
            keys.append(part)
    return tuple(keys)


def allowed_keys(model: Any, location: Path) -> list[str]:
    """The keys the mapping at ``location`` may have."""
    models = _members(model)
    for part in location:
        models, _ = _descend(models, part)
    return sorted({name for m in models for name in m.model_fields})
