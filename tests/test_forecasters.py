"""The contract of all forecasters, their inputs known in advance, and the leakage check of covariates."""

import copy
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from core.data.covariates import Drivers, read_covariates
from core.data.dataset import Dataset
from core.data.panel import Panel
from core.errors import DataError
from core.forecasters.base import Floats, Forecaster
from core.forecasters.blend import Blend
from core.forecasters.known import LEAD_ERROR, Known, usable_columns
from core.forecasters.leakage import refuse_leaks
from core.forecasters.ridge import Ridge
from core.forecasters.shape import shares, spread_over_day
from core.progress import Cancelled, Progress
from core.spec.hyperparameters import build_from_settings, get_params, hyperparameters
from core.tasks.forecast.spec import forecasters
from tests.series import consumption, daily, drivers_of, hourly, table, warmth

EVERY_FORECASTER = pytest.mark.parametrize("name", forecasters())
QUICK: dict[str, dict[str, Any]] = {
    "random-forest": {"n_estimators": 10},
    "gradient-boosting": {"max_iter": 15},
    "blend": {"trees": "random-forest"},
}
DAYS, STEPS = 420, (1, 2, 3)


def quick(name: str) -> Forecaster:
    return build_from_settings(forecasters()[name], QUICK.get(name, {}))


def strikes() -> Floats:
    return (np.random.default_rng(5).random(DAYS + 30) < 0.05).astype(float)


@cache
def series(count: int = 2) -> Panel:
    return Panel.of(daily(consumption(DAYS, count, strike=strikes()[:DAYS])))


@cache
def drivers() -> Drivers:
    given = table({"temperature": warmth(DAYS + 30), "strike": strikes()})
    return drivers_of(daily(consumption(DAYS, 2)), [given])


def known(panel: Panel) -> Known:
    return Known.of(panel, drivers(), usable_columns(panel, drivers()))


@cache
def fitted(name: str) -> Forecaster:
    return quick(name).fit(series(), known(series()), STEPS[-1])


def with_values(panel: Panel, values: Floats) -> Panel:
    return Panel(panel.days, panel.entities, panel.slots, values, panel.unit, panel.averaged, panel.day_start)


def equal(one: Floats, other: Floats) -> bool:
    return np.array_equal(one, other, equal_nan=True)


# ---- contract of all forecasters ------------------------------------------------------------------------------------


def test_the_folder_is_the_registry() -> None:
    assert {"seasonal-naive", "ridge", "random-forest", "gradient-boosting", "blend"} <= set(forecasters())


@EVERY_FORECASTER
@pytest.mark.parametrize("later", ["other", "tenfold", "unknown"])
def test_a_forecast_depends_on_nothing_known_later(name: str, later: str) -> None:
    """All amounts after day t change. Forecasts `step` days ahead stay bit-identical up to day t + `step`."""
    t = 350
    values = series().values.copy()
    values[t + 1 :] = {"other": values[t + 1 :][::-1] * 1.3 + 7, "tenfold": values[t + 1 :] * 10, "unknown": np.nan}[
        later
    ]
    changed = with_values(series(), values)
    for step in STEPS:
        before = fitted(name).predict(series(), known(series()), step)
        after = fitted(name).predict(changed, known(changed), step)
        assert np.isfinite(before[300:]).all()
        assert np.array_equal(before[300 : t + step + 1], after[300 : t + step + 1]), step
        assert not equal(before[t + step + 1 :], after[t + step + 1 :]), "the change reaches later days"


@EVERY_FORECASTER
def test_a_forecast_does_not_depend_on_later_days_being_there(name: str) -> None:
    """A series that ends at day t gives the same forecast as the whole series."""
    t = 350
    ends = series().until(series().days[t + 1]).extended(3)
    for step in STEPS:
        whole = fitted(name).predict(series(), known(series()), step, t + step)[0]
        assert np.allclose(fitted(name).predict(ends, known(ends), step, t + step)[0], whole, rtol=1e-9), step


@EVERY_FORECASTER
def test_the_same_seed_gives_the_same_forecasts(name: str) -> None:
    again = quick(name).fit(series(), known(series()), STEPS[-1])
    for step in STEPS:
        one, other, third = (each.predict(series(), known(series()), step) for each in (fitted(name), again, again))
        assert equal(one, other)
        assert equal(other, third)


