"""The default forecaster beside seasonal naive, AutoETS and boosting on lags: WAPE and weighted quantile loss.

Every side is fitted on the same history and forecasts the same test. It begins a fifth before the end, at most a
year, or four weeks of steps shorter than a day. The quantiles of every side come from its own errors on the half of the
history before the test, at most as long, which a first fit forecasts. The naive side is the better of the lines a day
and a week before, judged on the test itself.
"""

import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.datasets import find_bank_calls_file, find_demand_file, find_gas_files, find_shared_data
from benchmarks.plain_forecasters import PlainBoosting, PlainEts
from benchmarks.report import ResultLine
from core.array_types import Floats
from core.data.covariates import join_covariates, read_covariates
from core.data.dataset import DAY
from core.data.ingest.loading import load
from core.data.panel import Panel
from core.evaluation.forecast_metrics import quantile_loss, wape
from core.forecasters.automatic import Automatic
from core.forecasters.base import Forecaster
from core.forecasters.panels.covariate_panel import CovariatePanel
from core.forecasters.panels.panel_parts import select_periods_before
from core.forecasters.season_line import SeasonLine
from core.forecasters.seasons import list_repeated_seasons

Case = tuple[Panel, CovariatePanel, int]

LEVELS = np.arange(1, 10) / 10
LONGEST_TEST, LONGEST_TEST_DAYS = 365, 28  # periods of days and longer; days of shorter periods
CUTS_DAYS = (30, 77, 140)
WEATHER_FILES = (
    "temperature-quotidienne-regionale.csv",
    "mouvements-sociaux-depuis-2002.csv",
    "vacances-scolaires.csv",
)
CLOUD_FILES = ("elb_request_count_8c0756", "rds_cpu_utilization_cc0c53", "ec2_network_in_257a54", "grok_asg_anomaly")
TARGET_MEAN, TARGET_WORST = 0.85, 1.03  # ratio to the best of the three, over all sets and on the worst one


def main() -> list[ResultLine]:
    """Compare the sides on every set; FORECAST_SETS names some of them, separated by semicolons."""
    cases = list_cases()
    names = list(filter(None, os.environ.get("FORECAST_SETS", "").split(";"))) or list(cases)
    lines: list[ResultLine] = []
    ratios: list[Floats] = []
    for name in names:
        began = time.perf_counter()
        scores = score_sides(*cases[name]())
        best = np.min([values for side, values in scores.items() if side != Automatic.name], axis=0)
        ratios.append(scores[Automatic.name] / best)
        texts = [f"{side} " + " / ".join(f"{value:.2%}" for value in values) for side, values in scores.items()]
        result = " / ".join(f"{ratio:.2f}" for ratio in ratios[-1])
        lines.append(ResultLine(name, f"{result} x", f"{time.perf_counter() - began:.0f} s", "; ".join(texts)))
    if not ratios:
        return [ResultLine("skipped: none of the shared data", "–")]
    mean, worst = np.mean(ratios, axis=0), np.max(ratios, axis=0)
    columns = ("WAPE 1 step ahead", "WAPE of all steps", "weighted quantile loss")
    for number, column in enumerate(columns):
        for label, value, target in (("mean", mean[number], TARGET_MEAN), ("worst", worst[number], TARGET_WORST)):
            verdict = "met" if value <= target else "MISSED"
            lines.append(ResultLine(f"{column}, {label} ratio", f"{value:.3f} x", "", "", f"≤ {target} x", verdict))
    return lines


