"""A folder is a registry: every class of a kind that its modules define, found by importing them."""

import importlib
import inspect
import pkgutil
from types import ModuleType
from typing import Any, TypeVar

T = TypeVar("T")


def members(package: ModuleType, kind: type[T]) -> dict[str, type[T]]:
    """Name → class, for every concrete subclass of `kind` in the modules of `package` and its sub-folders."""
    found: dict[str, Any] = {}
    for module_info in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        module = importlib.import_module(module_info.name)
        for value in vars(module).values():
            own = inspect.isclass(value) and value.__module__ == module.__name__
            if own and issubclass(value, kind) and not inspect.isabstract(value):
                found[value.name] = value
    return found