@EVERY_FORECASTER
def test_an_unknown_past_gives_no_number(name: str) -> None:
    """Entity "a" has no values for 40 days; the forecasts of "b" do not change."""
    values = series().values.copy()
    values[360:400, 0] = np.nan
    changed = with_values(series(), values)
    for step in STEPS:
        found = fitted(name).predict(changed, known(changed), step)
        assert np.isnan(found[380 + step : 400 + step, 0]).all(), step
        assert np.isnan(found[400 + step, 0]), "the forecast origin is known again, the week before it is not"
        assert np.isnan(found[:step]).all(), "no value is known before the first day"
        assert equal(found[:, 1], fitted(name).predict(series(), known(series()), step)[:, 1])


@EVERY_FORECASTER
def test_the_series_is_left_untouched(name: str) -> None:
    own = with_values(series(), series().values.copy())
    seen = known(own)
    before, given = own.values.copy(), copy.deepcopy(seen.columns)
    quick(name).fit(own, seen, 2).predict(own, seen, 2)
    quick(name).fit(own, seen, 2).importance(own, seen, 1, 300)
    assert np.array_equal(own.values, before)
    assert all(np.array_equal(given[column], seen.columns[column]) for column in given)


@EVERY_FORECASTER
def test_the_first_day_asked_for_is_the_first_answer(name: str) -> None:
    whole = fitted(name).predict(series(), known(series()), 2)
    assert np.allclose(fitted(name).predict(series(), known(series()), 2, 300), whole[300:], rtol=1e-12)


@EVERY_FORECASTER
def test_days_after_the_end_are_forecast(name: str) -> None:
    longer = series().extended(3)
    for step in STEPS:
        found = fitted(name).predict(longer, known(longer), step, DAYS + step - 1)[0]
        usual = series().amounts[-28:].mean(axis=0)
        assert (found > 0.5 * usual).all()
        assert (found < 2 * usual).all()


@EVERY_FORECASTER
def test_hyperparameters_have_a_sentence_and_an_accepted_default(name: str) -> None:
    cls = forecasters()[name]
    assert all(field.metadata["help"] for field in hyperparameters(cls).values())
    assert get_params(build_from_settings(cls, get_params(cls()))) == get_params(cls())
    learned = vars(fitted(name)).keys() - hyperparameters(cls).keys()
    assert all(each.endswith("_") for each in learned)


@pytest.mark.parametrize("name", [each for each in forecasters() if each != "seasonal-naive"])
def test_too_little_history_is_refused_and_progress_only_grows(name: str) -> None:
    short = Panel.of(daily(consumption(40, 2)))
    with pytest.raises(DataError, match="at least"):
        quick(name).fit(short, known(short), 1)
    told = Told()
    quick(name).fit(series(), known(series()), 2, told)
    assert told.shares == sorted(told.shares)
    assert told.shares[-1] == 1


@pytest.mark.parametrize("name", [each for each in forecasters() if each != "seasonal-naive"])
def test_better_than_naive_where_the_weather_decides(name: str) -> None:
    naive = forecasters()["seasonal-naive"]()
    own = fitted(name)
    actual = series().amounts[60:]
    errors = [np.abs(each.predict(series(), known(series()), 3)[60:] - actual).mean() for each in (own, naive)]
    assert errors[0] < 0.7 * errors[1]


@pytest.mark.parametrize("name", ["ridge", "random-forest"])
def test_importance_knows_what_decides(name: str) -> None:
    found = fitted(name).importance(series(), known(series()), 1, 300)
    assert {"calendar", "past", "weather", "strike"} <= set(found)
    assert found["weather"] > 0
    assert found["strike"] > found["school_break"]


class Told(Progress):
    """Progress that records the reported shares (0–1)."""

    def __init__(self) -> None:
        super().__init__()
        self.shares: list[float] = []

    def tell(self, share: float, doing: str = "") -> None:
        super().tell(share, doing)
        self.shares.append(share)


def test_parts_of_progress_are_shares_of_the_whole() -> None:
    whole = Told()
    whole.part(1, 2).part(0, 2).tell(0.5)
    assert whole.shares == [0.625]
    whole.part(0, 2).part(0, 2).cancel()
    with pytest.raises(Cancelled):
        whole.part(1, 2).tell(1)


