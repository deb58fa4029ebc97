"""Choice of what is forecast of a dataset where the user does not say it: which column, and days or steps."""

import re
from typing import Literal

import numpy as np
import pandas as pd

from core.data.dataset import DAY, Dataset
from core.data.panel import Resolution
from core.data.regular_series import DEFAULT_MEASURE
from core.errors import DataError
from core.messages import N_, Message

MIN_DAILY_DAYS = 28  # of data with several values a day, for a daily forecast
MIN_COMPLETE_SHARE = 0.5  # of the days with all their steps, for a daily forecast
CHANGED_HOURS = 1  # that the clock takes from a day
TARGET_WORDS = frozenset(
    (
        *("target", "y", "value", "valeur", "total", "load", "demand", "demande", "charge", "consumption"),
        *("consommation", "conso", "traffic", "trafic", "sales", "ventes"),
    )
)


def has_day_times(dataset: Dataset) -> bool:
    """Tell whether the data have several times of the day."""
    return dataset.profile or (dataset.step is not None and dataset.step < DAY)


def is_longer_than_day(dataset: Dataset) -> bool:
    """Tell whether the data have one value for several days, a month …."""
    return not dataset.profile and dataset.step is not None and dataset.step > DAY


def list_obvious_measures(dataset: Dataset) -> list[str]:
    """Return the columns that a forecast is likely about, by their names: `total`, or those that speak of a load.

    Example:
        >>> from core.data.dataset import make_index
        >>> index = make_index(["a"], pd.to_datetime(["2024-01-01"]))
        >>> dataset = Dataset(pd.DataFrame({"Total load": [1.0], "humidity": [2.0]}, index), "tidy_series")
        >>> list_obvious_measures(dataset)
        ['Total load']
    """
    if DEFAULT_MEASURE in dataset.columns:
        return [DEFAULT_MEASURE]
    return [
        column
        for column in dataset.columns
        if not TARGET_WORDS.isdisjoint(re.findall(r"[^\W\d_]+", str(column).casefold()))
    ]


def choose_measure(measure: str, dataset: Dataset) -> str:
    """Return the column to forecast: `measure`, or the obvious one of several; "" for data with one column.

    Raises DataError where no column, or more than one, is obvious.
    """
    if measure or dataset.profile or len(dataset.columns) == 1:
        return measure
    obvious = list_obvious_measures(dataset)
    if len(obvious) != 1:
        raise DataError(
            N_("{file} has several columns: {accepted}. Choose the one to forecast (option --measure)."),
            file=", ".join(dataset.files) or "?",
            accepted=", ".join(dataset.columns[:20]),
        )
    return obvious[0]


def choose_resolution(resolution: Literal["auto"] | Resolution, dataset: Dataset) -> tuple[Resolution, Message | None]:
    """Return the resolution to use, and why it is that of steps; None for one that was asked for, or days.

    Example:
        >>> from core.data.dataset import make_index
        >>> months = pd.date_range("2024-01-01", periods=3, freq="MS")
        >>> frame = pd.DataFrame({"sales": [1.0, 2.0, 3.0]}, make_index(["a"] * 3, months))
        >>> dataset = Dataset(frame, "tidy_series", step=pd.Timedelta(days=31))
        >>> choose_resolution("auto", dataset)[0], choose_resolution("day", dataset)[0]
        ('step', 'day')
    """
    if resolution != "auto":
        return resolution, None
    if is_longer_than_day(dataset):
        return "step", Message(N_("The data have less than one value a day, so that each of their steps is forecast."))
    if not dataset.has_dates or not has_day_times(dataset):
        return "day", None
    days = pd.DatetimeIndex(dataset.time).normalize()
    if (count := len(days.unique())) < MIN_DAILY_DAYS:
        template = N_(
            "The data cover {count} day, too little for daily amounts: each step of the data is forecast.",
            "The data cover {count} days, too few for daily amounts: each step of the data is forecast.",
        )
        return "step", Message(template, {"count": count})
    if not dataset.profile and _count_complete_share(dataset, days) < MIN_COMPLETE_SHARE:
        return "step", Message(
            N_(
                "Most days lack some of their steps, or do not begin with one. Therefore each step of the "
                "data is forecast."
            )
        )
    return "day", None


def _count_complete_share(dataset: Dataset, days: pd.DatetimeIndex) -> float:
    """Return the share of days with all their steps; 0 where a day does not begin with a step."""
    assert dataset.step is not None
    offsets = pd.DatetimeIndex(dataset.time) - days
    if DAY % dataset.step != pd.Timedelta(0) or (offsets % dataset.step != pd.Timedelta(0)).any():
        return 0.0
    is_known = np.isfinite(dataset.values).any(axis=1)
    counts = pd.Series(is_known).groupby([dataset.entity_codes, np.asarray(days)]).sum()
    least = (DAY - pd.Timedelta(hours=CHANGED_HOURS)) / dataset.step
    return float((counts >= least).mean())
