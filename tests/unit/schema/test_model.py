"""What may be written for a number, and how refusals name keys."""

from contextlib import suppress
from typing import Annotated, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field, ValidationError

from descentflow.errors import ConfigurationError
from descentflow.schema import messages
from descentflow.schema import model as schema_model
from descentflow.schema.model import Model, Number, Positive, Whole

QUIET = settings(deadline=None, derandomize=True, database=None)


class Numbers(Model):
    """One of each kind."""

    real: Number = 0.0
    positive: Positive = 1.0
    whole: Whole = 0
    few: Whole = Field(1, ge=1, le=3)
    many: tuple[Number, ...] = ()


class Circle(Model):
    """A shape told by its key."""

    shape: Literal["circle"]
    radius: Positive


class Square(Model):
    """Another one."""

    shape: Literal["square"]
    side: Positive


class Drawing(Model):
    """Shapes, and numbers further down."""

    main: Annotated[Circle | Square, Field(discriminator="shape")]
    others: tuple[Annotated[Circle | Square, Field(discriminator="shape")], ...] = ()
    inner: Numbers = Field(default_factory=lambda: Numbers())
    law: Literal["normal", "uniform"] = "normal"


CIRCLE = {"shape": "circle", "radius": 1}


def refusal(mapping: object, model: type[Model] = Drawing) -> str:
    """The message with which a mapping is refused."""
    with pytest.raises(ConfigurationError) as refused:
        schema_model.parse(model, mapping)
    return str(refused.value)


# ---- numbers


@pytest.mark.parametrize(
    ("given_value", "expected"),
    [(1, 1.0), (-2.5, -2.5), ("1e-2", 0.01), ("  3 ", 3.0), ("-.5", -0.5), ("1E5", 1e5)],
)
def test_numbers_and_numbers_in_words(given_value: object, expected: float) -> None:
    number = schema_model.parse(Numbers, {"real": given_value}).real
    assert type(number) is float
    assert number == expected


@pytest.mark.parametrize(
    ("given_value", "expected"),
    [(3, 3), ("3", 3), (3.0, 3), ("3.0", 3), ("1e3", 1000), ("-7", -7), (1e15, 10**15), (0, 0)],
)
def test_whole_numbers_in_many_spellings(given_value: object, expected: int) -> None:
    number = schema_model.parse(Numbers, {"whole": given_value}).whole
    assert type(number) is int
    assert number == expected


def test_large_whole_numbers_in_words_are_exact() -> None:
    """Beyond 2^53 a detour through a double would round."""
    for number in (2**53 + 1, 2**62 - 1, 10**18 + 1):
        assert schema_model.parse(Numbers, {"whole": str(number)}).whole == number
        assert schema_model.parse(Numbers, {"whole": number}).whole == number


@pytest.mark.parametrize("field", ["real", "positive", "whole"])
@pytest.mark.parametrize("value", [True, False, None, [], [1], {}, "", "one", "1,5", "0x10", b"1"])
def test_what_is_no_number_is_refused(field: str, value: object) -> None:
    """Booleans too, which Python counts among the numbers."""
    message = refusal({field: value}, Numbers)
    assert message.startswith(f"{field}: ")
    assert "number" in message


@pytest.mark.parametrize("field", ["real", "positive", "whole"])
@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), -float("inf"), "nan", "inf", "-Infinity", "1e999"]
)
def test_numbers_are_finite(field: str, value: object) -> None:
    assert refusal({field: value}, Numbers).startswith(f"{field}: a finite number is needed")


@pytest.mark.parametrize("value", [1e101, -1e101, 10**400])
def test_absurd_numbers_are_refused(value: object) -> None:
    assert refusal({"real": value}, Numbers).startswith("real: ")


@pytest.mark.parametrize("value", [0, -1, "-0", 0.0, 1e101])
def test_positive_numbers(value: object) -> None:
    assert refusal({"positive": value}, Numbers).startswith("positive: ")


@pytest.mark.parametrize("value", [1.5, "1.5", "1e-3", 0.1])
def test_fractions_are_not_whole(value: object) -> None:
    assert refusal({"whole": value}, Numbers).startswith("whole: a whole number is needed")


@pytest.mark.parametrize("value", [0, 4])
def test_bounds_are_named(value: int) -> None:
    message = refusal({"few": value}, Numbers)
    assert {0: "1", 4: "3"}[value] in message.partition(", found")[0]
    assert message.endswith(f"found {value}; allowed: 1 to 3")


