"""The verb `detect`, on the real gas files and on the sample: golden figures, runs, results that come back."""

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

BY = Actor("alice", "tests")


def forest(**settings: object) -> Detector:
    return list_detectors()["isolation-forest"](**settings)


# ---- golden figures -------------------------------------------------------------------------------------------------


def test_raw_hours_flag_winter_in_the_largest_region(gas: Dataset, place: Workspace) -> None:
    """The predecessor's figure: 337 of 33,675, 335 of them in Île-de-France (energy reference § 4.1)."""
    found, _ = detect(
        DetectionSpec(forest(), baseline="everything", contamination=0.01), gas, workspace=place, actor=BY
    )
    anomalies = found.anomalies
    regions = anomalies["entity"].astype(str).str.split(" · ").str[-1].value_counts()
    months = pd.DatetimeIndex(anomalies["time"]).month.value_counts()
    assert (len(found.rows), len(anomalies)) == (33_675, 337)
    assert regions.to_dict() == {"île-de-france": 335, "hauts-de-france": 2}
    assert months.to_dict() == {1: 127, 12: 92, 2: 54, 11: 35, 3: 24, 4: 4, 10: 1}


@pytest.mark.parametrize("repairs", [(), ("undo_hour_shift",)], ids=["no repairs", "hour shift undone"])
def test_the_default_comparison_finds_the_planted_faults(
    gas: Dataset, place: Workspace, repairs: tuple[str, ...]
) -> None:
    """The absurd cell, the zeros of clock changes and the isolated spikes: 26 rows, all within the top 1 %."""
    complete = gas.take_rows(gas.is_complete)
    cells = [
        fault(complete).rows
        for fault in (checks.find_gross_outliers, checks.find_zero_hours, checks.find_isolated_spikes)
    ]
    planted = set(map(tuple, complete.frame.index[np.unique(np.concatenate(cells))]))
    dataset = apply_repairs([Repair(kind) for kind in repairs], gas)
    found, _ = detect(
        DetectionSpec(forest(), baseline="calendar", contamination=0.01), dataset, workspace=place, actor=BY
    )
    flagged = set(zip(found.anomalies["entity"].astype(str), found.anomalies["time"], strict=True))
    assert len(planted) == 26
    assert planted <= flagged


def test_the_absurd_cell_is_named_as_the_cause(gas: Dataset, place: Workspace) -> None:
    found, _ = detect(DetectionSpec(forest(), baseline="calendar"), gas, workspace=place, actor=BY)
    rows = found.rows
    row = rows[(rows["entity"] == "GRTgaz · pays de la loire") & (rows["time"] == "2021-06-29")]
    assert row["causes"].iloc[0].startswith("19:00 +")
    cells = found.select_cells(int(row.index[0])).set_index("column")
    assert cells.loc["19:00", "value"] == pytest.approx(1_045_440, rel=1e-4)
    assert cells.loc["19:00", "high"] < 10_000


@pytest.mark.parametrize("name", ["gas_daily", "daily_profile"])
def test_injected_days_of_the_samples_are_found(name: str, place: Workspace) -> None:
    """Every hour multiplied or zeroed, every flattened or turned day is flagged when as many rows are flagged."""
    dataset = load_sample(name)
    assert dataset.labels is not None
    share = float(dataset.labels.mean())
    found, _ = detect(
        DetectionSpec(forest(), baseline="calendar", contamination=2 * share), dataset, workspace=place, actor=BY
    )
    flagged = set(zip(found.anomalies["entity"].astype(str), found.anomalies["time"], strict=True))
    planted = set(map(tuple, dataset.labels.index[dataset.labels.to_numpy() & dataset.is_complete]))
    assert planted <= flagged


# ---- runs -----------------------------------------------------------------------------------------------------------


