"""The shape of the day: what it keeps, what it may know, when it is used, and unusual data."""

from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.array_types import Floats
from core.data.panel import Panel
from core.forecasters.intraday.day_shape import ALPHAS, MIN_SHAPE_DAYS, DayShape, _solve_ridge
from core.forecasters.intraday.day_shape_features import average_blocks, order_slots
from core.forecasters.intraday.intraday_profile import DeviationUnit, compute_usual_deviations
from core.forecasters.panels.covariate_panel import CovariatePanel
from core.runs.model_files import list_trusted_types
from core.settings import ROOT
from mlflow_utils import model_io
from mlflow_utils.model_io import ModelPolicy
from tests.support.sample_series import make_consumption, make_hourly_dataset, make_temperatures

DAYS, SLOTS = 300, 8


def make_inputs(series: Panel, **columns: Floats) -> CovariatePanel:
    until_tomorrow = series.periods.append(series.periods[-1:] + pd.Timedelta(days=1))
    shape = (len(until_tomorrow), len(series.entities))
    cubes = {name: np.repeat(values[: shape[0], None], shape[1], axis=1) for name, values in columns.items()}
    return CovariatePanel(until_tomorrow, cubes, np.zeros(shape, dtype=bool))


def make_panel(values: Floats, is_averaged: bool = False, day_start: int = 0) -> Panel:
    days, entities, slots = values.shape
    labels = tuple(f"{hour * 24 // slots:02d}:00" for hour in range(slots))
    names = tuple(f"entity {number}" for number in range(entities))
    return Panel(
        pd.date_range("2022-01-01", periods=days), names, labels, values, is_averaged=is_averaged, day_start=day_start
    )


def make_weather_driven_values(days: int = DAYS, entities: int = 2) -> Floats:
    """Return values whose morning rises with the cold of the day, with a noise of 1 %."""
    random, hours = np.random.default_rng(3), np.arange(SLOTS)
    cold = np.maximum(16 - make_temperatures(days), 0)
    shape = 1 + np.outer(cold, np.exp(-((hours - 2.0) ** 2))) * 0.08
    level = 50.0 * (1 + np.arange(entities))
    return np.asarray(shape[:, None] * level[:, None] * random.normal(1, 0.01, (days, entities, SLOTS)))


@cache
def fit_weather_driven() -> tuple[DayShape, Panel, CovariatePanel]:
    series = make_panel(make_weather_driven_values())
    inputs = make_inputs(series, temperature=make_temperatures(DAYS + 1))
    return DayShape().fit(series, inputs, 3), series, inputs


def spread_usually(amounts: Floats, series: Panel, step: int, first_day: int) -> Floats:
    return DayShape().spread(amounts, series, make_inputs(series), step, first_day)


def replace_values(series: Panel, values: Floats) -> Panel:
    return make_panel(values, series.is_averaged, series.day_start)


# ---- the usual profile ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("unit", ["MWh", "MW"])
def test_usual_profile_keeps_amount_and_shape(unit: str) -> None:
    panel = Panel.from_dataset(make_hourly_dataset(make_consumption(60, 2), unit=unit), "hour")
    assert np.allclose(spread_usually(panel.amounts[50:], panel, 2, 50), panel.values[50:])


def test_usual_profile_ignores_empty_days() -> None:
    panel = Panel.from_dataset(make_hourly_dataset(make_consumption(60, 2)), "hour")
    values = panel.values.copy()
    values[50] = 0
    usual = spread_usually(panel.amounts[57:], panel, 1, 57)
    assert np.allclose(spread_usually(panel.amounts[57:], replace_values(panel, values), 1, 57), usual)
    values[20:] = 0
    assert np.array_equal(spread_usually(np.zeros((1, 2)), replace_values(panel, values), 1, 59), np.zeros((1, 2, 24)))


