"""Tables of a result of intervals: points, events, and scores."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from core.array_types import Floats
from core.data.cleaning import CleanedSeries
from core.data.regular_series import RegularSeries
from core.evaluation.adaptive_conformal import CalibratedBand
from core.evaluation.forecast_metrics import LOSS_LEVELS, compute_coverage, mae, mase, quantile_loss, rmse
from core.evaluation.interval_events import (
    SEVERITIES,
    JudgedPoints,
    compute_relative_distance,
    grade_scores,
    list_events,
    measure_distance,
    number_rows,
)
from core.forecasters.series.interval_model import IntervalModel, WindowForecast
from core.forecasters.series.quantile_forest import QuantileForest
from core.tasks.intervals.result import CALIBRATION, FUTURE, JUDGED

GAP_HOURS_SHARE = 8  # of a day: an event bridges at most an eighth of a day of usual steps
USUAL_DAY_STEPS = 14  # stand for a day where the data have no times of the day
PEAK_COLUMNS = ("y", "yhat", "distance", "rel_distance")
EVENT_KINDS = ("high", "low", "level_shift")


@dataclass(frozen=True)
class MeasureData:
    """Values of one measure: as judged, and as the forecaster sees them.

    actual   original values; NaN where they are missing, imputed, or a ratio of no attempts
    history  cleaned values
    cleaned  both, with the marks of the cleaning
    """

    measure: str
    actual: RegularSeries
    history: RegularSeries
    cleaned: CleanedSeries

    def hide_later_values(self, origins: Iterable[int]) -> RegularSeries:
        """Return the history without the values before an origin that were interpolated with a value after it.

        A forecast uses only what was known at its origin.

        Example:
            >>> from core.data.cleaning import clean_series
            >>> times = pd.date_range("2024-01-01", periods=5, freq="h")
            >>> values = np.array([[1.0], [np.nan], [3.0], [4.0], [5.0]])
            >>> series = RegularSeries(times, ("T1",), values, times[1] - times[0])
            >>> data = MeasureData("calls", series, (cleaned := clean_series(series)).series, cleaned)
            >>> data.history.values.ravel().tolist()
            [1.0, 2.0, 3.0, 4.0, 5.0]
            >>> data.hide_later_values([2]).values.ravel().tolist()
            [1.0, nan, 3.0, 4.0, 5.0]
        """
        interpolated = (self.cleaned.is_spike | self.cleaned.is_imputed) & (self.cleaned.weeks_back == 0)
        values, steps = self.history.values.copy(), np.arange(len(self.history))[:, None]
        last_measured = np.maximum.accumulate(np.where(interpolated, -1, steps), axis=0)
        for origin in origins:
            values[:origin][interpolated[:origin] & (steps[:origin] > last_measured[origin - 1])] = np.nan
        return self.history.with_values(values)


# ---- points ---------------------------------------------------------------------------------------------------------


def build_rows(data: MeasureData, forecast: WindowForecast, band: CalibratedBand, phase: str) -> pd.DataFrame:
    """Return the points of one phase, one entity after the other; see `Intervals.rows`."""
    start, count = forecast.start, len(forecast)
    steps, entities = slice(start, start + count), len(data.actual.entities)
    extended_series = data.actual.extend(count) if phase == FUTURE else data.actual
    nothing = np.full((count, entities), np.nan)
    is_future = phase == FUTURE
    actual = nothing if is_future else data.actual.values[steps]
    nowhere = np.zeros((count, entities), dtype=bool)
    lower, upper = band.bounds[..., 0], band.bounds[..., -1]
    distance = measure_distance(actual, lower, upper)
    columns = {
        "y": actual,
        "cleaned": nothing if is_future else data.history.values[steps],
        "forecast": forecast.median,
        "yhat": band.median,
        "yhat_lower": lower,
        "yhat_upper": upper,
        "lower_50": band.bounds[..., 1],
        "upper_50": band.bounds[..., 2],
        "distance": distance,
        "rel_distance": compute_relative_distance(distance, band.median),
        "score": np.abs(distance) / measure_width(lower, upper),
        "anomalous": (np.nan_to_num(distance) != 0) if phase == JUDGED else nowhere,
        "is_imputed": nowhere if is_future else data.cleaned.is_imputed[steps],
        "is_shifted": band.is_shifted if phase == JUDGED else nowhere,
        "moves": band.moves,
    }
    times = extended_series.local_times[steps]
    return pd.DataFrame(
        {
            "entity": pd.Categorical.from_codes(np.repeat(np.arange(entities), count), list(data.actual.entities)),
            "measure": data.measure,
            "time": np.tile(times.to_numpy(), entities),
            **{name: values.T.ravel() for name, values in columns.items()},
            "phase": phase,
        }
    )


def measure_width(lower: Floats, upper: Floats) -> Floats:
    """Return the width of the interval, above 0."""
    return np.maximum(upper - lower, 1e-9 * np.maximum(np.abs(upper), 1.0))


def join_rows(tables: list[pd.DataFrame]) -> pd.DataFrame:
    """Return the points of all phases and measures; the points of an entity and measure follow each other in time."""
    rows = pd.concat(tables, ignore_index=True)
    phases = pd.Categorical(rows["phase"], [CALIBRATION, JUDGED, FUTURE])
    measures = pd.Categorical(rows["measure"], list(dict.fromkeys(rows["measure"])))
    entities = rows["entity"].astype("category")
    keys = pd.DataFrame({"measure": measures.codes, "entity": entities.cat.codes, "phase": phases.codes})
    order = keys.sort_values(["measure", "entity", "phase"], kind="stable").index
    rows = rows.assign(entity=entities, measure=measures, phase=phases)
    return rows.iloc[order].reset_index(drop=True)


# ---- events ---------------------------------------------------------------------------------------------------------


def build_events(rows: pd.DataFrame, day_steps: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the points with the number of their event, and the events, worst first; see `Intervals.events`.

    `day_steps` is the number of steps in a day, 0 without times of the day.
    """
    day_steps = day_steps or USUAL_DAY_STEPS
    judged = rows[rows["phase"] == JUDGED]
    records = [
        record
        for _, part in judged.groupby(["measure", "entity"], observed=True, sort=False)
        for record in _list_series_events(part, day_steps)
    ]
    events = pd.DataFrame(records) if records else _build_empty_events(rows)
    events = events.sort_values("score", ascending=False, kind="stable").reset_index(drop=True)
    events.insert(0, "event", np.arange(len(events), dtype=np.int32))
    events["severity"] = np.array(SEVERITIES, dtype=object)[grade_scores(events["score"].to_numpy(np.float64))]
    numbered = rows.drop(columns="moves").assign(event=number_rows(events, len(rows)))
    kinds = {"entity": rows["entity"].dtype, "measure": rows["measure"].dtype}
    return numbered, events.drop(columns=["first_row", "last_row"]).astype(kinds)


