"""How good forecasts were: errors beside those of naive forecasts, and whether intervals kept their promise."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]


def mae(actual: Floats, forecast: Floats) -> float:
    """Mean absolute error, over what both know."""
    return _mean(np.abs(actual - forecast))


def wape(actual: Floats, forecast: Floats) -> float:
    """Sum of absolute errors as a share of the sum of amounts; NaN where nothing was consumed."""
    known = np.isfinite(actual) & np.isfinite(forecast)
    total = float(np.abs(actual[known]).sum())
    return float(np.abs(actual - forecast)[known].sum()) / total if total else float("nan")


def rmse(actual: Floats, forecast: Floats) -> float:
    """Root of the mean squared error."""
    return float(np.sqrt(_mean((actual - forecast) ** 2)))


def r2(actual: Floats, forecast: Floats) -> float:
    """Share of the variance *within* each entity that is explained; between entities anything would score near 1.

    `actual` and `forecast` have the shape (days, entities …).
    """
    known = np.isfinite(actual) & np.isfinite(forecast)
    own = np.where(known, actual, np.nan)
    if not known.any():
        return float("nan")
    mean = np.nansum(own, axis=0) / np.maximum(known.sum(axis=0), 1)
    spread = float(np.nansum((own - mean) ** 2))
    return 1 - float(np.nansum((own - np.where(known, forecast, np.nan)) ** 2)) / spread if spread else float("nan")


def mase(actual: Floats, forecast: Floats, scale: Floats) -> float:
    """Absolute errors over `scale` (entities …), the mean error of the weekly naive forecast before the test, averaged.

    Hyndman, Koehler: Another look at measures of forecast accuracy, International Journal of Forecasting 22, 2006.
    """
    return _mean(np.abs(actual - forecast) / np.where(scale > 0, scale, np.nan))


def skill(actual: Floats, forecast: Floats, naive: Floats) -> float:
    """1 − MAE / MAE of `naive`, on the days that both forecast; above 0 is better than naive."""
    known = np.isfinite(actual) & np.isfinite(forecast) & np.isfinite(naive)
    theirs = float(np.abs(actual - naive)[known].sum())
    return 1 - float(np.abs(actual - forecast)[known].sum()) / theirs if theirs else float("nan")


def quantile_loss(actual: Floats, bands: Floats, quantiles: Floats) -> float:
    """Mean weighted quantile loss: twice the pinball loss over the sum of amounts, averaged over `quantiles`.

    `bands` has one axis more than `actual`. Half the continuous ranked probability score, in the limit of many
    quantiles, as a share of the amounts.
    """
    error = actual[..., None] - bands
    loss = 2 * np.maximum(quantiles * error, (quantiles - 1) * error)
    known = np.isfinite(loss).all(axis=-1)
    total = float(np.abs(actual[known]).sum())
    return float(loss[known].mean(axis=-1).sum()) / total if total else float("nan")


def coverage(actual: Floats, low: Floats, high: Floats) -> float:
    """Share of amounts inside their interval, ends included."""
    known = np.isfinite(actual) & np.isfinite(low) & np.isfinite(high)
    return float(((actual >= low) & (actual <= high))[known].mean()) if known.any() else float("nan")


def width(actual: Floats, low: Floats, high: Floats) -> float:
    """Mean width of intervals as a share of the mean amount."""
    known = np.isfinite(actual) & np.isfinite(low) & np.isfinite(high)
    total = float(np.abs(actual[known]).sum())
    return float((high - low)[known].sum()) / total if total else float("nan")


def binomial_band(nominal: float, count: int) -> tuple[float, float]:
    """Between which shares the coverage of `count` independent days lies 19 times in 20."""
    spread = 1.96 * np.sqrt(nominal * (1 - nominal) / max(count, 1))
    return max(nominal - spread, 0.0), min(nominal + spread, 1.0)


def _mean(values: Floats) -> float:
    known = np.isfinite(values)
    return float(values[known].mean()) if known.any() else float("nan")