def test_usual_profile_needs_a_known_day() -> None:
    values = np.random.default_rng(0).uniform(1, 2, (30, 2, SLOTS))
    values[:, 1] = np.nan
    slots = spread_usually(np.full((1, 2), 80.0), make_panel(values), 1, 29)
    assert np.isfinite(slots[:, 0]).all()
    assert np.isnan(slots[:, 1]).all()
    few_days = spread_usually(np.full((1, 2), 80.0), make_panel(values[:4]), 1, 3)  # no day of the same weekday
    assert few_days[0, 0].sum() == pytest.approx(80)


@given(st.integers(0, 10_000), st.sampled_from([1, 3, 7, 9]))
def test_usual_deviations_are_those_of_days_known_then(seed: int, step: int) -> None:
    random = np.random.default_rng(seed)
    deviations = random.normal(0, 1, (60, 1, 3))
    deviations[random.random((60, 1)) < 0.2] = np.nan
    day = int(random.integers(step + 1, 60))
    known = np.isfinite(deviations[:, 0, 0]) & (np.arange(60) <= day - step)
    weekday_days = [day - lag for lag in range(step, step + 28) if lag % 7 == 0 and day >= lag and known[day - lag]]
    last_days = [past for past in range(max(day - step - 6, 0), day - step + 1) if known[past]]
    used_days = weekday_days or last_days
    usual = compute_usual_deviations(deviations, step)[day, 0]
    expected = deviations[used_days, 0].mean(axis=0) if used_days else np.full(3, np.nan)
    assert np.allclose(usual, expected, equal_nan=True)


# ---- what the shape keeps and knows ---------------------------------------------------------------------------------


@given(st.integers(0, 10_000), st.booleans(), st.booleans())
@settings(max_examples=15)
def test_slots_add_up_to_amount_of_day(seed: int, is_averaged: bool, is_signed: bool) -> None:
    random = np.random.default_rng(seed)
    values = make_weather_driven_values(120) * random.uniform(0.5, 2, (120, 1, 1))
    values = values - 60 if is_signed else values * (random.random(values.shape) > 0.1)
    series = make_panel(values, is_averaged)
    inputs = make_inputs(series, temperature=make_temperatures(121))
    shape = DayShape().fit(series.select_before(series.periods[100]), inputs, 2)
    amounts = random.uniform(-100 if is_signed else 0, 3000, (19, 2))
    slots = shape.spread(amounts, series, inputs, 2, 101)
    assert np.allclose(slots.mean(axis=2) if is_averaged else slots.sum(axis=2), amounts)
    assert is_signed or (slots >= 0).all()


@given(st.integers(0, 10_000), st.integers(1, 3))
@settings(max_examples=15)
def test_shape_ignores_values_after_origin(seed: int, step: int) -> None:
    shape, series, inputs = fit_weather_driven()
    random, day = np.random.default_rng(seed), 280
    values = series.values.copy()
    values[day - step + 1 :] = random.uniform(0, 500, values[day - step + 1 :].shape)
    changed = replace_values(series, values)
    amounts = series.amounts[day : day + 1]
    before, after = (shape.spread(amounts, each, inputs, step, day) for each in (series, changed))
    assert np.array_equal(before, after)


def test_shape_is_same_for_one_day_and_many() -> None:
    shape, series, inputs = fit_weather_driven()
    together = shape.spread(series.amounts[270:], series, inputs, 2, 270)
    alone = shape.spread(series.amounts[285:286], series, inputs, 2, 285)
    assert np.allclose(together[15], alone[0])


def test_same_data_give_same_shape_and_stay_unchanged() -> None:
    shape, series, inputs = fit_weather_driven()
    values = series.values.copy()
    again = DayShape().fit(series, inputs, 3)
    amounts = series.amounts[290:]
    assert np.array_equal(again.spread(amounts, series, inputs, 1, 290), shape.spread(amounts, series, inputs, 1, 290))
    assert np.array_equal(series.values, values)


def test_chunks_of_entities_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    shape, series, inputs = fit_weather_driven()
    amounts = series.amounts[290:]
    whole = shape.spread(amounts, series, inputs, 1, 290)
    monkeypatch.setattr("core.forecasters.intraday.day_shape.MAX_CHUNK_VALUES", 1)
    parts = DayShape().fit(series, inputs, 3)
    assert np.allclose(parts.spread(amounts, series, inputs, 1, 290), whole)


