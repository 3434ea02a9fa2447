"""docs/configuration.md: every key of the configuration, made from the schema of its models."""

import copy
import inspect
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from descentflow.config.catalogue import STUDIES
from descentflow.config.json_schema import Schema, model_schema
from descentflow.config.study import ExperimentType, Study
from descentflow.config.sweeps import ABOUT_ALL, MAX_RUNS, UNSWEPT
from descentflow.config.validate import Configuration
from descentflow.schema.messages import number, number_range
from descentflow.schema.model import MAGNITUDE, Model

TAGS = ("law", "kind", "method", "measure")
"""Keys that tell the kinds of a block apart."""

_INTRODUCTION = """\
# Configuration reference

Every key of `config.yaml`, its type, what is allowed, and what it means. This page is made from the
models that check a configuration (`make reference`); how sweeps and formulas work, and how files are
laid out, is told with examples in [config/README.md](../config/README.md).

Everything is checked before the first job starts, and every problem of a file is reported at once,
with the path of its key, what was found and what is allowed. Unknown keys are errors.

```bash
descentflow check                    # config.yaml; or name another file
descentflow schema > /dev/null       # the JSON schema by which editors complete: config/schema.json
```

Numbers may be written as strings, since YAML reads `1e-2` as one; a whole number may be written
`1e5`. nan and infinities are refused, and so is any number beyond ±1e100. A key without a default is
required.

## Top level

`studies` is required and holds at least one study; those left out are not run."""

_STUDIES = """\
## Studies and experiments

An experiment is left out by leaving out its key. What an experiment needs is checked with everything
else; a figure is drawn where its experiment is there."""

_SWEEP = f"""\
## `sweep`

Every experiment may have the key `sweep`: a mapping of dotted keys to lists of values, of which every
combination is a setting, at most {MAX_RUNS:,} of them. A swept key need not be given elsewhere. A
value may be a whole mapping (`network: [{{hidden: 1}}, {{hidden: 2}}]`). No setting may occur twice.
These cannot be swept, since the largest value contains the others: {", ".join(UNSWEPT)};
nor can these, since they are about all settings: {", ".join(ABOUT_ALL)}."""


def markdown() -> str:
    """Write the page."""
    parts = [_INTRODUCTION, _keys(model_schema(Configuration)), _STUDIES]
    families: dict[frozenset[type[Model]], list[Study]] = {}
    for study in STUDIES.values():
        parts += _study(study)
        models = frozenset(kind.model for kind in study.experiments.values())
        families.setdefault(models, []).append(study)
    known: dict[str, Schema] = {}
    for studies in families.values():
        parts += _family(studies, known)
    return "\n\n".join([*parts, _SWEEP]) + "\n"


def _study(study: Study) -> Iterator[str]:
    """Yield a study's description and what its experiments require."""
    yield f"### `{study.name}`"
    yield f"{_sentence(f'{study.description}, {study.paper}')} See [its page]({study.name}.md)."
    required = {name: list(_requirements(kind)) for name, kind in study.experiments.items()}
    first, *others = required.values()
    common = [text for text in first if all(text in texts for texts in others)]
    if common:
        noun = "All its experiments need" if others else "Its experiment needs"
        yield f"{noun}: {'; '.join(common)}."
    rows = []
    for name, texts in required.items():
        figures = [title for title, figure in study.figures.items() if figure.experiment == name]
        own = "; ".join(text for text in texts if text not in common)
        rows.append((f"`{name}`", own, _words(figures)))
    yield _table(("experiment", "needs also", "figures"), rows)


def _requirements(kind: ExperimentType) -> Iterator[str]:
    """Yield in words what an experiment requires beyond its model."""
    for _, key, allowed in kind.words:
        name = "target" if key == "kind" else key
        yield f"{name} {' or '.join(f'`{word}`' for word in allowed)}"
    for constraint in kind.constraints:
        text = inspect.cleandoc(constraint.find.__doc__ or "").split("\n")[0]
        yield text[:1].lower() + text[1:]
    if kind.required_experiments:
        yield f"beside it {kind.required_experiments.description}"


def _family(studies: Sequence[Study], known: dict[str, Schema]) -> Iterator[str]:
    """Yield the keys of an experiment of these studies, which have the same models.

    Blocks that are ``known`` from a family before are named alone; others join these.
    """
    yield f"## An experiment of {_words(study.name for study in studies)}"
    names: dict[type[Model], list[str]] = {}
    for name, kind in studies[0].experiments.items():
        names.setdefault(kind.model, []).append(name)
    schemas = {model: model_schema(model)["properties"] for model in names}
    fullest = max(schemas.values(), key=len)
    if len(names) > 1:
        rows = [(_words(names[m]), _missing(schemas[m], fullest)) for m in names]
        yield _table(("experiments", "keys beside `sweep`"), rows)
    same = [name for name in fullest if known.get(name) == fullest[name]]
    if same:
        yield f"{_words(same)}: as above. Beside them:"
    for name, block in fullest.items():
        if name in same:
            continue
        known.setdefault(name, copy.deepcopy(block))
        yield f"### `{name}`"
        yield _sentence(block["description"])
        yield from _block(block)


