"""Covariates at the times of the day: used where the data have such times and it is better, and always said."""

from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from core.actor import Actor
from core.array_types import Floats
from core.data.covariates import CovariateTable
from core.data.covariates.covariate_table import aggregate_by_day
from core.data.covariates.intraday import build_intraday
from core.data.dataset import Dataset, make_index
from core.errors import DataError
from core.forecasters.forecast_model import ForecastModel
from core.forecasters.ridge import Ridge
from core.runs.model_files import load_model
from core.runs.tracked_run import Run
from core.tasks.forecast.result import Forecast
from core.tasks.forecast.run import apply_model, forecast
from core.tasks.forecast.scenarios import Scenario, what_if
from core.tasks.forecast.spec import ForecastApplySpec, ForecastSpec
from core.workspace import Workspace
from tests.conftest import create_workspace

ACTOR = Actor("alice", "tests")
DAYS, AHEAD = 150, 4
START = pd.Timestamp("2022-01-01")
HOURS = np.arange(24)


@pytest.fixture(scope="module")
def times_workspace(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Workspace:
    """Workspace shared by the tests of this module."""
    return create_workspace(tmp_path_factory.mktemp("times"), empty_store)


@cache
def make_celsius() -> Floats:
    """Return hourly temperatures (days, hours); the hour of the cold spell of a day cannot be told from its mean."""
    random = np.random.default_rng(0)
    days = DAYS + AHEAD + 2
    centre = random.uniform(2, 22, days)[:, None]
    return np.asarray(12 - 9 * np.exp(-(((HOURS - centre) / 2.5) ** 2)) + random.normal(0, 0.2, (days, 24)))


def make_loads(days: int = DAYS, is_driven: bool = True) -> Dataset:
    """Return hourly loads that rise with the cold of the hour, or that the temperature does not move."""
    random = np.random.default_rng(1)
    cold = 16 - make_celsius()[:days] if is_driven else np.zeros((days, 24))
    values = (50 + 10 * np.sin(2 * np.pi * HOURS / 24) + 3 * cold) * random.normal(1, 0.01, (days, 24))
    times = pd.date_range(START, periods=24 * days, freq="h")
    frame = pd.DataFrame({"load": values.ravel()}, index=make_index(["a"] * len(times), times))
    return Dataset(frame, "tidy_series", step=pd.Timedelta(hours=1), unit="MW", files=("loads.csv",))


def make_weather(days: int = DAYS + AHEAD, has_times: bool = True) -> CovariateTable:
    """Return the temperatures as the table of a file, with or without its hours."""
    times = pd.date_range(START, periods=24 * days, freq="h")
    values = pd.DataFrame({"temperature": make_celsius()[:days].ravel()})
    places = np.full(len(times), "", dtype=object)
    intraday = build_intraday(values, times, places, places) if has_times else None
    return CovariateTable("weather", aggregate_by_day(values, times, places), "weather.csv", intraday=intraday)


def ask_forecast(
    workspace: Workspace, table: CovariateTable, dataset: Dataset | None = None, **fields: object
) -> tuple[Forecast, Run]:
    digest = workspace.covariates.save([table])
    spec = ForecastSpec(**{"forecaster": Ridge(), "resolution": "hour", "horizon": 2, "covariates": digest} | fields)  # type: ignore[arg-type]
    return forecast(spec, dataset or make_loads(), workspace=workspace, actor=ACTOR)


def read_notes(result: Forecast) -> str:
    return " ".join(map(str, result.notes))


@pytest.fixture(scope="module")
def hourly_forecast(times_workspace: Workspace) -> tuple[Forecast, Run]:
    """Result and run of a forecast of hours with hourly temperatures."""
    return ask_forecast(times_workspace, make_weather())


def test_hours_of_weather_shape_the_hours_of_a_day(
    hourly_forecast: tuple[Forecast, Run], times_workspace: Workspace
) -> None:
    result, run = hourly_forecast
    assert result.timed_covariates == ("temperature",)
    assert "Covariates at the times of the day: temperature. On the last 37 days" in read_notes(result)
    by_day, _ = ask_forecast(times_workspace, make_weather(has_times=False))
    assert by_day.timed_covariates == ()
    assert "are not known: temperature" in read_notes(by_day)
    assert run.metrics["wape"] < 0.5 * by_day.metrics()["wape"]


@pytest.mark.parametrize("days", [60, DAYS])
def test_hours_of_weather_improve_forecasts_of_steps(days: int, times_workspace: Workspace) -> None:
    dataset = make_loads(days)
    fields = {"dataset": dataset, "resolution": "step", "horizon": 24}
    result, _ = ask_forecast(times_workspace, make_weather(), **fields)  # type: ignore[arg-type]
    by_day, _ = ask_forecast(times_workspace, make_weather(has_times=False), **fields)  # type: ignore[arg-type]
    assert result.timed_covariates == ("temperature",)
    assert result.metrics()["wape"] < 0.6 * by_day.metrics()["wape"]


@pytest.mark.parametrize("resolution", ["hour", "step"])
def test_hours_without_a_gain_count_by_day_and_this_is_said(resolution: str, times_workspace: Workspace) -> None:
    dataset = make_loads(is_driven=False)
    result, _ = ask_forecast(times_workspace, make_weather(), dataset=dataset, resolution=resolution)
    assert result.timed_covariates == ()
    assert "were not measurably better on the last" in read_notes(result)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"weather": "degraded"}, "because the usual error of a weather forecast"),
        ({"dataset": make_loads(25), "resolution": "step", "horizon": 3}, "because the history is too short"),
    ],
)
def test_reason_for_values_of_the_day_is_said(
    fields: dict[str, object], reason: str, times_workspace: Workspace
) -> None:
    result, _ = ask_forecast(times_workspace, make_weather(), **fields)  # type: ignore[arg-type]
    assert result.timed_covariates == ()
    assert reason in read_notes(result)


