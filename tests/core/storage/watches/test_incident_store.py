"""Incidents in the database, and persons who change them while ticks do."""

from dataclasses import replace
from datetime import UTC, datetime
from math import inf, nan
from threading import Event, Thread

import pytest

from core.errors import NotFoundError, OptionError
from core.storage.watches.stores import WatchStores
from core.watches.incident import Incident, IncidentChange
from tests.support.concurrency import run_concurrently
from tests.support.watch_stores import (
    DAY,
    HOUR,
    START,
    build_announcement,
    build_incident,
    build_outcome,
    claim_watch,
    dump_watch_tables,
)


def add_incidents(stores: WatchStores, *incidents: Incident) -> None:
    lease = claim_watch(stores, START + DAY, name="calls")
    changes = tuple(IncidentChange(kind="opened", incident=incident) for incident in incidents)
    assert stores.ticks.commit_tick(lease, build_outcome(lease, changes=changes), START)


def acknowledge(incident: Incident) -> Incident:
    return incident.model_copy(update={"state": "acknowledged", "acknowledged_by": "ada"})


def test_incidents_are_listed_worst_first(watched: WatchStores) -> None:
    incidents = [
        build_incident(entity="a", severity=3, peak=9.0, state="resolved"),
        build_incident(entity="b", severity=1, peak=50.0),
        build_incident(entity="c", severity=2, peak=1.0),
        build_incident(entity="d", severity=2, peak=3.0, state="acknowledged"),
    ]
    add_incidents(watched, *incidents)
    listed = watched.incidents.list_incidents()
    assert [incident.entity for incident in listed] == ["d", "c", "b", "a"]
    assert sorted(listed, key=lambda incident: incident.entity) == incidents
    assert watched.incidents.count_open() == 3
    assert [found.entity for found in watched.incidents.list_incidents(is_open=True, limit=2)] == ["d", "c"]
    assert [found.entity for found in watched.incidents.list_incidents(is_open=False)] == ["a"]
    assert [found.entity for found in watched.incidents.list_incidents(watch="calls", entity="b")] == ["b"]
    assert watched.incidents.list_incidents(watch="other") == []


def test_incidents_of_a_time_include_its_limits(watched: WatchStores) -> None:
    add_incidents(watched, build_incident(end=START + HOUR), build_incident(entity="south", start=START + DAY))
    list_incidents = watched.incidents.list_incidents
    assert len(list_incidents(since=START + HOUR)) == 2
    assert [found.entity for found in list_incidents(since=START + 2 * HOUR)] == ["south"]
    assert [found.entity for found in list_incidents(until=START)] == ["north"]
    assert list_incidents(since=START + 2 * HOUR, until=START + 3 * HOUR) == []
    with pytest.raises(ValueError, match="no time zone"):
        list_incidents(since=datetime(2026, 3, 1))


def test_touching_incidents_are_those_of_the_entities(watched: WatchStores) -> None:
    merged = build_incident(merged_into="0" * 32, state="resolved")
    before, later, other = build_incident(), build_incident(start=START + DAY), build_incident(entity="south")
    add_incidents(watched, merged, later, before, other)
    touching = watched.incidents.list_touching("calls", ["north"], START - DAY, START + DAY)
    assert touching == [before, later]
    assert watched.incidents.list_touching("calls", ["north"], START + HOUR, START + 2 * HOUR) == []


def test_incident_is_found_by_the_beginning_of_its_id(watched: WatchStores) -> None:
    add_incidents(watched, *(build_incident(id=digits.ljust(32, "0")) for digits in ("abcdef1", "abcdef2", "ffffff")))
    assert watched.incidents.load_incident("abcdef1").id.startswith("abcdef1")
    assert watched.incidents.load_incident("f" * 6 + "0" * 26).id.startswith("ffffff")
    with pytest.raises(OptionError, match="Several incidents begin with abcdef"):
        watched.incidents.load_incident("abcdef")
    for wrong in ("abcde", "ABCDEF", "abc%ef", "abcdef3", "", "f" * 33, "ffffff'"):
        with pytest.raises(NotFoundError):
            watched.incidents.load_incident(wrong)


@pytest.mark.parametrize("peak", [inf, nan, 1e300])
def test_incident_with_a_score_beyond_numbers_is_stored(peak: float, watched: WatchStores) -> None:
    """A detector that divides by a spread of 0 must not hide its worst incident."""
    incident = build_incident(peak=peak, measured=nan, low=-inf)
    add_incidents(watched, incident)
    [stored] = watched.incidents.list_incidents()
    assert repr(stored.model_dump(mode="json")) == repr(incident.model_dump(mode="json"))


