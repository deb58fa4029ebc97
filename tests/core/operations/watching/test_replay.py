"""Replay: incidents as a watch merges them, at any threshold, against what is known, with nothing of the future."""

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import queries
from core.actor import Actor
from core.data.dataset import Dataset, make_index
from core.errors import DataError, InputError, NotFoundError
from core.operations.feedback import FeedbackInput, serialise_row, submit_feedback
from core.operations.queries import REPLAY_WATCH
from core.operations.watching.replay import build_replay_spec, replay_watch
from core.operations.watching.replay_alarms import (
    KnownSpans,
    ReplayedRows,
    find_faults,
    judge_incidents,
    tabulate_replay,
)
from core.operations.watching.replay_result import Replay
from core.progress import Progress
from core.storage.feedback import Verdict
from core.tasks.anomalies.run import detect
from core.tasks.anomalies.spec import DetectionSpec
from core.tasks.intervals.run import judge_points
from core.tasks.intervals.spec import IntervalsSpec, list_series_forecasters
from core.tasks.sequences.run import train
from core.tasks.sequences.spec import SequenceSpec, list_detectors
from core.watches.judgement import JUDGED_COLUMNS, Judgement
from core.watches.merging import merge_judgement
from core.watches.source import FolderSource
from core.watches.watch import NewNormal, Watch
from core.workspace import Workspace

ADA = Actor("ada", "tests")
HOUR = pd.Timedelta(hours=1)
DAYS = 120
FAULTS = ((40, 5), (60, 3), (85, 8), (110, 4))  # day and number of hours


def make_load(seed: int = 0, days: int = DAYS, entities: tuple[str, ...] = ("north",), zone: str = "") -> Dataset:
    """Return hourly loads with labelled faults."""
    rng, hours = np.random.default_rng(seed), np.arange(days * 24)
    frames, labels = [], []
    for number, entity in enumerate(entities):
        values = 100 + 20 * np.sin(2 * np.pi * hours / 24) + rng.normal(0, 2, len(hours))
        label = np.zeros(len(hours), dtype=bool)
        for day, length in FAULTS:
            start = day * 24 + 7 + number
            if start + length < len(hours):
                values[start : start + length] += 60
                label[start : start + length] = True
        index = make_index([entity] * len(hours), pd.date_range("2024-01-01", periods=len(hours), freq="h"))
        frames.append(pd.DataFrame({"load": values}, index))
        labels.append(pd.Series(label, index))
    return Dataset(
        pd.concat(frames), "tidy_series", step=HOUR, unit="MW", labels=pd.concat(labels), files=("load.csv",), zone=zone
    )


def make_watch(run_id: str, **values: Any) -> Watch:
    source = FolderSource(path="inbox")
    return Watch(name="load", task="anomalies", model=run_id, source=source, schedule="1 hour", **values)


@pytest.fixture
def load_run_id(workspace: Workspace) -> str:
    """Run of a model of the first 30 days."""
    dataset = make_load()
    workspace.datasets.save(dataset)
    return detect(DetectionSpec(end="2024-01-30"), dataset, workspace=workspace, actor=ADA)[1].id


# ---- alarms at any threshold ---------------------------------------------------------------------------------------


@st.composite
def judged_tables(draw: st.DrawFn) -> pd.DataFrame:
    """Judged rows of up to three entities with holes, in any order."""
    keys = draw(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 40)), min_size=1, max_size=60, unique=True))
    scores = draw(st.lists(st.integers(0, 6), min_size=len(keys), max_size=len(keys)))
    rows = pd.DataFrame(keys, columns=["entity", "hour"])
    instants = pd.Timestamp("2024-03-30") + rows["hour"] * HOUR
    flags = np.array(scores) > 3
    values = {"entity": rows["entity"], "instant": instants.astype("datetime64[ns]"), "score": np.array(scores, float)}
    table = pd.DataFrame({**values, "threshold": 3.0, "is_anomalous": flags, "severity": 1})
    texts = {"column": "load", "causes": "load"}
    numbers = dict.fromkeys(("measured", "expected", "low", "high"), 1.0)
    return table.assign(**texts, **numbers)[list(JUDGED_COLUMNS)]


def to_rows(table: pd.DataFrame) -> ReplayedRows:
    return ReplayedRows.from_table(table, HOUR)


