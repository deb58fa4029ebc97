"""The task `forecast`: runs, stored results, cancel, unusual data, saved models, scenarios, recalibration."""

import threading
import time
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from core.actor import Actor
from core.data.covariates import CovariateTable, read_covariates
from core.data.dataset import Dataset
from core.data.panel import Panel
from core.errors import DataError, NotFoundError, OptionError
from core.evaluation.conformal import ConformalConfig, ResidualHistory
from core.forecasters.backtests.backtest import run_backtest
from core.forecasters.backtests.backtest_report import build_report
from core.forecasters.forecast_model import ForecastModel
from core.forecasters.ridge import Ridge
from core.forecasters.seasonal_naive import SeasonalNaive
from core.progress import CancelledError, Progress
from core.runs.model_files import load_model
from core.runs.promotion import runs_with_model
from core.runs.stored_runs import load_run
from core.runs.tracked_run import Run
from core.spec.hyperparameters import build_from_settings
from core.spec.spec import PartSpec
from core.tasks.forecast.backtest import build_example_table
from core.tasks.forecast.notes import list_notes
from core.tasks.forecast.result import Forecast
from core.tasks.forecast.run import apply_model, forecast, load_forecast, recalibrate
from core.tasks.forecast.scenarios import Scenario, build_forecast_rows, what_if
from core.tasks.forecast.spec import ForecastApplySpec, ForecastSpec, RecalibrationSpec, list_forecasters
from core.workspace import Workspace
from mlflow_utils import runs
from tests.conftest import create_workspace
from tests.support.sample_series import (
    join_tables,
    make_consumption,
    make_covariate_table,
    make_daily_dataset,
    make_hourly_dataset,
    make_temperatures,
)

ACTOR = Actor("alice", "tests")
DAYS, HORIZON_DAYS = 700, 3
TABLE_NAMES = ("rows", "scores", "checked", "reliability", "importance", "response", "effects")
QUICK_SETTINGS: dict[str, dict[str, Any]] = {
    "automatic": {"seconds": 2},
    "random-forest": {"n_estimators": 10},
    "gradient-boosting": {"max_iter": 10},
    "blend": {"trees": "random-forest"},
    "auto-arima": {"max_order": 1},
    "gradient-boosting-quantiles": {"max_iter": 10, "max_train_rows": 2000},
    "quantile-forest": {"n_estimators": 5, "max_train_rows": 1000},
}
SLOW_FORECASTERS = ("auto-arima", "auto-ets", "deepar", "feed-forward", "quantile-forest", "zero-shot")
SHORT_DATA = (246, 1)  # days and entities


def make_strikes() -> np.ndarray:
    return (np.random.default_rng(5).random(DAYS + 30) < 0.05).astype(float)


def make_weather(count: int = DAYS + 30) -> CovariateTable:
    return make_covariate_table({"temperature": make_temperatures(count), "strike": make_strikes()[:count]})


def make_data(count: int = DAYS, entities: int = 2) -> Dataset:
    return make_daily_dataset(make_consumption(count, entities, strike=make_strikes()[:count]))


def run_forecast(
    dataset: Dataset,
    workspace: Workspace,
    name: str = "seasonal-naive",
    tables: Sequence[CovariateTable] = (),
    *,
    progress: Progress | None = None,
    **fields: Any,
) -> tuple[Forecast, Run]:
    """Run a forecast with the forecaster `name`; `fields` of the spec replace the horizon of three days."""
    forecaster = build_from_settings(list_forecasters()[name], QUICK_SETTINGS.get(name, {}))
    spec = ForecastSpec(
        forecaster, **{"horizon": HORIZON_DAYS, "covariates": store_tables(workspace, *tables)} | fields
    )
    return forecast(spec, dataset, workspace=workspace, actor=ACTOR, progress=progress)


def store_tables(workspace: Workspace, *tables: CovariateTable) -> str:
    return workspace.covariates.save(tables) if tables else ""


def apply_forecast(
    dataset: Dataset, run_id: str, workspace: Workspace, *tables: CovariateTable
) -> tuple[Forecast, Run]:
    return apply_model(
        ForecastApplySpec(run_id, store_tables(workspace, *tables)), dataset, workspace=workspace, actor=ACTOR
    )


def read_notes(forecast: Forecast) -> str:
    return " ".join(map(str, forecast.notes))


def read_status(run_id: str, workspace: Workspace) -> str:
    return load_run(run_id, workspace).record.status


