"""The contract of all forecasters, their inputs known in advance, and the leakage check of covariates."""

import copy
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.array_types import Floats
from core.data.covariates import Covariates, read_covariates
from core.data.dataset import Dataset
from core.data.panel import Panel
from core.errors import DataError
from core.forecasters.backtests.leakage import find_leaks
from core.forecasters.base import Forecaster
from core.forecasters.blend import Blend
from core.forecasters.panels.covariate_panel import CovariatePanel, select_covariates
from core.forecasters.panels.weather_errors import LEAD_ERRORS_C
from core.forecasters.ridge import Ridge
from core.forecasters.series.base import SeriesForecaster
from core.progress import CancelledError, Progress
from core.spec.hyperparameters import build_from_settings, get_hyperparameters, get_params
from core.tasks.forecast.spec import list_forecasters
from tests.support.sample_series import (
    join_tables,
    make_consumption,
    make_covariate_table,
    make_daily_dataset,
    make_temperatures,
)

COVARIATE_FORECASTERS = [name for name, cls in list_forecasters().items() if not issubclass(cls, SeriesForecaster)]
WEATHER_FORECASTERS = [
    name for name in COVARIATE_FORECASTERS if name not in ("exponential-smoothing", "intermittent", "season-line")
]
EVERY_FORECASTER = pytest.mark.parametrize("name", [*COVARIATE_FORECASTERS, "seasonal-naive"])
"""Forecasters of daily amounts; those of quantiles are in test_series_forecasters.py."""
FAST_SETTINGS: dict[str, dict[str, Any]] = {
    "random-forest": {"n_estimators": 10},
    "gradient-boosting": {"max_iter": 15},
    "blend": {"trees": "random-forest"},
    "automatic": {"seconds": 3},
    "feed-forward": {"epochs": 1},
    "deepar": {"epochs": 1, "samples": 100},
    "auto-arima": {"max_order": 1},
    "quantile-forest": {"n_estimators": 10, "max_train_rows": 4000},
    "gradient-boosting-quantiles": {"max_iter": 20, "max_train_rows": 5000, "min_samples_leaf": 50},
}
TOO_FEW_DAYS = {"automatic": 3, "exponential-smoothing": 7, "intermittent": 7, "season-line": 7}
DAYS, HORIZON_STEPS = 420, (1, 2, 3)


def make_fast_forecaster(name: str) -> Forecaster:
    return build_from_settings(list_forecasters()[name], FAST_SETTINGS.get(name, {}))


def make_strikes() -> Floats:
    return (np.random.default_rng(5).random(DAYS + 30) < 0.05).astype(float)


@cache
def make_panel(count: int = 2) -> Panel:
    return Panel.from_dataset(make_daily_dataset(make_consumption(DAYS, count, strike=make_strikes()[:DAYS])))


@cache
def make_covariates() -> Covariates:
    covariate_table = make_covariate_table({"temperature": make_temperatures(DAYS + 30), "strike": make_strikes()})
    return join_tables(make_daily_dataset(make_consumption(DAYS, 2)), [covariate_table])


def make_inputs(panel: Panel) -> CovariatePanel:
    return CovariatePanel.from_covariates(panel, make_covariates(), select_covariates(panel, make_covariates()).names)


@cache
def fit_forecaster(name: str) -> Forecaster:
    return make_fast_forecaster(name).fit(make_panel(), make_inputs(make_panel()), HORIZON_STEPS[-1])


def replace_values(panel: Panel, values: Floats) -> Panel:
    return Panel(panel.periods, panel.entities, panel.slots, values, panel.unit, panel.is_averaged, panel.day_start)


def are_equal(first: Floats, second: Floats) -> bool:
    return np.array_equal(first, second, equal_nan=True)


# ---- contract of all forecasters ------------------------------------------------------------------------------------


def test_forecaster_registry_lists_folder() -> None:
    assert {"seasonal-naive", "ridge", "random-forest", "gradient-boosting", "blend"} <= set(list_forecasters())


