"""Hours of a day from daily forecasts: the usual shares of the last four weeks beside the shape that is forecast.

It measures the errors of both on the same days, with the same daily forecasts, and seconds of the processor.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from benchmarks.datasets import find_demand_file, find_gas_files, find_shared_data
from benchmarks.forecasting import COVARIATE_FILES
from benchmarks.report import ResultLine, check_target
from core.array_types import Floats
from core.data.covariates import Covariates, CovariateTable, join_covariates, read_covariates
from core.data.dataset import DAY, Dataset
from core.data.ingest.loading import load
from core.data.panel import Panel
from core.data.quality.repairs import undo_hour_shift
from core.data.read_options import ReadOptions
from core.data.regular_series import RegularSeries
from core.evaluation.forecast_metrics import wape
from core.forecasters.intraday.day_shape import DayShape
from core.forecasters.panels.covariate_panel import CovariatePanel, select_covariates
from core.forecasters.series.gradient_boosting_quantiles import GradientBoostingQuantiles
from core.tasks.forecast.spec import list_forecasters

HORIZON = 7
DEMAND_OPTIONS = ReadOptions(roles=("Temperature=covariate", "Holiday=covariate"), zone="Australia/Melbourne")
MAX_FIT_SECONDS = 10.0
ORIGIN_DAYS = 7  # between two forecasts of the boosted quantiles, which take long
MEDIAN = np.array([0.5])


@dataclass(frozen=True)
class Case:
    """Series to forecast from the day `start` on; `days` of history before it (0: all)."""

    label: str
    series: Panel
    covariates: Covariates
    start: pd.Timestamp
    forecaster: str = "blend"
    days: int = 0


@dataclass(frozen=True)
class Measured:
    """Forecasts of a case: usual and shaped slots by days ahead, (days, entities, slots), and seconds of the fit."""

    series: Panel
    first_day: int
    usual: dict[int, Floats]
    shaped: dict[int, Floats]
    daily: dict[int, Floats]
    shape: DayShape
    seconds: float


def main() -> list[ResultLine]:
    """Measure every case."""
    lines = []
    for case in _iter_cases():
        measured = _measure(case)
        lines += _build_lines(case, measured)
        if case.label.startswith("demand, half-hourly"):
            lines += _compare_boosting(measured)
    return lines or [ResultLine("skipped: no shared data", "–")]


def _iter_cases() -> Iterator[Case]:
    files = find_gas_files()
    if files and all((files[0].parent / name).exists() for name in COVARIATE_FILES):
        tables, gas = read_covariates([files[0].parent / name for name in COVARIATE_FILES]), load(files)
        for label, dataset in (("gas, hours as read", gas), ("gas, shifted hours repaired", undo_hour_shift(gas))):
            yield _build_case(label, dataset, pd.Timestamp("2023-01-01"), tables)
    demand_path = find_demand_file()
    if demand_path:
        demand = load([demand_path], DEMAND_OPTIONS)
        yield _build_case("demand, half-hourly", demand, pd.Timestamp("2014-01-01"))
        yield _build_case("demand as read: UTC, no weather", load([demand_path]), pd.Timestamp("2014-01-01"))
        for days in (140, 77, 30):
            case = _build_case(f"demand, {days} days of history", demand, pd.Timestamp("2014-07-01"))
            yield Case(case.label, case.series, case.covariates, case.start, "seasonal-naive", days)
    taxi_path = find_shared_data() / "nab" / "realKnownCause" / "nyc_taxi.csv"
    if taxi_path.exists():
        yield _build_case("taxi trips, half-hourly", load([taxi_path]), pd.Timestamp("2014-12-01"))
    yield _build_generated_case()


def _build_case(label: str, dataset: Dataset, start: pd.Timestamp, tables: tuple[CovariateTable, ...] = ()) -> Case:
    series = Panel.from_dataset(dataset, "hour")
    last_day = series.periods[-1] + DAY * (HORIZON + 1)
    return Case(label, series, join_covariates(dataset, tables, last_day=last_day), start)


def _build_generated_case() -> Case:
    """Return three years of hourly power of two towns: heating, air conditioning, light and working hours."""
    random, hours = np.random.default_rng(0), np.arange(24)
    days = pd.date_range("2021-01-01", periods=3 * 365)
    season = np.cos(2 * np.pi * (days.dayofyear.to_numpy() - 20) / 365.25)
    temperature = 13 - 9 * season + pd.Series(random.normal(0, 5, len(days))).ewm(alpha=0.4).mean().to_numpy()
    course = temperature[:, None] + 4 * np.cos(2 * np.pi * (hours - 15) / 24)
    work = np.where((days.dayofweek < 5)[:, None], np.exp(-(((hours - 13) / 5) ** 4)), 0.3)
    light = (np.abs(hours - 12)[None] > 6 - 2 * season[:, None]) * (hours > 5)
    load_curve = 50 + 20 * work + 8 * light + 1.5 * np.maximum(16 - course, 0) + 2.5 * np.maximum(course - 22, 0)
    noise = pd.DataFrame(random.normal(0, 0.03, (len(days), 24)).ravel()).ewm(alpha=0.3).mean().to_numpy()
    values = load_curve * (1 + noise.reshape(load_curve.shape))
    labels = tuple(f"{hour:02d}:00" for hour in hours)
    series = Panel(days, ("town",), labels, values[:, None], "MW", is_averaged=True)
    index = pd.MultiIndex.from_product([["town"], days], names=["entity", "day"])
    covariates = Covariates(pd.DataFrame({"temperature": temperature}, index=index))
    return Case("generated power, hourly", series, covariates, days[2 * 365])


def _measure(case: Case) -> Measured:
    """Fit on the days before the start; forecast every day from then on."""
    series = case.series
    if case.days:
        series = series.tail(len(series) - int(series.periods.searchsorted(case.start)) + case.days)
    first_day = int(series.periods.searchsorted(case.start))
    train_series = series.select_before(case.start)
    selection = select_covariates(train_series, case.covariates)
    train_covariates, covariates = (
        CovariatePanel.from_covariates(part, case.covariates, selection.names, timed=selection.timed)
        for part in (train_series, series)
    )
    forecaster = list_forecasters()[case.forecaster]().fit(train_series, train_covariates, HORIZON)
    amounts = forecaster.predict_steps(series, covariates, HORIZON, first_day, len(series))
    began = time.process_time()
    shape = DayShape().fit(train_series, train_covariates, HORIZON)
    seconds = time.process_time() - began
    usual_shape = DayShape()
    usual_shape.unit_ = shape.unit_
    usual, shaped, daily = {}, {}, {}
    for step in (1, HORIZON):
        day, daily[step] = first_day + step - 1, amounts[step - 1, step - 1 :]
        usual[step], shaped[step] = (
            each.spread(daily[step], series, covariates, step, day) for each in (usual_shape, shape)
        )
    return Measured(series, first_day, usual, shaped, daily, shape, seconds)


def _build_lines(case: Case, measured: Measured) -> list[ResultLine]:
    series, test = measured.series, measured.shape.test_
    choice = "usual shares (history too short)" if test is None else "shape" if test.is_gain else "usual shares"
    choice += f" with {', '.join(names)} at its times" if (names := measured.shape.timed_names_) else ""
    lines = [
        ResultLine(
            f"{case.label}: fit of the shape",
            f"{measured.seconds:.1f} s",
            "",
            f"chosen: {choice}",
            *check_target(measured.seconds, MAX_FIT_SECONDS, "s"),
        )
    ]
    for step in (1, HORIZON):
        first_day = measured.first_day + step - 1
        actual = series.values[first_day:]
        is_known = np.isfinite(actual) & np.isfinite(measured.usual[step])
        before, after = (
            wape(actual, np.where(is_known, slots, np.nan)) for slots in (measured.usual[step], measured.shaped[step])
        )
        daily = wape(series.amounts[first_day:], measured.daily[step])
        lines.append(
            ResultLine(
                f"    WAPE of the slots, {step} d ahead",
                f"{after:.2%}",
                "",
                f"usual shares {before:.2%}, whole days {daily:.2%}",
                *check_target(after / before, 1.0, "x"),
            )
        )
    return lines


def _compare_boosting(measured: Measured) -> list[ResultLine]:
    """Return the errors of boosted quantiles per step, from one midnight a week, beside the shape on the same days."""
    series, slots = measured.series, len(measured.series.slots)
    times = pd.date_range(series.periods[0], periods=len(series) * slots, freq=DAY / slots)
    values = series.values.transpose(0, 2, 1).reshape(len(times), -1)
    steps = RegularSeries(times, series.entities, values, DAY / slots, series.unit)
    began = time.process_time()
    boosting = GradientBoostingQuantiles().fit_series(steps.select(0, measured.first_day * slots), HORIZON * slots)
    days = list(range(measured.first_day, len(series) - HORIZON + 1, ORIGIN_DAYS))
    medians = boosting.predict_origins(steps, [day * slots for day in days], HORIZON * slots, MEDIAN)[..., 0]
    seconds = time.process_time() - began
    lines = [ResultLine("    boosted quantiles per step", f"{seconds:.1f} s", "", f"{len(days)} origins, no weather")]
    for step in (1, HORIZON):
        target_days = np.array(days) + step - 1
        actual = series.values[target_days]
        boosted = medians[:, (step - 1) * slots : step * slots].transpose(0, 2, 1)
        ours = measured.shaped[step][target_days - measured.first_day - step + 1]
        lines.append(
            ResultLine(
                f"    WAPE of the slots on these days, {step} d ahead",
                f"{wape(actual, ours):.2%}",
                "",
                f"boosted quantiles {wape(actual, boosted):.2%}",
            )
        )
    return lines