def _list_series_events(part: pd.DataFrame, day_steps: int) -> Iterator[dict[str, object]]:
    """Yield the events of the judged points of one entity and measure."""
    lower, upper = part["yhat_lower"].to_numpy(), part["yhat_upper"].to_numpy()
    points = JudgedPoints(
        part["distance"].to_numpy(),
        measure_width(lower, upper),
        part["moves"].to_numpy(),
        part["is_shifted"].to_numpy(),
    )
    known = np.flatnonzero(part["distance"].notna())
    entity, measure, first_row = part["entity"].iloc[0], part["measure"].iloc[0], int(part.index[0])
    times, values = part["time"].to_numpy(), {name: part[name].to_numpy(np.float64) for name in PEAK_COLUMNS}
    for event in list_events(points, max(day_steps // GAP_HOURS_SHARE, 1), day_steps):
        yield {
            "entity": entity,
            "measure": measure,
            "kind": event.kind,
            "start": times[event.first],
            "end": times[event.last],
            "peak": times[event.peak],
            **{name: float(column[event.peak]) for name, column in values.items()},
            "steps": event.last - event.first + 1,
            "points": int(points.is_outside[event.first : event.last + 1].sum()),
            "score": event.score,
            "is_open": bool(event.last == known[-1]),
            "first_row": first_row + event.first,
            "last_row": first_row + event.last,
        }


def _build_empty_events(rows: pd.DataFrame) -> pd.DataFrame:
    table = {name: rows[name].iloc[:0] for name in ("entity", "measure")}
    table |= {"kind": pd.Series([], dtype=object)}
    table |= dict.fromkeys(("start", "end", "peak"), rows["time"].iloc[:0])
    table |= {name: pd.Series([], dtype=np.float64) for name in (*PEAK_COLUMNS, "score")}
    table |= {name: pd.Series([], dtype=np.int64) for name in ("steps", "points", "first_row", "last_row")}
    return pd.DataFrame(table | {"is_open": pd.Series([], dtype=bool)})


# ---- scores ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ScoredForecast:
    """Forecast of the judged steps, with its calibrated bands: with new values, and a horizon ahead."""

    model: str
    forecast: WindowForecast
    band: CalibratedBand
    ahead_band: CalibratedBand


def compute_season(history: RegularSeries, fit_end: int) -> int:
    """Return the steps of the season of MASE: a week, a day where the history is too short for it, or a step."""
    fits = [steps for steps in (history.week_steps, history.day_steps) if 0 < steps < fit_end]
    return fits[0] if fits else 1


def build_scores(data: MeasureData, scored: ScoredForecast, season: int, fit_end: int, level: float) -> pd.DataFrame:
    """Return the errors and the coverage, over all entities ("") and of each; see `Intervals.scores`."""
    start = scored.forecast.start
    actual = data.actual.values[start : start + len(scored.forecast)]
    history = data.history.values[:fit_end]
    changes = pd.DataFrame(np.abs(history[season:] - history[:-season]))
    scale = changes.mean().to_numpy(np.float64)
    median, losses = scored.forecast.median, scored.forecast.select(LOSS_LEVELS)
    names = data.actual.entities if len(data.actual.entities) > 1 else ()
    selections = [("", slice(None)), *((name, slice(place, place + 1)) for place, name in enumerate(names))]
    lines = [
        {
            "measure": data.measure,
            "entity": name,
            "model": scored.model,
            f"mase_{season}": mase(actual[:, entities], median[:, entities], scale[entities]),
            "mwql": quantile_loss(actual[:, entities], losses[:, entities], LOSS_LEVELS),
            **_score_entities(scored, actual[:, entities], median[:, entities], entities, level),
        }
        for name, entities in selections
    ]
    return pd.DataFrame(lines)


def _score_entities(
    scored: ScoredForecast, actual: Floats, median: Floats, entities: slice, level: float
) -> dict[str, float]:
    """Return errors of the median and coverage of the bands; `actual` and `median` are those of `entities`."""
    bounds, ahead = scored.band.bounds[:, entities], scored.ahead_band.bounds[:, entities]
    return {
        "rmse": rmse(actual, median),
        "mae": mae(actual, median),
        "coverage_50": compute_coverage(actual, bounds[..., 1], bounds[..., 2]),
        f"coverage_{100 * level:g}": compute_coverage(actual, bounds[..., 0], bounds[..., -1]),
        "coverage_ahead": compute_coverage(actual, ahead[..., 0], ahead[..., -1]),
        "points": int((np.isfinite(actual) & np.isfinite(bounds[..., 0])).sum()),
    }


# ---- clusters -------------------------------------------------------------------------------------------------------


def tabulate_clusters(model: IntervalModel) -> pd.DataFrame:
    """Return the clusters that a forecaster has put its entities into; see `Intervals.clusters`."""
    tables = [
        pd.DataFrame(
            {"measure": measure, "entity": part.entities_, "cluster": np.asarray(part.forecaster.clusters_) + 1}
        )
        for measure, part in model.measures_.items()
        if isinstance(part.forecaster, QuantileForest)
    ]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()
