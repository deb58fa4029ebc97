"""Alarm rates: alarms per period as a share of rows, and the measured rate with its confidence interval."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from core.errors import OptionError
from core.evaluation.scores import finite_scores, labelled_scores
from core.messages import N_

PERIODS = {"hour": 3600.0, "day": 86_400.0, "week": 604_800.0, "month": 2_629_800.0, "year": 31_557_600.0}
GAP = 5  # rows without alarm between two alarms of one burst, at most
SURE = 1.96  # standard errors of a 95 % interval


@dataclass(frozen=True)
class MeasuredRate:
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

    def breaks(self, promise: float) -> bool:
        """Tell whether the rate is significantly above `promise`, the target false-alarm rate.

        If so, the scores of normal rows have changed since calibration.
        """
        return self.low > promise


def alarm_rate(count: float, per: str, step_seconds: float, entities: int = 1) -> float:
    """Return `count` alarms per period `per` as a share of rows that come every `step_seconds`.

    `per` is "hour", "day", "week", "month" or "year". All `entities` together share the count. Raises OptionError for
    another period, and for at least as many alarms as rows.

    Example:
        >>> alarm_rate(1, "day", step_seconds=900)  # one of 96 rows
        0.010416666666666666
    """
    if per not in PERIODS:
        raise OptionError(
            N_("{name} = {value} is none of {accepted}."), name="per", value=per, accepted=", ".join(PERIODS)
        )
    rows = PERIODS[per] / step_seconds * entities if step_seconds > 0 else 0.0
    if not 0 < count < rows:
        raise OptionError(
            N_("{name} = {value} is outside {low} to {high}."), name="count", value=count, low=0, high=rows
        )
    return count / rows


def alarms_per(rate: float, per: str, step_seconds: float, entities: int = 1) -> float:
    """Return the number of alarms per period for the share `rate` of rows: the reverse of `alarm_rate`.

    Example:
        >>> round(alarms_per(0.001, "day", step_seconds=60), 2)  # 1,440 rows
        1.44
    """
    return rate * PERIODS[per] / step_seconds * entities


def measured_rate(scores: ArrayLike, threshold: float, labels: ArrayLike | None = None) -> MeasuredRate:
    """Return the share of rows above `threshold`; with `labels`, of the rows that they do not mark.

    Scores and labels have the shape (rows,), in the order of time. Alarms come in bursts, so the rows are not
    independent. The interval is Wilson's with the number of rows divided by Σ size² / Σ size of the bursts, which
    follows from the variance of a compound Poisson process.

    Example:
        >>> rate = measured_rate([0, 0, 5, 6, 0, 0, 0, 0, 0, 0, 0, 0, 9, 0], threshold=4)
        >>> rate.alarms, rate.bursts, round(rate.rate, 2), round(rate.low, 2), round(rate.high, 2)
        (3, 2, 0.21, 0.06, 0.55)
    """
    values = finite_scores(scores)
    if labels is not None:
        flags, values = labelled_scores(labels, scores)
        values = values[~flags]
    raised = np.flatnonzero(values > threshold)
    alarms, rows = len(raised), len(values)
    sizes = np.diff(np.flatnonzero(np.diff(raised, prepend=-np.inf, append=np.inf) > GAP + 1))
    repeated = float((sizes**2).sum() / alarms) if alarms else 1.0
    low, high = wilson(alarms / repeated, rows / repeated)
    return MeasuredRate(alarms / rows if rows else float("nan"), low, high, alarms, len(sizes), rows)


def wilson(successes: float, trials: float) -> tuple[float, float]:
    """Return Wilson's 95 % confidence interval of a share of successes in independent trials; 0 to 1 without a trial.

    Wilson: Probable inference, the law of succession, and statistical inference, 1927.

    Example:
        >>> [round(end, 3) for end in wilson(5, 100)]
        [0.022, 0.112]
    """
    if not trials:
        return 0.0, 1.0
    share, spread = successes / trials, SURE**2 / trials
    middle = (share + spread / 2) / (1 + spread)
    half = np.sqrt(share * (1 - share) * spread + spread**2 / 4) / (1 + spread)
    return max(float(middle - half), 0.0), min(float(middle + half), 1.0)
