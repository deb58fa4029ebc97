"""Fields that explain themselves: bounds, choices and a sentence beside every value that a person can choose.

An algorithm is a dataclass of such fields, and so is a spec (`core.spec.spec`). The same metadata is the form on
screen, the options of the command line, the parameters of the run and the check of what was given.
"""

import dataclasses
import math
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from core.errors import OptionError
from core.messages import N_

T = TypeVar("T")
Classes = Callable[[], Mapping[str, type[Any]]]


def hyperparameter(
    default: Any,
    *,
    help: str,
    label: str = "",
    low: float | None = None,
    high: float | None = None,
    choices: tuple[Any, ...] = (),
    words: Mapping[Any, str] | None = None,
    captions: Mapping[Any, str] | None = None,
    steps: tuple[Any, ...] = (),
    format: str = "",
    flag: str = "",
    metavar: str = "",
    files: str = "",
    argument: bool = False,
) -> Any:
    """Declare a dataclass field that a person can choose.

    help      the sentence that says what it does
    label     its name on screen; the field's own name without one
    low, high bounds of a number, both accepted
    choices   what is accepted; `words` and `captions` say each choice on screen
    steps     values that a slider offers
    format    how numbers are written on screen: "percent", "one in" (1 in 1,000), or plain
    flag      the option of the command line; `--name-of-the-field` without one
    files     the store that files named on the command line are put into; the field then holds their digest
    argument  stands on the command line without an option
    """
    metadata = {
        "help": help,
        "label": label,
        "low": low,
        "high": high,
        "choices": choices,
        "words": words or {},
        "captions": captions or {},
        "steps": steps,
        "format": format,
        "flag": flag,
        "metavar": metavar,
        "files": files,
        "argument": argument,
    }
    return dataclasses.field(default=default, metadata=metadata)


def algorithm(classes: Classes, default: str, *, help: str, label: str) -> Any:
    """Declare a dataclass field that holds an algorithm out of a registry, with settings of its own.

    classes  name → class; called when it is needed, because listing a folder imports its modules
    default  the name of the algorithm taken without a choice
    """
    field: Any = hyperparameter(None, help=help, label=label)
    metadata = {**field.metadata, "classes": classes, "default": default}
    return dataclasses.field(default_factory=lambda: classes()[default](), metadata=metadata)


def hyperparameters(algorithm: Any) -> dict[str, dataclasses.Field[Any]]:
    """Return name → field of a class or an instance."""
    return {field.name: field for field in dataclasses.fields(algorithm) if "help" in field.metadata}


def get_params(algorithm: Any) -> dict[str, Any]:
    """Return name → value of an instance."""
    return {name: getattr(algorithm, name) for name in hyperparameters(algorithm)}


def is_algorithm(field: dataclasses.Field[Any]) -> bool:
    """Tell whether a field holds an algorithm out of a registry."""
    return "classes" in field.metadata


def build_from_settings(cls: type[T], chosen: Mapping[str, Any]) -> T:
    """Return an instance of `cls` with the `chosen` values; text is converted to the field's type.

    Raises OptionError for a name that does not exist or a value that is not accepted.
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
    kinds = typing.get_type_hints(cls)
    return cls(**{name: _convert(fields[name], kinds[name], value) for name, value in chosen.items()})


def build_algorithm(field: dataclasses.Field[Any], name: str, settings: Mapping[str, Any]) -> Any:
    """Return the algorithm `name` of the registry of `field` with its `settings`.

    Raises OptionError for a name that the registry does not have, and as `build_from_settings`.
    """
    classes = field.metadata["classes"]()
    require_choice(field.name, name, tuple(classes))
    return build_from_settings(classes[name], settings)


def check_hyperparameters(instance: Any) -> None:
    """Raise OptionError where a value of `instance` is outside its bounds or choices, or of another type."""
    kinds = typing.get_type_hints(type(instance))
    for name, field in hyperparameters(instance).items():
        value = getattr(instance, name)
        if is_algorithm(field):
            check_hyperparameters(value)
        else:
            _convert(field, kinds[name], value)


def require_choice(name: str, value: Any, accepted: tuple[Any, ...]) -> None:
    """Raise OptionError where `value` is not among those accepted."""
    if value not in accepted:
        raise OptionError(
            N_("{name} = {value!r} is not accepted; choose {accepted}."),
            name=name,
            value=value,
            accepted=", ".join(str(choice) for choice in accepted if choice != ""),
        )


def kinds_of(kind: Any) -> tuple[Any, ...]:
    """Return the types, or the words of a Literal, that `kind` is made of: `float | None` is (float, None)."""
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        return tuple(part for member in typing.get_args(kind) for part in kinds_of(member))
    if typing.get_origin(kind) is typing.Literal:
        return typing.get_args(kind)
    return (kind,)


def _convert(field: dataclasses.Field[Any], kind: Any, value: Any) -> Any:
    """Return `value` as the field's type and within its bounds."""
    members = kinds_of(kind)
    if value is None and type(None) in members:
        return None
    converted = _parse(members, value) if isinstance(value, str) else value
    low, high, choices = (field.metadata[key] for key in ("low", "high", "choices"))
    low, high = -math.inf if low is None else low, math.inf if high is None else high
    number = isinstance(converted, int | float) and not isinstance(converted, bool)
    if converted is None or (choices and converted not in choices and not number):
        raise OptionError(
            N_("{name} = {value!r} is not accepted; choose {accepted}."),
            name=field.name,
            value=value,
            accepted=_accepted(field, members),
        )
    if number and not low <= converted <= high:  # NaN is not inside, either
        raise OptionError(
            N_("{name} = {value} is outside {low} to {high}."),
            name=field.name,
            value=value,
            low="-∞" if low == -math.inf else low,
            high="∞" if high == math.inf else high,
        )
    return converted


def _parse(members: tuple[Any, ...], text: str) -> Any:
    """Return `text` as the first of the types that takes it; None where none does."""
    for member in members:
        try:
            if isinstance(member, str):  # a word of a Literal
                if text == member:
                    return text
            elif member is bool:
                return {"true": True, "false": False, "1": True, "0": False, "yes": True, "no": False}[text.lower()]
            elif typing.get_origin(member) is tuple:
                return tuple(typing.get_args(member)[0](part.strip()) for part in text.split(",") if part.strip())
            elif member is not type(None):
                return member(text)
        except (KeyError, ValueError, TypeError):
            continue
    return None


def _accepted(field: dataclasses.Field[Any], members: tuple[Any, ...]) -> str:
    if field.metadata["choices"]:
        return ", ".join(str(choice) for choice in field.metadata["choices"] if choice != "")
    if field.metadata["metavar"]:
        return str(field.metadata["metavar"])
    return " / ".join(str(getattr(member, "__name__", member)) for member in members)