def test_forecast_of_whole_days_says_nothing_of_times(times_workspace: Workspace) -> None:
    result, _ = ask_forecast(times_workspace, make_weather(), resolution="day")
    assert result.timed_covariates == ()
    assert "of the day:" not in read_notes(result)


def test_file_that_ends_before_the_horizon_is_completed_and_this_is_said(times_workspace: Workspace) -> None:
    result, _ = ask_forecast(times_workspace, make_weather(days=DAYS + 1))
    assert "missing from 2022-06-01 on. Their usual values for the date and the time of the day" in read_notes(result)
    assert result.rows["assumed"].tolist() == [False] * 24 + [True] * 24


def test_model_of_hours_refuses_a_file_of_days(
    hourly_forecast: tuple[Forecast, Run], times_workspace: Workspace
) -> None:
    digest = times_workspace.covariates.save([make_weather(has_times=False)])
    with pytest.raises(DataError, match="'temperature' at the times of the day"):
        apply_model(
            ForecastApplySpec(hourly_forecast[1].id, digest), make_loads(), workspace=times_workspace, actor=ACTOR
        )


def test_served_model_takes_the_hours_of_its_table(
    hourly_forecast: tuple[Forecast, Run], times_workspace: Workspace
) -> None:
    result, run = hourly_forecast
    model = load_model(run.id, ForecastModel, times_workspace)
    rows = make_loads().frame["load"].reset_index().rename(columns={"load": "value"})
    times = pd.date_range(START, periods=24 * (DAYS + AHEAD), freq="h")
    table = pd.DataFrame({"entity": "a", "time": times, "temperature": make_celsius()[: DAYS + AHEAD].ravel()})
    table = table.merge(rows, how="left", on=["entity", "time"])
    for name in model.covariate_names_:
        table[name] = table.get(name, 0.0)
    assert np.allclose(model.predict(table)["forecast"], result.rows["forecast"], rtol=1e-6)


def test_warmer_scenario_moves_all_hours(hourly_forecast: tuple[Forecast, Run], times_workspace: Workspace) -> None:
    """Warmer days need less; the cold hours keep the largest loads."""
    rows = what_if(
        make_loads(), hourly_forecast[1].id, Scenario(temperature_delta=2.0), workspace=times_workspace, actor=ACTOR
    )
    assert (rows["changed"].groupby(rows["step"]).sum() < rows["forecast"].groupby(rows["step"]).sum()).all()
    assert np.corrcoef(rows["changed"], rows["forecast"])[0, 1] > 0.98
