"""Principal component analysis: the directions in which rows vary most, and the projection on them."""

import numpy as np

from core.array_types import Floats
from core.detectors.base import Floats32

BLOCK_ROWS = 8192


def fit_pca_axes(rows: Floats32, share: float) -> tuple[Floats32, Floats32]:
    """Return the mean (columns,) and the fewest axes (columns, k) that explain at least `share` (0–1) of the variance.

    At least one direction is left out, because otherwise the residual would always be 0. Covariances are summed in
    float64. Fewer rows than columns give the same axes faster, from the products between rows. Sources: Hotelling 1933;
    the residual as an anomaly score: Jackson, Mudholkar, Technometrics 21, 1979.

    Example:
        >>> import numpy as np
        >>> rows = np.array([[0.0, 0.0], [1.0, 2.0], [2.0, 4.0]], dtype=np.float32)
        >>> mean, axes = fit_pca_axes(rows, share=0.9)
        >>> mean.tolist(), axes.shape
        ([1.0, 2.0], (2, 1))
        >>> project_on_axes(np.array([[2.0, 1.5]], dtype=np.float32), mean, axes).round(2).tolist()
        [[1.0, 2.0]]
    """
    mean = rows.mean(axis=0, dtype=np.float64)
    if len(rows) < rows.shape[1]:
        return mean.astype(np.float32), _fit_axes_of_few_rows(rows - mean, share)
    scatter = np.zeros((rows.shape[1], rows.shape[1]))
    for start in range(0, len(rows), BLOCK_ROWS):
        centred = rows[start : start + BLOCK_ROWS] - mean
        scatter += centred.T @ centred
    variances, axes = np.linalg.eigh(scatter)
    axis_count = min(_count_axes(variances, share), rows.shape[1] - 1)
    return mean.astype(np.float32), axes[:, ::-1][:, :axis_count].astype(np.float32)


def _count_axes(variances: Floats, share: float) -> int:
    """Return the fewest axes that explain `share` of the rising `variances`; 0 where nothing varies."""
    explained = np.cumsum(variances[::-1])
    return int(np.searchsorted(explained, share * explained[-1])) + 1 if explained[-1] > 0 else 0


def _fit_axes_of_few_rows(centred: Floats, share: float) -> Floats32:
    """Return the axes (columns, k), k < rows, of centred rows (rows, columns).

    An eigenvector u of X Xᵀ with the eigenvalue λ gives the axis Xᵀ u / √λ.
    """
    variances, weights = np.linalg.eigh(centred @ centred.T)
    axis_count = min(_count_axes(variances, share), len(centred) - 1)  # centred rows have one direction less
    largest = slice(None, -axis_count - 1, -1)
    axes: Floats32 = (centred.T @ (weights[:, largest] / np.sqrt(variances[largest]))).astype(np.float32)
    return axes


def project_on_axes(rows: Floats32, mean: Floats32, axes: Floats32) -> Floats32:
    """Return the points nearest to `rows` in the space through `mean` along `axes`, shape unchanged."""
    coordinates: Floats32 = np.matmul(rows - mean, axes)
    projection: Floats32 = np.matmul(coordinates, axes.T)
    projection += mean
    return projection
