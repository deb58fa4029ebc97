"""Whom to tell about which change of an incident. Quiet hours and caps are applied when it is delivered."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from zoneinfo import ZoneInfo

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from core.watches.incident import ID_PATTERN, IncidentChange
from core.watches.maintenance import MaintenanceWindow, is_in_maintenance
from core.watches.watch import Recipient, Watch

URGENT_SEVERITY = 3
URGENT_KINDS = ("opened", "worse", "reopened")
MINUTE = timedelta(minutes=1)


class Announcement(BaseModel):
    """A change of an incident that one recipient is told.

    id         the same whenever the same change is announced to the same recipient, so that a second one is no second
    recipient  name of the recipient
    due        it is delivered no earlier
    is_urgent  it is told in quiet hours too
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(pattern=ID_PATTERN)
    recipient: str
    watch: str
    change: IncidentChange
    due: AwareDatetime
    is_urgent: bool = False


def plan_announcements(
    watch: Watch,
    changes: Iterable[IncidentChange],
    recipients: Iterable[Recipient],
    maintenance: Sequence[MaintenanceWindow],
    now: datetime,
) -> tuple[Announcement, ...]:
    """Return the announcements of changes to those `recipients` that the watch names.

    Nobody is told about growth, about too low a severity, about an incident that is muted, or about one that lies in
    maintenance. What was held back is told when the incident grows after the mute or the maintenance; the id tells
    whether it was told before.
    """
    names = [recipient.name for recipient in recipients if recipient.name in watch.recipients]
    announced = [change for change in (_choose_change(watch, change, maintenance, now) for change in changes) if change]
    return tuple(
        Announcement(
            id=make_announcement_id(change, name),
            recipient=name,
            watch=watch.name,
            change=change,
            due=now,
            is_urgent=change.incident.severity >= URGENT_SEVERITY and change.kind in URGENT_KINDS,
        )
        for change in announced
        for name in names
    )


def make_announcement_id(change: IncidentChange, recipient: str) -> str:
    """Return 32 hexadecimal digits for a change of an incident and a recipient.

    That an incident goes on with a severity is told once, as opened or as worse.
    """
    incident = change.incident
    phase = "on" if change.kind in ("opened", "worse") else change.kind
    parts = (incident.id, phase, incident.kind, str(incident.severity), str(incident.reopenings), recipient)
    return sha256("\n".join(parts).encode()).hexdigest()[:32]


def is_quiet(recipient: Recipient, instant: datetime) -> bool:
    """Tell whether an instant lies in the quiet hours of a recipient; their end does not.

    Example:
        >>> hours = {"quiet_from": "22:00", "quiet_until": "07:00"}
        >>> ada = Recipient(name="ada", channel="mail", address="ada@example.org", **hours)
        >>> is_quiet(ada, datetime(2024, 5, 1, 23, tzinfo=UTC)), is_quiet(ada, datetime(2024, 5, 1, 7, tzinfo=UTC))
        (True, False)
    """
    start, end = recipient.quiet_from, recipient.quiet_until
    if not start or not end or start == end:
        return False
    clock = f"{instant.astimezone(ZoneInfo(recipient.zone)):%H:%M}"
    return start <= clock < end if start < end else clock >= start or clock < end


def find_quiet_end(recipient: Recipient, instant: datetime) -> datetime:
    """Return the end of the quiet hours around an instant, in UTC; the instant itself outside of them."""
    end = instant.astimezone(UTC)
    while is_quiet(recipient, end):  # minute by minute, so that clock changes need no rule
        end = end.replace(second=0, microsecond=0) + MINUTE
    return end


def _choose_change(
    watch: Watch, change: IncidentChange, maintenance: Sequence[MaintenanceWindow], now: datetime
) -> IncidentChange | None:
    """Return the change that is announced for a change; None for none."""
    incident = change.incident
    has_data = incident.kind != "no data"
    if incident.merged_into or (has_data and incident.severity < watch.min_severity):
        return None
    if incident.muted_until is not None and now < incident.muted_until:
        return None
    first, last = (incident.start, incident.end) if has_data else (now, now)
    starts, ends = (is_in_maintenance(maintenance, watch.name, incident.entity, time) for time in (first, last))
    if starts and ends:
        return None
    if change.kind != "grown":
        return change
    if starts:
        return change.model_copy(update={"kind": "opened"})
    return change.model_copy(update={"kind": "worse"}) if incident.muted_until is not None else None
