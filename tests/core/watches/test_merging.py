"""Incidents are the same whatever the order, the delay and the ticks in which rows come."""

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import DataError
from core.watches.lifecycle import acknowledge, resolve
from core.watches.merging import merge_judgement
from tests.core.watches.judged_tables import STEP, WATCH, PlannedRow, ReplayedWatch, build_judgement

ENTITIES = ("paris", "lyon")
planned_rows = st.builds(
    PlannedRow,
    st.sampled_from(ENTITIES),
    st.integers(0, 24),
    st.sampled_from((1.0, 2.0, 3.0)),
    st.none() | st.integers(0, 3),
    st.sampled_from((-1.0, 1.0)),
)


def merge_plainly(rows: list[PlannedRow]) -> set[tuple]:
    """Return what the incidents of the latest versions of rows are, found alarm by alarm."""
    latest = {(row.entity, row.step): row for row in rows}
    incidents = set()
    for entity in ENTITIES:
        alarms = sorted(
            (row for row in latest.values() if row.entity == entity and row.severity is not None),
            key=lambda row: row.step,
        )
        group: list[PlannedRow] = []
        for number, alarm in enumerate(alarms):
            group.append(alarm)
            if number + 1 == len(alarms) or alarms[number + 1].step - alarm.step > 2:
                peak = max(group, key=lambda row: (row.score, -row.step))
                above = sum(row.deviation > 0 for row in group)
                severity = max(row.severity or 0 for row in group)
                incidents.add((entity, group[0].instant, alarm.instant, len(group), severity, peak.instant, above))
                group = []
    return incidents


def list_found(watch: ReplayedWatch) -> set[tuple]:
    names = ("entity", "start", "end", "rows", "severity", "peak_at", "rows_above")
    found = [tuple(getattr(incident, name) for name in names) for incident in watch.list_open()]
    assert len(found) == len(set(found))
    return set(found)