def test_one_action_is_one_run_and_one_event(sample: Dataset, place: Workspace) -> None:
    found, run = detect(DetectionSpec(forest(n_estimators=20), baseline="calendar"), sample, workspace=place, actor=BY)
    client = MlflowClient(place.tracking.uri)
    [kept] = client.search_runs([each.experiment_id for each in client.search_experiments()])
    [event] = place.events.read_events()
    artifacts = {file.path for file in client.list_artifacts(run.id)}

    assert kept.info.run_id == run.id == event.run_id
    assert kept.data.params | {"baseline": "calendar"} == kept.data.params
    assert kept.data.params["n_estimators"] == "20"
    assert kept.data.metrics["anomalies"] == len(found.anomalies) == event.details.anomalies_count
    assert event.details.successful_predictions == len(found.rows)
    assert event.details.failed_predictions == len(sample) - len(found.rows)
    assert event.details.inputs["dataset"] == sample.digest
    assert artifacts == {"anomalies.csv", "model", "result", "timeline.html"}
    assert kept.data.metrics["emissions_kg"] > 0


def test_the_result_comes_back_from_the_run(sample: Dataset, place: Workspace) -> None:
    found, run = detect(DetectionSpec(forest(), baseline="entity"), sample, workspace=place, actor=BY)
    again = load_detection(run.id, place)
    assert again.spec == found.spec
    pd.testing.assert_frame_equal(again.rows, found.rows)
    pd.testing.assert_frame_equal(again.cells, found.cells)
    assert isinstance(again, Detection)


def test_a_saved_model_scores_new_data_as_it_scored_its_own(sample: Dataset, place: Workspace) -> None:
    found, run = detect(
        DetectionSpec(forest(), baseline="calendar", contamination=0.02), sample, workspace=place, actor=BY
    )
    applied, second = apply_model(ApplySpec(run.id, start="2024-01-01"), sample, workspace=place, actor=BY)
    old = found.rows.set_index(["entity", "time"])["score"]
    new = applied.rows.set_index(["entity", "time"])["score"]
    assert (new.index.get_level_values("time") >= "2024-01-01").all()
    assert np.array_equal(new.to_numpy(), old.loc[new.index].to_numpy())
    assert applied.threshold == found.threshold
    assert isinstance(applied.spec, ApplySpec)
    assert applied.spec.model == run.id
    assert [model.id for model in runs_with_model("anomalies", place)] == [run.id]
    with pytest.raises(NotFoundError, match="no model"):
        apply_model(ApplySpec(second.id), sample, workspace=place, actor=BY)


def test_a_risk_sets_the_threshold_by_the_tail(sample: Dataset, place: Workspace) -> None:
    rare, rarer = (
        detect(DetectionSpec(forest(), baseline="calendar", risk=risk), sample, workspace=place, actor=BY)[0]
        for risk in (0.01, 0.0001)
    )
    assert rarer.threshold > rare.threshold
    assert len(rarer.anomalies) < len(rare.anomalies)
    assert rare.model_spec.risk == 0.01
    with pytest.raises(OptionError, match="risk"):
        detect(DetectionSpec(forest(), baseline="calendar", risk=2.0), sample, workspace=place, actor=BY)


def test_mlflow_serves_the_model_with_its_signature(sample: Dataset, place: Workspace) -> None:
    import mlflow

    found, run = detect(DetectionSpec(forest(), baseline="calendar"), sample, workspace=place, actor=BY)
    mlflow.set_tracking_uri(place.tracking.uri)
    model = mlflow.pyfunc.load_model(f"runs:/{run.id}/model")
    table = sample.take_rows(sample.is_complete).frame.head(20).reset_index()
    table["entity"] = table["entity"].astype(str)
    answer = model.predict(table).set_index(["entity", "time"])["score"]
    assert {"entity", "time", "00:00", "23:00"} <= {column.name for column in model.metadata.signature.inputs}
    assert np.array_equal(answer.to_numpy(), found.rows.set_index(["entity", "time"])["score"].loc[answer.index])


def test_a_failure_is_recorded_and_goes_on(sample: Dataset, place: Workspace) -> None:
    constant = sample.replace(frame=sample.frame * 0.0 + 1.0)
    with pytest.raises(DataError, match="same score"):
        detect(DetectionSpec(forest(), baseline="everything"), constant, workspace=place, actor=BY)
    [event] = place.events.read_events()
    assert (event.status, event.log_level, event.error_type) == ("failed", "ERROR", "DataError")
    assert MlflowClient(place.tracking.uri).get_run(str(event.run_id)).info.status == "FAILED"