@pytest.fixture(scope="module")
def shared_workspace(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Workspace:
    """Workspace shared by the tests that need no empty one."""
    return create_workspace(tmp_path_factory.mktemp("office"), empty_store)


@pytest.fixture(scope="module")
def ridge_forecast(shared_workspace: Workspace) -> tuple[Forecast, Run]:
    """Result and run of a Ridge forecast with weather and strikes."""
    return run_forecast(make_data(), shared_workspace, "ridge", tables=[make_weather()], calendar="FR")


# ---- result and run -------------------------------------------------------------------------------------------------


def test_forecast_covers_days_after_the_data(ridge_forecast: tuple[Forecast, Run]) -> None:
    result, run = ridge_forecast
    rows = result.rows
    assert len(rows) == 2 * HORIZON_DAYS
    assert sorted(rows["time"].unique()) == list(pd.date_range(make_data().time.max(), periods=HORIZON_DAYS + 1)[1:])
    assert (rows["time"] == make_data().time.max() + pd.to_timedelta(rows["step"].astype(int), unit="D")).all()
    assert (rows["q0.05"] < rows["q0.5"]).all()
    assert (rows["q0.5"] < rows["q0.95"]).all()
    for row in rows.itertuples():
        usual = make_data().frame.loc[row.entity, "value"].iloc[-7:].mean()
        assert 0.5 * usual < row.forecast < 1.5 * usual
        assert row.naive7 == pytest.approx(
            make_data().frame.loc[(row.entity, row.time - pd.Timedelta(days=7)), "value"]
        )
        assert row.naive1 == pytest.approx(make_data().frame.loc[(row.entity, make_data().time.max()), "value"])
    assert not rows["assumed"].any()
    assert run.status == "completed"
    total = pytest.approx(rows["forecast"].sum())
    assert run.details == {"successful_predictions": 6, "failed_predictions": 0, "predicted_consumption": total}


def test_forecast_notes_tell_what_history_cannot_teach(ridge_forecast: tuple[Forecast, Run]) -> None:
    assert "shorter than two and a half years" in read_notes(ridge_forecast[0])


def test_forecast_run_logs_metrics(ridge_forecast: tuple[Forecast, Run], shared_workspace: Workspace) -> None:
    result, run = ridge_forecast
    record = load_run(run.id, shared_workspace).record
    assert record.metrics["wape"] == pytest.approx(result.metrics()["wape"])
    assert {"wape_1", f"wape_{HORIZON_DAYS}", "coverage", "skill_naive7", "mase_1"} <= set(record.metrics)
    assert record.metrics["wape"] < 0.06
    assert 0.84 < record.metrics["coverage"] < 0.95
    assert record.params["horizon"] == HORIZON_DAYS
    assert record.params["forecaster"] == "ridge"
    assert record.params["weather"] == "original"
    files = load_run(run.id, shared_workspace).files
    assert {"forecast.csv", "backtest.csv", "covariates.json"} <= {path.name for path in files.iterdir()}
    assert len(pd.read_csv(files / "forecast.csv")) == 6
    assert pd.read_csv(files / "backtest.csv")["step"].tolist() == [1, 2, 3]


def test_forecast_result_round_trips(ridge_forecast: tuple[Forecast, Run], shared_workspace: Workspace) -> None:
    result, run = ridge_forecast
    again = load_forecast(run.id, shared_workspace)
    for name in TABLE_NAMES:
        pd.testing.assert_frame_equal(getattr(again, name), getattr(result, name), check_dtype=False)
    assert again.notes == result.notes
    assert again.spec == result.spec
    assert again.metrics() == result.metrics()
    assert run.id in [record.id for record in runs_with_model("forecast", shared_workspace)]
    with pytest.raises(NotFoundError):
        load_forecast("0" * 32, shared_workspace)


def test_forecast_result_has_explanation_tables(ridge_forecast: tuple[Forecast, Run]) -> None:
    result, _ = ridge_forecast
    spared = result.importance[result.importance["step"] == 1].set_index("group")["spared"]
    assert spared["weather"] > spared["school_break"]
    response = result.response.set_index(["strike", "shift"])["amount"]
    assert response.loc[(0.0, 4.0)] < response.loc[(0.0, 0.0)] < response.loc[(0.0, -4.0)]
    assert response.loc[(1.0, 0.0)] / response.loc[(0.0, 0.0)] == pytest.approx(0.85, abs=0.06)
    effects = result.effects.set_index("method")
    assert effects.loc["matched, weather removed", "change"] == pytest.approx(-0.2, abs=0.02)


@pytest.mark.parametrize("name", list_forecasters())
def test_forecast_saved_model_repeats_forecast_exactly(name: str, shared_workspace: Workspace) -> None:
    data = make_data(*SHORT_DATA) if name in SLOW_FORECASTERS else make_data()
    start = str(data.time[-5])[:10] if name in SLOW_FORECASTERS else ""
    result, run = run_forecast(data, shared_workspace, name, [make_weather()], horizon=2, backtest_from=start)
    model = load_model(run.id, ForecastModel, shared_workspace)
    assert type(model.forecaster) is list_forecasters()[name]
    again = build_forecast_rows(
        model, model.select_series(data), join_tables(data, [make_weather()], 3), np.array(ForecastSpec().quantiles)
    )
    pd.testing.assert_frame_equal(again, result.rows, check_exact=True)
    assert np.isfinite(result.rows["forecast"]).all()


@pytest.mark.parametrize("kind", ["days", "gas days", "hours", "gas hours"])
def test_forecast_served_model_answers_as_page(kind: str, workspace: Workspace) -> None:
    """MLflow passes a plain table: the last months, and the covariates of the forecast days."""
    values = make_consumption(DAYS, 2) * np.linspace(1, 2, DAYS)[:, None]
    dataset = make_hourly_dataset(values, day_start=6 if "gas" in kind else 0)
    resolution = "hour" if "hours" in kind else "day"
    result, run = run_forecast(dataset, workspace, "ridge", [make_weather()], horizon=2, resolution=resolution)
    model = load_model(run.id, ForecastModel, workspace)
    series = model.select_series(dataset)
    answer = model.predict(build_example_table(series, join_tables(dataset, [make_weather()]), model))
    assert len(answer) == len(result.rows)
    assert answer["time"].tolist() == result.rows["time"].tolist()
    assert np.allclose(answer["forecast"], result.rows["forecast"], rtol=1e-6)
    assert np.allclose(answer[["low", "high"]], result.rows[["q0.05", "q0.95"]], rtol=1e-6)


def test_forecast_needs_only_recent_months(ridge_forecast: tuple[Forecast, Run], shared_workspace: Workspace) -> None:
    result, run = ridge_forecast
    model = load_model(run.id, ForecastModel, shared_workspace)
    series, covariates = model.select_series(make_data()), join_tables(make_data(), [make_weather()])
    full_history, _ = model.forecast_days(
        series, model.build_covariate_panel(series, covariates), HORIZON_DAYS, np.array([0.5])
    )
    assert np.allclose(full_history[:, :, 0].ravel(), result.rows["forecast"], rtol=1e-6)


# ---- cancel and progress --------------------------------------------------------------------------------------------


def test_forecast_cancels_before_start(workspace: Workspace) -> None:
    progress = Progress()
    progress.cancel()
    with pytest.raises(CancelledError):
        run_forecast(make_data(), workspace, "ridge", progress=progress)
    assert _read_last_status(workspace) == ("interrupted", "interrupted")


def test_forecast_cancels_from_other_thread(workspace: Workspace) -> None:
    progress = Progress()

    def watch() -> None:
        while progress.share == 0:
            time.sleep(0.001)
        progress.cancel()

    watcher = threading.Thread(target=watch)
    watcher.start()
    with pytest.raises(CancelledError):
        run_forecast(make_data(entities=4), workspace, "ridge", [make_weather()], horizon=14, progress=progress)
    watcher.join()
    assert 0 < progress.share < 1
    assert _read_last_status(workspace) == ("interrupted", "interrupted")


def test_forecast_progress_only_grows(workspace: Workspace) -> None:
    reports: list[tuple[float, str]] = []

    class RecordingProgress(Progress):
        def report(self, share: float, stage: str = "") -> None:
            super().report(share, stage)
            reports.append((self.share, self.stage))

    run_forecast(make_data(), workspace, "blend", horizon=2, progress=RecordingProgress())
    shares = [share for share, _ in reports]
    assert shares == sorted(shares)
    assert len(set(shares)) > 8
    assert shares[-1] == 1
    assert len({stage for _, stage in reports}) == 3


def _read_last_status(workspace: Workspace) -> tuple[str, str]:
    """Return the status of the newest run and of its event."""
    return runs.list_latest_runs(workspace.tracking, "forecast", limit=1)[0].status, workspace.events.read_events()[
        -1
    ].status


# ---- unusual data ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["ridge", "gradient-boosting", "seasonal-naive"])
@pytest.mark.parametrize("kind", ["constant", "zeros", "negative", "zero hours"])
def test_forecast_of_unusual_series_completes(name: str, kind: str, shared_workspace: Workspace) -> None:
    values = {
        "constant": np.full((600, 1), 0.1),
        "zeros": np.zeros((600, 1)),
        "zero hours": np.zeros((600, 1)),
        "negative": np.random.default_rng(0).normal(-2, 5, (600, 1)),
    }[kind]
    dataset, resolution = (
        (make_hourly_dataset(values), "hour") if kind == "zero hours" else (make_daily_dataset(values), "day")
    )
    result, run = run_forecast(dataset, shared_workspace, name, horizon=1, resolution=resolution)
    assert run.status == "completed"
    assert np.isfinite(result.rows["forecast"]).all()
    if kind != "negative":
        assert np.allclose(result.rows["forecast"], values[0, 0], atol=1e-6)
        assert (result.reliability["measured"] == 1).all(), "constant values lie inside every interval"


def test_forecast_notes_entity_that_ends_early(shared_workspace: Workspace) -> None:
    values = make_consumption(DAYS, 3)
    values[-40:, 1] = np.nan
    result, run = run_forecast(make_daily_dataset(values), shared_workspace, "ridge", tables=[make_weather()])
    assert "b has no forecast: its data" in read_notes(result)
    rows = result.rows.set_index("entity")
    assert rows.loc["b", "forecast"].isna().all()
    assert rows.loc["b", "q0.05"].isna().all()
    assert rows.loc[["a", "c"], "forecast"].notna().all()
    total = pytest.approx(rows["forecast"].sum())
    assert run.details == {"successful_predictions": 6, "failed_predictions": 3, "predicted_consumption": total}


@pytest.mark.parametrize("name", ["ridge", "random-forest"])
def test_forecast_continues_despite_short_entity(name: str, shared_workspace: Workspace) -> None:
    values = make_consumption(DAYS, 3)
    values[:-50, 1] = np.nan
    rows = run_forecast(make_daily_dataset(values), shared_workspace, name, tables=[make_weather()])[0].rows.set_index(
        "entity"
    )
    assert rows.loc[["a", "c"], "forecast"].notna().all()
    short_entity = rows.loc["b", "forecast"]
    assert short_entity.isna().all() or np.allclose(short_entity, values[-7:, 1].mean(), rtol=0.6)


@pytest.mark.parametrize("name", list_forecasters())
def test_forecast_rejects_too_short_history(name: str, shared_workspace: Workspace) -> None:
    with pytest.raises(DataError, match=r"needs at least 14 values.*have 13, one per D"):
        run_forecast(make_data(13), shared_workspace, name)


def test_forecast_with_missing_days_and_final_gap(shared_workspace: Workspace) -> None:
    values = make_consumption(DAYS, 2)
    values[np.random.default_rng(1).random(values.shape) < 0.1] = np.nan
    values[300:330, 0] = np.nan
    values[-5:-1, 0] = np.nan
    dataset = make_daily_dataset(values)
    result, run = run_forecast(
        dataset.take_rows(dataset.is_complete), shared_workspace, "ridge", tables=[make_weather()]
    )
    assert result.rows["forecast"].notna().all()
    assert run.metrics["wape"] < 0.12


def test_forecast_notes_outlier_day(shared_workspace: Workspace) -> None:
    values = make_consumption(DAYS, 2)
    values[500, 0] *= 50
    result, _ = run_forecast(make_daily_dataset(values), shared_workspace, "ridge", tables=[make_weather()])
    assert "is an outlier compared with" in read_notes(result)


def test_forecast_across_leap_day_and_clock_changes(shared_workspace: Workspace) -> None:
    dataset = make_daily_dataset(make_consumption(DAYS, 2, "2022-12-01"), "2022-12-01")
    covariates = make_covariate_table({"temperature": make_temperatures(DAYS + 9, "2022-12-01")}, "2022-12-01")
    result, run = run_forecast(dataset, shared_workspace, "ridge", [covariates], horizon=2, backtest_from="2024-02-15")
    days = result.checked[(result.checked["step"] == 1) & (result.checked["entity"] == "a")]["time"]
    assert days.tolist() == list(pd.date_range("2024-02-15", dataset.time.max()))
    assert run.metrics["wape_1"] < 0.06


def test_forecast_sums_hours_to_days(shared_workspace: Workspace) -> None:
    dataset = make_hourly_dataset(make_consumption(DAYS, 2)).to_series()
    by_hour, by_day = (
        run_forecast(dataset, shared_workspace, "ridge", [make_weather()], horizon=2, resolution=resolution)[0]
        for resolution in ("hour", "day")
    )
    assert len(by_hour.rows) == 2 * 2 * 24
    sums = by_hour.rows.groupby(["entity", "step"], observed=True)["forecast"].sum()
    assert np.allclose(sums, by_day.rows.set_index(["entity", "step"])["forecast"].reindex(sums.index))
    assert {"hour"} < set(by_hour.reliability["by"])
    assert "shape of the day was not clearly better on the last 175 days" in read_notes(by_hour)
    assert "shape of the day" not in read_notes(by_day)


def test_forecast_notes_shape_of_day(shared_workspace: Workspace) -> None:
    dataset = make_hourly_dataset(make_consumption(DAYS, 1))
    warm_hours = np.outer(make_temperatures(DAYS), np.linspace(-1, 1, 24))
    dataset = dataset.replace(frame=dataset.frame * (1 + 0.02 * warm_hours))
    result, run = run_forecast(dataset, shared_workspace, tables=[make_weather()], horizon=2, resolution="hour")
    assert "shape of the day is forecast from what is known about it and about the days before" in read_notes(result)
    model = load_model(run.id, ForecastModel, shared_workspace)
    assert model.day_shape_ is not None
    assert model.day_shape_.test_ is not None
    assert f"its error was {round(100 * model.day_shape_.test_.model_error, 1):g} % of the amounts" in read_notes(
        result
    )


def test_forecast_notes_history_too_short_for_shape() -> None:
    dataset = make_hourly_dataset(make_consumption(40, 1))
    series, covariates = Panel.from_dataset(dataset, "hour"), join_tables(dataset, [])
    model = ForecastModel(list_forecasters()["seasonal-naive"](), 2, "hour")
    model.fit(series, covariates, ResidualHistory(np.full((2, 40, 1, 24), np.nan), series.values))
    notes = " ".join(map(str, list_notes(model, ForecastSpec(horizon=2), series, covariates)))
    assert "shape of the day needs at least 56 days" in notes


def test_forecast_of_one_measure(shared_workspace: Workspace) -> None:
    dataset = make_data(500, 1)
    two_measures = dataset.replace(frame=dataset.frame.assign(calls=np.arange(500.0) + 1000))
    result, _ = run_forecast(two_measures, shared_workspace, "ridge", horizon=1, measure="calls")
    assert result.spec.measure == "calls"
    assert result.rows["forecast"].iloc[0] == pytest.approx(1500, rel=0.01)


def test_forecast_of_selected_part(shared_workspace: Workspace) -> None:
    part = {"entities": ("b",), "start": "2021-02-01", "end": "2022-10-31"}
    result, run = run_forecast(make_data(), shared_workspace, "ridge", **part)
    assert set(result.rows["entity"]) == {"b"}
    assert str(result.rows["time"].min())[:10] == "2022-11-01"
    spec = load_forecast(run.id, shared_workspace).spec
    assert isinstance(spec, PartSpec)
    assert {name: getattr(spec, name) for name in part} == part


def test_forecast_notes_missing_future_weather(shared_workspace: Workspace) -> None:
    result, _ = run_forecast(make_data(), shared_workspace, "ridge", tables=[make_weather(DAYS + 1)])
    assert "Some covariates are missing from 2022-12-03 on" in read_notes(result)
    assert result.rows.set_index(["entity", "step"])["assumed"].unstack().loc["a"].tolist() == [False, True, True]


@pytest.mark.parametrize(
    ("worth", "word"),
    [("original", "The backtest uses the observed weather, as if every weather"), ("degraded", "1.1 °C one day ahead")],
)
def test_forecast_notes_observed_weather(worth: str, word: str, shared_workspace: Workspace) -> None:
    result, _ = run_forecast(make_data(), shared_workspace, "ridge", [make_weather()], horizon=2, weather=worth)  # type: ignore[arg-type]
    assert word in read_notes(result)


def test_forecast_error_grows_with_weather_error(
    shared_workspace: Workspace, ridge_forecast: tuple[Forecast, Run]
) -> None:
    degraded, none = (
        run_forecast(
            make_data(), shared_workspace, "ridge", [make_weather()], horizon=HORIZON_DAYS, weather=weather_mode
        )
        for weather_mode in ("degraded", "none")
    )  # type: ignore[arg-type]
    assert ridge_forecast[1].metrics["wape"] < degraded[1].metrics["wape"] < none[1].metrics["wape"]
    assert "temperature" not in none[0].covariates
    assert "strike" in none[0].covariates


# ---- rejected input -------------------------------------------------------------------------------------------------


def test_leaking_covariate_is_left_out_and_named(workspace: Workspace) -> None:
    """The run goes on with the other covariates; result, run and command say which one is left out, and why."""
    total = make_consumption(DAYS, 1, strike=make_strikes()[:DAYS])[:, 0]
    tables = [make_weather(), make_covariate_table({"mean": total / 24}, kind="other")]
    result, run = run_forecast(make_data(entities=1), workspace, "ridge", tables)
    reason = "mean is not used: it reproduces the amount to forecast"
    assert "mean" not in result.covariates
    assert "temperature" in result.covariates
    assert [str(note)[: len(reason)] for note in result.cautions].count(reason) == 1
    assert reason in (load_run(run.id, workspace).files / "covariates.json").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "fields",
    [
        {"horizon": 0},
        {"horizon": 93},
        {"horizon": "36h"},
        {"horizon": "soon"},
        {"quantiles": (0.5,)},
        {"quantiles": (0.9, 0.1)},
        {"quantiles": (0.1, 0.1, 0.9)},
        {"quantiles": (0.0, 0.5)},
        {"quantiles": (0.1, float("nan"))},
        {"weather": "sunny"},
        {"resolution": "minute"},
        {"aggregation": "median"},
        {"backtest_from": "soon"},
    ],
)
def test_forecast_rejects_invalid_spec(fields: dict[str, Any], shared_workspace: Workspace) -> None:
    with pytest.raises(OptionError):
        run_forecast(make_data(), shared_workspace, **fields)


