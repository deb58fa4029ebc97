"""The part of a dataset that was asked about: what a link carries and a colleague sees again."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import pandas as pd

from core.data.dataset import Dataset


class Asked(Protocol):
    """A question that remembers its selection, as text."""

    @property
    def entities(self) -> tuple[str, ...]: ...
    @property
    def start(self) -> str: ...
    @property
    def end(self) -> str: ...


@dataclass(frozen=True)
class Selection:
    """Entities (all when empty) and a period, both ends included."""

    entities: tuple[str, ...] = ()
    start: pd.Timestamp | None = None
    end: pd.Timestamp | None = None

    def of(self, dataset: Dataset) -> Dataset:
        """Raises DataError when nothing is left."""
        return dataset.select(self.entities, self.start, self.end)

    @classmethod
    def asked(cls, question: Asked) -> "Selection":
        """The selection that a kept result was made from."""
        return cls.from_json({"entities": question.entities, "start": question.start, "end": question.end})

    @classmethod
    def from_json(cls, written: Mapping[str, Any]) -> "Selection":
        """What `to_json` wrote, perhaps among other things; everything where nothing is written."""
        start, end = (pd.Timestamp(written[name]) if written.get(name) else None for name in ("start", "end"))
        return cls(tuple(written.get("entities", ())), start, end)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON: `entities`, `start` and `end`, the latter "" where there is none."""
        return {"entities": list(self.entities), "start": str(self.start or ""), "end": str(self.end or "")}


EVERYTHING = Selection()
