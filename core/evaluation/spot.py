"""Thresholds that are refitted as scores come in: SPOT for stationary streams, DSPOT for streams with drift.

Siffer, Fouque, Termier, Largouët: Anomaly detection in streams with extreme value theory, KDD 2017.
"""

from collections import deque
from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from core.array_types import Floats
from core.errors import DataError, OptionError
from core.evaluation.generalised_pareto import ParetoTail, fit_pareto_tail
from core.evaluation.thresholds import MIN_PEAKS, fit_pot_threshold
from core.evaluation.validation import Flags, check_scores
from core.messages import N_

REFIT_INTERVAL_PEAKS = 200  # up to 200 peaks every new one causes a refit; beyond, a growth by 1 / 200 does


@dataclass
class Spot:
    """Threshold that the share `risk` of normal scores exceeds, refitted as scores in the tail come in.

    level         quantile of the calibration at which the tail begins; `risk` must lie in the tail
    alarms_teach  whether scores above the threshold enter the fit. False, as published, truncates the tail: on streams
                  without anomalies there are 2 to 3 times as many alarms as nominal (measured at a risk of 0.001). True
                  keeps the nominal rate, but anomalies raise the threshold.

    With fewer than 10 peaks the threshold is the highest score of the calibration until there are more.

    Example:
        >>> import numpy as np
        >>> spot = Spot(risk=0.001).fit(np.random.default_rng(0).exponential(size=1000))
        >>> thresholds, alarms = spot.update_many([0.5, 30.0, 1.0])
        >>> alarms.tolist(), thresholds.round(1).tolist()
        ([False, True, False], [7.7, 7.7, 7.7])
    """

    risk: float = 1e-4
    level: float = 0.98
    learn_from_alarms: bool = False

    tail_start_: float = field(default=float("nan"), init=False)
    peaks_: list[float] = field(default_factory=list, init=False)
    score_count_: int = field(default=0, init=False)
    tail_: ParetoTail | None = field(default=None, init=False)
    threshold_: float = field(default=float("nan"), init=False)

    def fit(self, calibration: ArrayLike) -> Self:
        """Fit the tail to the scores of normal rows.

        Raises OptionError if the risk does not lie in the tail, DataError for invalid scores.
        """
        scores = check_scores(calibration)
        if not 0 < self.risk < 1 - self.level < 1:
            raise OptionError(
                N_("{name} = {value} is out of range. Accepted: {low} to {high}."),
                name="risk",
                value=self.risk,
                low=0,
                high=1 - self.level,
            )
        self.tail_start_ = float(np.quantile(scores, self.level))
        self.peaks_ = (scores[scores > self.tail_start_] - self.tail_start_).tolist()
        self.score_count_, self.tail_ = len(scores), None
        self.threshold_ = max(fit_pot_threshold(scores, self.risk, self.level).value, self.tail_start_)
        return self

    def update(self, score: float) -> tuple[float, bool]:
        """Return the current threshold and whether `score` exceeds it, then update the fit with the score."""
        threshold = self.threshold_
        alarm = score > threshold
        if self.learn_from_alarms or not alarm:
            self.score_count_ += 1
            if score > self.tail_start_:
                self._add_peak(score - self.tail_start_)
        return threshold, alarm

    def update_many(self, scores: ArrayLike) -> tuple[Floats, Flags]:
        """Return thresholds and alarms of many scores, both (rows,), equal to those of repeated `update`.

        Only scores in the tail are processed one by one.
        """
        values = check_scores(scores)
        thresholds, alarms, processed_rows = np.empty(len(values)), np.zeros(len(values), dtype=bool), 0
        for row in np.flatnonzero(values > self.tail_start_):
            self.score_count_ += int(row) - processed_rows
            thresholds[processed_rows : row + 1] = self.threshold_
            alarms[row] = self.update(float(values[row]))[1]
            processed_rows = int(row) + 1
        self.score_count_ += len(values) - processed_rows
        thresholds[processed_rows:] = self.threshold_
        return thresholds, alarms

    def _add_peak(self, excess: float) -> None:
        self.peaks_.append(excess)
        count = len(self.peaks_)
        if count < MIN_PEAKS:
            return
        if self.tail_ is None or count > self.tail_.peaks * (1 + 1 / REFIT_INTERVAL_PEAKS):
            self.tail_ = fit_pareto_tail(np.asarray(self.peaks_), self.tail_start_, self.score_count_)
        self.threshold_ = max(
            replace(self.tail_, share=count / self.score_count_).compute_quantile(self.risk), self.tail_start_
        )


@dataclass
class Dspot:
    """SPOT on the difference between scores and their moving mean, for streams whose level drifts.

    depth  number of last scores without alarm in the mean; the other fields as in `Spot`

    Example:
        >>> import numpy as np
        >>> scores = np.sin(np.arange(400.0)) + np.linspace(0, 20, 400)  # the level rises
        >>> for method in (Spot(risk=0.001), Dspot(risk=0.001, depth=20)):
        ...     print(int(method.fit(scores[:300]).update_many(scores[300:])[1].sum()), "alarms")
        81 alarms
        0 alarms
    """

    risk: float = 1e-4
    level: float = 0.98
    learn_from_alarms: bool = False
    depth: int = 50

    spot_: Spot = field(default_factory=Spot, init=False)
    last_scores_: deque[float] = field(default_factory=deque, init=False)
    last_sum_: float = field(default=0.0, init=False)

    def fit(self, calibration: ArrayLike) -> Self:
        """Fit the tail to the scores of normal rows, in the order of time.

        Raises OptionError and DataError as `Spot` does, and DataError if there are at most `depth` scores.
        """
        scores = check_scores(calibration)
        if not 1 <= self.depth < len(scores):
            raise DataError(
                N_("Too few scores: {count}. A moving mean over {depth} scores needs more than {depth}."),
                count=len(scores),
                depth=self.depth,
            )
        sums = np.append(0.0, np.cumsum(scores))
        means = (sums[self.depth :] - sums[: -self.depth]) / self.depth
        self.spot_ = Spot(self.risk, self.level, self.learn_from_alarms).fit(scores[self.depth :] - means[:-1])
        self.last_scores_ = deque(scores[-self.depth :].tolist(), maxlen=self.depth)
        self.last_sum_ = float(sum(self.last_scores_))
        return self

    def update(self, score: float) -> tuple[float, bool]:
        """Return the current threshold and whether `score` exceeds it, then update mean and fit with the score."""
        mean = self.last_sum_ / self.depth
        threshold, alarm = self.spot_.update(score - mean)
        if not alarm:
            self.last_sum_ += score - self.last_scores_[0]
            self.last_scores_.append(score)
        return threshold + mean, alarm

    def update_many(self, scores: ArrayLike) -> tuple[Floats, Flags]:
        """Return thresholds and alarms of many scores, both (rows,)."""
        steps = [self.update(score) for score in check_scores(scores).tolist()]
        return np.array([threshold for threshold, _ in steps]), np.array([alarm for _, alarm in steps], dtype=bool)
