"""Conversion of typed values to plain JSON and back, for specs, arguments of jobs and stored results."""

import dataclasses
import typing
from collections.abc import Mapping
from typing import Any, TypeVar, cast

from core.messages import Message
from core.spec.hyperparameters import build_algorithm, flatten_union, get_params, is_algorithm

T = TypeVar("T")
CLASS_KEY = "class"  # key of the name of an object's class; it cannot be the name of a field


def encode(value: Any) -> Any:
    """Return `value` as plain JSON: dataclasses as objects, an algorithm as its name and settings, tuples as lists.

    Example:
        >>> from core.spec.metric import Metric
        >>> encode(Metric("mae", "MAE", higher_is_better=False))
        {'class': 'Metric', 'name': 'mae', 'label': 'MAE', 'unit': '', 'higher_is_better': False, 'is_yes_no': False}
    """
    if isinstance(value, Message):
        return {"template": value.template, "values": encode(value.values)}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: _encode_field(field, getattr(value, field.name)) for field in dataclasses.fields(value)}
        return {CLASS_KEY: type(value).__name__, **fields}
    if isinstance(value, Mapping):
        return {str(name): encode(part) for name, part in value.items()}
    if isinstance(value, tuple | list):
        return [encode(part) for part in value]
    return value.item() if hasattr(value, "item") else value


def decode(kind: type[T], data: Any) -> T:
    """Return the value of type `kind` that `encode` converted to `data`.

    Absent fields take their defaults. Raises TypeError for unknown fields, TypeError or ValueError for data that do not
    fit the type, and OptionError for an unknown algorithm or setting.

    Example:
        >>> from core.spec.metric import Metric
        >>> decode(Metric, {"name": "mae", "label": "MAE", "higher_is_better": False}).direction
        -1
        >>> decode(tuple[float, ...], [1, 2.5])
        (1.0, 2.5)
    """
    return cast(T, _decode_value(kind, data))


def _encode_field(field: dataclasses.Field[Any], value: Any) -> Any:
    return {"name": value.name, "settings": encode(get_params(value))} if is_algorithm(field) else encode(value)


def _decode_value(kind: Any, data: Any) -> Any:
    if kind is Message:
        return Message(data["template"], data["values"])
    if dataclasses.is_dataclass(kind):
        return _decode_object(kind, data)
    origin, members = typing.get_origin(kind), flatten_union(kind)
    if len(members) > 1:
        return _decode_union(members, data)
    if origin is tuple:
        return _decode_tuple(typing.get_args(kind), data)
    if origin in (dict, Mapping):
        part = typing.get_args(kind)[1]
        return {name: _decode_value(part, value) for name, value in dict(data).items()}
    return _decode_plain(kind, data)


def _decode_object(kind: Any, data: Any) -> Any:
    if not isinstance(data, Mapping):
        raise TypeError(f"{kind.__name__} is an object, not {data!r:.80}")
    fields = {field.name: field for field in dataclasses.fields(kind)}
    field_types = typing.get_type_hints(kind)
    values = {name: value for name, value in data.items() if name != CLASS_KEY}
    if unknown := set(values) - set(fields):
        raise TypeError(f"{kind.__name__} has no {', '.join(sorted(unknown))}")
    return kind(**{name: _decode_field(fields[name], field_types[name], value) for name, value in values.items()})


def _decode_field(field: dataclasses.Field[Any], kind: Any, value: Any) -> Any:
    return (
        build_algorithm(field, value["name"], value["settings"]) if is_algorithm(field) else _decode_value(kind, value)
    )


def _decode_union(members: tuple[Any, ...], data: Any) -> Any:
    """Decode `data` as a member of a union: the dataclass that `data` names, or the first member that fits."""
    if data is None and type(None) in members:
        return None
    if isinstance(data, Mapping) and CLASS_KEY in data:
        for member in members:
            if dataclasses.is_dataclass(member) and getattr(member, "__name__", "") == data[CLASS_KEY]:
                return _decode_value(member, data)
    for member in members:
        if isinstance(member, str) or member is type(None):  # a value of a Literal
            if data == member:
                return data
            continue
        try:
            return _decode_value(member, data)
        except (TypeError, ValueError):
            continue
    raise ValueError(f"{data!r:.80} is none of {members}")


def _decode_tuple(parts: tuple[Any, ...], data: Any) -> tuple[Any, ...]:
    if not isinstance(data, list | tuple):
        raise TypeError(f"a list is needed, not {data!r:.80}")
    if len(parts) == 2 and parts[1] is Ellipsis:
        return tuple(_decode_value(parts[0], value) for value in data)
    return tuple(_decode_value(part, value) for part, value in zip(parts, data, strict=True))


def _decode_plain(kind: Any, data: Any) -> Any:
    if kind is Any:
        return data
    if kind is float and isinstance(data, int) and not isinstance(data, bool):
        return float(data)
    if not isinstance(data, kind) or (kind is int and isinstance(data, bool)):
        raise TypeError(f"{kind.__name__} is needed, not {data!r:.80}")
    return data
