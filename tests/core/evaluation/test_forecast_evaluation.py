"""Evaluation of forecasts: metrics, conformal intervals, recalibration, backtest tables, event effects."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from core.array_types import Floats
from core.data.dataset import Dataset
from core.data.panel import Panel
from core.errors import DataError
from core.evaluation import forecast_metrics
from core.evaluation.conformal import ConformalConfig, ResidualHistory, apply_quantiles, compute_error_scale
from core.evaluation.error_quantiles import MIN_ERRORS, compute_conformal_quantiles
from core.evaluation.event_effects import compute_matched_effect, compute_raw_effect
from core.forecasters.backtests.backtest import Backtest, run_backtest
from core.forecasters.backtests.backtest_report import build_report
from core.forecasters.backtests.recalibration import recalibrate_errors
from core.forecasters.ridge import Ridge
from core.forecasters.seasonal_naive import SeasonalNaive
from core.tasks.forecast.scenarios import estimate_strike_effects
from tests.support.sample_series import (
    join_tables,
    make_consumption,
    make_covariate_table,
    make_daily_dataset,
    make_hourly_dataset,
    make_temperatures,
)

QUANTILES = np.array([0.05, 0.95])


def make_noise(*shape: int, seed: int = 0) -> Floats:
    return np.asarray(np.random.default_rng(seed).normal(size=shape))


# ---- metrics --------------------------------------------------------------------------------------------------------

ACTUAL = np.array([[[10.0], [100.0]], [[20.0], [np.nan]], [[30.0], [200.0]]])
FORECAST = np.array([[[12.0], [90.0]], [[20.0], [50.0]], [[np.nan], [230.0]]])


def test_forecast_metrics_by_hand() -> None:
    """Errors of 2, 10, 0 and 30 for values of 10, 100, 20 and 200; pairs with a missing value do not count."""
    assert forecast_metrics.mae(ACTUAL, FORECAST) == pytest.approx(42 / 4)
    assert forecast_metrics.wape(ACTUAL, FORECAST) == pytest.approx(42 / 330)
    assert forecast_metrics.rmse(ACTUAL, FORECAST) == pytest.approx(np.sqrt((4 + 100 + 0 + 900) / 4))
    assert forecast_metrics.mase(ACTUAL, FORECAST, np.array([[2.0], [20.0]])) == pytest.approx((1 + 0 + 0.5 + 1.5) / 4)
    assert forecast_metrics.skill_score(ACTUAL, FORECAST, np.full((3, 2, 1), 20.0)) == pytest.approx(
        1 - 42 / (10 + 0 + 80 + 180)
    )
    assert forecast_metrics.r2(ACTUAL, FORECAST) == pytest.approx(1 - (4 + 100 + 900) / (25 + 25 + 2 * 2500))


def test_forecast_metrics_match_scikit_learn() -> None:
    actual = make_noise(60, 3, 1) + np.array([0, 50, 900])[:, None]
    forecast = actual + 0.5 * make_noise(60, 3, 1, seed=1)
    flat = actual[..., 0], forecast[..., 0]
    assert forecast_metrics.r2(actual, forecast) == pytest.approx(
        metrics.r2_score(*flat, multioutput="variance_weighted")
    )
    assert forecast_metrics.r2(actual, forecast) < 0.9 < metrics.r2_score(actual.ravel(), forecast.ravel())
    assert forecast_metrics.mae(actual, forecast) == pytest.approx(metrics.mean_absolute_error(*flat))
    assert forecast_metrics.rmse(actual, forecast) == pytest.approx(
        metrics.mean_squared_error(actual.ravel(), forecast.ravel()) ** 0.5
    )


def test_quantile_loss_matches_scikit_learn() -> None:
    levels = np.array([0.05, 0.5, 0.9])
    actual, bands = 10 + make_noise(80, 2, 1), 10 + np.sort(make_noise(80, 2, 1, 3, seed=1), axis=-1)
    pinball = [
        metrics.mean_pinball_loss(actual.ravel(), bands[..., n].ravel(), alpha=level) for n, level in enumerate(levels)
    ]
    assert forecast_metrics.quantile_loss(actual, bands, levels) == pytest.approx(
        2 * np.mean(pinball) / np.abs(actual).mean()
    )
    actual[3, 1], bands[5, 0, 0, 1] = np.nan, np.nan
    assert np.isfinite(forecast_metrics.quantile_loss(actual, bands, levels))


def test_coverage_and_width_by_hand() -> None:
    actual = np.array([1.0, 2.0, 3.0, np.nan, 5.0])
    low, high = np.array([1.0, 2.5, 2.0, 0.0, np.nan]), np.array([2.0, 3.0, 3.0, 9.0, 9.0])
    assert forecast_metrics.compute_coverage(actual, low, high) == pytest.approx(2 / 3)
    assert forecast_metrics.compute_mean_width(actual, low, high) == pytest.approx((1 + 0.5 + 1) / 6)


def test_forecast_metrics_of_no_values_are_nan() -> None:
    nothing, zeros = np.full((4, 2, 1), np.nan), np.zeros((4, 2, 1))
    for metric in (
        forecast_metrics.mae(nothing, nothing),
        forecast_metrics.wape(zeros, zeros + 1),
        forecast_metrics.wape(nothing, zeros),
        forecast_metrics.r2(zeros, zeros),
        forecast_metrics.r2(nothing, zeros),
        forecast_metrics.skill_score(zeros, zeros, zeros),
        forecast_metrics.mase(zeros, zeros, np.zeros((2, 1))),
        forecast_metrics.compute_coverage(nothing, zeros, zeros),
        forecast_metrics.compute_mean_width(zeros, zeros, zeros),
        forecast_metrics.rmse(nothing, zeros),
        forecast_metrics.quantile_loss(nothing, zeros[..., None], np.array([0.5])),
    ):
        assert np.isnan(metric)


def test_binomial_band_covers_19_of_20() -> None:
    low, high = forecast_metrics.compute_binomial_band(0.9, 400)
    shares = np.random.default_rng(0).binomial(400, 0.9, 4000) / 400
    assert ((shares >= low) & (shares <= high)).mean() == pytest.approx(0.95, abs=0.02)
    assert forecast_metrics.compute_binomial_band(0.95, 2)[1] == 1.0


# ---- intervals ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("count", "low", "high"), [(99, 5, 95), (100, 5, 96), (60, 3, 58), (19, 1, 19), (5, 1, 5), (1, 1, 1)]
)
def test_conformal_ranks_by_hand(count: int, low: int, high: int) -> None:
    """The quantile of the errors 1 … n has the rank (n + 1) q, rounded outwards and limited to 1 … n."""
    errors = np.random.default_rng(0).permutation(np.arange(1.0, count + 1))[:, None, None]
    assert compute_conformal_quantiles(errors, QUANTILES)[0, 0].tolist() == [low, high]


def test_conformal_ignores_unknown_errors() -> None:
    errors = np.concatenate([np.arange(1.0, 100), np.full(40, np.nan)])[:, None, None]
    assert compute_conformal_quantiles(errors, QUANTILES)[0, 0].tolist() == [5, 95]
    assert np.isnan(compute_conformal_quantiles(np.full((30, 2, 1), np.nan), QUANTILES)).all()
    assert np.isnan(compute_conformal_quantiles(np.zeros((0, 2, 1)), QUANTILES)).all()


def test_conformal_replaces_few_errors_by_shared_ones() -> None:
    errors = np.stack([np.arange(1.0, 1 + 2 * MIN_ERRORS), np.full(2 * MIN_ERRORS, 1000.0)], axis=1)[:, :, None]
    errors[MIN_ERRORS:, 1] = np.nan
    per_entity = compute_conformal_quantiles(errors, QUANTILES)
    assert per_entity[1, 0].tolist() == [1000, 1000]
    errors[MIN_ERRORS - 1, 1] = np.nan
    pooled = compute_conformal_quantiles(errors, QUANTILES)
    assert (
        pooled[1, 0].tolist()
        == compute_conformal_quantiles(errors, QUANTILES, per_entity=False)[0, 0].tolist()
        != [1000, 1000]
    )
    assert np.array_equal(pooled[0], per_entity[0])
    shared = compute_conformal_quantiles(errors, QUANTILES, per_entity=False)
    assert np.array_equal(shared[0], shared[1])


@pytest.mark.parametrize("level", [0.5, 0.8, 0.9, 0.95])
@pytest.mark.parametrize("past", [60, 365])
def test_conformal_covers_exchangeable_errors(level: float, past: int) -> None:
    """One new skewed error for each of 3,000 entities: the coverage is nominal within the binomial band."""
    errors = np.random.default_rng(past).exponential(size=(past + 1, 3000, 1))
    spread = compute_conformal_quantiles(errors[:-1], np.array([(1 - level) / 2, (1 + level) / 2]))
    inside = float(((errors[-1] >= spread[..., 0]) & (errors[-1] <= spread[..., 1])).mean())
    low, high = forecast_metrics.compute_binomial_band(level, 3000)
    assert low <= inside <= high + 2 / (past + 1)


@given(st.integers(1, 80), st.integers(0, 1000), st.lists(st.floats(0.01, 0.99), min_size=2, max_size=6, unique=True))
def test_conformal_quantiles_grow_with_level(count: int, seed: int, levels: list[float]) -> None:
    spread = compute_conformal_quantiles(make_noise(count, 2, 3, seed=seed), np.array(sorted(levels)))
    assert spread.shape == (2, 3, len(levels))
    assert (np.diff(spread, axis=-1) >= 0).all()


@given(st.sampled_from(["root", "level", "plain"]), st.integers(0, 1000))
def test_conformal_intervals_are_ordered_and_not_negative(scale: str, seed: int) -> None:
    forecast = np.abs(make_noise(20, 2, 1, seed=seed)) * 10
    forecast[0] = np.nan
    error_scale = compute_error_scale(forecast, np.array([[5.0], [0.0]]), scale)  # type: ignore[arg-type]
    bands = apply_quantiles(
        forecast,
        compute_conformal_quantiles(3 * make_noise(100, 2, 1, seed=seed), np.array([0.05, 0.5, 0.95])),
        error_scale,
    )
    assert np.isnan(bands[0]).all()
    assert (np.diff(bands[1:], axis=-1) >= 0).all()
    assert (bands[1:] >= 0).all()
    assert (error_scale[1:] > 0).all()
    assert apply_quantiles(np.array([[-5.0]]), np.array([[[-1.0, 1.0]]]), np.ones((1, 1))).tolist() == [[[-6, -4]]]


def make_errors(spread: Floats, steps: int = 2, level: float = 100.0) -> ResidualHistory:
    """Make forecasts of `level` whose errors have the standard deviations `spread`, shape (days, entities)."""
    forecast = np.full((steps, *spread.shape, 1), level)
    return ResidualHistory(forecast, level + spread[:, :, None] * make_noise(*spread.shape, 1))


@pytest.mark.parametrize("scale", ["root", "level", "plain"])
def test_rolling_intervals_reach_nominal_coverage(scale: str) -> None:
    errors = make_errors(np.full((1200, 4), 3.0))
    errors = ResidualHistory(errors.forecast, errors.actual, ConformalConfig(scale=scale))  # type: ignore[arg-type]
    bands = errors.compute_rolling_quantiles(1, QUANTILES, 365)
    actual = errors.actual[365:]
    low, high = forecast_metrics.compute_binomial_band(0.9, actual.size)
    assert low <= forecast_metrics.compute_coverage(actual, bands[..., 0], bands[..., 1]) <= high
    assert np.allclose(
        forecast_metrics.compute_mean_width(actual, bands[..., 0], bands[..., 1]), 2 * 1.645 * 3 / 100, rtol=0.1
    )


@pytest.mark.parametrize("step", [1, 7])
def test_rolling_intervals_use_no_later_error(step: int) -> None:
    errors = make_errors(np.full((400, 2), 3.0), steps=7)
    actual = errors.actual.copy()
    actual[301:] = 150 + 40 * make_noise(99, 2, 1, seed=9)
    changed = ResidualHistory(errors.forecast, actual)
    before, after = (
        history.compute_rolling_quantiles(step, QUANTILES, 200)[: 301 + step - 200] for history in (errors, changed)
    )
    assert np.allclose(before, after, rtol=1e-12)
    assert not np.allclose(
        errors.compute_rolling_quantiles(step, QUANTILES, 200), changed.compute_rolling_quantiles(step, QUANTILES, 200)
    )


def test_rolling_intervals_use_all_known_errors_on_first_day() -> None:
    """The error of the day of the forecast origin counts; the error of the next day does not."""
    errors = make_errors(np.full((60, 1), 1.0))
    for day, counts in ((58, True), (59, False)):
        actual = errors.actual.copy()
        actual[day] = 500.0
        highest = ResidualHistory(errors.forecast, actual, ConformalConfig(scale="level")).compute_rolling_quantiles(
            1, np.array([0.01, 0.99]), 59
        )[0, 0, 0, 1]
        assert (highest > 400) == counts


def test_future_intervals_use_last_errors() -> None:
    errors = make_errors(np.repeat([[20.0], [1.0]], 400, axis=0))
    wide, narrow = (
        np.ptp(
            ResidualHistory(errors.forecast, errors.actual, ConformalConfig(window, adaptation=0.0)).compute_quantiles(
                np.array([[100.0]]), 1, QUANTILES
            )
        )
        for window in (800, 365)
    )
    assert narrow < 4 < 20 < wide
    assert np.ptp(errors.select_last(365).compute_quantiles(np.array([[100.0]]), 1, QUANTILES)) == pytest.approx(
        narrow, rel=0.05
    )


# ---- recalibration --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("first", "last"), [(0.5, 20.0), (20.0, 0.5)])
def test_recalibration_restores_coverage(first: float, last: float) -> None:
    """Errors grow (or shrink) all the time, so fixed intervals of old errors are too narrow (or too wide)."""
    errors = make_errors(np.geomspace([first] * 3, [last] * 3, 1050))
    errors = replace(errors, calibration=ConformalConfig(adaptation=0.0))
    better, note = recalibrate_errors(errors, 0.05, 0.95)
    assert better.calibration.adaptation > 0
    old, new = (_compute_coverage(history, 700) for history in (errors, better))
    assert abs(old - 0.9) > 0.04
    assert abs(new - 0.9) < 0.7 * abs(old - 0.9)
    assert note.values["nominal"] == 90
    assert note.values["after"] == pytest.approx(100 * new, abs=0.06)
    assert note.values["before"] == pytest.approx(100 * old, abs=0.06)
    assert note.values["loss"] > 1
    assert better.forecast is errors.forecast


def test_recalibration_separates_kinds_of_entities() -> None:
    errors = make_errors(np.tile([1.0, 1.0, 8.0], (900, 1)))
    errors = replace(errors, calibration=ConformalConfig(per_entity=False, adaptation=0.0))
    better, _ = recalibrate_errors(errors, 0.05, 0.95)
    bands = [intervals.compute_rolling_quantiles(1, QUANTILES, 600) for intervals in (errors, better)]
    old, new = (
        forecast_metrics.compute_coverage(errors.actual[600:, 2], intervals[:, 2, :, 0], intervals[:, 2, :, 1])
        for intervals in bands
    )
    assert old < 0.75
    assert 0.85 < new < 0.95


def test_recalibration_keeps_intervals_without_gain() -> None:
    errors = replace(make_errors(np.full((900, 3), 2.0)), calibration=ConformalConfig(adaptation=0.0))
    same, note = recalibrate_errors(errors, 0.05, 0.95)
    assert same is errors
    assert str(note).startswith("Recalibration brings no gain")
    assert note.values["before"] == pytest.approx(100 * _compute_coverage(errors, 600), abs=0.06)


def _compute_coverage(errors: ResidualHistory, first: int) -> float:
    """Compute the coverage of both horizon steps from period `first` on.

    As in `recalibrate_errors`, the intervals start after the first third.
    """
    start = len(errors.actual) // 3
    bands = np.stack([errors.compute_rolling_quantiles(step, QUANTILES, start)[first - start :] for step in (1, 2)])
    actual = np.broadcast_to(errors.actual[first:], bands.shape[:-1])
    return forecast_metrics.compute_coverage(actual, bands[..., 0], bands[..., 1])


# ---- tables of a backtest ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def backtest() -> Backtest:
    data = make_daily_dataset(make_consumption(900, 2))
    given = join_tables(data, [make_covariate_table({"temperature": make_temperatures(930)})])
    return run_backtest(Ridge(), Panel.from_dataset(data), given, start_date=pd.Timestamp("2022-12-01"), horizon=3)


def test_backtest_forecasts_only_unknown_days(backtest: Backtest) -> None:
    """The forecasts stay the same without the later days.

    The first `step` − 1 days of the period have no forecast, because their forecast origin lies before it.
    """
    data = make_daily_dataset(make_consumption(900, 2))
    covariates = join_tables(data, [make_covariate_table({"temperature": make_temperatures(930)})])
    truncated = Panel.from_dataset(data).select_before(pd.Timestamp("2023-02-01"))
    again = run_backtest(Ridge(), truncated, covariates, start_date=pd.Timestamp("2022-12-01"), horizon=3)
    for step in (1, 2, 3):
        assert np.isnan(backtest.get_forecast(step)[: step - 1]).all()
        assert np.isfinite(backtest.get_forecast(step)[step - 1 :]).all()
        assert np.allclose(
            again.get_forecast(step)[step - 1 :], backtest.get_forecast(step)[step - 1 : len(again.periods)], rtol=1e-6
        )
    assert (backtest.test_start - backtest.errors_start, len(backtest.periods)) == (349, 201)


def test_backtest_scores_match_rows(backtest: Backtest) -> None:
    tables = build_report(backtest, QUANTILES, make_temperatures(900)[backtest.test_start :, None].repeat(2, axis=1))
    scores, rows = tables["scores"].set_index(["entity", "step"]), tables["checked"]
    assert np.allclose(
        rows["temperature"], make_temperatures(900)[(rows["time"] - backtest.series.periods[0]).dt.days], atol=1e-4
    )
    assert len(scores) == 3 * 4
    for entity in ("", "a"):
        for step in (0, 2):
            selected = rows[
                (rows["entity"].isin([entity] if entity else ["a", "b"]))
                & (rows["step"].isin([step] if step else [1, 2, 3]))
            ]
            error = (selected["actual"] - selected["forecast"]).abs()
            score = scores.loc[(entity, step)]
            assert score["mae"] == pytest.approx(error.mean(), rel=1e-4)
            assert score["wape"] == pytest.approx(error.sum() / selected["actual"].sum(), rel=1e-4)
            assert score["coverage"] == pytest.approx(
                selected["actual"].between(selected["q0.05"], selected["q0.95"]).mean(), abs=1e-3
            )
            naive = (selected["actual"] - selected["naive7"]).abs()
            assert score["skill_naive7"] == pytest.approx(1 - error.mean() / naive.mean(), rel=1e-3)
    assert scores.loc[("a", 1), "days"] == 201
    assert scores.loc[("", 3), "days"] == 199 * 2, "the days of all entities are counted"
    assert 0 < scores.loc[("", 1), "wape"] < scores.loc[("", 1), "wape_naive1"]


def test_mase_is_one_for_naive_forecast() -> None:
    """The scale is the error of the weekly naive forecast before the period (Hyndman and Koehler)."""
    values = make_consumption(800, 2)
    backtest = run_backtest(
        SeasonalNaive(),
        Panel.from_dataset(make_daily_dataset(values)),
        join_tables(make_daily_dataset(values), []),
        start_date=pd.Timestamp("2022-01-01"),
        horizon=8,
    )
    scale = np.abs(values[7:365] - values[:358]).mean(axis=0)
    assert np.allclose(backtest.weekly_error[:, 0], scale)
    scores = build_report(backtest, QUANTILES)["scores"].set_index(["entity", "step"])
    assert scores.loc[("a", 1), "mase"] == pytest.approx(np.abs(values[365:, 0] - values[358:-7, 0]).mean() / scale[0])
    assert scores.loc[("", 1), "mase"] == pytest.approx(
        (scores.loc[("a", 1), "mase"] + scores.loc[("b", 1), "mase"]) / 2
    )
    assert (scores["skill_naive7"] == 0).all()
    assert scores.loc[("", 8), "mae"] == pytest.approx(np.abs(values[372:] - values[358:-14]).mean())


def test_backtest_reliability_by_group(backtest: Backtest) -> None:
    tables = build_report(backtest, QUANTILES)
    reliability, scores = tables["reliability"], tables["scores"].set_index(["entity", "step"])
    overall = reliability[(reliability["by"] == "all") & (reliability["nominal"] == 0.9)].iloc[0]
    assert overall["measured"] == pytest.approx(scores.loc[("", 0), "coverage"])
    assert overall["count"] == 2 * (201 + 200 + 199)
    assert set(reliability["by"]) == {"all", "step", "entity", "month", "weekday"}
    for _, group in reliability[reliability["nominal"] == 0.9].groupby("by"):
        assert group["count"].sum() == overall["count"]
        assert (group["measured"] * group["count"]).sum() == pytest.approx(overall["measured"] * overall["count"])
    by_level = reliability[reliability["by"] == "all"].set_index("nominal")["measured"]
    assert by_level.sort_index().is_monotonic_increasing
    steps = reliability[(reliability["by"] == "step") & (reliability["nominal"] == 0.9)].set_index("group")["measured"]
    assert steps["2"] == pytest.approx(scores.loc[("", 2), "coverage"])


def test_backtest_evaluates_hours_by_hour() -> None:
    data = make_hourly_dataset(make_consumption(400, 2), day_start=6)
    panel = Panel.from_dataset(data, "hour")
    backtest = run_backtest(
        SeasonalNaive(), panel, join_tables(data, []), start_date=pd.Timestamp("2021-12-01"), horizon=2
    )
    tables = build_report(backtest, QUANTILES)
    reliability, rows = tables["reliability"], tables["checked"]
    assert set(reliability.loc[reliability["by"] == "hour", "group"]) == {f"{hour:02d}:00" for hour in range(24)}
    early = rows[rows["step"] == 1].iloc[0]
    assert str(early["time"]) == "2021-12-02 00:00:00"
    assert early["actual"] == pytest.approx(panel.values[panel.periods.get_loc("2021-12-01"), 0, 0], rel=1e-6)


@pytest.mark.parametrize("start", ["2019-01-01", "2021-01-03", "2023-06-19", "2030-01-01"])
def test_backtest_rejects_missing_past_or_future(start: str) -> None:
    data = make_daily_dataset(make_consumption(900, 1))
    with pytest.raises(DataError, match=f"A backtest from {start} needs"):
        run_backtest(
            Ridge(), Panel.from_dataset(data), join_tables(data, []), start_date=pd.Timestamp(start), horizon=7
        )


# ---- effects of events ----------------------------------------------------------------------------------------------


def make_event_series(change: float) -> tuple[pd.Series, pd.Series]:
    """Make amounts and events of three entities over four years.

    Events last two days, weekends excluded. Nearly all are in the coldest months.
    """
    days = pd.date_range("2019-01-01", "2022-12-31", name="day")
    random = np.random.default_rng(7)
    winter = days.month.isin([12, 1, 2])
    begins = random.random(len(days)) < np.where(winter, 0.08, 0.002)
    flag = (begins | np.roll(begins, 1)) & (days.dayofweek < 5)
    season = 100 + 80 * np.cos(2 * np.pi * days.dayofyear / 365.25)
    amounts = [level * season * (1 + change * flag) * random.normal(1, 0.02, len(days)) for level in (1, 5, 30)]
    index = pd.MultiIndex.from_product([["a", "b", "c"], days], names=["entity", "day"])
    return pd.Series(np.concatenate(amounts), index), pd.Series(np.tile(flag, 3), index)


@pytest.mark.parametrize("change", [-0.05, 0.0, 0.1])
def test_event_effect_finds_injected_change(change: float) -> None:
    amounts, event = make_event_series(change)
    effect = compute_matched_effect(amounts, event)
    assert effect.low < change < effect.high
    assert effect.high - effect.low < 0.05
    assert effect.change == pytest.approx(change, abs=0.02)
    assert effect.days == event.groupby("day").any().sum()
    assert effect.episodes < effect.days


def test_raw_event_means_show_season() -> None:
    amounts, event = make_event_series(-0.05)
    effect = compute_raw_effect(amounts, event)
    assert effect.change == pytest.approx(amounts[event].mean() / amounts[~event].mean() - 1)
    assert effect.low > 0.2, "the raw means show the opposite of the injected change, with a narrow interval"


def test_event_effect_needs_enough_days() -> None:
    amounts, event = make_event_series(-0.05)
    two_days = event & event.index.get_level_values("day").isin(event[event].index.get_level_values("day").unique()[:2])
    for effect in (compute_raw_effect(amounts, two_days), compute_matched_effect(amounts, two_days)):
        assert np.isnan([effect.change, effect.low, effect.high]).all()


def test_event_effect_ignores_missing_and_empty_days() -> None:
    amounts, event = make_event_series(-0.05)
    incomplete = amounts.mask(np.random.default_rng(0).random(len(amounts)) < 0.05)
    incomplete.iloc[::50] = 0.0
    assert compute_matched_effect(incomplete, event).change == pytest.approx(-0.05, abs=0.02)


def test_strike_effect_in_gas_files(gas: Dataset) -> None:
    """Raw means give +51 %, because strikes fall in winter; matched days give −3.8 % (energy reference)."""
    effects = estimate_strike_effects(Panel.from_dataset(gas), join_tables(gas, [])).set_index("method")
    assert effects.loc["raw", "change"] == pytest.approx(0.51, abs=0.005)
    assert effects.loc["matched", "change"] == pytest.approx(-0.0385, abs=0.0005)
    assert effects.loc["matched", "low"] < -0.0385 < effects.loc["matched", "high"]
    assert effects.loc["matched", "days"] == 131