# ---- models applied to later data -----------------------------------------------------------------------------------


def test_forecast_model_applies_to_later_data(
    ridge_forecast: tuple[Forecast, Run], shared_workspace: Workspace
) -> None:
    result, run = ridge_forecast
    later = make_data(DAYS + 20)
    applied, again = apply_forecast(later, run.id, shared_workspace, make_weather())
    assert applied.spec.model == run.id
    assert applied.rows["time"].min() == later.time.max() + pd.Timedelta(days=1)
    alarm_names = {"alarms", "alarm_rate", "lasting_rate", "promised_rate"}
    metrics, expected_metrics = applied.metrics(), result.metrics()
    assert {name: metrics[name] for name in metrics.keys() - alarm_names} == {
        name: expected_metrics[name] for name in expected_metrics.keys() - alarm_names
    }
    assert read_status(again.id, shared_workspace) == "completed"
    assert again.id not in [record.id for record in runs_with_model("forecast", shared_workspace)]
    model = load_model(run.id, ForecastModel, shared_workspace)
    expected = build_forecast_rows(
        model, model.select_series(later), join_tables(later, [make_weather()]), np.array(ForecastSpec().quantiles)
    )
    assert np.allclose(applied.rows["forecast"], expected["forecast"])
    future_values = make_consumption(DAYS + 20 + HORIZON_DAYS, 2)[-HORIZON_DAYS:]
    assert np.allclose(applied.rows["forecast"], future_values.ravel(), rtol=0.3)
    early, _ = apply_forecast(later, run.id, shared_workspace, make_weather(DAYS + 21))
    assert "Their usual values for the date are used instead" in read_notes(early)


