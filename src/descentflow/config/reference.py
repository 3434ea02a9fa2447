"""docs/configuration.md: every key of the configuration, made from the models that check it."""

import inspect
import re
from collections.abc import Iterable, Iterator
from typing import Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo

from descentflow.config.catalogue import STUDIES
from descentflow.config.experiment import Experiment
from descentflow.config.study import ExperimentType
from descentflow.config.sweeps import MAX_RUNS, UNSWEPT
from descentflow.config.validate import Configuration, Outputs
from descentflow.schema.messages import limits, members, number
from descentflow.schema.model import MAGNITUDE, Model

INTRODUCTION = """\
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
"""

SWEPT = """\
## `sweep`

Every experiment may have the key `sweep`: a mapping of dotted keys to lists of values, of which every
combination is a setting, at most {most:,} of them. A swept key need not be given elsewhere. A value
may be a whole mapping (`network: [{{hidden: 1}}, {{hidden: 2}}]`). {unswept} cannot be swept, since
the largest value contains the others. No setting may occur twice.
"""


def markdown() -> str:
    """The page."""
    parts = [
        INTRODUCTION,
        "## Top level",
        _table(_rows("", Configuration, skip=("outputs", "studies")) + _rows("outputs.", Outputs)),
        "`studies` is required and holds at least one study; those left out are not run.",
        *_studies(),
        "## An experiment",
        "Of all studies but `overparameterized`.",
        *_blocks(Experiment),
        SWEPT.format(most=MAX_RUNS, unswept=_words(UNSWEPT)),
        "## An experiment of `overparameterized`",
        _kinds_of_experiments(),
        *_blocks(STUDIES["overparameterized"].experiments["training"].model),
    ]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _studies() -> Iterator[str]:
    yield "## Studies and experiments"
    yield (
        "An experiment is left out by leaving out its key. What an experiment needs is checked with "
        "everything else; a figure is drawn where its experiment is there."
    )
    for study, declared in STUDIES.items():
        yield f"### `{study}`"
        description = _sentence(f"{declared.description}, {declared.paper}")
        yield f"{description} See [its page]({study}.md)."
        needs = {name: list(_needs(kind)) for name, kind in declared.experiments.items()}
        first, *others = needs.values()
        common = [need for need in first if all(need in other for other in others)]
        if common:
            noun = "All its experiments need" if others else "Its experiment needs"
            yield f"{noun}: {'; '.join(common)}."
        lines = ["| experiment | needs also | figures |", "|---|---|---|"]
        for name, some in needs.items():
            figures = [f for f, made in declared.figures.items() if made.experiment == name]
            own = "; ".join(need for need in some if need not in common)
            lines.append(f"| `{name}` | {own} | {_words(figures)} |")
        if study == "overparameterized":
            lines = [line.replace(" needs also |", "").replace("` |  |", "` |") for line in lines]
            lines[1] = "|---|---|"
        yield "\n".join(lines)


def _needs(kind: ExperimentType) -> Iterator[str]:
    for name, allowed in (
        ("target", kind.targets),
        ("activation", kind.activations),
        ("method", kind.methods),
    ):
        if allowed:
            yield f"{name} {' or '.join(f'`{word}`' for word in allowed)}"
    for _, find in kind.constraints:
        asked = inspect.cleandoc(find.__doc__ or "").split("\n")[0]
        yield asked[:1].lower() + asked[1:]
    if kind.required_experiments:
        yield f"beside it {kind.required_experiments.description}"


def _kinds_of_experiments() -> str:
    groups: dict[tuple[str, ...], list[str]] = {}
    for name, kind in STUDIES["overparameterized"].experiments.items():
        model = kind.model
        keys = tuple(model.model_fields)
        groups.setdefault((model.__name__, *keys), []).append(name)
    lines = ["| experiments | keys beside `sweep` |", "|---|---|"]
    for (model_name, *fields), names in groups.items():
        without = "; `network` has no `width`" if model_name == "Limit" else ""
        lines.append(f"| {_words(names)} | {_words(fields)}{without} |")
    return "\n".join(lines)


