"""Runs that tell what differed: parent, change, ranges of time, and input files."""

import json
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd
import pytest

from core.actor import Actor
from core.data.dataset import Dataset, make_index
from core.runs.card import build_run_card
from core.runs.comparison import compare_runs
from core.runs.lineage import CHANGE_TAG, PARENT_TAG
from core.runs.tracked_run import track_run
from core.spec.spec import ApplySpec, ThresholdSpec
from core.tasks.anomalies.run import apply_model, apply_threshold, detect
from core.tasks.anomalies.spec import DetectionSpec
from core.tasks.forecast.run import apply_model as apply_forecast
from core.tasks.forecast.run import forecast, recalibrate
from core.tasks.forecast.spec import ForecastApplySpec, ForecastSpec, RecalibrationSpec, list_forecasters
from core.workspace import Workspace
from mlflow_utils.run_record import InputData, Record
from tests.support.sample_series import make_consumption, make_covariate_table, make_daily_dataset, make_temperatures

ACTOR = Actor("alice", "tests")
DAYS = 420


def make_month(first: str, file: str) -> Dataset:
    times = pd.date_range(first, periods=28)
    frame = pd.DataFrame({"load": np.random.default_rng(0).normal(50, 2, 28)}, make_index(["series"] * 28, times))
    return Dataset(frame, "tidy_series", step=pd.Timedelta(days=1), files=(file,))


def get_record(run_id: str, workspace: Workspace) -> Record:
    record = workspace.tracking.spool.find_run(run_id)
    assert record is not None
    return record


def test_applied_and_moved_runs_name_parent_and_change(workspace: Workspace) -> None:
    may, june = make_month("2024-05-01", "may.csv"), make_month("2024-06-01", "june.csv")
    fitted = detect(DetectionSpec(), may, workspace=workspace, actor=ACTOR)[1]
    applied = apply_model(ApplySpec(fitted.id), june, workspace=workspace, actor=ACTOR)[1]
    moved = apply_threshold(ThresholdSpec(fitted.id, 0.75), may, workspace=workspace, actor=ACTOR)[1]

    record = get_record(fitted.id, workspace)
    assert (record.params["fit_from"], record.params["fit_until"]) == ("2024-05-01", "2024-05-28")
    assert not {PARENT_TAG, CHANGE_TAG} & record.tags.keys()

    record = get_record(applied.id, workspace)
    assert record.tags[PARENT_TAG] == fitted.id
    assert record.tags[CHANGE_TAG].startswith("dataset: may.csv → june.csv; scored_from: – → 2024-06-01")
    card = build_run_card(applied.id, workspace)
    assert (card.about.parent, card.about.changed) == (fitted.id, record.tags[CHANGE_TAG])

    change = get_record(moved.id, workspace).tags[CHANGE_TAG]
    assert "threshold_value: – → 0.75" in change
    assert "dataset" not in change

    comparison = compare_runs([fitted.id, moved.id], workspace)
    assert comparison.find_differences()["threshold_value"]
    assert comparison.parameters.loc["threshold_value"].tolist() == ["", "0.75"]


def test_forecast_runs_tell_covariates_target_and_ranges(workspace: Workspace) -> None:
    weather = make_covariate_table({"temperature": make_temperatures(DAYS + 30)})
    digest = workspace.covariates.save([weather])
    dataset = make_daily_dataset(make_consumption(DAYS, 2))
    spec = ForecastSpec(forecaster=list_forecasters()["ridge"](), horizon=2, covariates=digest)
    run = forecast(spec, dataset, workspace=workspace, actor=ACTOR)[1]
    params = get_record(run.id, workspace).params
    assert params["covariates"] == digest
    assert params["covariate_files"] == f"{weather.file} ({weather.digest[:12]})"
    assert (params["target"], params["aggregation"], params["frequency"]) == (dataset.columns[0], "sum", "D")
    assert params["fit_until"] == params["backtest_until"] == str(dataset.time.max())[:10]
    assert params["fit_from"] < params["backtest_from"] < params["backtest_until"]
    assert list_inputs(run.id, workspace) == {
        ", ".join(dataset.files) or dataset.digest: ("data", dataset.digest),
        weather.file: ("covariates", weather.digest),
    }

    again = recalibrate(RecalibrationSpec(run.id), dataset, workspace=workspace, actor=ACTOR)[1]
    record = get_record(again.id, workspace)
    assert record.tags[PARENT_TAG] == run.id
    assert {name for name in params if name.startswith("calibration_")}
    changed = {change.partition(":")[0] for change in record.tags[CHANGE_TAG].split("; ")}
    assert all(name.startswith("calibration_") for name in changed - {""}), "nothing else differs"

    other = make_covariate_table({"temperature": make_temperatures(DAYS + 30, seed=9)})
    apply_spec = ForecastApplySpec(run.id, workspace.covariates.save([other]))
    applied = apply_forecast(apply_spec, dataset, workspace=workspace, actor=ACTOR)[1]
    change = get_record(applied.id, workspace).tags[CHANGE_TAG]
    assert f"covariate_files: {params['covariate_files']} → {other.file} ({other.digest[:12]})" in change


def list_inputs(run_id: str, workspace: Workspace) -> dict[str, tuple[str, str]]:
    """Return name → (context, whole digest) of the inputs of a run, as MLflow tells them."""
    inputs = workspace.tracking.open_client().get_run(run_id).inputs.dataset_inputs
    return {
        item.dataset.name: (item.tags[0].value, json.loads(item.dataset.source)["sha256"])
        for item in inputs
        if item.dataset.digest == json.loads(item.dataset.source)["sha256"][:36]
    }


def test_inputs_wait_with_a_run_that_mlflow_does_not_take(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run with inputs is stored here while MLflow is dead, and delivered with them once, later."""
    may = make_month("2024-05-01", "may.csv")
    with monkeypatch.context() as patch:
        patch.setattr(workspace.tracking, "open_client", refuse)
        with track_run("tests", "Nothing", {}, may, ACTOR, workspace) as run:
            run.inputs.append(InputData("weather.csv", "ab" * 32, "covariates"))
        assert not run.delivered
        assert workspace.tracking.count_pending() == 1
    assert workspace.tracking.deliver_pending() == 1
    workspace.tracking.deliver_pending()
    record = get_record(run.key, workspace)
    assert record.inputs == run.inputs
    assert list_inputs(record.run_id, workspace) == {
        "may.csv": ("data", may.digest),
        "weather.csv": ("covariates", "ab" * 32),
    }


def refuse() -> Any:
    raise OSError("no MLflow here")


def test_record_of_earlier_version_has_no_inputs() -> None:
    values = asdict(Record("tests", "old"))
    del values["inputs"]
    assert Record.from_json(json.dumps(values)).inputs == []


def test_unknown_parent_does_not_stop_a_run(workspace: Workspace) -> None:
    with track_run(
        "tests", "Nothing", {"model_run": "0" * 32}, make_month("2024-05-01", "a.csv"), ACTOR, workspace
    ) as run:
        pass
    record = get_record(run.id, workspace)
    assert (record.status, record.tags[PARENT_TAG], CHANGE_TAG in record.tags) == ("completed", "0" * 32, False)
