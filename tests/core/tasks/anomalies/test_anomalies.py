"""The use case `detect` on the real gas files and the sample: reference figures, runs, reloaded results, exports."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient

from core.actor import Actor
from core.data.dataset import Dataset
from core.data.quality import checks
from core.data.quality.findings import Repair
from core.data.quality.repairs import apply_repairs
from core.data.samples import load_sample
from core.detectors.base import Detector
from core.errors import DataError, NotFoundError, OptionError
from core.runs.promotion import runs_with_model
from core.spec.spec import ApplySpec
from core.tasks.anomalies.result import Detection
from core.tasks.anomalies.run import apply_model, detect, load_detection
from core.tasks.anomalies.spec import DetectionSpec, list_detectors
from core.workspace import Workspace

ALICE = Actor("alice", "tests")


def make_forest(**settings: object) -> Detector:
    return list_detectors()["isolation-forest"](**settings)


# ---- reference figures ----------------------------------------------------------------------------------------------


def test_detect_without_baseline_flags_winter_of_largest_region(gas: Dataset, workspace: Workspace) -> None:
    """The predecessor flags 337 of 33,675 rows, 335 of them in Île-de-France (energy reference § 4.1)."""
    detection, _ = detect(
        DetectionSpec(make_forest(), baseline="everything", contamination=0.01), gas, workspace=workspace, actor=ALICE
    )
    anomalies = detection.anomalies
    regions = anomalies["entity"].astype(str).str.split(" · ").str[-1].value_counts()
    months = pd.DatetimeIndex(anomalies["time"]).month.value_counts()
    assert (len(detection.rows), len(anomalies)) == (33_675, 337)
    assert regions.to_dict() == {"île-de-france": 335, "hauts-de-france": 2}
    assert months.to_dict() == {1: 127, 12: 92, 2: 54, 11: 35, 3: 24, 4: 4, 10: 1}


@pytest.mark.parametrize("repairs", [(), ("undo_hour_shift",)], ids=["no repairs", "hour shift undone"])
def test_detect_with_calendar_baseline_finds_known_issues(
    gas: Dataset, workspace: Workspace, repairs: tuple[str, ...]
) -> None:
    """The outlier cell, the zeros at clock changes and the isolated spikes are 26 rows, all within the top 1 %."""
    complete = gas.take_rows(gas.is_complete)
    cells = [
        find_rows(complete).rows
        for find_rows in (checks.find_gross_outliers, checks.find_zero_hours, checks.find_isolated_spikes)
    ]
    known_rows = set(map(tuple, complete.frame.index[np.unique(np.concatenate(cells))]))
    dataset = apply_repairs([Repair(kind) for kind in repairs], gas)
    detection, _ = detect(
        DetectionSpec(make_forest(), baseline="calendar", contamination=0.01), dataset, workspace=workspace, actor=ALICE
    )
    flagged = set(zip(detection.anomalies["entity"].astype(str), detection.anomalies["time"], strict=True))
    assert len(known_rows) == 26
    assert known_rows <= flagged


def test_detect_names_outlier_cell_as_cause(gas: Dataset, workspace: Workspace) -> None:
    detection, _ = detect(DetectionSpec(make_forest(), baseline="calendar"), gas, workspace=workspace, actor=ALICE)
    rows = detection.rows
    row = rows[(rows["entity"] == "GRTgaz · pays de la loire") & (rows["time"] == "2021-06-29")]
    assert row["causes"].iloc[0].startswith("19:00 +")
    cells = detection.select_cells(int(row.index[0])).set_index("column")
    assert cells.loc["19:00", "value"] == pytest.approx(1_045_440, rel=1e-4)
    assert cells.loc["19:00", "high"] < 10_000


@pytest.mark.parametrize("name", ["gas_daily", "daily_profile"])
def test_detect_finds_injected_days_of_samples(name: str, workspace: Workspace) -> None:
    """Every injected day (hour multiplied or zeroed, flat or shifted day) is flagged at twice the injected share."""
    dataset = load_sample(name)
    assert dataset.labels is not None
    share = float(dataset.labels.mean())
    detection, _ = detect(
        DetectionSpec(make_forest(), baseline="calendar", contamination=2 * share),
        dataset,
        workspace=workspace,
        actor=ALICE,
    )
    flagged = set(zip(detection.anomalies["entity"].astype(str), detection.anomalies["time"], strict=True))
    injected_rows = set(map(tuple, dataset.labels.index[dataset.labels.to_numpy() & dataset.is_complete]))
    assert injected_rows <= flagged


@pytest.mark.parametrize(("name", "least"), [("gas_daily", 32), ("daily_profile", 18), ("tidy_series", 25)])
def test_default_flags_injected_rows_and_few_others(name: str, least: int, workspace: Workspace) -> None:
    """Without a share or a risk, rows that stand out are flagged: most injected ones, and at most six others."""
    dataset = load_sample(name)
    assert dataset.labels is not None
    detection, run = detect(DetectionSpec(), dataset, workspace=workspace, actor=ALICE)
    flagged = set(zip(detection.anomalies["entity"].astype(str), detection.anomalies["time"], strict=True))
    injected_rows = set(map(tuple, dataset.labels.index[dataset.labels.to_numpy(dtype=bool) & dataset.is_complete]))
    assert len(flagged & injected_rows) >= least
    assert len(flagged - injected_rows) <= 6
    assert (detection.method, detection.promise_kept, run.metrics["promise_kept"]) == ("stand_out", True, 1.0)
    assert run.metrics["anomaly_share"] == len(detection.anomalies) / len(detection.rows)


def test_default_finds_nothing_in_noise_and_in_equal_rows(workspace: Workspace) -> None:
    kpis = load_sample("kpi_matrix").take_rows(np.arange(600))
    noise = np.random.default_rng(0).normal(size=(600, len(kpis.columns)))
    for values in (noise, np.ones_like(noise)):
        frame = pd.DataFrame(values, index=kpis.frame.index, columns=kpis.frame.columns)
        detection, _ = detect(DetectionSpec(make_forest()), kpis.replace(frame=frame), workspace=workspace, actor=ALICE)
        assert detection.anomalies.empty
        assert "No row stands out" in str(detection.notes[0])


def test_saved_model_tells_broken_promise(workspace: Workspace) -> None:
    """New rows like those of the fit keep the promise; rows that spread twice as far break it."""
    kpis = load_sample("kpi_matrix").take_rows(np.arange(600))
    random, shape = np.random.default_rng(0), (600, len(kpis.columns))
    first, later, wider = (
        kpis.replace(frame=pd.DataFrame(factor * random.normal(size=shape), kpis.frame.index, kpis.frame.columns))
        for factor in (1.0, 1.0, 2.0)
    )
    detection, run = detect(DetectionSpec(make_forest()), first, workspace=workspace, actor=ALICE)
    kept, _ = apply_model(ApplySpec(run.id), later, workspace=workspace, actor=ALICE)
    broken, broken_run = apply_model(ApplySpec(run.id), wider, workspace=workspace, actor=ALICE)
    assert (kept.promise_kept, broken.promise_kept, broken_run.metrics["promise_kept"]) == (True, False, 0.0)
    assert kept.target_rate == broken.target_rate == detection.target_rate


def test_default_period_follows_steps() -> None:
    daily, hourly, minutes = (load_sample(name) for name in ("gas_daily", "tidy_series", "kpi_matrix"))
    periods = [DetectionSpec(baseline="entity").fill_defaults(dataset).per for dataset in (daily, hourly, minutes)]
    assert periods == ["year", "month", "1000 rows"]
    assert DetectionSpec().compute_target_rate(daily) == pytest.approx(1 / 365.25)
    assert DetectionSpec(alarms=2, per="week").compute_target_rate(hourly) == pytest.approx(2 / 168)
    with pytest.raises(OptionError, match="no regular time step"):
        DetectionSpec(baseline="entity", per="week").fill_defaults(minutes)
    with pytest.raises(OptionError, match="out of range"):
        DetectionSpec(alarms=2, per="day").fill_defaults(daily)


# ---- runs -----------------------------------------------------------------------------------------------------------


def test_detect_creates_one_run_and_one_event(sample: Dataset, workspace: Workspace) -> None:
    detection, run = detect(
        DetectionSpec(make_forest(n_estimators=20), baseline="calendar"), sample, workspace=workspace, actor=ALICE
    )
    client = MlflowClient(workspace.tracking.uri)
    [stored_run] = client.search_runs([experiment.experiment_id for experiment in client.search_experiments()])
    [event] = workspace.events.read_events()
    artifacts = {file.path for file in client.list_artifacts(run.id)}

    assert stored_run.info.run_id == run.id == event.run_id
    assert stored_run.data.params | {"baseline": "calendar"} == stored_run.data.params
    assert stored_run.data.params["n_estimators"] == "20"
    assert stored_run.data.metrics["anomalies"] == len(detection.anomalies) == event.details.anomalies_count
    assert event.details.successful_predictions == len(detection.rows)
    assert event.details.failed_predictions == len(sample) - len(detection.rows)
    assert event.details.inputs["dataset"] == sample.digest
    assert artifacts == {"anomalies.csv", "checksums.json", "model", "result"}
    assert stored_run.data.metrics["emissions_kg"] > 0


def test_detection_reloads_from_run(sample: Dataset, workspace: Workspace) -> None:
    detection, run = detect(DetectionSpec(make_forest(), baseline="entity"), sample, workspace=workspace, actor=ALICE)
    reloaded = load_detection(run.id, workspace)
    assert reloaded.spec == detection.spec
    pd.testing.assert_frame_equal(reloaded.rows, detection.rows)
    pd.testing.assert_frame_equal(reloaded.cells, detection.cells)
    assert isinstance(reloaded, Detection)


def test_detection_model_gives_same_scores(sample: Dataset, workspace: Workspace) -> None:
    detection, run = detect(
        DetectionSpec(make_forest(), baseline="calendar", contamination=0.02), sample, workspace=workspace, actor=ALICE
    )
    applied, applied_run = apply_model(ApplySpec(run.id, start="2024-01-01"), sample, workspace=workspace, actor=ALICE)
    old_scores = detection.rows.set_index(["entity", "time"])["score"]
    new_scores = applied.rows.set_index(["entity", "time"])["score"]
    assert (new_scores.index.get_level_values("time") >= "2024-01-01").all()
    assert np.array_equal(new_scores.to_numpy(), old_scores.loc[new_scores.index].to_numpy())
    assert applied.threshold == detection.threshold
    assert isinstance(applied.spec, ApplySpec)
    assert applied.spec.model == run.id
    assert [model.id for model in runs_with_model("anomalies", workspace)] == [run.id]
    with pytest.raises(NotFoundError, match="has no saved model"):
        apply_model(ApplySpec(applied_run.id), sample, workspace=workspace, actor=ALICE)


def test_detect_sets_threshold_from_risk(sample: Dataset, workspace: Workspace) -> None:
    rare, rarer = (
        detect(DetectionSpec(make_forest(), baseline="calendar", risk=risk), sample, workspace=workspace, actor=ALICE)[
            0
        ]
        for risk in (0.01, 0.0001)
    )
    assert rarer.threshold > rare.threshold
    assert len(rarer.anomalies) < len(rare.anomalies)
    assert rare.model_spec.risk == 0.01
    with pytest.raises(OptionError, match="risk"):
        detect(DetectionSpec(make_forest(), baseline="calendar", risk=2.0), sample, workspace=workspace, actor=ALICE)


def test_mlflow_serves_detection_model_with_signature(sample: Dataset, workspace: Workspace) -> None:
    import mlflow

    detection, run = detect(DetectionSpec(make_forest(), baseline="calendar"), sample, workspace=workspace, actor=ALICE)
    mlflow.set_tracking_uri(workspace.tracking.uri)
    model = mlflow.pyfunc.load_model(f"runs:/{run.id}/model")
    table = sample.take_rows(sample.is_complete).frame.head(20).reset_index()
    table["entity"] = table["entity"].astype(str)
    scores = model.predict(table).set_index(["entity", "time"])["score"]
    assert {"entity", "time", "00:00", "23:00"} <= {column.name for column in model.metadata.signature.inputs}
    assert np.array_equal(scores.to_numpy(), detection.rows.set_index(["entity", "time"])["score"].loc[scores.index])


def test_detect_records_failure_and_raises(sample: Dataset, workspace: Workspace) -> None:
    constant = sample.replace(frame=sample.frame * 0.0 + 1.0)
    with pytest.raises(DataError, match="same score"):
        detect(
            DetectionSpec(make_forest(), baseline="everything", contamination=0.01),
            constant,
            workspace=workspace,
            actor=ALICE,
        )
    [event] = workspace.events.read_events()
    assert (event.status, event.log_level, event.error_type) == ("failed", "ERROR", "DataError")
    assert MlflowClient(workspace.tracking.uri).get_run(str(event.run_id)).info.status == "FAILED"


@pytest.mark.parametrize(
    ("asked", "error", "words"),
    [
        ({"baseline": "moon"}, OptionError, "calendar, day, entity, shape, everything"),
        ({"baseline": "calendar", "contamination": 0.9}, OptionError, "contamination"),
        ({"baseline": "calendar", "start": "2030-01-01"}, DataError, "No row"),
    ],
)
def test_detect_rejects_invalid_spec(
    sample: Dataset, workspace: Workspace, asked: dict[str, object], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        detect(DetectionSpec(make_forest(), **asked), sample, workspace=workspace, actor=ALICE)  # type: ignore[arg-type]


def test_calendar_baseline_requires_dates(workspace: Workspace) -> None:
    kpis = load_sample("kpi_matrix")
    with pytest.raises(DataError, match="Choose the entity baseline instead"):
        detect(DetectionSpec(make_forest(), baseline="calendar"), kpis, workspace=workspace, actor=ALICE)
    detection, _ = detect(DetectionSpec(make_forest(), baseline="entity"), kpis, workspace=workspace, actor=ALICE)
    assert len(detection.rows) == len(kpis)


def test_detection_model_rejects_other_columns_and_units(sample: Dataset, workspace: Workspace) -> None:
    _, run = detect(DetectionSpec(make_forest(), baseline="calendar"), sample, workspace=workspace, actor=ALICE)
    with pytest.raises(DataError, match="trained on data in MWh"):
        apply_model(ApplySpec(run.id), sample.replace(unit="kWh"), workspace=workspace, actor=ALICE)
    with pytest.raises(DataError, match="trained on the columns"):
        apply_model(ApplySpec(run.id), load_sample("daily_profile"), workspace=workspace, actor=ALICE)
    with pytest.raises(NotFoundError, match="was not found"):
        apply_model(ApplySpec("f" * 32), sample, workspace=workspace, actor=ALICE)


def test_detection_severity_follows_rarity(sample: Dataset, workspace: Workspace) -> None:
    detection, _ = detect(
        DetectionSpec(make_forest(), baseline="calendar", contamination=0.05), sample, workspace=workspace, actor=ALICE
    )
    severity = detection.rows["severity"].to_numpy()
    assert (np.diff(severity) <= 0).all()
    assert (severity >= 1).sum() == pytest.approx(0.01 * len(severity), abs=2)
    assert set(severity[detection.rows["anomaly"]]) >= {0, 1, 2}


def test_detection_run_stores_recipe(sample: Dataset, workspace: Workspace) -> None:
    repaired = apply_repairs([Repair("impute_incomplete")], sample)
    _, run = detect(DetectionSpec(make_forest(), baseline="calendar"), repaired, workspace=workspace, actor=ALICE)
    recipe = json.loads((run.folder / "recipe.json").read_text())
    assert recipe == [{"kind": "impute_incomplete", "settings": {}}]
    assert MlflowClient(workspace.tracking.uri).get_run(run.id).data.tags["dataset.repairs"] == "impute_incomplete"


def test_detection_exports_neutralise_formulas(tmp_path: Path, workspace: Workspace) -> None:
    from core.data.ingest.loading import load
    from core.exports import to_csv_bytes, to_parquet_bytes

    path = tmp_path / "calls.csv"
    rows = [f"2024-03-{day:02d},=cmd|' /C calc'!A0,{day % 7 + 0.5}" for day in range(1, 31)]
    path.write_text("\n".join(["date,site,calls", *rows]))
    detection, run = detect(
        DetectionSpec(make_forest(), baseline="entity", contamination=0.1),
        load([path]),
        workspace=workspace,
        actor=ALICE,
    )
    table = detection.to_frame()
    assert b",'=cmd" in to_csv_bytes(table)
    assert b",=cmd" not in to_csv_bytes(table)
    assert b",=cmd" not in (run.folder / "anomalies.csv").read_bytes()
    assert to_parquet_bytes(table.assign(entity=table["entity"].astype(str))).startswith(b"PAR1")
