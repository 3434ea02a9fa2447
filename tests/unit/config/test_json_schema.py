"""The schema for editors: made from the models, as strict as they are where a schema can be."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from descentflow.config import json_schema, reference, validate
from descentflow.config.catalogue import STUDIES
from descentflow.schema import yaml_file
from descentflow.schema.messages import members

REPOSITORY = Path(__file__).parents[3]
FILES = ("config.yaml", "config/smoke.yaml", "config/cluster.yaml", "tests/workflow/tiny.yaml")
SCHEMA = json_schema.json_schema()
VALIDATOR = Draft202012Validator(SCHEMA)

Mapping = dict[str, Any]


def accepts(mapping: object) -> bool:
    """Whether an editor shows no error."""
    return bool(VALIDATOR.is_valid(mapping))


def smoke() -> Mapping:
    """The small configuration."""
    return dict(yaml_file.load(REPOSITORY / "config" / "smoke.yaml"))


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    references = set(_references(SCHEMA))
    assert references == {f"#/$defs/{name}" for name in SCHEMA["$defs"]} & references
    assert '"ge":' not in json.dumps(SCHEMA)


def _references(schema: Any) -> Any:
    if isinstance(schema, list):
        for item in schema:
            yield from _references(item)
    elif isinstance(schema, dict):
        if isinstance(schema.get("$ref"), str):
            yield schema["$ref"]
        for item in schema.values():
            yield from _references(item)


@pytest.mark.parametrize(
    ("path", "made"),
    [("config/schema.json", json_schema.text), ("docs/configuration.md", reference.markdown)],
)
def test_what_is_made_from_the_models_is_not_stale(path: str, made: Any) -> None:
    """``make reference`` writes both."""
    assert (REPOSITORY / path).read_text() == made(), f"run make reference: {path} is stale"
    assert path.endswith(".md") or json.loads(made()) == SCHEMA


@pytest.mark.parametrize("name", FILES)
def test_shipped_files_are_accepted_and_name_the_schema(name: str) -> None:
    path = REPOSITORY / name
    assert accepts(yaml_file.load(path))
    first = path.read_text().splitlines()[0]
    head, _, target = first.partition("$schema=")
    assert head == "# yaml-language-server: "
    assert (path.parent / target).resolve() == (REPOSITORY / "config/schema.json").resolve()


def _mappings(value: Any, path: tuple[Any, ...] = ()) -> Any:
    if isinstance(value, dict):
        yield path
        for key, item in value.items():
            yield from _mappings(item, (*path, key))
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _mappings(item, (*path, number))


def test_unknown_keys_are_refused_everywhere() -> None:
    """In every mapping of the small configuration, sweeps included."""
    whole = smoke()
    found = list(_mappings(whole))
    assert len(found) > 120
    for path in found:
        mapping = copy.deepcopy(whole)
        holder = mapping
        for key in path:
            holder = holder[key]
        holder["unknown"] = [1]
        assert not accepts(mapping), path


EXPERIMENT = ("studies", "constant_targets", "convergence")
REFUSED: dict[str, tuple[tuple[Any, ...], Any]] = {
    "seed": (("seed",), -1),
    "word": ((*EXPERIMENT, "network", "activation"), "rulu"),
    "activation of another study": ((*EXPERIMENT, "network", "activation"), "tanh"),
    "kind of another study": ((*EXPERIMENT, "target"), {"kind": "affine", "slope": 1}),
    "kind": ((*EXPERIMENT, "target", "kind"), "constan"),
    "swept kind": ((*EXPERIMENT, "sweep", "target.kind"), ["affine"]),
    "swept target": ((*EXPERIMENT, "sweep", "target"), [{"kind": "affine", "slope": 1}]),
    "range": ((*EXPERIMENT, "initialization", "count"), 0),
    "text": ((*EXPERIMENT, "training", "steps"), "many"),
    "boolean": ((*EXPERIMENT, "training", "steps"), True),
    "key of another method": ((*EXPERIMENT, "training", "until"), 3),
    "swept range": ((*EXPERIMENT, "sweep", "network.hidden"), [1, 0]),
    "swept steps": ((*EXPERIMENT, "sweep", "training.steps"), [1, 2]),
    "no list": ((*EXPERIMENT, "sweep", "network.hidden"), 3),
    "beside a swept key": ((*EXPERIMENT, "network", "outputs"), 0),
    "braces": (("outputs", "results"), "a{b}"),
    "depth has no width": (("studies", "overparameterized", "depth", "network", "width"), 3),
}


@pytest.mark.parametrize(("path", "value"), REFUSED.values(), ids=REFUSED.keys())
def test_what_the_schema_refuses(path: tuple[Any, ...], value: Any) -> None:
    """The check does, too."""
    mapping = smoke()
    holder = mapping
    for key in path[:-1]:
        holder = holder[key]
    holder[path[-1]] = value
    assert not accepts(mapping)
    with pytest.raises(validate.ConfigurationError):
        validate.check(mapping)


ACCEPTED: dict[str, tuple[tuple[Any, ...], Any]] = {
    "number in words": ((*EXPERIMENT, "training", "steps"), "1e3"),
    "whole number with a point": ((*EXPERIMENT, "training", "steps"), 1e3),
    "study left out": (("studies", "blow_up"), None),
    "experiment left out": (("studies", "blow_up", "hinge"), None),
    "list of targets": ((*EXPERIMENT, "target"), [{"kind": "constant", "value": 1}]),
    "swept blocks": ((*EXPERIMENT, "sweep"), {"network": [{"hidden": 1}, {"hidden": 2}]}),
    "swept below a swept block": (
        (*EXPERIMENT, "sweep"),
        {"network": [{"activation": "relu"}], "network.hidden": [1, 2]},
    ),
    "swept fractions": (
        (*EXPERIMENT, "sweep"),
        {"network.hidden": [3], "training.step_size.lyapunov_fraction": ["0.5", 0.25]},
    ),
}


@pytest.mark.parametrize(("path", "value"), ACCEPTED.values(), ids=ACCEPTED.keys())
def test_what_the_schema_accepts(path: tuple[Any, ...], value: Any) -> None:
    mapping = smoke()
    holder = mapping
    for key in path[:-1]:
        holder = holder[key]
    holder[path[-1]] = value
    validate.check(mapping)
    assert accepts(mapping)


def test_the_reference_has_every_key() -> None:
    page = (REPOSITORY / "docs" / "configuration.md").read_text()
    for study in STUDIES.values():
        for model in {kind.model for kind in study.experiments.values()}:
            for block, field in model.model_fields.items():
                assert f"### `{block}`" in page
                for member in members(field.annotation):
                    for key, inner in member.model_fields.items():
                        assert f"`{key}" in page, (model, block, key)
                        assert inner.description, (model, block, key)
