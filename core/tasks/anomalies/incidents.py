"""Incidents: consecutive flagged rows of one entity."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.data.dataset import DAY, Dataset

MAX_STEPS = 2  # between two flagged rows of one incident: one row may be missing, a normal row ends the incident


def find_row_step(dataset: Dataset) -> float | None:
    """Return the seconds between two rows of an entity; None for rows without dates or without an even step."""
    if not dataset.has_dates:
        return None
    step = DAY if dataset.profile else dataset.step
    return None if step is None else step.total_seconds()


def number_incidents(rows: pd.DataFrame, step_seconds: float | None) -> NDArray[np.int32]:
    """Return the incident of every row, (rows,): 0 for the one with the highest score, −1 for rows not flagged.

    `rows` has the columns entity, time, score and anomaly. Without a step, neighbours in time are consecutive.

    Example:
        >>> import pandas as pd
        >>> days = pd.to_datetime(["2024-01-01", "2024-01-02", "2024-01-03", "2024-01-09"])
        >>> rows = pd.DataFrame({"entity": "a", "time": days, "score": [1.0, 2.0, 0.1, 3.0],
        ...                      "anomaly": [True, True, False, True]})
        >>> number_incidents(rows, step_seconds=86_400).tolist()
        [1, 1, -1, 0]
    """
    entity, time = pd.factorize(rows["entity"])[0], rows["time"].to_numpy()
    order = np.lexsort((time, entity))
    flagged, gap = rows["anomaly"].to_numpy(dtype=bool)[order], np.diff(time[order])
    is_near = np.ones(len(gap), dtype=bool)
    if np.issubdtype(gap.dtype, np.timedelta64):
        if step_seconds is not None:
            is_near = gap <= np.timedelta64(round(MAX_STEPS * step_seconds * 1e3), "ms")
    else:
        is_near = gap <= MAX_STEPS
    is_joined = flagged[1:] & flagged[:-1] & (np.diff(entity[order]) == 0) & is_near
    is_first = flagged.copy()
    is_first[1:] &= ~is_joined
    number = np.full(len(rows), -1, dtype=np.int32)
    number[order] = np.where(flagged, np.cumsum(is_first) - 1, -1)
    return _rank_numbers(number, rows["score"].to_numpy(), int(is_first.sum()))


def _rank_numbers(number: NDArray[np.int32], scores: NDArray[np.float64], count: int) -> NDArray[np.int32]:
    """Return the numbers in the order of the highest score of each incident; −1 stays."""
    peak = np.full(count, -np.inf)
    is_flagged = number >= 0
    np.maximum.at(peak, number[is_flagged], scores[is_flagged])
    rank = np.empty(count + 1, dtype=np.int32)
    rank[np.argsort(-peak, kind="stable")] = np.arange(count, dtype=np.int32)
    rank[-1] = -1  # of the rows without an incident, whose number is −1
    return rank[number]


def build_incidents(rows: pd.DataFrame) -> pd.DataFrame:
    """Return one line per incident, the highest score first.

    `rows` are sorted from the highest score to the lowest and have the column `incident`. The columns are entity,
    start, end, rows (their number), peak, severity, and row, the position of the worst row in `rows`.

    Example:
        >>> import pandas as pd
        >>> rows = pd.DataFrame({"entity": "a", "time": [5, 1, 2], "score": [3.0, 2.0, 1.0], "severity": 1,
        ...                      "incident": [0, 1, 1]})
        >>> build_incidents(rows)[["start", "end", "rows", "row"]].to_numpy().tolist()
        [[5, 5, 1, 0], [1, 2, 2, 1]]
    """
    flagged = rows[rows["incident"] >= 0]
    groups = flagged.groupby("incident", sort=True)
    worst = flagged.drop_duplicates("incident").sort_values("incident")
    return pd.DataFrame(
        {
            "entity": worst["entity"].reset_index(drop=True),
            "start": groups["time"].min().to_numpy(),
            "end": groups["time"].max().to_numpy(),
            "rows": groups.size().to_numpy(),
            "peak": worst["score"].to_numpy(),
            "severity": worst["severity"].to_numpy(),
            "row": worst.index.to_numpy(),
        }
    )
