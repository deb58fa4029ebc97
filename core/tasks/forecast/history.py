"""Measured amounts before the days of a forecast, to draw beside it."""

import math

import pandas as pd

from core.data.dataset import DAY, Dataset
from core.forecasters.to_frame import to_frame
from core.tasks.forecast.result import Forecast

HISTORY_DAYS = {True: 60, False: 14}  # days of history; True for daily amounts, False for times of the day


def select_history(
    part: Forecast, dataset: Dataset | None, entities: list[str], start: pd.Timestamp | None = None
) -> pd.DataFrame:
    """Return time and actual of the last days of `entities`, summed: from the data, else from the backtest.

    They are 60 days, 14 for times of the day, or more to begin at `start`.
    """
    days = pd.Timedelta(days=HISTORY_DAYS[len(part.slots) == 1])
    if start is not None:
        days = max(days, part.rows["time"].min() - start)
    if dataset is None:
        table = part.checked[part.checked["step"] == part.checked["step"].min()]
        return table[table["time"] > table["time"].max() - days].sort_values("time")
    series = part.model_spec.build_panel(dataset)
    series = series.tail(math.ceil(days / series.step) if series.step < DAY else days.days)
    table = to_frame(series.periods, series, {"actual": series.values})
    entity_rows = table[table["entity"].isin(entities)]
    return entity_rows.groupby("time")["actual"].sum(min_count=len(entities)).reset_index()
