"""Metrics of forecasts: errors, also compared with naive forecasts, and coverage of prediction intervals."""

import numpy as np

from core.array_types import AnyFloats

LOSS_LEVELS = np.arange(1, 10) / 10
"""Levels of the mean weighted quantile loss, an even grid: the loss approaches the CRPS as a share of the amounts."""


def mae(actual: AnyFloats, forecast: AnyFloats) -> float:
    """Return the mean absolute error over the pairs without a missing value.

    Example:
        >>> import numpy as np
        >>> mae(np.array([10.0, 20.0, np.nan]), np.array([12.0, 19.0, 5.0]))
        1.5
    """
    return _average_valid(np.abs(actual - forecast))


def wape(actual: AnyFloats, forecast: AnyFloats) -> float:
    """Return the sum of absolute errors as a share of the sum of amounts; NaN if the sum is 0.

    Example:
        >>> import numpy as np
        >>> wape(np.array([10.0, 20.0]), np.array([12.0, 19.0]))  # 3 of 30
        0.1
    """
    is_known = np.isfinite(actual) & np.isfinite(forecast)
    total = float(np.abs(actual[is_known]).sum())
    return float(np.abs(actual - forecast)[is_known].sum()) / total if total else float("nan")


def rmse(actual: AnyFloats, forecast: AnyFloats) -> float:
    """Return the root of the mean squared error.

    Example:
        >>> import numpy as np
        >>> round(rmse(np.array([10.0, 20.0]), np.array([13.0, 16.0])) ** 2, 6)  # (9 + 16) / 2
        12.5
    """
    return float(np.sqrt(_average_valid((actual - forecast) ** 2)))


def r2(actual: AnyFloats, forecast: AnyFloats) -> float:
    """Return the explained share of the variance *within* each entity.

    Including the variance between entities, any forecast would score near 1. `actual` and `forecast` have the shape
    (days, entities …).

    Example:
        >>> import numpy as np
        >>> r2(np.array([[1.0, 100.0], [3.0, 102.0]]), np.array([[1.0, 101.0], [3.0, 101.0]]))  # only the first moves
        0.5
    """
    is_known = np.isfinite(actual) & np.isfinite(forecast)
    known_actual = np.where(is_known, actual, np.nan)
    if not is_known.any():
        return float("nan")
    mean = np.nansum(known_actual, axis=0) / np.maximum(is_known.sum(axis=0), 1)
    spread = float(np.nansum((known_actual - mean) ** 2))
    return (
        1 - float(np.nansum((known_actual - np.where(is_known, forecast, np.nan)) ** 2)) / spread
        if spread
        else float("nan")
    )


def mase(actual: AnyFloats, forecast: AnyFloats, scale: AnyFloats) -> float:
    """Return the mean of the absolute errors over `scale` (entities …), the mean error of the weekly naive forecast.

    `scale` is measured before the test days. Hyndman, Koehler: Another look at measures of forecast accuracy,
    International Journal of Forecasting 22, 2006.

    Example:
        >>> import numpy as np
        >>> mase(np.array([[10.0, 100.0]]), np.array([[11.0, 120.0]]), scale=np.array([2.0, 40.0]))
        0.5
    """
    return _average_valid(np.abs(actual - forecast) / np.where(scale > 0, scale, np.nan))


def skill_score(actual: AnyFloats, forecast: AnyFloats, naive: AnyFloats) -> float:
    """Return 1 − MAE / MAE of `naive` on the days that both forecast; above 0 is better than naive.

    Example:
        >>> import numpy as np
        >>> skill_score(np.array([10.0, 20.0]), np.array([11.0, 19.0]), naive=np.array([8.0, 18.0]))
        0.5
    """
    is_known = np.isfinite(actual) & np.isfinite(forecast) & np.isfinite(naive)
    naive_error = float(np.abs(actual - naive)[is_known].sum())
    return 1 - float(np.abs(actual - forecast)[is_known].sum()) / naive_error if naive_error else float("nan")


