"""Columns that caused an event, and the accuracy of such a ranking where the causes are known.

`weigh_causes` is the one list that every table, picture and file shows. It weighs columns by their squared distance to
the moving mean. This finds the true causes more often than the shares of a detector, because a residual spreads over
correlated columns, and than other distances and combinations (docs/results/anomalies-events.md).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.array_types import Floats
from core.errors import DataError
from core.evaluation.validation import Indices
from core.messages import N_

Shares = NDArray[np.float32] | Floats
WINDOW_ROWS = 21  # rows of the moving mean
CAUSE_WINDOW_ROWS = 41  # the same for the causes of events: best for the labelled causes of servers


@dataclass(frozen=True)
class RootCause:
    """Event in the rows `start` to before `stop`, and the columns that caused it; all counted from 0."""

    start: int
    stop: int
    columns: tuple[int, ...]


def compute_moving_mean_residual(values: Shares, window: int = WINDOW_ROWS) -> Floats:
    """Return the distance of every value to the mean of the `window` rows around it, (rows, columns).

    NaN where the value is missing. The window is centred, so it looks window // 2 rows ahead; at the ends and around
    missing values it has fewer rows.

    Example:
        >>> import numpy as np
        >>> compute_moving_mean_residual(np.array([[0.0], [0.0], [3.0], [0.0], [0.0]]), window=3).ravel().tolist()
        [0.0, 1.0, 2.0, 1.0, 0.0]
    """
    is_known = np.isfinite(values)
    totals, counts = (
        _sum_windows(array, window) for array in (np.where(is_known, values, 0.0), is_known.astype(np.float64))
    )
    return np.where(is_known, np.abs(values - totals / np.maximum(counts, 1.0)), np.nan)


def compute_moving_mean_distance(values: Shares, window: int = WINDOW_ROWS) -> Floats:
    """Return the residual of the moving mean, divided by its root mean square in the column, (rows, columns).

    The division makes columns of different units comparable. 0 in a constant column, NaN where the value is missing.

    Example:
        >>> import numpy as np
        >>> values = np.zeros((5, 2))
        >>> values[2] = [3.0, 3000.0]
        >>> compute_moving_mean_distance(values, window=3)[2].round(2).tolist()
        [1.83, 1.83]
    """
    residual = compute_moving_mean_residual(values, window)
    is_known = np.isfinite(residual)
    typical = np.sqrt((np.where(is_known, residual, 0.0) ** 2).sum(axis=0) / np.maximum(is_known.sum(axis=0), 1))
    size = np.abs(np.where(is_known, values, 0.0)).max(axis=0, initial=0.0)
    is_moving = typical > 1e-9 * size
    return np.where(is_moving, residual / np.where(is_moving, typical, 1.0), np.where(is_known, 0.0, np.nan))


def rank_causes(shares: Shares, start: int, stop: int) -> Indices:
    """Return the columns by their mean share in the rows `start` to before `stop`, the largest first.

    A missing share counts as 0; equal ones keep their order. Raises DataError for rows outside `shares` (rows,
    columns).

    Example:
        >>> import numpy as np
        >>> rank_causes(np.array([[0.0, 9.0, 0.0], [1.0, 0.0, 2.0]]), start=1, stop=2).tolist()
        [2, 0, 1]
    """
    _check_rows(shares, start, stop)
    mean = np.nan_to_num(shares[start:stop]).mean(axis=0, dtype=np.float64)
    return np.argsort(-mean, kind="stable")


def weigh_causes(distance: Floats, shares: Shares, start: int, stop: int) -> Floats:
    """Return the weight of each column as a cause of the event in the rows `start` to before `stop`, (columns,).

    The weight is the part of a column in the sum of the squared distances to the moving mean, see
    `compute_moving_mean_distance` with `CAUSE_WINDOW_ROWS`; weights sum to 1. Where no column moved, it is the part in
    the `shares` of the detector; 0 if these are 0, too. `distance` and `shares` have the shape (rows, columns).
    Raises DataError for rows that do not exist.

    Example:
        >>> distance = np.array([[0.0, 0.0], [1.0, 3.0], [0.0, 0.0]])
        >>> weigh_causes(distance, np.ones((3, 2)), start=1, stop=2).tolist()
        [0.1, 0.9]
        >>> weigh_causes(distance, np.array([[3.0, 1.0]] * 3), start=2, stop=3).tolist()  # nothing moved
        [0.75, 0.25]
    """
    _check_rows(distance, start, stop)
    squares = np.square(np.nan_to_num(distance[start:stop], nan=0.0)).sum(axis=0)
    if not squares.any():
        squares = np.maximum(np.nan_to_num(shares[start:stop]), 0).sum(axis=0, dtype=np.float64)
    total = float(squares.sum())
    return squares / total if total > 0 else squares


def compute_hit_rate(ranking: Indices, causes: Sequence[int], share: float = 1.0) -> float:
    """Return the part of `causes` among the first ⌊share · number of causes⌋ columns of `ranking` (HitRate).

    Su et al.: Robust anomaly detection for multivariate time series through stochastic recurrent neural network, KDD
    2019.

    Example:
        >>> import numpy as np
        >>> ranking = np.array([1, 0, 2])
        >>> compute_hit_rate(ranking, causes=[1, 2]), compute_hit_rate(ranking, causes=[1, 2], share=1.5)
        (0.5, 1.0)
    """
    first = ranking[: int(share * len(causes))]
    return len(set(causes) & set(first.tolist())) / len(causes)


def compute_chance_hit_rate(columns: int, causes: Sequence[int], share: float = 1.0) -> float:
    """Return the mean hit rate of a random ranking of `columns` columns.

    Example:
        >>> compute_chance_hit_rate(columns=10, causes=[1, 2], share=1.5)
        0.3
    """
    return min(int(share * len(causes)), columns) / columns


def compute_explanation_metrics(shares: Shares, events: Sequence[RootCause]) -> dict[str, float]:
    """Return the mean hit rates of the ranking by `shares` (rows, columns), and those of a random ranking.

    Keys: hit_100, hit_150, chance_100, chance_150, events. NaN without an event. Raises DataError for events outside
    the rows.

    Example:
        >>> import numpy as np
        >>> shares = np.zeros((7, 2))
        >>> shares[3, 1] = 4.0
        >>> metrics = compute_explanation_metrics(shares, [RootCause(2, 5, columns=(1,))])
        >>> metrics["hit_100"], metrics["chance_100"]
        (1.0, 0.5)
    """
    rankings = [(rank_causes(shares, event.start, event.stop), event.columns) for event in events]
    metrics: dict[str, float] = {}
    for share in (1.0, 1.5):
        percent = round(100 * share)
        metrics[f"hit_{percent}"] = _average([compute_hit_rate(ranking, causes, share) for ranking, causes in rankings])
        metrics[f"chance_{percent}"] = _average(
            [compute_chance_hit_rate(shares.shape[1], causes, share) for _, causes in rankings]
        )
    return metrics | {"events": float(len(events))}


def _check_rows(values: Shares, start: int, stop: int) -> None:
    if not 0 <= start < stop <= len(values):
        raise DataError(
            N_("Rows {start} to {stop} do not exist. The data have {rows} rows."),
            start=start,
            stop=stop,
            rows=len(values),
        )


def _sum_windows(values: Floats, window: int) -> Floats:
    """Return the sums over the rows at most window // 2 rows away."""
    totals = np.concatenate([np.zeros((1, values.shape[1])), np.cumsum(values, axis=0, dtype=np.float64)])
    rows, half = np.arange(len(values)), window // 2
    return totals[np.minimum(rows + half + 1, len(values))] - totals[np.maximum(rows - half, 0)]


def _average(values: list[float]) -> float:
    return float(np.mean(values)) if values else float("nan")
