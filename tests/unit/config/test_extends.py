"""Files that build on others: what is laid over what, and what is refused."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from descentflow.config import extends
from descentflow.errors import ConfigurationError

BASE = {
    "seed": 1,
    "studies": {
        "explore": {
            "a": {
                "target": {"kind": "affine", "slope": 1, "intercept": 2},
                "initialization": {"law": "normal", "count": 8},
                "training": {"method": "gd", "step_size": 0.1, "steps": 10},
                "sweep": {"network.hidden": [1, 2]},
            },
            "b": {"target": {"kind": "step", "at": 0.5}},
        }
    },
}


def write(folder: Path, **files: Any) -> Path:
    """Write mappings as YAML files; return the path of the last."""
    for name, mapping in files.items():
        path = folder / f"{name}.yaml"
        path.write_text(yaml.safe_dump(mapping))
    return path


def extended(folder: Path, difference: Any) -> Any:
    """The base with a difference to its experiment a laid over it."""
    mapping = {"extends": "base.yaml", "studies": {"explore": {"a": difference}}}
    return extends.load(write(folder, base=BASE, own=mapping))["studies"]["explore"]["a"]


def test_keys_are_laid_over_one_another(tmp_path: Path) -> None:
    own = extended(tmp_path, {"target": {"slope": 3}, "sweep": {"network.hidden": [4]}})
    base: Any = BASE["studies"]
    assert own == {
        **base["explore"]["a"],
        "target": {"kind": "affine", "slope": 3, "intercept": 2},
        "sweep": {"network.hidden": [4]},
    }
    whole = extends.load(tmp_path / "own.yaml")
    assert whole["seed"] == 1
    assert whole["studies"]["explore"]["b"] == base["explore"]["b"]
    assert "extends" not in whole


def test_a_block_of_another_kind_replaces_the_block(tmp_path: Path) -> None:
    target = {"kind": "step", "at": 0.25}
    assert extended(tmp_path, {"target": target})["target"] == target
    flow = {"method": "gf", "until": 10}
    assert extended(tmp_path, {"training": flow})["training"] == flow
    law = extended(tmp_path, {"initialization": {"law": "uniform"}})["initialization"]
    assert law == {"law": "uniform", "count": 8}, "all laws have a count"


def test_null_leaves_out(tmp_path: Path) -> None:
    assert "sweep" not in extended(tmp_path, {"sweep": None})
    own = {"extends": "base.yaml", "studies": {"explore": {"b": None}}}
    assert list(extends.load(write(tmp_path, own=own))["studies"]["explore"]) == ["a"]


def test_the_last_file_of_a_list_counts_and_paths_are_relative(tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    write(inner, middle={"extends": "../base.yaml", "seed": 2}, other={"seed": 3})
    write(tmp_path, base=BASE)
    names = ["inner/middle.yaml", "inner/other.yaml"]
    loaded = extends.load(write(tmp_path, own={"extends": names}))
    assert loaded["seed"] == 3
    assert loaded["studies"] == BASE["studies"]
    loaded = extends.load(write(tmp_path, own={"extends": names[::-1]}))
    assert loaded["seed"] == 2


def test_all_files_are_listed(tmp_path: Path) -> None:
    write(tmp_path, base=BASE, middle={"extends": "base.yaml"}, other={})
    own = write(tmp_path, own={"extends": ["middle.yaml", "other.yaml"]})
    names = [path.name for path in extends.files(own)]
    assert names == ["own.yaml", "middle.yaml", "base.yaml", "other.yaml"]


REFUSED: dict[str, tuple[Any, str]] = {
    "itself": ("own.yaml", "own.yaml: extends: .*own.yaml extends itself"),
    "in a circle": ("circle.yaml", "circle.yaml: extends: .*own.yaml extends itself"),
    "missing": ("missing.yaml", "missing.yaml: cannot be read: No such file"),
    "no name": (3, "own.yaml: extends: a file name or a list of them is needed, found 3"),
    "no names": ([["a"]], "own.yaml: extends: a file name or a list of them is needed"),
    "no YAML": ("broken.yaml", "broken.yaml: line 2, column 1: cannot be read as YAML"),
    "no mapping": ("list.yaml", "list.yaml: a mapping"),
}


@pytest.mark.parametrize(("names", "text"), REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_be_extended_is_named(tmp_path: Path, names: Any, text: str) -> None:
    write(tmp_path, circle={"extends": "own.yaml"}, list=[1])
    (tmp_path / "broken.yaml").write_text("a: [1\n")
    with pytest.raises(ConfigurationError, match=text) as refused:
        extends.load(write(tmp_path, own={"extends": names}))
    assert len(str(refused.value).splitlines()) == 1


def test_many_files_are_refused(tmp_path: Path) -> None:
    files = {f"f{n}": {"extends": f"f{n + 1}.yaml"} for n in range(extends.MAX_FILES + 2)}
    write(tmp_path, **files)
    with pytest.raises(ConfigurationError, match="more than 20 files build on one another"):
        extends.load(tmp_path / "f0.yaml")


def test_files_of_the_command_line_are_laid_over_one_another(tmp_path: Path) -> None:
    """Key by key, null and lists whole; as Snakemake does with files that it accepts."""
    first, second = tmp_path / "1.yaml", tmp_path / "2.json"
    first.write_text("a: {b: 1, c: 2}\nd: {e: 1}\nl: [1, 2]\nn:\n")
    second.write_text('{"a": {"c": 3}, "d": null, "l": [3], "n": {"x": 1}}')
    assert extends.merged([first, second], {"a": {"f": 4}}) == {
        "a": {"b": 1, "c": 3, "f": 4},
        "d": None,
        "l": [3],
        "n": {"x": 1},
    }


def test_files_of_the_command_line_may_extend_others(tmp_path: Path) -> None:
    own = write(tmp_path, base=BASE, own={"extends": "base.yaml", "seed": 2})
    merged = extends.merged([own], {"outputs": {"results": "r"}})
    assert merged == {**BASE, "seed": 2, "outputs": {"results": "r"}}
