"""Rows that stand out: a threshold for scores that may flag nothing, with a promise about false alarms."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from core.array_types import Floats
from core.evaluation.generalised_pareto import predict_exceedance
from core.evaluation.promises import fit_promise
from core.evaluation.thresholds import MIN_PEAKS, Threshold
from core.evaluation.validation import check_scores
from core.messages import N_, Message
from core.phrases import to_rare_percent

FALSE_SHARE = 0.05  # expected share of normal rows among those that stand out, by scores and by deviations
TAIL_LEVELS = ((0.8, 0.97), (0.5, 0.9))  # quantiles between which the tail of normal values is fitted; few rows last
CHUNK_VALUES = 200  # values whose tail probability is computed at once


def fit_stand_out_threshold(
    scores: ArrayLike, calibration: ArrayLike, deviations: ArrayLike, rate: float, parts: NDArray[np.intp] | None = None
) -> Threshold:
    """Return the threshold above which only rows lie that stand out; none if no row does.

    scores       (rows,), of the rows that the detector was fitted on
    calibration  (calibration rows,), scores of the same kind, each from a fit that left the row out
    deviations   (rows,) or (rows, kinds), the largest deviation of each row from what is usual, without an upper end;
                 some detectors have bounded scores, whose tail does not show how far a row is out
    rate         share of future normal rows above the threshold, at most
    parts        see `fit_promise`

    The number of rows that stand out is found from the scores, and from the kinds of deviations together
    (`count_outliers`); the larger number counts. As many rows with the highest scores are candidates. The threshold is
    the lowest that only candidates exceed and that keeps the promise `rate` for the calibration without as many of its
    highest scores.
    Raises OptionError for a rate outside 0 to 1, DataError for invalid scores.

    Example:
        >>> import numpy as np
        >>> normal = np.abs(np.random.default_rng(0).normal(size=1000))
        >>> threshold = fit_stand_out_threshold(normal, normal, normal, rate=0.01)
        >>> int((normal > threshold.value).sum()), str(threshold.note)[:20]
        (0, 'No row stands out. T')
        >>> unusual = np.append(normal, [15.0, 20.0])
        >>> int((unusual > fit_stand_out_threshold(unusual, unusual, unusual, rate=0.01).value).sum())
        2
    """
    values, held_out = check_scores(scores), check_scores(calibration)
    kinds = np.asarray(deviations, dtype=np.float64).reshape(len(values), -1).T
    is_outlier = np.zeros(len(values), dtype=bool)
    for kind in kinds:
        is_outlier[np.argsort(-kind, kind="stable")[: count_outliers(kind)]] = True
    count = max(count_outliers(values), int(is_outlier.sum()))
    order = np.sort(np.argsort(held_out, kind="stable")[: max(len(held_out) - count, 1)])
    promise = fit_promise(held_out[order], rate, None if parts is None else parts[order])
    ranked = np.sort(values)[::-1]
    cut = float(ranked[min(count, len(ranked) - 1)])  # `count` rows lie above, or fewer where scores are equal
    flagged = int((values > max(cut, promise.value)).sum())
    facts = {
        "count": flagged,
        "rows": len(values),
        "chance": to_rare_percent(promise.target_rate or rate),
        "asked": to_rare_percent(rate),
        "asked_rate": rate,
    }
    if not flagged:
        note = Message(
            N_(
                "No row stands out. The highest of {rows} scores is the threshold. At most {chance} of normal "
                "rows lie above it."
            ),
            facts,
        )
        return Threshold(max(float(ranked[0]), promise.value), "stand_out", promise.target_rate, note)
    note = Message(
        N_(
            "{count} of {rows} rows stands out from the tail of the others. At most {chance} of normal rows "
            "lie above the threshold (requested: {asked}).",
            "{count} of {rows} rows stand out from the tail of the others. At most {chance} of normal rows "
            "lie above the threshold (requested: {asked}).",
        ),
        facts,
    )
    return Threshold(max(cut, promise.value), "stand_out", promise.target_rate, note)


def count_outliers(values: ArrayLike) -> int:
    """Return how many of the highest values do not belong to the tail of the others; 0 for fewer than 25 values.

    The p-values come from a generalised Pareto distribution of the values between two quantiles. Those above count
    without their size, so that outliers do not mask themselves. At most one in twenty of the outliers is expected to be
    normal. Benjamini, Hochberg: Controlling the false discovery rate, 1995.
    Raises DataError for invalid values.

    Example:
        >>> import numpy as np
        >>> noise = np.abs(np.random.default_rng(0).normal(size=2000))
        >>> count_outliers(noise), count_outliers(np.append(noise, np.linspace(6, 60, 40))), count_outliers(np.ones(99))
        (0, 39, 0)
    """
    ranked = np.sort(check_scores(values))[::-1]
    for start, end in TAIL_LEVELS:
        level, limit = np.quantile(ranked, [start, end])
        excesses = ranked[(ranked > level) & (ranked <= limit)] - level
        if len(excesses) < MIN_PEAKS or limit <= level:
            continue
        top = ranked[ranked > limit] - level
        accepted = FALSE_SHARE * np.arange(1, len(top) + 1) / len(ranked)
        count = 0
        for first in range(0, len(top), CHUNK_VALUES):
            part = slice(first, first + CHUNK_VALUES)
            exceedance = predict_exceedance(excesses, len(top), float(limit - level), top[part])
            p_values = (ranked > level).mean() * exceedance
            rejected = np.flatnonzero(p_values <= accepted[part])
            count = first + int(rejected[-1]) + 1 if len(rejected) else count
            if p_values[-1] > accepted[-1]:
                break  # p-values grow with the rank, so that no later one is accepted
        return count
    return 0


def measure_largest_deviations(features: Floats) -> Floats:
    """Return the largest absolute deviation of each row from the medians of the columns, in robust spreads, (rows,).

    The spread of a column is the median absolute deviation, or the mean one where it is 0. A constant column counts 0.

    Example:
        >>> measure_largest_deviations(np.array([[1.0, 5.0], [2.0, 5.0], [3.0, 5.0], [9.0, 5.0]])).tolist()
        [1.5, 0.5, 0.5, 6.5]
    """
    distances = np.abs(features - np.median(features, axis=0))
    spread = np.median(distances, axis=0)
    spread = np.where(spread > 0, spread, distances.mean(axis=0))
    return np.asarray((distances / np.where(spread > 0, spread, 1.0)).max(axis=1))
