"""The JSON schema of the configuration, by which editors complete and check a file as it is written.

It is pydantic's schema of the models, with numbers in words, sweeps, and the words that each experiment
is limited to. It accepts what :func:`descentflow.config.validate.check` accepts, apart from values that
a sweep replaces; beside a sweep no key is required.
"""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

from descentflow.config.catalogue import STUDIES
from descentflow.config.study import ANY_NAME, NAME_PATTERN, ExperimentType
from descentflow.config.sweeps import MAX_RUNS, unswept
from descentflow.config.validate import configuration_model
from descentflow.schema.model import TEXT_PATTERN, Model

Schema = dict[str, Any]

_BOUNDS = {"ge": "minimum", "gt": "exclusiveMinimum", "le": "maximum", "lt": "exclusiveMaximum"}
_SWEEP = "dotted keys and lists of values; every combination of the values is a setting"


def text() -> str:
    """Write the schema as config/schema.json holds it."""
    return json.dumps(json_schema(), indent=1, ensure_ascii=False) + "\n"


def json_schema() -> Schema:
    """Make the schema of a configuration file, draft 2020-12."""
    schema = model_schema(configuration_model())
    definitions: Schema = {"number in words": {"type": "string", "pattern": TEXT_PATTERN}}
    for study in STUDIES.values():
        block, _ = schema["properties"]["studies"]["properties"][study.name]["anyOf"]
        for name, kind in study.experiments.items():
            model = kind.model.__name__
            definitions[model] = _experiment(kind.model)
            limited = [{"$ref": f"#/$defs/{model}"}, *_limits(kind)]
            experiment = {"anyOf": [{"allOf": limited}, {"type": "null"}]}
            if name == ANY_NAME:
                block |= {"patternProperties": {NAME_PATTERN: experiment}}
                block["additionalProperties"] = False
            else:
                block["properties"][name] = experiment
    dialect = "https://json-schema.org/draft/2020-12/schema"
    title = "descentflow configuration, explained in docs/configuration.md"
    whole = {"$schema": dialect, "title": title, **schema, "$defs": definitions}
    return dict(_map(whole, _with_words))


def model_schema(model: type[Model]) -> Schema:
    """Make pydantic's schema of a model without references, its bounds and texts as we show them."""
    schema = model.model_json_schema()
    definitions = schema.pop("$defs", {})

    def change(part: Schema) -> Schema:
        if "$ref" in part:
            name = part.pop("$ref").removeprefix("#/$defs/")
            part = {**_map(definitions[name], change), **part}
        for short, keyword in _BOUNDS.items():
            if short in part:
                bound = part.pop(short)
                tightest = max if short.startswith("g") else min
                part[keyword] = tightest(bound, part.get(keyword, bound))
        if isinstance(part.get("title"), str):
            del part["title"]
        if isinstance(part.get("description"), str):
            part["description"] = _prose(part["description"])
        return part

    return dict(_map(schema, change))


def _map(schema: Any, change: Callable[[Schema], Schema]) -> Any:
    """Change every mapping in a schema, the inner ones first."""
    if isinstance(schema, list):
        return [_map(item, change) for item in schema]
    if isinstance(schema, dict):
        return change({key: _map(value, change) for key, value in schema.items()})
    return schema


def _prose(text: str) -> str:
    """Return the first paragraph of a docstring or a description, without markup."""
    first = re.sub(r"\s+", " ", text.strip().split("\n\n")[0])
    return re.sub(r":\w+:`~?([^`]*)`", r"\1", first).replace("``", "`")


def _with_words(part: Schema) -> Schema:
    """Allow a number in words, and drop what only pydantic knows."""
    if "propertyName" in part.get("discriminator", ()):
        del part["discriminator"]
    if part.get("type") not in ("number", "integer"):
        return part
    number = {key: part.pop(key) for key in ("type", *_BOUNDS.values()) if key in part}
    return {**part, "anyOf": [number, {"$ref": "#/$defs/number in words"}]}


def _relaxed(part: Schema) -> Schema:
    """Require no keys, as a sweep may give them; then several kinds of a block may fit at once."""
    part = {key: value for key, value in part.items() if key != "required"}
    return {{"oneOf": "anyOf"}.get(key, key): value for key, value in part.items()}


def _experiment(model: type[Model]) -> Schema:
    """Make the schema of an experiment, with a sweep or without one."""
    strict = model_schema(model)
    relaxed = _map(strict, _relaxed)
    values: dict[str, list[Schema]] = {}
    for key, schema in _dotted_keys(relaxed):
        if not unswept(key) and schema not in values.setdefault(key, []):
            values[key].append(schema)
    lists = {
        key: {"type": "array", "minItems": 1, "maxItems": MAX_RUNS, "items": {"anyOf": schemas}}
        for key, schemas in values.items()
    }
    sweep = {"description": _SWEEP, "type": "object", "properties": lists}
    relaxed["properties"]["sweep"] = {**sweep, "additionalProperties": False}
    return {"if": {"required": ["sweep"]}, "then": relaxed, "else": strict}


def _dotted_keys(schema: Schema, prefix: str = "") -> Iterator[tuple[str, Schema]]:
    """Yield every key of a mapping and of the mappings in it, dotted, with its schema."""
    for option in schema.get("anyOf", ()):
        yield from _dotted_keys(option, prefix)
    for name, inner in schema.get("properties", {}).items():
        yield f"{prefix}{name}", inner
        yield from _dotted_keys(inner, f"{prefix}{name}.")


def _limits(kind: ExperimentType) -> Iterator[Schema]:
    """Yield the rules that allow only the words an experiment is limited to, swept ones too."""
    for block, key, allowed in kind.words:
        words = {"enum": list(allowed)}
        one = {"properties": {key: words}}
        swept = {block: {"items": one}, f"{block}.{key}": {"items": words}}
        several = {**one, "items": one}
        yield {"properties": {block: several, "sweep": {"properties": swept}}}
