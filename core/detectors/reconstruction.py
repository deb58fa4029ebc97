"""Base class of the detectors that reconstruct windows of rows and score the squared residuals."""

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from core.data.series import make_windows
from core.detectors.base import Floats32, SequenceDetector, SequenceScores
from core.progress import Progress

DEFAULT_WINDOW_ROWS = 20
DAY_S = 86_400.0
MAX_TRAIN_CELLS = 2**23  # values in the training windows, at most: 32 MiB
BLOCK_CELLS = 2**19  # values in the windows of one block
IMPUTATION_ROUNDS = 4  # times that missing values are replaced by their reconstruction


class ReconstructionDetector(SequenceDetector):
    """Sequence detector whose score is the squared difference between a window and its reconstruction.

    The score of a window is the mean over its rows of the sum over the columns of (value − expected)². Score, shares
    and expected values of a row are means over all windows that contain it, so it looks a window ahead.
    If `centred` is False, a row gets the score of the window that ends on it, as in a stream. This is noticeably less
    accurate, but uses no future row; before its first row a series is padded with that row.
    A window of 0 means 20 rows, or as many rows as a day has if these are fewer: where rows are days, every row is
    scored by itself, because a window of days would blur the day that an anomaly belongs to.
    A missing value is replaced by its reconstruction from the known values of the window; it adds nothing to the score.

    usual_   (columns,), mean of the training rows
    spread_  (columns,), root mean square of (value − expected) in training
    """

    window: int
    centred: bool

    @property
    def window_rows(self) -> int:
        """Rows in a window."""
        if self.window or self.step_seconds_ is None:
            return self.window or DEFAULT_WINDOW_ROWS
        return min(DEFAULT_WINDOW_ROWS, max(int(DAY_S // self.step_seconds_), 1))

    @property
    def past_rows(self) -> int | None:  # type: ignore[override]
        """Rows before a row that its score depends on; None where a window looks ahead."""
        return None if self.centred and self.window_rows > 1 else self.window_rows - 1

    @abstractmethod
    def _fit_windows(self, train_windows: Floats32) -> None:
        """Fit the detector on windows without missing values, shape (windows, window × columns)."""

    @abstractmethod
    def _reconstruct(self, flat_windows: Floats32) -> Floats32:
        """Return the reconstruction of windows without missing values, shape unchanged."""

    @override
    def fit(self, series: Sequence[Floats32], progress: Progress) -> Self:
        progress.report(0.0)
        self.column_mean_ = _compute_column_means(series)
        train_windows = self._sample_windows(series)
        self._fit_windows(train_windows)
        progress.report(0.8)
        self.spread_ = self._measure_spread(train_windows)
        progress.report(1.0)
        return self

    @override
    def score(self, series: Floats32) -> SequenceScores:
        rows = len(series)
        all_windows = make_windows(_pad_rows(series, self.window_rows, look_ahead=self.centred), self.window_rows)
        residuals = np.empty((len(all_windows), series.shape[1]), dtype=np.float32)
        expected = np.zeros((len(all_windows) + self.window_rows - 1, series.shape[1]), dtype=np.float32)
        for block in _iterate_blocks(len(all_windows), self.window_rows * series.shape[1]):
            residuals[block], reconstruction = self._measure_residuals(all_windows[block])
            for lag in range(self.window_rows) if self.centred else [self.window_rows - 1]:
                expected[block.start + lag : block.start + lag + len(reconstruction)] += reconstruction[:, lag]
        if self.centred and self.window_rows > 1:
            first, last = find_covering_windows(len(expected), self.window_rows)
            expected /= (last - first)[:, None]
            shares = np.maximum(compute_slice_means(residuals, first, last), 0.0)  # a difference of sums can be < 0
            shares, expected = shares[:rows], expected[:rows]
        else:
            shares, expected = residuals, expected[self.window_rows - 1 :]
        score: Floats32 = shares.sum(axis=1, dtype=np.float64).astype(np.float32)
        return SequenceScores(score, shares, expected, np.broadcast_to(self.spread_, shares.shape))

    def _measure_spread(self, train_windows: Floats32) -> Floats32:
        """Return the root mean square of the residuals of the training windows, (columns,)."""
        squares = np.zeros(len(self.column_mean_))
        for block in _iterate_blocks(len(train_windows), train_windows.shape[1]):
            residual = train_windows[block] - self._reconstruct(train_windows[block])
            squares += np.square(residual).reshape(-1, len(self.column_mean_)).sum(axis=0, dtype=np.float64)
        return np.sqrt(squares / (len(train_windows) * self.window_rows)).astype(np.float32)

    def _measure_residuals(self, batch: Floats32) -> tuple[Floats32, Floats32]:
        """Return the squared residual of each column per window, and the reconstruction.

        The shapes are (windows, columns) and (windows, window, columns).
        """
        flat = batch.reshape(len(batch), -1)
        missing = np.isnan(flat)
        has_missing = missing.any(axis=1)
        reconstruction = self._reconstruct(self._fill_missing(flat))
        for _ in range(IMPUTATION_ROUNDS if has_missing.any() else 0):
            reconstruction[has_missing] = self._reconstruct(
                np.where(missing[has_missing], reconstruction[has_missing], flat[has_missing])
            )
        residual = np.where(missing, 0.0, flat - reconstruction).reshape(batch.shape)
        return np.square(residual, out=residual).mean(axis=1), reconstruction.reshape(batch.shape)

    def _fill_missing(self, flat: Floats32) -> Floats32:
        """Replace missing values by the training mean of their column."""
        missing = np.isnan(flat)
        return np.where(missing, np.tile(self.column_mean_, self.window_rows), flat) if missing.any() else flat

    def _sample_windows(self, series: Sequence[Floats32]) -> Floats32:
        """Return the training windows: all, or as many as LEARNT_CELLS holds, drawn with a fixed seed."""
        views = [
            make_windows(_pad_rows(values, self.window_rows), self.window_rows) for values in series if len(values)
        ]
        counts = np.array([len(view) for view in views])
        total, max_windows = int(counts.sum()), max(MAX_TRAIN_CELLS // (self.window_rows * len(self.column_mean_)), 1)
        indices = np.arange(total)
        if total > max_windows:
            indices = np.sort(np.random.default_rng(0).choice(total, max_windows, replace=False))
        ends = np.cumsum(counts)
        parts = np.split(indices, np.searchsorted(indices, ends[:-1]))
        samples = [view[part - first] for view, part, first in zip(views, parts, ends - counts, strict=True)]
        return self._fill_missing(np.concatenate(samples).reshape(len(indices), -1))


def find_covering_windows(rows: int, window: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return for each row the first window that contains it and the one after the last.

    A window has the number of its first row.

    Example:
        >>> first, last = find_covering_windows(rows=4, window=2)
        >>> first.tolist(), last.tolist()
        ([0, 0, 1, 2], [1, 2, 3, 3])
    """
    row = np.arange(rows)
    return np.maximum(row - window + 1, 0), np.minimum(row, rows - window) + 1


def compute_slice_means(values: NDArray[Any], first: NDArray[np.intp], last: NDArray[np.intp]) -> Floats32:
    """Return the mean of `values[first:last]` per column for every pair of `first` and `last`, (pairs, columns).

    `first` and `last` never fall. Sums run over one block of rows at a time, which keeps them short and exact.

    Example:
        >>> import numpy as np
        >>> values = np.array([[1.0], [2.0], [6.0]])
        >>> compute_slice_means(values, np.array([0, 1]), np.array([2, 3])).tolist()
        [[1.5], [4.0]]
    """
    means = np.empty((len(first), values.shape[1]), dtype=np.float32)
    for block in _iterate_blocks(len(first), values.shape[1], min_rows=int((last - first).max(initial=1))):
        start, stop = first[block.start], last[block.stop - 1]
        sums = np.zeros((stop - start + 1, values.shape[1]))
        np.cumsum(values[start:stop], axis=0, dtype=np.float64, out=sums[1:])
        means[block] = (sums[last[block] - start] - sums[first[block] - start]) / (last - first)[block, None]
    return means


def compute_known_means(values: Floats32, first: NDArray[np.intp], last: NDArray[np.intp]) -> Floats32:
    """Return the means of `compute_slice_means` over the values that are not missing; NaN for a slice without any.

    Example:
        >>> import numpy as np
        >>> values = np.array([[1.0], [np.nan], [6.0]], dtype=np.float32)
        >>> compute_known_means(values, np.array([0, 1, 1]), np.array([2, 2, 3])).tolist()
        [[1.0], [nan], [6.0]]
    """
    is_known = ~np.isnan(values)
    if is_known.all():
        return compute_slice_means(values, first, last)
    known_share = compute_slice_means(is_known, first, last)
    means = compute_slice_means(np.where(is_known, values, np.float32(0)), first, last)
    return np.divide(means, known_share, out=np.full_like(means, np.nan), where=known_share > 0)


def _pad_rows(series: Floats32, window: int, *, look_ahead: bool = True) -> Floats32:
    """Pad a series that is shorter than a window with its last row.

    If `look_ahead` is False, pad any series with `window` − 1 copies of its first row instead.
    """
    before, after = (0, max(window - len(series), 0)) if look_ahead else (window - 1, 0)
    return np.pad(series, ((before, after), (0, 0)), mode="edge") if before or after else series


def _compute_column_means(series: Sequence[Floats32]) -> Floats32:
    """Return the mean of the known values of each column; 0 for a column without any."""
    total = sum(np.nansum(values, axis=0, dtype=np.float64) for values in series)
    count = sum((~np.isnan(values)).sum(axis=0) for values in series)
    return np.asarray(total / np.maximum(count, 1), dtype=np.float32)


def _iterate_blocks(count: int, width: int, min_rows: int = 1) -> Iterator[slice]:
    """Return slices of `count` rows of `width` values.

    A slice holds as many rows as fit into a block, and at least `min_rows`.
    """
    size = max(BLOCK_CELLS // width, min_rows)
    return (slice(start, min(start + size, count)) for start in range(0, count, size))
