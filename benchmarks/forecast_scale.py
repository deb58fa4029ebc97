"""Backtest, fit and forecast of 1,000 entities × 3 years of days with temperature and holidays, 7 days ahead.

It measures seconds, seconds of the processors, and peak memory, with one process for each forecaster.
"""

import json
import os
import subprocess
import sys
import time

import numpy as np
import pandas as pd

from benchmarks.report import ResultLine, check_target, peak_mb
from core.array_types import Floats
from core.data.covariates import Covariates
from core.data.panel import Panel

ENTITIES, DAYS, HORIZON, TEST_DAYS = 1000, 1096, 7, 365
REGIONS = 13  # with a temperature of their own
FORECASTERS = ("ridge", "gradient-boosting", "blend")
MAX_SECONDS, MAX_MEMORY_MB = 180.0, 3000.0
THREADS = "2"
QUANTILES = np.array([0.05, 0.95])


def main() -> list[ResultLine]:
    """Measure every forecaster in a process of its own."""
    return [line for name in FORECASTERS for line in _measure_in_child(name)]


def _measure_in_child(name: str) -> list[ResultLine]:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.forecast_scale", name],
        check=True,
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": THREADS},
    )
    result = json.loads(done.stdout)
    return [
        ResultLine(
            f"{name}, {ENTITIES:,} entities",
            f"{result['seconds']:.0f} s",
            "",
            f"{result['cpu']:.0f} s of processor; backtest {result['backtest']:.0f} s",
            *check_target(result["seconds"], MAX_SECONDS, "s"),
        ),
        ResultLine(
            "    peak memory",
            f"{result['peak_mb']:,.0f} MB",
            "",
            f"{result['start_mb']:,.0f} MB before",
            *check_target(result["peak_mb"], MAX_MEMORY_MB, "MB"),
        ),
        ResultLine(
            f"    WAPE, 1 and {HORIZON} d ahead",
            f"{result['wape'][0]:.2%} and {result['wape'][1]:.2%}",
            "",
            f"same weekday {result['naive'][0]:.2%} and {result['naive'][1]:.2%}",
        ),
    ]


def make_inputs(entities: int = ENTITIES, days: int = DAYS) -> tuple[Panel, Covariates]:
    """Return consumption that rises in the cold and falls at week-ends and on holidays, and its covariates."""
    random = np.random.default_rng(0)
    calendar = pd.date_range("2021-01-01", periods=days + HORIZON + 1)
    weather = pd.DataFrame(random.normal(0, 5, (len(calendar), REGIONS))).ewm(alpha=0.4).mean().to_numpy()
    winter = np.cos(2 * np.pi * (calendar.dayofyear.to_numpy() - 20) / 365.25)
    temperature = (12 - 8 * winter[:, None] + weather)[:, np.arange(entities) % REGIONS]
    holiday = np.isin(calendar.strftime("%m-%d"), ("01-01", "05-01", "05-08", "07-14", "08-15", "11-11", "12-25"))
    level = np.exp(random.normal(3, 1, entities))
    heating = random.uniform(0.5, 6, entities) * np.maximum(16 - temperature, 0)
    rest = np.where((calendar.dayofweek >= 5) | holiday, 1.0, 0.0)[:, None] * random.uniform(0.05, 0.4, entities)
    values = level * (20 + heating) * (1 - rest) * np.exp(random.normal(0, 0.05, heating.shape))
    names = tuple(f"E{number:04d}" for number in range(entities))
    rows = pd.DataFrame(
        {"temperature": temperature.T.ravel(), "holiday": np.tile(holiday.astype(float), entities)},
        index=pd.MultiIndex.from_product([names, calendar], names=["entity", "time"]),
    )
    return Panel(calendar[:days], names, ("day",), values[:days, :, None], "MWh"), Covariates.from_rows(rows)


def measure(name: str) -> dict[str, float | list[float]]:
    """Return seconds, peak memory in MB, and errors of the backtest, the fit and the forecast of one forecaster."""
    from core.forecasters.backtests.backtest import run_backtest
    from core.forecasters.forecast_model import ForecastModel
    from core.tasks.forecast.spec import list_forecasters

    series, covariates = make_inputs()
    start_mb, began, used = peak_mb(), time.perf_counter(), time.process_time()
    forecaster = list_forecasters()[name]()
    start_date = series.periods[-TEST_DAYS]
    backtest = run_backtest(forecaster, series, covariates, start_date=start_date, horizon=HORIZON)
    backtest_seconds = time.perf_counter() - began
    model = ForecastModel(forecaster, HORIZON)
    model.fit(series, covariates, backtest.errors)
    model.forecast_days(series, model.build_covariate_panel(series, covariates), HORIZON, QUANTILES)
    actual = backtest.get_actual()

    def compute_wape(forecast: Floats) -> float:
        is_known = np.isfinite(forecast)
        return float(np.abs(forecast - actual)[is_known].sum() / np.abs(actual[is_known]).sum())

    return {
        "seconds": time.perf_counter() - began,
        "cpu": time.process_time() - used,
        "backtest": backtest_seconds,
        "peak_mb": peak_mb(),
        "start_mb": start_mb,
        "wape": [compute_wape(backtest.get_forecast(step)) for step in (1, HORIZON)],
        "naive": [compute_wape(backtest.get_naive_forecast("naive7", step)) for step in (1, HORIZON)],
    }


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1])))
