"""Intervals of forecasts of gas and electricity demand: fixed ones beside those that adapt, from the same forecasts.

It measures coverage over all and by month, width, quantile loss and seconds.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.datasets import find_demand_file, find_gas_files
from benchmarks.forecasting import COVARIATE_FILES
from benchmarks.report import ResultLine
from core.array_types import Floats
from core.data.covariates import join_covariates, read_covariates
from core.data.dataset import DAY
from core.data.ingest.loading import load
from core.data.panel import Panel, Resolution
from core.evaluation.conformal import ConformalConfig, ResidualHistory
from core.evaluation.forecast_metrics import LOSS_LEVELS, compute_coverage, compute_mean_width, quantile_loss
from core.forecasters.backtests.backtest import run_backtest
from core.tasks.forecast.spec import list_forecasters

LEVELS = np.concatenate([[0.05], LOSS_LEVELS, [0.95]])
NOMINAL, MAX_DISTANCE = 0.9, 0.04  # coverage of the interval, and how far that of a month may be from it
MIN_MONTH_DAYS = 20
LEAST_COVERAGE: dict[tuple[str, int], float] = {("hour", 7): 0.88, ("hour", 28): 0.87, ("day", 28): 0.87}
CALIBRATIONS = {"fixed": ConformalConfig(adaptation=0.0), "adaptive": ConformalConfig()}


@dataclass(frozen=True)
class Case:
    """Files and forecasts; the test starts at `start`."""

    name: str
    files: tuple[Path, ...]
    covariates: tuple[Path, ...]
    start: str
    resolution: Resolution
    horizon: int
    forecaster: str = "blend"


@dataclass(frozen=True)
class Measured:
    """Scores of the intervals of a calibration; `months` is the coverage of every month of the test."""

    coverage: float
    last_coverage: float
    months: Floats
    width: float
    loss: float
    seconds: float


def main() -> list[ResultLine]:
    """Measure both kinds of intervals on every case whose files exist, and in a simulated lockdown."""
    lines = [
        line for case in list_cases() for line in _describe(case.name, case.resolution, case.horizon, measure(case))
    ]
    lines += _describe("simulated lockdown, days", "day", 7, measure_lockdown())
    return lines


def list_cases() -> Iterator[Case]:
    """Yield the cases: gas from 2023 on, and the last year of electricity demand in Victoria."""
    gas, demand = tuple(find_gas_files()), find_demand_file()
    if gas and all((gas[0].parent / name).exists() for name in COVARIATE_FILES):
        covariates = tuple(gas[0].parent / name for name in COVARIATE_FILES)
        yield Case("gas, days", gas, covariates, "2023-01-01", "day", 7)
        yield Case("gas, days", gas, covariates, "2023-01-01", "day", 28, "ridge")
        yield Case("gas, hours", gas, covariates, "2023-01-01", "hour", 7)
        yield Case("gas, hours", gas, covariates, "2023-01-01", "hour", 28, "ridge")
    if demand is not None:
        yield Case("Victoria demand, days", (demand,), (), "2014-01-01", "day", 7)
        yield Case("Victoria demand, half-hours", (demand,), (), "2014-01-01", "hour", 7)


def measure(case: Case) -> dict[str, Measured]:
    """Run one backtest and return the scores of both kinds of intervals around its forecasts."""
    dataset = load(list(case.files))
    series = Panel.from_dataset(dataset, case.resolution)
    tables = read_covariates(list(case.covariates)) if case.covariates else []
    last_day = series.periods[-1] + DAY * (case.horizon + 1)
    covariates = join_covariates(dataset, tables, last_day=last_day)
    backtest = run_backtest(
        list_forecasters()[case.forecaster](),
        series,
        covariates,
        start_date=pd.Timestamp(case.start),
        horizon=case.horizon,
    )
    return _measure_both(backtest.errors, backtest.test_start - backtest.errors_start, backtest.periods)


def measure_lockdown() -> dict[str, Measured]:
    """Score both kinds of intervals of ten series whose level falls by 15 % for three months, as in spring 2020.

    The forecasts follow the level with a delay of two weeks, and their errors double meanwhile.
    """
    random = np.random.default_rng(2020)
    days = pd.date_range("2018-03-16", "2021-03-15", freq="D")
    shape = pd.to_datetime(["2018-03-16", "2020-03-16", "2020-03-23", "2020-05-11", "2020-07-01", "2021-03-15"])
    lockdown = np.interp(days.asi8, shape.asi8, [0.0, 0.0, 1.0, 1.0, 0.0, 0.0])
    usual = 100 * (1 + 0.3 * np.cos(2 * np.pi * days.dayofyear.to_numpy() / 365.25))
    noise = random.normal(size=(len(days), 10)) + random.normal(size=(len(days), 1))
    actual = (usual * (1 - 0.15 * lockdown))[:, None] * (1 + 0.02 * (1 + lockdown)[:, None] * noise)
    learnt = pd.Series(lockdown).ewm(halflife=14).mean().to_numpy()
    forecast = np.stack([usual * (1 - 0.15 * np.roll(learnt, step)) for step in range(1, 8)])
    forecasts = np.broadcast_to(forecast[:, :, None, None], (7, len(days), 10, 1))
    first = int(days.searchsorted(pd.Timestamp("2020-01-01")))
    return _measure_both(ResidualHistory(forecasts, actual[:, :, None]), first, days[first:])


def _measure_both(errors: ResidualHistory, first: int, periods: pd.DatetimeIndex) -> dict[str, Measured]:
    return {
        name: _measure_intervals(replace(errors, calibration=calibration), first, periods)
        for name, calibration in CALIBRATIONS.items()
    }


def _measure_intervals(errors: ResidualHistory, first: int, periods: pd.DatetimeIndex) -> Measured:
    actual, horizon, months = errors.actual[first:], len(errors.forecast), periods.strftime("%Y-%m")
    inside, scores, seconds = [], [], 0.0
    for step in range(1, horizon + 1):
        started = time.perf_counter()
        bands = errors.compute_rolling_quantiles(step, LEVELS, first)
        seconds += time.perf_counter() - started
        is_known = np.isfinite(actual) & np.isfinite(bands).all(axis=-1)
        inside.append(np.where(is_known, (actual >= bands[..., 0]) & (actual <= bands[..., -1]), np.nan))
        low, high = bands[..., 0], bands[..., -1]
        loss = quantile_loss(actual, bands[..., 1:-1], LOSS_LEVELS)
        scores.append((compute_coverage(actual, low, high), compute_mean_width(actual, low, high), loss))
    by_day = np.stack(inside).swapaxes(0, 1).reshape(len(actual), -1)
    by_month = [np.nanmean(by_day[months == month]) for month in sorted(set(months)) if _has_days(month, months)]
    coverages, widths, losses = np.array(scores).T
    return Measured(
        float(np.nanmean(np.stack(inside))),
        float(coverages[-1]),
        np.array(by_month),
        float(widths.mean()),
        float(losses.mean()),
        seconds,
    )


def _has_days(month: str, months: "pd.Index[str]") -> bool:
    return bool((months == month).sum() >= MIN_MONTH_DAYS)


def _describe(name: str, resolution: str, horizon: int, measured: dict[str, Measured]) -> list[ResultLine]:
    least = LEAST_COVERAGE.get((resolution, horizon))
    lines = []
    for kind, scores in measured.items():
        is_outside = np.abs(scores.months - NOMINAL) > MAX_DISTANCE
        target, verdict = ("", "")
        if least is not None and kind == "adaptive":
            target, verdict = f"≥ {least:.0%}", "met" if scores.last_coverage >= least else "MISSED"
        lines.append(
            ResultLine(
                f"{name}, {kind}: coverage {horizon} d ahead",
                f"{scores.last_coverage:.1%}",
                "",
                f"1 to {horizon} d ahead {scores.coverage:.1%}; {scores.seconds:.1f} s",
                target,
                verdict,
            )
        )
        lines.append(
            ResultLine(
                "    coverage by month",
                f"mean distance {np.abs(scores.months - NOMINAL).mean():.1%}",
                f"{scores.months.min():.1%} – {scores.months.max():.1%}",
                f"{int(is_outside.sum())} of {len(scores.months)} months outside {NOMINAL:.0%} ± {MAX_DISTANCE:.0%}",
                "none" if kind == "adaptive" else "",
                "" if kind == "fixed" else "MISSED" if is_outside.any() else "met",
            )
        )
        lines.append(ResultLine("    width of the amounts", f"{scores.width:.1%}", basis=f"mwql {scores.loss:.4f}"))
    return lines
