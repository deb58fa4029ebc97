"""The part of a dataset that was asked about: what a link carries and a colleague sees again."""

from dataclasses import dataclass
from typing import Protocol

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
        """Raises BadData when nothing is left."""
        return dataset.select(self.entities, self.start, self.end)

    @classmethod
    def asked(cls, question: Asked) -> "Selection":
        """The selection that a kept result was made from."""
        start, end = (pd.Timestamp(day) if day else None for day in (question.start, question.end))
        return cls(question.entities, start, end)


EVERYTHING = Selection()
