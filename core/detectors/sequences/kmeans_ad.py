"""KMeansAD: windows that are far from all typical windows of the training data."""

import warnings
from dataclasses import dataclass

import numpy as np

from core.detectors.base import Floats32
from core.detectors.reconstruction import ReconstructionDetector
from core.messages import N_
from core.spec.hyperparameters import hyperparameter

KMEANS_RESTARTS = 1  # restarts; windows of one series overlap so much that more change little


@dataclass
class KMeansAD(ReconstructionDetector):
    """Score windows by their squared distance to the nearest of `clusters` centres of training windows.

    Works poorly where the level drifts after training, because no centre is near any more. The default settings are the
    published ones. Yairi, Kato, Hori: Fault detection by mining association rules from house-keeping data, i-SAIRAS
    2001; the clustering is scikit-learn's.

    Example:
        >>> import numpy as np
        >>> from core.progress import Progress
        >>> series = np.tile(np.array([[0.0], [1.0], [0.0]], dtype=np.float32), (10, 1))
        >>> detector = KMeansAD(window=4, clusters=3).fit([series], Progress())
        >>> series[13] = 0.0  # one pulse is missing
        >>> int(detector.score(series).score.argmax())
        13
    """

    name = "kmeans-ad"
    label = N_("KMeansAD (typical windows)")

    window: int = hyperparameter(
        0,
        low=0,
        high=1000,
        help=N_("Rows in a window. 0: 20 rows, or the rows of one day if these are fewer."),
        label=N_("Window, rows"),
    )
    clusters: int = hyperparameter(
        20, low=1, high=1000, help=N_("Number of typical windows (clusters)."), label=N_("Typical windows")
    )
    centred: bool = hyperparameter(
        True,
        help=N_(
            "Score a row by all windows that contain it. If off, only by the window that ends on it, as in a stream."
        ),
        label=N_("All windows of a row"),
    )
    random_state: int = hyperparameter(
        42, low=0, high=2**31 - 1, help=N_("Random seed. The same seed gives the same scores."), label=N_("Seed")
    )

    def _fit_windows(self, train_windows: Floats32) -> None:
        from sklearn.cluster import KMeans
        from sklearn.exceptions import ConvergenceWarning
        from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

        cluster_count = min(self.clusters, len(train_windows))
        with warnings.catch_warnings(), threadpool_limits(1, "openmp"):  # several threads change the last digit of sums
            warnings.simplefilter("ignore", ConvergenceWarning)  # raised for fewer distinct windows than centres
            kmeans = KMeans(cluster_count, n_init=KMEANS_RESTARTS, random_state=self.random_state).fit(train_windows)
        self.centres_ = kmeans.cluster_centers_.astype(np.float32)

    def _reconstruct(self, flat_windows: Floats32) -> Floats32:
        distances = (
            np.square(self.centres_).sum(axis=1) - 2 * flat_windows @ self.centres_.T
        )  # squared distance without |window|², which is the same for every centre
        return self.centres_[np.argmin(distances, axis=1)]
