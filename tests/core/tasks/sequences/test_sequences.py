"""The task `sequences` on the sample, real servers and profiles: runs, thresholds, events, stored results, figures."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient

from core.actor import Actor
from core.data.dataset import Dataset, make_index
from core.data.ingest.loading import load
from core.data.ingest.number_parsing import MAX_MAGNITUDE
from core.data.samples import INCIDENTS, SERVER_KPIS, load_sample
from core.data.seq_writer import WINDOW_ROWS
from core.detectors.base import SequenceDetector
from core.errors import DataError, NotFoundError, OptionError
from core.progress import CancelledError, Progress
from core.runs.promotion import runs_with_model
from core.spec.codec import encode
from core.spec.spec import ApplySpec, ThresholdSpec
from core.spec.task import run_job
from core.tasks.sequences import events, figures, share_figures
from core.tasks.sequences.cells import MARGIN_ROWS, MAX_CELL_ROWS
from core.tasks.sequences.result import MAX_CELL_COLUMNS, SequenceDetection
from core.tasks.sequences.run import apply_model, apply_threshold, load_sequences, train
from core.tasks.sequences.scores_files import format_scores_files
from core.tasks.sequences.spec import FAST_DETECTORS, PER_1000_ROWS, SequenceSpec, list_detectors
from core.tasks.sequences.split import build_training_mask, compute_sampling_seconds, find_default_split
from core.workspace import Workspace
from tests.support.sample_sequences import make_series

ALICE = Actor("alice", "tests")


def make_pca(**hyperparameters: object) -> SequenceDetector:
    return list_detectors()["pca-residual"](**hyperparameters)


def make_weekly_spec(detector: SequenceDetector | None = None, **fields: Any) -> SequenceSpec:
    """Make a spec for two false alarms a week, with the PCA residual unless another detector is given."""
    return make_spec("alarms", 2.0, "week", detector, **fields)


def make_spec(
    threshold: Any, amount: float, per: Any = PER_1000_ROWS, detector: SequenceDetector | None = None, **fields: Any
) -> SequenceSpec:
    """Make a spec with this threshold, with the PCA residual unless another detector is given."""
    return SequenceSpec(detector or make_pca(), threshold=threshold, amount=amount, per=per, **fields)


@pytest.fixture(scope="module")
def server_kpis() -> Dataset:
    """Generated server with ten incidents in its second half."""
    return load_sample("server_kpis")


@pytest.fixture(scope="module")
def smd_machine(shared_data: Path) -> Dataset:
    return load([shared_data / "smd" / "machine-1-6.npz"])


# ---- detected events ------------------------------------------------------------------------------------------------


def test_sequences_find_incidents_within_target_rate(server_kpis: Dataset, workspace: Workspace) -> None:
    """Two false alarms a week cannot be promised from two days: eight are, and half of the incidents are found."""
    detection, run = train(make_weekly_spec(), server_kpis, workspace=workspace, actor=ALICE)
    assert detection.method == "highest"
    assert 2.3 / 2880 < (detection.target_rate or 0) < 2.4 / 2880
    assert run.metrics["measured_rate"] * 2880 <= 1
    assert (detection.promise_kept, run.metrics["promise_kept"]) == (True, 1.0)
    assert not detection.exceeds_target_rate
    assert detection.events["known"].all()
    assert len(detection.events) >= len(INCIDENTS) // 2
    assert detection.rows["fitted"].sum() == len(server_kpis) // 2
    assert not detection.rows.loc[detection.rows["fitted"], "anomaly"].any()
    assert detection.count_alarms(detection.target_rate or 0) == pytest.approx(8.1, abs=0.2)


def test_sequences_causes_name_changed_columns(server_kpis: Dataset, workspace: Workspace) -> None:
    detection, _ = train(make_weekly_spec(), server_kpis, workspace=workspace, actor=ALICE)
    middle, named = len(server_kpis) // 2, []
    for event in detection.events.itertuples():
        [causes] = [
            causes
            for after, length, causes in INCIDENTS
            if middle + after <= event.last and event.first < middle + after + length
        ]
        named.append(event.column in causes)
        assert event.causes.startswith(event.column)
    assert np.mean(named) >= 0.8
    assert set(SERVER_KPIS) == set(detection.data.columns)


def test_sequences_report_broken_promise_and_adapt(workspace: Workspace) -> None:
    """Scores that double after training break the promise; the result says it, and an adaptive threshold follows."""
    dataset = make_series(1, rows=4000)
    values = dataset.values * np.where(np.arange(4000) < 2000, 1.0, 2.0)[:, None]
    drifted = dataset.replace(frame=dataset.frame * 0 + values)
    fixed, run = train(make_spec("alarms", 5), drifted, workspace=workspace, actor=ALICE)
    assert (fixed.promise_kept, fixed.exceeds_target_rate, run.metrics["promise_kept"]) == (False, True, 0.0)
    assert run.metrics["measured_low"] > run.metrics["target_rate"]
    assert "drifted" in str(fixed.notes[-1])
    adaptive, adaptive_run = train(make_spec("alarms", 5, adaptive=True), drifted, workspace=workspace, actor=ALICE)
    assert (adaptive.method, adaptive.target_rate) == ("adaptive", 0.005)
    assert 0 < adaptive.measured_rate < fixed.measured_rate / 3
    assert (adaptive.test_rows["anomaly"] == (adaptive.test_rows["score"] > adaptive.test_rows["threshold"])).all()
    assert load_sequences(adaptive_run.id, workspace).promise_kept == adaptive.promise_kept
    again, _ = apply_model(ApplySpec(adaptive_run.id), drifted, workspace=workspace, actor=ALICE)
    assert (again.method, again.target_rate) == ("adaptive", 0.005)
    assert "threshold" in again.rows


def test_sequences_tail_of_true_alarm_is_excused(workspace: Workspace) -> None:
    """Four of ten changed rows are labelled: the other six are excused, the rows of another event are false alarms."""
    dataset = make_series(1)
    labels = np.zeros(400, dtype=bool)
    labels[370:374] = True
    values = dataset.values.copy()
    values[300:303, 1] += 5
    frame = pd.DataFrame(values, index=dataset.frame.index, columns=dataset.columns)
    detection, run = train(
        make_spec("pot", 0.001, detector=make_pca(variance=0.5)),
        dataset.replace(frame=frame, labels=pd.Series(labels, index=frame.index)),
        workspace=workspace,
        actor=ALICE,
    )
    [true_event, false_event] = [
        detection.events[detection.events["known"] == known].iloc[0] for known in (True, False)
    ]
    assert len(detection.events) == 2
    assert (true_event["first"], true_event["last"]) == (370, 379)
    assert run.metrics["excused_rows"] == true_event["rows"] - 4 == 6
    assert run.metrics["measured_rate"] == false_event["rows"] / 190
    assert (
        "excused_rows"
        not in train(make_weekly_spec(make_pca(variance=0.5)), dataset, workspace=workspace, actor=ALICE)[1].metrics
    )


def test_sequences_metrics_include_random_and_baselines(server_kpis: Dataset, workspace: Workspace) -> None:
    detection, run = train(make_weekly_spec(), server_kpis, workspace=workspace, actor=ALICE)
    assert detection.card["line"].iloc[0] == "pca-residual"
    assert {"random", "mean_distance", "pca"} <= set(detection.card["line"])
    card = detection.card.set_index("line")
    assert card.loc["pca-residual", "vus_pr"] > 2 * card.loc["random", "vus_pr"]
    assert card.loc["pca-residual", "f1"] == pytest.approx(card.loc["pca", "f1"], abs=0.05)
    assert run.metrics["vus_pr"] == pytest.approx(card.loc["pca-residual", "vus_pr"])
    assert card["window"].nunique() == 1
    assert run.metrics["threshold"] == detection.threshold
    assert run.metrics["f1_threshold"] == card.loc["pca-residual", "threshold"]


def test_sequences_accept_daily_profile(sample: Dataset, workspace: Workspace) -> None:
    detection, run = train(make_spec("alarms", 1, "month"), sample, workspace=workspace, actor=ALICE)
    assert detection.sampling_seconds == 86_400
    assert detection.data.columns[0] == "00:00"
    assert run.metrics["entities"] == len(sample.entities)
    assert set(detection.events["entity"].cat.categories) == set(sample.entities)
    figure = share_figures.draw_shares(detection, sample.entities[0])
    assert list(figure.data[0].y) == list(detection.data.columns), "a day has no holes"
    assert list(figure.layout.yaxis.tickvals) == list(detection.data.columns[::3])


def test_sequences_fast_detectors_find_incidents(server_kpis: Dataset, workspace: Workspace) -> None:
    assert list(list_detectors())[: len(FAST_DETECTORS)] == list(FAST_DETECTORS)
    for name in FAST_DETECTORS:
        detection, _ = train(
            make_spec("pot", 0.001, detector=list_detectors()[name]()), server_kpis, workspace=workspace, actor=ALICE
        )
        assert detection.events["known"].any(), name


# ---- thresholds -----------------------------------------------------------------------------------------------------


def test_contamination_threshold_has_no_target_rate(server_kpis: Dataset, workspace: Workspace) -> None:
    detection, run = train(make_spec("contamination", 0.05), server_kpis, workspace=workspace, actor=ALICE)
    assert run.metrics["anomaly_share"] == pytest.approx(0.05, abs=0.001)
    assert detection.target_rate is None
    assert "target_rate" not in run.metrics
    assert not detection.exceeds_target_rate


def test_best_f1_threshold_reaches_best_f1(server_kpis: Dataset, workspace: Workspace) -> None:
    detection, run = train(make_spec("best_f1", 0), server_kpis, workspace=workspace, actor=ALICE)
    test_rows = detection.test_rows
    hits = (test_rows["anomaly"] & test_rows["label"]).sum()
    assert 2 * hits / (test_rows["anomaly"].sum() + test_rows["label"].sum()) == pytest.approx(
        run.metrics["f1"], abs=1e-6
    )
    assert "labels" in str(detection.notes[0])


def test_target_rate_divides_alarms_among_entities() -> None:
    spec = make_weekly_spec()
    assert spec.compute_target_rate(make_series(3)) == pytest.approx(2 / (168 * 3))
    assert spec.compute_target_rate(make_series(1)) == pytest.approx(2 / 168)
    assert make_spec("alarms", 2.0).compute_target_rate(make_series(3, dated=False)) == 0.002


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (make_spec("alarms", 2.0, "fortnight"), "fortnight"),
        (make_spec("guess", 2.0), "guess"),
        (make_spec("best_f1", 0.0), "requires labels"),
        (make_spec("alarms", 1000.0, "day"), "1,000 is out of range"),
        (make_spec("pot", 1.5), "1.5"),
        (make_spec("pot", 0.0), "It must be above 0 and below 1"),
        (make_spec("contamination", 0.7), "0.7 is out of range. Accepted: 0 to 0.5"),
        (make_spec("alarms", -1.0), "-1"),
        (make_spec("alarms", float("nan")), "nan"),
    ],
)
def test_sequences_reject_invalid_threshold(workspace: Workspace, asked: SequenceSpec, words: str) -> None:
    with pytest.raises(OptionError, match=words):
        train(asked, make_series(), workspace=workspace, actor=ALICE)
    assert workspace.events.read_events() == []


def test_weekly_alarm_rate_requires_dates(workspace: Workspace) -> None:
    with pytest.raises(OptionError, match="no dates"):
        train(make_weekly_spec(), make_series(dated=False), workspace=workspace, actor=ALICE)


# ---- training rows --------------------------------------------------------------------------------------------------


def test_training_mask_by_date_row_or_part() -> None:
    dated, numbered = make_series(), make_series(dated=False)
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
def test_sequences_reject_invalid_split(workspace: Workspace, until: str, error: type[Exception]) -> None:
    with pytest.raises(error, match=until):
        train(make_weekly_spec(until=until), make_series(), workspace=workspace, actor=ALICE)


def test_sequences_reject_too_few_rows(workspace: Workspace) -> None:
    with pytest.raises(DataError, match="Too few"):
        train(make_spec("contamination", 0.1), make_series(1, 12), workspace=workspace, actor=ALICE)
    [event] = workspace.events.read_events()
    assert (event.status, event.error_type) == ("failed", "DataError")


def test_sequences_reject_unknown_scaling(server_kpis: Dataset, workspace: Workspace) -> None:
    with pytest.raises(OptionError, match="minmax"):
        train(make_weekly_spec(scaling="magic"), server_kpis, workspace=workspace, actor=ALICE)


# ---- events ---------------------------------------------------------------------------------------------------------


def test_sequences_find_event_of_every_series(workspace: Workspace) -> None:
    dataset = make_series()
    order = np.random.default_rng(1).permutation(len(dataset))
    detection, _ = train(
        make_spec("pot", 0.001, detector=make_pca(variance=0.5)),
        dataset.take_rows(order),
        workspace=workspace,
        actor=ALICE,
    )
    ordered, _ = train(
        make_spec("pot", 0.001, detector=make_pca(variance=0.5)), dataset, workspace=workspace, actor=ALICE
    )
    assert set(detection.events["entity"]) == {"s0", "s1", "s2"}
    assert detection.events["start"].iloc[0] >= pd.Timestamp("2024-01-16")
    pd.testing.assert_frame_equal(detection.events, ordered.events)
    assert (detection.rows["event"] >= 0).sum() >= detection.rows["anomaly"].sum() > 0
    for number, event in detection.events.iterrows():
        event_rows = detection.rows.iloc[event["first"] : event["last"] + 1]
        assert (event_rows["event"] == number).all()
        assert event_rows["score"].max() == pytest.approx(event["peak"])
        assert event_rows["anomaly"].sum() == event["rows"]


def test_sequences_cells_explain_event(server_kpis: Dataset, workspace: Workspace) -> None:
    detection, _ = train(make_weekly_spec(), server_kpis, workspace=workspace, actor=ALICE)
    cells = detection.cells[detection.cells["event"] == 0]
    event = detection.events.iloc[0]
    assert cells["time"].min() == event["start"] - pd.Timedelta(minutes=MARGIN_ROWS[0])
    assert cells.loc[cells["inside"], "time"].agg(["min", "max"]).tolist() == [event["start"], event["end"]]
    assert cells["column"].nunique() == MAX_CELL_COLUMNS
    worst = cells[(cells["rank"] == 0) & cells["inside"]]
    assert set(worst["column"]) == {event["column"]}
    assert (worst["value"] > worst["high"]).mean() > 0.5
    assert (worst["low"] < worst["expected"]).all()
    calm = cells[~cells["inside"]]
    assert ((calm["value"] > calm["low"]) & (calm["value"] < calm["high"])).mean() > 0.8


def test_sequences_result_size_is_limited(
    smd_machine: Dataset, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "MAX_CELL_EVENTS", 20)
    detection, _ = train(make_spec("contamination", 0.3), smd_machine, workspace=workspace, actor=ALICE)
    assert len(detection.events) > 20
    assert detection.cells["event"].nunique() == 20
    assert detection.cells.groupby(["event", "column"], observed=True).size().max() <= MAX_CELL_ROWS
    assert len(detection.shares) == 2000
    shares = detection.shares.drop(columns=["entity", "time"]).to_numpy()
    assert shares.shape[1] == len(smd_machine.columns)
    assert detection.categories.empty


# ---- runs -----------------------------------------------------------------------------------------------------------


def test_sequences_run_is_stored_and_reloads(server_kpis: Dataset, workspace: Workspace) -> None:
    detection, run = train(make_weekly_spec(), server_kpis, workspace=workspace, actor=ALICE)
    stored_run = MlflowClient(workspace.tracking.uri).get_run(run.id)
    assert stored_run.data.metrics["events"] == len(detection.events)
    assert stored_run.data.params | {
        "until": "",
        "scaling": "minmax",
        "detector": "pca-residual",
    } == stored_run.data.params | {"until": ""}
    assert stored_run.data.params["until"] == "2024-03-06 00:00:00"
    [event] = workspace.events.read_events()
    assert (event.status, event.details.anomalies_count) == ("completed", detection.rows["anomaly"].sum())
    assert [record.id for record in runs_with_model("sequences", workspace)] == [run.id]
    reloaded = load_sequences(run.id, workspace)
    for name in ("rows", "events", "shares", "cells", "curves", "card"):
        pd.testing.assert_frame_equal(getattr(reloaded, name), getattr(detection, name), check_dtype=False)
    assert (reloaded.spec, reloaded.model_spec, reloaded.data) == (detection.spec, detection.model_spec, detection.data)
    assert (reloaded.notes, reloaded.measurements, reloaded.target_rate) == (
        detection.notes,
        detection.measurements,
        detection.target_rate,
    )


def test_sequences_load_rejects_folder_without_result(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no result"):
        SequenceDetection.load(tmp_path)


def test_sequences_saved_model_gives_same_scores(server_kpis: Dataset, workspace: Workspace) -> None:
    detection, run = train(make_weekly_spec(), server_kpis, workspace=workspace, actor=ALICE)
    applied, applied_run = apply_model(ApplySpec(run.id), server_kpis, workspace=workspace, actor=ALICE)
    assert np.array_equal(applied.rows["score"], detection.rows["score"])
    assert (applied.threshold, applied.spec, applied.model_spec) == (
        detection.threshold,
        ApplySpec(run.id, dataset=server_kpis.digest),
        detection.spec,
    )
    assert not applied.rows["fitted"].any()
    assert run.id[:12] in str(applied.notes[0])
    assert [record.id for record in runs_with_model("sequences", workspace)] == [run.id]
    assert applied_run.metrics["rows_scored"] == len(server_kpis)
    with pytest.raises(DataError, match="columns"):
        apply_model(ApplySpec(run.id), make_series(), workspace=workspace, actor=ALICE)


def test_sequences_model_scores_rows_without_dates(workspace: Workspace) -> None:
    detection, run = train(make_weekly_spec(make_pca(variance=0.5)), make_series(), workspace=workspace, actor=ALICE)
    applied, _ = apply_model(ApplySpec(run.id), make_series(dated=False), workspace=workspace, actor=ALICE)
    assert applied.per == PER_1000_ROWS
    assert len(applied.events) >= len(detection.events) > 0


def test_sequences_apply_threshold_from_verdicts(server_kpis: Dataset, workspace: Workspace) -> None:
    """Training rows stay training rows; the model is stored with the new threshold and can be applied."""
    detection, run = train(make_weekly_spec(), server_kpis, workspace=workspace, actor=ALICE)
    higher = float(detection.events["peak"].median())
    raised, raised_run = apply_threshold(ThresholdSpec(run.id, higher), server_kpis, workspace=workspace, actor=ALICE)
    assert raised.rows[["score", "fitted"]].equals(detection.rows[["score", "fitted"]])
    assert 0 < len(raised.events) < len(detection.events)
    assert (raised.threshold, raised.method, raised.target_rate) == (higher, "verdicts", None)
    assert "verdicts on run" in str(raised.notes[0])
    restored, _ = apply_threshold(
        ThresholdSpec(raised_run.id, detection.threshold), server_kpis, workspace=workspace, actor=ALICE
    )
    assert np.array_equal(restored.rows["anomaly"], detection.rows["anomaly"])
    applied, applied_run = apply_model(ApplySpec(raised_run.id), server_kpis, workspace=workspace, actor=ALICE)
    assert (applied.threshold, applied.method) == (higher, "verdicts")
    applied_restored, _ = apply_threshold(
        ThresholdSpec(applied_run.id, detection.threshold), server_kpis, workspace=workspace, actor=ALICE
    )
    assert not applied_restored.has_train_rows
    assert len(applied_restored.list_scored_rows().scores) == len(server_kpis)
    assert len(detection.list_alarms()) == len(detection.events)
    assert list(detection.list_alarms()) == ["entity", "time", "end", "score"]


def test_sequences_run_parameters_name_training_split(server_kpis: Dataset, workspace: Workspace) -> None:
    """A run that applies a model does not repeat the split of the run that fitted it."""
    client = MlflowClient(workspace.tracking.uri)
    _, run = train(make_weekly_spec(start="2024-03-05"), server_kpis, workspace=workspace, actor=ALICE)
    _, applied = apply_model(ApplySpec(run.id), server_kpis, workspace=workspace, actor=ALICE)
    _, moved = apply_threshold(ThresholdSpec(run.id, 3.0), server_kpis, workspace=workspace, actor=ALICE)
    fit_params, apply_params, threshold_params = (
        client.get_run(tracked_run.id).data.params for tracked_run in (run, applied, moved)
    )
    assert apply_params["model_run"] == run.id
    assert {"until", "start"}.isdisjoint(apply_params)
    assert (threshold_params["until"], threshold_params["source_run"]) == (fit_params["until"], run.id)
    assert "model_run" not in threshold_params


@pytest.mark.parametrize("part", [{}, {"entities": ("s1",), "start": "2024-01-03"}])
def test_sequences_job_matches_direct_call(workspace: Workspace, part: dict[str, Any]) -> None:
    dataset = make_series()
    spec = make_weekly_spec(
        make_pca(variance=0.5), until="2024-01-10", dataset=workspace.datasets.save(dataset), **part
    )
    run_id = run_as_job(spec, workspace)
    direct, _ = train(spec, dataset, workspace=workspace, actor=ALICE)
    job = load_sequences(run_id, workspace)
    assert job.spec == direct.spec
    assert np.array_equal(job.rows["score"], direct.rows["score"])
    applied = load_sequences(run_as_job(ApplySpec(run_id, dataset=dataset.digest), workspace), workspace)
    assert applied.spec == ApplySpec(run_id, dataset=dataset.digest)


def run_as_job(spec: SequenceSpec | ApplySpec, workspace: Workspace) -> str:
    """Run a job with this spec and return the id of its run."""
    arguments = json.loads(json.dumps(encode(spec)))
    return run_job("sequences", arguments, workspace=workspace, actor=ALICE, progress=Progress())


def test_sequences_training_can_be_cancelled(server_kpis: Dataset, workspace: Workspace) -> None:
    progress = Progress()
    progress.cancel()
    with pytest.raises(CancelledError):
        train(make_weekly_spec(), server_kpis, workspace=workspace, actor=ALICE, progress=progress)
    [event] = workspace.events.read_events()
    assert event.status == "interrupted"


def test_sequences_export_tables(server_kpis: Dataset, workspace: Workspace) -> None:
    detection, _ = train(make_weekly_spec(), server_kpis, workspace=workspace, actor=ALICE)
    table, events = detection.to_frame(), detection.build_event_table()
    assert len(table) == len(server_kpis)
    assert table["event"].max() == len(events) == events["event"].max()
    assert set(table.loc[table["event"].isna(), "severity"]) == {""}
    assert events["severity"].iloc[0] == "extreme"


def test_training_and_scoring_write_the_same_scores(server_kpis: Dataset, workspace: Workspace) -> None:
    trained, run = train(make_weekly_spec(), server_kpis, workspace=workspace, actor=ALICE)
    applied, _ = apply_model(ApplySpec(run.id), server_kpis, workspace=workspace, actor=ALICE)
    assert format_scores_files(trained) == format_scores_files(applied)
    [text] = format_scores_files(applied).values()
    assert text.count("Anomaly") == applied.rows["anomaly"].iloc[WINDOW_ROWS - 1 :].sum() > 0


# ---- unusual data ---------------------------------------------------------------------------------------------------

RANDOM = np.random.default_rng(3)
NORMAL_VALUES = RANDOM.normal(0, 1, (300, 3))


def make_dataset(values: np.ndarray, times: object = None, names: object = None) -> Dataset:  # type: ignore[type-arg]
    """Make a dataset of hourly rows of one entity, unless times or entity names are given."""
    timestamps = pd.date_range("2024-01-01", periods=len(values), freq="h") if times is None else times
    index = make_index(np.repeat("e", len(values)) if names is None else names, np.asarray(timestamps))
    return Dataset(
        pd.DataFrame(values, index=index, columns=[f"c{number}" for number in range(values.shape[1])]),
        layout="tidy_series",
        files=("odd.csv",),
    )


UNUSUAL_DATASETS = {
    "one column": make_dataset(NORMAL_VALUES[:, :1]),
    "200 columns": make_dataset(RANDOM.normal(0, 1, (300, 200))),
    "nothing ever changes": make_dataset(np.ones((300, 3))),
    "a column without a value": make_dataset(np.where([False, True, False], np.nan, NORMAL_VALUES)),
    "a column without a value to learn from": make_dataset(
        np.where((np.arange(300) < 150)[:, None] & [False, True, False], np.nan, NORMAL_VALUES)
    ),
    "no value at all": make_dataset(np.full((300, 2), np.nan)),
    "values as large as are read": make_dataset(NORMAL_VALUES / np.abs(NORMAL_VALUES).max() * MAX_MAGNITUDE),
    "rows in any order": make_dataset(
        NORMAL_VALUES, RANDOM.permutation(pd.date_range("2024-01-01", periods=300, freq="h").to_numpy())
    ),
    "every moment twice": make_dataset(NORMAL_VALUES, pd.date_range("2024-01-01", periods=150, freq="h").repeat(2)),
    "series of 1, 3, 60 and 236 rows": make_dataset(
        NORMAL_VALUES,
        np.concatenate([pd.date_range("2024-01-01", periods=rows, freq="h") for rows in (1, 3, 60, 236)]),
        np.repeat(["a", "b", "c", "d"], [1, 3, 60, 236]),
    ),
}


@pytest.mark.parametrize("name", UNUSUAL_DATASETS)
def test_sequences_accept_unusual_data(name: str, workspace: Workspace) -> None:
    dataset = UNUSUAL_DATASETS[name]
    detection, run = train(make_spec("alarms", 2, "day"), dataset, workspace=workspace, actor=ALICE)
    assert np.isfinite(detection.rows["score"]).all()
    assert detection.sampling_seconds == 3600
    for entity in dataset.entities:
        figures.draw_timeline(detection, entity).to_json()
        share_figures.draw_shares(detection, entity).to_json()
    if len(detection.events):
        figures.draw_event(detection, 0).to_json()
    applied, _ = apply_model(ApplySpec(run.id), dataset, workspace=workspace, actor=ALICE)
    assert np.array_equal(applied.rows["score"], detection.rows["score"])


def test_sequences_model_scores_single_row(workspace: Workspace) -> None:
    dataset = make_series(1)
    run = train(make_weekly_spec(make_pca(variance=0.5)), dataset, workspace=workspace, actor=ALICE)[1]
    detection, _ = apply_model(
        ApplySpec(run.id), dataset.take_rows(np.arange(400) == 375).replace(step=None), workspace=workspace, actor=ALICE
    )
    assert (len(detection.rows), detection.is_dated, detection.per) == (1, True, PER_1000_ROWS)
    figures.draw_timeline(detection, "s0").to_json()


def test_sequences_measured_rate_matches_flagged_rows(workspace: Workspace) -> None:
    """This also holds if the threshold lies between two scores that are equal in single precision."""
    dataset = make_series(2, 300)
    for share in (1e-9, 0.0001, 0.01):
        detection, _ = train(make_spec("contamination", share), dataset, workspace=workspace, actor=ALICE)
        assert detection.measured_rate == detection.test_rows["anomaly"].mean()


def test_sequences_reject_split_with_time_zone(workspace: Workspace) -> None:
    with pytest.raises(OptionError, match=r"\+02:00"):
        train(make_weekly_spec(until="2024-01-05T00:00:00+02:00"), make_series(), workspace=workspace, actor=ALICE)


@pytest.mark.parametrize(
    "detector",
    [
        {"name": "oracle", "settings": {}},
        {"name": "pca-residual", "settings": {"variance": float("nan")}},
        {"name": "pca-residual", "settings": {"trees": 3}},
    ],
)
def test_sequences_job_rejects_invalid_detector(workspace: Workspace, detector: dict[str, Any]) -> None:
    arguments = encode(make_weekly_spec(dataset=workspace.datasets.save(make_series(1)))) | {"detector": detector}
    with pytest.raises(OptionError):
        run_job("sequences", arguments, workspace=workspace, actor=ALICE, progress=Progress())


# ---- figures --------------------------------------------------------------------------------------------------------


def list_trace_names(figure: Any) -> set[str]:
    return {str(trace.name) for trace in figure.data if trace.name}


def test_sequences_figures_show_series_and_events(server_kpis: Dataset, workspace: Workspace) -> None:
    detection, _ = train(make_weekly_spec(), server_kpis, workspace=workspace, actor=ALICE)
    entity = server_kpis.entities[0]
    timeline = figures.draw_timeline(detection, entity)
    assert {"score", "training rows", "threshold", "event", "labelled abnormal", "extreme"} <= list_trace_names(
        timeline
    )
    low, high = timeline.layout.yaxis.range
    assert low < detection.threshold < high
    assert list_trace_names(figures.draw_values(server_kpis, detection, entity, ["cpu", "errors"])) == {
        "cpu",
        "errors",
        "event",
    }
    event_figure = figures.draw_event(detection, 0)
    assert {"expected", "usual range", "measured", "event", "not flagged between"} <= list_trace_names(event_figure)
    assert event_figure.layout.annotations[0].text == "errors"
    heatmap = share_figures.draw_shares(detection, entity).data[0]
    assert list(heatmap.y) == list(SERVER_KPIS)
    assert np.asarray(heatmap.z).shape == (12, 2000)


def test_sequences_figures_share_time_axis(server_kpis: Dataset, workspace: Workspace) -> None:
    detection, _ = train(make_weekly_spec(), server_kpis, workspace=workspace, actor=ALICE)
    data = replace(
        detection.data, columns=("a name that is longer than any room beside a plot", *detection.data.columns[1:])
    )
    detection = replace(
        detection, data=data, categories=detection.shares[["entity", "time"]].assign(**{"0": 0.75, "1": 0.25})
    )
    [entity] = server_kpis.entities
    plots = [
        figures.draw_timeline(detection, entity),
        share_figures.draw_shares(detection, entity),
        share_figures.draw_modes(detection, entity),
        figures.draw_values(server_kpis, detection, entity, ["cpu", "errors"]),
    ]
    assert len({(figure.layout.margin.l, figure.layout.margin.r, figure.layout.xaxis.range) for figure in plots}) == 1
    assert not any(axis.automargin for figure in plots for axis in figure.select_yaxes())
    assert plots[0].layout.xaxis.range == (
        server_kpis.time.min() - pd.Timedelta(seconds=30),
        server_kpis.time.max() + pd.Timedelta(seconds=30),
    )
    heatmap = plots[1].data[0]
    assert len(heatmap.x) == np.asarray(heatmap.z).shape[1] + 1
    assert (heatmap.x[0], heatmap.x[-1]) == plots[0].layout.xaxis.range
    assert plots[1].layout.yaxis.ticktext[0] == "a name that is lo…"


def test_sequences_figures_of_modes_and_training(server_kpis: Dataset, workspace: Workspace) -> None:
    detection, _ = train(make_weekly_spec(), server_kpis, workspace=workspace, actor=ALICE)
    bins = detection.shares[["entity", "time"]]
    detection = replace(
        detection,
        categories=bins.assign(**{"0": 0.75, "1": 0.25, "2": 0.0}),
        curves=pd.DataFrame({"curve": "loss", "step": [1, 2], "value": [2.0, 1.0]}),
    )
    assert list(share_figures.draw_modes(detection, server_kpis.entities[0]).data[0].y) == ["mode 1", "mode 2"]
    assert list(figures.draw_training_curves(detection).data[0].y) == [2.0, 1.0]


def test_timeline_figure_limits_axis_for_outlier_score(workspace: Workspace) -> None:
    dataset = make_series(1)
    values = dataset.values.copy()
    values[350] = 1e9, -1e9
    dataset = dataset.replace(frame=pd.DataFrame(values, index=dataset.frame.index, columns=dataset.columns))
    detection, _ = train(
        make_spec("pot", 0.02, detector=make_pca(variance=0.5)), dataset, workspace=workspace, actor=ALICE
    )
    figure = figures.draw_timeline(detection, "s0")
    assert figure.layout.yaxis.range[1] < detection.rows["score"].max()
    assert max(max(trace.y) for trace in figure.data if trace.name == "score") <= figure.layout.yaxis.range[1]


def test_timeline_figure_downsamples_millions_of_rows(server_kpis: Dataset, workspace: Workspace) -> None:
    detection, _ = train(make_weekly_spec(), server_kpis, workspace=workspace, actor=ALICE)
    rows = pd.concat([detection.test_rows] * 200, ignore_index=True).assign(fitted=False)
    rows["time"] = pd.date_range("2024-01-01", periods=len(rows), freq="s")
    figure = figures.draw_timeline(
        replace(detection, rows=rows, events=detection.events.head(0)), server_kpis.entities[0]
    )
    assert max(len(trace.x) for trace in figure.data) <= 6000
