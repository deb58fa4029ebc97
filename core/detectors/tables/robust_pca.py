"""Robust PCA: rows that leave the directions in which ordinary rows vary together, or go too far along them."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from sklearn import decomposition
from typing_extensions import override

from core.array_types import Floats
from core.detectors.base import Detector
from core.detectors.row_scaling import UNIT_QUANTILE, RowScaling
from core.messages import N_
from core.spec.hyperparameters import hyperparameter

MIN_SPREAD = 1e-6  # units of `RowScaling`: smaller distances are rounding


@dataclass
class RobustPca(Detector):
    """Score rows by their distance to the main directions of the training rows and along them, after `RowScaling`.

    Every training row counts with its direction from the median and not with its distance, so that anomalies cannot
    turn the directions towards themselves. At least one direction is left out. Both distances are in units that 1 % of
    the training rows exceed; the larger one is the score. Spherical principal components: Locantore et al., Test 8,
    1999; two distances: Hubert, Rousseeuw, Vanden Branden, Technometrics 47, 2005; the decomposition is scikit-learn's.

    Example:
        >>> x = np.random.default_rng(0).normal(size=(300, 1))
        >>> rows = np.hstack([x, x, -x + 0.01 * np.random.default_rng(1).normal(size=(300, 1))])
        >>> scores = RobustPca().fit(rows).score(np.array([[1.0, 1.0, -1.0], [1.0, -1.0, 1.0]]))
        >>> bool(scores[1] > 10 * scores[0])
        True
    """

    name = "robust-pca"
    label = N_("Distance to the main directions (robust PCA)")

    share: float = hyperparameter(
        0.9,
        low=0.05,
        high=0.999,
        help=N_("Share of the variance that the main directions explain (0–1)."),
        label=N_("Share of the variance"),
    )

    @override
    def fit(self, features: Floats) -> Self:
        self.scaling_ = RowScaling().fit(features)
        scaled = self.scaling_.transform(features)
        self.axes_ = _fit_axes(scaled, self.share)
        self.spread_ = np.maximum(np.median(np.abs(scaled @ self.axes_.T), axis=0), MIN_SPREAD)
        distances = np.quantile(self._measure_distances(scaled), UNIT_QUANTILE, axis=1)
        self.units_ = np.maximum(distances, MIN_SPREAD)
        return self

    @override
    def score(self, features: Floats) -> Floats:
        distances = self._measure_distances(self.scaling_.transform(features))
        scores: Floats = (distances / self.units_[:, None]).max(axis=0)
        return scores

    def _measure_distances(self, scaled: Floats) -> Floats:
        """Return the distances of scaled rows to the main directions and along them, (2, rows)."""
        residual, along = scaled, np.zeros(len(scaled))
        for axis, spread in zip(self.axes_, self.spread_, strict=True):
            coordinates = (residual * axis).sum(axis=1)  # row by row: a row scores the same alone and among others
            residual = residual - coordinates[:, None] * axis
            along += (coordinates / spread) ** 2
        return np.sqrt([(residual**2).sum(axis=1), along])


def _fit_axes(scaled: Floats, share: float) -> Floats:
    """Return the main axes of the directions of `scaled` rows from the median, (axes, columns); none for one column."""
    columns = scaled.shape[1]
    norm = np.sqrt((scaled**2).sum(axis=1, keepdims=True))
    directions = (scaled / norm.clip(min=MIN_SPREAD))[norm[:, 0] > MIN_SPREAD]
    axis_count = min(len(directions), columns) - 1
    if axis_count < 1:
        return np.zeros((0, columns))
    # the directions and their opposites together are centred on the median
    pca = decomposition.PCA(svd_solver="full").fit(np.concatenate([directions, -directions]))
    explained = np.cumsum(pca.explained_variance_ratio_)
    axes: Floats = pca.components_[: min(int(np.searchsorted(explained, share)) + 1, axis_count)]
    return axes