@given(judged_tables())
def test_incidents_of_a_threshold_are_those_of_a_watch(table: pd.DataFrame) -> None:
    judgement = Judgement(table, timedelta(hours=1))
    was_anomalous = np.zeros(len(table), dtype=bool)
    watch = make_watch("0" * 32)
    incidents = {}
    for change in merge_judgement(watch, (), judgement, was_anomalous, datetime.now(UTC), "run"):
        incidents[change.incident.id] = change.incident
    merged = {
        (each.entity, pd.Timestamp(each.start).tz_localize(None), pd.Timestamp(each.end).tz_localize(None))
        for each in incidents.values()
        if each.rows and not each.merged_into
    }
    rows = to_rows(table)
    first, last = rows.find_alarms(rows.scores > 3)
    found = {
        (rows.entities[rows.codes[start]], pd.Timestamp(rows.instants[start]), pd.Timestamp(rows.instants[stop]))
        for start, stop in zip(first, last, strict=True)
    }
    assert found == merged
    line = tabulate_replay(rows, KnownSpans.from_table(make_spans(), rows, is_complete=False)).set_index("threshold")
    assert line.loc[3.0, "incidents"] == len(merged)


def make_spans(*lines: tuple[str, int, int, bool]) -> pd.DataFrame:
    """Return spans of known truth between hours."""
    table = pd.DataFrame(lines, columns=["entity", "start", "end", "is_true"])
    times = {name: (pd.Timestamp("2024-03-30") + table[name].astype(int) * HOUR) for name in ("start", "end")}
    return table.assign(**{name: time.astype("datetime64[ns]") for name, time in times.items()}).astype(
        {"is_true": bool}
    )


spans = st.lists(
    st.tuples(st.sampled_from("abcd"), st.integers(0, 40), st.integers(0, 6), st.booleans()).map(
        lambda line: (line[0], line[1], line[1] + line[2], line[3])
    ),
    max_size=6,
)


@given(judged_tables(), spans, st.booleans())
def test_precision_and_recall_are_those_of_their_definition(
    table: pd.DataFrame, lines: list[tuple[str, int, int, bool]], is_complete: bool
) -> None:
    rows = to_rows(table)
    known = KnownSpans.from_table(make_spans(*lines), rows, is_complete)
    first, last = rows.find_alarms(rows.scores > 3)
    incidents = pd.DataFrame(
        {
            "entity": [rows.entities[code] for code in rows.codes[first]],
            "start": rows.instants[first],
            "end": rows.instants[last],
        }
    )
    hours = {name: ((incidents[name] - pd.Timestamp("2024-03-30")) / HOUR).tolist() for name in ("start", "end")}
    places = list(zip(incidents["entity"], hours["start"], hours["end"], strict=True))

    def touches(place: tuple[str, float, float], line: tuple[str, int, int, bool]) -> bool:
        return place[0] == line[0] and place[1] <= line[2] + 2 and place[2] >= line[1] - 2

    inside = [line for line in lines if line[0] in set(rows.entities)]
    truths = []
    for place in places:
        met = {line[3] for line in inside if touches(place, line)}
        truths.append(1.0 if True in met else 0.0 if is_complete or False in met else np.nan)
    assert np.array_equal(judge_incidents(rows, incidents, known), np.array(truths, dtype=float), equal_nan=True)
    line = tabulate_replay(rows, known).set_index("threshold").loc[3.0]
    reviewed = [truth for truth in truths if truth == truth]
    assert line["precision"] == pytest.approx(np.mean(reviewed) if reviewed else np.nan, nan_ok=True)
    faults = [line for line in inside if line[3]]
    found = [any(touches(place, fault) for place in places) for fault in faults]
    assert line["recall"] == pytest.approx(np.mean(found) if found else np.nan, nan_ok=True)
    waits = [
        max(min(place[1] for place in places if touches(place, fault)) - fault[1], 0) * 3600
        for fault, is_found in zip(faults, found, strict=True)
        if is_found
    ]
    assert line["delay_s"] == pytest.approx(np.median(waits) if waits else np.nan, nan_ok=True)
    table = find_faults(rows, known, incidents)
    assert sorted(table["is_found"]) == sorted(found)
    assert sorted(table["delay_s"].dropna()) == sorted(waits)


def test_rows_keep_distance_to_threshold_of_their_model() -> None:
    rows = pd.DataFrame(
        {
            "entity": "a",
            "instant": pd.date_range("2024-01-01", periods=3, freq="h"),
            "score": [5.0, 50.0, 55.0],
            "threshold": [4.0, 51.0, 51.0],
        }
    )
    replayed = to_rows(rows)
    assert replayed.threshold == 51.0
    assert (replayed.scores > replayed.threshold).tolist() == [True, False, True]