def quantile_loss(actual: AnyFloats, bands: AnyFloats, quantiles: AnyFloats) -> float:
    """Return the mean weighted quantile loss: twice the pinball loss over the sum of amounts, over all `quantiles`.

    `bands` has one axis more than `actual`. With many quantiles the loss approaches the continuous ranked probability
    score as a share of the amounts.

    Example:
        >>> import numpy as np
        >>> bands = np.array([[8.0, 13.0]])
        >>> round(quantile_loss(np.array([10.0]), bands, np.array([0.1, 0.9])), 3)
        0.05
    """
    return weigh_losses(actual, compute_losses(actual, bands, quantiles))


def compute_losses(actual: AnyFloats, bands: AnyFloats, quantiles: AnyFloats) -> AnyFloats:
    """Return twice the mean pinball loss of each value over all `quantiles`, shape of `actual`; NaN if unknown.

    Over an even grid of levels it approaches the continuous ranked probability score. Gneiting, Raftery: Strictly
    proper scoring rules, prediction, and estimation, JASA 102, 2007.

    Example:
        >>> import numpy as np
        >>> compute_losses(np.array([10.0, 14.0]), np.array([[9.0], [12.0]]), np.array([0.5])).tolist()
        [1.0, 2.0]
    """
    error = actual[..., None] - bands
    losses: AnyFloats = np.maximum(quantiles * error, (quantiles - 1) * error).mean(axis=-1) * 2
    return losses


def weigh_losses(actual: AnyFloats, losses: AnyFloats) -> float:
    """Return the sum of `losses` as a share of the sum of amounts; NaN if the sum is 0.

    Example:
        >>> import numpy as np
        >>> weigh_losses(np.array([10.0, 14.0, 20.0]), np.array([1.0, 2.0, np.nan]))
        0.125
    """
    is_known = np.isfinite(losses)
    total = float(np.abs(actual[is_known]).sum())
    return float(losses[is_known].sum(dtype=np.float64)) / total if total else float("nan")


def compute_coverage(actual: AnyFloats, low: AnyFloats, high: AnyFloats) -> float:
    """Return the share of amounts inside their interval, ends included.

    Example:
        >>> import numpy as np
        >>> compute_coverage(np.array([1.0, 2.0, 9.0, np.nan]), low=np.zeros(4), high=np.full(4, 2.0)) * 3
        2.0
    """
    is_known = np.isfinite(actual) & np.isfinite(low) & np.isfinite(high)
    return float(((actual >= low) & (actual <= high))[is_known].mean()) if is_known.any() else float("nan")


def compute_mean_width(actual: AnyFloats, low: AnyFloats, high: AnyFloats) -> float:
    """Return the mean width of intervals as a share of the mean amount.

    Example:
        >>> import numpy as np
        >>> compute_mean_width(np.array([10.0, 20.0]), low=np.array([8.0, 17.0]), high=np.array([11.0, 23.0]))
        0.3
    """
    is_known = np.isfinite(actual) & np.isfinite(low) & np.isfinite(high)
    total = float(np.abs(actual[is_known]).sum())
    return float((high - low)[is_known].sum()) / total if total else float("nan")


def compute_binomial_band(nominal: float, count: int) -> tuple[float, float]:
    """Return the 95 % range of the measured coverage over `count` independent days, if `nominal` is right.

    Example:
        >>> [round(float(end), 2) for end in compute_binomial_band(0.9, count=100)]
        [0.84, 0.96]
    """
    spread = 1.96 * np.sqrt(nominal * (1 - nominal) / max(count, 1))
    return max(nominal - spread, 0.0), min(nominal + spread, 1.0)


def _average_valid(values: AnyFloats) -> float:
    is_known = np.isfinite(values)
    return float(values[is_known].mean()) if is_known.any() else float("nan")
