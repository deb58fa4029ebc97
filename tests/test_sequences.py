"""The task `sequences`: on the sample, on real servers, on profiles; runs, thresholds, events, what comes back."""

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mlflow import MlflowClient

from core.actor import Actor
from core.data.dataset import Dataset, make_index
from core.data.ingest.loading import load
from core.data.ingest.number_parsing import MAX_MAGNITUDE
from core.data.samples import INCIDENTS, SERVER_KPIS, load_sample
from core.detectors.base import SequenceDetector
from core.errors import DataError, NotFoundError, OptionError
from core.exports import read_likelihoods
from core.progress import CancelledError, Progress
from core.runs.promotion import runs_with_model
from core.spec.codec import encode
from core.spec.spec import ApplySpec, ThresholdSpec
from core.spec.task import run_job
from core.tasks.sequences import figures, share_figures
from core.tasks.sequences.events import MARGIN_ROWS, MAX_CELL_COLUMNS, MAX_CELL_ROWS, MAX_GAP_ROWS, merge_anomalies
from core.tasks.sequences.result import SequenceDetection
from core.tasks.sequences.run import apply_model, apply_threshold, load_sequences, train
from core.tasks.sequences.spec import FAST_DETECTORS, PER_1000_ROWS, SequenceSpec, list_detectors
from core.tasks.sequences.split import build_training_mask, compute_sampling_seconds, find_default_split
from core.workspace import Workspace

BY = Actor("alice", "tests")


def pca(**chosen: object) -> SequenceDetector:
    return list_detectors()["pca-residual"](**chosen)


def by_week(detector: SequenceDetector | None = None, **asked: Any) -> SequenceSpec:
    """Two false alarms a week, by the PCA residual unless another detector is given."""
    return asking("alarms", 2.0, "week", detector, **asked)


def asking(
    threshold: Any, amount: float, per: Any = PER_1000_ROWS, detector: SequenceDetector | None = None, **asked: Any
) -> SequenceSpec:
    """A spec with this threshold, by the PCA residual unless another detector is given."""
    return SequenceSpec(detector or pca(), threshold=threshold, amount=amount, per=per, **asked)


@pytest.fixture(scope="module")
def server() -> Dataset:
    """The generated server: ten incidents in its second half."""
    return load_sample("server_kpis")


@pytest.fixture(scope="module")
def machine(shared_data: Path) -> Dataset:
    return load([shared_data / "smd" / "machine-1-6.npz"])


def several(entities: int = 3, rows: int = 400, dated: bool = True) -> Dataset:
    """Series of two columns that go together, each with one absurd stretch near its end."""
    random = np.random.default_rng(5)
    parts, names = [], [f"s{number}" for number in range(entities)]
    for _ in names:
        base = np.sin(np.arange(rows) / 9) + random.normal(0, 0.05, rows)
        values = np.column_stack([base, 2 * base + random.normal(0, 0.05, rows)])
        values[rows - 30 : rows - 20, 1] += 5
        parts.append(values)
    times = pd.date_range("2024-01-01", periods=rows, freq="h") if dated else pd.RangeIndex(rows)
    index = make_index(np.repeat(names, rows), np.tile(times.to_numpy(), entities))
    frame = pd.DataFrame(np.concatenate(parts), index=index, columns=["a", "b"])
    step = pd.Timedelta(hours=1) if dated else None
    return Dataset(frame, layout="tidy_series", step=step, files=("several.csv",))


# ---- what is found --------------------------------------------------------------------------------------------------


def test_incidents_are_found_and_the_promise_holds(server: Dataset, place: Workspace) -> None:
    """Two false alarms a week: within the two days judged none or one, while half of the incidents are seen."""
    found, run = train(by_week(), server, workspace=place, actor=BY)
    assert found.target_rate == pytest.approx(2 / (7 * 24 * 60))
    assert run.metrics["measured_rate"] * 2880 <= 1
    assert not found.exceeds_target_rate
    assert found.events["known"].all()
    assert len(found.events) >= len(INCIDENTS) // 2
    assert found.rows["fitted"].sum() == len(server) // 2
    assert not found.rows.loc[found.rows["fitted"], "anomaly"].any()
    assert found.count_alarms(found.target_rate or 0) == pytest.approx(2)


