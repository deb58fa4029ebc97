"""Phrases in sentences: shares, moments, periods and lists of names, as values of messages."""

from datetime import date, datetime
from typing import Any

from core.messages import N_, Message

MAX_NAMES = 12


def to_percent(share: float, digits: int = 2) -> Message | str:
    """Return a share (0–1) as a percentage; a dash for an unknown one.

    Example:
        >>> str(to_percent(0.12345)), to_percent(float("nan"))
        ('12.35%', '–')
    """
    if share != share:
        return "–"
    return Message(N_("{percent}%"), {"percent": round(100 * float(share), digits)})


def to_rare_percent(share: float) -> Message:
    """Return a share (0–1) as a percentage with three significant digits, so that a rare one does not become 0.

    Example:
        >>> str(to_rare_percent(0.0054821)), str(to_rare_percent(0.05)), str(to_rare_percent(1e-6))
        ('0.548%', '5%', '0.0001%')
    """
    return Message(N_("{percent}%"), {"percent": float(f"{100 * share:.3g}")})


def to_moment(time: Any) -> object:
    """Return a time as a value of a message: a date at midnight, a row number for data without dates.

    Example:
        >>> to_moment(datetime(2024, 3, 12)), str(to_moment(7))
        (datetime.date(2024, 3, 12), 'row 7')
    """
    if isinstance(time, datetime):
        moment = datetime.combine(time.date(), time.time().replace(microsecond=0))  # also of a pandas.Timestamp
        return moment.date() if moment == moment.replace(hour=0, minute=0, second=0, microsecond=0) else moment
    return time if isinstance(time, str | date) else Message(N_("row {number}"), {"number": int(time)})


def to_span(start: Any, end: Any) -> object:
    """Return a period as a value of a message: one time where both ends are equal, one date where they are of one day.

    Example:
        >>> str(to_span(datetime(2024, 3, 12), datetime(2024, 3, 14)))
        '2024-03-12 – 2024-03-14'
        >>> str(to_span(datetime(2024, 3, 12, 6), datetime(2024, 3, 12, 9, 30)))
        '2024-03-12 06:00:00 – 09:30'
    """
    if start == end:
        return to_moment(start)
    is_one_day = isinstance(start, datetime) and isinstance(end, datetime) and start.date() == end.date()
    last = f"{end:%H:%M}" if is_one_day else to_moment(end)
    return Message("{start} – {end}", {"start": to_moment(start), "end": last})


def list_names(names: Any, limit: int = MAX_NAMES) -> Message | str:
    """Return names as a list in a sentence, the first ones of a long list.

    Example:
        >>> str(list_names(["Paris", "Lyon"])), str(list_names(["a", "b", "c"], limit=2))
        ('Paris, Lyon', 'a, b and 1 more')
    """
    texts = [name if isinstance(name, Message) else str(name) for name in names]
    joined: Message | str = ""
    for number, text in enumerate(texts[:limit]):
        joined = Message("{start}, {word}", {"start": joined, "word": text}) if number else text
    rest = len(texts) - limit
    return Message(N_("{names} and {count} more"), {"names": joined, "count": rest}) if rest > 0 else joined