def _blocks(model: type[Model]) -> Iterator[str]:
    for name, field in model.model_fields.items():
        yield f"### `{name}`"
        yield _sentence(field.description or "")
        kinds = members(field.annotation)
        discriminator = _discriminator(kinds)
        for kind in dict.fromkeys(kinds):
            if discriminator:
                tags = get_args(kind.model_fields[discriminator].annotation)
                shown = " or ".join(f"`{discriminator}: {tag}`" for tag in tags)
                meaning = kind.model_fields[discriminator].description or ""
                yield f"{meaning}." if len(tags) > 1 else f"{shown}: {meaning}."
            skip = (discriminator,) if discriminator else ()
            if rows := _rows("", kind, skip):
                yield _table(rows)


def _discriminator(kinds: Iterable[type[Model]]) -> str:
    """The key by whose word the models of a union are told apart, if there is more than one."""
    distinct = list(dict.fromkeys(kinds))
    if len(distinct) < 2:
        return ""
    words = [
        {n for n, f in kind.model_fields.items() if get_origin(f.annotation) is Literal}
        for kind in distinct
    ]
    common = sorted(set.intersection(*words) & {"law", "kind", "method"})
    return common[0] if common else ""


def _rows(prefix: str, model: type[Model], skip: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for name, field in model.model_fields.items():
        if name in skip:
            continue
        key = f"`{prefix}{name}`"
        rows.append((key, _type(field.annotation), _allowed(field), _default(field), _text(field)))
        rows += [
            (f"`{prefix}{name}.{row[0].strip('`')}`", *row[1:])
            for inner in members(field.annotation)
            for row in _rows("", inner)
        ]
    return rows


def _table(rows: Iterable[tuple[str, ...]]) -> str:
    head = ["| key | type | allowed | default | meaning |", "|---|---|---|---|---|"]
    return "\n".join([*head, *(f"| {' | '.join(row)} |" for row in rows)])


def _type(annotation: Any) -> str:
    """What is written for the key, in words."""
    options = [a for a in get_args(annotation) if a is not type(None)]
    if get_origin(annotation) is Literal:
        return "word"
    if get_origin(annotation) is tuple:
        return f"list of {_plural(_type(options[0]))}"
    if hasattr(annotation, "__metadata__"):
        return _type(get_args(annotation)[0])
    if options:
        return " or ".join(dict.fromkeys(_type(option) for option in options))
    if isinstance(annotation, type) and issubclass(annotation, Model):
        return "mapping"
    names = {int: "whole number", float: "number", str: "text"}
    return names.get(annotation, "value")


def _plural(name: str) -> str:
    return name.replace("list of", "lists of") if name.startswith("list") else f"{name}s"


def _allowed(field: FieldInfo) -> str:
    for annotation in (field.annotation, *get_args(field.annotation)):
        if get_origin(annotation) is Literal:
            return ", ".join(f"`{word}`" for word in get_args(annotation))
    span = limits(field.annotation, field.metadata)
    if span == f"0 to {number(MAGNITUDE)}":
        return "at least 0"
    if span in ("", f"{number(-MAGNITUDE)} to {number(MAGNITUDE)}"):
        return "any"
    return span.removesuffix(f", to {number(MAGNITUDE)}")


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if value is None or value == ():
        return "none"
    return f"`{value}`" if isinstance(value, str) else number(value)


def _text(field: FieldInfo) -> str:
    return re.sub(r"\s+", " ", field.description or "").replace("|", "\\|")


def _sentence(text: str) -> str:
    first = text[:1].upper() if text[:1].isascii() else text[:1]
    return f"{first}{text[1:]}."


def _words(words: Iterable[str]) -> str:
    return ", ".join(f"`{word}`" for word in words)
