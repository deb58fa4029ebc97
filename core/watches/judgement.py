"""Judgements: what a task says about new rows, and the contract of its judge."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

JUDGED_COLUMNS = (
    *("entity", "instant", "score", "threshold", "is_anomalous", "severity"),
    *("column", "measured", "expected", "low", "high", "causes"),
)


@dataclass(frozen=True)
class Judgement:
    """Judged rows of some entities.

    rows         one line per row, with `JUDGED_COLUMNS`: entity (text), instant (datetime64[ns], UTC; the clock of the
                 data where its zone is unknown), score, threshold, is_anomalous, severity (0–3), column that deviates
                 most ("" for none), its measured and expected value, low and high of its usual range (NaN if unknown),
                 causes (a tuple of up to three columns, as text); the last six are only known for anomalous rows
    step         time between two rows of an entity
    target_rate  promised share of false alarms among normal rows; None without a promise
    left_out     number of new rows that cannot be judged, such as incomplete ones
    """

    rows: pd.DataFrame
    step: timedelta
    target_rate: float | None = None
    left_out: int = 0

    def __post_init__(self) -> None:
        """Raise ValueError for rows of another form."""
        if tuple(self.rows.columns) != JUDGED_COLUMNS:
            raise ValueError(f"columns {list(self.rows.columns)}")


class Judge(Protocol):
    """A model of a stored run, ready to judge the rows of many ticks.

    A task names the function that loads it in `Task.judge`: (run_id, workspace) → Judge.

    past_rows  number of rows of an entity before a new one that its judgement needs; 0 for none
    template   an empty dataset with the columns, unit, step, zone and form of the training data
    target_rate  promised share of false alarms among normal rows; None without a promise
    """

    past_rows: int
    template: Any
    target_rate: float | None

    def judge_rows(self, dataset: Any, is_new: NDArray[np.bool_]) -> Judgement:
        """Judge the new rows of a `core.data.dataset.Dataset`; the others are their past, sorted by time.

        Raises DataError for rows that do not fit the model.
        """