# ---- unusual series -------------------------------------------------------------------------------------------------


@EVERY_FORECASTER
@pytest.mark.parametrize("kind", ["constant", "zeros", "negative", "one zero entity", "trend"])
def test_odd_series_are_forecast_near_what_they_are(name: str, kind: str) -> None:
    noise = np.random.default_rng(0).normal(0, 1, (DAYS, 2))
    values = {
        "constant": np.full((DAYS, 2), 7.0),
        "zeros": np.zeros((DAYS, 2)),
        "negative": 5 * noise - 2,
        "one zero entity": consumption(DAYS, 2) * [1, 0],
        "trend": np.arange(DAYS)[:, None] + 100 + noise,
    }[kind]
    panel = Panel.of(daily(values))
    found = quick(name).fit(panel, known(panel), 2).predict(panel, known(panel), 2, 360)
    assert np.isfinite(found).all()
    spread = max(np.ptp(values), 1e-6)
    assert (found >= values.min() - 0.5 * spread).all()
    assert (found <= values.max() + 0.5 * spread).all()
    if kind == "one zero entity":
        assert np.abs(found[:, 1]).max() < 1e-6 * values.max()


@EVERY_FORECASTER
def test_an_amount_below_zero_that_was_never_seen(name: str) -> None:
    """Amounts turn negative after the fit: no warning, and no forecast beyond twice the largest amount."""
    values = series().values.copy()
    values[-3:] *= -0.2
    changed = with_values(series(), values)
    found = fitted(name).predict(changed.extended(1), known(changed.extended(1)), 1, DAYS)
    assert not np.isinf(found).any()
    assert np.nanmax(np.abs(found), initial=0) < 2 * series().amounts.max()


@EVERY_FORECASTER
def test_a_short_entity_among_long_ones(name: str) -> None:
    values = np.concatenate([consumption(DAYS, 2), consumption(DAYS, 1)], axis=1)
    values[: DAYS - 35, 2] = np.nan
    panel = Panel.of(daily(values))
    longer = panel.extended(1)
    found = quick(name).fit(panel, known(panel), 1).predict(longer, known(longer), 1, DAYS)[0]
    assert np.isfinite(found[:2]).all()
    usual = values[-28:, 2].mean()
    assert np.isnan(found[2]) or 0.5 * usual < found[2] < 2 * usual


@EVERY_FORECASTER
def test_a_few_missing_days_are_bridged(name: str) -> None:
    values = series().values.copy()
    values[np.random.default_rng(3).random(values.shape) < 0.1] = np.nan
    holes = with_values(series(), values)
    found = quick(name).fit(holes, known(holes), 1).predict(holes, known(holes), 1, 300)
    assert np.isfinite(found).all()
    assert np.nanmean(np.abs(found - series().amounts[300:])) < 0.4 * series().amounts.mean()


def test_an_absurd_amount_is_no_lesson_and_no_past() -> None:
    """One day is tenfold: the forecasts of the next five days change by at most 25 %."""
    values = series().values.copy()
    values[380] *= 10
    changed = with_values(series(), values)
    found = [fitted("ridge").predict(each, known(each), 1, 381)[:5] for each in (series(), changed)]
    assert np.allclose(*found, rtol=0.25)
    assert np.isnan(changed.lessons[380]).all()


def test_what_is_absurd_is_judged_by_the_days_before_alone() -> None:
    """Forecasts made on a tenfold day do not depend on whether later days are tenfold too."""
    alone, lasting = series().values.copy(), series().values.copy()
    alone[350] *= 10
    lasting[350:] *= 10
    one, other = (with_values(series(), values) for values in (alone, lasting))
    found = [fitted("ridge").predict(each, known(each), 1)[300:352] for each in (one, other)]
    assert np.array_equal(*found)


def test_the_trend_is_that_of_the_date_whatever_the_first_day() -> None:
    """A forecast from the last 150 days equals the forecast from the whole history."""
    data = daily(consumption(1100, 2) * np.linspace(1, 3, 1100)[:, None])
    panel, given = Panel.of(data), drivers_of(data, [table({"temperature": warmth(1130)})])
    ridge = Ridge().fit(panel, Known.of(panel, given, ["temperature"]), 2)
    whole, part = (each.extended(2) for each in (panel, panel.last(150)))
    for step in (1, 2):
        one, other = (
            ridge.predict(each, Known.of(each, given, ["temperature"]), step, len(each) - 3 + step)[0]
            for each in (whole, part)
        )
        assert np.allclose(one, other, rtol=1e-6)


