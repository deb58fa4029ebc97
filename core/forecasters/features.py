"""Features of a day, known a given number of days before: one matrix for linear models and one for trees.

Both contain the calendar, the past amounts up to the forecast origin, and the covariates. Linear models get levels and
degree-days, because consumption is nearly linear in degree-days. Trees cannot extrapolate, so they get ratios and
differences to the forecast origin.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.data.panel import Panel
from core.forecasters.known import FLAGS, Known, shifted

Floats = NDArray[np.float64]

HEATING = (10, 13, 16, 19)  # °C; several bases, because consumption bends over a range of temperatures
COOLING = (20, 24)  # °C
SMOOTHED = (0.6, 0.35, 0.15)  # of exponential means: buildings store heat for days
LONG = 2.5  # years; with fewer, a trend cannot be separated from the finer waves of the year
LAGS = (0, 1, 2, 3, 4, 5, 6, 7, 13, 20)
TREND_FROM = pd.Timestamp("2000-01-01")  # fixed, so that the trend does not depend on the first day of the series


@dataclass(frozen=True)
class Table:
    """Features of every day and entity.

    values  (days, entities, features), NaN where unknown
    names   name of every feature
    groups  group of every feature: "calendar", "past", "weather", "strike" …
    """

    values: Floats
    names: list[str]
    groups: list[str]

    @property
    def usable(self) -> NDArray[np.bool_]:
        """Mask of the days with a value for every feature, (days, entities)."""
        return np.asarray(np.isfinite(self.values).all(axis=2))


class _Columns:
    """Builder of a feature matrix; a feature of shape (days,) is repeated for every entity."""

    def __init__(self, entities: int) -> None:
        self.entities = entities
        self.parts: list[Floats] = []
        self.names: list[str] = []
        self.groups: list[str] = []

    def add(self, group: str, name: str, values: Floats) -> None:
        self.parts.append(np.repeat(values[:, None], self.entities, axis=1) if values.ndim == 1 else values)
        self.names.append(name)
        self.groups.append(group)

    def table(self) -> Table:
        return Table(np.stack(self.parts, axis=2), self.names, self.groups)


def same_weekday(step: int) -> int:
    """Return the lag of the last known day of the same weekday, in days before the day that is forecast.

    Example:
        >>> [same_weekday(step) for step in (1, 7, 8)]
        [7, 7, 14]
    """
    return step + (-step) % 7


def for_a_line(panel: Panel, known: Known, recent: Floats, step: int, years: float = LONG) -> Table:
    """Return levels for a linear model: past amounts, degree-days now and then, and weekday × degree-days.

    `recent` has the last known amounts, (days, entities). The trend and the finer seasonal waves need `years` ≥ 2.5.
    """
    columns = _Columns(len(panel.entities))
    days = panel.days
    weekday = days.dayofweek.to_numpy()
    _calendar(columns, days, waves=3 if years >= LONG else int(years))
    if years >= LONG:
        columns.add("calendar", "trend", ((days - TREND_FROM).days / 365.25).to_numpy())
    level = pd.DataFrame(recent).rolling(28, min_periods=7).mean().to_numpy()
    _flags(columns, known, step, shifted(level, step))  # the effect of an event is a share of the amount
    for name in known.numeric:
        columns.add("weather", name, known.seen(name, 0, step))
    cold = _degree_days(columns, panel, known, step) if known.warm else None
    if cold is not None:
        for day in range(7):
            columns.add("weather", f"cold on weekday {day}", (weekday == day)[:, None] * cold)
        for flag in ("holiday", "school_break"):
            if flag in known.columns:
                columns.add("weather", f"cold × {flag}", known.seen(flag, 0, step) * cold)
    same = same_weekday(step)
    for lag in sorted({step + each for each in LAGS} | {same, same + 7, same + 14}):
        then = shifted(recent, lag)
        columns.add("past", f"lag {lag - step}", then)
        weekend = shifted((weekday >= 5).astype(float), lag)[:, None]
        columns.add("past", f"lag {lag - step} × week-end", weekend * then)
        if "holiday" in known.columns:
            columns.add("past", f"lag {lag - step} × holiday", known.seen("holiday", lag, step) * then)
        for name, value in _cold_then(panel, known, lag, step):
            columns.add("past", f"{name} at lag {lag - step}", value)
    return columns.table()


def for_trees(panel: Panel, known: Known, recent: Floats, step: int) -> Table:
    """Return ratios for trees: log-ratios of past amounts to the forecast origin, and changes of the weather.

    `recent` has the transformed last known amounts, (days, entities).
    """
    columns = _Columns(len(panel.entities))
    days, base = panel.days, shifted(recent, step)
    weekday = days.dayofweek.to_numpy()
    for name, values in (("weekday", weekday), ("day of year", days.dayofyear.to_numpy())):
        columns.add("calendar", name, values.astype(float))
    columns.add("calendar", "week-end", (weekday >= 5).astype(float))
    columns.add("calendar", "weekday then", shifted(weekday.astype(float), step))
    columns.add("calendar", "entity", np.tile(np.arange(len(panel.entities), dtype=float), (len(days), 1)))
    columns.add("calendar", "days ahead", np.full(len(days), float(step)))
    _flags(columns, known, step)
    for flag in (each for each in FLAGS if each in known.columns):
        columns.add(flag, f"{flag} then", known.seen(flag, step, step))
    for name in known.numeric:
        columns.add("weather", name, known.seen(name, 0, step))
        columns.add("weather", f"{name}, change", known.seen(name, 0, step) - known.seen(name, step, step))
    same = same_weekday(step)
    for back in (1, 2, 3, 6, 7, 13):
        columns.add("past", f"ratio {back}", shifted(recent, step + back) - base)
    for name, lag in (("same weekday", same), ("same weekday before", same + 7)):
        columns.add("past", f"ratio {name}", shifted(recent, lag) - base)
    for window, least in ((7, 3), (28, 7), (365, 90)):
        level = pd.DataFrame(recent).rolling(window, min_periods=least).mean().to_numpy()
        columns.add("past", f"ratio mean {window}", np.nan_to_num(shifted(level, step) - base))
    if known.warm:
        _warmth(columns, panel, known, step, same)
    return columns.table()


def _calendar(columns: _Columns, days: pd.DatetimeIndex, waves: int) -> None:
    for day in range(7):
        columns.add("calendar", f"weekday {day}", (days.dayofweek == day).astype(float))
    angle = 2 * np.pi * days.dayofyear.to_numpy() / 365.25
    for wave in range(1, waves + 1):
        columns.add("calendar", f"year sin {wave}", np.sin(wave * angle))
        columns.add("calendar", f"year cos {wave}", np.cos(wave * angle))


def _flags(columns: _Columns, known: Known, step: int, times: Floats | float = 1.0) -> None:
    for flag in (each for each in FLAGS if each in known.columns):
        columns.add(flag, flag, known.seen(flag, 0, step) * times)
        if flag == "holiday":
            for back, name in ((1, "the day after"), (-1, "the day before")):
                columns.add(flag, f"holiday, {name}", np.nan_to_num(known.seen(flag, back, step)) * times)


def _today(panel: Panel, known: Known, back: int, step: int) -> list[tuple[str, Floats]]:
    """Return the temperature of a day, and of the next morning for a day that ends then (gas day: 06:00)."""
    found = [("", known.seen("temperature", back, step))]
    if panel.day_start:
        found.append((", next morning", known.seen("temperature", back - 1, step)))
    return found


def _degree_days(columns: _Columns, panel: Panel, known: Known, step: int) -> Floats:
    """Add degree-days with several bases and memories; return the degrees below 16 °C, (days, entities)."""
    for which, temperature in _today(panel, known, 0, step):
        columns.add("weather", f"temperature{which}", temperature)
        for base in HEATING:
            columns.add("weather", f"heating {base}{which}", np.maximum(base - temperature, 0))
        for base in COOLING:
            columns.add("weather", f"cooling {base}{which}", np.maximum(temperature - base, 0))
    for extreme in ("temperature_min", "temperature_max"):
        if extreme in known.columns:
            columns.add("weather", extreme, known.seen(extreme, 0, step))
    if panel.day_start and "temperature_min" in known.columns:
        columns.add("weather", "temperature_min, next morning", known.seen("temperature_min", -1, step))
    for share in SMOOTHED:
        smooth = known.smooth("temperature", share, 0, step)
        columns.add("weather", f"heating 16, memory {share}", np.maximum(16 - smooth, 0))
    return np.maximum(16 - known.seen("temperature", 0, step), 0)


def _cold_then(panel: Panel, known: Known, lag: int, step: int) -> list[tuple[str, Floats]]:
    """Return the degree-days on the day of a lag, so that the model can separate its weather from its level."""
    if not known.warm:
        return []
    found = [(f"heating 16{which}", np.maximum(16 - value, 0)) for which, value in _today(panel, known, lag, step)]
    return [*found, ("heating 16, memory", np.maximum(16 - known.smooth("temperature", 0.35, lag, step), 0))]


def _warmth(columns: _Columns, panel: Panel, known: Known, step: int, same: int) -> None:
    """Add the weather of the day, and its change since the forecast origin."""

    def add(name: str, value: Floats, then: Floats) -> None:
        columns.add("weather", name, value)
        columns.add("weather", f"{name}, change", value - then)

    for (which, now), (_, then) in zip(_today(panel, known, 0, step), _today(panel, known, step, step), strict=True):
        add(f"temperature{which}", now, then)
    for share in SMOOTHED:
        now, then = (known.smooth("temperature", share, back, step) for back in (0, step))
        add(f"memory {share}", now, then)
    cold, cold_then, cold_same = (_felt_cold(panel, known, back, step) for back in (0, step, same))
    add("cold", cold, cold_then)
    columns.add("weather", "cold, ratio", np.log((cold + 2) / (cold_then + 2)))
    columns.add("weather", "cold, ratio to the same weekday", np.log((cold + 2) / (cold_same + 2)))
    for extreme, back in (("temperature_min", -1 if panel.day_start else 0), ("temperature_max", 0)):
        if extreme in known.columns:
            columns.add("weather", extreme, known.seen(extreme, back, step))


def _felt_cold(panel: Panel, known: Known, back: int, step: int) -> Floats:
    """Return the degrees below 16 °C of a temperature with memory of the previous days.

    A day that ends in the next morning includes the temperature of that morning.
    """
    felt = 0.5 * known.smooth("temperature", 0.6, back, step) + 0.5 * known.smooth("temperature", 0.35, back, step)
    if panel.day_start:
        felt = 0.7 * felt + 0.3 * known.seen("temperature", back - 1, step)
    return np.maximum(16 - felt, 0)