@EVERY_FORECASTER
@pytest.mark.parametrize("later", ["other", "tenfold", "unknown"])
def test_forecaster_ignores_values_after_origin(name: str, later: str) -> None:
    """All amounts after day t change. Forecasts `step` days ahead stay bit-identical up to day t + `step`."""
    t = 350
    values = make_panel().values.copy()
    values[t + 1 :] = {"other": values[t + 1 :][::-1] * 1.3 + 7, "tenfold": values[t + 1 :] * 10, "unknown": np.nan}[
        later
    ]
    changed = replace_values(make_panel(), values)
    for step in HORIZON_STEPS:
        before = fit_forecaster(name).predict(make_panel(), make_inputs(make_panel()), step)
        after = fit_forecaster(name).predict(changed, make_inputs(changed), step)
        assert np.isfinite(before[300:]).all()
        assert np.array_equal(before[300 : t + step + 1], after[300 : t + step + 1]), step
        assert not are_equal(before[t + step + 1 :], after[t + step + 1 :]), "the change reaches later days"


@EVERY_FORECASTER
def test_forecaster_ignores_length_of_future(name: str) -> None:
    """A series that ends at day t gives the same forecast as the whole series."""
    t = 350
    shorter = make_panel().select_before(make_panel().periods[t + 1]).extend(3)
    for step in HORIZON_STEPS:
        expected = fit_forecaster(name).predict(make_panel(), make_inputs(make_panel()), step, t + step)[0]
        assert np.allclose(
            fit_forecaster(name).predict(shorter, make_inputs(shorter), step, t + step)[0], expected, rtol=1e-9
        ), step


@EVERY_FORECASTER
def test_forecaster_is_deterministic_with_seed(name: str) -> None:
    refitted = make_fast_forecaster(name).fit(make_panel(), make_inputs(make_panel()), HORIZON_STEPS[-1])
    for step in HORIZON_STEPS:
        first, second, third = (
            forecaster.predict(make_panel(), make_inputs(make_panel()), step)
            for forecaster in (fit_forecaster(name), refitted, refitted)
        )
        assert are_equal(first, second)
        assert are_equal(second, third)


@EVERY_FORECASTER
def test_forecaster_returns_nan_without_history(name: str) -> None:
    """Entity "a" has no values for 40 days; the forecasts of "b" do not change."""
    values = make_panel().values.copy()
    values[360:400, 0] = np.nan
    changed = replace_values(make_panel(), values)
    for step in HORIZON_STEPS:
        forecast = fit_forecaster(name).predict(changed, make_inputs(changed), step)
        assert np.isnan(forecast[380 + step : 400 + step, 0]).all(), step
        assert np.isnan(forecast[400 + step, 0]), "the forecast origin is known again, the week before it is not"
        assert np.isnan(forecast[:step]).all(), "no value is known before the first day"
        assert are_equal(
            forecast[:, 1], fit_forecaster(name).predict(make_panel(), make_inputs(make_panel()), step)[:, 1]
        )


@EVERY_FORECASTER
def test_forecaster_does_not_modify_input(name: str) -> None:
    panel = replace_values(make_panel(), make_panel().values.copy())
    inputs = make_inputs(panel)
    values_before, columns_before = panel.values.copy(), copy.deepcopy(inputs.columns)
    make_fast_forecaster(name).fit(panel, inputs, 2).predict(panel, inputs, 2)
    make_fast_forecaster(name).fit(panel, inputs, 2).compute_importance(panel, inputs, 1, 300)
    assert np.array_equal(panel.values, values_before)
    assert all(np.array_equal(columns_before[column], inputs.columns[column]) for column in columns_before)


@EVERY_FORECASTER
def test_forecaster_predicts_from_first_requested_day(name: str) -> None:
    expected = fit_forecaster(name).predict(make_panel(), make_inputs(make_panel()), 2)
    assert np.allclose(
        fit_forecaster(name).predict(make_panel(), make_inputs(make_panel()), 2, 300), expected[300:], rtol=1e-12
    )


@EVERY_FORECASTER
def test_forecaster_predicts_beyond_last_day(name: str) -> None:
    longer = make_panel().extend(3)
    for step in HORIZON_STEPS:
        forecast = fit_forecaster(name).predict(longer, make_inputs(longer), step, DAYS + step - 1)[0]
        usual = make_panel().amounts[-28:].mean(axis=0)
        assert (forecast > 0.5 * usual).all()
        assert (forecast < 2 * usual).all()


@EVERY_FORECASTER
def test_forecaster_hyperparameters_have_help_and_valid_default(name: str) -> None:
    cls = list_forecasters()[name]
    assert all(field.metadata["help"] for field in get_hyperparameters(cls).values())
    assert get_params(build_from_settings(cls, get_params(cls()))) == get_params(cls())
    fitted_attributes = vars(fit_forecaster(name)).keys() - get_hyperparameters(cls).keys()
    assert all(attribute.endswith("_") for attribute in fitted_attributes)


