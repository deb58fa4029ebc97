"""Findings of the data doctor, and the repairs that it proposes. Plain data, stored as JSON."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from core.messages import Text


@dataclass(frozen=True)
class Repair:
    """Name and settings of a change to a dataset; `core.data.quality.repairs` applies it."""

    kind: str
    settings: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Finding:
    """Kind of data-quality issue in a dataset, with its number, locations and possible repairs.

    `where` lists at most `PLACES` locations, with the keys that apply (`entity`, `time`, `column`, `value` …).
    `count` is the full number. The first of `repairs` is the proposed one.
    """

    kind: str
    count: int
    text: Text
    where: tuple[Mapping[str, Any], ...] = ()
    repairs: tuple[Repair, ...] = ()

    PLACES = 1000

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON, with the message in English."""
        return {
            "kind": self.kind,
            "count": self.count,
            "message": str(self.text),
            "where": [dict(place) for place in self.where],
            "repairs": [repair.to_json() for repair in self.repairs],
        }
