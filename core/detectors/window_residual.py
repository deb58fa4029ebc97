"""What detectors share that expect something of a window of rows: squared differences from it, spread over the rows."""

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from core.data.series import windows
from core.detectors.base import Floats32, Scored, SequenceDetector
from core.progress import Progress

LEARNT_CELLS = 2**23  # values that are learnt from, at most: 32 MiB
BLOCK_CELLS = 2**19  # values in windows judged at a time
GUESSES = 4  # times that missing values are taken as expected, and looked at again


class WindowResidual(SequenceDetector):
    """Score: mean over the rows of a window, sum over the columns, of (value − expected)².

    A row's score, shares and expected values are means over all windows that cover it, so it looks `window` − 1 rows
    ahead.
    With `centred` False a row is judged by the window that ends on it, as in a stream: noticeably worse, but nothing
    of the future is known; before its first row a series is taken to stand still. A missing value is taken as what
    the known values of its window let expect, and adds nothing to the score.

    usual_   (columns,), mean of the training rows
    spread_  (columns,), root mean square of (value − expected) in training
    """

    window: int
    centred: bool

    @abstractmethod
    def _learn(self, learnt: Floats32) -> None:
        """Learn from windows without missing values, each as one row of window × columns values."""

    @abstractmethod
    def _expect(self, given: Floats32) -> Floats32:
        """What is expected of windows without missing values, shape unchanged."""

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
            shares = np.maximum(mean_between(distance, first, last), 0.0)  # a difference of sums can end below 0
            shares, expected = shares[:rows], expected[:rows]
        else:
            shares, expected = distance, expected[self.window - 1 :]
        score: Floats32 = shares.sum(axis=1, dtype=np.float64).astype(np.float32)
        return Scored(score, shares, expected, np.broadcast_to(self.spread_, shares.shape))

    def _judge(self, given: Floats32) -> tuple[Floats32, Floats32]:
        """Return the distance of each column per window, and what was expected.

        Their shapes are (windows, columns) and (windows, window, columns).
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
        """Missing values as the training mean of their column."""
        missing = np.isnan(flat)
        return np.where(missing, np.tile(self.usual_, self.window), flat) if missing.any() else flat

    def _drawn(self, series: Sequence[Floats32]) -> Floats32:
        """Windows to learn from: all, or as many as LEARNT_CELLS holds, drawn with a fixed seed."""
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
    """The first window that covers each row, and the one after the last; windows are numbered by their first row."""
    row = np.arange(rows)
    return np.maximum(row - window + 1, 0), np.minimum(row, rows - window) + 1


def mean_between(values: NDArray[Any], first: NDArray[np.intp], last: NDArray[np.intp]) -> Floats32:
    """The mean of `values[first:last]`, per column, for every pair of `first` and `last`, neither of which ever falls.

    Sums run over a block of rows at a time, so that they stay short.
    """
    means = np.empty((len(first), values.shape[1]), dtype=np.float32)
    for block in _blocks(len(first), values.shape[1], least=int((last - first).max(initial=1))):
        start, stop = first[block.start], last[block.stop - 1]
        sums = np.zeros((stop - start + 1, values.shape[1]))
        np.cumsum(values[start:stop], axis=0, dtype=np.float64, out=sums[1:])
        means[block] = (sums[last[block] - start] - sums[first[block] - start]) / (last - first)[block, None]
    return means


def _lengthened(series: Floats32, window: int, *, ahead: bool = True) -> Floats32:
    """Lengthen a series that is shorter than a window with its last row.

    Without a look ahead, any series stands still before its first row.
    """
    before, after = (0, max(window - len(series), 0)) if ahead else (window - 1, 0)
    return np.pad(series, ((before, after), (0, 0)), mode="edge") if before or after else series


def _column_means(series: Sequence[Floats32]) -> Floats32:
    """Mean of the known values of each column, 0 where none is known."""
    total = sum(np.nansum(each, axis=0, dtype=np.float64) for each in series)
    known = sum((~np.isnan(each)).sum(axis=0) for each in series)
    return np.asarray(total / np.maximum(known, 1), dtype=np.float32)


def _blocks(count: int, width: int, least: int = 1) -> Iterator[slice]:
    """Slices of `count` rows of `width` values, so many at a time as fit into a block, but no fewer than `least`."""
    size = max(BLOCK_CELLS // width, least)
    return (slice(start, min(start + size, count)) for start in range(0, count, size))
