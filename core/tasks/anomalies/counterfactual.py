"""Counterfactuals of flagged rows: the values with which a flagged row would not have been flagged."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.array_types import Floats
from core.data.dataset import Dataset
from core.detectors.row_model import RowModel
from core.evaluation.counterfactual import SCORES_PER_CASE, find_unflagged_intervals

MAX_ROWS = 2000
MIN_SCORES = 200_000  # scores that may be computed for any dataset; a larger one allows as many as it has rows
MAX_CELLS = 2_000_000  # cells that are scored at once
MIN_REACH_SPREADS = 4.0  # searched beyond the expected value, on the side away from the measured one

COLUMN, LEVEL, NAMED, OUTSIDE, NONE, UNNAMED = "column", "level", "named", "outside", "none", "unnamed"


@dataclass(frozen=True)
class Counterfactuals:
    """Counterfactuals of the flagged rows with the highest scores.

    intervals  (rows, causes, 2), interval of a named column within which the row is not flagged, all other values
               unchanged; NaN where the row is flagged even at the expected value
    kind       (rows,): "column" for a row with an interval; else what would have left the row unflagged: the usual
               "level" of the day, all "named" columns at their expected values, or all columns "outside" their bands;
               "none" where the row stays flagged; "unnamed" without a column outside its band
    """

    intervals: Floats
    kind: NDArray[np.object_]


def find_counterfactuals(
    model: RowModel,
    flagged_rows: Dataset,
    named: NDArray[np.intp],
    outside: NDArray[np.bool_],
    threshold: float,
    scored_rows: int,
) -> Counterfactuals:
    """Return the counterfactuals of `flagged_rows` by scoring changed rows.

    `named` (rows, causes) holds the named columns of every row, −1 for none. `outside` (rows, columns) is True for a
    value outside its band. At most `MAX_ROWS` of the first rows are examined, fewer if more than `MIN_SCORES` and
    `scored_rows` scores could be needed, so that the time stays bounded.
    """
    max_scores = max(MIN_SCORES, scored_rows)
    count = min(len(flagged_rows), MAX_ROWS, max_scores // (SCORES_PER_CASE * named.shape[1]))
    rows, named = flagged_rows.take_rows(np.arange(count)), named[:count]
    scorer = _Scorer(model, rows, threshold)
    expected, spread = model.baseline.predict_values(rows)
    row, cause = np.nonzero(named >= 0)
    column = named[row, cause]
    usual = expected[row, column]
    intervals = np.full((*named.shape, 2), np.nan)
    intervals[row, cause] = find_unflagged_intervals(
        lambda cases, values: scorer.flag_cells(row[cases], column[cases], values),
        usual,
        _limit_search(rows.values[row, column], usual, spread[row, column], scorer.is_positive),
    )
    has_interval = ~np.isnan(intervals[:, :, 0]).all(axis=1)
    kind = np.where(has_interval, COLUMN, np.where(named[:, 0] >= 0, NONE, UNNAMED)).astype(object)
    is_named = np.zeros(outside[:count].shape, dtype=bool)
    is_named[row, column] = True
    _try_level(kind, scorer, only_unusual=True)
    _try_expected(kind, NAMED, is_named, expected, scorer)
    _try_expected(kind, OUTSIDE, outside[:count], expected, scorer)
    _try_level(kind, scorer, only_unusual=False)
    return Counterfactuals(intervals, kind)


@dataclass(frozen=True)
class _Scorer:
    """Flags of changed rows."""

    model: RowModel
    rows: Dataset
    threshold: float

    @property
    def is_positive(self) -> bool:
        """True where no measurement is negative."""
        return not len(self.rows) or bool(self.rows.values.min() >= 0)

    def flag_cells(self, row: NDArray[np.intp], column: NDArray[np.intp], values: Floats) -> NDArray[np.bool_]:
        """Return the flags of rows, (cases,), of which one cell is changed."""
        flags = []
        size = max(1, MAX_CELLS // len(self.rows.columns))
        for first in range(0, len(row), size):
            part = slice(first, first + size)
            changed = self.rows.values[row[part]]
            changed[np.arange(len(changed)), column[part]] = values[part]
            flags.append(self.flag(row[part], changed))
        return np.concatenate(flags) if flags else np.zeros(0, dtype=bool)

    def flag(self, row: NDArray[np.intp], values: Floats) -> NDArray[np.bool_]:
        """Return the flags of rows with all their `values` (cases, columns) replaced."""
        frame = pd.DataFrame(values, index=self.rows.frame.index[row], columns=self.rows.frame.columns)
        changed_rows = self.rows.replace(frame=frame, covariates=None, context=None, labels=None, fold=None)
        return self.model.score(changed_rows) > self.threshold


def _limit_search(measured: Floats, usual: Floats, spread: Floats, is_positive: bool) -> Floats:
    """Return the limits of the search, (cases, 2): the measured value, and as far on the other side of the usual one.

    Data without a negative value are not searched below 0.
    """
    reach = np.maximum(np.abs(measured - usual), MIN_REACH_SPREADS * spread)
    low = np.where(measured < usual, measured, usual - reach)
    high = np.where(measured < usual, usual + reach, measured)
    return np.column_stack([np.maximum(low, np.minimum(usual, 0.0)) if is_positive else low, high])


def _try_level(kind: NDArray[np.object_], scorer: _Scorer, only_unusual: bool) -> None:
    """Set the kind of the unexplained rows that are not flagged with the usual level and their own shape."""
    levels = scorer.model.baseline.predict_levels(scorer.rows)
    is_open = (kind == NONE) | (kind == UNNAMED)
    if levels is None or not is_open.any():
        return
    positions = np.flatnonzero(is_open & (levels.is_unusual | (not only_unusual)))
    values = scorer.rows.values[positions] - levels.cell_shift[positions]
    kind[positions[~scorer.flag(positions, values)]] = LEVEL


def _try_expected(
    kind: NDArray[np.object_], new_kind: str, columns: NDArray[np.bool_], expected: Floats, scorer: _Scorer
) -> None:
    """Set the kind of the unexplained rows that are not flagged with the `columns` at their expected values."""
    positions = np.flatnonzero(kind == NONE)
    if not len(positions):
        return
    values = np.where(columns[positions], expected[positions], scorer.rows.values[positions])
    kind[positions[~scorer.flag(positions, values)]] = new_kind