def test_causes_name_the_columns_that_were_changed(server: Dataset, place: Workspace) -> None:
    found, _ = train(by_week(), server, workspace=place, actor=BY)
    middle, ranked = len(server) // 2, []
    for event in found.events.itertuples():
        [causes] = [
            causes
            for after, length, causes in INCIDENTS
            if middle + after <= event.last and event.first < middle + after + length
        ]
        assert event.causes.split(" ")[0] in causes
        ranked.append(event.ranked.split(", ")[0] in causes)
    assert np.mean(ranked) >= 0.8, "a moving mean follows what lasts longer than its window"
    assert set(SERVER_KPIS) == set(found.data.columns)


def test_more_alarms_than_promised_are_told(machine: Dataset, place: Workspace) -> None:
    """A real server drifts: of its rows labelled normal more are flagged than were promised, and the result says so."""
    found, run = train(asking("alarms", 1), machine, workspace=place, actor=BY)
    assert found.model_spec.until == "train"
    assert (run.metrics["rows_fitted"], run.metrics["rows_scored"]) == (23_688, 23_689)
    assert found.exceeds_target_rate
    assert run.metrics["measured_low"] > run.metrics["target_rate"]
    assert run.metrics["f1"] > run.metrics["random.f1"]


def test_the_tail_of_a_true_alarm_is_no_false_alarm(place: Workspace) -> None:
    """Ten rows are changed; of the event they make, rows that are not labelled do not count, those of another event
    do.
    """
    dataset = several(1)
    labels = np.zeros(400, dtype=bool)
    labels[370:374] = True
    values = dataset.values.copy()
    values[300:303, 1] += 5
    frame = pd.DataFrame(values, index=dataset.frame.index, columns=dataset.columns)
    found, run = train(
        asking("pot", 0.001, detector=pca(variance=0.5)),
        dataset.replace(frame=frame, labels=pd.Series(labels, index=frame.index)),
        workspace=place,
        actor=BY,
    )
    [true, false] = [found.events[found.events["known"] == known].iloc[0] for known in (True, False)]
    assert len(found.events) == 2
    assert (true["first"], true["last"]) == (370, 379)
    assert run.metrics["excused_rows"] == true["rows"] - 4 == 6
    assert run.metrics["measured_rate"] == false["rows"] / 190
    assert "excused_rows" not in train(by_week(pca(variance=0.5)), dataset, workspace=place, actor=BY)[1].metrics


def test_the_card_stands_beside_random_scores_and_baselines(server: Dataset, place: Workspace) -> None:
    found, run = train(by_week(), server, workspace=place, actor=BY)
    assert found.card["line"].iloc[0] == "pca-residual"
    assert {"random", "mean_distance", "pca"} <= set(found.card["line"])
    card = found.card.set_index("line")
    assert card.loc["pca-residual", "vus_pr"] > 2 * card.loc["random", "vus_pr"]
    assert card.loc["pca-residual", "f1"] == pytest.approx(card.loc["pca", "f1"], abs=0.05)
    assert run.metrics["vus_pr"] == pytest.approx(card.loc["pca-residual", "vus_pr"])
    assert card["window"].nunique() == 1
    assert run.metrics["threshold"] == found.threshold
    assert run.metrics["f1_threshold"] == card.loc["pca-residual", "threshold"]


def test_days_of_a_profile_are_rows_too(sample: Dataset, place: Workspace) -> None:
    found, run = train(asking("alarms", 1, "month"), sample, workspace=place, actor=BY)
    assert found.sampling_seconds == 86_400
    assert found.data.columns[0] == "00:00"
    assert run.metrics["entities"] == len(sample.entities)
    assert set(found.events["entity"].cat.categories) == set(sample.entities)