def test_person_changes_an_incident_and_tells(watched: WatchStores) -> None:
    incident = build_incident()
    add_incidents(watched, incident)
    changed = watched.incidents.change_incident(
        incident.id[:8], acknowledge, lambda changed: (build_announcement(changed, kind="worse"),)
    )
    assert watched.incidents.load_incident(incident.id) == changed == acknowledge(incident)
    assert len(dump_watch_tables(watched)["watch_announcements"]) == 1
    with pytest.raises(NotFoundError):
        watched.incidents.change_incident("0" * 32, acknowledge)


def test_refused_change_leaves_the_incident(watched: WatchStores) -> None:
    def refuse(_incident: object) -> Incident:
        raise OptionError("It is resolved already.")

    incident = build_incident()
    add_incidents(watched, incident)
    before = dump_watch_tables(watched)
    with pytest.raises(OptionError, match="resolved already"):
        watched.incidents.change_incident(incident.id, refuse)
    assert dump_watch_tables(watched) == before


def test_changes_of_many_persons_follow_one_another(watched: WatchStores) -> None:
    """Each adds a row to the same incident; none is lost."""
    incident = build_incident()
    add_incidents(watched, incident)

    def add_row(_number: int) -> Incident:
        return watched.incidents.change_incident(
            incident.id, lambda found: found.model_copy(update={"rows": found.rows + 1})
        )

    answers = run_concurrently(6, add_row)
    done = [answer for answer in answers if isinstance(answer, Incident)]
    assert len(done) == 6, answers
    assert watched.incidents.load_incident(incident.id).rows == 7


def test_change_by_a_person_during_a_tick_is_kept(watched: WatchStores) -> None:
    """The tick knows the incident of before; it stores nothing, and is repeated with the changed one."""
    incident, other = build_incident(), build_incident(entity="south")
    add_incidents(watched, incident, other)
    lease = claim_watch(watched, START + DAY)
    watched.incidents.change_incident(incident.id, acknowledge)
    rows = {("north", START + HOUR): -1.0}
    grown = IncidentChange(kind="grown", incident=incident.model_copy(update={"end": START + HOUR, "rows": 2}))
    outcome = build_outcome(lease, rows, cursor="next", changes=(grown,))
    before = dump_watch_tables(watched)
    assert not watched.ticks.commit_tick(lease, outcome, START + 2 * DAY)
    assert dump_watch_tables(watched) == before
    again = claim_watch(watched, START + DAY)
    assert again.attempts == 1, "it was no fault of the worker"
    known = watched.incidents.load_incident(incident.id)
    grown = IncidentChange(kind="grown", incident=known.model_copy(update={"end": START + HOUR, "rows": 2}))
    assert watched.ticks.commit_tick(again, replace(build_outcome(again, rows), changes=(grown,)), START + 2 * DAY)
    stored = watched.incidents.load_incident(incident.id)
    assert (stored.state, stored.acknowledged_by, stored.rows) == ("acknowledged", "ada", 2)


def test_change_of_another_incident_does_not_stop_a_tick(watched: WatchStores) -> None:
    incident, other = build_incident(), build_incident(entity="south")
    add_incidents(watched, incident, other)
    lease = claim_watch(watched, START + DAY)
    watched.incidents.change_incident(other.id, acknowledge)
    grown = IncidentChange(kind="grown", incident=incident.model_copy(update={"rows": 2}))
    assert watched.ticks.commit_tick(lease, build_outcome(lease, changes=(grown,)), START + 2 * DAY)
    assert watched.incidents.load_incident(incident.id).rows == 2


def test_tick_and_person_at_the_same_time_lose_nothing(watched: WatchStores) -> None:
    """Ticks add rows while a person changes the comment; a refused tick is repeated."""
    incident = build_incident()
    add_incidents(watched, incident)
    has_ended = Event()

    def comment() -> None:
        number = 0
        while not has_ended.is_set():
            number += 1
            text = f"comment {number}"
            watched.incidents.change_incident(
                incident.id, lambda found, text=text: found.model_copy(update={"comment": text})
            )

    thread = Thread(target=comment)
    thread.start()
    count = 0
    try:
        for _ in range(40):
            lease = claim_watch(watched, datetime.now(UTC))
            known = watched.incidents.load_incident(incident.id)
            change = IncidentChange(kind="grown", incident=known.model_copy(update={"rows": known.rows + 1}))
            count += watched.ticks.commit_tick(lease, build_outcome(lease, changes=(change,)), START)
    finally:
        has_ended.set()
        thread.join()
    stored = watched.incidents.load_incident(incident.id)
    assert stored.rows == count + 1
    lease = claim_watch(watched, datetime.now(UTC))
    change = IncidentChange(kind="grown", incident=stored)
    assert watched.ticks.commit_tick(lease, build_outcome(lease, changes=(change,)), START)
