"""Thresholds that are refitted as scores come in: SPOT for stationary streams, DSPOT for streams with drift.

Siffer, Fouque, Termier, Largouët: Anomaly detection in streams with extreme value theory, KDD 2017.
"""

from collections import deque
from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from core.errors import DataError, OptionError
from core.evaluation.scores import Flags, Floats, finite_scores
from core.evaluation.tails import Tail, fit_tail
from core.evaluation.thresholds import LEAST_PEAKS, pot_threshold
from core.messages import N_

GROWTH = 200  # up to 200 peaks every new one causes a refit; beyond, a growth by 1 / 200 does


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
        >>> thresholds, alarms = spot.run([0.5, 30.0, 1.0])
        >>> alarms.tolist(), thresholds.round(1).tolist()
        ([False, True, False], [7.7, 7.7, 7.7])
    """

    risk: float = 1e-4
    level: float = 0.98
    alarms_teach: bool = False

    start_: float = field(default=float("nan"), init=False)
    peaks_: list[float] = field(default_factory=list, init=False)
    seen_: int = field(default=0, init=False)
    tail_: Tail | None = field(default=None, init=False)
    threshold_: float = field(default=float("nan"), init=False)

    def fit(self, calibration: ArrayLike) -> Self:
        """Fit the tail to the scores of normal rows.

        Raises OptionError if the risk does not lie in the tail, DataError for invalid scores.
        """
        scores = finite_scores(calibration)
        if not 0 < self.risk < 1 - self.level < 1:
            raise OptionError(
                N_("{name} = {value} is outside {low} to {high}."),
                name="risk",
                value=self.risk,
                low=0,
                high=1 - self.level,
            )
        self.start_ = float(np.quantile(scores, self.level))
        self.peaks_ = (scores[scores > self.start_] - self.start_).tolist()
        self.seen_, self.tail_ = len(scores), None
        self.threshold_ = max(pot_threshold(scores, self.risk, self.level).value, self.start_)
        return self

    def step(self, score: float) -> tuple[float, bool]:
        """Return the current threshold and whether `score` exceeds it, then update the fit with the score."""
        met = self.threshold_
        alarm = score > met
        if self.alarms_teach or not alarm:
            self.seen_ += 1
            if score > self.start_:
                self._learn(score - self.start_)
        return met, alarm

    def run(self, scores: ArrayLike) -> tuple[Floats, Flags]:
        """Return thresholds and alarms of many scores, both (rows,), equal to those of repeated `step`.

        Only scores in the tail are processed one by one.
        """
        values = finite_scores(scores)
        met, alarms, done = np.empty(len(values)), np.zeros(len(values), dtype=bool), 0
        for row in np.flatnonzero(values > self.start_):
            self.seen_ += int(row) - done
            met[done : row + 1] = self.threshold_
            alarms[row] = self.step(float(values[row]))[1]
            done = int(row) + 1
        self.seen_ += len(values) - done
        met[done:] = self.threshold_
        return met, alarms

    def _learn(self, excess: float) -> None:
        self.peaks_.append(excess)
        count = len(self.peaks_)
        if count < LEAST_PEAKS:
            return
        if self.tail_ is None or count > self.tail_.peaks * (1 + 1 / GROWTH):
            self.tail_ = fit_tail(np.asarray(self.peaks_), self.start_, self.seen_)
        self.threshold_ = max(replace(self.tail_, share=count / self.seen_).quantile(self.risk), self.start_)


@dataclass
class Dspot:
    """SPOT on the difference between scores and their moving mean, for streams whose level drifts.

    depth  number of last scores without alarm in the mean; the other fields as in `Spot`

    Example:
        >>> import numpy as np
        >>> scores = np.sin(np.arange(400.0)) + np.linspace(0, 20, 400)  # the level rises
        >>> for method in (Spot(risk=0.001), Dspot(risk=0.001, depth=20)):
        ...     print(int(method.fit(scores[:300]).run(scores[300:])[1].sum()), "alarms")
        81 alarms
        0 alarms
    """

    risk: float = 1e-4
    level: float = 0.98
    alarms_teach: bool = False
    depth: int = 50

    spot_: Spot = field(default_factory=Spot, init=False)
    recent_: deque[float] = field(default_factory=deque, init=False)
    total_: float = field(default=0.0, init=False)

    def fit(self, calibration: ArrayLike) -> Self:
        """Fit the tail to the scores of normal rows, in the order of time.

        Raises OptionError and DataError as `Spot` does, and DataError if there are at most `depth` scores.
        """
        scores = finite_scores(calibration)
        if not 1 <= self.depth < len(scores):
            raise DataError(
                N_("{count} scores are too few for a mean over {depth}; more are needed."),
                count=len(scores),
                depth=self.depth,
            )
        sums = np.append(0.0, np.cumsum(scores))
        means = (sums[self.depth :] - sums[: -self.depth]) / self.depth
        self.spot_ = Spot(self.risk, self.level, self.alarms_teach).fit(scores[self.depth :] - means[:-1])
        self.recent_ = deque(scores[-self.depth :].tolist(), maxlen=self.depth)
        self.total_ = float(sum(self.recent_))
        return self

    def step(self, score: float) -> tuple[float, bool]:
        """Return the current threshold and whether `score` exceeds it, then update mean and fit with the score."""
        mean = self.total_ / self.depth
        met, alarm = self.spot_.step(score - mean)
        if not alarm:
            self.total_ += score - self.recent_[0]
            self.recent_.append(score)
        return met + mean, alarm

    def run(self, scores: ArrayLike) -> tuple[Floats, Flags]:
        """Return thresholds and alarms of many scores, both (rows,)."""
        steps = [self.step(score) for score in finite_scores(scores).tolist()]
        return np.array([met for met, _ in steps]), np.array([alarm for _, alarm in steps], dtype=bool)
