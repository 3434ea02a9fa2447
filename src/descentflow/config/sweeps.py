"""Sweeps: lists of values for some keys of an experiment, expanded into all its settings."""

import copy
import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from descentflow.config.experiment import Experiment
from descentflow.schema.messages import ConfigProblem, Path, explain, nearest, shown
from descentflow.schema.model import Check, Model
from descentflow.schema.yaml_file import MAX_VALUES, count_values

MAX_RUNS = 10_000
MAX_FAILURES = 200
"""After so many combinations that are wrong no further ones are validated."""

UNSWEPT = ("training.steps", "training.until", "initialization.count", "initialization.chunk")
"""Keys that are not swept, as the run with the largest value contains the others."""

ABOUT_ALL = ("measures", "figures", "expect")
"""Blocks that are about all settings of an experiment together."""

WHOLE_KEYS = ("inputs", "target", "labels")
"""Blocks that are compared and shown as one value each."""

UNLISTED = (
    "initialization.count",
    "initialization.chunk",
    "training.steps",
    "training.until",
    "training.max_steps",
    "training.records_per_decade",
    "training.snapshots",
)
"""Keys that say how much is computed and kept: they name no run in datasets, figures and claims."""

_Problems = list[ConfigProblem]


def expand(
    mapping: object, model: type[Model] = Experiment, checks: Sequence[Check] = ()
) -> tuple[list[Any], _Problems]:
    """Expand an experiment into its settings: every combination of the values in its ``sweep``.

    ``sweep`` maps dotted keys (``network.hidden``) to lists of values; ``checks`` are those beyond
    the model's own. Returns the settings, none if one is wrong, and the problems: their paths are
    relative to the experiment, that of a swept value's problem names the entry of the sweep.
    """
    if not isinstance(mapping, Mapping):
        return [], [((), f"a mapping (key: value) is needed, found {shown(mapping)}")]
    base = {key: value for key, value in mapping.items() if key != "sweep"}
    sweep = mapping.get("sweep", {})
    if not isinstance(sweep, Mapping):
        return [], [(("sweep",), f"a mapping of keys to lists is needed, found {shown(sweep)}")]
    lists, problems = _read_lists(sweep, model)
    runs, size = math.prod(map(len, lists.values())), count_values(base)
    choices: Iterable[tuple[int, ...]] = _each_value(lists)
    if runs > MAX_RUNS:
        problems.append((("sweep",), f"{runs} combinations; allowed: at most {MAX_RUNS}"))
    elif runs * size > MAX_VALUES:
        text = f"{runs} combinations of an experiment with {size} values"
        problems.append((("sweep",), f"{text}; allowed: {MAX_VALUES:g} values in all"))
    else:
        choices = itertools.product(*(range(len(values)) for values in lists.values()))
    settings, wrong = _validate(base, lists, choices, model, checks)
    refused = [tuple(key.split(".")) for key in map(str, sweep) if key not in lists]
    problems += [problem for problem in wrong if not _given_by(refused, problem)]
    if not problems and (text := _repeated(settings)):
        problems.append((("sweep",), f"holds the same setting twice: {text}"))
    return ([] if problems else settings), list(dict.fromkeys(problems))


def unswept(key: str) -> str:
    """Say why a dotted key cannot be swept; empty if it can."""
    if key in UNSWEPT:
        return "the largest value contains the others"
    return "it is about all settings" if key.split(".")[0] in ABOUT_ALL else ""


def flat_keys(setting: Model) -> dict[str, Any]:
    """Return the keys of a setting, dotted, with their values as JSON holds them."""
    flat: dict[str, Any] = {}
    for key, value in setting.model_dump(mode="json", exclude=set(ABOUT_ALL)).items():
        if isinstance(value, dict) and key not in WHOLE_KEYS:
            flat |= {f"{key}.{inner}": v for inner, v in value.items()}
        else:
            flat[key] = value
    return flat


