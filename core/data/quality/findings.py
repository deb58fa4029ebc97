"""Findings of the data doctor, and the repairs that it proposes. Plain data, stored as JSON."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from core.messages import N_, Message

QUESTION_KINDS = (
    *("ambiguous_dates", "ambiguous_numbers", "uncertain_role", "uncertain_layout", "ignored_sheets"),
    "doubtful_keys",
)
"""Kinds of findings about a file that has two readings: a person decides whether the chosen one is right."""

TOPICS = {
    "sentinels": N_("placeholder numbers"),
    "gross_outliers": N_("outliers"),
    "isolated_spikes": N_("isolated spikes"),
    "unexpected_zeros": N_("unexpected zeros"),
    "stuck_values": N_("stuck values"),
    "spikes_and_dips": N_("spikes and dips"),
    "level_jumps": N_("level jumps"),
    "mixed_units": N_("months in another unit"),
    "incomplete_rows": N_("missing values"),
    "constant_columns": N_("constant columns"),
    "missing_dates": N_("missing timestamps"),
    "duplicate_keys": N_("repeated timestamps"),
    "mixed_steps": N_("irregular time steps"),
    "shifted_hours": N_("shifted hours"),
    "clock_change_zeros": N_("hours of clock changes"),
    "clock_change_lows": N_("hours of clock changes"),
    "clock_change_doubles": N_("hours of clock changes"),
    "contradicting_totals": N_("declared totals"),
}
"""What the checks look for, by the kind of their findings."""

DATE_KINDS = frozenset({"mixed_units", "missing_dates", "duplicate_keys", "mixed_steps"})
"""Kinds that are looked for only in data with dates."""
PROFILE_KINDS = frozenset(
    {"shifted_hours", "clock_change_zeros", "clock_change_lows", "clock_change_doubles", "contradicting_totals"}
)
"""Kinds that are looked for only in daily profiles."""

LOCATION_LABELS = {
    "entity": N_("Entity"),
    "time": N_("Time"),
    "from": N_("From"),
    "to": N_("To"),
    "after": N_("After"),
    "before": N_("Before"),
    "column": N_("Column"),
    "value": N_("Value"),
    "rows": N_("Rows"),
    "missing": N_("Missing"),
    "sum": N_("Sum"),
    "total": N_("Declared total"),
    "shift_hours": N_("Shift (h)"),
    "factor": N_("Factor"),
    "level_before": N_("Level before"),
    "level_after": N_("Level after"),
}
"""Keys of `Finding.locations`, and their labels."""
TIME_KEYS = ("time", "from", "to", "after", "before")
"""Keys of locations that hold a timestamp; in data without dates, a row number."""


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
    …). `count` is the full number. The first of `repairs` is the proposed one. `effect` is the mean change of a
    measurement by that repair (`core.data.quality.effects`); a report lists the largest first.
    """

    kind: str
    count: int
    message: Message
    locations: tuple[Mapping[str, Any], ...] = ()
    repairs: tuple[Repair, ...] = ()
    effect: float = 0.0

    MAX_LOCATIONS = 1000

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON, with the message in English."""
        return {
            "kind": self.kind,
            "count": self.count,
            "effect": self.effect,
            "message": str(self.message),
            "where": [dict(location) for location in self.locations],
            "repairs": [repair.to_json() for repair in self.repairs],
        }


def list_topics(profile: bool, has_dates: bool) -> list[str]:
    """Return what the checks look for in daily profiles or series, with or without dates, as labels.

    Example:
        >>> list_topics(profile=False, has_dates=False)[:3]
        ['placeholder numbers', 'outliers', 'isolated spikes']
    """
    absent_kinds = (frozenset() if profile else PROFILE_KINDS) | (frozenset() if has_dates else DATE_KINDS)
    return list(dict.fromkeys(topic for kind, topic in TOPICS.items() if kind not in absent_kinds))