def test_forecast_model_ignores_unselected_entities(shared_workspace: Workspace) -> None:
    _, run = run_forecast(make_data(), shared_workspace, "ridge", entities=("b",))
    applied, _ = apply_forecast(make_data(DAYS + 5), run.id, shared_workspace)
    assert set(applied.rows["entity"]) == {"b"}


def test_forecast_applied_model_keeps_entities_not_period(shared_workspace: Workspace) -> None:
    """The selected period of the fitted model ends long before the later data."""
    _, run = run_forecast(make_data(), shared_workspace, "ridge", [make_weather()], entities=("b",), end="2022-06-30")
    later = make_data(DAYS + 20)
    applied, _ = apply_forecast(later, run.id, shared_workspace, make_weather())
    selected = applied.select(later)
    assert list(selected.entities) == ["b"]
    assert selected.time.max() == later.time.max()


def test_forecast_model_rejects_unknown_data(ridge_forecast: tuple[Forecast, Run], shared_workspace: Workspace) -> None:
    _, run = ridge_forecast
    for dataset in (make_data(entities=3), make_data(entities=1), make_data().replace(unit="kWh")):
        with pytest.raises(DataError, match=r"trained on a, b \(2\), MWh"):
            apply_forecast(dataset, run.id, shared_workspace, make_weather())
    with pytest.raises(DataError, match="needs the covariate 'temperature'"):
        apply_forecast(make_data(), run.id, shared_workspace)


