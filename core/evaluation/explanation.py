"""Which columns are the cause of an event, and how often such a ranking names the causes that are known.

Two rankings, kept apart: the shares of a detector tell what raised its score; the distance to the moving mean tells
what moved.
The second names the true causes more often, because a residual smears over columns that go together.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.errors import DataError
from core.evaluation.scores import Floats, Places
from core.messages import N_

Shares = NDArray[np.float32] | Floats
WINDOW = 21  # rows


@dataclass(frozen=True)
class RootCause:
    """An event, rows `start` to before `stop`, and the columns that caused it; all counted from 0."""

    start: int
    stop: int
    columns: tuple[int, ...]


def moving_mean_residual(values: Shares, window: int = WINDOW) -> Floats:
    """Return how far every value lies from the mean of the `window` rows around it.

    The shape is (rows, columns), NaN where the value is missing. Centred, so it looks window // 2 rows ahead; at the
    ends, and around missing values, the mean of the rows there are.
    """
    known = np.isfinite(values)
    totals, counts = (_sums(each, window) for each in (np.where(known, values, 0.0), known.astype(np.float64)))
    return np.where(known, np.abs(values - totals / np.maximum(counts, 1.0)), np.nan)


def moving_mean_distance(values: Shares, window: int = WINDOW) -> Floats:
    """Return the residual of the moving mean in units of its root mean square in the column.

    So units of columns do not matter. Shape (rows, columns); 0 in a column that never moves, NaN where the value is
    missing.
    """
    residual = moving_mean_residual(values, window)
    known = np.isfinite(residual)
    usual = np.sqrt((np.where(known, residual, 0.0) ** 2).sum(axis=0) / np.maximum(known.sum(axis=0), 1))
    size = np.abs(np.where(known, values, 0.0)).max(axis=0, initial=0.0)
    moves = usual > 1e-9 * size
    return np.where(moves, residual / np.where(moves, usual, 1.0), np.where(known, 0.0, np.nan))


def ranked_causes(shares: Shares, start: int, stop: int) -> Places:
    """The columns by their mean share (rows, columns) in the rows `start` to before `stop`, the largest first.

    A missing share counts as nothing; equal ones keep their order. Raises DataError where there are no such rows.
    """
    if not 0 <= start < stop <= len(shares):
        raise DataError(
            N_("Rows {start} to {stop} are not among the {rows} rows there are."),
            start=start,
            stop=stop,
            rows=len(shares),
        )
    mean = np.nan_to_num(shares[start:stop]).mean(axis=0, dtype=np.float64)
    return np.argsort(-mean, kind="stable")


def hit_rate(ranking: Places, causes: Sequence[int], share: float = 1.0) -> float:
    """HitRate: which part of the `causes` is among the first ⌊share · number of causes⌋ columns of `ranking`.

    Su et al.: Robust anomaly detection for multivariate time series through stochastic recurrent neural network, KDD
    2019.
    """
    first = ranking[: int(share * len(causes))]
    return len(set(causes) & set(first.tolist())) / len(causes)


def chance_hit_rate(columns: int, causes: Sequence[int], share: float = 1.0) -> float:
    """What a random ranking of `columns` columns reaches on average."""
    return min(int(share * len(causes)), columns) / columns


def explanation_card(shares: Shares, events: Sequence[RootCause]) -> dict[str, float]:
    """Return mean hit rates of the ranking by `shares` (rows, columns) over events whose causes are known.

    Those of chance stand beside them. Keys hit_100, hit_150, chance_100, chance_150, events. NaN without an event.
    Raises DataError for events outside the rows.
    """
    rankings = [(ranked_causes(shares, event.start, event.stop), event.columns) for event in events]
    card: dict[str, float] = {}
    for share in (1.0, 1.5):
        percent = round(100 * share)
        card[f"hit_{percent}"] = _mean([hit_rate(ranking, causes, share) for ranking, causes in rankings])
        card[f"chance_{percent}"] = _mean([chance_hit_rate(shares.shape[1], causes, share) for _, causes in rankings])
    return card | {"events": float(len(events))}


def _sums(values: Floats, window: int) -> Floats:
    """Sums over the rows at most window // 2 away."""
    totals = np.concatenate([np.zeros((1, values.shape[1])), np.cumsum(values, axis=0, dtype=np.float64)])
    rows, half = np.arange(len(values)), window // 2
    return totals[np.minimum(rows + half + 1, len(values))] - totals[np.maximum(rows - half, 0)]


def _mean(values: list[float]) -> float:
    return float(np.mean(values)) if values else float("nan")
