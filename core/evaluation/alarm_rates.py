"""Alarms a week as a share of rows, and the share of alarms that really came, with how sure it is."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from core.errors import OptionError
from core.evaluation.scores import finite_scores, labelled_scores
from core.messages import N_

PERIODS = {"hour": 3600.0, "day": 86_400.0, "week": 604_800.0, "month": 2_629_800.0, "year": 31_557_600.0}
GAP = 5  # normal rows between alarms that still belong together
SURE = 1.96  # standard errors: 19 times in 20


@dataclass(frozen=True)
class MeasuredRate:
    """The share of rows that are alarms, between `low` and `high` 19 times in 20.

    alarms  rows above the threshold
    bursts  runs of alarms, at most 5 rows apart
    rows    rows judged
    """

    rate: float
    low: float
    high: float
    alarms: int
    bursts: int
    rows: int

    def breaks(self, promise: float) -> bool:
        """Whether alarms are more common than promised, beyond what chance explains: what was normal has changed."""
        return self.low > promise


def alarm_rate(count: float, per: str, step_seconds: float, entities: int = 1) -> float:
    """`count` alarms per "hour", "day", "week", "month" or "year" as a share of rows that come every `step_seconds`.

    `entities` that are watched together share the count. Raises OptionError for anything else, and where there are
    fewer rows than alarms.
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
    """The reverse of `alarm_rate`: how many alarms a period brings where the share `rate` of rows is one."""
    return rate * PERIODS[per] / step_seconds * entities


def measured_rate(scores: ArrayLike, threshold: float, labels: ArrayLike | None = None) -> MeasuredRate:
    """Measure the share of rows above `threshold`, of those that `labels` do not mark where given.

    Both have the shape (rows,), in the order of time. Alarms come in bursts, so rows say less than their number: the
    band is Wilson's for as many trials as there are rows, divided by Σ size² / Σ size of the bursts, as the variance
    of a compound Poisson process has it.
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
    """Between which chances a share of successes in independent trials speaks, 19 times in 20; 0 to 1 without a trial.

    Wilson: Probable inference, the law of succession, and statistical inference, 1927.
    """
    if not trials:
        return 0.0, 1.0
    share, spread = successes / trials, SURE**2 / trials
    middle = (share + spread / 2) / (1 + spread)
    half = np.sqrt(share * (1 - share) * spread + spread**2 / 4) / (1 + spread)
    return max(float(middle - half), 0.0), min(float(middle + half), 1.0)
