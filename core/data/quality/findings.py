"""What the data doctor says: findings, and the repairs it proposes. Plain data, kept as JSON."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from core.messages import Text


@dataclass(frozen=True)
class Repair:
    """A named change to a dataset and its settings; `core.data.quality.repairs` knows how to make it."""

    kind: str
    settings: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Finding:
    """One kind of fault: how often, where, and what could be done.

    `where` lists places (`entity`, `time`, `column`, `value` … as far as they apply), at most `PLACES` of them;
    `count` is the full number. The first of `repairs` is the one proposed.
    """

    kind: str
    count: int
    text: Text
    where: tuple[Mapping[str, Any], ...] = ()
    repairs: tuple[Repair, ...] = ()

    PLACES = 1000

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON, with the sentence in English."""
        return {
            "kind": self.kind,
            "count": self.count,
            "message": str(self.text),
            "where": [dict(place) for place in self.where],
            "repairs": [repair.to_json() for repair in self.repairs],
        }
