"""The JSON schema of the configuration, by which editors complete and check a file while it is written.

It is made from the models and refuses as much of what ``validate.check`` refuses as a schema can
say: kinds, keys, words, ranges, and what an experiment needs of them. It never refuses what
``check`` accepts. A swept key need not be given elsewhere, and what is given there is not looked at.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from pydantic.json_schema import models_json_schema

from descentflow.config.catalogue import STUDIES
from descentflow.config.study import ExperimentType
from descentflow.config.sweeps import MAX_RUNS, UNSWEPT
from descentflow.config.validate import Outputs, configuration_model
from descentflow.schema.messages import members
from descentflow.schema.model import TEXT_PATTERN, Model

Schema = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"
SWEEP = (
    "dotted keys, such as network.hidden, and lists of values; every combination of the values is a "
    "setting"
)

WIDTH = 100
"""Characters of a line, where a value can be broken."""

_BOUNDS = {"ge": "minimum", "gt": "exclusiveMinimum", "le": "maximum", "lt": "exclusiveMaximum"}


def json_schema() -> Schema:
    """The schema of a configuration file, draft 2020-12."""
    studies = {name: _study(name) for name in STUDIES}
    models = {kind.model for study in STUDIES.values() for kind in study.experiments.values()}
    ordered: list[type[Model]] = sorted(models, key=lambda model: model.__name__)
    known: list[type[Model]] = [*ordered, Outputs]
    modes: list[tuple[type[Model], Literal["validation"]]] = [(m, "validation") for m in known]
    _, made = models_json_schema(modes, ref_template="#/$defs/{model}")
    defs = {name: _adapted(schema) for name, schema in made["$defs"].items()}
    for model in ordered:
        blocks = defs[model.__name__]["properties"]
        defs |= {
            _leaf_name(model, block, leaf): schema
            for block in blocks
            for leaf, schema in _leaves(model, block).items()
        }
        defs[model.__name__] = _experiment(model, blocks)
    for study in STUDIES.values():
        for kind in study.experiments.values():
            defs.setdefault(_name(kind), _limited(kind))
    defs["number in words"] = {"type": "string", "pattern": TEXT_PATTERN}
    return {
        "$schema": DIALECT,
        "title": "descentflow configuration",
        "description": "What may be written in config.yaml; docs/configuration.md is about the same.",
        "type": "object",
        "properties": {
            "seed": _adapted(_top("seed")),
            "outputs": {**_described(configuration_model(), "outputs"), "$ref": "#/$defs/Outputs"},
            "studies": {
                **_described(configuration_model(), "studies"),
                "type": "object",
                "properties": studies,
                "additionalProperties": False,
                "minProperties": 1,
            },
        },
        "required": ["seed", "studies"],
        "additionalProperties": False,
        "$defs": dict(sorted(defs.items())),
    }


def text() -> str:
    """The schema as config/schema.json holds it: what fits into a line stands in one."""
    return _laid_out(json_schema(), "") + "\n"


def _laid_out(value: Any, indent: str) -> str:
    short = json.dumps(value, ensure_ascii=False)
    if len(indent) + len(short) <= WIDTH or not isinstance(value, dict | list) or not value:
        return short
    inner = indent + "  "
    if isinstance(value, list):
        parts = [_laid_out(item, inner) for item in value]
        brackets = "[]"
    else:
        parts = [
            f"{json.dumps(key, ensure_ascii=False)}: {_laid_out(item, inner)}"
            for key, item in value.items()
        ]
        brackets = "{}"
    lines = ",\n".join(inner + part for part in parts)
    return f"{brackets[0]}\n{lines}\n{indent}{brackets[1]}"


def _top(name: str) -> Schema:
    return dict(configuration_model().model_json_schema()["properties"][name])


def _described(model: type[Model], name: str) -> Schema:
    return {"description": model.model_fields[name].description}


def _study(study: str) -> Schema:
    given = {
        "type": "object",
        "properties": {
            name: {"anyOf": [{"$ref": f"#/$defs/{_name(kind)}"}, {"type": "null"}]}
            for name, kind in STUDIES[study].experiments.items()
        },
        "additionalProperties": False,
        "minProperties": 1,
    }
    description = f"{STUDIES[study].description}, {STUDIES[study].paper}"
    return {"description": description, "anyOf": [given, {"type": "null"}]}


def _name(kind: ExperimentType) -> str:
    words = (kind.targets, kind.activations, kind.methods)
    if not any(words):
        return kind.model.__name__
    return f"Experiment for {'; '.join(' or '.join(some) or 'any' for some in words)}"


def _limited(kind: ExperimentType) -> Schema:
    """The experiment's schema, with the words it is about."""
    words = {
        ("target", "kind"): kind.targets,
        ("network", "activation"): kind.activations,
        ("training", "method"): kind.methods,
    }
    rules = [
        rule
        for (block, leaf), allowed in words.items()
        if allowed
        for rule in _narrowed(block, leaf, list(allowed))
    ]
    return {"allOf": [{"$ref": f"#/$defs/{kind.model.__name__}"}, *rules]}


def _narrowed(block: str, leaf: str, allowed: list[str]) -> Iterator[Schema]:
    one = {"properties": {leaf: {"enum": allowed}}}
    narrow = {**one, "items": one} if block == "target" else one
    yield _unless_swept(rf"^{block}(\.{leaf})?$", {"properties": {block: narrow}})
    swept = {f"{block}.{leaf}": {"items": {"enum": allowed}}}
    yield {"properties": {"sweep": {"properties": swept}}}
    yield {
        "properties": {
            "sweep": _without(rf"^{block}\.{leaf}$", {"properties": {block: {"items": narrow}}})
        }
    }