def _missing(model: Schema, fullest: Schema) -> str:
    """List the blocks of a model, and the keys of the fullest one that they do not have."""
    texts = [_words(model)]
    for name, block in model.items():
        keys = {key for member in _members(block) for key in member["properties"]}
        others = [key for member in _members(fullest[name]) for key in member["properties"]]
        texts += [f"`{name}` has no `{key}`" for key in others if key not in keys]
    return "; ".join(texts)


def _block(block: Schema) -> Iterator[str]:
    """Yield a table for each kind of a block, before them one of the keys that all kinds have."""
    members = _members(block)
    first, *others = [member["properties"] for member in members] or [{}]
    common = {
        key: schema
        for key, schema in first.items()
        if others and all(other.get(key) == schema for other in others)
    }
    if common:
        yield "Keys of every kind:"
        yield _keys({**members[0], "properties": common})
    for member in members:
        member["properties"] = {k: v for k, v in member["properties"].items() if k not in common}
        tag = next((key for key in TAGS if key in member["properties"]), "")
        if len(members) > 1 and tag:
            kind = member["properties"].pop(tag)
            allowed = f"`{tag}: {kind['const']}`: " if "const" in kind else ""
            yield f"{allowed}{kind['description']}."
        if member["properties"]:
            yield _keys(member)


def _members(schema: Schema) -> list[Schema]:
    """List the mappings that a schema allows, in lists too, each once."""
    mappings = [schema] if "properties" in schema else []
    items = [schema["items"]] if "items" in schema else []
    for option in (*schema.get("anyOf", ()), *schema.get("oneOf", ()), *items):
        mappings += [member for member in _members(option) if member not in mappings]
    return mappings


def _keys(mapping: Schema) -> str:
    """Make the table of a mapping's keys, those of mappings in it included."""
    return _table(("key", "type", "allowed", "default", "meaning"), _rows(mapping, ""))


def _rows(mapping: Schema, prefix: str) -> Iterator[tuple[str, ...]]:
    for name, schema in mapping["properties"].items():
        default = "required" if name in mapping.get("required", ()) else _default(schema)
        meaning = schema["description"].replace("|", "\\|")
        if "properties" not in schema:
            yield f"`{prefix}{name}`", _type(schema), _allowed(schema), default, meaning
        for member in _members(schema):
            yield from _rows(member, f"{prefix}{name}.")


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(line)} |" for line in (head, *rows)]
    return "\n".join([lines[0], f"|{'---|' * len(head)}", *lines[1:]])


def _options(schema: Schema) -> list[Schema]:
    """List what a value may be, but for nothing."""
    options = schema.get("anyOf") or schema.get("oneOf") or [schema]
    return [option for option in options if option.get("type") != "null"]


def _type(schema: Schema) -> str:
    """Say what is written for a key."""
    names = {
        "boolean": "truth value",
        "integer": "whole number",
        "string": "text",
        "object": "mapping",
    }
    types = []
    for option in _options(schema):
        if option["type"] == "array":
            inner = _type(option["items"]).split(" or ")
            plurals = [t.replace("list", "lists", 1) if "list" in t else f"{t}s" for t in inner]
            types.append(f"list of {' or '.join(plurals)}".replace("texts", "names"))
        else:
            words = "enum" in option or "const" in option
            types.append("word" if words else names.get(option["type"], "number"))
    return " or ".join(types)


def _allowed(schema: Schema) -> str:
    """Say which words or numbers are allowed for a key."""
    option, *_ = _options(schema)
    if option["type"] == "boolean":
        return "`true`, `false`"
    if option["type"] == "array" and "enum" in option["items"]:
        option = option["items"]
    if "enum" in option:
        return _words(option["enum"])
    bounds = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
    text = number_range(*(option.get(bound) for bound in bounds))
    if text == f"0 to {number(MAGNITUDE)}":
        return "at least 0"
    text = text.removeprefix(f"{number(-MAGNITUDE)} to {number(MAGNITUDE)}")
    return text.removesuffix(f", to {number(MAGNITUDE)}") or "any"


def _default(schema: Schema) -> str:
    value: Any = schema.get("default")
    if value in (None, []):
        return "none"
    if isinstance(value, list):
        return ", ".join(map(number, value))
    if isinstance(value, bool):
        return f"`{value}`".lower()
    return f"`{value}`" if isinstance(value, str) else number(value)


def _sentence(text: str) -> str:
    first = text[:1].upper() if text[:1].isascii() else text[:1]
    return f"{first}{text[1:]}."


def _words(words: Iterable[str]) -> str:
    return ", ".join(f"`{word}`" for word in words)
