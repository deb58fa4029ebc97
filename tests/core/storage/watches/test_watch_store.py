"""Watches, recipients and maintenance windows in the database."""

from pathlib import Path

import pytest

from core.errors import NotFoundError, OptionError
from core.storage.watches import watch_store
from core.storage.watches.stores import WatchStores
from core.watches.incident import IncidentChange
from core.watches.maintenance import MaintenanceWindow
from core.watches.source import WebSource
from tests.support.concurrency import run_concurrently
from tests.support.watch_stores import (
    DAY,
    HOUR,
    START,
    build_announcement,
    build_arrivals,
    build_incident,
    build_outcome,
    build_recipient,
    build_watch,
    claim_watch,
    commit_rows,
    dump_watch_tables,
    open_watch_stores,
)


def test_watch_is_stored_with_its_state(watched: WatchStores) -> None:
    state = watched.watches.load_state("calls")
    assert state.watch == watched.watches.load_watch("calls")
    assert state.watch.recipients == ("ops",)
    assert (state.next_tick, state.last_tick, state.failures, state.last_row_at) == (START, None, 0, None)
    assert not state.is_running
    claim_watch(watched)
    assert watched.watches.load_state("calls").is_running
    watched.watches.add_watch(build_watch("a-second"), START)
    assert [state.watch.name for state in watched.watches.list_states()] == ["a-second", "calls"]


def test_name_of_a_watch_is_taken_once(watched: WatchStores) -> None:
    answers = run_concurrently(5, lambda _number: watched.watches.add_watch(build_watch("fresh"), START))
    errors = [answer for answer in answers if isinstance(answer, OptionError)]
    assert len(errors) == 4
    assert "a watch fresh already" in str(errors[0])
    assert len(watched.watches.list_states()) == 2


@pytest.mark.parametrize("method", ["load_watch", "load_state", "delete_watch"])
def test_unknown_watch_is_named(method: str, stores: WatchStores) -> None:
    with pytest.raises(NotFoundError, match="The watch nothing does not exist"):
        getattr(stores.watches, method)("nothing")


def test_changes_of_an_unknown_watch_are_refused(stores: WatchStores) -> None:
    for call in (
        lambda: stores.watches.change_watch(build_watch("nothing"), START),
        lambda: stores.watches.set_paused("nothing", True, None),
        lambda: stores.ticks.claim_tick("worker", START, "nothing"),
        lambda: stores.ticks.list_ticks("nothing"),
        lambda: stores.ticks.measure_alarms("nothing", START),
        lambda: stores.rows.load_past("nothing", ["north"], START, START),
    ):
        with pytest.raises(NotFoundError, match="nothing"):
            call()


def test_changed_watch_repeats_a_tick_that_runs(watched: WatchStores) -> None:
    """The tick has read with the former options, so that it may store nothing."""
    commit_rows(watched, {("north", START): 1.0}, cursor="place")
    lease = claim_watch(watched, START + HOUR)
    watched.watches.change_watch(build_watch(min_severity=2), START + HOUR)
    assert not watched.ticks.commit_tick(lease, build_outcome(lease, {("north", START + HOUR): 1.0}), START + 2 * HOUR)
    assert not watched.ticks.extend_lease(lease)
    again = claim_watch(watched, START + HOUR)
    assert (again.watch.min_severity, again.cursor) == (2, "place")


def test_another_source_is_read_from_its_beginning(watched: WatchStores) -> None:
    commit_rows(watched, {("north", START): 1.0}, cursor="place")
    watched.watches.change_watch(build_watch(source=WebSource(url="https://example.org/a.csv")), START)
    assert claim_watch(watched, START).cursor == ""


def test_paused_watch_is_not_due_but_can_be_asked(watched: WatchStores) -> None:
    watched.watches.set_paused("calls", True, None)
    state = watched.watches.load_state("calls")
    assert (state.watch.is_paused, state.next_tick) == (True, None)
    assert watched.ticks.claim_tick("worker", START + DAY) is None
    lease = claim_watch(watched, START + DAY, name="calls")
    assert watched.ticks.commit_tick(lease, build_outcome(lease), START + 2 * DAY)
    assert watched.watches.load_state("calls").next_tick is None, "a tick of a paused watch leaves it paused"
    watched.watches.set_paused("calls", False, START + DAY)
    assert claim_watch(watched, START + DAY).due == START + DAY


def test_watch_paused_during_a_tick_stays_paused(watched: WatchStores) -> None:
    lease = claim_watch(watched)
    watched.watches.set_paused("calls", True, None)
    assert watched.ticks.commit_tick(lease, build_outcome(lease, {("north", START): 1.0}), START + HOUR)
    assert watched.watches.load_state("calls").next_tick is None


