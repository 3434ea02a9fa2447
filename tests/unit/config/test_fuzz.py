"""Thousands of configurations gone wrong: each is valid and can be planned, or told off like a person.

``DESCENTFLOW_FUZZ=100000`` in the environment makes it more of them.
"""

import copy
import json
import math
import os
import re
from pathlib import Path
from random import Random
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from mutations import POOL, mutated, nested

from descentflow.config.json_schema import json_schema
from descentflow.errors import ConfigurationError
from descentflow.planning.jobs import Jobs
from descentflow.schema import yaml_file

EXAMPLES = int(os.environ.get("DESCENTFLOW_FUZZ", "800"))
PARTS = 2
"""Workers share the examples."""

MAX_FILES = 100_000
LINE = re.compile(r"(\(top level\)|\S.*?): \S")
NOT_FOR_PEOPLE = re.compile(
    r"0x[0-9a-f]{6}|function-|functools|pydantic|Input should|Traceback|<[a-z_]+>|object at"
)
VALIDATOR = Draft202012Validator(json_schema())


def fuzz(examples: int) -> Any:
    """Hypothesis' settings: the same examples every time, none of them timed."""
    return settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )


def for_people(message: str) -> None:
    """One line per problem, each a path and a text, all of bounded length."""
    lines = message.splitlines()
    assert 0 < len(lines) <= 51
    assert len(set(lines)) == len(lines)
    message.encode()
    for line in lines:
        assert LINE.match(line), line
        assert line.isprintable(), line
        assert len(line) < 1200, line
        assert not NOT_FOR_PEOPLE.search(line), line


def lands(mapping: Any) -> bool:
    """Whether a mapping is a configuration; it can be planned then, else the message is one."""
    try:
        jobs = Jobs.from_mapping(mapping, "lock")
    except ConfigurationError as error:
        for_people(str(error))
        return False
    files = [len(run.chunks) * len(run.segments) for runs in jobs.runs.values() for run in runs]
    assert sum(files) <= MAX_FILES
    for study, runs in jobs.runs.items():
        trained = sum(len(run.chunks) * len(run.segments) for run in runs)
        assert len(jobs.aggregate(study).inputs) == trained + len(jobs.landscapes[study])
        assert jobs.aggregate(study).json
    used = without_replaced_values(mapping)
    used = json.loads(json.dumps(used))  # tuples, which are read like lists, as lists
    assert list(VALIDATOR.iter_errors(used)) == [], "the schema refuses what is accepted"
    return True


def without_replaced_values(mapping: Any) -> Any:
    """The mapping without values that a sweep replaces: the check never sees them."""
    used = copy.deepcopy(mapping)
    for study in used["studies"].values():
        for experiment in (study or {}).values():
            for key in (experiment or {}).get("sweep", {}):
                *blocks, last = key.split(".")
                holder = experiment
                for block in blocks:
                    holder = holder.get(block, {})
                holder.pop(last, None)
    return used


