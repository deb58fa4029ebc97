"""Distances between many vectors, in blocks by matrix products."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from core.array_types import AnyFloats, Floats
from core.detectors.base import Floats32

BLOCK_VALUES = 2**22  # values of one block: 32 MiB in float64
MAX_SAMPLE_ROWS = 3000  # rows among which all distances are taken: 72 MiB in float64


def split_blocks(count: int, width: int) -> Iterator[slice]:
    """Return slices of `count` rows, each with as many rows of `width` values as a block holds, at least one."""
    size = max(BLOCK_VALUES // max(width, 1), 1)
    return (slice(start, min(start + size, count)) for start in range(0, count, size))


def sample_rows(rows: AnyFloats, seed: int) -> AnyFloats:
    """Return all `rows`, or 3,000 of them drawn with `seed`, in their order."""
    if len(rows) <= MAX_SAMPLE_ROWS:
        return rows
    return rows[np.sort(np.random.default_rng(seed).choice(len(rows), MAX_SAMPLE_ROWS, replace=False))]


def compute_squared_distances(rows: Floats, references: Floats) -> Floats:
    """Return the squared Euclidean distance of every row to every reference, (rows, references), not negative.

    |a − b|² = |a|² + |b|² − 2 a·b. Equal vectors may get a distance of about 10⁻¹⁵ of their squared length.

    Example:
        >>> compute_squared_distances(np.array([[0.0, 0.0]]), np.array([[3.0, 4.0], [0.0, 0.0]])).tolist()
        [[25.0, 0.0]]
    """
    products = np.matmul(rows, references.T)
    products *= -2
    products += np.square(rows).sum(axis=1)[:, None]
    products += np.square(references).sum(axis=1)
    return np.maximum(products, 0.0, out=products)


def find_nearest(rows: Floats32, references: Floats32, count: int) -> tuple[Floats32, NDArray[np.intp]]:
    """Return Euclidean distances and positions of the `count` nearest references, each (rows, count), nearest first.

    There are fewer columns where there are fewer references. The candidates come from a matrix product in float32;
    their distances are then computed from the differences, so that the distance between equal vectors is exactly 0.

    Example:
        >>> references = np.array([[0.0], [1.0], [5.0]], np.float32)
        >>> distances, positions = find_nearest(np.array([[1.25]], np.float32), references, count=2)
        >>> distances.tolist(), positions.tolist()
        ([[0.25, 1.25]], [[1, 0]])
    """
    count = min(count, len(references))
    distances = np.empty((len(rows), count), np.float32)
    positions = np.empty((len(rows), count), np.intp)
    centre = references.mean(axis=0, dtype=np.float64).astype(np.float32)  # short vectors lose less in the product
    transposed = np.ascontiguousarray((references - centre).T)
    half_squares = np.square(transposed).sum(axis=0) / 2
    for block in split_blocks(len(rows), max(len(references), count * rows.shape[1])):
        order = half_squares - np.matmul(rows[block] - centre, transposed)  # half of |a − b|² − |a|²
        nearest = np.argpartition(order, count - 1, axis=1)[:, :count]
        differences = rows[block][:, None] - references[nearest]
        lengths = np.sqrt(np.square(differences, out=differences).sum(axis=2))
        ranks = np.argsort(lengths, axis=1, kind="stable")
        distances[block] = np.take_along_axis(lengths, ranks, axis=1)
        positions[block] = np.take_along_axis(nearest, ranks, axis=1)
    return distances, positions
