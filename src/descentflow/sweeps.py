"""Sweeps: one mapping with lists of values for some of its keys, expanded into all its settings."""

import copy
import itertools
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from descentflow.experiment import Experiment
from descentflow.findings import Finding, Path, explain, nearest, shown, unknown
from descentflow.reading import MOST_VALUES, extent
from descentflow.schema import Check, Model

MOST_RUNS = 10_000
MOST_FAILURES = 1_000
"""After so many combinations that are wrong no further ones are looked at."""

UNSWEPT = ("training.steps", "training.until", "initialization.count", "initialization.chunk")


def expand(
    mapping: object,
    schema: type[Model] = Experiment,
    further: Mapping[type[Model], tuple[Check, ...]] | None = None,
) -> tuple[list[Any], list[Finding]]:
    """The runs of an experiment: every combination of the values in its ``sweep``.

    ``sweep`` maps dotted keys (``network.hidden``) to lists of values; ``further`` are checks beyond
    those of the models. Returns the runs and the findings, paths relative to the experiment; a
    finding about a swept value names its entry.
    """
    if not isinstance(mapping, Mapping):
        return [], [((), f"a mapping (key: value) is needed, found {shown(mapping)}")]
    base = {key: value for key, value in mapping.items() if key != "sweep"}
    sweep = mapping.get("sweep", {})
    findings = _check_sweep(sweep, base, schema)
    if findings:
        _, others = _combinations(base, {}, schema, further)
        blocks = {str(path[1]).split(".")[0] for path, _ in findings if len(path) > 1}
        # Where the sweep is wrong, what it would have set is not missed.
        missed = [f for f in others if f[0] and f[0][0] not in blocks and len(blocks) > 0]
        return [], findings + [f for f in missed if not f[1].startswith("missing")]
    runs, findings = _combinations(base, sweep, schema, further)
    if not findings and (twice := _twice(runs)):
        findings.append((("sweep",), f"holds the same setting twice: {twice}"))
    return runs, list(dict.fromkeys(findings))


def _combinations(
    base: Mapping[str, Any],
    sweep: Mapping[str, Any],
    schema: type[Model],
    further: Mapping[type[Model], tuple[Check, ...]] | None,
) -> tuple[list[Any], list[Finding]]:
    runs: list[Any] = []
    findings: list[Finding] = []
    failures = 0
    for choice in itertools.product(*(range(len(values)) for values in sweep.values())):
        chosen = dict(zip(sweep, choice, strict=True))
        candidate = copy.deepcopy(dict(base))
        for key, index in chosen.items():
            if not _set(candidate, key.split("."), copy.deepcopy(sweep[key][index])):
                findings.append((("sweep", key), "leads below a value that is not a mapping"))
        try:
            runs.append(schema.model_validate(candidate, context=dict(further or {})))
        except ValidationError as error:
            findings += [(_swept(path, chosen), text) for path, text in explain(error, schema)]
            failures += 1
            if failures >= MOST_FAILURES:
                break
    return runs, findings


def _check_sweep(sweep: object, base: Mapping[Any, Any], schema: type[Model]) -> list[Finding]:
    if not isinstance(sweep, Mapping):
        return [(("sweep",), f"a mapping of keys to lists is needed, found {shown(sweep)}")]
    findings: list[Finding] = []
    runs = 1
    for number, (key, values) in enumerate(sweep.items()):
        path: Path = ("sweep", str(key))
        if not isinstance(values, list) or not values:
            text = f"a list of at least one value is needed, found {shown(values)}"
            findings.append((path, text))
            continue
        runs *= len(values)
        if key in UNSWEPT:
            findings.append((path, "cannot be swept: the largest value contains the others"))
        block = str(key).split(".")[0]
        if block not in schema.model_fields:
            allowed = ", ".join(schema.model_fields)
            hint = nearest(block, list(schema.model_fields))
            findings.append((path, f"unknown key{hint}; allowed: keys below {allowed}"))
        for later in list(sweep)[number + 1 :]:
            if str(key).startswith(f"{later}."):
                text = f"is lost, as {later} is swept after it; put {later} first"
                findings.append((path, text))
    if runs > MOST_RUNS:
        findings.append((("sweep",), f"{runs} combinations; allowed: at most {MOST_RUNS}"))
    elif runs * extent(base) > MOST_VALUES:
        text = f"{runs} combinations of an experiment with {extent(base)} values"
        findings.append((("sweep",), f"{text}; allowed: {MOST_VALUES:g} values in all"))
    return findings


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
