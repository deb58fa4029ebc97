"""Clusters of 500 trunks with a quantile forest each, on 8 weeks of quarter-hours: seconds and peak memory."""

import time

import numpy as np
import pandas as pd

from benchmarks.report import ResultLine, build_figure, peak_mb
from core.data.regular_series import RegularSeries
from core.forecasters.series.quantile_forest import QuantileForest

TRUNKS, WEEKS, WEEK_STEPS = 500, 8, 672
QUANTILES = np.array([0.025, 0.25, 0.5, 0.75, 0.975])
MAX_SECONDS, MAX_MB = 180.0, 2000.0


def main() -> list[ResultLine]:
    """Fit the forests and forecast a week of every trunk."""
    series = make_trunks()
    started = time.perf_counter()
    forest = QuantileForest().fit_series(series, WEEK_STEPS)
    fit_seconds = time.perf_counter() - started
    forecasts = forest.predict_quantiles(series, WEEK_STEPS, QUANTILES)
    seconds = time.perf_counter() - started
    sizes = ", ".join(map(str, np.bincount(forest.clusters_)))
    is_complete = bool(np.isfinite(forecasts).all())
    return [
        build_figure("clusters and fit of their forests", [fit_seconds], "s"),
        build_figure("fit, and quantiles of a week of all trunks", [seconds], "s", MAX_SECONDS),
        build_figure("peak memory", [peak_mb()], "MB", MAX_MB),
        ResultLine("clusters", str(len(forest.forests_)), basis=f"{sizes} trunks; every forecast known: {is_complete}"),
    ]


def make_trunks() -> RegularSeries:
    """Return counts of calls with a peak in the morning and one in the afternoon; half the trunks rest on weekends."""
    random, step = np.random.default_rng(1), pd.Timedelta(minutes=15)
    times = pd.date_range("2024-01-01", periods=WEEKS * WEEK_STEPS, freq=step)
    hours = np.asarray(times.hour + times.minute / 60)[:, None]
    level, shift = np.exp(random.normal(3, 1, TRUNKS)), random.normal(0, 1, TRUNKS)
    usual = 0.1 + np.exp(-(((hours - 11 - shift) / 3) ** 2)) + 0.8 * np.exp(-(((hours - 16 - shift) / 3) ** 2))
    weekend = np.where(np.arange(TRUNKS) % 2, 0.2, 0.9)
    usual *= np.where(np.asarray(times.dayofweek < 5)[:, None], 1.0, weekend)
    names = tuple(f"T{number:03d}" for number in range(TRUNKS))
    return RegularSeries(times, names, random.poisson(usual * level).astype(float), step, "calls")