@given(st.lists(planned_rows, max_size=40, unique_by=lambda row: (row.entity, row.step)), st.randoms(), st.data())
def test_order_delay_and_repetition_change_no_incident(
    rows: list[PlannedRow], random: Random, data: st.DataObject
) -> None:
    watch, repeated = ReplayedWatch(), [*rows, *rows[: len(rows) // 2]]
    random.shuffle(repeated)
    while repeated:
        size = data.draw(st.integers(1, len(repeated)))
        watch.tick(repeated[:size])
        repeated = repeated[size:]
    assert list_found(watch) == merge_plainly(rows)


@given(st.lists(st.lists(planned_rows, min_size=1, max_size=12), max_size=8))
def test_corrected_rows_leave_incidents_of_latest_versions(ticks: list[list[PlannedRow]]) -> None:
    watch = ReplayedWatch()
    for number, rows in enumerate(ticks):
        watch.tick(rows)
        assert list_found(watch) == merge_plainly([row for tick in ticks[: number + 1] for row in tick])


@given(st.lists(planned_rows, min_size=1, max_size=30))
def test_repeated_rows_change_nothing(rows: list[PlannedRow]) -> None:
    watch = ReplayedWatch()
    watch.tick(rows)
    assert not [change for change in watch.tick(rows) if change.kind != "ended"]
    assert not watch.tick(rows)


def test_bridged_incidents_become_the_oldest() -> None:
    watch = ReplayedWatch()
    first, second = (watch.tick([PlannedRow("paris", step, severity=1)])[0].incident for step in (10, 4))
    watch.incidents[second.id] = watch.incidents[second.id].model_copy(update={"assignee": "ada"})
    bridge = [PlannedRow("paris", step, score=9.0, severity=1) for step in (6, 8)]
    grown, merged = watch.tick(bridge)
    assert (grown.kind, grown.incident.id, grown.incident.rows) == ("grown", first.id, 4)
    assert grown.incident.assignee == "ada"
    assert (merged.kind, merged.incident.id, merged.incident.merged_into) == ("grown", second.id, first.id)
    assert not merged.incident.is_open


def test_incident_parts_where_rows_between_are_corrected() -> None:
    watch = ReplayedWatch()
    (opened,) = watch.tick([PlannedRow("paris", step, severity=2) for step in range(8)])
    watch.incidents[opened.incident.id] = acknowledge(opened.incident, "ada", watch.now)
    grown, parted = watch.tick([PlannedRow("paris", step) for step in (3, 4)])
    assert (grown.kind, grown.incident.id, grown.incident.rows) == ("ended", opened.incident.id, 3)
    assert (parted.kind, parted.incident.rows, parted.incident.acknowledged_by) == ("grown", 3, "ada")
    assert parted.incident.id != opened.incident.id


def test_incident_without_alarms_is_withdrawn() -> None:
    watch = ReplayedWatch()
    (opened,) = watch.tick([PlannedRow("paris", 3, severity=2)])
    (withdrawn,) = watch.tick([PlannedRow("paris", 3)])
    assert (withdrawn.kind, withdrawn.incident.id, withdrawn.incident.is_open) == (
        "resolved",
        opened.incident.id,
        False,
    )
    assert withdrawn.incident.is_withdrawn
    (again,) = watch.tick([PlannedRow("paris", 3, severity=2)])
    assert (again.kind, again.incident.id != opened.incident.id) == ("opened", True)


def test_severer_alarm_makes_incident_worse() -> None:
    watch = ReplayedWatch()
    kinds = [watch.tick([PlannedRow("paris", step, severity=s)])[0].kind for step, s in enumerate((1, 1, 3, 2))]
    assert kinds == ["opened", "grown", "worse", "grown"]


def test_incident_ends_once_after_two_normal_steps() -> None:
    watch = ReplayedWatch()
    watch.tick([PlannedRow("paris", 0, severity=1)])
    assert not watch.tick([PlannedRow("paris", 1), PlannedRow("lyon", 9)])
    (ended,) = watch.tick([PlannedRow("paris", 2)])
    assert ended.kind == "ended"
    assert ended.incident.is_open
    assert not ended.incident.is_going_on
    assert not watch.tick([PlannedRow("paris", 3)])
    assert watch.tick([PlannedRow("paris", 4, severity=1)])[0].kind == "opened"


def test_late_alarm_lets_ended_incident_go_on() -> None:
    watch = ReplayedWatch()
    watch.tick([PlannedRow("paris", 0, severity=1), PlannedRow("paris", 5)])
    (grown,) = watch.tick([PlannedRow("paris", 2, severity=1)])
    assert (grown.kind, grown.incident.rows, grown.incident.is_going_on) == ("grown", 2, True)
    assert watch.tick([PlannedRow("paris", 6)])[0].kind == "ended"


def test_uneven_clock_joins_alarms_two_steps_apart() -> None:
    watch, rows = ReplayedWatch(), [PlannedRow("paris", step, severity=1) for step in (0, 2)]
    judgement = build_judgement(rows)
    judgement.rows.loc[1, "instant"] += timedelta(minutes=20)
    changes = merge_judgement(WATCH, [], judgement, np.zeros(2, dtype=bool), watch.now, "run")
    assert [change.incident.rows for change in changes] == [2]


def test_resolved_incident_stays_resolved() -> None:
    """A late alarm within it is no news, one after it is a new incident."""
    watch = ReplayedWatch()
    (opened,) = watch.tick([PlannedRow("paris", step, severity=1) for step in (0, 2)])
    watch.incidents[opened.incident.id] = resolve(opened.incident, "ada", "false_alarm", "", watch.now)
    assert not watch.tick([PlannedRow("paris", 1, severity=1)])
    assert not watch.tick([PlannedRow("paris", 1), PlannedRow("paris", 2)])
    (new,) = watch.tick([PlannedRow("paris", 3, severity=1)])
    assert (new.kind, new.incident.rows) == ("opened", 1)


def test_severer_late_alarm_reopens_resolved_incident() -> None:
    watch = ReplayedWatch()
    (opened,) = watch.tick([PlannedRow("paris", step, severity=1) for step in (0, 2)])
    watch.incidents[opened.incident.id] = resolve(opened.incident, "ada", "false_alarm", "", watch.now)
    (reopened,) = watch.tick([PlannedRow("paris", 1, score=9.0, severity=3)])
    assert reopened.incident.verdict is None
    assert (reopened.kind, reopened.incident.id) == ("reopened", opened.incident.id)
    assert (reopened.incident.severity, reopened.incident.rows, reopened.incident.peak) == (3, 3, 9.0)
    assert reopened.incident.reopenings == 1


def test_correction_to_a_severer_alarm_reopens_resolved_incident() -> None:
    watch = ReplayedWatch()
    (opened,) = watch.tick([PlannedRow("paris", step, severity=1) for step in (0, 2)])
    watch.incidents[opened.incident.id] = resolve(opened.incident, "ada", "false_alarm", "", watch.now)
    (reopened,) = watch.tick([PlannedRow("paris", 2, score=9.0, severity=3, deviation=5.0)])
    assert (reopened.kind, reopened.incident.rows, reopened.incident.severity) == ("reopened", 2, 3)
    assert (reopened.incident.peak, reopened.incident.measured) == (9.0, 15.0)


def test_forgotten_alarms_alone_tell_no_measured_value() -> None:
    watch = ReplayedWatch()
    (opened,) = watch.tick([PlannedRow("paris", step, 1.0 + step, 2) for step in range(4)])
    watch.alarms = watch.alarms.iloc[3:]
    (shrunk,) = watch.tick([PlannedRow("paris", 3)])
    assert (shrunk.incident.id, shrunk.incident.rows) == (opened.incident.id, 3)
    assert (shrunk.incident.peak, shrunk.incident.measured, shrunk.incident.severity) == (0.0, None, 2)


def test_worst_alarm_tells_what_was_measured() -> None:
    watch = ReplayedWatch()
    rows = [
        PlannedRow("paris", step, score, 1, deviation) for step, score, deviation in ((0, 2.0, 3.0), (1, 5.0, -4.0))
    ]
    (opened,) = watch.tick(rows)
    assert (opened.incident.measured, opened.incident.expected, opened.incident.peak) == (6.0, 10.0, 5.0)
    assert (opened.incident.column, opened.incident.causes, opened.incident.run) == ("load", ("load",), "run")
    assert (opened.incident.rows_above, opened.incident.rows_below) == (1, 1)


def test_alarms_that_are_no_longer_stored_stay_in_their_incident() -> None:
    watch = ReplayedWatch()
    (opened,) = watch.tick([PlannedRow("paris", step, 1.0 + (step == 0), 2) for step in range(10)])
    watch.alarms = watch.alarms.iloc[5:]
    (shrunk,) = watch.tick([PlannedRow("paris", 9)])
    assert shrunk.incident.id == opened.incident.id
    assert (shrunk.incident.rows, shrunk.incident.start, shrunk.incident.end) == (
        9,
        opened.incident.start,
        opened.incident.end - STEP,
    )
    assert shrunk.incident.peak_at == opened.incident.peak_at


@pytest.mark.parametrize(("deviations", "kind"), [((1.0,), "lasting change"), ((1.0, -1.0), "anomaly")])
def test_alarms_of_one_direction_that_go_on_are_a_lasting_change(deviations: tuple[float, ...], kind: str) -> None:
    watch = ReplayedWatch()
    rows = [PlannedRow("paris", step, 2.0, 1, deviations[step % len(deviations)]) for step in range(31)]
    assert {change.incident.kind for row in rows[:-1] for change in watch.tick([row])} == {"anomaly"}
    (change,) = watch.tick(rows[-1:])
    assert change.incident.kind == kind
    assert change.incident.is_lasting_from == (rows[0].instant if kind == "lasting change" else None)
    assert change.kind == ("worse" if kind == "lasting change" else "grown")


def test_sparse_alarms_are_no_lasting_change() -> None:
    (change,) = ReplayedWatch().tick([PlannedRow("paris", 2 * step, severity=1) for step in range(40)])
    assert change.incident.kind == "anomaly"


def test_scores_beyond_numbers_stay_storable() -> None:
    rows = [replace(PlannedRow("paris", 0, severity=3), score=float("inf"), deviation=float("nan"))]
    (opened,) = ReplayedWatch().tick(rows)
    stored = type(opened.incident).model_validate_json(opened.incident.model_dump_json())
    assert stored == opened.incident
    assert stored.measured is None


def test_entity_with_too_long_a_name_is_told() -> None:
    with pytest.raises(DataError, match=r"1,001 characters. A watch accepts 1,000"):
        ReplayedWatch().tick([PlannedRow("x" * 1001, 0, severity=1)])


@given(st.data())
def test_persons_and_ticks_in_any_order_leave_every_alarm_in_one_incident(data: st.DataObject) -> None:
    """What persons resolve stays; all other alarms lie in open incidents that do not touch."""
    watch = ReplayedWatch()
    for _ in range(data.draw(st.integers(1, 8))):
        watch.tick(data.draw(st.lists(planned_rows, min_size=1, max_size=12)))
        for incident in (
            data.draw(st.lists(st.sampled_from(watch.list_open()), max_size=2)) if watch.list_open() else ()
        ):
            step = data.draw(st.sampled_from((acknowledge, resolve)))
            if step is resolve and watch.incidents[incident.id].is_open:
                watch.incidents[incident.id] = resolve(incident, "ada", "true_alarm", "", watch.now)
            elif incident.state == "open" and watch.incidents[incident.id].is_open:
                watch.incidents[incident.id] = acknowledge(incident, "ada", watch.now)
    incidents = [each for each in watch.incidents.values() if not each.merged_into and not each.is_withdrawn]
    for (entity, instant), is_alarm in watch.is_alarm.items():
        owners = [each for each in incidents if each.entity == entity and each.start <= instant <= each.end]
        if is_alarm:
            assert owners
            assert sum(each.is_open for each in owners) <= 1
    for entity in ENTITIES:
        spans = [(each.start, each.end) for each in watch.list_open() if each.entity == entity]
        assert all(after[0] - before[1] > 2 * STEP for before, after in pairwise(spans))
