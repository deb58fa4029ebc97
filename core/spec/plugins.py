"""Registries of classes: all subclasses of a base class that the modules of a folder define."""

import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any, TypeVar

T = TypeVar("T")

_external_classes: dict[str, list[type[Any]]] = {}  # name of a package → classes registered from outside it


def discover_classes(package: ModuleType, kind: type[T]) -> dict[str, type[T]]:
    """Return name → class of all concrete subclasses of `kind` in the modules of `package` and its subfolders."""
    classes: list[Any] = [*_list_classes(package), *_external_classes.get(package.__name__, [])]
    return {cls.name: cls for cls in classes if issubclass(cls, kind) and not inspect.isabstract(cls)}


def _list_classes(package: ModuleType) -> Iterator[type[Any]]:
    """Yield the classes that the modules of `package` define."""
    for module_info in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        module = importlib.import_module(module_info.name)
        yield from (cls for cls in vars(module).values() if inspect.isclass(cls) and cls.__module__ == module.__name__)


def list_external_classes() -> list[type[Any]]:
    """Return the classes registered from outside their packages."""
    return [cls for classes in _external_classes.values() for cls in classes]


@contextmanager
def register_class(package: ModuleType, cls: type[T]) -> Iterator[type[T]]:
    """Register a class that is not in a file of `package`, for the duration of the block."""
    classes = _external_classes.setdefault(package.__name__, [])
    classes.append(cls)
    try:
        yield cls
    finally:
        classes.remove(cls)