def test_the_blend_is_the_mean_of_its_parts() -> None:
    blend = fitted("blend")
    assert isinstance(blend, Blend)
    parts = [part.predict(series(), known(series()), 2) for part in blend.parts_]
    assert equal(blend.predict(series(), known(series()), 2), (parts[0] + parts[1]) / 2)


def test_the_seasonal_naive_repeats_the_same_weekday() -> None:
    panel = Panel.of(daily(np.arange(50.0)[:, None] + 100))
    naive = forecasters()["seasonal-naive"]().fit(panel, known(panel), 9)
    for step, back in ((1, 7), (7, 7), (8, 14), (9, 14)):
        assert naive.predict(panel, known(panel), step)[40, 0] == 140 - back


# ---- hourly profiles ------------------------------------------------------------------------------------------------


def test_hours_add_up_to_their_day_and_have_the_shape_of_the_entity() -> None:
    panel = Panel.of(hourly(consumption(60, 2)), "hour")
    moments = spread_over_day(panel.amounts[50:], panel, 2, 50)
    assert np.allclose(moments, panel.values[50:])
    power = Panel.of(hourly(consumption(60, 2), unit="MW"), "hour")
    assert np.allclose(spread_over_day(power.amounts[50:], power, 2, 50), power.values[50:])


def test_hours_depend_on_nothing_known_later() -> None:
    panel = Panel.of(hourly(consumption(60, 2)), "hour")
    values = panel.values.copy()
    values[41:] = values[41:, :, ::-1] * np.linspace(1, 3, 24)
    for step in (1, 2, 7, 8):
        one, other = shares(panel, step), shares(with_values(panel, values), step)
        assert np.array_equal(one[14:][: 41 + step - 14], other[14:][: 41 + step - 14], equal_nan=True), step
        assert not equal(one, other)


def test_an_empty_day_says_nothing_of_the_shape_and_an_empty_month_gives_zeros() -> None:
    panel = Panel.of(hourly(consumption(60, 2)), "hour")
    values = panel.values.copy()
    values[50] = 0
    assert np.allclose(shares(with_values(panel, values), 1)[57], shares(panel, 1)[57])
    values[20:] = 0
    found = spread_over_day(np.zeros((1, 2)), with_values(panel, values), 1, 59)
    assert np.array_equal(found, np.zeros((1, 2, 24)))


# ---- inputs known in advance ----------------------------------------------------------------------------------------


def test_a_driver_that_ends_before_the_horizon_is_assumed_at_its_usual_value() -> None:
    data = daily(consumption(800, 2))
    given = drivers_of(data, [table({"temperature": warmth(802)})])
    found = Known.of(Panel.of(data).extended(7), given, ["temperature"])
    assert np.flatnonzero(found.assumed[:, 0]).tolist() == [802, 803, 804, 805, 806, 807]
    assert np.array_equal(found.columns["temperature"][:802, 0], warmth(802))
    usual = warmth(808)[[802 - 365, 802 - 730]].mean()
    assert found.columns["temperature"][804, 1] == pytest.approx(usual, abs=3)


def test_a_driver_without_a_value_is_refused_and_a_flag_is_none() -> None:
    data = daily(consumption(100, 1))
    given = drivers_of(data, [])
    with pytest.raises(DataError, match="'temperature' is needed"):
        Known.of(Panel.of(data), given, ["temperature"])
    assert (Known.of(Panel.of(data), given, ["strike"]).columns["strike"] == 0).all()