@pytest.mark.parametrize(
    ("asked", "error", "words"),
    [
        ({"baseline": "moon"}, OptionError, "calendar, entity, shape, everything"),
        ({"baseline": "calendar", "contamination": 0.9}, OptionError, "contamination"),
        ({"baseline": "calendar", "start": "2030-01-01"}, DataError, "No row"),
    ],
)
def test_a_wrong_question_is_refused(
    sample: Dataset, place: Workspace, asked: dict[str, object], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        detect(DetectionSpec(forest(), **asked), sample, workspace=place, actor=BY)  # type: ignore[arg-type]


def test_the_calendar_needs_dates(place: Workspace) -> None:
    kpis = load_sample("kpi_matrix")
    with pytest.raises(DataError, match="Choose the entity baseline instead"):
        detect(DetectionSpec(forest(), baseline="calendar"), kpis, workspace=place, actor=BY)
    found, _ = detect(DetectionSpec(forest(), baseline="entity"), kpis, workspace=place, actor=BY)
    assert len(found.rows) == len(kpis)


def test_other_columns_and_other_units_are_refused(sample: Dataset, place: Workspace) -> None:
    _, run = detect(DetectionSpec(forest(), baseline="calendar"), sample, workspace=place, actor=BY)
    with pytest.raises(DataError, match="fitted on MWh"):
        apply_model(ApplySpec(run.id), sample.replace(unit="kWh"), workspace=place, actor=BY)
    with pytest.raises(DataError, match="fitted on the columns"):
        apply_model(ApplySpec(run.id), load_sample("daily_profile"), workspace=place, actor=BY)
    with pytest.raises(NotFoundError, match="No run"):
        apply_model(ApplySpec("f" * 32), sample, workspace=place, actor=BY)


def test_severity_follows_rarity(sample: Dataset, place: Workspace) -> None:
    found, _ = detect(
        DetectionSpec(forest(), baseline="calendar", contamination=0.05), sample, workspace=place, actor=BY
    )
    severity = found.rows["severity"].to_numpy()
    assert (np.diff(severity) <= 0).all()
    assert (severity >= 1).sum() == pytest.approx(0.01 * len(severity), abs=2)
    assert set(severity[found.rows["anomaly"]]) >= {0, 1, 2}


def test_the_recipe_travels_with_the_run(sample: Dataset, place: Workspace) -> None:
    repaired = apply_repairs([Repair("impute_incomplete")], sample)
    _, run = detect(DetectionSpec(forest(), baseline="calendar"), repaired, workspace=place, actor=BY)
    written = json.loads((run.folder / "recipe.json").read_text())
    assert written == [{"kind": "impute_incomplete", "settings": {}}]
    assert MlflowClient(place.tracking.uri).get_run(run.id).data.tags["dataset.repairs"] == "impute_incomplete"


def test_exports_neutralise_formulas(tmp_path: Path, place: Workspace) -> None:
    from core.data.ingest.loading import load
    from core.exports import to_csv_bytes, to_parquet_bytes

    path = tmp_path / "calls.csv"
    rows = [f"2024-03-{day:02d},=cmd|' /C calc'!A0,{day % 7 + 0.5}" for day in range(1, 31)]
    path.write_text("\n".join(["date,site,calls", *rows]))
    found, run = detect(
        DetectionSpec(forest(), baseline="entity", contamination=0.1), load([path]), workspace=place, actor=BY
    )
    table = found.to_frame()
    assert b",'=cmd" in to_csv_bytes(table)
    assert b",=cmd" not in to_csv_bytes(table)
    assert b",=cmd" not in (run.folder / "anomalies.csv").read_bytes()
    assert to_parquet_bytes(table.assign(entity=table["entity"].astype(str))).startswith(b"PAR1")
