"""The ledger of judged rows: new, corrected, known and late rows, in any order; and the stored arrivals."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select

from core.errors import DataError
from core.storage.watches import judged_rows
from core.storage.watches.judged_rows import CORRECTED, CORRECTION_DAYS, KNOWN, LATE, NEW, compute_digests
from core.storage.watches.stores import WatchStores
from core.storage.watches.tables import BLOCKS
from tests.support.watch_stores import (
    DAY,
    HOUR,
    MINUTE,
    START,
    Row,
    build_arrivals,
    build_watch,
    classify_rows,
    commit_rows,
)

CORRECTION = timedelta(days=CORRECTION_DAYS)


def list_states(stores: WatchStores, rows: dict[Row, float]) -> list[int]:
    return list(map(int, classify_rows(stores, rows).states))


def count_blocks(stores: WatchStores, kind: str) -> int:
    statement = select(func.count()).where(BLOCKS.c.kind == kind)
    return stores.database.read(lambda session: session.scalar(statement) or 0)


def test_rows_are_new_once(watched: WatchStores) -> None:
    rows = {("north", START): 1.0, ("north", START + HOUR): -2.0, ("south", START): 3.0}
    assert list_states(watched, rows) == [NEW] * 3
    commit_rows(watched, rows)
    states = classify_rows(watched, rows)
    assert states.states.tolist() == [KNOWN] * 3
    assert states.was_anomalous.tolist() == [False, True, False]
    assert not states.needs_judgement.any()
    assert (states.count_rows(NEW), states.count_rows(KNOWN)) == (0, 3)
    others = {("north", START): 1.5, ("south", START + HOUR): 1.0, ("west", START): 1.0, ("north", START - DAY): 1.0}
    states = classify_rows(watched, others)
    assert states.states.tolist() == [CORRECTED, NEW, NEW, NEW]
    assert states.needs_judgement.all()


def test_corrected_row_counts_with_its_last_values(watched: WatchStores) -> None:
    for value in (-1.0, 2.0, 3.0):
        commit_rows(watched, {("north", START): value}, arrivals=build_arrivals({("north", START): value}))
    states = classify_rows(watched, {("north", START): 3.0})
    assert (states.states.tolist(), states.was_anomalous.tolist()) == ([KNOWN], [False])
    assert list_states(watched, {("north", START): -1.0}) == [CORRECTED], "it was corrected since"
    assert watched.rows.load_past("calls", ["north"], START, START + HOUR)["value"].tolist() == [3.0]


def test_missing_values_and_signs_of_zero_are_compared() -> None:
    digests = compute_digests(pd.DataFrame({"a": [0.0, -0.0, np.nan, np.nan, 1.0], "b": [1.0, 1.0, 1.0, 1.0, 0.0]}))
    assert digests[0] == digests[1] != digests[2] == digests[3] != digests[4]
    assert len(compute_digests(pd.DataFrame({"a": []}))) == 0


def test_small_ledger_forgets_nothing(watched: WatchStores) -> None:
    """A source that gives a whole table of years at every tick gives known rows, not late ones."""
    rows = {("north", START - day * DAY): 1.0 for day in range(400)}
    for delivery in (rows, {("north", START + DAY): 1.0}):
        commit_rows(watched, delivery, START + DAY)
    assert set(list_states(watched, rows)) == {KNOWN}


@pytest.fixture
def forgetful(monkeypatch: pytest.MonkeyPatch) -> None:
    """A ledger that counts as too large."""
    monkeypatch.setattr(judged_rows, "MAX_LEDGER_BYTES", 0)


@pytest.mark.usefixtures("forgetful")
def test_rows_older_than_the_ledger_are_late_and_never_judged_again(watched: WatchStores) -> None:
    commit_rows(watched, {("north", START): 1.0, ("south", START): 1.0}, START)
    now = START + CORRECTION + 2 * DAY
    commit_rows(watched, {("north", now): 1.0}, now)
    late = {("north", START): 1.0, ("north", START + DAY): 1.0, ("south", START): 1.0}
    assert list_states(watched, late) == [LATE] * 3, "whether they were judged is forgotten"
    assert list_states(watched, {("south", START + HOUR): 1.0, ("west", START): 1.0}) == [NEW, NEW]
    assert list_states(watched, {("north", now - CORRECTION): 1.0}) == [NEW], "the ledger reaches back to it"
    assert count_blocks(watched, "judged") == 1


@pytest.mark.usefixtures("forgetful")
def test_entity_that_lags_behind_is_judged_once(watched: WatchStores) -> None:
    """The files of one entity a tick, each of a year: what is old for the watch is new for the entity."""
    months = [START + month * 30 * DAY for month in range(12)]
    for entity in ("north", "south"):
        for start in (0, 6):
            rows = {(entity, instant): 1.0 for instant in months[start : start + 6]}
            assert list_states(watched, rows) == [NEW] * 6
            commit_rows(watched, rows, months[-1])
            assert NEW not in list_states(watched, rows)


@pytest.mark.usefixtures("forgetful")
def test_wrong_clock_of_one_sensor_lets_nothing_be_forgotten(watched: WatchStores) -> None:
    future = datetime(2099, 1, 1, tzinfo=UTC)
    commit_rows(watched, {("north", START): 1.0, ("south", START): 1.0, ("north", future): 1.0})
    rows = {("north", START): 1.0, ("south", START): 1.0, ("north", future): 1.0, ("north", START + HOUR): 1.0}
    assert list_states(watched, rows) == [KNOWN, KNOWN, KNOWN, NEW]
    commit_rows(watched, {("north", START + HOUR): 1.0}, START + HOUR)
    assert list_states(watched, rows) == [KNOWN] * 4


@pytest.mark.usefixtures("forgetful")
@pytest.mark.parametrize("instant", [datetime(1700, 1, 1, tzinfo=UTC), datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC)])
def test_rows_before_1970_are_judged_once(instant: datetime, watched: WatchStores) -> None:
    rows = {("north", instant): 1.0}
    assert list_states(watched, rows) == [NEW]
    commit_rows(watched, rows, arrivals=build_arrivals(rows))
    assert list_states(watched, rows) == [KNOWN]
    assert len(watched.rows.load_past("calls", ["north"], instant, instant + MINUTE)) == 1


def test_instants_of_other_zones_and_units_are_the_same_instants(watched: WatchStores) -> None:
    commit_rows(watched, {("north", START): 1.0})
    digests = compute_digests(pd.DataFrame({"value": [1.0]}))
    for instants in (
        np.array([START.replace(tzinfo=None)], dtype="datetime64[s]"),
        pd.DatetimeIndex([START]).tz_convert("Europe/Paris"),
    ):
        assert watched.rows.classify("calls", ["north"], instants, digests).states.tolist() == [KNOWN]
    with pytest.raises(ValueError, match="missing"):
        watched.rows.classify("calls", ["north"], np.array(["NaT"], dtype="datetime64[ns]"), digests)


def test_no_rows_have_no_states(watched: WatchStores) -> None:
    assert list_states(watched, {}) == []
    commit_rows(watched, {("north", START): 1.0})
    assert list_states(watched, {}) == []
    assert watched.rows.load_past("calls", ["north"], START, START + DAY).empty
    commit_rows(watched, {}, START + HOUR, arrivals=build_arrivals({}))


def test_too_many_entities_are_told(watched: WatchStores, monkeypatch: pytest.MonkeyPatch) -> None:
    """A column of measurements that is taken for names of entities has a new name in every row."""
    monkeypatch.setattr(judged_rows, "MAX_ENTITIES", 3)
    commit_rows(watched, {("north", START): 1.0, ("south", START): 1.0})
    assert list_states(watched, {("west", START): 1.0, ("north", START): 1.0}) == [NEW, KNOWN]
    with pytest.raises(DataError, match="the watch has 4 entities"):
        list_states(watched, {("west", START): 1.0, ("east", START): 1.0})


def test_rows_of_two_watches_are_apart(watched: WatchStores) -> None:
    watched.watches.add_watch(build_watch("other"), START)
    rows = {("north", START): 1.0}
    commit_rows(watched, rows, arrivals=build_arrivals(rows))
    assert classify_rows(watched, rows, "other").states.tolist() == [NEW]
    assert watched.rows.load_past("other", ["north"], START, START + DAY).empty


def test_past_has_the_asked_entities_and_time(watched: WatchStores) -> None:
    rows = {(entity, START + hour * HOUR): float(hour) for entity in ("b", "a", "c") for hour in range(60)}
    commit_rows(watched, rows, arrivals=build_arrivals(rows))
    past = watched.rows.load_past("calls", ["a", "b", "unknown"], START + 20 * HOUR, START + 30 * HOUR)
    assert past.index.names == ["entity", "instant"]
    assert past["value"].tolist() == [float(hour) for hour in range(20, 30)] * 2
    assert list(past.index.get_level_values(0)) == ["a"] * 10 + ["b"] * 10
    assert past.index.get_level_values(1)[0] == pd.Timestamp("2026-03-01 20:00")
    with pytest.raises(ValueError, match="no time zone"):
        watched.rows.load_past("calls", ["a"], datetime(2026, 3, 1), START)


def test_arrivals_before_the_history_are_deleted(watched: WatchStores) -> None:
    for day in range(10):
        now = START + day * DAY
        rows = {("north", now): float(day)}
        commit_rows(watched, rows, now, arrivals=build_arrivals(rows), keep_arrivals_since=now - 3 * DAY)
    past = watched.rows.load_past("calls", ["north"], START, START + 10 * DAY)
    assert past["value"].tolist() == [6.0, 7.0, 8.0, 9.0]
    assert count_blocks(watched, "judged") == 10


def test_columns_that_come_later_are_missing_before(watched: WatchStores) -> None:
    commit_rows(watched, {("north", START): 1.0}, arrivals=build_arrivals({("north", START): 1.0}))
    later = build_arrivals({("north", START + HOUR): 2.0}).assign(other=5.0)
    commit_rows(watched, {("north", START + HOUR): 2.0}, START + HOUR, arrivals=later)
    past = watched.rows.load_past("calls", ["north"], START, START + DAY)
    assert past["other"].isna().tolist() == [True, False]


def test_small_blocks_are_merged_and_the_last_values_count(watched: WatchStores) -> None:
    """A watch that is asked every minute writes 1,440 blocks a day; corrections keep their order."""
    rows: dict[Row, float] = {}
    for minute in range(150):
        now = START + minute * MINUTE
        new = {("north", now): float(minute)}
        if minute > 4:
            new[("north", now - 3 * MINUTE)] = -float(minute)  # a correction
        rows |= new
        commit_rows(watched, new, now, arrivals=build_arrivals(new))
    assert list_states(watched, rows) == [KNOWN] * 150
    assert classify_rows(watched, rows).was_anomalous.tolist() == [value < 0 for value in rows.values()]
    past = watched.rows.load_past("calls", ["north"], START, START + DAY)["value"]
    assert past.tolist() == [rows["north", START + minute * MINUTE] for minute in range(150)]
    assert count_blocks(watched, "judged") < 40
    assert count_blocks(watched, "arrived") < 40


ENTITIES = st.sampled_from(["north", "south", "équipe\n1", "x" * 1000])
DELIVERIES = st.lists(
    st.dictionaries(
        st.tuples(ENTITIES, st.integers(0, 40).map(lambda step: START + step * timedelta(hours=7))),
        st.integers(-2, 2).map(float),
        min_size=1,
        max_size=12,
    ),
    max_size=8,
)


@given(deliveries=DELIVERIES)
def test_every_form_of_a_row_is_judged_once(watched: WatchStores, deliveries: list[dict[Row, float]]) -> None:
    """Rows come repeated, delayed, reordered and corrected; the model is a dictionary."""
    if watched.watches.list_states():
        watched.watches.delete_watch("calls")
    watched.watches.add_watch(build_watch(), START)
    model: dict[Row, float] = {}
    for delivery in deliveries:
        states = classify_rows(watched, delivery)
        assert states.states.tolist() == [
            NEW if row not in model else KNOWN if model[row] == value else CORRECTED for row, value in delivery.items()
        ]
        assert states.was_anomalous.tolist() == [model.get(row, 0.0) < 0 for row in delivery]
        rows = [row for row, is_judged in zip(delivery, states.needs_judgement, strict=True) if is_judged]
        judged = {row: delivery[row] for row in rows}
        commit_rows(watched, judged, START + 30 * DAY, arrivals=build_arrivals(judged))
        model |= delivery
    past = watched.rows.load_past("calls", [entity for entity, _ in model], START, START + 30 * DAY)
    values = past["value"].tolist() if model else []
    assert dict(zip(((entity, time.tz_localize(UTC)) for entity, time in past.index), values, strict=True)) == model