def test_every_quick_detector_sees_something(server: Dataset, place: Workspace) -> None:
    assert list(list_detectors())[: len(FAST_DETECTORS)] == list(FAST_DETECTORS)
    for name in FAST_DETECTORS:
        found, _ = train(asking("pot", 0.001, detector=list_detectors()[name]()), server, workspace=place, actor=BY)
        assert found.events["known"].any(), name


# ---- thresholds -----------------------------------------------------------------------------------------------------


def test_contamination_flags_its_share_and_promises_nothing(server: Dataset, place: Workspace) -> None:
    found, run = train(asking("contamination", 0.05), server, workspace=place, actor=BY)
    assert run.metrics["anomaly_share"] == pytest.approx(0.05, abs=0.001)
    assert found.target_rate is None
    assert "target_rate" not in run.metrics
    assert not found.exceeds_target_rate


def test_the_best_threshold_is_an_oracle(server: Dataset, place: Workspace) -> None:
    found, run = train(asking("best_f1", 0), server, workspace=place, actor=BY)
    judged = found.test_rows
    hits = (judged["anomaly"] & judged["label"]).sum()
    assert 2 * hits / (judged["anomaly"].sum() + judged["label"].sum()) == pytest.approx(run.metrics["f1"], abs=1e-6)
    assert "labels" in str(found.notes[0])


def test_entities_share_the_alarms() -> None:
    asked = by_week()
    assert asked.compute_target_rate(several(3)) == pytest.approx(2 / (168 * 3))
    assert asked.compute_target_rate(several(1)) == pytest.approx(2 / 168)
    assert asking("alarms", 2.0).compute_target_rate(several(3, dated=False)) == 0.002


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (asking("alarms", 2.0, "fortnight"), "fortnight"),
        (asking("guess", 2.0), "guess"),
        (asking("best_f1", 0.0), "requires labels"),
        (asking("alarms", 1000.0, "day"), "1,000 is out of range"),
        (asking("pot", 1.5), "1.5"),
        (asking("pot", 0.0), "It must be above 0 and below 1"),
        (asking("contamination", 0.7), "0.7 is out of range. Accepted: 0 to 0.5"),
        (asking("alarms", -1.0), "-1"),
        (asking("alarms", float("nan")), "nan"),
    ],
)
def test_thresholds_that_cannot_be(place: Workspace, asked: SequenceSpec, words: str) -> None:
    with pytest.raises(OptionError, match=words):
        train(asked, several(), workspace=place, actor=BY)
    assert place.events.read_events() == []


def test_a_week_needs_dates(place: Workspace) -> None:
    with pytest.raises(OptionError, match="no dates"):
        train(by_week(), several(dated=False), workspace=place, actor=BY)


# ---- which rows are learnt from -------------------------------------------------------------------------------------


def test_rows_before_a_moment_a_row_or_the_training_part() -> None:
    dated, numbered = several(), several(dated=False)
    assert build_training_mask(dated, "2024-01-02").sum() == 3 * 24
    assert build_training_mask(numbered, "100").sum() == 300
    assert (find_default_split(numbered), build_training_mask(numbered, find_default_split(numbered)).sum()) == (
        "200",
        600,
    )
    part = pd.DataFrame({"part": pd.Categorical(["train"] * 100 + ["test"] * 1100)}, index=dated.frame.index)
    parted = dated.replace(context=part)
    assert find_default_split(parted) == "train"
    assert build_training_mask(parted, "train").sum() == 100
    assert (compute_sampling_seconds(dated), compute_sampling_seconds(numbered)) == (3600, None)


@pytest.mark.parametrize(
    ("until", "error"), [("soon", OptionError), ("1999-01-01", DataError), ("2050-01-01", DataError)]
)
def test_a_moment_that_divides_nothing(place: Workspace, until: str, error: type[Exception]) -> None:
    with pytest.raises(error, match=until):
        train(by_week(until=until), several(), workspace=place, actor=BY)


