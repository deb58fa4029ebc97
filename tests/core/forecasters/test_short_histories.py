"""Any history and any step: two seasons are forecast and tested, with real metrics, from minutes to years."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.array_types import Floats
from core.data.covariates import Covariates
from core.data.frequencies import list_seasons
from core.data.panel import Panel
from core.errors import DataError
from core.forecasters.backtests.backtest import (
    Backtest,
    choose_test_start,
    count_min_history,
    get_naive_season,
    run_backtest,
)
from core.forecasters.backtests.backtest_report import build_report
from core.forecasters.base import Forecaster
from core.forecasters.seasonal_naive import SeasonalNaive
from core.forecasters.series.auto_ets import AutoEts

QUANTILES = np.array([0.05, 0.5, 0.95])
NO_COVARIATES = Covariates(
    pd.DataFrame(
        {"holiday": [0.0]},
        index=pd.MultiIndex.from_product([["a"], pd.to_datetime(["2023-01-01"])], names=["entity", "day"]),
    )
)


def make_panel(frequency: str, values: Floats) -> Panel:
    """Return a panel of one entity."""
    periods = pd.date_range("2023-01-01", periods=len(values), freq=frequency)
    return Panel(periods, ("a",), ("day",), values[:, None, None], frequency=frequency)


def make_seasonal(frequency: str, count: int, level: float = 100.0) -> Floats:
    """Return a wave of the shortest season with noise of 5 %."""
    season = next(iter(list_seasons(frequency)), 4)
    random = np.random.default_rng(count)
    return level + 30 * np.sin(2 * np.pi * np.arange(count) / season) + random.normal(0, 5, count)


def back_test(forecaster: Forecaster, panel: Panel, horizon: int) -> Backtest:
    """Return the backtest from the default start on."""
    start = panel.periods[choose_test_start(panel, horizon)]
    return run_backtest(forecaster, panel, NO_COVARIATES, start_date=start, horizon=horizon)


@pytest.mark.parametrize("forecaster", [SeasonalNaive(), AutoEts()], ids=["naive", "ets"])
@pytest.mark.parametrize(
    ("frequency", "count", "horizon"),
    [("D", 30, 7), ("D", 77, 7), ("W-MON", 60, 4), ("MS", 60, 12), ("QS-JAN", 24, 4), ("YS-JAN", 14, 2), ("h", 72, 12)],
)
def test_short_series_is_forecast_with_real_metrics(
    forecaster: Forecaster, frequency: str, count: int, horizon: int
) -> None:
    panel = make_panel(frequency, make_seasonal(frequency, count))
    backtest = back_test(forecaster, panel, horizon)
    scores = build_report(backtest, QUANTILES)["scores"].query("entity == '' and step > 0")
    assert scores["step"].tolist() == list(range(1, horizon + 1))
    assert (scores["days"] > 0).all()
    assert np.isfinite(scores[["mae", "wape", "wape_naive1", "wape_naive7"]]).all(axis=None)
    assert scores["wape"].mean() < (0.35 if list_seasons(frequency) else 0.6)


@given(
    st.sampled_from(["30min", "6h", "D", "2D", "W-SUN", "MS", "QS-JAN", "YS-JAN"]),
    st.integers(1, 14),
    st.integers(0, 40),
    st.sampled_from(["plain", "negative", "zeros", "holes"]),
)
def test_least_history_is_enough_and_less_is_refused(frequency: str, horizon: int, more: int, kind: str) -> None:
    """From the told number of values on there are finite forecasts and errors; one value less is refused with it."""
    least = count_min_history(make_panel(frequency, np.zeros(3)), horizon)
    values = make_seasonal(frequency, least + more + (kind == "holes"))
    values = {"negative": values - 150, "zeros": np.zeros(len(values))}.get(kind, values)
    if kind == "holes":
        values[1 + more % 3] = np.nan
    panel = make_panel(frequency, values)
    backtest = back_test(SeasonalNaive(), panel, horizon)
    assert np.isfinite(backtest.get_forecast(1)[0]).all()
    assert np.isfinite(backtest.get_naive_forecast("naive7", 1)).any()
    too_short = make_panel(frequency, make_seasonal(frequency, least - 1))
    with pytest.raises(DataError, match=rf"needs at least {least} values.*have {least - 1}, one per {frequency}"):
        back_test(SeasonalNaive(), too_short, horizon)


def test_naive_season_suits_the_step() -> None:
    counts = {"min": 5000, "h": 100, "D": 20, "W-MON": 110, "MS": 30, "YS-JAN": 30}
    seasons = {name: get_naive_season(make_panel(name, np.zeros(count))) for name, count in counts.items()}
    assert seasons == {"min": 1440, "h": 24, "D": 7, "W-MON": 52, "MS": 12, "YS-JAN": 1}
    assert get_naive_season(make_panel("W-MON", np.zeros(60))) == 1


def test_monthly_season_is_learnt_by_both() -> None:
    """Five years of a strong year: both forecasters follow it, the last value does not."""
    panel = make_panel("MS", make_seasonal("MS", 60))
    for forecaster in (SeasonalNaive(), AutoEts()):
        scores = build_report(back_test(forecaster, panel, 12), QUANTILES)["scores"]
        total = scores[(scores["entity"] == "") & (scores["step"] == 0)].iloc[0]
        assert total["wape"] < 0.12
        assert total["wape"] < 0.6 * total["wape_naive1"]


def test_subdaily_origins_meet_every_time_of_the_day() -> None:
    panel = make_panel("h", make_seasonal("h", 24 * 100))
    backtest = back_test(AutoEts(), panel.tail(24 * 40), 3)
    known = np.isfinite(backtest.errors.forecast[0, :, 0, 0])
    assert known.sum() <= 2 * 300
    periods = panel.tail(24 * 40).periods[backtest.errors_start :][known]
    assert set(periods.hour) == set(range(24))
