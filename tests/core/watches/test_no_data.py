"""Missing data are an incident that opens, grows and is resolved by the data."""

from datetime import timedelta

import pytest

from core.watches.no_data import NO_DATA_SEVERITY, judge_silence
from tests.core.watches.judged_tables import START, WATCH

HOUR = timedelta(hours=1)
SILENT = WATCH.model_copy(update={"max_failures": 3, "max_silence_minutes": 90, "created_at": START})


def test_source_that_fails_again_and_again_is_an_incident() -> None:
    kinds, incident = [], None
    for failures in (1, 2, 3, 4, 0, 1):
        change = judge_silence(SILENT, incident, failures, START + HOUR, START + 2 * HOUR)
        kinds.append(change and change.kind)
        incident = change.incident if change is not None and change.incident.is_open else None
    assert kinds == [None, None, "opened", "grown", "resolved", None]


def test_incident_of_missing_data_tells_since_when() -> None:
    opened = judge_silence(SILENT, None, 3, START + HOUR, START + 2 * HOUR)
    assert opened is not None
    incident = opened.incident
    assert (incident.kind, incident.entity, incident.severity) == ("no data", "", NO_DATA_SEVERITY)
    assert (incident.start, incident.end, incident.rows) == (START + HOUR, START + 2 * HOUR, 3)
    grown = judge_silence(SILENT, incident, 4, START + HOUR, START + 3 * HOUR)
    assert grown is not None
    assert (grown.incident.id, grown.incident.end, grown.incident.rows) == (incident.id, START + 3 * HOUR, 4)
    back = judge_silence(SILENT, grown.incident, 0, START + 4 * HOUR, START + 4 * HOUR)
    assert back is not None
    assert (back.incident.state, back.incident.resolved_at) == ("resolved", START + 4 * HOUR)


@pytest.mark.parametrize(
    ("minutes", "last_row_minutes", "is_silent"),
    [(90, None, True), (89, None, False), (120, 30, True), (120, 31, False)],
)
def test_source_without_new_rows_is_silent(minutes: int, last_row_minutes: int | None, is_silent: bool) -> None:
    last = None if last_row_minutes is None else START + timedelta(minutes=last_row_minutes)
    change = judge_silence(SILENT, None, 0, last, START + timedelta(minutes=minutes))
    assert (change is not None) == is_silent


def test_watch_without_limit_is_never_silent() -> None:
    unlimited = SILENT.model_copy(update={"max_silence_minutes": 0})
    assert judge_silence(unlimited, None, 0, None, START + timedelta(days=400)) is None
