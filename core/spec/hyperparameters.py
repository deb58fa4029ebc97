"""An algorithm is a dataclass; its fields are the form on screen, the options of the command line and the run's
parameters.
"""

import dataclasses
import math
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

from core.errors import OptionError
from core.messages import N_

T = TypeVar("T")


def hyperparameter(
    default: Any, *, help: str, low: float | None = None, high: float | None = None, choices: tuple[Any, ...] = ()
) -> Any:
    """A dataclass field with its bounds (both accepted) or choices, and a sentence that says what it does."""
    return dataclasses.field(default=default, metadata={"help": help, "low": low, "high": high, "choices": choices})


def hyperparameters(algorithm: Any) -> dict[str, dataclasses.Field[Any]]:
    """Name → field, of a class or an instance."""
    return {field.name: field for field in dataclasses.fields(algorithm) if "help" in field.metadata}


def params(algorithm: Any) -> dict[str, Any]:
    """Name → value, of an instance."""
    return {name: getattr(algorithm, name) for name in hyperparameters(algorithm)}


def configured(cls: type[T], chosen: Mapping[str, Any]) -> T:
    """An instance of `cls` with the `chosen` hyper-parameters; text is converted to the field's type.

    Raises OptionError for a name that does not exist or a value outside the field's bounds.
    """
    fields = hyperparameters(cls)
    for name in chosen:
        if name not in fields:
            raise OptionError(
                N_("{algorithm} has no setting {name!r}; it has: {accepted}."),
                algorithm=cls.__name__,
                name=name,
                accepted=", ".join(fields),
            )
    types = typing.get_type_hints(cls)
    return cls(**{name: _value(fields[name], types[name], value) for name, value in chosen.items()})


def _value(field: dataclasses.Field[Any], kind: Any, value: Any) -> Any:
    """`value` as the field's type and within its bounds."""
    converted = _converted(kind, value) if isinstance(value, str) else value
    low, high, choices = (field.metadata[key] for key in ("low", "high", "choices"))
    number = isinstance(converted, int | float) and not isinstance(converted, bool)
    if converted is None or (choices and converted not in choices and not number):
        raise OptionError(
            N_("{name} = {value!r} is not accepted; choose {accepted}."),
            name=field.name,
            value=value,
            accepted=_accepted(field, kind),
        )
    if number and not (-math.inf if low is None else low) <= converted <= (
        math.inf if high is None else high
    ):  # NaN is not, either
        raise OptionError(
            N_("{name} = {value} is outside {low} to {high}."), name=field.name, value=value, low=low, high=high
        )
    return converted


def _converted(kind: Any, text: str) -> Any:
    """`text` as the first of the types `kind` names that takes it; None where none does."""
    for each in typing.get_args(kind) or (kind,):
        try:
            if isinstance(each, str):  # a word of a Literal
                if text == each:
                    return text
                continue
            if each is bool:
                return {"true": True, "false": False, "1": True, "0": False, "yes": True, "no": False}[text.lower()]
            return each(text)
        except (KeyError, ValueError):
            continue
    return None


def _accepted(field: dataclasses.Field[Any], kind: Any) -> str:
    names = [getattr(each, "__name__", str(each)) for each in typing.get_args(kind) or (kind,)]
    return ", ".join(map(repr, field.metadata["choices"])) or " / ".join(names)