@pytest.mark.parametrize("part", range(PARTS))
def test_mutated_configurations(part: int, tmp_path: Path, monkeypatch: Any) -> None:
    """Typos, wrong types, absurd sizes, endless lists: valid or told, and nothing is written."""
    monkeypatch.chdir(tmp_path)
    landed = {True: 0, False: 0}

    @fuzz(EXAMPLES // PARTS)
    @given(st.integers(0, 2**48))
    def run(seed: int) -> None:
        landed[lands(mutated(Random(seed * PARTS + part)))] += 1

    run()
    assert min(landed.values()) > 0.05 * sum(landed.values()), "there must be some of both"
    assert not list(tmp_path.iterdir())


# ---- files


def written(random: Random) -> str:
    """A small configuration as YAML."""
    study, experiment, mapping = random.choice(POOL)
    whole = {"seed": 1, "studies": {study: {experiment: mapping}}}
    return yaml.safe_dump(whole, default_flow_style=random.choice((None, True, False)))


def scarred(random: Random) -> bytes:
    """A file somebody has typed into: bytes lost, doubled, replaced, lines moved and indented."""
    data = bytearray(written(random).encode())
    for _ in range(random.choice((1, 1, 2, 5))):
        at = random.randrange(len(data) or 1)
        lines = bytes(data).splitlines(keepends=True) or [b""]
        line = random.randrange(len(lines))
        match random.randrange(8):
            case 0:
                del data[at : at + random.choice((1, 1, 30))]
            case 1:
                data[at:at] = random.choice(
                    (
                        b"\t",
                        b"\xff",
                        b"\x00",
                        b": ",
                        b"&a ",
                        b"*a ",
                        b"- ",
                        b"{",
                        b"]",
                        b"#",
                        b"!!x ",
                    )
                )
            case 2:
                lines.insert(random.randrange(len(lines)), lines[line])
            case 3:
                lines[line] = b"  " + lines[line]
            case 4:
                lines[line] = b"\t" + lines[line]
            case 5:
                lines[line] = lines[line].replace(b":", b"", 1)
            case 6:
                lines.insert(line, random.choice((b"<<: *x\n", b"---\n", b"%YAML\n", b"? x\n")))
            case _:
                data[at : at + 1] = bytes([random.randrange(256)])
        if b"".join(lines) != bytes(data) and random.random() < 0.7:
            data = bytearray(b"".join(lines))
    return bytes(data)


@fuzz(max(150, EXAMPLES // 10))
@given(seed=st.integers(0, 2**48))
def test_scarred_files(seed: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / f"scarred{os.getpid()}.yaml"
    path.write_bytes(scarred(Random(seed)))
    try:
        mapping = yaml_file.load(path)
    except ConfigurationError as error:
        for line in str(error).splitlines():
            assert line.startswith(f"{path}: ")
            assert line.isprintable()
            assert len(line) < 600
        return
    lands(mapping)


LAUGHS = "a0: &a0 [1]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12)
)
MERGES = "a0: &a0 {k: 1}\n" + "".join(
    f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 10)}]}}\n" for n in range(1, 12)
)
FILES: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "a mapping"),
    "comment": (b"# nothing\n", "a mapping"),
    "list": (b"- seed\n", "a mapping"),
    "two documents": (b"seed: 1\n---\nseed: 2\n", "cannot be read as YAML"),
    "tabs": (b"seed: 1\nstudies:\n\tblow_up: {}\n", "tabs are not allowed"),
    "encoding": (b"seed: 1\n# \xe9\n", "line 2: is not UTF-8"),
    "twice": (b"seed: 1\noutputs: {}\nseed: 2\n", "seed: is given twice, in line 1 and in line 3"),
    "laughs": (LAUGHS.encode(), "values, aliases included"),
    "merges": (MERGES.encode(), "values, aliases included"),
    "endless": (b"seed: &a [*a]\n", "contains itself"),
    "deep": (b"seed: " + b"[" * 5000 + b"]" * 5000, "nested too deeply"),
    "date": (b"seed: 2001-99-99\n", "is a date in YAML"),
    "digits": (b"seed: " + b"1" * 10_000, "cannot be read as YAML"),
    "hexadecimal digits": (b"seed: 0x" + b"f" * 10_000, "is not in base 10"),
    "set": (b"seed: 1\nstudies: !!set {blow_up}\n", "a YAML set"),
    "object": (b"seed: !!python/object/apply:os.getcwd []\n", "cannot be read as YAML"),
    "list as a key": (b"seed: 1\n? [1, 2]\n: 3\n", "cannot be read as YAML"),
    "sexagesimal": (b"seed: 1:30\n", "line 1: '1:30' is a number of base 60"),
}


@pytest.mark.parametrize(("content", "says"), FILES.values(), ids=FILES.keys())
def test_files_with_traps(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigurationError) as refused:
        Jobs.from_mapping(yaml_file.load(path), "lock")
    assert says in str(refused.value)
    assert len(str(refused.value)) < 1000


def test_merge_keys_may_be_overridden(tmp_path: Path) -> None:
    """Only what stands twice in one mapping is given twice."""
    path = tmp_path / "good.yaml"
    path.write_text("a: &a {x: 1, y: 2}\nb: {<<: *a, x: 3}\nc: [*a, *a]\n")
    assert yaml_file.load(path)["b"] == {"x": 3, "y": 2}


def test_depth_and_size_are_found_without_walking_them() -> None:
    assert "nested too deeply" in yaml_file.size_problem(nested(10_000))
    assert yaml_file.size_problem({"x": [1, 2, {"y": math.nan}]}) == ""
    assert yaml_file.count_values([1, [2, 3], {"x": 4}]) == 8