def _experiment(model: type[Model], blocks: Mapping[str, Schema]) -> Schema:
    rules = [rule for name in blocks for rule in _block_rules(model, name, blocks[name])]
    described = {name: {"description": block["description"]} for name, block in blocks.items()}
    return {
        "description": _prose(model.__doc__ or ""),
        "type": "object",
        "properties": {**described, "sweep": _sweep(model, blocks)},
        "additionalProperties": False,
        "allOf": rules,
    }


def _block_rules(model: type[Model], name: str, strict: Schema) -> Iterator[Schema]:
    """A block is as its model says; where keys below it are swept, its other keys are."""
    required = {"required": [name]} if model.model_fields[name].is_required() else {}
    yield _unless_swept(rf"^{name}(\.|$)", {"properties": {name: strict}, **required})
    leaves = _leaves(model, name)
    loose = {"type": "object", "propertyNames": {"enum": list(leaves)}}
    rules: list[Schema] = [{"properties": {name: loose}}]
    for leaf in leaves:
        known = {"properties": {leaf: {"$ref": f"#/$defs/{_leaf_name(model, name, leaf)}"}}}
        rules.append(_unless_swept(rf"^{name}\.{leaf}(\.|$)", {"properties": {name: known}}))
    some_swept = {"if": _unswept(rf"^{name}\."), "else": {"allOf": rules}}
    yield _unless_swept(rf"^{name}$", some_swept)


def _sweep(model: type[Model], blocks: Mapping[str, Schema]) -> Schema:
    properties: Schema = {}
    rules: list[Schema] = []
    for name, strict in blocks.items():
        properties[name] = _list()
        rules.append(_without(rf"^{name}\.", {"properties": {name: _list(strict)}}))
        for leaf in _leaves(model, name):
            schema = {"$ref": f"#/$defs/{_leaf_name(model, name, leaf)}"}
            key = f"{name}.{leaf}"
            if key in UNSWEPT:
                continue
            properties[key] = _list()
            inner = _inner(model, name, leaf)
            rules.append(
                _without(rf"^{name}\.{leaf}\.", {"properties": {key: _list(schema)}})
                if inner
                else {"properties": {key: _list(schema)}}
            )
            properties |= {f"{key}.{deep}": _list(s) for deep, s in inner.items()}
    return {
        "description": SWEEP,
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
        "allOf": rules,
    }


def _list(items: Schema | None = None) -> Schema:
    some = {"type": "array", "minItems": 1, "maxItems": MAX_RUNS}
    return {**some, "items": items} if items else some


def _leaf_name(model: type[Model], block: str, leaf: str) -> str:
    return f"{model.__name__}.{block}.{leaf}"


def _leaves(model: type[Model], block: str) -> dict[str, Schema]:
    """The keys of a block, of whatever kind it is, and what each may be."""
    found: dict[str, list[Schema]] = {}
    for member in members(model.model_fields[block].annotation):
        for name, schema in member.model_json_schema(ref_template="#/$defs/{model}")[
            "properties"
        ].items():
            adapted = _adapted(schema)
            if adapted not in found.setdefault(name, []):
                found[name].append(adapted)
    return {
        name: some[0] if len(some) == 1 else {"anyOf": some} for name, some in sorted(found.items())
    }


def _inner(model: type[Model], block: str, leaf: str) -> dict[str, Schema]:
    """The keys below a key of a block, where it may be a mapping."""
    return {
        name: _adapted(schema)
        for member in members(model.model_fields[block].annotation)
        if leaf in member.model_fields
        for inner in members(member.model_fields[leaf].annotation)
        for name, schema in inner.model_json_schema()["properties"].items()
    }


def _unswept(pattern: str) -> Schema:
    """No swept key is like the pattern."""
    return {"properties": {"sweep": {"propertyNames": {"not": {"pattern": pattern}}}}}


def _unless_swept(pattern: str, rule: Schema) -> Schema:
    return {"if": _unswept(pattern), "then": rule}


def _without(pattern: str, rule: Schema) -> Schema:
    """A rule for sweeps without keys like the pattern."""
    return {"if": {"propertyNames": {"not": {"pattern": pattern}}}, "then": rule}


def _adapted(schema: Any) -> Any:
    """Pydantic's schema with numbers in words allowed, its own keywords translated or left out."""
    if isinstance(schema, list):
        return [_adapted(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    adapted = {
        key: _prose(value) if key == "description" and isinstance(value, str) else _adapted(value)
        for key, value in schema.items()
        if not (key == "title" and isinstance(value, str))
        and not (key == "discriminator" and "propertyName" in value)
        and key not in _BOUNDS
    }
    if adapted.get("type") not in ("number", "integer"):
        return adapted
    for short, keyword in _BOUNDS.items():
        if short in schema:
            tightest = max if short.startswith("g") else min
            adapted[keyword] = tightest(schema[short], schema.get(keyword, schema[short]))
    numeric = ("type", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
    number = {key: adapted[key] for key in numeric if key in adapted}
    rest = {key: value for key, value in adapted.items() if key not in numeric}
    return {**rest, "anyOf": [number, {"$ref": "#/$defs/number in words"}]}


def _prose(text: str) -> str:
    """The first paragraph of a docstring or a description, without markup."""
    first = re.sub(r"\s+", " ", text.strip().split("\n\n")[0])
    first = re.sub(r":\w+:`~?([^`]*)`", r"\1", first)
    return first.replace("``", "`")
