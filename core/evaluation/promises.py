"""Promises about false alarms: a threshold whose alarm rate holds for future rows, and a test that it still does.

Scores of a series are dependent, because windows overlap and the level wanders. So alarms come in bursts, and some
parts of the time have more of them than others. Both are measured on scores of rows that the detector was not fitted
on.
"""

from bisect import bisect_left, bisect_right, insort
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from core.array_types import Floats
from core.evaluation.alarm_rates import measure_burst_sizes
from core.evaluation.thresholds import MIN_PEAKS, Threshold, check_share
from core.evaluation.validation import check_scores
from core.messages import N_, Message
from core.phrases import to_rare_percent

CONFIDENCE = 0.9  # of the bound of the alarm rate in a future part of the time
TAIL_SHARES = np.geomspace(0.1, 0.001, 9)  # shares of the scores above which the size of bursts is measured
DRIFT_ODDS = 100.0  # capital at which a drift is announced: without drift it is reached once in 100 series, at most
JUMP_RATE = 0.01  # share of the capital that changes its bet at every score
MAX_DRIFT_SCORES = 2000  # scores that the test for drift looks at
MAX_CORRELATION = 0.1  # correlation of two scores that the test treats as independent
MAX_LAG_SHARE = 0.02  # of the scores: largest distance of two scores for the test
ADAPTATION_RATE = 0.1  # growth of the logarithm of an adaptive threshold's distance, per alarm


@dataclass(frozen=True)
class AlarmBound:
    """Upper bound of the share of future normal rows above a threshold, with a confidence of 90 %."""

    scores: Floats
    parts: NDArray[np.intp]
    burst_rows: float

    def compute_rate(self, threshold: float) -> float:
        """Return the bound for rows above `threshold`: the larger one of two.

        The first counts bursts, which are independent: the upper limit of a Poisson mean, exact for any distribution
        of the scores. Garwood: Fiducial limits for the Poisson distribution, Biometrika 28, 1936. The second is the
        upper prediction limit of the rate in one more part of the time (Student's t), from the variance between the
        parts beyond that of a Poisson distribution.
        """
        from scipy.stats import gamma, t  # type: ignore[import-untyped]

        is_alarm = self.scores > threshold
        alarms, sizes = int(is_alarm.sum()), measure_burst_sizes(is_alarm)
        own_rows = float((sizes**2).sum() / alarms) if alarms else 1.0
        burst_rows = own_rows if len(sizes) >= MIN_PEAKS else max(own_rows, self.burst_rows)
        bound = float(gamma.ppf(CONFIDENCE, alarms / burst_rows + 1)) * burst_rows / len(self.scores)
        counts = np.bincount(self.parts)
        rates = np.bincount(self.parts, is_alarm)[counts > 0] / counts[counts > 0]
        if len(rates) < 3:
            return bound
        chance_variance = rates.mean() * burst_rows * (1 / counts[counts > 0]).mean()
        variance = max(float(rates.var(ddof=1) - chance_variance), 0.0) * (1 + 1 / len(rates))
        return max(bound, float(rates.mean() + t.ppf(CONFIDENCE, len(rates) - 1) * np.sqrt(variance)))


def fit_promise(calibration: ArrayLike, rate: float, parts: ArrayLike | None = None) -> Threshold:
    """Return the lowest threshold above which at most the share `rate` of future normal rows lies, 9 times in 10.

    calibration  scores of rows that the detector was not fitted on, (rows,), each series in the order of time
    parts        number of the part of the time of each row, (rows,); None for ten parts of equal length

    The bound is that of `AlarmBound`. If too few independent scores support `rate`, the threshold is the highest score,
    and its `target_rate` is the smallest rate that can be promised. Nothing is extrapolated.
    Raises OptionError for a rate outside 0 to 1, DataError for invalid scores.

    Example:
        >>> import numpy as np
        >>> scores = np.random.default_rng(0).exponential(size=3000)
        >>> threshold = fit_promise(scores, rate=0.01)
        >>> round(threshold.value, 2), round(float((scores > threshold.value).mean()), 4)  # below one in 100
        (5.08, 0.007)
        >>> weaker = fit_promise(scores, rate=1e-5)
        >>> weaker.method, round(weaker.target_rate, 4)  # no more can be promised from 3,000 scores
        ('highest', 0.0009)
    """
    scores = check_scores(calibration)
    check_share("rate", rate)
    numbers = number_parts(len(scores)) if parts is None else np.asarray(parts, dtype=np.intp)
    bound = AlarmBound(scores, numbers, measure_typical_burst(scores))
    ranked = np.unique(scores)[::-1]
    low, high = -1, min(int(rate * len(scores)) + 1, len(ranked) - 1)  # ranks that keep the promise, and that may not
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if bound.compute_rate(float(ranked[middle])) <= rate else (low, middle - 1)
    if low >= 0:
        return Threshold(float(ranked[low]), "bound", rate, _describe_bound(bound, float(ranked[low]), rate))
    smallest = min(bound.compute_rate(float(ranked[0])), 1.0)
    note = Message(
        N_(
            "The threshold is the highest of {count} normal scores, which come in bursts of {size} rows. The share of "
            "normal rows above it is at most {chance}. The requested share {asked} needs more training rows."
        ),
        {
            "count": len(scores),
            "size": round(bound.burst_rows, 1),
            "chance": to_rare_percent(smallest),
            "asked": to_rare_percent(rate),
            "asked_rate": rate,
        },
    )
    return Threshold(float(ranked[0]), "highest", smallest, note)


