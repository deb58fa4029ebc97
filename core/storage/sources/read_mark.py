"""Marks of how far a query was read: the greatest value of the column that orders its rows, now and at earlier ticks.

Rows are committed out of order, and come late. So a tick reads again what came in the last hour, and the first tick of
an hour what came in the last day. The ledger of the watch drops the rows that were judged.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

OVERLAP, LONG_OVERLAP = timedelta(hours=1), timedelta(days=1)
LONG_OVERLAP_STEP, CHECKPOINT_STEP = timedelta(hours=1), timedelta(minutes=30)
FUTURE = timedelta(days=1)  # a later time is an error of the data, and must not hide what comes after it

Value = int | float | str | datetime | date
KINDS: dict[type, str] = {int: "int", float: "float", str: "text", datetime: "time", date: "day"}
PARSERS: dict[str, Callable[[str], Value]] = {
    "int": int,
    "float": float,
    "text": str,
    "time": datetime.fromisoformat,
    "day": date.fromisoformat,
}


@dataclass(frozen=True)
class ReadPage:
    """Rows of one call.

    last      value of the last row
    greatest  the same without values of the far future; None without such a row
    is_cut    True if more rows follow
    """

    count: int = 0
    last: Value | None = None
    greatest: Value | None = None
    is_cut: bool = False


@dataclass(frozen=True)
class ReadMark:
    """State of the reader of a query.

    greatest     greatest value that was read
    page         value after which the next page of a long answer begins; None between two answers
    checkpoints  times of ticks, the oldest first, and the greatest value then
    long_at      time of the last tick that read the last day again
    """

    greatest: Value | None = None
    page: Value | None = None
    checkpoints: tuple[tuple[datetime, Value], ...] = ()
    long_at: datetime | None = None

    @classmethod
    def parse(cls, state: Mapping[str, Any]) -> "ReadMark":
        """Return what `dump` wrote; an empty mark for anything else."""
        try:
            values = {name: _parse_value(state[name]) if state[name] else None for name in ("greatest", "page")}
            checkpoints = tuple((datetime.fromisoformat(at), _parse_value(pair)) for at, pair in state["checkpoints"])
            long_at = datetime.fromisoformat(state["long_at"]) if state["long_at"] else None
            return cls(**values, checkpoints=checkpoints, long_at=long_at)
        except (LookupError, TypeError, ValueError):
            return cls()

    def dump(self) -> dict[str, Any]:
        """Return the mark for JSON."""
        return {
            "greatest": _dump_value(self.greatest),
            "page": _dump_value(self.page),
            "checkpoints": [[at.isoformat(), _dump_value(value)] for at, value in self.checkpoints],
            "long_at": self.long_at.isoformat() if self.long_at else None,
        }

    def choose_since(self, now: datetime) -> tuple[Value | None, bool]:
        """Return the value after which rows are read, None for all rows, and whether the last day is read again."""
        if self.page is not None or self.greatest is None:
            return self.page, False
        is_long = self.long_at is None or now - self.long_at >= LONG_OVERLAP_STEP
        overlap = LONG_OVERLAP if is_long else OVERLAP
        earlier = [value for at, value in self.checkpoints if at <= now - overlap]
        candidates = [earlier[-1] if earlier else self.checkpoints[0][1] if self.checkpoints else self.greatest]
        moved = _move_back(self.greatest, overlap)
        candidates += [moved] if type(moved) is type(candidates[0]) else []
        return min(candidates), is_long

    def update(self, page: ReadPage, now: datetime, is_long: bool) -> "ReadMark":
        """Return the mark after `page` was read at `now`."""
        greatest = self.greatest if page.greatest is None else page.greatest
        long_at = now if is_long or self.long_at is None else self.long_at
        mark = replace(self, greatest=greatest, page=page.last if page.is_cut else None, long_at=long_at)
        if page.is_cut or greatest is None:
            return mark
        checkpoints = self.checkpoints
        if not checkpoints or now - checkpoints[-1][0] >= CHECKPOINT_STEP:
            checkpoints = (*checkpoints, (now, greatest))
        old_count = sum(at <= now - LONG_OVERLAP for at, _ in checkpoints)
        return replace(mark, checkpoints=checkpoints[max(old_count - 1, 0) :])


def is_future(value: Value, now: datetime) -> bool:
    """Tell whether a value is a time more than a day after `now`; of a number nobody knows.

    Example:
        >>> now = datetime(2024, 1, 1, tzinfo=UTC)
        >>> is_future("2024-01-01 06:00", now), is_future("2099-01-01", now), is_future(4_000_000_000, now)
        (False, True, False)
    """
    instant = _parse_time(value)
    return instant is not None and _add_zone(instant) > now + FUTURE


def _move_back(value: Value, span: timedelta) -> Value | None:
    """Return the value `span` earlier, of the same type; None for a number or another text."""
    instant = _parse_time(value)
    if instant is None:
        return None
    try:
        earlier = instant - span
    except OverflowError:
        return None
    if isinstance(value, str):
        return earlier.isoformat(sep=value[10:11] or " ")[: max(len(value), 10)]
    return earlier if isinstance(value, datetime) else earlier.date() - timedelta(days=1)


def _parse_time(value: Value) -> datetime | None:
    if isinstance(value, datetime):
        return value
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day)
    try:
        return datetime.fromisoformat(value) if isinstance(value, str) and value[4:5] == "-" else None
    except ValueError:
        return None


def _add_zone(instant: datetime) -> datetime:
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)


def _dump_value(value: Value | None) -> list[str] | None:
    if value is None:
        return None
    text = value.isoformat() if isinstance(value, date) else str(value)
    return [KINDS[type(value)], text]


def _parse_value(pair: Sequence[str]) -> Value:
    kind, text = pair
    return PARSERS[kind](text)
