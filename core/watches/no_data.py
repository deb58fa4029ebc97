"""Incidents of the kind "no data": a source that fails, or sends no new rows."""

from datetime import datetime, timedelta

from core.watches.incident import Incident, IncidentChange
from core.watches.watch import Watch

NO_DATA_SEVERITY = 2  # nothing is known to be wrong, and nothing that goes wrong would be seen


def judge_silence(
    watch: Watch, incident: Incident | None, failures: int, last_row_at: datetime | None, now: datetime
) -> IncidentChange | None:
    """Return the change of the incident about missing data after a tick; None without one.

    Missing data open an incident, which grows until they are back, and is resolved then. Ask this after every tick,
    completed or failed.

    Args:
        watch: with `max_failures` and `max_silence_minutes`.
        incident: the unresolved incident of the kind "no data"; None without one.
        failures: failed ticks in a row, with this one; 0 after a completed one.
        last_row_at: when the last new row came, with this tick; None before the first.
        now: time of the tick.
    """
    last_sign = min(last_row_at or watch.created_at, now)
    has_failed = failures >= watch.max_failures
    is_silent = watch.max_silence_minutes > 0 and now - last_sign >= timedelta(minutes=watch.max_silence_minutes)
    if has_failed or is_silent:
        values = {"end": now, "rows": failures, "changed_at": now}
        if incident is not None:
            return IncidentChange(kind="grown", incident=incident.model_copy(update=values))
        opened = Incident(
            watch=watch.name,
            entity="",
            kind="no data",
            start=last_sign,
            peak_at=last_sign,
            severity=NO_DATA_SEVERITY,
            opened_at=now,
            **values,
        )
        return IncidentChange(kind="opened", incident=opened)
    if incident is None:
        return None
    times = {"end": now, "ended_at": now, "resolved_at": now, "changed_at": now}
    return IncidentChange(kind="resolved", incident=incident.model_copy(update={"state": "resolved", **times}))
