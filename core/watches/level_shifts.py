"""Lasting changes: alarms of one direction that go on, so that a new level is more likely than a fault."""

from datetime import datetime, timedelta

from core.evaluation.events import MIN_LASTING_ROWS
from core.watches.incident import Incident

LASTING_ROWS = MIN_LASTING_ROWS + 1  # alarms that make a lasting change, at least
MIN_DENSITY = 0.8  # of the steps of the incident that are alarms
MIN_DIRECTION_SHARE = 0.9  # of its alarms that deviate in one direction, or have none that is known


def find_lasting_change(incident: Incident, step: timedelta) -> datetime | None:
    """Return the instant from which the level of an entity has changed; None for an incident that may still end.

    It depends on counts of alarms alone, so that rows in another order give the same answer.

    Example:
        >>> from datetime import UTC
        >>> start, hour = datetime(2024, 5, 1, tzinfo=UTC), timedelta(hours=1)
        >>> day = dict(watch="loads", entity="paris", start=start, end=start + 39 * hour, peak_at=start)
        >>> find_lasting_change(Incident(**day, rows=40, rows_above=40), hour) == start
        True
        >>> find_lasting_change(Incident(**day, rows=40, rows_above=20, rows_below=20), hour) is None
        True
    """
    steps = (incident.end - incident.start) / step + 1
    one_direction = incident.rows - min(incident.rows_above, incident.rows_below)
    is_lasting = (
        incident.rows >= LASTING_ROWS
        and incident.rows >= MIN_DENSITY * steps
        and one_direction >= MIN_DIRECTION_SHARE * incident.rows
    )
    return incident.start if is_lasting else None
