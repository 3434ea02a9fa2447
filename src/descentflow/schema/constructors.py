"""Constructors of models that people also write in Python, such as ``Affine(2, intercept=1)``."""

from collections.abc import Callable
from functools import wraps
from inspect import signature
from typing import Any, Literal, TypeVar, cast, get_args, get_origin

from pydantic import ValidationError

from descentflow.errors import ConfigurationError, InputError
from descentflow.schema.messages import explain, report, shown
from descentflow.schema.model import Model

Init = TypeVar("Init", bound=Callable[..., None])


class PublicModel(Model):
    """A model with a public constructor, marked by :func:`constructor`; shown as it is called."""

    def __repr__(self) -> str:
        """Show the positional values, and others that are not their defaults."""
        arguments, positional = [], _positional(type(self).__init__)
        hidden = _tags(type(self)).keys()
        for name in dict.fromkeys([*positional, *type(self).model_fields]):
            value, default = getattr(self, name), type(self).model_fields[name].default
            written = value.model_dump(exclude_none=True) if isinstance(value, Model) else value
            text = repr(value) if isinstance(value, PublicModel) else shown(written)
            if name in positional and value is None:
                positional = []  # those behind it need their names
            elif name in positional:
                arguments.append(text)
            elif name not in hidden and value != default:
                arguments.append(f"{name}={text}")
        return f"{type(self).__name__}({', '.join(arguments)})"

    __str__ = __repr__

    def __setattr__(self, name: str, value: object) -> None:
        """Refuse to change a field, whose arrays and kernels exist already; raises InputError."""
        if name in type(self).model_fields:
            raise InputError(
                f"{type(self).__name__}.{name}: cannot be changed; make another, as with "
                f"model_copy(update={{'{name}': ...}})"
            )
        super().__setattr__(name, value)


def constructor(init: Init) -> Init:
    """Make the constructor of a model from its signature, whose parameters are named as its fields.

    It reads values as :func:`descentflow.schema.model.parse` does, and arrays like lists. It adds the
    word that names the model in a mapping, such as ``kind: affine``. It raises ConfigurationError in
    the words of ``parse``.
    """
    _, *names = signature(init).parameters
    positional = _positional(init)

    @wraps(init)
    def construct(self: PublicModel, *values: object, **fields: object) -> None:
        if len(values) > len(positional):
            raise ConfigurationError(
                f"{type(self).__name__}: takes at most {len(positional)} value(s) without their "
                f"names, found {len(values)}; the names: {', '.join(names)}"
            )
        by_position = dict(zip(positional, values, strict=False))
        if twice := by_position.keys() & fields.keys():
            raise ConfigurationError("given twice", tuple(twice)[:1])
        mapping = {name: _listed(value) for name, value in (by_position | fields).items()}
        try:
            self.__pydantic_validator__.validate_python(
                _tags(type(self)) | mapping, self_instance=self
            )
        except ValidationError as error:
            raise ConfigurationError(report(explain(error, type(self)))) from None

    # Without this mark pydantic reads mappings by calling the constructor.
    construct.__pydantic_base_init__ = True  # type: ignore[attr-defined]
    return cast(Init, construct)


def _positional(init: Callable[..., None]) -> list[str]:
    """Return the names of the parameters that may be given without their names."""
    _, *parameters = signature(init).parameters.values()
    return [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]


def _tags(model: type[Model]) -> dict[str, object]:
    """Return the fields of a model that take one word only, each with its word."""
    words = {
        name: get_args(field.annotation)
        for name, field in model.model_fields.items()
        if get_origin(field.annotation) is Literal
    }
    return {name: choices[0] for name, choices in words.items() if len(choices) == 1}


def _listed(value: Any) -> object:
    """Return an array as nested lists and a NumPy number as a number, anything else as it is."""
    return value.tolist() if hasattr(value, "tolist") else value
