"""Who is told about which change, and when it is quiet."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.watches.announcing import find_quiet_end, is_quiet, plan_announcements
from core.watches.incident import ChangeKind, Incident, IncidentChange
from core.watches.maintenance import MaintenanceWindow
from core.watches.watch import Recipient
from tests.core.watches.judged_tables import START, STEP, WATCH

NOW = START + timedelta(days=1)
ADA, BOB, EVE = (Recipient(name=name, channel="mail", address=f"{name}@example.org") for name in ("ada", "bob", "eve"))
WATCHED = WATCH.model_copy(update={"recipients": ("ada", "bob"), "min_severity": 1})
INCIDENT = Incident(watch="loads", entity="paris", start=START, end=START + 4 * STEP, peak_at=START, severity=2)


def plan(
    kind: ChangeKind = "opened", maintenance: tuple[MaintenanceWindow, ...] = (), **values: object
) -> list[tuple[str, str]]:
    change = IncidentChange(kind=kind, incident=INCIDENT.model_copy(update=values))
    planned = plan_announcements(WATCHED, [change], [ADA, BOB, EVE], maintenance, NOW)
    return [(announcement.recipient, announcement.change.kind) for announcement in planned]


def test_recipients_of_the_watch_are_told() -> None:
    assert plan() == [("ada", "opened"), ("bob", "opened")]


@pytest.mark.parametrize("kind", ["opened", "worse", "ended", "resolved", "reopened"])
def test_changes_of_state_are_told(kind: ChangeKind) -> None:
    assert plan(kind)[0] == ("ada", kind)


def test_nobody_is_told_what_is_no_news() -> None:
    assert not plan("grown")
    assert not plan(severity=0)
    assert not plan(muted_until=NOW + STEP)
    assert not plan("resolved", merged_into="a" * 32)


def test_missing_data_are_told_at_any_severity() -> None:
    change = IncidentChange(kind="opened", incident=INCIDENT.model_copy(update={"kind": "no data", "severity": 0}))
    assert len(plan_announcements(WATCHED, [change], [ADA], (), NOW)) == 1


def test_incident_is_told_when_it_outlasts_maintenance() -> None:
    window = MaintenanceWindow(start=START, end=START + 6 * STEP)
    assert not plan("opened", (window,))
    assert not plan("grown", (window,))
    assert plan("grown", (window,), end=START + 7 * STEP)[0] == ("ada", "opened")
    assert not plan("grown", (window,), start=START - STEP)
    assert plan("worse", (window,), start=START - STEP)[0] == ("ada", "worse")


def test_what_got_worse_while_muted_is_told_when_it_grows_afterwards() -> None:
    assert not plan("worse", muted_until=NOW + STEP)
    assert not plan("grown", muted_until=NOW + STEP)
    assert plan("grown", muted_until=NOW - STEP)[0] == ("ada", "worse")
    opened, grown = (
        plan_announcements(WATCHED, [IncidentChange(kind=kind, incident=incident)], [ADA], (), NOW)[0].id
        for kind, incident in (("opened", INCIDENT), ("grown", INCIDENT.model_copy(update={"muted_until": NOW - STEP})))
    )
    assert opened == grown  # of a severity that was told before the mute


def test_ids_tell_repeated_changes() -> None:
    def make_id(change_kind: ChangeKind, **values: object) -> str:
        change = IncidentChange(kind=change_kind, incident=INCIDENT.model_copy(update=values))
        return plan_announcements(WATCHED, [change], [ADA], (), NOW + STEP)[0].id

    assert make_id("worse", severity=3) == make_id("worse", severity=3, rows=7, changed_at=NOW)
    ids = [
        *(make_id("opened"), make_id("worse", severity=3), make_id("worse", kind="lasting change")),
        make_id("resolved"),
        make_id("resolved", reopenings=1),
    ]
    assert len(set(ids)) == len(ids)


def test_only_what_begins_is_urgent() -> None:
    def is_urgent(kind: ChangeKind, severity: int) -> bool:
        change = IncidentChange(kind=kind, incident=INCIDENT.model_copy(update={"severity": severity}))
        return plan_announcements(WATCHED, [change], [ADA], (), NOW)[0].is_urgent

    assert [is_urgent("opened", 3), is_urgent("opened", 2), is_urgent("ended", 3)] == [True, False, False]


clocks = st.builds("{:02}:{:02}".format, st.integers(0, 23), st.integers(0, 59))
instants = st.builds(
    lambda change, minutes: change + timedelta(minutes=minutes),
    st.sampled_from([datetime(2024, 3, 31, 1, tzinfo=UTC), datetime(2024, 10, 27, 1, tzinfo=UTC)]),
    st.integers(-2000, 2000),
)


@given(clocks, clocks, instants, st.integers(0, 59))
def test_quiet_hours_end_with_their_first_minute_that_is_not_quiet(
    start: str, end: str, instant: datetime, seconds: int
) -> None:
    recipient = ADA.model_copy(update={"zone": "Europe/Paris", "quiet_from": start, "quiet_until": end})
    moment = instant + timedelta(seconds=seconds)
    quiet_end = find_quiet_end(recipient, moment)
    assert not is_quiet(recipient, quiet_end)
    if not is_quiet(recipient, moment):
        assert quiet_end == moment
    else:
        assert moment < quiet_end <= moment + timedelta(hours=25)
        assert is_quiet(recipient, quiet_end - timedelta(seconds=1))


def test_recipient_without_hours_is_never_quiet() -> None:
    equal = ADA.model_copy(update={"quiet_from": "07:00", "quiet_until": "07:00"})
    assert not is_quiet(ADA, NOW)
    assert not is_quiet(equal, START + 7 * STEP)
