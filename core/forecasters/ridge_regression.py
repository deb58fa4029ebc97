"""Ridge regressions of many entities at once, by the eigenvectors of their correlation matrices."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from core.array_types import Floats

BATCH_CELLS = 100_000  # rows × entities × features that are solved together, 0.8 MB
CONSTANT_SHARE = 1e-9  # of the mean: a feature with a smaller standard deviation is constant


@dataclass(frozen=True)
class RidgeLines:
    """One fitted line per entity.

    mean, scale   of every feature, (entities, features); the scale of a constant feature is infinite
    coefficients  of the scaled features, (entities, features)
    low, high     smallest and largest scaled feature of the training rows, (entities, features)
    intercept     (entities,)
    """

    mean: Floats
    scale: Floats
    coefficients: Floats
    low: Floats
    high: Floats
    intercept: Floats

    @classmethod
    def create_empty(cls, entity_count: int, feature_count: int) -> "RidgeLines":
        """Return lines of NaN."""
        mean, scale, coefficients, low, high = (np.full((entity_count, feature_count), np.nan) for _ in range(5))
        return cls(mean, scale, coefficients, low, high, np.full(entity_count, np.nan))

    @classmethod
    def concatenate(cls, parts: "Sequence[RidgeLines]") -> "RidgeLines":
        """Return the lines of all entities of `parts`."""
        return cls(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(cls)))

    def predict(self, features: Floats, entities: slice = slice(None), limit: float = np.inf) -> Floats:
        """Return the values on the lines of some entities for features (rows, entities, features), (rows, entities).

        A feature outside the range of its training rows, and farther than `limit` standard deviations from its mean,
        counts as one at the border. NaN where a feature or a line is NaN.
        """
        scaled = (features - self.mean[entities]) / self.scale[entities]
        if np.isfinite(limit):
            low, high = np.minimum(self.low[entities], -limit), np.maximum(self.high[entities], limit)
            scaled = np.clip(scaled, low, high)
        return np.asarray(np.einsum("tef,ef->te", scaled, self.coefficients[entities]) + self.intercept[entities])


def fit_ridge_lines(
    features: Floats, targets: Floats, is_row: NDArray[np.bool_], alphas: tuple[float, ...], min_rows: int
) -> RidgeLines:
    """Fit one line per entity on features (rows, entities, features) and targets (rows, entities).

    Only the rows of `is_row` (rows, entities) count. Each entity has the one of `alphas` with the smallest mean squared
    leave-one-out error. Its line is NaN for fewer than `min_rows` rows. Equal to scikit-learn's RidgeCV on scaled
    features. Golub, Heath, Wahba: Generalized Cross-Validation, Technometrics 21, 1979.

    Example:
        >>> hours = np.arange(20.0)[:, None, None]
        >>> lines = fit_ridge_lines(hours, 3 * hours[:, :, 0] + 5, np.ones((20, 1), dtype=bool), (1e-6,), 10)
        >>> lines.predict(np.array([[[30.0]]])).round(3).tolist()
        [[95.0]]
    """
    size = max(BATCH_CELLS // max(features[:, 0].size, 1), 1)
    batches = [slice(start, start + size) for start in range(0, features.shape[1], size)]
    return RidgeLines.concatenate(
        [
            _fit_batch(features[:, batch], targets[:, batch], is_row[:, batch], np.array(alphas), min_rows)
            for batch in batches
        ]
    )


def _fit_batch(
    features: Floats, targets: Floats, is_row: NDArray[np.bool_], alphas: Floats, min_rows: int
) -> RidgeLines:
    """Fit the lines of some entities, whose features fit in the cache of the processor."""
    counts = is_row.sum(axis=0)
    has_rows = counts >= min_rows
    entities, feature_count = features.shape[1:]
    lines = RidgeLines.create_empty(entities, feature_count)
    if not has_rows.any():
        return lines
    weights = is_row[:, has_rows].T.astype(float)[:, :, None]
    row_counts = counts[has_rows][:, None]
    scaled = np.where(weights > 0, features[:, has_rows].transpose(1, 0, 2), 0.0)  # (entities, rows, features)
    mean = scaled.sum(axis=1) / row_counts
    scaled -= mean[:, None]
    scaled *= weights
    scale = np.sqrt(np.einsum("erf,erf->ef", scaled, scaled) / row_counts)
    scale[scale < CONSTANT_SHARE * np.maximum(np.abs(mean), 1)] = np.inf  # weight 0 for a constant feature
    scaled /= scale[:, None]
    centred = np.where(is_row[:, has_rows], targets[:, has_rows], 0.0).T[:, :, None]  # (entities, rows, 1)
    intercept = centred.sum(axis=1) / row_counts
    centred = (centred - intercept[:, None]) * weights
    coefficients = _solve(scaled, centred, weights, row_counts, alphas)
    low, high = scaled.min(axis=1), scaled.max(axis=1)
    fitted = (mean, scale, coefficients, low, high)
    arrays = (lines.mean, lines.scale, lines.coefficients, lines.low, lines.high)
    for array, values in zip(arrays, fitted, strict=True):
        array[has_rows] = values
    lines.intercept[has_rows] = intercept[:, 0]
    return lines


def _solve(scaled: Floats, centred: Floats, weights: Floats, row_counts: NDArray[np.intp], alphas: Floats) -> Floats:
    """Return the coefficients (entities, features) with the smallest leave-one-out error over `alphas`."""
    eigenvalues, eigenvectors = np.linalg.eigh(scaled.transpose(0, 2, 1) @ scaled)
    scores = scaled @ eigenvectors  # (entities, rows, components)
    loadings = scores.transpose(0, 2, 1) @ centred  # (entities, components, 1)
    shrinkage = 1 / (np.maximum(eigenvalues, 0)[:, :, None] + alphas)  # (entities, components, alphas)
    best = np.zeros(len(scaled), dtype=np.intp)
    if len(alphas) > 1:
        residuals = centred - scores @ (loadings * shrinkage)
        leverages = np.square(scores) @ shrinkage + 1 / row_counts[:, :, None]
        best = np.argmin((np.square(residuals / (1 - leverages)) * weights).sum(axis=1), axis=1)
    chosen = np.take_along_axis(shrinkage, best[:, None, None], axis=2)
    return np.asarray((eigenvectors @ (loadings * chosen))[:, :, 0])
