"""KMeansAD: stretches of time that resemble none of a few typical ones."""

import warnings
from dataclasses import dataclass

import numpy as np

from core.detectors.base import Floats32
from core.detectors.window_residual import WindowResidual
from core.messages import N_
from core.spec.hyperparameters import hyperparameter

STARTS = 1  # windows of one series overlap so much that further starts change little


@dataclass
class KMeansAD(WindowResidual):
    """Score windows by their squared distance to the nearest of `clusters` centres of training windows.

    Works poorly where the level drifts on after training: no centre is near any more. The settings are those
    published. Yairi, Kato, Hori: Fault detection by mining association rules from house-keeping data, i-SAIRAS 2001;
    the clustering is scikit-learn's.
    """

    name = "kmeans-ad"
    label = N_("KMeansAD (typical windows)")

    window: int = hyperparameter(20, low=1, high=1000, help=N_("Rows in a window."))
    clusters: int = hyperparameter(20, low=1, high=1000, help=N_("Number of typical windows."))
    centred: bool = hyperparameter(
        True, help=N_("Judge a row by all windows around it, also later ones; otherwise by the window that ends on it.")
    )
    random_state: int = hyperparameter(42, low=0, high=2**31 - 1, help=N_("Seed: the same seed gives the same scores."))

    def _learn(self, learnt: Floats32) -> None:
        from sklearn.cluster import KMeans
        from sklearn.exceptions import ConvergenceWarning
        from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

        centres = min(self.clusters, len(learnt))
        with (
            warnings.catch_warnings(),
            threadpool_limits(1, "openmp"),
        ):  # sums of several threads differ in the last digit
            warnings.simplefilter("ignore", ConvergenceWarning)  # fewer different windows than centres
            found = KMeans(centres, n_init=STARTS, random_state=self.random_state).fit(learnt)
        self.centres_ = found.cluster_centers_.astype(np.float32)

    def _expect(self, given: Floats32) -> Floats32:
        apart = (
            np.square(self.centres_).sum(axis=1) - 2 * given @ self.centres_.T
        )  # less what is the same for every centre
        return self.centres_[np.argmin(apart, axis=1)]