@pytest.mark.parametrize("name", COVARIATE_FORECASTERS)
def test_forecaster_rejects_short_history_and_reports_progress(name: str) -> None:
    short = Panel.from_dataset(make_daily_dataset(make_consumption(TOO_FEW_DAYS.get(name, 6), 2)))
    with pytest.raises(DataError, match="At least"):
        make_fast_forecaster(name).fit(short, make_inputs(short), 1)
    recorder = ProgressRecorder()
    make_fast_forecaster(name).fit(make_panel(), make_inputs(make_panel()), 2, recorder)
    assert recorder.shares == sorted(recorder.shares)
    assert recorder.shares[-1] == 1


@pytest.mark.parametrize("name", WEATHER_FORECASTERS)
def test_forecaster_beats_naive_with_weather(name: str) -> None:
    naive = list_forecasters()["seasonal-naive"]()
    forecaster = fit_forecaster(name)
    actual = make_panel().amounts[60:]
    errors = [
        np.abs(model.predict(make_panel(), make_inputs(make_panel()), 3)[60:] - actual).mean()
        for model in (forecaster, naive)
    ]
    assert errors[0] < 0.7 * errors[1]


@pytest.mark.parametrize("name", ["ridge", "random-forest"])
def test_forecaster_importance_ranks_true_causes(name: str) -> None:
    importance = fit_forecaster(name).compute_importance(make_panel(), make_inputs(make_panel()), 1, 300)
    assert {"calendar", "past", "weather", "strike"} <= set(importance)
    assert importance["weather"] > 0
    assert importance["strike"] > importance["school_break"]


class ProgressRecorder(Progress):
    """Progress that records the reported shares (0–1)."""

    def __init__(self) -> None:
        super().__init__()
        self.shares: list[float] = []

    def report(self, share: float, stage: str = "") -> None:
        super().report(share, stage)
        self.shares.append(share)


def test_progress_parts_are_shares_of_whole() -> None:
    recorder = ProgressRecorder()
    recorder.create_part(1, 2).create_part(0, 2).report(0.5)
    assert recorder.shares == [0.625]
    recorder.create_part(0, 2).create_part(0, 2).cancel()
    with pytest.raises(CancelledError):
        recorder.create_part(1, 2).report(1)


# ---- unusual series -------------------------------------------------------------------------------------------------


@EVERY_FORECASTER
@pytest.mark.parametrize("kind", ["constant", "zeros", "negative", "one zero entity", "trend"])
def test_forecaster_stays_in_range_of_unusual_series(name: str, kind: str) -> None:
    noise = np.random.default_rng(0).normal(0, 1, (DAYS, 2))
    values = {
        "constant": np.full((DAYS, 2), 7.0),
        "zeros": np.zeros((DAYS, 2)),
        "negative": 5 * noise - 2,
        "one zero entity": make_consumption(DAYS, 2) * [1, 0],
        "trend": np.arange(DAYS)[:, None] + 100 + noise,
    }[kind]
    panel = Panel.from_dataset(make_daily_dataset(values))
    forecast = make_fast_forecaster(name).fit(panel, make_inputs(panel), 2).predict(panel, make_inputs(panel), 2, 360)
    assert np.isfinite(forecast).all()
    spread = max(np.ptp(values), 1e-6)
    assert (forecast >= values.min() - 0.5 * spread).all()
    assert (forecast <= values.max() + 0.5 * spread).all()
    if kind == "one zero entity":
        assert np.abs(forecast[:, 1]).max() < 1e-6 * values.max()


@EVERY_FORECASTER
def test_forecaster_handles_new_negative_amounts(name: str) -> None:
    """Amounts turn negative after the fit: no warning, and no forecast beyond twice the largest amount."""
    values = make_panel().values.copy()
    values[-3:] *= -0.2
    changed = replace_values(make_panel(), values)
    forecast = fit_forecaster(name).predict(changed.extend(1), make_inputs(changed.extend(1)), 1, DAYS)
    assert not np.isinf(forecast).any()
    assert np.nanmax(np.abs(forecast), initial=0) < 2 * make_panel().amounts.max()


