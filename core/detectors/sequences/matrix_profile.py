"""Matrix profile: windows of a column that no training window of this column resembles."""

from dataclasses import dataclass

import numpy as np
from typing_extensions import override

from core.detectors.base import Floats32
from core.detectors.reconstruction import ReconstructionDetector
from core.messages import N_
from core.spec.hyperparameters import hyperparameter


@dataclass
class MatrixProfile(ReconstructionDetector):
    """Score windows of every column by their squared distance to the nearest training window of that column.

    This is the AB-join of the matrix profile of the scored series with the training series, in scaled units. It is not
    z-normalised, because that hides changes of level. Every column is compared by itself, so a broken relation between
    columns is not seen. Rows that are windows of their own, such as days of 24 hours, are compared as a whole. Works
    poorly where the level drifts after training. Yeh et al.: Matrix profile I, ICDM 2016; scikit-learn finds the
    nearest windows.

    references_  (references, values, groups), training windows; the values of a group are compared together
    spread_      (columns,), root mean square distance between windows of one half of the training rows and the other

    Example:
        >>> import numpy as np
        >>> from core.progress import Progress
        >>> wave = np.sin(np.arange(80) / 3, dtype=np.float32)[:, None]
        >>> detector = MatrixProfile(window=10).fit([wave], Progress())
        >>> wave[20:24] = 0.0
        >>> int(detector.score(wave).score.argmax())
        23
    """

    name = "matrix-profile"
    label = N_("Matrix profile (nearest windows)")

    window: int = hyperparameter(
        0,
        low=0,
        high=1000,
        help=N_("Rows in a window. 0: 20 rows, or the rows of one day if these are fewer."),
        label=N_("Window, rows"),
    )
    references: int = hyperparameter(
        4000,
        low=10,
        high=100_000,
        help=N_("Largest number of training windows to compare with, evenly spaced. More windows take more time."),
        label=N_("Windows to compare with"),
    )
    centred: bool = hyperparameter(
        True,
        help=N_(
            "Score a row by all windows that contain it. If off, only by the window that ends on it, as in a stream."
        ),
        label=N_("All windows of a row"),
    )

    def _fit_windows(self, train_windows: Floats32) -> None:
        self.references_ = self._sample_references(train_windows)

    def _reconstruct(self, flat_windows: Floats32) -> Floats32:
        return _find_nearest(self._split_groups(flat_windows), self.references_).reshape(flat_windows.shape)

    @override
    def _measure_spread(self, train_windows: Floats32) -> Floats32:
        """Compare the halves with each other, because every window is nearest to itself."""
        middle = len(train_windows) // 2
        if not middle:
            return np.zeros(len(self.column_mean_), dtype=np.float32)
        first, second = (self._sample_references(half) for half in (train_windows[:middle], train_windows[middle:]))
        residual = np.concatenate([first - _find_nearest(first, second), second - _find_nearest(second, first)])
        squares = np.square(residual).reshape(-1, len(self.column_mean_)).mean(axis=0)
        return np.sqrt(squares).astype(np.float32)

    def _sample_references(self, train_windows: Floats32) -> Floats32:
        """Return at most `references` windows, evenly spaced, (references, values, groups)."""
        count = min(self.references, len(train_windows))
        return self._split_groups(train_windows[np.linspace(0, len(train_windows) - 1, count).astype(np.intp)])

    def _split_groups(self, flat_windows: Floats32) -> Floats32:
        """Return (windows, values, groups): a column is a group, or the whole row where a window is one row."""
        groups = len(self.column_mean_) if self.window_rows > 1 else 1
        return flat_windows.reshape(len(flat_windows), -1, groups)


def _find_nearest(windows: Floats32, references: Floats32) -> Floats32:
    """Return for every group of every window the nearest reference of that group, (windows, values, groups)."""
    from sklearn.metrics import pairwise_distances_argmin

    nearest = np.empty_like(windows)
    for group in range(windows.shape[2]):
        candidates = np.ascontiguousarray(references[:, :, group])
        positions = pairwise_distances_argmin(np.ascontiguousarray(windows[:, :, group]), candidates)
        nearest[:, :, group] = candidates[positions]
    return nearest
