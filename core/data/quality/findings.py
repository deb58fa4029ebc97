"""Findings of the data doctor, and the repairs that it proposes. Plain data, stored as JSON."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from core.messages import Message

QUESTION_KINDS = ("ambiguous_dates", "ambiguous_numbers", "uncertain_role", "uncertain_layout", "ignored_sheets")
"""Kinds of findings about a file that has two readings: a person decides whether the chosen one is right."""


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

    `locations` lists at most `MAX_LOCATIONS` locations, with the keys that apply (`entity`, `time`, `column`, `value`
    …). `count` is the full number. The first of `repairs` is the proposed one.
    """

    kind: str
    count: int
    message: Message
    locations: tuple[Mapping[str, Any], ...] = ()
    repairs: tuple[Repair, ...] = ()

    MAX_LOCATIONS = 1000

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON, with the message in English."""
        return {
            "kind": self.kind,
            "count": self.count,
            "message": str(self.message),
            "where": [dict(location) for location in self.locations],
            "repairs": [repair.to_json() for repair in self.repairs],
        }