def score_sides(series: Panel, covariates: CovariatePanel, horizon: int) -> dict[str, Floats]:
    """Return side → (WAPE one step ahead, WAPE of all steps, mean weighted quantile loss)."""
    lines = [SeasonLine(season) for season in list_repeated_seasons(series) if 3 * season < len(series)]
    sides: list[Forecaster] = [*lines, PlainEts(), PlainBoosting(), Automatic()]
    longest = LONGEST_TEST if series.step >= DAY else int(LONGEST_TEST_DAYS * DAY / series.step)
    test_start = len(series) - max(min(longest, len(series) // 5), horizon + 1)
    errors_start = test_start - min(longest, test_start // 2)
    forecasts = [forecast_twice(side, series, covariates, horizon, errors_start, test_start) for side in sides]
    is_known = np.isfinite(np.stack(forecasts)).all(axis=0)
    scores: dict[str, Floats] = {}
    for side, values in zip(sides, forecasts, strict=True):
        score = _score(np.where(is_known, values, np.nan), series.amounts[errors_start:], test_start - errors_start)
        name = "naive" if isinstance(side, SeasonLine) else side.name
        scores[name] = np.minimum(scores.get(name, score), score)
    return scores


def forecast_twice(
    side: Forecaster, series: Panel, covariates: CovariatePanel, horizon: int, errors_start: int, test_start: int
) -> Floats:
    """Return the forecasts of the errors before the test and of the test, (horizon, periods, entities)."""
    parts = []
    for begin, end in ((errors_start, test_start), (test_start, len(series))):
        side = side.renew().fit(*select_periods_before(series, covariates, begin), horizon)
        parts.append(side.predict_steps(series, covariates, horizon, begin, end))
    return np.concatenate(parts, axis=1)


def _score(forecasts: Floats, amounts: Floats, test_start: int) -> Floats:
    errors = amounts - forecasts
    bands = np.full((*forecasts[:, test_start:].shape, len(LEVELS)), np.nan)
    for step, past in enumerate(errors[:, :test_start]):
        known = past[np.isfinite(past).all(axis=1)]
        spread = np.quantile(known, LEVELS, axis=0).T if len(known) else np.full((past.shape[1], len(LEVELS)), 0.0)
        bands[step] = forecasts[step, test_start:, :, None] + spread
    actual = np.broadcast_to(amounts[test_start:], bands.shape[:-1])
    test = forecasts[:, test_start:]
    return np.array([wape(actual[0], test[0]), wape(actual, test), quantile_loss(actual, bands, LEVELS)])


# ---- sets -----------------------------------------------------------------------------------------------------------


def list_cases() -> dict[str, Callable[[], Case]]:
    """Return name → set, of the shared data that are there."""
    cases: dict[str, Callable[[], Case]] = {}
    if find_gas_files():
        cases["gas, 3 regions, observed weather"] = lambda: _load_gas(3)
        cases |= {f"gas, {days} days": lambda days=days: _cut(_load_gas(3), 900, days) for days in CUTS_DAYS}
    if (path := find_demand_file()) is not None:
        demand = path
        cases["demand per day"] = lambda: _build(_read_demand(demand, "D"), "D", 7)
        cases["demand per half-hour, 200 days"] = lambda: _build(_read_demand(demand, "30min")[-9600:], "30min", 48)
        cases |= {
            f"demand, {days} days": lambda days=days: _cut(_build(_read_demand(demand, "D"), "D", 7), 300, days)
            for days in CUTS_DAYS
        }
    if (calls_path := find_bank_calls_file()) is not None:
        calls = calls_path
        cases["calls per day"] = lambda: _build(
            _read(calls, "calls", "datetime").resample("D").sum(min_count=1), "D", 7
        )
    folder = find_shared_data() / "nab"
    if folder.exists():
        taxi = folder / "realKnownCause" / "nyc_taxi.csv"
        cases["taxi per day"] = lambda: _build(_read(taxi).resample("D").sum(), "D", 7)
        cases["taxi per half-hour"] = lambda: _build(_read(taxi), "30min", 48)
        cases |= {name: lambda name=name: _build(_read_cloud(folder, name), "h", 24) for name in CLOUD_FILES}
    return cases


def _load_gas(entity_count: int) -> Case:
    files = find_gas_files()
    dataset = load(files)
    series = Panel.from_dataset(dataset)
    tables = read_covariates([files[0].parent / name for name in WEATHER_FILES])
    covariates = join_covariates(dataset, tables, last_day=series.periods[-1] + DAY * 8)
    names = series.entities[:entity_count]
    series = replace(series, entities=names, values=series.values[:, :entity_count])
    return series, CovariatePanel.from_covariates(series, covariates, covariates.columns, "original", 7), 7


def _build(values: "pd.Series[float]", frequency: str, horizon: int) -> Case:
    values = values.asfreq(frequency)
    series = Panel(
        pd.DatetimeIndex(values.index),
        ("series",),
        ("day",),
        values.to_numpy(float)[:, None, None],
        frequency=frequency,
    )
    return series, _make_empty(series), horizon


def _cut(case: Case, start: int, count: int) -> Case:
    """Return some periods without covariates, because a short history cannot teach their effects."""
    series, _, horizon = case
    part = replace(series, periods=series.periods[start:][:count], values=series.values[start:][:count])
    return part, _make_empty(part), horizon


def _make_empty(series: Panel) -> CovariatePanel:
    periods = series.extend(1).periods
    return CovariatePanel(periods, {}, np.zeros((len(periods), len(series.entities)), dtype=bool))


def _read(path: Path, column: str = "value", time_column: str = "timestamp") -> "pd.Series[float]":
    table = pd.read_csv(path, parse_dates=[time_column]).drop_duplicates(time_column).set_index(time_column)
    return table[column].astype(float)


def _read_cloud(folder: Path, name: str) -> "pd.Series[float]":
    return _read(folder / "realAWSCloudwatch" / f"{name}.csv").resample("h").mean()


def _read_demand(path: Path, frequency: str) -> "pd.Series[float]":
    demand = _read(path, "Demand", "Time")
    demand.index = pd.DatetimeIndex(demand.index).tz_convert("Etc/GMT-10").tz_localize(None)  # without clock changes
    return demand.resample(frequency).mean()