def test_forecast_model_rejects_other_resolution(shared_workspace: Workspace) -> None:
    _, run = run_forecast(
        make_hourly_dataset(make_consumption(DAYS, 2)), shared_workspace, "seasonal-naive", horizon=1, resolution="hour"
    )
    with pytest.raises(DataError, match="trained on"):
        apply_forecast(make_daily_dataset(make_consumption(DAYS, 2)), run.id, shared_workspace)


# ---- scenarios ------------------------------------------------------------------------------------------------------


def run_scenario(run: Run, workspace: Workspace, scenario: Scenario) -> pd.DataFrame:
    rows = what_if(make_data(), run.id, scenario, workspace=workspace, actor=ACTOR)
    return rows.assign(ratio=rows["changed"] / rows["forecast"])


def test_scenario_without_change_repeats_forecast(
    ridge_forecast: tuple[Forecast, Run], shared_workspace: Workspace
) -> None:
    result, run = ridge_forecast
    rows = run_scenario(run, shared_workspace, Scenario())
    assert np.array_equal(rows["forecast"], rows["changed"])
    assert np.array_equal(rows["low"], rows["changed_low"])
    assert np.array_equal(rows["forecast"], result.rows["forecast"])
    assert np.array_equal(rows["high"], result.rows["q0.95"])


