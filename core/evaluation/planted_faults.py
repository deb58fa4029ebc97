"""Recall of planted faults: the share of injected events that a fitted detector finds with its threshold."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.array_types import Floats
from core.errors import DataError
from core.evaluation.injection import MIN_ROWS, InjectedEvent, inject

MAX_SERIES = 4
MAX_SERIES_ROWS = 1000
FAULTY_SHARE = 0.3  # of the rows; the detector is already fitted, so many faults do not change what is usual
MIN_TRIAL_ROWS = 10_000  # rows of all trials together, in which about a hundred faults have room
MAX_TRIALS = 10
MIN_EVENTS = 20  # with fewer planted events the share says little

Score = Callable[[list[Floats]], Sequence[NDArray[np.floating[Any]]]]


def select_planted_rows(lengths: Sequence[int]) -> list[tuple[int, slice]]:
    """Return the numbers of at most four series, evenly chosen, and the last 1,000 rows of each.

    Series of fewer than 100 rows are left out.

    Example:
        >>> select_planted_rows([5000, 20, 300])
        [(0, slice(4000, 5000, None)), (2, slice(0, 300, None))]
    """
    long_enough = np.flatnonzero(np.asarray(lengths) >= MIN_ROWS)
    if not len(long_enough):
        return []
    chosen = long_enough[np.unique(np.linspace(0, len(long_enough) - 1, MAX_SERIES).round().astype(int))]
    return [(int(number), slice(max(lengths[number] - MAX_SERIES_ROWS, 0), lengths[number])) for number in chosen]


def measure_planted_recall(series: Sequence[Floats], score: Score, threshold: float) -> dict[str, float]:
    """Return the share of planted events with a row above `threshold`, as `planted_recall`.

    series  arrays (rows, columns) of at least 100 rows each
    score   returns the scores (rows,) of every array; called for the arrays as they are, and for up to ten copies with
            planted faults

    A row that is above the threshold without the faults too does not count, so that a threshold that flags every row
    finds nothing. The seed is fixed: equal series get equal faults. Empty for fewer than 20 events.

    Example:
        >>> normal = np.random.default_rng(0).normal(size=(1000, 2))
        >>> def score_distance(arrays): return [np.abs(array).max(axis=1) for array in arrays]
        >>> recall = measure_planted_recall([normal], score_distance, threshold=4.0)["planted_recall"]
        >>> 0.1 < recall < 0.9, measure_planted_recall([normal], score_distance, threshold=-1.0)
        (True, {'planted_recall': 0.0})
    """
    originals = [np.asarray(values, dtype=np.float64) for values in series]
    rows = sum(map(len, originals))
    before = score(originals) if rows else []
    is_found: list[bool] = []
    for trial in range(min(-(-MIN_TRIAL_ROWS // rows), MAX_TRIALS) if rows else 0):
        changed, events = [], []
        for number, values in enumerate(originals):
            copy, planted = _plant_faults(values, seed=trial * MAX_SERIES + number)
            changed.append(copy)
            events.append(planted)
        for scores_before, scores, planted in zip(before, score(changed), events, strict=True):
            is_raised = (np.asarray(scores) > threshold) & ~(np.asarray(scores_before) > threshold)
            is_found += [bool(is_raised[event.start : event.stop].any()) for event in planted]
    return {"planted_recall": float(np.mean(is_found))} if len(is_found) >= MIN_EVENTS else {}


def _plant_faults(values: Floats, seed: int) -> tuple[Floats, list[InjectedEvent]]:
    """Return a copy with faults, and the faults; none where all columns are constant."""
    try:
        copy, _, events = inject(values, seed=seed, share=FAULTY_SHARE)
    except DataError:
        return values, []
    return copy.astype(np.float64), events