def test_deleted_watch_leaves_nothing(watched: WatchStores, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch_store, "DELETED_AT_ONCE", 2)
    incident = build_incident()
    rows = {("north", START + day * DAY): 1.0 for day in range(5)}
    lease = claim_watch(watched)
    outcome = build_outcome(
        lease,
        rows,
        arrivals=build_arrivals(rows),
        changes=(IncidentChange(kind="opened", incident=incident),),
        announcements=(build_announcement(incident),),
    )
    assert watched.ticks.commit_tick(lease, outcome, START + HOUR)
    assert all(rows for name, rows in dump_watch_tables(watched).items() if name != "watch_maintenance")
    lease = claim_watch(watched, START + HOUR)
    watched.watches.delete_watch("calls")
    assert not watched.ticks.commit_tick(lease, build_outcome(lease), START + DAY)
    assert {name for name, rows in dump_watch_tables(watched).items() if rows} == {"watch_recipients"}
    assert watched.incidents.list_incidents() == []
    watched.watches.add_watch(build_watch(), START)
    assert watched.ticks.list_ticks("calls") == []


def test_rest_of_an_interrupted_deletion_is_deleted_with_the_next(
    watched: WatchStores, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(_session: object) -> bool:
        raise KeyboardInterrupt

    commit_rows(watched, {("north", START): 1.0})
    with monkeypatch.context() as patch:
        patch.setattr(watch_store, "_delete_detached", stop)
        with pytest.raises(KeyboardInterrupt):
            watched.watches.delete_watch("calls")
    assert watched.watches.list_states() == []
    assert watched.ticks.claim_tick("worker", START + DAY) is None
    watched.watches.add_watch(build_watch(), START)
    watched.watches.delete_watch("calls")
    assert {name for name, rows in dump_watch_tables(watched).items() if rows} == {"watch_recipients"}


def test_recipients_are_saved_by_name(stores: WatchStores) -> None:
    for name in ("ops", "chat", "ops"):
        stores.recipients.save_recipient(build_recipient(name).model_copy(update={"language": "fr"}))
    assert [recipient.name for recipient in stores.recipients.list_recipients()] == ["chat", "ops"]
    assert stores.recipients.load_recipient("ops").language == "fr"
    stores.recipients.delete_recipient("ops")
    for method in (stores.recipients.load_recipient, stores.recipients.delete_recipient):
        with pytest.raises(NotFoundError, match="The recipient ops does not exist"):
            method("ops")


def test_recipient_of_a_watch_cannot_be_deleted(watched: WatchStores) -> None:
    with pytest.raises(OptionError, match="ops is told by the watches calls"):
        watched.recipients.delete_recipient("ops")
    watched.watches.change_watch(build_watch(), START)
    watched.recipients.delete_recipient("ops")
    for call in (watched.watches.add_watch, watched.watches.change_watch):
        with pytest.raises(OptionError, match="The recipient ops of the watch calls does not exist"):
            call(build_watch(recipients=("ops",)), START)


def test_maintenance_windows_are_listed_oldest_first(stores: WatchStores) -> None:
    windows = [
        MaintenanceWindow(start=START, end=START + HOUR, created_at=START - day * DAY, reason=f"work {day}")
        for day in range(3)
    ]
    for window in windows:
        stores.maintenance.save_window(window)
    stores.maintenance.save_window(windows[0].model_copy(update={"reason": "other"}))
    assert [window.reason for window in stores.maintenance.list_windows()] == ["work 2", "work 1", "other"]
    stores.maintenance.delete_window(windows[1].id)
    assert len(stores.maintenance.list_windows()) == 2
    with pytest.raises(NotFoundError, match=windows[1].id):
        stores.maintenance.delete_window(windows[1].id)


def test_data_folders_share_a_database_but_no_watch(watched: WatchStores, database_url: str, tmp_path: Path) -> None:
    """Each has its own models, so that a worker of one could not judge the rows of another."""
    incident = build_incident()
    lease = claim_watch(watched)
    changes = (IncidentChange(kind="opened", incident=incident),)
    assert watched.ticks.commit_tick(lease, build_outcome(lease, changes=changes), START)
    with open_watch_stores(tmp_path / "other", database_url) as other:
        assert other.ticks.claim_tick("worker", START + DAY) is None
        assert (other.watches.list_states(), other.recipients.list_recipients()) == ([], [])
        assert (other.incidents.list_incidents(), other.incidents.count_open()) == ([], 0)
        with pytest.raises(NotFoundError):
            other.incidents.load_incident(incident.id)
        other.watches.add_watch(build_watch(), START)
        assert other.ticks.list_ticks("calls") == []
