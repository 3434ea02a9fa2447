"""What the strict reader of YAML files accepts is what a person means; the rest names its line."""

from pathlib import Path

import pytest

from descentflow.errors import ConfigurationError
from descentflow.schema import yaml_file
from descentflow.schema.model import Model, Number, Whole, parse

AS_WRITTEN = {
    "0": 0,
    "-3": -3,
    "0.5": 0.5,
    "-0.25": -0.25,
    ".5": 0.5,
    "10": 10,
    "1.5e+3": 1500.0,
    "1_000": 1000,
    "1_000.5": 1000.5,
    "1e-2": "1e-2",
    "007bond": "007bond",
    "01_results": "01_results",
    '"010"': "010",
    "a:b": "a:b",
    "x**2": "x**2",
}
TRAPS = {
    "010": "leading zeros",
    "08": "leading zeros",
    "-017": "leading zeros",
    "00": "leading zeros",
    "0_1": "leading zeros",
    "01.5": "leading zeros",
    "1:30": "base 60",
    "12:30:45.5": "base 60",
    "0x10": "base 10",
    "0b11": "base 10",
    "0o17": "base 10",
    "1__0": "'_'",
    "1_": "'_'",
    '!!int "010"': "leading zeros",
    "2020-01-01": "date",
    "0,5": "decimal comma",
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "a.yaml"


@pytest.mark.parametrize(("text", "value"), AS_WRITTEN.items())
def test_words_are_read_as_written(file: Path, text: str, value: object) -> None:
    file.write_text(f"a: [{text}]\n")
    assert yaml_file.load(file) == {"a": [value]}


@pytest.mark.parametrize(("text", "says"), TRAPS.items())
def test_ambiguous_numbers_are_refused_with_their_line(file: Path, text: str, says: str) -> None:
    file.write_text(f"a:\n  - 1\n  - {{b: {text}}}\n")
    with pytest.raises(ConfigurationError) as refusal:
        yaml_file.load(file)
    assert f"{file}: a[1]" in str(refusal.value)
    assert "line 3: " in str(refusal.value)
    assert says in str(refusal.value)


class Numbers(Model):
    slope: Number = 0.0
    hidden: Whole = 1


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"slope": "0,5"}, "written with a decimal point: 0.5"),
        ({"slope": "−1"}, "written with the minus sign of the keyboard: -1"),
        ({"slope": "–1e3"}, "written with the minus sign of the keyboard: -1e3"),
        ({"slope": "010"}, "written without leading zeros: 10"),
        ({"hidden": "08"}, "written without leading zeros: 8"),
    ],
)
def test_numbers_in_quotes_are_refused_with_advice(given: dict[str, str], says: str) -> None:
    """Quotes make them text, which models read as numbers."""
    with pytest.raises(ConfigurationError, match=says):
        parse(Numbers, given)


def test_a_file_of_300_000_keys_is_refused_before_it_is_read(file: Path) -> None:
    file.write_text("".join(f"key{i}: {i}\n" for i in range(300_000)))
    with pytest.raises(ConfigurationError, match="more than 50000 keys"):
        yaml_file.load(file)
