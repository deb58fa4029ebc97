"""Quantile forecasts of calls and electricity demand by every forecaster, compared with the seasonal naive forecast.

It measures errors, quantile loss, coverage, seconds and CO₂ on weeks that no setting was chosen on.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
import pandas as pd

from benchmarks.datasets import find_bank_calls_file, find_demand_file
from benchmarks.report import ResultLine, check_target
from core import forecasters as algorithms
from core.array_types import Floats
from core.data.call_records.simulator import CallSimulator
from core.data.dataset import DAY
from core.data.regular_series import RegularSeries
from core.errors import DataError
from core.forecasters.series.base import SeriesForecaster
from core.spec.plugins import discover_classes
from mlflow_utils.emissions import Emissions, measure_emissions

QUANTILES = np.array([0.025, 0.05, 0.1, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.9, 0.95, 0.975])
DECILES = np.isin(QUANTILES.round(3), np.arange(1, 10) / 10)  # of the mean weighted quantile loss
MEDIAN = int(np.flatnonzero(QUANTILES == 0.5)[0])
BASELINE = "seasonal-naive"
MAX_LOSS_RATIO = 0.8  # of the best forecaster to the seasonal naive one
COUNTRY = "FRA"


@dataclass(frozen=True)
class TestWeeks:
    """A series with the origins of its test forecasts.

    origins  positions of the first forecast step, in the last weeks
    horizon  steps ahead
    history  steps before an origin that a forecaster may use
    """

    name: str
    series: RegularSeries
    origins: tuple[int, ...]
    horizon: int
    history: int


@dataclass(frozen=True)
class Scores:
    """Scores of one forecaster over all origins; `loss` is the mean weighted quantile loss of the nine deciles."""

    rmse: float
    mase: float
    loss: float
    coverages: dict[int, float]
    seconds: float
    emissions_kg: float


def main() -> list[ResultLine]:
    """Score every forecaster on every series."""
    lines: list[ResultLine] = []
    for weeks in iter_test_weeks():
        lines += list(_iter_lines(weeks))
    return lines or [ResultLine("skipped: no call_counts/ and no vic_elec/ in the shared data", "–")]


def iter_test_weeks() -> Iterator[TestWeeks]:
    """Yield the series whose files exist, and the simulated calls.

    The call centre works on weekdays from 7:00 to 21:00. Its other quarter-hours are missing values, as are those of a
    holiday, because nobody could call. So is the last one of each day, which holds five minutes only. Zeros instead
    would be forecast without error, and would make every forecaster look better.
    """
    calls_path, demand_path = find_bank_calls_file(), find_demand_file()
    if calls_path is not None:
        table = pd.read_csv(calls_path, parse_dates=["datetime"]).query("n_5min == 3")
        step = pd.Timedelta(minutes=15)
        days = table["datetime"].dt.normalize()
        times = pd.date_range(days.min(), days.max() + DAY, freq=step, inclusive="left")
        values = table.set_index("datetime")["calls"].reindex(times).to_numpy(dtype=float)
        series = RegularSeries(times, ("calls",), values[:, None], step, "calls")
        last = len(series) - 672
        yield TestWeeks("bank calls", series, tuple(last - 672 * week for week in range(4)), 672, 12 * 672)
    if demand_path is not None:
        table = pd.read_csv(demand_path)
        times = pd.DatetimeIndex(pd.to_datetime(table["Time"]).dt.tz_localize(None))
        step, values = pd.Timedelta(minutes=30), table["Demand"].to_numpy(dtype=float)
        series = RegularSeries(times, ("Victoria",), values[:, None], step, "MW", "Australia/Melbourne")
        last = len(series) - 336
        yield TestWeeks("Victoria demand", series, tuple(last - 336 * 2 * week for week in range(4)), 336, 104 * 336)
    counts = CallSimulator(trunks=5, days=14).make_counts().pivot(index="timestamp", columns="trunk", values="total")
    times = pd.DatetimeIndex(counts.index).tz_localize(None)
    series = RegularSeries(
        times, tuple(counts.columns), counts.to_numpy(dtype=float), pd.Timedelta(minutes=15), "calls"
    )
    yield TestWeeks("simulated calls", series, (11 * 96, 12 * 96, 13 * 96), 96, 14 * 96)


def _iter_lines(weeks: TestWeeks) -> Iterator[ResultLine]:
    scores: dict[str, Scores] = {}
    names = sorted(list_series_forecasters(), key=lambda name: name != BASELINE)
    for name in names:
        try:
            scores[name] = score_forecaster(name, weeks)
        except DataError as error:
            yield ResultLine(f"{weeks.name}: {name}", "refused", basis=str(error))
            continue
        yield _describe_scores(f"{weeks.name}: {name}", scores[name])
    best = min(scores, key=lambda name: scores[name].loss)
    ratio = scores[best].loss / scores[BASELINE].loss
    yield ResultLine(
        f"{weeks.name}: loss of the best, {best}",
        f"{ratio:.3f} x",
        "",
        f"{scores[best].loss:.4f} : {scores[BASELINE].loss:.4f}",
        *check_target(ratio, MAX_LOSS_RATIO, "x"),
    )


def _describe_scores(measured: str, scores: Scores) -> ResultLine:
    coverages = " / ".join(f"{share:.1%}" for share in scores.coverages.values())
    return ResultLine(
        measured,
        f"mwql {scores.loss:.4f}",
        f"RMSE {scores.rmse:.4g}, MASE {scores.mase:.3f}",
        f"{scores.seconds:.1f} s, {scores.emissions_kg * 1e6:.3g} mg CO₂ a forecast",
        f"coverage {'/'.join(map(str, scores.coverages))} %: {coverages}",
    )


@cache
def list_series_forecasters() -> dict[str, type[SeriesForecaster]]:
    """Return name → class of every forecaster of quantiles."""
    return discover_classes(algorithms, SeriesForecaster)


def score_forecaster(name: str, weeks: TestWeeks) -> Scores:
    """Fit the forecaster at every origin on the steps before, and score its forecasts against what came."""
    actual, forecasts, emissions = [], [], Emissions()
    started = time.perf_counter()
    with measure_emissions(COUNTRY, emissions):
        for origin in weeks.origins:
            known = weeks.series.select(max(origin - weeks.history, 0), origin)
            forecaster = list_series_forecasters()[name]().fit_series(known, weeks.horizon)
            forecasts.append(forecaster.predict_quantiles(known, weeks.horizon, QUANTILES))
            actual.append(weeks.series.values[origin : origin + weeks.horizon])
    seconds = (time.perf_counter() - started) / len(weeks.origins)
    season_error = _compute_season_error(weeks)
    return compute_scores(
        np.stack(actual), np.stack(forecasts), season_error, seconds, (emissions.kg or 0.0) / len(weeks.origins)
    )


def _compute_season_error(weeks: TestWeeks) -> Floats:
    """Return the mean absolute difference to a week before, before the first test week, (entities,)."""
    values = weeks.series.values[: min(weeks.origins)]
    return np.nanmean(np.abs(values[weeks.series.week_steps :] - values[: -weeks.series.week_steps]), axis=0)


def compute_scores(
    actual: Floats, forecasts: Floats, season_error: Floats, seconds: float, emissions_kg: float
) -> Scores:
    """Return the scores of `forecasts` (origins, horizon, entities, quantiles); steps without a value do not count.

    Raises DataError if a step with a value has no forecast.
    """
    is_known = np.isfinite(actual)
    if not np.isfinite(forecasts[is_known]).all():
        raise DataError("steps without a forecast")
    errors = actual[..., None] - forecasts
    losses = 2 * np.maximum(QUANTILES * errors, (QUANTILES - 1) * errors)[is_known][:, DECILES]
    median_errors = errors[..., MEDIAN]
    coverages = {}
    for level in (50, 90, 95):
        low, high = (int(np.argmin(np.abs(QUANTILES - share))) for share in (0.5 - level / 200, 0.5 + level / 200))
        is_inside = (actual >= forecasts[..., low]) & (actual <= forecasts[..., high])
        coverages[level] = float(is_inside[is_known].mean())
    return Scores(
        float(np.sqrt(np.mean(median_errors[is_known] ** 2))),
        float(np.mean((np.abs(median_errors) / season_error)[is_known])),
        float(losses.mean() / np.abs(actual[is_known]).mean()),
        coverages,
        seconds,
        emissions_kg,
    )