# ---- whole replays -------------------------------------------------------------------------------------------------


def test_replay_finds_planted_faults_and_measures_itself(workspace: Workspace, load_run_id: str) -> None:
    dataset = make_load()
    replay = replay_watch(make_watch(load_run_id), dataset, "2024-02-01", "2024-04-29", workspace=workspace)
    assert replay.truth == "labels"
    assert len(replay.rows) == 89 * 24
    assert replay.faults["is_found"].all()
    assert len(replay.faults) == len(FAULTS)
    assert replay.metrics()["recall"] == 1.0
    assert (replay.incidents["truth"] == 1).sum() == len(FAULTS)
    worst = replay.incidents.iloc[0]
    assert worst["column"] == "load"
    assert worst["measured"] > worst["high"]
    assert replay.thresholds["threshold"].is_monotonic_decreasing
    assert replay.thresholds["incidents"].iloc[0] == 0
    assert not replay.notes
    at_model = replay.list_incidents(replay.threshold)
    columns = ["entity", "start", "end", "rows"]
    pd.testing.assert_frame_equal(
        at_model.sort_values("start")[columns].reset_index(drop=True),
        replay.incidents.sort_values("start")[columns].reset_index(drop=True),
        check_dtype=False,
    )
    for threshold in replay.thresholds["threshold"]:
        assert len(replay.list_incidents(threshold)) == replay.find_line(threshold)["incidents"]


def test_replay_tells_that_its_model_has_seen_the_rows(workspace: Workspace, load_run_id: str) -> None:
    replay = replay_watch(make_watch(load_run_id), make_load(), "2024-01-20", workspace=workspace)
    assert [note.template for note in replay.notes if "retraining" in note.template]


