"""Errors of a usual weather forecast, for backtests with the weather as it is known in advance."""

import numpy as np
import pandas as pd

from core.array_types import Floats
from core.data.dataset import DAY

LEAD_ERRORS_C = (1.1, 1.3, 1.5, 1.8, 2.1, 2.4, 2.7, 3.0, 3.2, 3.4)
"""Standard deviation of the error of the mean temperature of a day in °C, 1, 2 … 10 and more days ahead."""
LEAD_AUTOCORRELATION = 0.8  # autocorrelation of the forecast error from one day ahead to the next
SHARED_VARIANCE_SHARE = 0.7  # share of the variance of the forecast error common to all places


def count_leads(periods_ahead: int, step: pd.Timedelta) -> int:
    """Return the number of the lead of a period: that of its day for steps shorter than a day, its own for others.

    Example:
        >>> [count_leads(24, pd.Timedelta(hours=1)), count_leads(25, pd.Timedelta(hours=1)), count_leads(3, 7 * DAY)]
        [1, 2, 3]
    """
    return -(-periods_ahead // max(int(DAY // step), 1))


def compute_lead_errors(step: pd.Timedelta, count: int) -> Floats:
    """Return the standard deviation of the error of the mean temperature at `count` leads, in °C, (leads,).

    The errors of the days of a longer period cancel each other in part.

    Example:
        >>> [compute_lead_errors(step, 3).round(2).tolist() for step in (pd.Timedelta(hours=1), DAY, 7 * DAY)]
        [[1.1, 1.3, 1.5], [1.1, 1.3, 1.5], [1.49, 2.66, 2.72]]
    """
    length = _count_days(step)
    days = np.arange(length)
    correlation = LEAD_AUTOCORRELATION ** np.abs(days[:, None] - days)
    by_day = np.array([LEAD_ERRORS_C[min(day, len(LEAD_ERRORS_C) - 1)] for day in range(length * count)])
    by_lead = by_day.reshape(count, length)
    return np.sqrt(np.einsum("li,ij,lj->l", by_lead, correlation, by_lead)) / length


def draw_forecast_errors(periods: pd.DatetimeIndex, step: pd.Timedelta, entities: int, horizon: int) -> Floats:
    """Return errors of a temperature forecast in °C, (origin periods, leads, entities), see `count_leads`.

    They grow with the lead. They are correlated from one lead to the next, and between places. Steps of one day have
    the same forecast.
    """
    origins = np.unique(periods.normalize(), return_inverse=True)[1] if step < DAY else np.arange(len(periods))
    count, leads = int(origins.max()) + 1, count_leads(horizon, step)
    generator = np.random.default_rng(0)
    shocks = np.sqrt(SHARED_VARIANCE_SHARE) * generator.standard_normal((count, leads + 1, 1))
    shocks = shocks + np.sqrt(1 - SHARED_VARIANCE_SHARE) * generator.standard_normal((count, leads + 1, entities))
    correlation = LEAD_AUTOCORRELATION ** _count_days(step)
    drift = np.empty_like(shocks)
    drift[:, 0] = shocks[:, 0]
    for lead in range(1, leads + 1):
        drift[:, lead] = correlation * drift[:, lead - 1] + np.sqrt(1 - correlation**2) * shocks[:, lead]
    errors: Floats = drift * compute_lead_errors(step, leads + 1)[None, :, None]
    return errors[origins]


def _count_days(step: pd.Timedelta) -> int:
    """Return the whole days of a period; 1 for shorter steps."""
    return max(round(step / DAY), 1)
