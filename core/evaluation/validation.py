"""Validation of scores and labels."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from core.array_types import Floats
from core.errors import DataError
from core.messages import N_

Flags = NDArray[np.bool_]
Indices = NDArray[np.intp]


def check_scores(scores: ArrayLike) -> Floats:
    """Return scores of shape (rows,) as float64.

    Raises DataError for no row at all, and for a score that is not finite.

    Example:
        >>> check_scores([1, 2]).tolist()
        [1.0, 2.0]
        >>> try:
        ...     check_scores([1.0, float("nan")])
        ... except DataError as error:
        ...     print(error)
        1 of 2 scores is not a finite number, in row 2: nan.
    """
    values = np.asarray(scores, dtype=np.float64)
    if values.ndim != 1 or not len(values):
        raise DataError(
            N_("The scores have the shape {shape}. A one-dimensional array with at least one score is needed."),
            shape=values.shape,
        )
    invalid_rows = np.flatnonzero(~np.isfinite(values))
    if len(invalid_rows):
        raise DataError(
            N_(
                "{count} of {rows} scores is not a finite number, in row {row}: {value}.",
                "{count} of {rows} scores are not finite numbers. The first is in row {row}: {value}.",
            ),
            count=len(invalid_rows),
            rows=len(values),
            row=int(invalid_rows[0]) + 1,
            value=str(values[invalid_rows[0]]),
        )
    return values


def check_labels_and_scores(labels: ArrayLike, scores: ArrayLike) -> tuple[Flags, Floats]:
    """Return labels as booleans (every value but 0 is an anomaly) and scores as float64, both of shape (rows,).

    Raises DataError if their lengths differ, if a label is missing, or as `check_scores`.
    """
    values, flags = check_scores(scores), np.asarray(labels)
    if flags.shape != values.shape:
        raise DataError(
            N_(
                "There is {labels} label for {rows} scores. Each row needs one label.",
                "There are {labels} labels for {rows} scores. Each row needs one label.",
            ),
            labels=flags.size,
            rows=len(values),
        )
    if flags.dtype.kind == "f" and np.isnan(flags).any():
        raise DataError(
            N_("{count} of {rows} labels is missing.", "{count} of {rows} labels are missing."),
            count=int(np.isnan(flags).sum()),
            rows=len(values),
        )
    return flags.astype(bool), values
