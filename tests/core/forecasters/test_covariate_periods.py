"""Covariates on periods of any length: errors of weather forecasts, memory, and what can be learnt count days."""

import numpy as np
import pandas as pd
import pytest

from core.array_types import Floats
from core.data.covariates import Covariates
from core.data.panel import Panel
from core.forecasters.panels.covariate_panel import CovariatePanel, select_covariates
from core.forecasters.panels.weather_errors import LEAD_ERRORS_C, compute_lead_errors

YEARS = 12
DAYS = pd.date_range("2010-01-01", periods=365 * YEARS, name="day")


def make_covariates(**columns: Floats) -> Covariates:
    index = pd.MultiIndex.from_product([["a"], DAYS], names=["entity", "day"])
    return Covariates(pd.DataFrame(columns, index=index, dtype=float))


def make_periods(frequency: str, count: int) -> Panel:
    periods = pd.date_range("2010-01-04", periods=count, freq=frequency)
    return Panel(periods, ("a",), ("day",), np.ones((count, 1, 1)), frequency=frequency)


def build(panel: Panel, covariates: Covariates, weather: str = "original", horizon: int = 60) -> CovariatePanel:
    return CovariatePanel.from_covariates(panel, covariates, covariates.columns, weather, horizon)  # type: ignore[arg-type]


@pytest.mark.parametrize(("frequency", "count"), [("h", 24 * 900), ("6h", 4 * 900), ("D", 4000), ("W-MON", 620)])
def test_error_of_a_weather_forecast_counts_days_ahead(frequency: str, count: int) -> None:
    """An hour has the error of its day; the mean of a week has less than its days have."""
    panel = make_periods(frequency, count)
    covariates = make_covariates(temperature=np.zeros(len(DAYS)))
    day = max(int(pd.Timedelta(days=1) // panel.step), 1)
    degraded = build(panel, covariates, "degraded", 5 * day)
    for ahead in (1, 3, 5):
        error = np.nanstd(degraded.get_known_values("temperature", 0, day * ahead))
        expected = compute_lead_errors(panel.step, ahead)[-1]
        assert error == pytest.approx(expected, rel=0.12)
        if frequency != "W-MON":
            assert expected == pytest.approx(LEAD_ERRORS_C[ahead - 1])
    assert np.allclose(degraded.get_known_values("temperature", day, day)[day:], 0)


def test_mean_of_a_month_has_a_smaller_error_than_its_days() -> None:
    month, day = (compute_lead_errors(pd.Timedelta(days=days), 12) for days in (30, 1))
    assert (month[1:] < 0.6 * day[-1]).all()
    assert month[0] < month[1]


def test_hours_of_one_forecast_share_the_error_of_their_day() -> None:
    panel = make_periods("h", 24 * 60)
    error = build(panel, make_covariates(temperature=np.zeros(len(DAYS))), "degraded").get_known_values(
        "temperature", 0, 24
    )
    assert np.allclose(error[24:48], error[24])
    assert not np.allclose(error[48:72], error[24])


@pytest.mark.parametrize(("frequency", "back"), [("h", 24), ("D", 1)])
def test_memory_of_the_weather_covers_days(frequency: str, back: int) -> None:
    """Two weeks after a change of the temperature nothing of it is remembered, and one day after it a part is."""
    celsius = np.where(np.arange(len(DAYS)) < 30, 0.0, 10.0)
    known = build(make_periods(frequency, 80 * back), make_covariates(temperature=celsius))
    memory = known.compute_weighted_mean("temperature", 0.35, 0, 1)[:, 0]
    change = 27 * back  # the panel begins three days after the covariates
    assert memory[change - 1] == pytest.approx(0.0)
    assert memory[change] == pytest.approx(3.5, abs=0.1)
    assert memory[change + 14 * back] == pytest.approx(10.0)


def test_memory_of_months_is_the_month() -> None:
    known = build(make_periods("MS", 40), make_covariates(temperature=np.arange(float(len(DAYS)))))
    assert np.allclose(
        known.compute_weighted_mean("temperature", 0.35, 0, 1), known.get_known_values("temperature", 0, 1)
    )


def test_hours_of_one_event_are_one_day() -> None:
    """An event of two days is too little to learn from, also where it has 48 hours."""
    holiday = np.isin(np.arange(len(DAYS)), (20, 40)).astype(float)
    wind = np.where(np.arange(len(DAYS)) < 15, np.arange(float(len(DAYS))), np.nan)
    selection = select_covariates(make_periods("h", 24 * 100), make_covariates(holiday=holiday, wind=wind))
    assert selection.names == []
    assert {name: str(reason) for name, reason in selection.left_out.items()} == {
        "holiday": "holiday is not used: 3 days with it are needed to learn its effect, and the data have 2.",
        "wind": "wind is not used: it has values in 12 of 100 days, and 50 are needed.",
    }


def test_event_of_a_year_is_told_in_periods() -> None:
    holiday = (np.arange(len(DAYS)) == 100).astype(float)
    reason = select_covariates(make_periods("MS", 40), make_covariates(holiday=holiday)).left_out["holiday"]
    assert "3 periods with it are needed" in str(reason)