def _read_lists(
    sweep: Mapping[Any, Any], model: type[Model]
) -> tuple[dict[str, list[Any]], _Problems]:
    """Return the lists of the keys that can be swept, and the problems of the others."""
    lists: dict[str, list[Any]] = {}
    problems: _Problems = []
    names = list(map(str, sweep))
    for number, (name, values) in enumerate(zip(names, sweep.values(), strict=True)):
        path: Path = ("sweep", name)
        block = name.split(".")[0]
        if block not in model.model_fields:
            blocks = [field for field in model.model_fields if field not in ABOUT_ALL]
            hint, allowed = nearest(block, blocks), ", ".join(blocks)
            problems.append((path, f"unknown key{hint}; allowed: keys below {allowed}"))
            continue
        if not isinstance(values, list) or not values:
            text = f"a list of at least one value is needed, found {shown(values)}"
            problems.append((path, text))
        if refusal := unswept(name):
            problems.append((path, f"cannot be swept: {refusal}"))
            continue
        for later in names[number + 1 :]:
            if name.startswith(f"{later}."):
                text = f"is lost, as {later} is swept after it; put {later} first"
                problems.append((path, text))
        if values or not isinstance(values, list):
            lists[name] = values if isinstance(values, list) else [values]
    return lists, problems


def _each_value(lists: Mapping[str, list[Any]]) -> Iterator[tuple[int, ...]]:
    """Yield few choices that have each value once, for sweeps with too many combinations."""
    first = (0,) * len(lists)
    yield first
    for position, values in enumerate(lists.values()):
        for index in range(1, min(len(values), MAX_RUNS)):
            yield (*first[:position], index, *first[position + 1 :])


def _given_by(refused: Sequence[Path], problem: ConfigProblem) -> bool:
    """Whether a key is missing only because the sweep's entry that would give it was refused."""
    path, text = problem
    return text.startswith("missing") and any(path == keys[: len(path)] for keys in refused)


def _validate(
    base: Mapping[str, Any],
    lists: Mapping[str, list[Any]],
    choices: Iterable[tuple[int, ...]],
    model: type[Model],
    checks: Sequence[Check],
) -> tuple[list[Any], _Problems]:
    """Validate the settings that have these choices of values; return the valid and the problems."""
    settings: list[Any] = []
    problems: _Problems = []
    failures = 0
    for choice in choices:
        chosen = dict(zip(lists, choice, strict=True))
        candidate = copy.deepcopy(dict(base))
        for key, index in chosen.items():
            if not _set(candidate, key.split("."), copy.deepcopy(lists[key][index])):
                problems.append((("sweep", key), "leads below a value that is not a mapping"))
        try:
            settings.append(model.model_validate(candidate, context={model: checks}))
        except ValidationError as error:
            problems += [
                (_path_in_sweep(path, chosen), text) for path, text in explain(error, model)
            ]
            failures += 1
            if failures >= MAX_FAILURES:
                break
    return settings, problems


def _set(mapping: dict[str, Any], keys: list[str], value: object) -> bool:
    """Set the value below nested keys; return False if a key on the way holds no mapping."""
    for key in keys[:-1]:
        inner = mapping.setdefault(key, {})
        if not isinstance(inner, dict):
            return False
        mapping = inner
    mapping[keys[-1]] = value
    return True


def _path_in_sweep(path: Path, chosen: Mapping[str, int]) -> Path:
    """Return the path of the sweep's entry that a value comes from, or the path itself."""
    for key, index in sorted(chosen.items(), key=lambda item: -len(item[0])):
        keys = tuple(key.split("."))
        if path[: len(keys)] == keys:
            return ("sweep", key, index, *path[len(keys) :])
    return path


def _repeated(settings: list[Any]) -> str:
    """Show what two equal settings have in common; empty if all differ."""
    seen: set[Any] = set()
    for setting in settings:
        if setting in seen:
            return shown(setting.model_dump(include={"network", "training"}))
        seen.add(setting)
    return ""
