"""Thresholds: functions from scores to one number, for every detector. Rows above it are anomalies."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from core.array_types import Floats
from core.errors import DataError, OptionError
from core.evaluation.detection_metrics import find_best_f1
from core.evaluation.generalised_pareto import fit_pareto_tail, predict_excess
from core.evaluation.validation import check_labels_and_scores, check_scores
from core.messages import N_, Message
from core.phrases import to_rare_percent

SHARE_NOTE = Message(N_("The threshold flags a fixed share of the rows. It has no target false-alarm rate."))
TAIL_QUANTILE = 0.98  # quantile of the scores above which their tail begins
MIN_PEAKS = 10  # scores in the tail that a fit needs


@dataclass(frozen=True)
class Threshold:
    """Score above which rows are anomalies, with its target false-alarm rate.

    method   "conformal", "pot" (peaks over threshold), "highest" (of the calibration) or "best_f1"
    promise  target false-alarm rate: largest share of normal rows above `value`, if they come from the distribution of
             the calibration; None for a threshold without target
    note     how the threshold was computed, for display
    """

    value: float
    method: str
    target_rate: float | None
    note: Message


def check_contamination(contamination: float) -> None:
    """Raise OptionError if the share is outside 0 to 0.5."""
    if not 0 < contamination <= 0.5:
        raise OptionError(
            N_("{name} = {value} is out of range. Accepted: {low} to {high}."),
            name="contamination",
            value=contamination,
            low=0,
            high=0.5,
        )


def fit_contamination_threshold(scores: NDArray[np.float64], contamination: float) -> float:
    """Return the score that the share `contamination` of `scores` exceeds.

    Raises OptionError for a share outside 0 to 0.5, DataError if all scores are equal.

    Example:
        >>> import numpy as np
        >>> fit_contamination_threshold(np.array([1.0, 2.0, 3.0, 4.0, 5.0]), contamination=0.2)
        4.2
    """
    check_contamination(contamination)
    if not len(scores) or scores.min() == scores.max():
        raise DataError(N_("All {count} rows have the same score. No row stands out."), count=len(scores))
    return float(np.quantile(scores, 1 - contamination))


def fit_alarm_threshold(calibration: ArrayLike, rate: float) -> Threshold:
    """Return the threshold that at most the share `rate` of normal rows exceeds, from their scores (rows,).

    The rank of a new score among n exchangeable scores is uniform. So the k-th largest, k = ⌊rate (n + 1)⌋, is exceeded
    with a probability of at most k / (n + 1) ≤ rate, for any distribution. Vovk, Gammerman, Shafer: Algorithmic
    Learning in a Random World, 2005. Rates below 1 / (n + 1) are beyond the calibration: there the tail is extrapolated
    (`predict_excess`), never below the highest score, and the rate is an estimate.
    Raises OptionError for a rate outside 0 to 1, DataError for invalid scores.

    Example:
        >>> threshold = fit_alarm_threshold(range(1, 100), rate=0.05)
        >>> threshold.value, threshold.method  # the fifth largest of 99 scores
        (95.0, 'conformal')
        >>> fit_alarm_threshold(range(1, 1001), rate=1e-4).method  # rarer than one in 1,001
        'pot'
    """
    scores = check_scores(calibration)
    check_share("rate", rate)
    if (rank := _compute_rank(rate, len(scores))) >= 1:
        return _build_conformal_threshold(scores, rate, rank)
    start, excesses = _select_peaks(scores, TAIL_QUANTILE)
    if len(excesses) < MIN_PEAKS:
        return _build_highest_threshold(scores, len(excesses))
    extrapolated = start + predict_excess(excesses, rate * len(scores) / len(excesses))
    note = Message(
        N_(
            "Extrapolated from the {peaks} highest of {count} normal scores. The target rate "
            "{chance} is below one row in {count}."
        ),
        {"peaks": len(excesses), "count": len(scores), "chance": to_rare_percent(rate)},
    )
    return Threshold(max(extrapolated, float(scores.max())), "pot", rate, note)


def fit_pot_threshold(calibration: ArrayLike, risk: float, level: float = TAIL_QUANTILE) -> Threshold:
    """Return the threshold that the share `risk` of normal rows exceeds, from the tail of their scores (rows,).

    Peaks over threshold: a generalised Pareto distribution is fitted to the scores above the quantile `level` by
    maximum likelihood. Siffer, Fouque, Termier, Largouët: Anomaly detection in streams with extreme value theory, KDD
    2017. With fewer than 10 peaks the threshold is the highest score. A risk that is not in the tail gets the score
    of its rank. `note` says which case applies.
    Raises OptionError for shares outside 0 to 1, DataError for invalid scores.

    Example:
        >>> import numpy as np
        >>> scores = np.random.default_rng(0).exponential(size=1000)
        >>> threshold = fit_pot_threshold(scores, risk=1e-4)
        >>> round(threshold.value, 2), round(float(scores.max()), 2)
        (11.25, 8.15)
    """
    scores = check_scores(calibration)
    check_share("risk", risk)
    check_share("level", level)
    start, excesses = _select_peaks(scores, level)
    if (rank := _compute_rank(risk, len(scores))) > len(excesses):
        return _build_conformal_threshold(scores, risk, rank)
    if len(excesses) < MIN_PEAKS:
        return _build_highest_threshold(scores, len(excesses))
    tail = fit_pareto_tail(excesses, start, len(scores))
    note = Message(
        N_("Extrapolated from the {peaks} highest of {count} scores (generalised Pareto distribution, shape {shape})."),
        {"peaks": tail.peaks, "count": len(scores), "shape": round(tail.shape, 2)},
    )
    return Threshold(max(tail.compute_quantile(risk), start), "pot", risk, note)


def find_best_f1_threshold(scores: ArrayLike, labels: ArrayLike) -> Threshold:
    """Return the threshold with the best F1 of rows: an oracle, because it uses the labels.

    Raises DataError if no label marks an anomaly.

    Example:
        >>> find_best_f1_threshold(scores=[1, 2, 3, 8, 9], labels=[0, 0, 0, 1, 1]).value
        3.0
    """
    flags, values = check_labels_and_scores(labels, scores)
    if not flags.any():
        raise DataError(
            N_("None of the {rows} labels marks an anomaly. A best threshold cannot be computed."), rows=len(flags)
        )
    f1, value = find_best_f1(flags, values)
    note = Message(
        N_(
            "Chosen with the labels. {f1} is the best F1 of all thresholds on these rows. "
            "Other rows can have a lower F1."
        ),
        {"f1": round(f1, 3)},
    )
    return Threshold(value, "best_f1", None, note)


def compute_p_values(calibration: ArrayLike, scores: ArrayLike) -> Floats:
    """Return for every score the share of normal scores at least as high, itself included: (rows,), never 0.

    For exchangeable scores P(p ≤ a) is at most a. p is at or below `rate` exactly where the score exceeds the conformal
    threshold of that rate.

    Example:
        >>> compute_p_values(calibration=[1, 2, 3, 4], scores=[0, 2.5, 9]).tolist()
        [1.0, 0.6, 0.2]
    """
    sorted_scores, values = np.sort(check_scores(calibration)), check_scores(scores)
    count_above = len(sorted_scores) - np.searchsorted(sorted_scores, values, side="left")
    return (1 + count_above) / (len(sorted_scores) + 1)


def _select_peaks(scores: Floats, level: float) -> tuple[float, Floats]:
    """Return the start of the tail, and the excesses of the scores above it."""
    start = float(np.quantile(scores, level))
    return start, scores[scores > start] - start


def _compute_rank(rate: float, count: int) -> int:
    """Return ⌊rate (count + 1)⌋; the tolerance avoids losing a rank to binary rounding."""
    return int(np.floor(rate * (count + 1) + 1e-9))


def _build_conformal_threshold(scores: Floats, rate: float, rank: int) -> Threshold:
    """Return the threshold at the `rank`-th largest score."""
    position = min(rank, len(scores))
    value = float(np.partition(scores, len(scores) - position)[len(scores) - position])
    note = Message(
        N_(
            "Score of rank {rank} among {count} normal scores. A normal row exceeds it with a "
            "probability of at most {chance}."
        ),
        {"rank": position, "count": len(scores), "chance": to_rare_percent(rate)},
    )
    return Threshold(value, "conformal", rate, note)


def _build_highest_threshold(scores: Floats, peaks: int) -> Threshold:
    """Return the threshold at the highest score, for tails with too few peaks."""
    chance = 1 / (len(scores) + 1)
    note = Message(
        N_(
            "Highest of {count} normal scores. Only {peaks} lie in the tail; extrapolation "
            "needs at least {accepted}. A target false-alarm rate below {chance} is not "
            "possible."
        ),
        {"count": len(scores), "peaks": peaks, "accepted": MIN_PEAKS, "chance": to_rare_percent(chance)},
    )
    return Threshold(float(scores.max()), "highest", chance, note)


def check_share(name: str, value: float) -> None:
    """Raise OptionError unless 0 < `value` < 1."""
    if not 0 < value < 1:
        raise OptionError(
            N_("{name} = {value} is out of range. Accepted: {low} to {high}."), name=name, value=value, low=0, high=1
        )
