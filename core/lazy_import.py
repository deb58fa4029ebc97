"""A heavy library that is imported when its first name is asked for, so that listing what uses it costs nothing."""

from importlib import import_module
from typing import Any


class Lazy:
    """Stands for the module `name` until then."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        found = getattr(import_module(self._name), attribute)
        setattr(self, attribute, found)  # asked once: the next time nothing stands in between
        return found