def _describe_bound(bound: AlarmBound, threshold: float, rate: float) -> Message:
    return Message(
        N_(
            "{share} of {count} normal scores lie above the threshold. In a future part of the time, at most {chance} "
            "of normal rows lie above it, with a confidence of 90 %."
        ),
        {"share": int((bound.scores > threshold).sum()), "count": len(bound.scores), "chance": to_rare_percent(rate)},
    )


def number_parts(rows: int, count: int = 10) -> NDArray[np.intp]:
    """Return the part of the time, 0 to `count` − 1, of every row of a series, (rows,).

    Example:
        >>> number_parts(7, count=3).tolist()
        [0, 0, 0, 1, 1, 2, 2]
    """
    return np.arange(rows) * count // max(rows, 1)


def measure_typical_burst(scores: Floats) -> float:
    """Return the size in rows of the bursts of high scores: 1 for independent scores, more for windows.

    It is measured at the highest level with ten bursts, because bursts shrink with the level. It is the inverse of the
    extremal index. Leadbetter: Extremes and local dependence in stationary sequences, 1983.

    Example:
        >>> import numpy as np
        >>> noise = np.random.default_rng(0).normal(size=5019)
        >>> sums = np.convolve(noise, np.ones(20), "valid")
        >>> round(measure_typical_burst(noise), 1), round(measure_typical_burst(sums), 1)
        (1.0, 11.2)
    """
    size = 1.0
    for share in TAIL_SHARES:
        is_high = scores > np.quantile(scores, 1 - share)
        sizes = measure_burst_sizes(is_high)
        if len(sizes) and (len(sizes) >= MIN_PEAKS or share == TAIL_SHARES[0]):
            size = float((sizes**2).sum() / is_high.sum())
    return max(size, 1.0)


# ---- drift ----------------------------------------------------------------------------------------------------------


def detect_drift(calibration: ArrayLike, scores: ArrayLike) -> bool:
    """Tell whether `scores` are higher than those of `calibration`, so that a promise made there does not hold.

    A conformal test martingale, the Simple Jumper, bets that the ranks of new scores are high; only scores far enough
    apart to be nearly independent count. Without drift its capital grows a hundredfold with a probability of at most
    1 %. Vovk, Petej, Nouretdinov, Ahlberg, Carlsson, Gammerman: Retrain or not retrain: conformal test martingales for
    change-point detection, COPA 2021.
    Raises DataError for invalid scores.

    Example:
        >>> import numpy as np
        >>> noise = np.random.default_rng(0).normal(size=4000)
        >>> detect_drift(noise[:2000], noise[2000:]), detect_drift(noise[:2000], noise[2000:] + 0.5)
        (False, True)
    """
    normal, values = check_scores(calibration), check_scores(scores)
    step = max(_measure_memory(normal), -(-len(values) // MAX_DRIFT_SCORES))
    known = sorted(normal[::step].tolist())
    stakes = np.array([0.5, 0.5])  # capital on "no change" and on "higher"
    peak = 0.0
    for value in values[::step].tolist():
        higher, equal = len(known) - bisect_right(known, value), bisect_right(known, value) - bisect_left(known, value)
        p_value = (higher + (equal + 1) / 2) / (len(known) + 1)
        stakes = (1 - JUMP_RATE) * stakes + JUMP_RATE * stakes.mean()
        stakes = stakes * np.array([1.0, 1.0 + 2 * (0.5 - p_value)])
        peak = max(peak, float(stakes.sum()))
        if peak >= DRIFT_ODDS:
            return True
        insort(known, value)
    return False


def _measure_memory(scores: Floats) -> int:
    """Return the distance in rows from which two scores are hardly correlated, at least 1."""
    centred = np.argsort(np.argsort(scores, kind="stable"), kind="stable") - (len(scores) - 1) / 2
    power = np.fft.rfft(centred, 2 * len(centred))
    correlation = np.fft.irfft(power * power.conj())[: len(centred)]
    limit = max(int(len(scores) * MAX_LAG_SHARE), 1)
    is_low = correlation[1 : limit + 1] < MAX_CORRELATION * max(float(correlation[0]), 1e-12)
    return int(np.argmax(is_low)) + 1 if is_low.any() else limit


# ---- adaptation -----------------------------------------------------------------------------------------------------


def adapt_threshold(scores: ArrayLike, usual: float, threshold: float, rate: float) -> Floats:
    """Return a threshold for each score (rows,) that follows drifting scores, so that about the share `rate` is higher.

    The distance from the `usual` score to the threshold grows by a tenth after every alarm, and shrinks by `rate`
    tenths at every row. A threshold uses earlier scores only. Over a long time the share of alarms tends to `rate`,
    whatever the scores do; a long event raises the threshold for later ones. Gibbs, Candès: Adaptive conformal
    inference under distribution shift, NeurIPS 2021.

    Example:
        >>> import numpy as np
        >>> scores = np.random.default_rng(0).exponential(size=20_000) * np.linspace(1, 5, 20_000)
        >>> limits = adapt_threshold(scores, usual=0.7, threshold=6.2, rate=0.002)
        >>> round(float((scores > 6.2).mean()), 3), round(float((scores > limits).mean()), 3)
        (0.129, 0.003)
    """
    values = check_scores(scores)
    distance = max(threshold - usual, 1e-12)
    ratios = np.log(np.maximum((values - usual) / distance, 1e-300)).tolist()
    limits, limit = np.empty(len(values)), 0.0
    for row, ratio in enumerate(ratios):
        limits[row] = limit
        limit += ADAPTATION_RATE * ((ratio > limit) - rate)
    return usual + distance * np.exp(limits)