def test_too_few_rows(place: Workspace) -> None:
    with pytest.raises(DataError, match="Too few"):
        train(asking("contamination", 0.1), several(1, 12), workspace=place, actor=BY)
    [event] = place.events.read_events()
    assert (event.status, event.error_type) == ("failed", "DataError")


def test_a_scaling_that_does_not_exist(server: Dataset, place: Workspace) -> None:
    with pytest.raises(OptionError, match="minmax"):
        train(by_week(scaling="magic"), server, workspace=place, actor=BY)


# ---- events ---------------------------------------------------------------------------------------------------------


def test_anomalies_a_few_rows_apart_are_one_event() -> None:
    flags = np.zeros(40, dtype=bool)
    flags[[3, 4, 4 + MAX_GAP_ROWS + 1, 20, 39]] = True
    assert merge_anomalies(flags) == [(3, 8), (20, 20), (39, 39)]
    assert merge_anomalies(flags, gap=0)[0] == (3, 4)
    assert merge_anomalies(np.zeros(5, dtype=bool)) == []


@settings(max_examples=200, deadline=None)
@given(st.lists(st.booleans(), max_size=200), st.integers(0, 6))
def test_events_hold_every_anomaly_and_keep_apart(raised: list[bool], gap: int) -> None:
    flags = np.array(raised, dtype=bool)
    spans = merge_anomalies(flags, gap)
    covered = np.zeros(len(flags), dtype=bool)
    for first, last in spans:
        assert flags[first]
        assert flags[last]
        covered[first : last + 1] = True
    assert covered[flags].all()
    assert all(after[0] - before[1] > gap + 1 for before, after in pairwise(spans))


def test_every_series_has_its_event(place: Workspace) -> None:
    dataset = several()
    order = np.random.default_rng(1).permutation(len(dataset))
    found, _ = train(
        asking("pot", 0.001, detector=pca(variance=0.5)), dataset.take_rows(order), workspace=place, actor=BY
    )
    straight, _ = train(asking("pot", 0.001, detector=pca(variance=0.5)), dataset, workspace=place, actor=BY)
    assert set(found.events["entity"]) == {"s0", "s1", "s2"}
    assert found.events["start"].iloc[0] >= pd.Timestamp("2024-01-16")
    pd.testing.assert_frame_equal(found.events, straight.events)
    assert (found.rows["event"] >= 0).sum() >= found.rows["anomaly"].sum() > 0
    for number, event in found.events.iterrows():
        inside = found.rows.iloc[event["first"] : event["last"] + 1]
        assert (inside["event"] == number).all()
        assert inside["score"].max() == pytest.approx(event["peak"])
        assert inside["anomaly"].sum() == event["rows"]


def test_cells_explain_the_event(server: Dataset, place: Workspace) -> None:
    found, _ = train(by_week(), server, workspace=place, actor=BY)
    cells = found.cells[found.cells["event"] == 0]
    event = found.events.iloc[0]
    assert cells["time"].min() == event["start"] - pd.Timedelta(minutes=MARGIN_ROWS[0])
    assert cells.loc[cells["inside"], "time"].agg(["min", "max"]).tolist() == [event["start"], event["end"]]
    assert cells["column"].nunique() <= 2 * MAX_CELL_COLUMNS
    worst = cells[(cells["by_share"] == 0) & cells["inside"]]
    assert (worst["value"] > worst["high"]).mean() > 0.5
    assert (worst["low"] < worst["expected"]).all()
    calm = cells[~cells["inside"]]
    assert ((calm["value"] > calm["low"]) & (calm["value"] < calm["high"])).mean() > 0.8


def test_the_result_stays_small(machine: Dataset, place: Workspace) -> None:
    found, _ = train(asking("contamination", 0.3), machine, workspace=place, actor=BY)
    assert len(found.events) > 200
    assert found.cells["event"].nunique() == 200
    assert found.cells.groupby(["event", "column"], observed=True).size().max() <= MAX_CELL_ROWS
    assert len(found.shares) == 2000
    shares = found.shares.drop(columns=["entity", "time"]).to_numpy()
    assert shares.shape[1] == len(machine.columns)
    assert found.categories.empty


