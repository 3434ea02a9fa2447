"""Certificates: what is true passes, and what was changed is noticed by a program of its own."""

import json
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

import descentflow as df
from descentflow import cli
from descentflow.errors import InputError
from descentflow.landscape.checker.verify import Report, verify
from descentflow.planning import code_digest

Content = dict[str, Any]
TARGETS = {
    "step": df.Step(0.3),
    "abs": df.PiecewiseLinear([0, 0.5, 1], [0.5, 0, 0.5]),
    "hinge": df.PiecewiseLinear([0, 0.5, 1], [0, 0, 0.5]),
    "skew": df.PiecewiseLinear([0, 0.37, 1], [0.1, -0.122, 0.949]),
    "jump": df.PiecewiseLinear([0, 0.37, 0.37, 1], [0.1, -0.122, 0.278, 1.349]),
    "coincidence": df.PiecewiseLinear([0, 0.4, 1], [0, 0.4, 1.6]),
    "affine": df.Affine(1.5, -0.25),
}


def certificate(name: str, hidden: int) -> str:
    return df.certificate(
        df.Problem(inputs=df.Uniform(0, 1), target=TARGETS[name], network=df.Network(hidden))
    )


@pytest.fixture(scope="module")
def step() -> str:
    return certificate("step", 3)


def checked(folder: Path, text: str) -> Report:
    path = folder / "certificate.json"
    path.write_text(text)
    return verify(path)


@pytest.mark.parametrize(("name", "hidden"), [("abs", 2), ("jump", 2), ("affine", 6)])
def test_certificates_are_right(tmp_path: Path, name: str, hidden: int) -> None:
    report = checked(tmp_path, certificate(name, hidden))
    assert report.undecided == ()
    assert report.levels > hidden / 2


def test_dropped_solutions_are_checked(tmp_path: Path) -> None:
    """With a place at the break, patterns have solutions on the edge of their domains."""
    text = certificate("coincidence", 4)
    content = json.loads(text)
    assert any(x["left"] == "Z1" and x["right"] == "Z3" for x in content["dropped"])
    checked(tmp_path, text)
    content["dropped"] = [x for x in content["dropped"] if x["left"] != "Z1"]
    with pytest.raises(InputError, match="a level may be missing"):
        checked(tmp_path, json.dumps(content))


# ---- tampering: each function changes a true certificate of the step with three neurons


def solution(content: Content, row: int = 0) -> Content:
    levels: list[Content] = [level for level in content["levels"] if "box" in level]
    return levels[row]


def rational(content: Content) -> Content:
    levels: list[Content] = [level for level in content["levels"] if "kinks" in level]
    return next(level for level in levels if level["kinks"])


def shift(ends: list[str], by: str) -> list[str]:
    return [str(Fraction(end) + Fraction(by)) for end in ends]


def perturb_root(content: Content) -> None:
    ball = solution(content)["ball"]
    ball[1] = shift(ball[1], "1e-6")


def perturb_root_and_box(content: Content) -> None:
    """Say that there is a solution 1e-6 away, in a box too small for the true one."""
    level = solution(content)
    level["ball"][0] = shift(level["ball"][0], "1e-6")
    level["box"] = [[shift(x, "-1e-9")[0], shift(x, "1e-9")[1]] for x in level["ball"]]


def perturb_risk(content: Content) -> None:
    level = solution(content)
    level["risk"] = shift(level["risk"], "1e-28")


def perturb_rational_risk(content: Content) -> None:
    rational(content)["risk"] = ["1/30", "100001/3000000"]


def perturb_rational_place(content: Content) -> None:
    rational(content)["kinks"][0][0] = "450001/1000000"


def remove_solution(content: Content) -> None:
    content["levels"].remove(solution(content, 1))


def remove_rational(content: Content) -> None:
    content["levels"].remove(rational(content))


def hide_a_solution(content: Content) -> None:
    level = solution(content)
    content["levels"].remove(level)
    content["dropped"].append({k: level[k] for k in ("left", "right", "box", "ball")})


def rename_pattern(content: Content) -> None:
    solution(content)["left"] = "Z7"


def widen(content: Content) -> None:
    content["hidden"] = 4


def move_break(content: Content) -> None:
    content["target"]["break"] = "3000001/10000000"


def rename(content: Content) -> None:
    content["format"] = "another"


def cut(content: Content) -> None:
    del content["levels"]


TAMPERINGS = {
    perturb_root: "a solution cannot be shown to exist",
    perturb_root_and_box: "a solution cannot be shown to exist",
    perturb_risk: "is not within its bounds",
    perturb_rational_risk: "the risk is 1/30",
    perturb_rational_place: "the network is not critical",
    remove_solution: "pattern .* a level may be missing",
    remove_rational: "the level with risk 1/30 is missing",
    hide_a_solution: "was dropped that may be a level",
    rename_pattern: "more than 3 neurons",
    widen: "pattern .* a level may be missing",
    move_break: "a solution cannot be shown to exist|is not within",
    rename: "format must be",
    cut: "not a certificate",
}


@pytest.mark.parametrize("change", TAMPERINGS, ids=lambda change: change.__name__)
def test_tampering_is_noticed(tmp_path: Path, step: str, change: Callable[[Content], None]) -> None:
    content = json.loads(step)
    change(content)
    with pytest.raises(InputError, match=TAMPERINGS[change]):
        checked(tmp_path, json.dumps(content))


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", '{"format": 1}', "\x00"])
def test_other_files_are_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(InputError, match=r"certificate\.json"):
        checked(tmp_path, text)


# ---- the command, and what the checker rests on


def test_the_command(
    tmp_path: Path, step: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "step.json"
    path.write_text(step)
    monkeypatch.setattr(sys, "argv", ["descentflow", "verify-certificate", str(path)])
    cli.main()
    assert "7 levels are critical" in (out := capsys.readouterr().out)
    assert "the list is complete: 8 patterns" in out


def test_the_checker_imports_nothing_of_the_solver() -> None:
    closure = code_digest.closure("descentflow.landscape.checker.verify")
    prefix = "descentflow.landscape"
    assert {name for name in closure if not name.startswith(f"{prefix}.checker")} == {
        "descentflow",
        "descentflow.errors",
        prefix,
    }
    assert "flint" not in Path(code_digest.folder() / "landscape/checker/verify.py").read_text()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "hidden"),
    [("step", 16), ("abs", 6), ("hinge", 6), ("skew", 6), ("jump", 6), ("coincidence", 6)],
)
def test_large_certificates_are_right(tmp_path: Path, name: str, hidden: int) -> None:
    assert checked(tmp_path, certificate(name, hidden)).undecided == ()
