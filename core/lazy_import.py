"""Lazy import of heavy libraries, so that modules that use them can be listed quickly."""

from importlib import import_module
from typing import Any


class LazyModule:
    """Placeholder for the module `name`, which is imported at the first access to one of its attributes."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        value = getattr(import_module(self._name), attribute)
        setattr(self, attribute, value)  # later accesses do not call __getattr__
        return value
