"""Attributes of a loaded model: a model that an earlier version saved may lack some that this version needs."""

import ast
import dataclasses
import inspect
import textwrap
from collections.abc import Iterator
from functools import cache
from typing import Any

OWN_PACKAGE = "core."
FIT_PREFIX = "fit"  # of the methods that set the attributes of a fitted model


def complete_model(model: Any) -> tuple[str, ...]:
    """Fill the declared fields that `model` and its parts lack with their defaults; return what is still missing.

    A file holds the attributes of the version that saved it. A field with a default is one that earlier versions did
    without. Attributes that the present `fit` sets in every case have no default, so they are returned as
    "Class.attribute".

    Example:
        >>> from core.forecasters.ridge import Ridge
        >>> ridge = Ridge()
        >>> ridge.plan_, ridge.models_, ridge.share_ = None, {}, 1.0
        >>> complete_model({"forecaster": ridge})
        ('Ridge.bases_',)
    """
    missing = []
    for part in _iter_parts(model, set()):
        missing += [f"{type(part).__name__}.{name}" for name in (*_fill_fields(part), *_list_unset(part))]
    return tuple(dict.fromkeys(missing))


def _iter_parts(value: Any, seen: set[int]) -> Iterator[Any]:
    """Yield the objects of own classes in `value`, each once."""
    if id(value) in seen:
        return
    if isinstance(value, dict | list | tuple | set):
        seen.add(id(value))
        for item in value.values() if isinstance(value, dict) else value:
            yield from _iter_parts(item, seen)
    elif type(value).__module__.startswith(OWN_PACKAGE) and hasattr(value, "__dict__"):
        seen.add(id(value))
        yield value
        yield from _iter_parts(vars(value), seen)


def _fill_fields(part: Any) -> list[str]:
    """Fill the declared fields that `part` lacks; return those without a default."""
    missing = []
    for field in dataclasses.fields(part) if dataclasses.is_dataclass(part) else ():
        if hasattr(part, field.name):  # a simple default is an attribute of the class
            continue
        if field.default_factory is not dataclasses.MISSING:
            object.__setattr__(part, field.name, field.default_factory())
        elif field.init:  # others are set by `fit`
            missing.append(field.name)
    return missing


def _list_unset(part: object) -> list[str]:
    """Return the attributes that a fitted `part` lacks; none where one of its methods that fit has set all of its own.

    A part without any of them is not fitted.
    """
    methods = [attributes for attributes in _list_fitted(type(part)) if attributes]
    lacking = [[name for name in attributes if not hasattr(part, name)] for attributes in methods]
    is_fitted = any(len(names) < len(attributes) for names, attributes in zip(lacking, methods, strict=True))
    return min(lacking, key=len) if is_fitted else []


def _list_fitted(cls: type[Any]) -> tuple[tuple[str, ...], ...]:
    """Return the attributes that each method of `cls` that fits sets in every case."""
    names = [name for name in dir(cls) if name.startswith(FIT_PREFIX)]
    methods = [inspect.unwrap(getattr(cls, name)) for name in names]
    return tuple(_list_assigned(method) for method in methods if inspect.isfunction(method))


@cache
def _list_assigned(method: Any) -> tuple[str, ...]:
    """Return the attributes of self that the body of a method sets before it can return, outside of any condition."""
    function = ast.parse(textwrap.dedent(inspect.getsource(method))).body[0]
    assert isinstance(function, ast.FunctionDef)
    assigned: list[str] = []
    for statement in function.body:
        if isinstance(statement, ast.Assign | ast.AnnAssign):
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            assigned += [name for target in targets for name in _list_attributes(target)]
        if any(isinstance(node, ast.Return) for node in ast.walk(statement)):
            break
    return tuple(dict.fromkeys(assigned))


def _list_attributes(target: ast.expr) -> list[str]:
    """Return the attributes of self that end in an underscore among the targets of an assignment."""
    return [
        node.attr
        for node in ([*target.elts] if isinstance(target, ast.Tuple) else [target])
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "self" and node.attr.endswith("_")
    ]
