"""Dataclass fields with bounds, choices, a label and a help text, for every value that a user can choose.

An algorithm is a dataclass of such fields, and so is a spec (`core.spec.spec`). The form on screen, the options of the
command line, the parameters of the run and the validation all use the same metadata.
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
ClassRegistry = Callable[[], Mapping[str, type[Any]]]


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
    """Declare a dataclass field that a user can choose.

    help      description of the field
    label     name on screen; by default the name of the field
    low, high bounds of a number, both included
    choices   accepted values; `words` are their labels on screen, `captions` their descriptions
    steps     values of a slider
    format    format of numbers on screen: "percent", "one in" (1 in 1,000), or "" for plain numbers
    flag      option of the command line; by default `--name-of-the-field`
    metavar   placeholder of the value in the help of the command line
    files     store that imports the files named on the command line; the field then holds their digest
    argument  True for a positional argument of the command line

    Example:
        >>> @dataclasses.dataclass
        ... class Smoothing:
        ...     span: int = hyperparameter(7, help="Rows of the moving average.", low=1, high=28)
        >>> get_hyperparameters(Smoothing)["span"].metadata["high"]
        28
        >>> check_hyperparameters(Smoothing(span=40))
        Traceback (most recent call last):
        core.errors.OptionError: span = 40 is out of range. Accepted: 1 to 28.
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


def algorithm(classes: ClassRegistry, default: str, *, help: str, label: str) -> Any:
    """Declare a dataclass field that holds an algorithm of a registry, with its own settings.

    classes  returns name → class; called late, because listing a folder imports its modules
    default  name of the default algorithm

    Example:
        >>> @dataclasses.dataclass
        ... class Mean:
        ...     name = "mean"
        >>> @dataclasses.dataclass
        ... class Pipeline:
        ...     model: Mean = algorithm(lambda: {"mean": Mean}, "mean", help="The model.", label="Model")
        >>> Pipeline().model.name
        'mean'
    """
    field: Any = hyperparameter(None, help=help, label=label)
    metadata = {**field.metadata, "classes": classes, "default": default}
    return dataclasses.field(default_factory=lambda: classes()[default](), metadata=metadata)


def get_hyperparameters(owner: Any) -> dict[str, dataclasses.Field[Any]]:
    """Return name → field of the hyperparameters of a class or an instance."""
    return {field.name: field for field in dataclasses.fields(owner) if "help" in field.metadata}


def get_params(instance: Any) -> dict[str, Any]:
    """Return name → value of the hyperparameters of an instance."""
    return {name: getattr(instance, name) for name in get_hyperparameters(instance)}


def is_algorithm(field: dataclasses.Field[Any]) -> bool:
    """Tell whether a field holds an algorithm of a registry."""
    return "classes" in field.metadata


def build_from_settings(cls: type[T], settings: Mapping[str, Any]) -> T:
    """Return an instance of `cls` with the `settings` values. Text is converted to the type of the field.

    Raises OptionError for an unknown name or a value that is not accepted.

    Example:
        >>> @dataclasses.dataclass
        ... class Smoothing:
        ...     span: int = hyperparameter(7, help="Rows of the moving average.", low=1, high=28)
        >>> build_from_settings(Smoothing, {"span": "14"})
        Smoothing(span=14)
    """
    fields = get_hyperparameters(cls)
    for name in settings:
        if name not in fields:
            raise OptionError(
                N_("{algorithm} has no setting {name!r}. Accepted settings: {accepted}."),
                algorithm=cls.__name__,
                name=name,
                accepted=", ".join(fields),
            )
    field_types = typing.get_type_hints(cls)
    return cls(**{name: _convert_value(fields[name], field_types[name], value) for name, value in settings.items()})


def build_algorithm(field: dataclasses.Field[Any], name: str, settings: Mapping[str, Any]) -> Any:
    """Return the algorithm `name` of the registry of `field`, with `settings`.

    Raises OptionError for a name that the registry does not have, and the errors of `build_from_settings`.
    """
    classes = field.metadata["classes"]()
    require_choice(field.name, name, tuple(classes))
    return build_from_settings(classes[name], settings)


def check_hyperparameters(instance: Any) -> None:
    """Raise OptionError if a value of `instance` is outside its bounds or choices, or of another type."""
    field_types = typing.get_type_hints(type(instance))
    for name, field in get_hyperparameters(instance).items():
        value = getattr(instance, name)
        if is_algorithm(field):
            check_hyperparameters(value)
        else:
            _convert_value(field, field_types[name], value)


def require_choice(name: str, value: Any, accepted: tuple[Any, ...]) -> None:
    """Raise OptionError if `value` is not among the `accepted` ones.

    Example:
        >>> require_choice("metric", "mape", ("mae", "wape"))
        Traceback (most recent call last):
        core.errors.OptionError: metric = 'mape' is not accepted. Accepted: mae, wape.
    """
    if value not in accepted:
        raise OptionError(
            N_("{name} = {value!r} is not accepted. Accepted: {accepted}."),
            name=name,
            value=value,
            accepted=", ".join(str(choice) for choice in accepted if choice != ""),
        )


def flatten_union(kind: Any) -> tuple[Any, ...]:
    """Return the members of a union or the values of a Literal; for another type, the type itself.

    Example:
        >>> flatten_union(float | None)
        (<class 'float'>, <class 'NoneType'>)
        >>> flatten_union(typing.Literal["low", "high"])
        ('low', 'high')
    """
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        return tuple(part for member in typing.get_args(kind) for part in flatten_union(member))
    if typing.get_origin(kind) is typing.Literal:
        return typing.get_args(kind)
    return (kind,)


def _convert_value(field: dataclasses.Field[Any], kind: Any, value: Any) -> Any:
    """Convert `value` to the type of the field. Raises OptionError outside its bounds or choices."""
    members = flatten_union(kind)
    if value is None and type(None) in members:
        return None
    converted = _parse_text(members, value) if isinstance(value, str) else value
    low, high, choices = (field.metadata[key] for key in ("low", "high", "choices"))
    low, high = -math.inf if low is None else low, math.inf if high is None else high
    is_number = isinstance(converted, int | float) and not isinstance(converted, bool)
    if converted is None or (choices and converted not in choices and not is_number):
        raise OptionError(
            N_("{name} = {value!r} is not accepted. Accepted: {accepted}."),
            name=field.name,
            value=value,
            accepted=_list_accepted_values(field, members),
        )
    if is_number and not low <= converted <= high:  # rejects NaN as well
        raise OptionError(
            N_("{name} = {value} is out of range. Accepted: {low} to {high}."),
            name=field.name,
            value=value,
            low="-∞" if low == -math.inf else low,
            high="∞" if high == math.inf else high,
        )
    return converted


def _parse_text(members: tuple[Any, ...], text: str) -> Any:
    """Convert `text` to the first of the types that accepts it; None where no type does."""
    for member in members:
        try:
            if isinstance(member, str):  # a value of a Literal
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


def _list_accepted_values(field: dataclasses.Field[Any], members: tuple[Any, ...]) -> str:
    if field.metadata["choices"]:
        return ", ".join(str(choice) for choice in field.metadata["choices"] if choice != "")
    if field.metadata["metavar"]:
        return str(field.metadata["metavar"])
    return " / ".join(str(getattr(member, "__name__", member)) for member in members)