# ---- when it is used ------------------------------------------------------------------------------------------------


def test_shape_follows_weather() -> None:
    series = make_panel(make_weather_driven_values(360))
    inputs = make_inputs(series, temperature=make_temperatures(361))
    shape = DayShape().fit(series.select_before(series.periods[320]), inputs, 1)
    amounts, actual = series.amounts[320:], series.values[320:]
    error, usual_error = (
        np.abs(slots - actual).sum()
        for slots in (shape.spread(amounts, series, inputs, 1, 320), spread_usually(amounts, series, 1, 320))
    )
    assert shape.test_ is not None
    assert shape.test_.is_gain
    assert error < 0.75 * usual_error


@pytest.mark.parametrize("seed", range(3))
def test_noise_is_not_learnt(seed: int) -> None:
    values = 100 * np.random.default_rng(seed).normal(1, 0.05, (DAYS, 2, SLOTS))
    series = make_panel(values)
    inputs = make_inputs(series, temperature=make_temperatures(DAYS + 1))
    shape = DayShape().fit(series, inputs, 2)
    assert shape.test_ is not None
    assert not shape.test_.is_gain
    assert np.array_equal(
        shape.spread(series.amounts[290:], series, inputs, 1, 290), spread_usually(series.amounts[290:], series, 1, 290)
    )


def test_short_history_keeps_usual_profile() -> None:
    series = make_panel(make_weather_driven_values(MIN_SHAPE_DAYS - 1))
    shape = DayShape().fit(series, make_inputs(series, temperature=make_temperatures(DAYS)), 2)
    assert shape.test_ is None
    longer = make_panel(make_weather_driven_values(MIN_SHAPE_DAYS))
    assert DayShape().fit(longer, make_inputs(longer, temperature=make_temperatures(DAYS)), 2).test_ is not None


def test_shape_gives_way_when_hours_are_relabelled() -> None:
    _, series, inputs = fit_weather_driven()
    values = series.values.copy()
    values[200:] = np.roll(values[200:], 4, axis=2)
    changed = replace_values(series, values)
    fitted = DayShape().fit(changed.select_before(changed.periods[200]), inputs, 1)
    slots = fitted.spread(changed.amounts[250:], changed, inputs, 1, 250)
    usual = spread_usually(changed.amounts[250:], changed, 1, 250)
    assert fitted.lines_
    assert np.abs(slots - values[250:]).sum() < 1.05 * np.abs(usual - values[250:]).sum()


def test_shape_fitted_after_relabelled_hours_is_no_worse_than_usual() -> None:
    values = make_weather_driven_values(360)
    values[290:] = np.roll(values[290:], 4, axis=2)
    series = make_panel(values)
    inputs = make_inputs(series, temperature=make_temperatures(361))
    shape = DayShape().fit(series.select_before(series.periods[335]), inputs, 1)
    slots, usual = (each.spread(series.amounts[335:345], series, inputs, 1, 335) for each in (shape, DayShape()))
    assert np.abs(slots - values[335:345]).sum() < 1.05 * np.abs(usual - values[335:345]).sum()


# ---- unusual data ---------------------------------------------------------------------------------------------------


def test_temperatures_around_zero_have_finite_slots() -> None:
    values = make_temperatures(DAYS)[:, None, None] - 12 + 4 * np.sin(np.arange(SLOTS))
    values = values + np.random.default_rng(0).normal(0, 0.3, values.shape)
    series = make_panel(values, is_averaged=True)
    inputs = make_inputs(series)
    shape = DayShape().fit(series.select_before(series.periods[250]), inputs, 1)
    slots = shape.spread(series.amounts[250:], series, inputs, 1, 250)
    assert np.abs(slots - values[250:]).max() < 3  # shares of a mean near 0 would be off by hundreds


def test_gaps_leave_no_hole_in_forecast() -> None:
    values = make_weather_driven_values()
    values[np.random.default_rng(1).random(values.shape) < 0.01] = np.nan
    values[200:210, 0] = np.nan
    series = make_panel(values)
    inputs = make_inputs(series, temperature=make_temperatures(DAYS + 1))
    shape = DayShape().fit(series, inputs, 1)
    assert shape.lines_
    assert np.isfinite(shape.spread(np.full((90, 2), 500.0), series, inputs, 1, 210)).all()


