"""Sweeps: one mapping with lists of values for some of its keys, expanded into all its settings."""

import copy
import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from descentflow.config.experiment import Experiment
from descentflow.schema.messages import ConfigProblem, Path, explain, nearest, shown
from descentflow.schema.model import Check, Model
from descentflow.schema.yaml_file import MAX_VALUES, extent

MAX_RUNS = 10_000
MAX_FAILURES = 200
"""After so many combinations that are wrong no further ones are looked at."""

UNSWEPT = ("training.steps", "training.until", "initialization.count", "initialization.chunk")


def expand(
    mapping: object,
    schema: type[Model] = Experiment,
    further: Sequence[Check] = (),
) -> tuple[list[Any], list[ConfigProblem]]:
    """The runs of an experiment: every combination of the values in its ``sweep``.

    ``sweep`` maps dotted keys (``network.hidden``) to lists of values; ``further`` are checks beyond
    those of the models. Returns the runs and the findings, paths relative to the experiment; a
    finding about a swept value names its entry.
    """
    if not isinstance(mapping, Mapping):
        return [], [((), f"a mapping (key: value) is needed, found {shown(mapping)}")]
    base = {key: value for key, value in mapping.items() if key != "sweep"}
    sweep = mapping.get("sweep", {})
    if not isinstance(sweep, Mapping):
        return [], [(("sweep",), f"a mapping of keys to lists is needed, found {shown(sweep)}")]
    lists, findings = _lists(sweep, schema)
    choices = _choices(lists)
    runs = math.prod(map(len, lists.values()))
    if runs > MAX_RUNS:
        findings.append((("sweep",), f"{runs} combinations; allowed: at most {MAX_RUNS}"))
    elif runs * extent(base) > MAX_VALUES:
        text = f"{runs} combinations of an experiment with {extent(base)} values"
        findings.append((("sweep",), f"{text}; allowed: {MAX_VALUES:g} values in all"))
    else:
        choices = itertools.product(*(range(len(values)) for values in lists.values()))
    settings, wrong = _settings(base, lists, choices, schema, further)
    empty = [tuple(key.split(".")) for key in map(str, sweep) if key not in lists]
    findings += [found for found in wrong if not _missed(found, empty)]
    if not findings and (twice := _twice(settings)):
        findings.append((("sweep",), f"holds the same setting twice: {twice}"))
    return ([] if findings else settings), list(dict.fromkeys(findings))


def _lists(
    sweep: Mapping[Any, Any], schema: type[Model]
) -> tuple[dict[str, list[Any]], list[ConfigProblem]]:
    """The lists of the keys that can be swept, and what is wrong with the others."""
    lists: dict[str, list[Any]] = {}
    findings: list[ConfigProblem] = []
    for number, (key, values) in enumerate(sweep.items()):
        name, block = str(key), str(key).split(".")[0]
        path: Path = ("sweep", name)
        if block not in schema.model_fields:
            allowed = ", ".join(schema.model_fields)
            hint = nearest(block, list(schema.model_fields))
            findings.append((path, f"unknown key{hint}; allowed: keys below {allowed}"))
            continue
        if not isinstance(values, list) or not values:
            text = f"a list of at least one value is needed, found {shown(values)}"
            findings.append((path, text))
        if key in UNSWEPT:
            findings.append((path, "cannot be swept: the largest value contains the others"))
            continue
        for later in list(sweep)[number + 1 :]:
            if name.startswith(f"{later}."):
                text = f"is lost, as {later} is swept after it; put {later} first"
                findings.append((path, text))
        if values or not isinstance(values, list):
            lists[name] = values if isinstance(values, list) else [values]
    return lists, findings


def _choices(lists: Mapping[str, list[Any]]) -> Iterator[tuple[int, ...]]:
    """Each value at least once, where all combinations would be too many."""
    first = (0,) * len(lists)
    yield first
    for place, values in enumerate(lists.values()):
        for index in range(1, min(len(values), MAX_RUNS)):
            yield (*first[:place], index, *first[place + 1 :])


def _missed(finding: ConfigProblem, empty: list[tuple[str, ...]]) -> bool:
    """Whether something is missing only because the sweep's list for it is none."""
    path, text = finding
    return text.startswith("missing") and any(path == keys[: len(path)] for keys in empty)


def _settings(
    base: Mapping[str, Any],
    lists: Mapping[str, list[Any]],
    choices: Iterable[tuple[int, ...]],
    schema: type[Model],
    further: Sequence[Check],
) -> tuple[list[Any], list[ConfigProblem]]:
    """The settings of these choices of values, and what is wrong with the others."""
    settings: list[Any] = []
    findings: list[ConfigProblem] = []
    failures = 0
    for choice in choices:
        chosen = dict(zip(lists, choice, strict=True))
        candidate = copy.deepcopy(dict(base))
        for key, index in chosen.items():
            if not _set(candidate, key.split("."), copy.deepcopy(lists[key][index])):
                findings.append((("sweep", key), "leads below a value that is not a mapping"))
        try:
            settings.append(schema.model_validate(candidate, context={schema: further}))
        except ValidationError as error:
            findings += [(_swept(path, chosen), text) for path, text in explain(error, schema)]
            failures += 1
            if failures >= MAX_FAILURES:
                break
    return settings, findings


def _set(mapping: dict[str, Any], keys: list[str], value: object) -> bool:
    """Set the value below nested keys; False where a key on the way holds no mapping."""
    for key in keys[:-1]:
        inner = mapping.setdefault(key, {})
        if not isinstance(inner, dict):
            return False
        mapping = inner
    mapping[keys[-1]] = value
    return True


def _swept(path: Path, chosen: Mapping[str, int]) -> Path:
    """The path of the sweep's entry that a finding is about, or the path itself."""
    for key, index in sorted(chosen.items(), key=lambda item: -len(item[0])):
        keys = tuple(key.split("."))
        if path[: len(keys)] == keys:
            return ("sweep", key, index, *path[len(keys) :])
    return path


def _twice(runs: list[Any]) -> str:
    """What two runs that are equal have in common, in words; empty where all differ."""
    seen: set[Any] = set()
    for run in runs:
        if run in seen:
            return shown(run.model_dump(include={"network", "training"}))
        seen.add(run)
    return ""