@EVERY_FORECASTER
def test_forecaster_handles_short_entity(name: str) -> None:
    values = np.concatenate([make_consumption(DAYS, 2), make_consumption(DAYS, 1)], axis=1)
    values[: DAYS - 35, 2] = np.nan
    panel = Panel.from_dataset(make_daily_dataset(values))
    longer = panel.extend(1)
    forecast = (
        make_fast_forecaster(name).fit(panel, make_inputs(panel), 1).predict(longer, make_inputs(longer), 1, DAYS)[0]
    )
    assert np.isfinite(forecast[:2]).all()
    usual = values[-28:, 2].mean()
    assert np.isnan(forecast[2]) or 0.5 * usual < forecast[2] < 2 * usual


@EVERY_FORECASTER
def test_forecaster_bridges_missing_days(name: str) -> None:
    values = make_panel().values.copy()
    values[np.random.default_rng(3).random(values.shape) < 0.1] = np.nan
    incomplete = replace_values(make_panel(), values)
    forecast = (
        make_fast_forecaster(name)
        .fit(incomplete, make_inputs(incomplete), 1)
        .predict(incomplete, make_inputs(incomplete), 1, 300)
    )
    assert np.isfinite(forecast).all()
    assert np.nanmean(np.abs(forecast - make_panel().amounts[300:])) < 0.4 * make_panel().amounts.mean()


def test_outlier_day_excluded_from_features_and_targets() -> None:
    """One day is tenfold: the forecasts of the next five days change by at most 25 %."""
    values = make_panel().values.copy()
    values[380] *= 10
    changed = replace_values(make_panel(), values)
    forecasts = [
        fit_forecaster("ridge").predict(panel, make_inputs(panel), 1, 381)[:5] for panel in (make_panel(), changed)
    ]
    assert np.allclose(*forecasts, rtol=0.25)
    assert np.isnan(changed.training_targets[380]).all()


def test_outlier_check_uses_earlier_days_only() -> None:
    """Forecasts made on a tenfold day do not depend on whether later days are tenfold too."""
    single_outlier, level_change = make_panel().values.copy(), make_panel().values.copy()
    single_outlier[350] *= 10
    level_change[350:] *= 10
    outlier_panel, level_panel = (replace_values(make_panel(), values) for values in (single_outlier, level_change))
    forecasts = [
        fit_forecaster("ridge").predict(panel, make_inputs(panel), 1)[300:352] for panel in (outlier_panel, level_panel)
    ]
    assert np.array_equal(*forecasts)


def test_ridge_trend_does_not_depend_on_first_day() -> None:
    """A forecast from the last 150 days equals the forecast from the whole history."""
    data = make_daily_dataset(make_consumption(1100, 2) * np.linspace(1, 3, 1100)[:, None])
    panel, covariates = (
        Panel.from_dataset(data),
        join_tables(data, [make_covariate_table({"temperature": make_temperatures(1130)})]),
    )
    ridge = Ridge().fit(panel, CovariatePanel.from_covariates(panel, covariates, ["temperature"]), 2)
    whole_panel, part_panel = (history.extend(2) for history in (panel, panel.tail(150)))
    for step in (1, 2):
        whole_forecast, part_forecast = (
            ridge.predict(
                history,
                CovariatePanel.from_covariates(history, covariates, ["temperature"]),
                step,
                len(history) - 3 + step,
            )[0]
            for history in (whole_panel, part_panel)
        )
        assert np.allclose(whole_forecast, part_forecast, rtol=1e-6)


def test_blend_is_mean_of_parts() -> None:
    blend = fit_forecaster("blend")
    assert isinstance(blend, Blend)
    parts = [part.predict(make_panel(), make_inputs(make_panel()), 2) for part in blend.forecasters_]
    assert are_equal(blend.predict(make_panel(), make_inputs(make_panel()), 2), (parts[0] + parts[1]) / 2)


def test_seasonal_naive_repeats_same_weekday() -> None:
    panel = Panel.from_dataset(make_daily_dataset(np.arange(50.0)[:, None] + 100))
    naive = list_forecasters()["seasonal-naive"]().fit(panel, make_inputs(panel), 9)
    for step, back in ((1, 7), (7, 7), (8, 14), (9, 14)):
        assert naive.predict(panel, make_inputs(panel), step)[40, 0] == 140 - back


# ---- inputs known in advance ----------------------------------------------------------------------------------------