def test_shape_of_rare_weather_stays_in_range() -> None:
    shape, series, _ = fit_weather_driven()
    heat = make_inputs(series, temperature=np.append(make_temperatures(DAYS)[:299], [80.0, 80.0]))
    slots = shape.spread(series.amounts[299:], series, heat, 1, 299)
    assert np.abs(slots / series.values[299:] - 1).max() < 0.5


def test_day_begins_with_its_first_slot() -> None:
    series = make_panel(np.zeros((1, 1, SLOTS)), day_start=6)
    assert order_slots(np.arange(SLOTS), series).tolist() == [2, 3, 4, 5, 6, 7, 0, 1]


@given(st.integers(1, 300), st.integers(1, 24))
def test_blocks_keep_mean_order_and_count(slots: int, count: int) -> None:
    means = average_blocks(np.arange(float(slots)), count)
    assert len(means) == min(slots, count)
    assert (np.diff(means) > 0).all()
    assert slots % len(means) or means.mean() == pytest.approx((slots - 1) / 2)


@given(st.integers(0, 10_000), st.booleans())
def test_deviations_give_back_the_values(seed: int, is_signed: bool) -> None:
    values = np.random.default_rng(seed).normal(0 if is_signed else 100, 10, (5, 2, SLOTS))
    series = make_panel(values)
    unit = DeviationUnit.from_series(series)
    assert unit.is_relative.tolist() == [not is_signed] * 2
    assert np.allclose(unit.apply_deviations(values.mean(axis=2), unit.compute_deviations(series)), values)


def test_saved_shape_forecasts_the_same(tmp_path: Path) -> None:
    shape, series, inputs = fit_weather_driven()
    table = pd.DataFrame({"value": [1.0]})
    policy = ModelPolicy(list_trusted_types(), "core.runs.model_files", (), ROOT, ())
    model_io.save_model(tmp_path, shape, table, table, policy)
    loaded = model_io.load_model(tmp_path, list_trusted_types())
    assert isinstance(loaded, DayShape)
    amounts = series.amounts[290:]
    assert np.array_equal(loaded.spread(amounts, series, inputs, 2, 290), shape.spread(amounts, series, inputs, 2, 290))


@given(st.integers(0, 10_000))
@settings(max_examples=5)
def test_regularisation_is_that_of_least_error_on_left_out_weeks(seed: int) -> None:
    random = np.random.default_rng(seed)
    features, targets, weights = random.normal(0, 1, (56, 5)), random.normal(0, 1, (56, 2)), random.uniform(0.5, 2, 56)
    targets[:, 0] += features[:, 0]
    root = np.sqrt(weights)[:, None]
    centred = features - np.average(features, axis=0, weights=weights)
    design = np.column_stack([np.ones(56), centred]) * root

    def predict_left_out(alpha: float) -> Floats:
        """Return predictions of refits without two weeks each."""
        penalty = alpha * np.diag([0.0, *np.ones(5)])
        predictions = []
        for block in np.array_split(np.arange(56), 4):
            kept = np.setdiff1d(np.arange(56), block)
            lines = np.linalg.solve(design[kept].T @ design[kept] + penalty, design[kept].T @ (targets * root)[kept])
            predictions.append(np.column_stack([np.ones(14), centred[block]]) @ lines)
        return np.concatenate(predictions)

    best = min(ALPHAS, key=lambda alpha: float(np.square((targets - predict_left_out(alpha)) * root).sum()))
    lines = np.linalg.solve(design.T @ design + best * np.diag([0.0, *np.ones(5)]), design.T @ (targets * root))
    coefficients, intercept, left_out = _solve_ridge(features, targets, weights)
    assert np.allclose(coefficients, lines[1:])
    assert np.allclose(features @ coefficients + intercept, np.column_stack([np.ones(56), centred]) @ lines)
    assert np.allclose(left_out, predict_left_out(best))
