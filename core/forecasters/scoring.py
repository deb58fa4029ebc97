"""Tables of a backtest: errors, coverage of intervals, and every forecast with its measured value."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.evaluation import forecasts as measure
from core.forecasters.backtest import Backtest
from core.forecasters.tables import table_of

Floats = NDArray[np.floating[Any]]

NOMINAL = (0.5, 0.8, 0.9, 0.95)
"""Nominal coverage of the intervals in the reliability table."""


ARRAYS = ("actual", "forecast", "naive1", "naive7", "bands")


@dataclass(frozen=True)
class _Step:
    """Arrays of the forecasts `step` days ahead, in single precision.

    The shape is (days, entities, slots); that of the quantiles has one more axis.
    """

    step: int
    actual: Floats
    forecast: Floats
    naive1: Floats
    naive7: Floats
    bands: Floats

    def of(self, place: int) -> "_Step":
        """Return the arrays of one entity."""
        own = {name: getattr(self, name)[:, place : place + 1] for name in ARRAYS}
        return _Step(self.step, **own)


def judged(found: Backtest, quantiles: Floats, temperature: Floats | None = None) -> dict[str, pd.DataFrame]:
    """Return the tables "scores", "checked" and "reliability" of a backtest.

    scores       one row per number of days ahead and entity; step 0 is all days ahead, entity "" is all entities.
                 Columns: step, entity, days, mae, wape, rmse, r2, mase, skill_naive1, skill_naive7, quantile_loss,
                 coverage, width, and mae and wape of the naive forecasts on the same days. Coverage and width are those
                 of the interval between the lowest and the highest of `quantiles`
    checked      every forecast with its measured value: step, entity, time, actual, forecast, one column per quantile,
                 naive7, and `temperature` (days, entities) in °C. Daily amounts have every number of days ahead; hourly
                 amounts have the first, the seventh and the last
    reliability  nominal and measured coverage: nominal, by, group, measured, count. Column "by" is all, step, month,
                 entity, weekday or hour. All but "step" combine every number of days ahead
    """
    levels = np.array(sorted({*quantiles, *(end for level in NOMINAL for end in ((1 - level) / 2, (1 + level) / 2))}))
    asked = np.searchsorted(levels, quantiles)
    tally = _Tally(found)
    steps, rows = [], []
    for number in range(1, found.horizon + 1):
        bands = found.bands(number, levels).astype(np.float32)
        tally.add(number, bands, levels)
        naive1, naive7 = (found.naive_forecast(which, number).astype(np.float32) for which in ("naive1", "naive7"))
        actual, forecast = found.actual().astype(np.float32), found.forecast(number).astype(np.float32)
        steps.append(_Step(number, actual, forecast, naive1, naive7, bands[..., asked]))
        if number in _shown_steps(found):
            rows.append(_rows(found, steps[-1], quantiles, temperature))
    return {
        "scores": _scores(found, steps, quantiles),
        "checked": pd.concat(rows, ignore_index=True),
        "reliability": tally.table(),
    }


def _scores(found: Backtest, steps: list[_Step], quantiles: Floats) -> pd.DataFrame:
    lines = []
    for place, entity in [(None, ""), *enumerate(found.series.entities)]:
        own = steps if place is None else [each.of(place) for each in steps]
        scale = found.weekly_error if place is None else found.weekly_error[place : place + 1]
        lines += [{"entity": entity, **_line(each, scale, quantiles)} for each in [*own, _together(own)]]
    return pd.DataFrame(lines)


def _together(steps: list[_Step]) -> _Step:
    return _Step(0, **{name: np.concatenate([getattr(each, name) for each in steps]) for name in ARRAYS})


def _line(of: _Step, scale: Floats, quantiles: Floats) -> dict[str, object]:
    known = np.isfinite(of.actual) & np.isfinite(of.forecast)
    actual, forecast = of.actual.astype(np.float64), of.forecast.astype(np.float64)
    naive1, naive7 = (np.where(known, each, np.nan) for each in (of.naive1, of.naive7))
    low, high = of.bands[..., 0], of.bands[..., -1]
    return {
        "step": of.step,
        "days": int(known.any(axis=2).sum()),
        "mae": measure.mae(actual, forecast),
        "wape": measure.wape(actual, forecast),
        "rmse": measure.rmse(actual, forecast),
        "r2": measure.r2(actual, forecast),
        "mase": measure.mase(actual, forecast, scale),
        "skill_naive1": measure.skill(actual, forecast, naive1),
        "skill_naive7": measure.skill(actual, forecast, naive7),
        "quantile_loss": measure.quantile_loss(actual, of.bands, quantiles),
        "coverage": measure.coverage(actual, low, high),
        "width": measure.width(actual, low, high),
        "mae_naive1": measure.mae(actual, naive1),
        "wape_naive1": measure.wape(actual, naive1),
        "mae_naive7": measure.mae(actual, naive7),
        "wape_naive7": measure.wape(actual, naive7),
    }


def _shown_steps(found: Backtest) -> list[int]:
    every = range(1, found.horizon + 1)
    return list(every) if len(found.series.slots) == 1 else sorted({1, min(7, found.horizon), found.horizon})


def _rows(found: Backtest, of: _Step, quantiles: Floats, temperature: Floats | None) -> pd.DataFrame:
    values = {"actual": of.actual, "forecast": of.forecast, "naive7": of.naive7}
    values |= {quantile_name(level): of.bands[..., place] for place, level in enumerate(quantiles)}
    if temperature is not None:
        values["temperature"] = np.broadcast_to(temperature[:, :, None].astype(np.float32), of.actual.shape)
    rows = table_of(found.days, found.series, values).assign(step=np.int8(of.step))
    return rows[rows["forecast"].notna() & rows["actual"].notna()]


class _Tally:
    """Counter of the values inside each nominal interval, by day, entity and slot, and by number of days ahead."""

    def __init__(self, found: Backtest) -> None:
        self.found = found
        shape = found.actual().shape
        self.count = np.zeros(shape, dtype=np.int32)
        self.inside = {level: np.zeros(shape, dtype=np.int32) for level in NOMINAL}
        self.by_step: list[dict[str, object]] = []

    def add(self, step: int, bands: Floats, levels: Floats) -> None:
        actual = self.found.actual().astype(
            bands.dtype
        )  # as precise as the quantiles, so that a constant value lies inside
        known = np.isfinite(actual) & np.isfinite(self.found.forecast(step)) & np.isfinite(bands).all(axis=-1)
        self.count += known
        for level in NOMINAL:
            low, high = (int(np.argmin(np.abs(levels - end))) for end in ((1 - level) / 2, (1 + level) / 2))
            inside = known & (actual >= bands[..., low]) & (actual <= bands[..., high])
            self.inside[level] += inside
            self.by_step.append(_share(level, "step", str(step), int(inside.sum()), int(known.sum())))

    def table(self) -> pd.DataFrame:
        series, days = self.found.series, self.found.days
        kinds = {
            "all": (0, [""] * len(days)),
            "month": (0, list(days.strftime("%Y-%m"))),
            "weekday": (0, [str(day) for day in days.dayofweek]),
            "entity": (1, list(series.entities)),
        }
        if len(series.slots) > 1:
            kinds["hour"] = (2, list(series.slots))
        lines = list(self.by_step)
        for by, (axis, groups) in kinds.items():
            others = tuple(each for each in range(3) if each != axis)
            count = pd.Series(self.count.sum(axis=others)).groupby(groups).sum()
            for level, inside in self.inside.items():
                held = pd.Series(inside.sum(axis=others)).groupby(groups).sum()
                lines += [_share(level, by, group, int(held[group]), int(count[group])) for group in count.index]
        return pd.DataFrame(lines)


def _share(nominal: float, by: str, group: str, inside: int, count: int) -> dict[str, object]:
    return {
        "nominal": nominal,
        "by": by,
        "group": group,
        "measured": inside / count if count else np.nan,
        "count": count,
    }


def quantile_name(level: float) -> str:
    """Return the name of the column of a quantile.

    Example:
        >>> quantile_name(0.05)
        'q0.05'
    """
    return f"q{level:g}"