def test_events_tell_what_was_asked_and_what_is_predicted(
    ridge_forecast: tuple[Forecast, Run], shared_workspace: Workspace
) -> None:
    result, run = ridge_forecast
    rows = run_scenario(run, shared_workspace, Scenario(temperature_delta=2.0))
    events = shared_workspace.events.read_events()
    [trained] = [event for event in events if event.run_id == run.id]
    assert trained.details.predicted_consumption == pytest.approx(result.rows["forecast"].sum())
    inputs = trained.details.inputs
    assert (inputs["entities"], inputs["horizon"]) == (", ".join(make_data().entities), HORIZON_DAYS)
    asked = [event for event in events if event.event == "what_if"][-1]
    assert asked.details.inputs["temperature_delta"] == "2.0"
    assert asked.details.predicted_consumption == pytest.approx(rows["changed"].sum())


def test_scenario_warmer_winter_lowers_forecast(
    ridge_forecast: tuple[Forecast, Run], shared_workspace: Workspace
) -> None:
    _, run = ridge_forecast
    warm, cold = (run_scenario(run, shared_workspace, Scenario(temperature_delta=degrees)) for degrees in (3.0, -3.0))
    assert (warm["ratio"] < 0.95).all()
    assert (cold["ratio"] > 1.05).all()
    assert np.array_equal(warm["forecast"], cold["forecast"])


