"""The directions in which rows vary most."""

import numpy as np

from core.detectors.base import Floats32

BLOCK = 8192


def principal_axes(rows: Floats32, share: float) -> tuple[Floats32, Floats32]:
    """Mean (columns,) and the fewest axes (columns, k) that explain at least `share` of the variance.

    At least one direction is left out, as otherwise nothing could be unexpected. Covariances are summed in float64.
    Hotelling 1933; the residual as a measure of oddness: Jackson, Mudholkar, Technometrics 21, 1979.
    """
    mean = rows.mean(axis=0, dtype=np.float64)
    products = np.zeros((rows.shape[1], rows.shape[1]))
    for start in range(0, len(rows), BLOCK):
        centred = rows[start : start + BLOCK] - mean
        products += centred.T @ centred
    variances, axes = np.linalg.eigh(products)
    explained = np.cumsum(variances[::-1])
    enough = int(np.searchsorted(explained, share * explained[-1])) + 1 if explained[-1] > 0 else 0
    kept = min(enough, rows.shape[1] - 1)
    return mean.astype(np.float32), axes[:, ::-1][:, :kept].astype(np.float32)


def projected(rows: Floats32, mean: Floats32, axes: Floats32) -> Floats32:
    """The points of the space through `mean` along `axes` that are nearest to `rows`, shape unchanged."""
    places: Floats32 = np.matmul(rows - mean, axes)
    nearest: Floats32 = np.matmul(places, axes.T)
    nearest += mean
    return nearest