def test_covariate_gap_is_filled_with_usual_value() -> None:
    data = make_daily_dataset(make_consumption(800, 2))
    covariates = join_tables(data, [make_covariate_table({"temperature": make_temperatures(802)})])
    inputs = CovariatePanel.from_covariates(Panel.from_dataset(data).extend(7), covariates, ["temperature"])
    assert np.flatnonzero(inputs.assumed[:, 0]).tolist() == [802, 803, 804, 805, 806, 807]
    assert np.array_equal(inputs.columns["temperature"][:802, 0], make_temperatures(802))
    usual = make_temperatures(808)[[802 - 365, 802 - 730]].mean()
    assert inputs.columns["temperature"][804, 1] == pytest.approx(usual, abs=3)


def test_missing_covariate_is_refused_except_flags() -> None:
    data = make_daily_dataset(make_consumption(100, 1))
    covariates = join_tables(data, [])
    with pytest.raises(DataError, match="needs the covariate 'temperature'"):
        CovariatePanel.from_covariates(Panel.from_dataset(data), covariates, ["temperature"])
    assert (
        CovariatePanel.from_covariates(Panel.from_dataset(data), covariates, ["strike"]).columns["strike"] == 0
    ).all()


def test_degraded_weather_error_grows_with_lead_time() -> None:
    """Degraded weather has no error for past days, a larger error farther ahead, and is reproducible."""
    data = make_daily_dataset(make_consumption(1500, 3))
    covariates = join_tables(data, [make_covariate_table({"temperature": make_temperatures(1530)})])
    panel = Panel.from_dataset(data)
    exact, degraded = (
        CovariatePanel.from_covariates(panel, covariates, ["temperature"], weather, 9)
        for weather in ("original", "degraded")
    )  # type: ignore[arg-type]
    for step in (1, 7):
        error = degraded.get_known_values("temperature", 0, step) - exact.get_known_values("temperature", 0, step)
        assert np.nanstd(error) == pytest.approx(LEAD_ERRORS_C[step - 1], rel=0.1)
        assert are_equal(
            degraded.get_known_values("temperature", step, step), exact.get_known_values("temperature", step, step)
        )
        assert are_equal(
            degraded.get_known_values("temperature", 0, step), degraded.get_known_values("temperature", 0, step)
        )
    assert not are_equal(
        degraded.get_known_values("temperature", 1, 2), degraded.get_known_values("temperature", 0, 1)
    ), "errors two days ahead differ from those one day ahead"


def test_degraded_weather_is_consistent_for_one_origin() -> None:
    """Forecasts one and two days ahead of one origin see the same temperature for the next day."""
    data = make_daily_dataset(make_consumption(100, 2))
    covariates = join_tables(data, [make_covariate_table({"temperature": make_temperatures(130)})])
    degraded = CovariatePanel.from_covariates(Panel.from_dataset(data), covariates, ["temperature"], "degraded", 7)
    assert np.allclose(
        degraded.get_known_values("temperature", 0, 1)[51], degraded.get_known_values("temperature", 1, 2)[52]
    )


def test_usable_columns_omit_excluded_weather() -> None:
    names = select_covariates(make_panel(), make_covariates()).names
    assert "temperature" in names
    selection = select_covariates(make_panel(), make_covariates(), "none")
    assert selection.names == [name for name in names if name != "temperature"]
    assert "temperature" not in selection.left_out


def test_short_history_uses_what_it_knows_and_says_what_it_leaves_out() -> None:
    selection = select_covariates(make_panel().tail(30), make_covariates())
    assert selection.names == ["temperature", "school_break"]
    assert "3 days with it are needed to learn its effect, and the data have 1." in str(selection.left_out["strike"])