def test_scenario_leaves_past_unchanged() -> None:
    covariates = join_tables(make_data(), [make_weather()])
    first = make_data().time.max() + pd.Timedelta(days=1)
    changed = Scenario(temperature_delta=3.0, strike=True).apply(covariates, first)
    is_past = covariates.frame.index.get_level_values("day") < first
    pd.testing.assert_frame_equal(changed.frame[is_past], covariates.frame[is_past])
    assert np.allclose((changed.frame["temperature"] - covariates.frame["temperature"])[~is_past].dropna(), 3)
    assert (changed.frame["strike"][~is_past] == 1).all()


def test_scenario_strike_has_learned_effect(ridge_forecast: tuple[Forecast, Run], shared_workspace: Workspace) -> None:
    _, run = ridge_forecast
    with_strike, without = (
        run_scenario(run, shared_workspace, Scenario(strike=has_strike)) for has_strike in (True, False)
    )
    assert np.allclose(with_strike["changed"] / without["changed"], 0.85, atol=0.06)
    assert np.allclose(
        without["ratio"].where(make_strikes()[DAYS : DAYS + HORIZON_DAYS][with_strike["step"] - 1] == 0, 1), 1
    )


def test_scenario_applies_to_named_days_and_entities(
    ridge_forecast: tuple[Forecast, Run], shared_workspace: Workspace
) -> None:
    _, run = ridge_forecast
    rows = run_scenario(
        run, shared_workspace, Scenario(strike=True, temperature_delta=5.0, days=("2022-12-03",), entities=("a",))
    )
    outside = (rows["entity"] != "a") | (rows["step"] < 2)
    assert np.array_equal(rows.loc[outside, "forecast"], rows.loc[outside, "changed"])
    assert (rows.loc[(rows["entity"] == "a") & (rows["step"] == 2), "ratio"] < 0.9).all()


def test_scenario_mean_temperature_follows_both_ends(
    ridge_forecast: tuple[Forecast, Run], shared_workspace: Workspace
) -> None:
    _, run = ridge_forecast
    mild, hard = (
        run_scenario(
            run, shared_workspace, Scenario(weather={"temperature_min": mean - 4.0, "temperature_max": mean + 4.0})
        )
        for mean in (18, -5)
    )
    assert (mild["changed"] < hard["changed"]).all()


def test_scenario_file_replaces_weather(ridge_forecast: tuple[Forecast, Run], shared_workspace: Workspace) -> None:
    _, run = ridge_forecast
    milder = make_covariate_table({"temperature": np.full(10, 25.0)}, "2022-12-02")
    rows = run_scenario(run, shared_workspace, Scenario(tables=(milder,)))
    assert (rows["ratio"] < 0.8).all()


@pytest.mark.parametrize(
    ("weather_given", "words"),
    [
        ({"temperature_min": 20.0, "temperature_max": 10.0}, "20 °C is above the maximum temperature 10 °C"),
        ({"humidity": 101.0}, "humidity = 101 is out of range"),
        ({"temperature_min": -51.0}, "is out of range"),
        ({"wind": float("nan")}, "wind = nan is out of range"),
        ({"pressure": 3.0}, "pressure"),
    ],
)
def test_scenario_rejects_impossible_weather(
    weather_given: dict[str, float], words: str, ridge_forecast: tuple[Forecast, Run], shared_workspace: Workspace
) -> None:
    with pytest.raises(OptionError, match=words):
        run_scenario(ridge_forecast[1], shared_workspace, Scenario(weather=weather_given))


