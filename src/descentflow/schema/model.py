"""The base class of a configuration's models: frozen, strict about keys, with checks across fields.

Numbers may be written as strings (YAML reads ``1e-2`` as one); nan, infinities and booleans are
refused. :func:`parse` turns all problems of a mapping into one message, each with its key's path.
"""

import math
import re
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Annotated, Any, ClassVar, NamedTuple, Self, TypeVar, cast

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    SerializerFunctionWrapHandler,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    model_serializer,
    model_validator,
)
from pydantic_core import InitErrorDetails

from descentflow.errors import ConfigurationError
from descentflow.schema.messages import UNION_TAGS as UNION_TAGS
from descentflow.schema.messages import ConfigProblem, explain, report

M = TypeVar("M", bound=BaseModel)
Finder = Callable[[Any], Iterable[ConfigProblem]]

_FIELDS = "checked_fields"


class Check(NamedTuple):
    """A check across fields of a model: ``find`` yields its problems, paths relative to the model.

    It runs if all ``fields`` that it reads have passed their own validation, even if other fields have
    not. So one validation reports all problems of a mapping.
    """

    fields: tuple[str, ...]
    find: Finder


def check(*fields: str) -> Callable[[Finder], Finder]:
    """Mark a model's method as a :class:`Check` of these fields."""

    def mark(method: Finder) -> Finder:
        setattr(method, _FIELDS, fields)
        return method

    return mark


class Model(BaseModel):
    """A frozen mapping that refuses unknown keys and runs the checks marked by :func:`check`.

    A validation context may add checks: a mapping from models to sequences of :class:`Check`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    checks: ClassVar[tuple[Check, ...]] = ()

    @classmethod
    def __pydantic_init_subclass__(cls, **_kwargs: Any) -> None:
        marked = [method for method in vars(cls).values() if hasattr(method, _FIELDS)]
        cls.checks += tuple(Check(getattr(method, _FIELDS), method) for method in marked)

    @model_validator(mode="wrap")
    @classmethod
    def _checked(
        cls, value: Any, handler: ModelWrapValidatorHandler[Self], info: ValidationInfo
    ) -> Self:
        """Validate the fields, then run the checks whose fields are valid."""
        checks = (*cls.checks, *(info.context or {}).get(cls, ()))
        try:
            model = handler(value)
        except ValidationError as error:
            if not checks or not isinstance(value, Mapping):
                raise
            partial = _partial_model(cls, value, error)
            problems = _problems(partial, checks, set(vars(partial)))
            raise _validation_error(error, problems, value) from None
        if problems := _problems(model, checks, set(cls.model_fields)):
            raise _validation_error(None, problems, value)
        return model


class ExtendedModel(Model):
    """A model with keys that came after its first results: ``added``, empty unless they are used.

    It is written down without those that are empty, so that ids and files of before stay.
    """

    added: ClassVar[tuple[str, ...]] = ()

    @model_serializer(mode="wrap")
    def _written(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        written: dict[str, Any] = handler(self)
        return {key: value for key, value in written.items() if value or key not in self.added}


def _problems(model: BaseModel, checks: Iterable[Check], valid: set[str]) -> list[ConfigProblem]:
    return [
        problem
        for check in checks
        if valid.issuperset(check.fields)
        for problem in check.find(model)
    ]


def _partial_model(model: type[M], value: Mapping[Any, Any], error: ValidationError) -> M:
    """Make an instance with the valid fields alone; the others are missing from it."""
    invalid = {detail["loc"][0] for detail in error.errors(include_url=False) if detail["loc"]}
    fields: dict[str, Any] = {}
    for name, field in model.model_fields.items():
        if name in invalid:
            continue
        if name in value:
            fields[name] = _adapter(model, name).validate_python(value[name])
        elif not field.is_required():
            fields[name] = field.get_default(call_default_factory=True)
    partial = model.model_construct()
    vars(partial).clear()
    vars(partial).update(fields)
    return partial


@cache
def _adapter(model: type[BaseModel], name: str) -> TypeAdapter[Any]:
    """Return the validator of one field alone."""
    field = model.model_fields[name]
    annotation: Any = Annotated[field.annotation, field]
    return TypeAdapter(annotation)


def _validation_error(
    error: ValidationError | None, problems: Iterable[ConfigProblem], value: object
) -> ValidationError:
    """Return an error with the details of ``error`` and of the problems."""
    errors = error.errors(include_url=False) if error is not None else []
    details = [
        {key: item[key] for key in ("type", "loc", "input", "ctx") if key in item}
        for item in errors
    ]
    details += [
        {
            "type": "value_error",
            "loc": (),
            "input": value,
            "ctx": {"error": ConfigurationError(text, where)},
        }
        for where, text in problems
    ]
    return ValidationError.from_exception_data("problems", cast("list[InitErrorDetails]", details))


_DECIMAL = re.compile(r"[+-]?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[+-]?(nan|inf|infinity)", re.IGNORECASE)

TEXT_PATTERN = r"^\s*[+-]?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?\s*$"
"""Numbers written as strings, for the JSON schema that editors use: ``_DECIMAL`` and blanks."""


def parse_number(value: object) -> float:
    """Return a number, or a string that holds one, as a finite float; raises ValueError."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError("a number is needed")
    if isinstance(value, str):
        text = value.strip()
        if _NOT_FINITE.fullmatch(text):
            raise ValueError("a finite number is needed")
        if not _DECIMAL.fullmatch(text):
            raise ValueError(f"a number is needed{_advice(text)}")
        value = text
    try:
        number = float(value)
    except (ValueError, OverflowError):
        raise ValueError("a number of moderate size is needed") from None
    if not math.isfinite(number):
        raise ValueError("a finite number is needed")
    return number


def _advice(text: str) -> str:
    """Say how a word would be a number, where little is missing."""
    point, minus = text.replace(",", "."), re.sub("[\u2010-\u2015\u2212]", "-", text)
    digits = re.sub(r"^([+-]?)0+(?=[0-9])", r"\1", text)
    for repaired, advice in (
        (point, "written with a decimal point"),
        (minus, "written with the minus sign of the keyboard"),
        (digits, "written without leading zeros"),
    ):
        if _DECIMAL.fullmatch(repaired):
            return f", {advice}: {repaired}"
    return ""


def _integer(value: object) -> int:
    """Return a whole number, a float without fraction, or a string of one; raises ValueError."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and re.fullmatch(r"[+-]?(0|[1-9][0-9]{0,38})", value.strip()):
        return int(value)
    number = parse_number(value)
    if number != math.floor(number):
        raise ValueError("a whole number is needed")
    return int(number)


MAGNITUDE = 1e100  # the largest absolute value of a number
Number = Annotated[float, BeforeValidator(parse_number), Field(ge=-MAGNITUDE, le=MAGNITUDE)]
Positive = Annotated[float, BeforeValidator(parse_number), Field(gt=0, le=MAGNITUDE)]
Whole = Annotated[int, BeforeValidator(_integer)]


def number_or_mapping(value: object) -> str:
    """Return the tag of a value that is a number or a mapping."""
    return UNION_TAGS[isinstance(value, Mapping | Model)]


def parse(model: type[M], mapping: object) -> M:
    """Validate ``mapping`` as ``model``.

    Raises ConfigurationError with one line per problem, each starting with the key's path.
    """
    try:
        return model.model_validate(mapping)
    except ValidationError as error:
        raise ConfigurationError(report(explain(error, model))) from None