def test_replay_of_parts_is_the_replay_of_the_whole(
    workspace: Workspace, load_run_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A watch judges row by row; a replay judges many rows at once."""
    dataset, watch = make_load(), make_watch(load_run_id)
    whole = replay_watch(watch, dataset, "2024-02-01", "2024-03-15", workspace=workspace)
    monkeypatch.setattr("core.operations.watching.replay.MAX_JUDGED_ROWS", 7)
    parts = replay_watch(watch, dataset, "2024-02-01", "2024-03-15", workspace=workspace)
    pd.testing.assert_frame_equal(whole.rows, parts.rows)
    pd.testing.assert_frame_equal(whole.incidents, parts.incidents)


def test_replay_compares_with_verdicts(workspace: Workspace, load_run_id: str) -> None:
    dataset = make_load().replace(labels=None)
    watch = make_watch(load_run_id)
    before = build_replay_spec(watch, dataset, workspace=workspace)
    assert replay_watch(watch, dataset, "2024-02-01", workspace=workspace).truth == ""
    verdicts: list[tuple[int, Verdict]] = [
        (40 * 24 + 8, "true_alarm"),
        (60 * 24 + 8, "false_alarm"),
        (70 * 24, "true_alarm"),
    ]
    for hour, verdict in verdicts:
        row = serialise_row({"entity": "north", "time": dataset.time[hour]})
        submit_feedback(FeedbackInput("anomalies", load_run_id, row, verdict), workspace=workspace, actor=ADA)
    replay = replay_watch(watch, dataset, "2024-02-01", workspace=workspace)
    assert replay.truth == "verdicts"
    assert replay.current["precision"] == 0.5
    assert replay.current["recall"] == 0.5
    assert build_replay_spec(watch, dataset, workspace=workspace) != before


def test_verdicts_are_read_on_the_clock_of_the_data(workspace: Workspace) -> None:
    dataset = make_load(zone="Europe/Paris").replace(labels=None)
    workspace.datasets.save(dataset)
    run_id = detect(DetectionSpec(end="2024-01-30"), dataset, workspace=workspace, actor=ADA)[1].id
    row = serialise_row({"entity": "north", "time": dataset.time[110 * 24 + 7]})
    feedback = FeedbackInput("anomalies", run_id, row, "true_alarm")
    submit_feedback(feedback, workspace=workspace, actor=ADA)
    replay = replay_watch(make_watch(run_id), dataset, "2024-04-01", workspace=workspace)
    assert replay.spans["start"].tolist() == [pd.Timestamp("2024-04-20 05:00")]  # 07:00 in summer
    assert replay.current["recall"] == 1.0


def test_replay_answers_a_question(workspace: Workspace, load_run_id: str) -> None:
    dataset = make_load()
    spec = build_replay_spec(make_watch(load_run_id), dataset, "2024-02-01", workspace=workspace)
    key = queries.answer_question(REPLAY_WATCH, spec, workspace=workspace, actor=ADA, progress=Progress())
    answer: Replay | None = queries.load_answer(REPLAY_WATCH, spec, workspace)
    assert answer is not None
    assert key == queries.compute_answer_key(REPLAY_WATCH, spec)
    expected = replay_watch(make_watch(load_run_id), dataset, "2024-02-01", workspace=workspace)
    for name in ("rows", "incidents", "thresholds", "faults", "spans"):
        pd.testing.assert_frame_equal(getattr(answer, name), getattr(expected, name), check_dtype=False)
    assert answer.metrics() == expected.metrics()


def test_two_users_ask_the_same_question(workspace: Workspace, load_run_id: str) -> None:
    dataset = make_load()
    first, second = (
        build_replay_spec(make_watch(load_run_id, owner=owner), dataset, workspace=workspace) for owner in ("a", "b")
    )
    assert first == second


def test_impossible_replays_say_why(workspace: Workspace, load_run_id: str) -> None:
    dataset = make_load()
    with pytest.raises(NotFoundError):
        replay_watch(make_watch("f" * 32), dataset, workspace=workspace)
    with pytest.raises(DataError, match="No rows match"):
        replay_watch(make_watch(load_run_id), dataset, "2031-01-01", workspace=workspace)
    undated = dataset.with_index(make_index(dataset.entity, np.arange(len(dataset))))
    with pytest.raises(DataError, match="needs dates"):
        replay_watch(make_watch(load_run_id), undated, workspace=workspace)
    other = dataset.replace(frame=dataset.frame.rename(columns={"load": "flow"}))
    with pytest.raises(DataError, match="flow"):
        replay_watch(make_watch(load_run_id), other, workspace=workspace)


def test_entities_that_the_model_does_not_know_are_left_out_and_told(workspace: Workspace, load_run_id: str) -> None:
    dataset = make_load(entities=("north", "south"))
    replay = replay_watch(make_watch(load_run_id), dataset, "2024-02-01", workspace=workspace)
    assert set(replay.rows["entity"]) == {"north"}
    assert replay.left_out == len(replay.rows)
    assert [str(note) for note in replay.notes if "south" in str(note)]


# ---- re-fitting as it would have been ------------------------------------------------------------------------------


def test_future_changes_no_earlier_incident(workspace: Workspace, load_run_id: str) -> None:
    """With re-fitting, what comes after a day leaves all before it as it was."""
    dataset = make_load(entities=("north", "south"))
    watch = make_watch(load_run_id, refit="14 days", history_days=60)
    before = replay_watch(watch, dataset, "2024-02-01", "2024-04-29", is_refit=True, workspace=workspace)
    assert len(before.refits) > 4
    assert before.refits["is_used"].sum() > 1
    cut = pd.Timestamp("2024-03-20")
    frame = dataset.frame.copy()
    is_later = np.asarray(dataset.time >= cut)
    frame.loc[is_later, "load"] = frame.loc[is_later, "load"] * 3 + np.random.default_rng(1).normal(
        0, 50, is_later.sum()
    )
    changed = replay_watch(watch, dataset.replace(frame=frame), "2024-02-01", is_refit=True, workspace=workspace)
    for name, time in (("rows", "instant"), ("incidents", "end"), ("refits", "instant")):
        early, late = (getattr(replay, name) for replay in (before, changed))
        early, late = (
            table[table[time] < cut - 3 * HOUR].sort_values([time]).reset_index(drop=True) for table in (early, late)
        )
        assert len(early)
        pd.testing.assert_frame_equal(early, late)
    assert not before.rows["score"].equals(changed.rows["score"])


def test_refit_begins_with_the_rows_before_the_period(workspace: Workspace, load_run_id: str) -> None:
    replay = replay_watch(make_watch(load_run_id), make_load(), "2024-02-01", is_refit=True, workspace=workspace)
    assert replay.refits["reason"].tolist() == ["first"]
    assert replay.refits["rows"].tolist() == [31 * 24]
    assert replay.metrics()["recall"] == 1.0


def test_refit_without_earlier_rows_begins_later_and_tells_so(workspace: Workspace, load_run_id: str) -> None:
    watch = make_watch(load_run_id, refit="7 days")
    replay = replay_watch(watch, make_load(), is_refit=True, workspace=workspace)
    assert replay.refits["reason"].iloc[0] == "too few rows"
    assert replay.rows["instant"].min() >= replay.refits["instant"].iloc[1]
    assert [note for note in replay.notes if "first rows" in note.template]
    with pytest.raises(DataError, match="No row"):
        replay_watch(watch, make_load(days=3), is_refit=True, workspace=workspace)


def test_refit_leaves_out_rows_before_a_new_normal(workspace: Workspace, load_run_id: str) -> None:
    """An accepted level is learned at the next date; otherwise it takes weeks."""
    dataset = make_load(days=90)
    frame, since = dataset.frame.copy(), pd.Timestamp("2024-02-20")
    frame.loc[np.asarray(dataset.time >= since), "load"] += 80
    shifted = dataset.replace(frame=frame, labels=None)
    level = NewNormal(entity="north", since=datetime(2024, 2, 20, tzinfo=UTC))
    plain, accepted = (
        replay_watch(
            make_watch(load_run_id, refit="7 days", new_normals=levels),
            shifted,
            "2024-02-10",
            is_refit=True,
            workspace=workspace,
        )
        for levels in ((), (level,))
    )
    weeks = [replay.rows[replay.rows["instant"].between("2024-02-27", "2024-03-10")] for replay in (plain, accepted)]
    shares = [rows["is_anomalous"].mean() for rows in weeks]
    assert shares[0] > 0.9
    assert shares[1] < 0.05


def test_too_many_dates_of_refitting_are_refused(workspace: Workspace, load_run_id: str) -> None:
    watch = make_watch(load_run_id, refit="1 hour")
    with pytest.raises(InputError, match="Choose a shorter period"):
        replay_watch(watch, make_load(), "2024-02-01", is_refit=True, workspace=workspace)


# ---- series --------------------------------------------------------------------------------------------------------


def test_replay_of_series_is_that_of_ticks(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model of series needs rows before each row, also before the first row of a part and of the period."""
    dataset = make_load(entities=("north", "south"))
    workspace.datasets.save(dataset)
    detector = list_detectors()["moving-mean"](centred=False)
    spec = SequenceSpec(detector=detector, until="2024-01-31")
    run_id = train(spec, dataset, workspace=workspace, actor=ADA)[1].id
    watch = make_watch(run_id).model_copy(update={"task": "sequences"})
    whole = replay_watch(watch, dataset, "2024-02-01", "2024-03-15", workspace=workspace)
    monkeypatch.setattr("core.operations.watching.replay.MAX_JUDGED_ROWS", 100)
    parts = replay_watch(watch, dataset, "2024-02-01", "2024-03-15", workspace=workspace)
    columns = ["entity", "instant"]
    pd.testing.assert_frame_equal(
        whole.rows.sort_values(columns, ignore_index=True), parts.rows.sort_values(columns, ignore_index=True)
    )
    assert len(whole.incidents) == len(parts.incidents)
    assert whole.metrics()["recall"] > 0


def test_replay_of_intervals_is_that_of_ticks(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = make_load(days=90, entities=("north", "south"))
    workspace.datasets.save(dataset)
    forecaster = list_series_forecasters()["seasonal-naive"]()
    spec = IntervalsSpec(forecaster=forecaster, horizon=24, end="2024-02-10")
    run_id = judge_points(spec, dataset, workspace=workspace, actor=ADA)[1].id
    watch = make_watch(run_id).model_copy(update={"task": "intervals"})
    whole = replay_watch(watch, dataset, "2024-02-20", "2024-03-10", workspace=workspace)
    monkeypatch.setattr("core.operations.watching.replay.MAX_JUDGED_ROWS", 100)
    parts = replay_watch(watch, dataset, "2024-02-20", "2024-03-10", workspace=workspace)
    columns = ["entity", "instant"]
    pd.testing.assert_frame_equal(
        whole.rows.sort_values(columns, ignore_index=True), parts.rows.sort_values(columns, ignore_index=True)
    )
    assert len(whole.rows) == 20 * 24 * 2
    assert whole.faults["is_found"].all()
    assert (whole.rows["is_anomalous"] == (whole.rows["score"] > whole.rows["threshold"])).all()
