"""The task `forecast` on data of any step, length and measure: what it chooses, says and refuses."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from core.actor import Actor
from core.array_types import Floats
from core.data.dataset import Dataset, make_index
from core.data.ingest.layouts.tidy_series import compute_usual_step
from core.errors import DataError, OptionError
from core.forecasters.forecast_model import ForecastModel
from core.forecasters.seasonal_naive import SeasonalNaive
from core.forecasters.series.auto_ets import AutoEts
from core.runs.model_files import load_model
from core.tasks.forecast.result import Forecast
from core.tasks.forecast.run import forecast
from core.tasks.forecast.spec import ForecastSpec
from core.workspace import Workspace
from tests.conftest import create_workspace


@pytest.fixture(scope="module")
def step_workspace(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Workspace:
    """Workspace shared by the tests of this module."""
    return create_workspace(tmp_path_factory.mktemp("steps"), empty_store)


def make_steps(frequency: str, count: int, values: Floats | None = None, **fields: Any) -> Dataset:
    """Return a dataset of one entity with a wave of 12 steps, or with these values."""
    times = pd.date_range("2021-01-01", periods=count, freq=frequency)
    wave = 100 + 20 * np.sin(2 * np.pi * np.arange(count) / 12) + np.random.default_rng(count).normal(0, 2, count)
    frame = pd.DataFrame({"value": wave if values is None else values}, index=make_index(["a"] * count, times))
    dataset = Dataset(frame, "tidy_series", files=("made.csv",), **{"unit": "MWh"} | fields)
    return dataset.replace(step=compute_usual_step(dataset))


def ask_forecast(dataset: Dataset, workspace: Workspace, **fields: Any) -> Forecast:
    """Return the result of a seasonal naive forecast, or of the given forecaster."""
    spec = ForecastSpec(**{"forecaster": SeasonalNaive()} | fields)
    return forecast(spec, dataset, workspace=workspace, actor=Actor("alice", "tests"))[0]


@pytest.mark.parametrize(
    ("frequency", "count", "horizon", "resolution", "periods"),
    [
        ("MS", 60, "1 year", "step", 12),
        ("W-MON", 120, "4w", "step", 4),
        ("5min", 12 * 24 * 3, "1h", "step", 12),
        ("h", 24 * 40, "2 days", "day", 2),
        ("D", 30, 7, "day", 7),
        ("QS-JAN", 24, 4, "step", 4),
    ],
)
def test_forecast_suits_the_step_of_the_data(
    frequency: str, count: int, horizon: int | str, resolution: str, periods: int, step_workspace: Workspace
) -> None:
    result = ask_forecast(make_steps(frequency, count), step_workspace, horizon=horizon)
    spec = result.model_spec
    assert (spec.resolution, spec.horizon, len(result.rows)) == (resolution, periods, periods)
    assert np.isfinite(result.rows[["forecast", "naive1"]]).all(axis=None)
    assert np.isfinite(result.metrics()["wape"])
    assert any("step" in str(note) for note in result.cautions) == (resolution == "step")
    expected = pd.date_range("2021-01-01", periods=count + periods, freq=frequency)[count:]
    if resolution == "step":
        assert result.rows["time"].tolist() == expected.tolist()
        assert result.frequency == frequency


def test_forecast_of_monthly_data_is_served_again(step_workspace: Workspace) -> None:
    """The saved model of months forecasts a later file of the same step, and refuses another step."""
    dataset = make_steps("MS", 60)
    spec = ForecastSpec(forecaster=AutoEts(), horizon=3)
    result, run = forecast(spec, dataset, workspace=step_workspace, actor=Actor("alice", "tests"))
    model = load_model(run.id, ForecastModel, step_workspace)
    table = dataset.frame.reset_index()
    for name in model.covariate_names_:
        table[name] = 0.0
    assert np.allclose(model.predict(table)["forecast"], result.rows["forecast"], rtol=1e-6)
    with pytest.raises(DataError, match=r"trained on MS.*have W-MON"):
        model.forecast_amounts(model.select_series(make_steps("W-MON", 60)), None, 3)  # type: ignore[arg-type]


@pytest.mark.parametrize(("horizon", "message"), [("36h", "1.5 periods"), ("soon", "not accepted"), (93, "1 to 92")])
def test_forecast_refuses_horizon(horizon: int | str, message: str, step_workspace: Workspace) -> None:
    with pytest.raises(OptionError, match=message):
        ask_forecast(make_steps("D", 200), step_workspace, horizon=horizon)


@pytest.mark.parametrize(("start", "resolution"), [("2021-01-01 00:00", "day"), ("2021-01-01 00:04", "step")])
def test_forecast_of_steps_off_midnight_is_made_per_step(
    start: str, resolution: str, step_workspace: Workspace
) -> None:
    dataset = make_steps("3h", 8 * 40)
    times = pd.date_range(start, periods=len(dataset), freq="3h")
    moved = dataset.replace(frame=dataset.frame.set_axis(make_index(["a"] * len(times), times)))
    assert ask_forecast(moved, step_workspace).model_spec.resolution == resolution


def test_forecast_names_rows_needed(step_workspace: Workspace) -> None:
    with pytest.raises(DataError, match=r"at least 14 values.*have 9, one per D"):
        ask_forecast(make_steps("D", 9), step_workspace)


def test_forecast_tells_short_test(step_workspace: Workspace) -> None:
    result = ask_forecast(make_steps("D", 30), step_workspace)
    assert any("only 8 forecasts at a horizon of 7" in str(note) for note in result.notes)
    assert not any("history is short" in str(note) for note in ask_forecast(make_steps("D", 400), step_workspace).notes)


# ---- measures -------------------------------------------------------------------------------------------------------


def add_columns(dataset: Dataset, **columns: float) -> Dataset:
    """Return the dataset with more measures."""
    return dataset.replace(frame=dataset.frame.assign(**columns))


def test_forecast_does_not_guess_a_column(step_workspace: Workspace) -> None:
    dataset = make_steps("D", 60)
    dataset = dataset.replace(frame=dataset.frame.rename(columns={"value": "HUFL"}).assign(OT=3.0))
    with pytest.raises(DataError, match=r"made\.csv has several columns: HUFL, OT"):
        ask_forecast(dataset, step_workspace)
    assert ask_forecast(dataset, step_workspace, measure="OT").model_spec.measure == "OT"


def test_forecast_tells_obvious_column(step_workspace: Workspace) -> None:
    result = ask_forecast(add_columns(make_steps("D", 60), humidity=3.0), step_workspace)
    assert result.model_spec.measure == "value"
    assert any("The column value is forecast, of value, humidity" in str(note) for note in result.cautions)


@pytest.mark.parametrize(("kind", "aggregation", "told"), [("counts", "sum", "summed"), ("levels", "mean", "averaged")])
def test_forecast_tells_guessed_aggregation(kind: str, aggregation: str, told: str, step_workspace: Workspace) -> None:
    values = np.random.default_rng(0).poisson(9, 24 * 40) + (0.0 if kind == "counts" else 0.5)
    dataset = make_steps("h", 24 * 40, values.astype(float), unit="")
    dataset = dataset.replace(frame=dataset.frame.set_axis(["x"], axis=1))
    result = ask_forecast(dataset, step_workspace, horizon=2)
    assert result.model_spec.aggregation == aggregation
    assert any(told in str(note) for note in result.cautions)
    asked = ask_forecast(dataset, step_workspace, horizon=2, aggregation="mean")
    assert asked.rows["forecast"].mean() == pytest.approx(values.mean(), rel=0.2)
    assert not any("values of a day" in str(note) for note in asked.cautions)


@pytest.mark.parametrize("frequency", ["10min", "W-MON", "MS"])
@pytest.mark.parametrize("kind", ["negative", "zeros", "sparse"])
def test_forecast_of_unusual_values_at_any_step(frequency: str, kind: str, step_workspace: Workspace) -> None:
    count = 144 * 4 if frequency == "10min" else 130
    random = np.random.default_rng(1)
    values = {
        "negative": random.normal(-20, 5, count),
        "zeros": np.zeros(count),
        "sparse": np.where(random.random(count) < 0.15, random.poisson(5, count), 0).astype(float),
    }[kind]
    result = ask_forecast(make_steps(frequency, count, values), step_workspace, horizon=3, resolution="step")
    assert np.isfinite(result.rows["forecast"]).all()
    low, high = values.min(), values.max()
    assert result.rows["forecast"].between(low, high).all()