@QUIET
@given(st.floats(allow_nan=False, min_value=-1e100, max_value=1e100))
def test_every_double_survives_being_written(number: float) -> None:
    """As a number and in words, bit by bit."""
    for value in (number, repr(number)):
        parsed = schema_model.parse(Numbers, {"real": value}).real
        assert parsed.hex() == number.hex()


@QUIET
@given(st.one_of(st.text(max_size=45), st.binary(max_size=8), st.complex_numbers()))
def test_no_text_breaks_the_parser(value: object) -> None:
    """Whatever is written for a number is one or is refused, with one line or a few."""
    for field in ("real", "whole", "positive"):
        with suppress(ConfigurationError):
            schema_model.parse(Numbers, {field: value})
            continue
        assert refusal({field: value}, Numbers).startswith(f"{field}: ")


# ---- keys


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ((), "(top level)"),
        (("a",), "a"),
        (("a", "b", 2), "a.b[2]"),
        (("a", 0, "b", 1, 2), "a[0].b[1][2]"),
    ],
)
def test_dotted_paths(path: tuple[str | int, ...], text: str) -> None:
    assert messages.dotted(path) == text


def test_paths_keep_keys_that_are_named_like_kinds() -> None:
    """A key may be called anything, also what the package calls a member of a union."""

    class Odd(Model):
        number: Positive
        mapping: Numbers
        circle: Circle

    message = refusal({"number": 0, "mapping": {"few": 0}, "circle": {**CIRCLE, "radius": 0}}, Odd)
    paths = [line.partition(":")[0] for line in message.splitlines()]
    assert paths == ["number", "mapping.few", "circle.radius"]


def test_unknown_keys_come_with_what_is_allowed() -> None:
    message = refusal({"main": CIRCLE, "innr": {}})
    assert message.startswith("innr: unknown key (did you mean 'inner'?)")
    for name in Drawing.model_fields:
        assert name in message.partition("allowed: ")[2]
    assert "did you mean" not in refusal({"main": CIRCLE, "zzz": 1})


def test_unknown_keys_of_a_kind_come_with_its_own() -> None:
    """Not with those of the other members of the union."""
    message = refusal({"main": {**CIRCLE, "radus": 1}})
    assert message.startswith("main.radus: unknown key (did you mean 'radius'?)")
    assert "side" not in message


def test_paths_go_through_unions_and_lists() -> None:
    message = refusal({"main": CIRCLE, "others": [CIRCLE, {"shape": "square", "side": -1}]})
    assert message.startswith("others[1].side: ")
    message = refusal({"main": CIRCLE, "inner": {"many": [1, "x", True]}})
    assert [line.partition(":")[0] for line in message.splitlines()] == [
        "inner.many[1]",
        "inner.many[2]",
    ]


@pytest.mark.parametrize(
    ("main", "start"),
    [
        ({"shape": "circel"}, "main.shape: found 'circel' (did you mean 'circle'?)"),
        ({"radius": 1}, "main: needs a key 'shape'"),
        (3, "main: a mapping"),
        ({"shape": "circle"}, "main.radius: missing"),
    ],
)
def test_kinds(main: object, start: str) -> None:
    assert refusal({"main": main}).startswith(start)


def test_words_come_with_what_is_allowed() -> None:
    message = refusal({"main": CIRCLE, "law": "norml"})
    assert message.startswith("law: found 'norml' (did you mean 'normal'?)")
    assert message.endswith("allowed: normal, uniform")


def test_all_problems_are_reported_each_once() -> None:
    message = refusal({"main": {"shape": "circle"}, "law": 3, "zzz": 1})
    assert len(message.splitlines()) == 3
    problems = [(("a",), "x"), (("b",), "y"), (("a",), "x")]
    assert messages.report(problems) == "a: x\nb: y"


def test_long_values_are_cut() -> None:
    message = refusal({"main": CIRCLE, "inner": {"real": "x" * 10_000}})
    assert len(message) < 200


@pytest.mark.parametrize("mapping", [None, 3, "text", [], [CIRCLE]])
def test_models_are_mappings(mapping: object) -> None:
    assert refusal(mapping).startswith("(top level): a mapping")


def test_models_are_frozen() -> None:
    numbers = schema_model.parse(Numbers, {"real": 1})
    with pytest.raises(ValidationError, match="frozen"):
        numbers.real = 2.0