# ---- runs -----------------------------------------------------------------------------------------------------------


def test_the_run_is_on_record(server: Dataset, place: Workspace) -> None:
    found, run = train(by_week(), server, workspace=place, actor=BY)
    kept = MlflowClient(place.tracking.uri).get_run(run.id)
    assert kept.data.metrics["events"] == len(found.events)
    assert kept.data.params | {"until": "", "scaling": "minmax", "detector": "pca-residual"} == kept.data.params | {
        "until": ""
    }
    assert kept.data.params["until"] == "2024-03-06 00:00:00"
    [event] = place.events.read_events()
    assert (event.status, event.details.anomalies_count) == ("completed", found.rows["anomaly"].sum())
    assert [record.id for record in runs_with_model("sequences", place)] == [run.id]
    again = load_sequences(run.id, place)
    for name in ("rows", "events", "shares", "cells", "curves", "card"):
        pd.testing.assert_frame_equal(getattr(again, name), getattr(found, name), check_dtype=False)
    assert (again.spec, again.model_spec, again.data) == (found.spec, found.model_spec, found.data)
    assert (again.notes, again.measurements, again.target_rate) == (found.notes, found.measurements, found.target_rate)


def test_a_folder_without_a_result(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no result"):
        SequenceDetection.load(tmp_path)


def test_a_kept_model_gives_the_same_scores(server: Dataset, place: Workspace) -> None:
    found, run = train(by_week(), server, workspace=place, actor=BY)
    again, other = apply_model(ApplySpec(run.id), server, workspace=place, actor=BY)
    assert np.array_equal(again.rows["score"], found.rows["score"])
    assert (again.threshold, again.spec, again.model_spec) == (
        found.threshold,
        ApplySpec(run.id, dataset=server.digest),
        found.spec,
    )
    assert not again.rows["fitted"].any()
    assert run.id[:12] in str(again.notes[0])
    assert [record.id for record in runs_with_model("sequences", place)] == [run.id]
    assert other.metrics["rows_scored"] == len(server)
    with pytest.raises(DataError, match="columns"):
        apply_model(ApplySpec(run.id), several(), workspace=place, actor=BY)


def test_a_model_of_dated_rows_judges_rows_without_dates(place: Workspace) -> None:
    found, run = train(by_week(pca(variance=0.5)), several(), workspace=place, actor=BY)
    again, _ = apply_model(ApplySpec(run.id), several(dated=False), workspace=place, actor=BY)
    assert again.per == PER_1000_ROWS
    assert len(again.events) >= len(found.events) > 0


def test_a_threshold_of_verdicts_judges_the_same_rows(server: Dataset, place: Workspace) -> None:
    """The rows learnt from stay so, the model is kept with the threshold, and it is one to apply."""
    found, run = train(by_week(), server, workspace=place, actor=BY)
    higher = float(found.events["peak"].median())
    moved, second = apply_threshold(ThresholdSpec(run.id, higher), server, workspace=place, actor=BY)
    assert moved.rows[["score", "fitted"]].equals(found.rows[["score", "fitted"]])
    assert 0 < len(moved.events) < len(found.events)
    assert (moved.threshold, moved.method, moved.target_rate) == (higher, "verdicts", None)
    assert "verdicts on run" in str(moved.notes[0])
    again, _ = apply_threshold(ThresholdSpec(second.id, found.threshold), server, workspace=place, actor=BY)
    assert np.array_equal(again.rows["anomaly"], found.rows["anomaly"])
    applied, third = apply_model(ApplySpec(second.id), server, workspace=place, actor=BY)
    assert (applied.threshold, applied.method) == (higher, "verdicts")
    judged, _ = apply_threshold(ThresholdSpec(third.id, found.threshold), server, workspace=place, actor=BY)
    assert not judged.has_train_rows
    assert judged.list_scores().shape == (len(server),)
    assert len(found.list_alarms()) == len(found.events)
    assert list(found.list_alarms()) == ["entity", "time", "end", "score"]


def test_parameters_of_a_run_say_where_its_model_learnt(server: Dataset, place: Workspace) -> None:
    """Another run's split says nothing of the rows that its model is applied to."""
    client = MlflowClient(place.tracking.uri)
    _, run = train(by_week(start="2024-03-05"), server, workspace=place, actor=BY)
    _, applied = apply_model(ApplySpec(run.id), server, workspace=place, actor=BY)
    _, moved = apply_threshold(ThresholdSpec(run.id, 3.0), server, workspace=place, actor=BY)
    fitted, other, again = (client.get_run(each.id).data.params for each in (run, applied, moved))
    assert other["model_run"] == run.id
    assert {"until", "start"}.isdisjoint(other)
    assert (again["until"], again["source_run"]) == (fitted["until"], run.id)
    assert "model_run" not in again


@pytest.mark.parametrize("part", [{}, {"entities": ("s1",), "start": "2024-01-03"}])
def test_a_job_answers_as_the_verb_does(place: Workspace, part: dict[str, Any]) -> None:
    dataset = several()
    spec = by_week(pca(variance=0.5), until="2024-01-10", dataset=place.datasets.save(dataset), **part)
    run = done_as_job(spec, place)
    straight, _ = train(spec, dataset, workspace=place, actor=BY)
    job = load_sequences(run, place)
    assert job.spec == straight.spec
    assert np.array_equal(job.rows["score"], straight.rows["score"])
    again = load_sequences(done_as_job(ApplySpec(run, dataset=dataset.digest), place), place)
    assert again.spec == ApplySpec(run, dataset=dataset.digest)


def done_as_job(spec: SequenceSpec | ApplySpec, at: Workspace) -> str:
    """The run that a job with this spec makes."""
    arguments = json.loads(json.dumps(encode(spec)))
    return run_job("sequences", arguments, workspace=at, actor=BY, progress=Progress())


def test_a_job_can_be_cancelled(server: Dataset, place: Workspace) -> None:
    progress = Progress()
    progress.cancel()
    with pytest.raises(CancelledError):
        train(by_week(), server, workspace=place, actor=BY, progress=progress)
    [event] = place.events.read_events()
    assert event.status == "interrupted"


def test_tables_to_export(server: Dataset, place: Workspace, tmp_path: Path) -> None:
    found, _ = train(by_week(), server, workspace=place, actor=BY)
    table, events = found.to_frame(), found.build_event_table()
    assert len(table) == len(server)
    assert table["event"].max() == len(events) == events["event"].max()
    assert set(table.loc[table["event"].isna(), "severity"]) == {""}
    assert events["severity"].iloc[0] == "extreme"
    found.write_likelihoods(tmp_path / "scores.csv")
    moments, scores, words = read_likelihoods(tmp_path / "scores.csv")
    assert moments[0] == "20240306000000"
    assert np.allclose(scores, found.test_rows["score"])
    assert words.sum() == server.labels.sum()  # type: ignore[union-attr]
    assert "Normaly" in (tmp_path / "scores.csv").read_text()


# ---- odd data -------------------------------------------------------------------------------------------------------

RANDOM = np.random.default_rng(3)
CALM = RANDOM.normal(0, 1, (300, 3))


def odd(values: np.ndarray, times: object = None, names: object = None) -> Dataset:  # type: ignore[type-arg]
    """Rows of one entity, hour by hour, unless said otherwise."""
    moments = pd.date_range("2024-01-01", periods=len(values), freq="h") if times is None else times
    index = make_index(np.repeat("e", len(values)) if names is None else names, np.asarray(moments))
    return Dataset(
        pd.DataFrame(values, index=index, columns=[f"c{number}" for number in range(values.shape[1])]),
        layout="tidy_series",
        files=("odd.csv",),
    )


ODD = {
    "one column": odd(CALM[:, :1]),
    "200 columns": odd(RANDOM.normal(0, 1, (300, 200))),
    "nothing ever changes": odd(np.ones((300, 3))),
    "a column without a value": odd(np.where([False, True, False], np.nan, CALM)),
    "a column without a value to learn from": odd(
        np.where((np.arange(300) < 150)[:, None] & [False, True, False], np.nan, CALM)
    ),
    "has no value, so it has no mean to fill it with": odd(np.full((300, 2), np.nan)),
    "values as large as are read": odd(CALM / np.abs(CALM).max() * MAX_MAGNITUDE),
    "rows in any order": odd(CALM, RANDOM.permutation(pd.date_range("2024-01-01", periods=300, freq="h").to_numpy())),
    "every moment twice": odd(CALM, pd.date_range("2024-01-01", periods=150, freq="h").repeat(2)),
    "series of 1, 3, 60 and 236 rows": odd(
        CALM,
        np.concatenate([pd.date_range("2024-01-01", periods=rows, freq="h") for rows in (1, 3, 60, 236)]),
        np.repeat(["a", "b", "c", "d"], [1, 3, 60, 236]),
    ),
}


@pytest.mark.parametrize("name", ODD)
def test_odd_data_are_answered(name: str, place: Workspace) -> None:
    dataset = ODD[name]
    found, run = train(asking("alarms", 2, "day"), dataset, workspace=place, actor=BY)
    assert np.isfinite(found.rows["score"]).all()
    assert found.sampling_seconds == 3600
    for entity in dataset.entities:
        figures.draw_timeline(found, entity).to_json()
        share_figures.draw_shares(found, entity).to_json()
    if len(found.events):
        figures.draw_event(found, 0, "distance").to_json()
    again, _ = apply_model(ApplySpec(run.id), dataset, workspace=place, actor=BY)
    assert np.array_equal(again.rows["score"], found.rows["score"])


def test_one_row_is_judged_by_a_model(place: Workspace) -> None:
    dataset = several(1)
    run = train(by_week(pca(variance=0.5)), dataset, workspace=place, actor=BY)[1]
    found, _ = apply_model(
        ApplySpec(run.id), dataset.take_rows(np.arange(400) == 375).replace(step=None), workspace=place, actor=BY
    )
    assert (len(found.rows), found.is_dated, found.per) == (1, True, PER_1000_ROWS)
    figures.draw_timeline(found, "s0").to_json()


def test_what_is_measured_is_what_is_flagged(place: Workspace) -> None:
    """Also where the threshold lies between two scores that single precision cannot tell apart."""
    dataset = several(2, 300)
    for share in (1e-9, 0.0001, 0.01):
        found, _ = train(asking("contamination", share), dataset, workspace=place, actor=BY)
        assert found.measured_rate == found.test_rows["anomaly"].mean()


def test_a_moment_of_another_time_zone_is_refused(place: Workspace) -> None:
    with pytest.raises(OptionError, match=r"\+02:00"):
        train(by_week(until="2024-01-05T00:00:00+02:00"), several(), workspace=place, actor=BY)


@pytest.mark.parametrize(
    "detector",
    [
        {"name": "oracle", "settings": {}},
        {"name": "pca-residual", "settings": {"variance": float("nan")}},
        {"name": "pca-residual", "settings": {"trees": 3}},
    ],
)
def test_a_job_that_asks_for_what_is_not_there(place: Workspace, detector: dict[str, Any]) -> None:
    arguments = encode(by_week(dataset=place.datasets.save(several(1)))) | {"detector": detector}
    with pytest.raises(OptionError):
        run_job("sequences", arguments, workspace=place, actor=BY, progress=Progress())


# ---- figures --------------------------------------------------------------------------------------------------------


def names(figure: Any) -> set[str]:
    return {str(trace.name) for trace in figure.data if trace.name}


def test_figures(server: Dataset, place: Workspace) -> None:
    found, _ = train(by_week(), server, workspace=place, actor=BY)
    entity = server.entities[0]
    timeline = figures.draw_timeline(found, entity)
    assert {"score", "training rows", "threshold", "event", "labelled abnormal", "extreme"} <= names(timeline)
    low, high = timeline.layout.yaxis.range
    assert low < found.threshold < high
    assert names(figures.draw_values(server, found, entity, ["cpu", "errors"])) == {"cpu", "errors", "event"}
    for by in ("share", "distance"):
        opened = figures.draw_event(found, 0, by)
        assert {"expected", "expected ± 2σ", "measured", "event"} <= names(opened)
        assert opened.layout.annotations[0].text == "errors"
    heat = share_figures.draw_shares(found, entity).data[0]
    assert list(heat.y) == list(SERVER_KPIS)
    assert np.asarray(heat.z).shape == (12, 2000)


def test_figures_below_each_other_have_one_axis_of_time(server: Dataset, place: Workspace) -> None:
    found, _ = train(by_week(), server, workspace=place, actor=BY)
    long = replace(found.data, columns=("a name that is longer than any room beside a plot", *found.data.columns[1:]))
    found = replace(found, data=long, categories=found.shares[["entity", "time"]].assign(**{"0": 0.75, "1": 0.25}))
    [entity] = server.entities
    drawn = [
        figures.draw_timeline(found, entity),
        share_figures.draw_shares(found, entity),
        share_figures.draw_modes(found, entity),
        figures.draw_values(server, found, entity, ["cpu", "errors"]),
    ]
    assert len({(figure.layout.margin.l, figure.layout.margin.r, figure.layout.xaxis.range) for figure in drawn}) == 1
    assert not any(axis.automargin for figure in drawn for axis in figure.select_yaxes())
    assert drawn[0].layout.xaxis.range == (
        server.time.min() - pd.Timedelta(seconds=30),
        server.time.max() + pd.Timedelta(seconds=30),
    )
    heat = drawn[1].data[0]
    assert len(heat.x) == np.asarray(heat.z).shape[1] + 1
    assert (heat.x[0], heat.x[-1]) == drawn[0].layout.xaxis.range
    assert drawn[1].layout.yaxis.ticktext[0] == "a name that is lo…"


def test_figures_of_modes_and_training(server: Dataset, place: Workspace) -> None:
    found, _ = train(by_week(), server, workspace=place, actor=BY)
    bins = found.shares[["entity", "time"]]
    found = replace(
        found,
        categories=bins.assign(**{"0": 0.75, "1": 0.25, "2": 0.0}),
        curves=pd.DataFrame({"curve": "loss", "step": [1, 2], "value": [2.0, 1.0]}),
    )
    assert list(share_figures.draw_modes(found, server.entities[0]).data[0].y) == ["mode 1", "mode 2"]
    assert list(figures.draw_training_curves(found).data[0].y) == [2.0, 1.0]


def test_one_absurd_score_does_not_flatten_the_others(place: Workspace) -> None:
    dataset = several(1)
    values = dataset.values.copy()
    values[350] = 1e9, -1e9
    dataset = dataset.replace(frame=pd.DataFrame(values, index=dataset.frame.index, columns=dataset.columns))
    found, _ = train(asking("pot", 0.02, detector=pca(variance=0.5)), dataset, workspace=place, actor=BY)
    figure = figures.draw_timeline(found, "s0")
    assert figure.layout.yaxis.range[1] < found.rows["score"].max()
    assert max(max(trace.y) for trace in figure.data if trace.name == "score") <= figure.layout.yaxis.range[1]


def test_millions_of_rows_are_drawn_with_thousands_of_points(server: Dataset, place: Workspace) -> None:
    found, _ = train(by_week(), server, workspace=place, actor=BY)
    many = pd.concat([found.test_rows] * 200, ignore_index=True).assign(fitted=False)
    many["time"] = pd.date_range("2024-01-01", periods=len(many), freq="s")
    figure = figures.draw_timeline(replace(found, rows=many, events=found.events.head(0)), server.entities[0])
    assert max(len(trace.x) for trace in figure.data) <= 6000