@given(known=st.integers(0, 200), length=st.integers(14, 200), events=st.integers(0, 10))
def test_covariate_is_used_or_named_with_a_reason(known: int, length: int, events: int) -> None:
    days = pd.date_range("2024-01-01", periods=length, name="day")
    panel = Panel(days, ("a",), ("day",), np.ones((length, 1, 1)))
    values = np.where(np.arange(length) < known, np.arange(float(length)), np.nan)
    flags = (np.arange(length) % 2 == 0) & (np.arange(length) < 2 * events)
    index = pd.MultiIndex.from_product([["a"], days], names=["entity", "day"])
    frame = pd.DataFrame({"price": values, "holiday": flags.astype(float)}, index=index)
    selection = select_covariates(panel, Covariates(frame))
    assert {*selection.names, *selection.left_out} == {"price", "holiday"}
    assert not set(selection.names) & set(selection.left_out)
    assert ("price" in selection.names) == (min(known, length) >= max(10, min(60, length // 2)))
    assert ("holiday" in selection.names) == (min(events, (length + 1) // 2) >= 3)


# ---- leakage check --------------------------------------------------------------------------------------------------


def make_leaking_column(name: str, total: Floats) -> Floats:
    return {
        "daily total": total,
        "24 × the mean": 24 * (total / 24),
        "logarithm": np.log(total),
        "scaled": 3 - total / 7,
        "tomorrow": np.roll(total, -1),
        "a week later": np.roll(total, 7),
        "a week earlier": np.roll(total, -7),
        "rounded": np.round(total, 0),
    }[name]


@pytest.mark.parametrize(
    "name",
    ["daily total", "24 × the mean", "logarithm", "scaled", "tomorrow", "a week later", "a week earlier", "rounded"],
)
def test_leakage_check_names_leaking_covariate(name: str) -> None:
    data = make_daily_dataset(make_consumption(DAYS, 1))
    total = Panel.from_dataset(data).amounts[:, 0]
    covariate_table = make_covariate_table(
        {"temperature": make_temperatures(DAYS), "suspect": make_leaking_column(name, total)}
    )
    leaks = find_leaks(Panel.from_dataset(data), join_tables(data, [covariate_table]))
    assert list(leaks) == ["suspect"]
    assert str(leaks["suspect"]).startswith("suspect is not used: it reproduces the amount to forecast")


def test_leakage_check_names_columns_that_sum_to_target() -> None:
    """None of the 24 columns alone is the total; the temperature is no part of their sum."""
    data = make_daily_dataset(make_consumption(DAYS, 1))
    random = np.random.default_rng(4)
    hourly_amounts = random.dirichlet(np.full(24, 40.0), DAYS) * Panel.from_dataset(data).amounts
    covariate_table = make_covariate_table(
        {"temperature": make_temperatures(DAYS)} | {f"h{hour:02d}": hourly_amounts[:, hour] for hour in range(24)}
    )
    leaks = find_leaks(Panel.from_dataset(data), join_tables(data, [covariate_table]))
    assert set(leaks) == {f"h{hour:02d}" for hour in range(24)}
    assert "a weighted sum of h00, h01" in str(leaks["h07"])


def test_two_sums_that_are_the_target_spare_the_other_covariates() -> None:
    """Of two pairs that each add up to the amount, both are named; any one of the columns could be left out alone."""
    data = make_daily_dataset(make_consumption(DAYS, 1))
    total, random = Panel.from_dataset(data).amounts[:, 0], np.random.default_rng(5)
    parts = {name: total * random.uniform(0.2, 0.8, DAYS) for name in ("north", "day")}
    columns = parts | {"south": total - parts["north"], "night": total - parts["day"]}
    table = make_covariate_table({"temperature": make_temperatures(DAYS), **columns})
    assert set(find_leaks(Panel.from_dataset(data), join_tables(data, [table]))) == set(columns)


def test_leakage_check_accepts_normal_covariates() -> None:
    random, count = np.random.default_rng(6), np.arange(DAYS, dtype=float)
    covariate_table = make_covariate_table(
        {
            "temperature": make_temperatures(DAYS),
            "strike": make_strikes()[:DAYS],
            "noise": random.normal(size=DAYS),
            "trend": count,
            "weekday": count % 7,
            "year": np.sin(count / 58),
        }
    )
    for values in (make_consumption(DAYS, 1), make_consumption(DAYS, 2), np.full((DAYS, 1), 5.0), np.zeros((DAYS, 1))):
        data = make_daily_dataset(values)
        assert not find_leaks(Panel.from_dataset(data), join_tables(data, [covariate_table]))


def test_leakage_check_accepts_real_gas_covariates(gas: Dataset, shared_data: Path) -> None:
    files = ("temperature-quotidienne-regionale.csv", "mouvements-sociaux-depuis-2002.csv", "vacances-scolaires.csv")
    covariates = join_tables(gas, read_covariates([shared_data / "gas_france" / name for name in files]))
    assert {"temperature", "temperature_min", "temperature_max", "strike", "holiday", "school_break"} <= set(
        covariates.columns
    )
    panel = Panel.from_dataset(gas)
    assert not find_leaks(panel, covariates)
    total = pd.Series(panel.amounts[:, 3], index=panel.periods)
    leaking = covariates.replace_column(
        "hours", lambda column: total.reindex(column.index.get_level_values("day")).to_numpy()
    )
    assert list(find_leaks(panel, leaking)) == ["hours"]
