"""Mahalanobis distance: rows far from the centre, measured along the correlations of ordinary rows."""

import warnings
from contextlib import suppress
from dataclasses import dataclass
from typing import Self

import numpy as np
from sklearn import covariance
from typing_extensions import override

from core.array_types import Floats
from core.detectors.base import Detector
from core.detectors.row_scaling import RowScaling, sample_rows
from core.messages import N_
from core.spec.hyperparameters import hyperparameter

MIN_SPREAD = 0.1  # units of `RowScaling`: smallest spread in any direction
MIN_ROWS_PER_COLUMN = 5  # with fewer rows the covariance is shrunk instead


@dataclass
class MahalanobisDistance(Detector):
    """Score rows by their Mahalanobis distance, after `RowScaling`.

    Centre and covariance come from the most concentrated half of the training rows (minimum covariance determinant,
    Rousseeuw, Van Driessen 1999). With fewer than 5 rows per feature, or if half of the rows are equal, they come from
    all rows (Ledoit, Wolf 2004). A spread of 0.1 units is added in every direction, because more than half of the rows
    can agree in a feature. More than
    5,000 training rows are sub-sampled with the seed. The estimators are scikit-learn's.

    Example:
        >>> x = np.random.default_rng(0).normal(size=(300, 1))
        >>> rows = np.hstack([x, x + 0.1 * np.random.default_rng(1).normal(size=(300, 1))])
        >>> scores = MahalanobisDistance().fit(rows).score(np.array([[1.0, 1.0], [1.0, -1.0]]))
        >>> bool(scores[1] > 2 * scores[0])
        True
    """

    name = "mahalanobis"
    label = N_("Mahalanobis distance (MCD)")

    random_state: int = hyperparameter(
        42, low=0, high=2**31 - 1, help=N_("Random seed. The same seed gives the same scores."), label=N_("Seed")
    )

    @override
    def fit(self, features: Floats) -> Self:
        self.scaling_ = RowScaling().fit(features)
        rows = sample_rows(self.scaling_.transform(features), self.random_state)
        estimator = self._fit_covariance(rows)
        self.center_ = estimator.location_
        variances, axes = np.linalg.eigh(estimator.covariance_ + MIN_SPREAD**2 * np.eye(rows.shape[1]))
        self.whitening_ = axes / np.sqrt(variances)
        return self

    def _fit_covariance(self, rows: Floats) -> covariance.EmpiricalCovariance:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a singular covariance; the added spread mends it
            if len(rows) >= MIN_ROWS_PER_COLUMN * rows.shape[1]:
                with suppress(ValueError):  # half of the rows are equal
                    return covariance.MinCovDet(random_state=self.random_state).fit(rows)
            return covariance.LedoitWolf().fit(rows)

    @override
    def score(self, features: Floats) -> Floats:
        distances = self.scaling_.transform(features) - self.center_
        total = np.zeros(len(features))
        for axis in self.whitening_.T:  # sums row by row: the score of a row is the same alone and among others
            total += (distances * axis).sum(axis=1) ** 2
        scores: Floats = np.sqrt(total)
        return scores
