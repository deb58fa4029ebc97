"""Sentences about an incident, for those who read no page: what, where, when, how far, and what is known about it.

Entities, columns, comments and the names of known events are texts of files and persons. `clean_text` takes out of them
what could end a line or turn the order of the letters round.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import pandas as pd

from core.messages import N_, Message
from core.phrases import list_names, to_moment, to_span
from core.watches.announcing import Announcement
from core.watches.incident import ChangeKind, Incident

NoticeKind = ChangeKind | Literal["passed", "brief"]
"""What became of an incident: the last change; begun and ended; opened and resolved."""

MAX_TEXT_CHARS = 200  # of one name
MAX_LISTED_NAMES = 5
NO_BREAK_SPACES = "\u00a0\u202f"  # in numbers
DIGITS = 5  # significant ones of a measured value
TITLES: dict[NoticeKind, str] = {
    "opened": N_("New incident"),
    "grown": N_("The incident goes on"),
    "worse": N_("The incident is worse"),
    "ended": N_("The incident has ended"),
    "resolved": N_("Resolved"),
    "reopened": N_("Opened again"),
    "passed": N_("Begun and ended"),
    "brief": N_("Opened and resolved"),
}
LASTING_TITLES: dict[NoticeKind, str] = {"opened": N_("New lasting change"), "grown": N_("The lasting change goes on")}
SILENCE_TITLES: dict[NoticeKind, str] = {
    "opened": N_("No data"),
    "grown": N_("Still no data"),
    "worse": N_("Still no data"),
    "ended": N_("Data arrive again"),
    "resolved": N_("Data arrive again"),
    "passed": N_("No data for a time"),
    "brief": N_("No data for a time"),
}


@dataclass(frozen=True)
class Notice:
    """Summary of what became of one incident, however many of its changes have waited."""

    kind: NoticeKind
    watch: str
    incident: Incident


def collect_notices(announcements: Sequence[Announcement]) -> list[Notice]:
    """Return one notice for each incident, the worst first: what goes on, by severity and peak.

    An incident that has become part of another one is left out where the other one is told.
    """
    ordered = sorted(announcements, key=lambda one: (one.change.incident.changed_at, one.due))  # stable
    groups: dict[str, list[Announcement]] = {}
    for announcement in ordered:
        groups.setdefault(announcement.change.incident.id, []).append(announcement)
    notices = [
        Notice(_choose_kind([one.change.kind for one in group]), group[-1].watch, group[-1].change.incident)
        for group in groups.values()
        if group[-1].change.incident.merged_into not in groups
    ]
    return sorted(notices, key=_rank_notice)


def _choose_kind(kinds: Sequence[ChangeKind]) -> NoticeKind:
    if kinds[0] != "opened":
        return kinds[-1]
    return {"resolved": "brief", "ended": "passed"}.get(kinds[-1], "opened")  # type: ignore[return-value]


def _rank_notice(notice: Notice) -> tuple[bool, int, float, str]:
    incident = notice.incident
    peak = incident.peak if incident.peak == incident.peak else 0.0  # unknown
    return not incident.is_going_on, -incident.severity, -peak, incident.id


def describe_head(notice: Notice, zone: str) -> Message:
    """Return what happened where, and when by the clock of the reader and of the data.

    Example:
        >>> from datetime import UTC, datetime
        >>> start, end = datetime(2026, 3, 2, 6, tzinfo=UTC), datetime(2026, 3, 2, 9, tzinfo=UTC)
        >>> incident = Incident(watch="load", entity="lyon", start=start, end=end, peak_at=start)
        >>> str(describe_head(Notice("opened", "load", incident), "UTC"))
        'New incident: lyon, 2026-03-02 06:00:00 – 09:00 (UTC)'
    """
    incident = notice.incident
    values = {"title": describe_title(notice), "when": describe_span(incident, zone)}
    if not incident.entity:
        template = N_("{title}: watch {watch}, {when}")
        return Message(template, {**values, "watch": clean_text(notice.watch)})
    return Message(N_("{title}: {entity}, {when}"), {**values, "entity": clean_text(incident.entity)})


def describe_subject(notice: Notice) -> Message:
    """Return what happened where, without the time, for the subject of a mail."""
    values = {"title": describe_title(notice), "watch": clean_text(notice.watch)}
    if not notice.incident.entity:
        return Message(N_("{title}: watch {watch}"), values)
    return Message(N_("{title}: {entity} ({watch})"), {**values, "entity": clean_text(notice.incident.entity)})


def describe_title(notice: Notice) -> Message:
    """Return what became of an incident, in a few words."""
    incident = notice.incident
    if incident.is_withdrawn:
        return Message(N_("Withdrawn, because the corrected values are normal"))
    if incident.merged_into:
        return Message(N_("Part of an earlier incident"))
    titles = {"no data": SILENCE_TITLES, "lasting change": LASTING_TITLES}.get(incident.kind, TITLES)
    return Message(titles.get(notice.kind, TITLES[notice.kind]))


def describe_span(incident: Incident, zone: str) -> Message:
    """Return begin and end in the time zone of the reader, and in that of the data where its hours differ."""
    if not incident.zone:
        return Message(N_("{span} (clock of the data)"), {"span": _to_local_span(incident, "UTC")})
    span, data_span = _to_local_span(incident, zone), _to_local_span(incident, incident.zone)
    if span == data_span:
        return Message("{span} ({zone})", {"span": span, "zone": zone})
    return Message(
        N_("{span} ({zone}); {data_span} in the zone of the data, {data_zone}"),
        {"span": span, "zone": zone, "data_span": data_span, "data_zone": incident.zone},
    )


def list_details(notice: Notice, zone: str) -> list[Message]:
    """Return what else is known about an incident, one sentence each; the measured value first."""
    incident = notice.incident
    details = [_describe_values(incident)] if incident.column and incident.measured is not None else []
    if incident.kind != "no data":
        details.append(
            Message(
                N_(
                    "Severity {severity} of 3, {rows} flagged row, watch {watch}",
                    "Severity {severity} of 3, {rows} flagged rows, watch {watch}",
                ),
                {"rows": incident.rows, "severity": str(incident.severity), "watch": clean_text(notice.watch)},
            )
        )
    if incident.is_lasting_from is not None:
        moment = to_moment(_to_clock(incident.is_lasting_from, zone if incident.zone else "UTC"))
        details.append(Message(N_("The level has changed since {moment}"), {"moment": moment}))
    if len(incident.causes) > 1:
        names = list_names(map(clean_text, incident.causes), MAX_LISTED_NAMES)
        details.append(Message(N_("Columns that deviate most: {names}"), {"names": names}))
    if incident.known_events:
        names = list_names(incident.event_messages, MAX_LISTED_NAMES)
        details.append(Message(N_("Known events at this time: {names}"), {"names": names}))
    if incident.assignee:
        details.append(Message(N_("{user} looks after it"), {"user": clean_text(incident.assignee)}))
    if incident.comment:
        details.append(Message(N_("Comment: {comment}"), {"comment": clean_text(incident.comment)}))
    return details


def clean_text(text: str) -> str:
    r"""Return a text of others as one line of letters that show what they are, cut where it is long.

    Example:
        >>> clean_text("lyon\r\nBcc: all@example.org"), clean_text("ab\u202ecd")
        ('lyon Bcc: all@example.org', 'ab cd')
    """
    is_shown = {letter: letter.isprintable() or letter in NO_BREAK_SPACES for letter in set(text)}
    line = " ".join(filter(None, "".join(letter if is_shown[letter] else " " for letter in text).split(" ")))
    return line if len(line) <= MAX_TEXT_CHARS else f"{line[: MAX_TEXT_CHARS - 1]}…"


def _describe_values(incident: Incident) -> Message:
    values = {"column": clean_text(incident.column), "measured": _to_value(incident.measured, incident.unit)}
    if incident.expected is None:
        return Message(N_("{measured} measured in {column}"), values)
    values["expected"] = _to_value(incident.expected, incident.unit)
    if incident.low is None or incident.high is None:
        return Message(N_("{measured} measured in {column}, {expected} expected"), values)
    return Message(
        N_("{measured} measured in {column}, {expected} expected, usual range {low} – {high}"),
        {**values, "low": _to_value(incident.low), "high": _to_value(incident.high)},
    )


def _to_value(value: float | None, unit: str = "") -> object:
    if value is None or value != value:
        return "–"
    number = float(f"{value:.{DIGITS}g}")
    return Message("{number}\u00a0{unit}", {"number": number, "unit": clean_text(unit)}) if unit else number


def _to_local_span(incident: Incident, zone: str) -> object:
    return to_span(_to_clock(incident.start, zone), _to_clock(incident.end, zone))


def _to_clock(instant: datetime, zone: str) -> datetime:
    """Return an instant on the clock of a zone, which may be an offset such as +02:00."""
    return pd.Timestamp(instant).tz_convert(zone).tz_localize(None).to_pydatetime()