def test_a_day_ahead_is_seen_as_it_looked_on_the_day_of_asking() -> None:
    """Degraded weather has no error for past days, a larger error farther ahead, and is reproducible."""
    data = daily(consumption(1500, 3))
    given = drivers_of(data, [table({"temperature": warmth(1530)})])
    panel = Panel.of(data)
    right, wrong = (Known.of(panel, given, ["temperature"], weather, 9) for weather in ("as given", "degraded"))  # type: ignore[arg-type]
    for step in (1, 7):
        error = wrong.seen("temperature", 0, step) - right.seen("temperature", 0, step)
        assert np.nanstd(error) == pytest.approx(LEAD_ERROR[step - 1], rel=0.1)
        assert equal(wrong.seen("temperature", step, step), right.seen("temperature", step, step))
        assert equal(wrong.seen("temperature", 0, step), wrong.seen("temperature", 0, step))
    assert not equal(wrong.seen("temperature", 1, 2), wrong.seen("temperature", 0, 1)), (
        "errors two days ahead differ from those one day ahead"
    )


def test_the_same_forecast_of_the_weather_is_seen_from_one_day_of_asking() -> None:
    """Forecasts one and two days ahead of one origin see the same temperature for the next day."""
    data = daily(consumption(100, 2))
    given = drivers_of(data, [table({"temperature": warmth(130)})])
    wrong = Known.of(Panel.of(data), given, ["temperature"], "degraded", 7)
    assert np.allclose(wrong.seen("temperature", 0, 1)[51], wrong.seen("temperature", 1, 2)[52])


def test_weather_is_left_out_where_it_is_not_to_be_known() -> None:
    assert "temperature" in usable_columns(series(), drivers())
    assert usable_columns(series(), drivers(), "none") == [
        each for each in usable_columns(series(), drivers()) if each != "temperature"
    ]
    assert usable_columns(series().last(50), drivers()) == []


# ---- leakage check --------------------------------------------------------------------------------------------------


def planted(name: str, total: Floats) -> Floats:
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
def test_a_driver_that_gives_the_answer_away_is_refused_by_name(name: str) -> None:
    data = daily(consumption(DAYS, 1))
    total = Panel.of(data).amounts[:, 0]
    given = table({"temperature": warmth(DAYS), "suspect": planted(name, total)})
    with pytest.raises(DataError, match="suspect") as error:
        refuse_leaks(Panel.of(data), drivers_of(data, [given]))
    assert "temperature" not in str(error.value)


def test_hours_that_add_up_to_the_day_are_refused_by_name() -> None:
    """None of the 24 columns alone is the total; the message does not name the temperature."""
    data = daily(consumption(DAYS, 1))
    random = np.random.default_rng(4)
    own = random.dirichlet(np.full(24, 40.0), DAYS) * Panel.of(data).amounts
    given = table({"temperature": warmth(DAYS)} | {f"h{hour:02d}": own[:, hour] for hour in range(24)})
    with pytest.raises(DataError, match="add up") as error:
        refuse_leaks(Panel.of(data), drivers_of(data, [given]))
    assert all(f"h{hour:02d}" in str(error.value) for hour in range(24))
    assert "temperature" not in str(error.value)


def test_honest_drivers_are_not_refused() -> None:
    random, count = np.random.default_rng(6), np.arange(DAYS, dtype=float)
    given = table(
        {
            "temperature": warmth(DAYS),
            "strike": strikes()[:DAYS],
            "noise": random.normal(size=DAYS),
            "trend": count,
            "weekday": count % 7,
            "year": np.sin(count / 58),
        }
    )
    for values in (consumption(DAYS, 1), consumption(DAYS, 2), np.full((DAYS, 1), 5.0), np.zeros((DAYS, 1))):
        refuse_leaks(Panel.of(daily(values)), drivers_of(daily(values), [given]))


def test_the_real_drivers_of_the_gas_files_are_not_refused(gas: Dataset, shared_data: Path) -> None:
    files = ("temperature-quotidienne-regionale.csv", "mouvements-sociaux-depuis-2002.csv", "vacances-scolaires.csv")
    given = drivers_of(gas, read_covariates([shared_data / "gas_france" / name for name in files]))
    assert {"temperature", "temperature_min", "temperature_max", "strike", "holiday", "school_break"} <= set(
        given.columns
    )
    panel = Panel.of(gas)
    refuse_leaks(panel, given)
    total = pd.Series(panel.amounts[:, 3], index=panel.days)
    leaking = given.changed("hours", lambda column: total.reindex(column.index.get_level_values("day")).to_numpy())
    with pytest.raises(DataError, match="hours"):
        refuse_leaks(panel, leaking)
