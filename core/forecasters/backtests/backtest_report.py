"""Tables of a backtest: errors, coverage of intervals, and every forecast with its measured value."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from core.array_types import AnyFloats
from core.data.dataset import DAY
from core.evaluation import forecast_metrics
from core.forecasters.backtests.backtest import Backtest
from core.forecasters.to_frame import to_frame

NOMINAL_LEVELS = (0.5, 0.8, 0.9, 0.95)
"""Nominal coverage of the intervals in the reliability table."""
LEVEL_DIGITS = 9  # of levels that are compared

ARRAY_NAMES = ("actual", "forecast", "naive1", "naive7", "bands", "losses")


@dataclass(frozen=True)
class _StepArrays:
    """Arrays of the forecasts `step` days ahead, in single precision.

    The shape is (days, entities, slots); that of the quantiles has one more axis. `losses` are those of the deciles.
    """

    step: int
    actual: AnyFloats
    forecast: AnyFloats
    naive1: AnyFloats
    naive7: AnyFloats
    bands: AnyFloats
    losses: AnyFloats

    def select_entity(self, index: int) -> "_StepArrays":
        """Return the arrays of one entity."""
        arrays = {name: getattr(self, name)[:, index : index + 1] for name in ARRAY_NAMES}
        return _StepArrays(self.step, **arrays)


def build_report(
    backtest: Backtest, quantiles: AnyFloats, temperature: AnyFloats | None = None
) -> dict[str, pd.DataFrame]:
    """Return the tables "scores", "checked" and "reliability" of a backtest.

    scores       one row per number of days ahead and entity; step 0 is all days ahead, entity "" is all entities.
                 Columns: step, entity, days, mae, wape, rmse, r2, mase, skill_naive1, skill_naive7, quantile_loss,
                 mwql (quantile loss of the deciles), coverage, width, and mae and wape of the naive forecasts on the
                 same days. Coverage and width are those of the interval between the lowest and the highest of
                 `quantiles`
    checked      every forecast with its measured value: step, entity, time, actual, forecast, one column per quantile,
                 naive7, and `temperature` (days, entities) in °C. Daily amounts have every number of days ahead; hourly
                 amounts have the first, the seventh and the last
    reliability  nominal and measured coverage: nominal, by, group, measured, count. Column "by" is all, step, month,
                 entity, weekday or hour. All but "step" combine every number of days ahead
    """
    interval_ends = (end for level in NOMINAL_LEVELS for end in ((1 - level) / 2, (1 + level) / 2))
    levels = np.unique(np.round([*quantiles, *interval_ends, *forecast_metrics.LOSS_LEVELS], LEVEL_DIGITS))
    level_indices, loss_indices = (
        np.searchsorted(levels, np.round(chosen, LEVEL_DIGITS)) for chosen in (quantiles, forecast_metrics.LOSS_LEVELS)
    )
    coverage_counter = _CoverageCounter(backtest)
    steps, rows = [], []
    for step in range(1, backtest.horizon + 1):
        bands = backtest.compute_quantiles(step, levels).astype(np.float32)
        coverage_counter.add_step(step, bands, levels)
        naive1, naive7 = (backtest.get_naive_forecast(name, step).astype(np.float32) for name in ("naive1", "naive7"))
        actual, forecast = backtest.get_actual().astype(np.float32), backtest.get_forecast(step).astype(np.float32)
        losses = forecast_metrics.compute_losses(actual, bands[..., loss_indices], levels[loss_indices])
        chosen_bands = bands[..., level_indices]
        steps.append(_StepArrays(step, actual, forecast, naive1, naive7, chosen_bands, losses.astype(np.float32)))
        if step in _select_steps(backtest):
            rows.append(_build_rows(backtest, steps[-1], quantiles, temperature))
    return {
        "scores": _build_score_table(backtest, steps, quantiles),
        "checked": pd.concat(rows, ignore_index=True),
        "reliability": coverage_counter.build_table(),
    }


def _build_score_table(backtest: Backtest, steps: list[_StepArrays], quantiles: AnyFloats) -> pd.DataFrame:
    rows = []
    for index, entity in [(None, ""), *enumerate(backtest.series.entities)]:
        entity_steps = steps if index is None else [step_arrays.select_entity(index) for step_arrays in steps]
        scale = backtest.weekly_error if index is None else backtest.weekly_error[index : index + 1]
        rows += [
            {"entity": entity, **_compute_metrics(step_arrays, scale, quantiles)}
            for step_arrays in [*entity_steps, _merge_steps(entity_steps)]
        ]
    return pd.DataFrame(rows)


def _merge_steps(steps: list[_StepArrays]) -> _StepArrays:
    return _StepArrays(
        0, **{name: np.concatenate([getattr(step_arrays, name) for step_arrays in steps]) for name in ARRAY_NAMES}
    )


def _compute_metrics(arrays: _StepArrays, scale: AnyFloats, quantiles: AnyFloats) -> dict[str, object]:
    known = np.isfinite(arrays.actual) & np.isfinite(arrays.forecast)
    actual, forecast = arrays.actual.astype(np.float64), arrays.forecast.astype(np.float64)
    naive1, naive7 = (np.where(known, naive, np.nan) for naive in (arrays.naive1, arrays.naive7))
    low, high = arrays.bands[..., 0], arrays.bands[..., -1]
    return {
        "step": arrays.step,
        "days": int(known.any(axis=2).sum()),
        "mae": forecast_metrics.mae(actual, forecast),
        "wape": forecast_metrics.wape(actual, forecast),
        "rmse": forecast_metrics.rmse(actual, forecast),
        "r2": forecast_metrics.r2(actual, forecast),
        "mase": forecast_metrics.mase(actual, forecast, scale),
        "skill_naive1": forecast_metrics.skill_score(actual, forecast, naive1),
        "skill_naive7": forecast_metrics.skill_score(actual, forecast, naive7),
        "quantile_loss": forecast_metrics.quantile_loss(actual, arrays.bands, quantiles),
        "mwql": forecast_metrics.weigh_losses(actual, arrays.losses),
        "coverage": forecast_metrics.compute_coverage(actual, low, high),
        "width": forecast_metrics.compute_mean_width(actual, low, high),
        "mae_naive1": forecast_metrics.mae(actual, naive1),
        "wape_naive1": forecast_metrics.wape(actual, naive1),
        "mae_naive7": forecast_metrics.mae(actual, naive7),
        "wape_naive7": forecast_metrics.wape(actual, naive7),
    }


def _select_steps(backtest: Backtest) -> list[int]:
    steps = range(1, backtest.horizon + 1)
    return list(steps) if len(backtest.series.slots) == 1 else sorted({1, min(7, backtest.horizon), backtest.horizon})


def _build_rows(
    backtest: Backtest, arrays: _StepArrays, quantiles: AnyFloats, temperature: AnyFloats | None
) -> pd.DataFrame:
    values = {"actual": arrays.actual, "forecast": arrays.forecast, "naive7": arrays.naive7}
    values |= {format_quantile_name(level): arrays.bands[..., index] for index, level in enumerate(quantiles)}
    if temperature is not None:
        values["temperature"] = np.broadcast_to(temperature[:, :, None].astype(np.float32), arrays.actual.shape)
    rows = to_frame(backtest.periods, backtest.series, values).assign(step=np.int16(arrays.step))
    return rows[rows["forecast"].notna() & rows["actual"].notna()]


class _CoverageCounter:
    """Counter of the values inside each nominal interval, by day, entity and slot, and by number of days ahead."""

    def __init__(self, backtest: Backtest) -> None:
        self.backtest = backtest
        shape = backtest.get_actual().shape
        self.count = np.zeros(shape, dtype=np.int32)
        self.inside = {level: np.zeros(shape, dtype=np.int32) for level in NOMINAL_LEVELS}
        self.step_rows: list[dict[str, object]] = []

    def add_step(self, step: int, bands: AnyFloats, levels: AnyFloats) -> None:
        actual = self.backtest.get_actual().astype(
            bands.dtype
        )  # as precise as the quantiles, so that a constant value lies inside
        known = np.isfinite(actual) & np.isfinite(self.backtest.get_forecast(step)) & np.isfinite(bands).all(axis=-1)
        self.count += known
        for level in NOMINAL_LEVELS:
            low, high = (int(np.argmin(np.abs(levels - end))) for end in ((1 - level) / 2, (1 + level) / 2))
            inside = known & (actual >= bands[..., low]) & (actual <= bands[..., high])
            self.inside[level] += inside
            self.step_rows.append(_build_coverage_row(level, "step", str(step), int(inside.sum()), int(known.sum())))

    def build_table(self) -> pd.DataFrame:
        series, days = self.backtest.series, self.backtest.periods
        groupings = {
            "all": (0, [""] * len(days)),
            "month": (0, list(days.strftime("%Y-%m"))),
            "weekday": (0, [str(day) for day in days.dayofweek]),
            "entity": (1, list(series.entities)),
        }
        if len(series.slots) > 1:
            groupings["hour"] = (2, list(series.slots))
        elif series.step < DAY:
            groupings["hour"] = (0, list(days.strftime("%H:00")))
        if series.step > DAY:
            del groupings["weekday"]
        rows = list(self.step_rows)
        for grouping, (axis, groups) in groupings.items():
            other_axes = tuple(other_axis for other_axis in range(3) if other_axis != axis)
            count = pd.Series(self.count.sum(axis=other_axes)).groupby(groups).sum()
            for level, inside in self.inside.items():
                inside_count = pd.Series(inside.sum(axis=other_axes)).groupby(groups).sum()
                rows += [
                    _build_coverage_row(level, grouping, group, int(inside_count[group]), int(count[group]))
                    for group in count.index
                ]
        return pd.DataFrame(rows)


def _build_coverage_row(nominal: float, grouping: str, group: str, inside: int, count: int) -> dict[str, object]:
    return {
        "nominal": nominal,
        "by": grouping,
        "group": group,
        "measured": inside / count if count else np.nan,
        "count": count,
    }


def format_quantile_name(level: float) -> str:
    """Return the name of the column of a quantile.

    Example:
        >>> format_quantile_name(0.05)
        'q0.05'
    """
    return f"q{level:g}"