def test_scenario_rejects_unused_covariate(shared_workspace: Workspace, ridge_forecast: tuple[Forecast, Run]) -> None:
    with pytest.raises(DataError, match="wind"):
        run_scenario(ridge_forecast[1], shared_workspace, Scenario(weather={"wind": 30.0}))
    _, blind = run_forecast(make_data(), shared_workspace, "ridge", [make_weather()], horizon=1, weather="none")
    for scenario in (
        Scenario(temperature_delta=2.0),
        Scenario(weather={"temperature_min": 1.0, "temperature_max": 2.0}),
    ):
        with pytest.raises(DataError, match="temperature"):
            run_scenario(blind, shared_workspace, scenario)


# ---- recalibration --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("adaptation", [1.0, 0.0])
def test_recalibration_changes_intervals_only_if_they_gain(
    adaptation: float, shared_workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Noise grows by a factor of six. Fixed intervals, as in runs of earlier versions, are too narrow for it."""
    calibrated = partial(run_backtest, calibration=ConformalConfig(adaptation=adaptation))
    monkeypatch.setattr("core.tasks.forecast.run.run_backtest", calibrated)
    values = make_consumption(1000, 2)
    noise = np.random.default_rng(2).normal(0, 1, (1000, 2)) * np.geomspace(0.05, 0.3, 1000)[:, None]
    dataset = make_daily_dataset(np.maximum(values * (1 + noise), 1.0))
    result, run = run_forecast(
        dataset,
        shared_workspace,
        "ridge",
        [make_covariate_table({"temperature": make_temperatures(1030)})],
        horizon=2,
        backtest_from="2022-08-01",
    )
    better, again = recalibrate(RecalibrationSpec(run.id), dataset, workspace=shared_workspace, actor=ACTOR)
    assert np.array_equal(better.rows["forecast"], result.rows["forecast"])
    assert again.metrics["wape"] == pytest.approx(run.metrics["wape"])
    model = load_model(again.id, ForecastModel, shared_workspace)
    assert model.errors_ is not None
    assert asdict(model.errors_.calibration) == better.calibration
    if adaptation:
        assert "Recalibration brings no gain" in read_notes(better)
        assert better.calibration == result.calibration
        pd.testing.assert_frame_equal(better.rows, result.rows)
        with pytest.raises(DataError, match=r"trained on\. made\.csv has other data"):
            recalibrate(
                RecalibrationSpec(run.id), make_daily_dataset(values[:-3]), workspace=shared_workspace, actor=ACTOR
            )
    else:
        assert "Recalibrated on the first half" in read_notes(better)
        assert better.calibration != result.calibration
        assert again.metrics["mwql"] < run.metrics["mwql"]
        assert abs(again.metrics["coverage"] - 0.9) < abs(run.metrics["coverage"] - 0.9)


def test_forecast_tells_intervals_of_few_errors() -> None:
    series = Panel.from_dataset(make_daily_dataset(make_consumption(150, 2)))
    covariates = join_tables(make_daily_dataset(make_consumption(150, 2)), [])
    notes = []
    for count in (20, 60):
        model = ForecastModel(SeasonalNaive(), horizon=2)
        values = series.values[-count:]
        model.fit(series, covariates, ResidualHistory(np.stack([values * 1.01, values * 0.98]), values))
        spec = ForecastSpec(horizon=2)
        notes.append(" ".join(map(str, list_notes(model, spec, series, covariates))))
    assert "computed from few past errors: 20 periods, 2 ahead" in notes[0]
    assert "few past errors" not in notes[1]


# ---- reference values of the gas files ------------------------------------------------------------------------------


def test_forecast_of_gas_files(gas: Dataset, shared_data: Path) -> None:
    """Fitted before 2023 and tested from 2023 on, with observed weather; the limits leave some margin."""
    names = ("temperature-quotidienne-regionale.csv", "mouvements-sociaux-depuis-2002.csv", "vacances-scolaires.csv")
    covariates = join_tables(gas, read_covariates([shared_data / "gas_france" / name for name in names]))
    backtest = run_backtest(
        Ridge(), Panel.from_dataset(gas), covariates, start_date=pd.Timestamp("2023-01-01"), horizon=7
    )
    scores = build_report(backtest, np.array([0.05, 0.95]))["scores"].set_index(["entity", "step"]).loc[""]
    assert scores.loc[1, "wape"] <= 0.050
    assert scores.loc[7, "wape"] <= 0.091
    assert scores.loc[1, "skill_naive1"] > 0.5
    assert scores.loc[7, "skill_naive7"] > 0.3
    assert scores["coverage"].between(0.88, 0.92).all()
    assert scores.loc[1, "wape_naive7"] > 0.1
