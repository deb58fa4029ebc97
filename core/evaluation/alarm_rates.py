"""Alarm rates: alarms per period as a share of rows, and the measured rate with its confidence interval."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from core.errors import OptionError
from core.evaluation.validation import check_labels_and_scores, check_scores
from core.messages import N_

PERIOD_LENGTHS_S = {"hour": 3600.0, "day": 86_400.0, "week": 604_800.0, "month": 2_629_800.0, "year": 31_557_600.0}
MAX_BURST_GAP_ROWS = 5  # rows without alarm between two alarms of one burst, at most
Z_95 = 1.96  # standard errors of a 95 % interval


@dataclass(frozen=True)
class AlarmRateEstimate:
    """Share of rows that are alarms, with its 95 % confidence interval `low` to `high`.

    alarms  rows above the threshold
    bursts  runs of alarms, at most 5 rows apart
    rows    evaluated rows
    """

    rate: float
    low: float
    high: float
    alarms: int
    bursts: int
    rows: int

    def exceeds(self, target_rate: float) -> bool:
        """Tell whether the rate is significantly above `target_rate`, the target false-alarm rate.

        If so, the scores of normal rows have changed since calibration.
        """
        return self.low > target_rate


def convert_alarms_to_rate(count: float, period: str, step_seconds: float, entities: int = 1) -> float:
    """Return `count` alarms per period `period` as a share of rows that come every `step_seconds`.

    `period` is "hour", "day", "week", "month" or "year". All `entities` together share the count. Raises OptionError
    for another period, and for at least as many alarms as rows.

    Example:
        >>> convert_alarms_to_rate(1, "day", step_seconds=900)  # one of 96 rows
        0.010416666666666666
    """
    if period not in PERIOD_LENGTHS_S:
        raise OptionError(
            N_("{name} = {value} is not accepted. Accepted values: {accepted}."),
            name="per",
            value=period,
            accepted=", ".join(PERIOD_LENGTHS_S),
        )
    rows = PERIOD_LENGTHS_S[period] / step_seconds * entities if step_seconds > 0 else 0.0
    if not 0 < count < rows:
        raise OptionError(
            N_("{name} = {value} is out of range. Accepted: {low} to {high}."),
            name="count",
            value=count,
            low=0,
            high=rows,
        )
    return count / rows


def convert_rate_to_alarms(rate: float, period: str, step_seconds: float, entities: int = 1) -> float:
    """Return the number of alarms per period for the share `rate` of rows: the reverse of `convert_alarms_to_rate`.

    Example:
        >>> round(convert_rate_to_alarms(0.001, "day", step_seconds=60), 2)  # 1,440 rows
        1.44
    """
    return rate * PERIOD_LENGTHS_S[period] / step_seconds * entities


def measure_alarm_rate(scores: ArrayLike, threshold: float, labels: ArrayLike | None = None) -> AlarmRateEstimate:
    """Return the share of rows above `threshold`; with `labels`, of the rows that they do not mark.

    Scores and labels have the shape (rows,), in the order of time. Alarms come in bursts, so the rows are not
    independent. The interval is Wilson's with the number of rows divided by Σ size² / Σ size of the bursts, which
    follows from the variance of a compound Poisson process.

    Example:
        >>> rate = measure_alarm_rate([0, 0, 5, 6, 0, 0, 0, 0, 0, 0, 0, 0, 9, 0], threshold=4)
        >>> rate.alarms, rate.bursts, round(rate.rate, 2), round(rate.low, 2), round(rate.high, 2)
        (3, 2, 0.21, 0.06, 0.55)
    """
    values = check_scores(scores)
    if labels is not None:
        flags, values = check_labels_and_scores(labels, scores)
        values = values[~flags]
    sizes = measure_burst_sizes(values > threshold)
    alarms, rows = int(sizes.sum()), len(values)
    mean_burst_size = float((sizes**2).sum() / alarms) if alarms else 1.0
    low, high = compute_wilson_interval(alarms / mean_burst_size, rows / mean_burst_size)
    return AlarmRateEstimate(alarms / rows if rows else float("nan"), low, high, alarms, len(sizes), rows)


def measure_burst_sizes(is_alarm: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Return the number of alarms in every burst, (bursts,); alarms at most 5 rows apart are one burst.

    Example:
        >>> measure_burst_sizes(np.array([False, True, True, False, False, False, False, False, False, True])).tolist()
        [2, 1]
    """
    rows = np.flatnonzero(is_alarm)
    return np.diff(np.flatnonzero(np.diff(rows, prepend=-np.inf, append=np.inf) > MAX_BURST_GAP_ROWS + 1))


def compute_wilson_interval(successes: float, trials: float) -> tuple[float, float]:
    """Return Wilson's 95 % confidence interval of a share of successes in independent trials; 0 to 1 without a trial.

    Wilson: Probable inference, the law of succession, and statistical inference, 1927.

    Example:
        >>> [round(end, 3) for end in compute_wilson_interval(5, 100)]
        [0.022, 0.112]
    """
    if not trials:
        return 0.0, 1.0
    share, spread = successes / trials, Z_95**2 / trials
    center = (share + spread / 2) / (1 + spread)
    half = np.sqrt(share * (1 - share) * spread + spread**2 / 4) / (1 + spread)
    return max(float(center - half), 0.0), min(float(center + half), 1.0)
