"""Isolation Forest: rows that few random cuts isolate are anomalous."""

from dataclasses import dataclass
from typing import Self

from sklearn import ensemble
from typing_extensions import override

from core.array_types import Floats
from core.detectors.base import Detector
from core.messages import N_
from core.spec.hyperparameters import get_params, hyperparameter


@dataclass
class IsolationForest(Detector):
    """Score rows by how few random cuts isolate them.

    Works poorly where anomalies form a dense group, because such rows are hard to isolate.
    Liu, Ting, Zhou: Isolation Forest, ICDM 2008; the implementation is scikit-learn's.

    Example:
        >>> import numpy as np
        >>> rows = np.array([[1.0], [1.1], [0.9], [1.2], [9.0]])
        >>> scores = IsolationForest(n_estimators=20).fit(rows).score(rows)
        >>> int(scores.argmax())  # higher is more anomalous
        4
    """

    name = "isolation-forest"
    label = N_("Isolation Forest")

    n_estimators: int = hyperparameter(
        100,
        low=10,
        high=2000,
        help=N_("Number of trees. More trees give more stable scores and take longer."),
        label=N_("Number of trees"),
    )
    max_samples: int | float | str = hyperparameter(
        "auto",
        low=0.01,
        high=1_000_000,
        choices=("auto",),
        help=N_("Rows used by each tree: auto (256), a number of rows, or a share of the rows (0–1)."),
        label=N_("Rows per tree"),
    )
    max_features: float = hyperparameter(
        1.0,
        low=0.01,
        high=1.0,
        help=N_("Share of the features used by each tree (0–1)."),
        label=N_("Share of the features"),
    )
    bootstrap: bool = hyperparameter(
        False, help=N_("Draw each tree's rows with replacement."), label=N_("Draw with replacement")
    )
    random_state: int = hyperparameter(
        42, low=0, high=2**31 - 1, help=N_("Random seed. The same seed gives the same scores."), label=N_("Seed")
    )

    @override
    def fit(self, features: Floats) -> Self:
        self.forest_ = ensemble.IsolationForest(**get_params(self)).fit(features)
        return self

    @override
    def score(self, features: Floats) -> Floats:
        scores: Floats = -self.forest_.score_samples(features)  # in scikit-learn lower is more anomalous
        return scores
