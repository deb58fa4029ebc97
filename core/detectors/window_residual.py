"""Base class of the detectors that reconstruct windows of rows and score the squared residuals."""

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from core.data.series import windows
from core.detectors.base import Floats32, Scored, SequenceDetector
from core.progress import Progress

LEARNT_CELLS = 2**23  # values in the training windows, at most: 32 MiB
BLOCK_CELLS = 2**19  # values in the windows of one block
GUESSES = 4  # times that missing values are replaced by their reconstruction


class WindowResidual(SequenceDetector):
    """Sequence detector whose score is the squared difference between a window and its reconstruction.

    The score of a window is the mean over its rows of the sum over the columns of (value − expected)². Score, shares
    and expected values of a row are means over all windows that contain it, so it looks `window` − 1 rows ahead.
    If `centred` is False, a row gets the score of the window that ends on it, as in a stream. This is noticeably less
    accurate, but uses no future row; before its first row a series is padded with that row.
    A missing value is replaced by its reconstruction from the known values of the window; it adds nothing to the score.

    usual_   (columns,), mean of the training rows
    spread_  (columns,), root mean square of (value − expected) in training
    """

    window: int
    centred: bool

    @abstractmethod
    def _learn(self, learnt: Floats32) -> None:
        """Fit the detector on windows without missing values, shape (windows, window × columns)."""

    @abstractmethod
    def _expect(self, given: Floats32) -> Floats32:
        """Return the reconstruction of windows without missing values, shape unchanged."""

    @override
    def fit(self, series: Sequence[Floats32], progress: Progress) -> Self:
        progress.tell(0.0)
        self.usual_ = _column_means(series)
        learnt = self._drawn(series)
        self._learn(learnt)
        progress.tell(0.8)
        squares = np.zeros(len(self.usual_))
        for block in _blocks(len(learnt), learnt.shape[1]):
            residual = learnt[block] - self._expect(learnt[block])
            squares += np.square(residual).reshape(-1, len(self.usual_)).sum(axis=0, dtype=np.float64)
        self.spread_ = np.sqrt(squares / (len(learnt) * self.window)).astype(np.float32)
        progress.tell(1.0)
        return self

    @override
    def score(self, series: Floats32) -> Scored:
        rows = len(series)
        given = windows(_lengthened(series, self.window, ahead=self.centred), self.window)
        distance = np.empty((len(given), series.shape[1]), dtype=np.float32)
        expected = np.zeros((len(given) + self.window - 1, series.shape[1]), dtype=np.float32)
        for block in _blocks(len(given), self.window * series.shape[1]):
            distance[block], guess = self._judge(given[block])
            for lag in range(self.window) if self.centred else [self.window - 1]:
                expected[block.start + lag : block.start + lag + len(guess)] += guess[:, lag]
        if self.centred and self.window > 1:
            first, last = covering(len(expected), self.window)
            expected /= (last - first)[:, None]
            shares = np.maximum(mean_between(distance, first, last), 0.0)  # a difference of sums can be < 0
            shares, expected = shares[:rows], expected[:rows]
        else:
            shares, expected = distance, expected[self.window - 1 :]
        score: Floats32 = shares.sum(axis=1, dtype=np.float64).astype(np.float32)
        return Scored(score, shares, expected, np.broadcast_to(self.spread_, shares.shape))

    def _judge(self, given: Floats32) -> tuple[Floats32, Floats32]:
        """Return the squared residual of each column per window, and the reconstruction.

        The shapes are (windows, columns) and (windows, window, columns).
        """
        flat = given.reshape(len(given), -1)
        missing = np.isnan(flat)
        some = missing.any(axis=1)
        guess = self._expect(self._filled(flat))
        for _ in range(GUESSES if some.any() else 0):
            guess[some] = self._expect(np.where(missing[some], guess[some], flat[some]))
        residual = np.where(missing, 0.0, flat - guess).reshape(given.shape)
        return np.square(residual, out=residual).mean(axis=1), guess.reshape(given.shape)

    def _filled(self, flat: Floats32) -> Floats32:
        """Replace missing values by the training mean of their column."""
        missing = np.isnan(flat)
        return np.where(missing, np.tile(self.usual_, self.window), flat) if missing.any() else flat

    def _drawn(self, series: Sequence[Floats32]) -> Floats32:
        """Return the training windows: all, or as many as LEARNT_CELLS holds, drawn with a fixed seed."""
        views = [windows(_lengthened(each, self.window), self.window) for each in series if len(each)]
        counts = np.array([len(view) for view in views])
        total, most = int(counts.sum()), max(LEARNT_CELLS // (self.window * len(self.usual_)), 1)
        chosen = np.arange(total)
        if total > most:
            chosen = np.sort(np.random.default_rng(0).choice(total, most, replace=False))
        ends = np.cumsum(counts)
        parts = np.split(chosen, np.searchsorted(chosen, ends[:-1]))
        learnt = [view[part - first] for view, part, first in zip(views, parts, ends - counts, strict=True)]
        return self._filled(np.concatenate(learnt).reshape(len(chosen), -1))


def covering(rows: int, window: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return for each row the first window that contains it and the one after the last.

    A window has the number of its first row.

    Example:
        >>> first, last = covering(rows=4, window=2)
        >>> first.tolist(), last.tolist()
        ([0, 0, 1, 2], [1, 2, 3, 3])
    """
    row = np.arange(rows)
    return np.maximum(row - window + 1, 0), np.minimum(row, rows - window) + 1


def mean_between(values: NDArray[Any], first: NDArray[np.intp], last: NDArray[np.intp]) -> Floats32:
    """Return the mean of `values[first:last]` per column for every pair of `first` and `last`, (pairs, columns).

    `first` and `last` never fall. Sums run over one block of rows at a time, which keeps them short and exact.

    Example:
        >>> import numpy as np
        >>> values = np.array([[1.0], [2.0], [6.0]])
        >>> mean_between(values, np.array([0, 1]), np.array([2, 3])).tolist()
        [[1.5], [4.0]]
    """
    means = np.empty((len(first), values.shape[1]), dtype=np.float32)
    for block in _blocks(len(first), values.shape[1], least=int((last - first).max(initial=1))):
        start, stop = first[block.start], last[block.stop - 1]
        sums = np.zeros((stop - start + 1, values.shape[1]))
        np.cumsum(values[start:stop], axis=0, dtype=np.float64, out=sums[1:])
        means[block] = (sums[last[block] - start] - sums[first[block] - start]) / (last - first)[block, None]
    return means


def _lengthened(series: Floats32, window: int, *, ahead: bool = True) -> Floats32:
    """Pad a series that is shorter than a window with its last row.

    If `ahead` is False, pad any series with `window` − 1 copies of its first row instead.
    """
    before, after = (0, max(window - len(series), 0)) if ahead else (window - 1, 0)
    return np.pad(series, ((before, after), (0, 0)), mode="edge") if before or after else series


def _column_means(series: Sequence[Floats32]) -> Floats32:
    """Return the mean of the known values of each column; 0 for a column without any."""
    total = sum(np.nansum(each, axis=0, dtype=np.float64) for each in series)
    known = sum((~np.isnan(each)).sum(axis=0) for each in series)
    return np.asarray(total / np.maximum(known, 1), dtype=np.float32)


def _blocks(count: int, width: int, least: int = 1) -> Iterator[slice]:
    """Return slices of `count` rows of `width` values.

    A slice holds as many rows as fit into a block, and at least `least`.
    """
    size = max(BLOCK_CELLS // width, least)
    return (slice(start, min(start + size, count)) for start in range(0, count, size))
