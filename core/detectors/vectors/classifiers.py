"""Classifiers of vectors where some abnormal ones are labelled: log-odds of being abnormal, both classes equally heavy.

Equal weights of the classes keep a few abnormal vectors from being outvoted by many normal ones.
"""

import warnings
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from sklearn import ensemble, neural_network
from sklearn.exceptions import ConvergenceWarning
from typing_extensions import override

from core.array_types import Floats

MIN_PROBABILITY = 1e-6  # log-odds stay finite
HIDDEN_UNITS = (64, 32)
WEIGHT_DECAY = 0.001
MAX_LEAF_ROWS = 20  # smallest leaf of boosted trees; the default of scikit-learn
LEAVES_PER_CLASS = 4  # with fewer abnormal rows leaves are so small that they can fill this many


class VectorClassifier(ABC):
    """Contract of a classifier of vectors: `score` is the log-odds of being abnormal; equal seeds, equal scores."""

    def fit(self, normal: Floats, abnormal: Floats) -> Self:
        """Fit on vectors of both classes, each (rows, columns) with at least one row."""
        is_abnormal = np.repeat([0, 1], [len(normal), len(abnormal)])
        weights = np.repeat([0.5 / len(normal), 0.5 / len(abnormal)], [len(normal), len(abnormal)]) * len(is_abnormal)
        self.fit_weighted(np.concatenate([normal, abnormal]), is_abnormal, weights)
        return self

    @abstractmethod
    def fit_weighted(self, rows: Floats, is_abnormal: Any, weights: Floats) -> None:
        """Fit on `rows` with their class, 0 or 1, and weight; the weights have the mean 1."""

    @abstractmethod
    def score(self, rows: Floats) -> Floats:
        """Return the log-odds of being abnormal, (rows,)."""


@dataclass
class ForestClassifier(VectorClassifier):
    """Random forest (Breiman 2001) of scikit-learn; the probability is the mean of the trees."""

    trees: int
    seed: int

    @override
    def fit_weighted(self, rows: Floats, is_abnormal: Any, weights: Floats) -> None:
        forest = ensemble.RandomForestClassifier(self.trees, min_samples_leaf=2, random_state=self.seed)
        self.forest_ = forest.fit(rows, is_abnormal, sample_weight=weights)

    @override
    def score(self, rows: Floats) -> Floats:
        return _compute_log_odds(self.forest_.predict_proba(rows)[:, 1])


@dataclass
class BoostingClassifier(VectorClassifier):
    """Gradient boosting of trees on binned values, of scikit-learn."""

    trees: int
    learning_rate: float
    seed: int

    @override
    def fit_weighted(self, rows: Floats, is_abnormal: Any, weights: Floats) -> None:
        abnormal_count = int(is_abnormal.sum())
        boosting = ensemble.HistGradientBoostingClassifier(
            max_iter=self.trees,
            learning_rate=self.learning_rate,
            min_samples_leaf=min(max(abnormal_count // LEAVES_PER_CLASS, 1), MAX_LEAF_ROWS),
            early_stopping=False,
            random_state=self.seed,
        )
        self.boosting_ = boosting.fit(rows, is_abnormal, sample_weight=weights)

    @override
    def score(self, rows: Floats) -> Floats:
        return np.asarray(self.boosting_.decision_function(rows), np.float64)


@dataclass
class DenseClassifier(VectorClassifier):
    """Dense network with two hidden layers, trained by scikit-learn on standardised columns.

    mean_, width_     (columns,) mean and standard deviation of the columns
    weights_, biases_  arrays of the layers
    """

    epochs: int
    seed: int

    @override
    def fit_weighted(self, rows: Floats, is_abnormal: Any, weights: Floats) -> None:
        self.mean_, width = rows.mean(axis=0), rows.std(axis=0)
        self.width_ = np.where(width > 0, width, 1.0)
        network = neural_network.MLPClassifier(
            HIDDEN_UNITS, alpha=WEIGHT_DECAY, max_iter=self.epochs, n_iter_no_change=self.epochs, random_state=self.seed
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # the number of passes is a setting
            network.fit((rows - self.mean_) / self.width_, is_abnormal, sample_weight=weights)
        self.weights_, self.biases_ = list(network.coefs_), list(network.intercepts_)

    @override
    def score(self, rows: Floats) -> Floats:
        values = (rows - self.mean_) / self.width_
        for weights, bias in zip(self.weights_[:-1], self.biases_[:-1], strict=True):
            values = np.maximum(values @ weights + bias, 0.0)
        return np.asarray((values @ self.weights_[-1] + self.biases_[-1])[:, 0])


def _compute_log_odds(probability: Floats) -> Floats:
    """Return log(p / (1 − p)), with p at least 10⁻⁶ from 0 and 1."""
    clipped = np.clip(probability, MIN_PROBABILITY, 1 - MIN_PROBABILITY)
    return np.asarray(np.log(clipped / (1 - clipped)))
