"""Kernel density: vectors where the density of the training vectors is low."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from typing_extensions import override

from core.array_types import Floats
from core.detectors.base import Detector
from core.detectors.pca import fit_pca_axes
from core.detectors.vectors.distances import compute_squared_distances, sample_rows, split_blocks
from core.messages import N_
from core.spec.hyperparameters import hyperparameter

MAX_ROUNDS = 50
TOLERANCE = 1e-3  # relative change of the squared bandwidth that ends the search
MIN_BANDWIDTH_SHARE = 1e-6  # of the mean squared distance: equal rows would give a bandwidth of 0


@dataclass
class KernelDensity(Detector):
    """Score vectors by −log of a density: the mean of Gaussian kernels on the training vectors, up to a constant.

    The vectors are first replaced by their principal components and the length of what these leave out. The bandwidth
    has the largest leave-one-out likelihood of the training vectors (`fit_squared_bandwidth`). It is chosen on 3,000 of
    them, drawn with a fixed seed, where there are more. Parzen 1962; leave-one-out likelihood: Duin, IEEE Transactions
    on Computers 25, 1976.

    Example:
        >>> rows = np.random.default_rng(0).normal(size=(200, 3))
        >>> scores = KernelDensity().fit(rows).score(np.array([[0.0, 0.0, 0.0], [9.0, 9.0, 9.0]]))
        >>> bool(scores[0] < scores[1])
        True
    """

    name = "kernel-density"
    label = N_("Kernel density")

    variance: float = hyperparameter(
        0.95,
        low=0.05,
        high=0.999,
        help=N_("Share of the variance that the principal components explain (0–1). The rest counts as one length."),
        label=N_("Share of the variance"),
    )

    @override
    def fit(self, features: Floats) -> Self:
        self.mean_, self.axes_ = fit_pca_axes(features.astype(np.float32), self.variance)
        self.rows_ = self.reduce(features).astype(np.float32)
        sample = sample_rows(self.rows_, seed=0).astype(np.float64)
        self.squared_bandwidth_ = fit_squared_bandwidth(compute_squared_distances(sample, sample), sample.shape[1])
        return self

    @override
    def score(self, features: Floats) -> Floats:
        rows, references = self.reduce(features), self.rows_.astype(np.float64)
        scores = np.empty(len(rows))
        for block in split_blocks(len(rows), len(references)):
            exponents = compute_squared_distances(rows[block], references)
            exponents /= -2 * self.squared_bandwidth_
            largest = exponents.max(axis=1)
            scores[block] = -largest - np.log(np.exp(exponents - largest[:, None]).mean(axis=1))
        return scores

    def reduce(self, features: Floats) -> Floats:
        """Return the principal components and the length of the rest, (rows, components + 1)."""
        centred = features - self.mean_
        components = centred @ self.axes_
        rest = centred - components @ self.axes_.T
        return np.column_stack([components, np.sqrt(np.square(rest).sum(axis=1))])


def fit_squared_bandwidth(distances: Floats, dimensions: int) -> float:
    """Return h², the squared bandwidth with the largest leave-one-out likelihood of a Gaussian kernel density.

    `distances` are the squared ones between all rows. Each round of the EM algorithm raises the likelihood:
    h² becomes Σᵢⱼ wᵢⱼ |xᵢ − xⱼ|² / (rows × dimensions), j ≠ i, where wᵢⱼ is the share of row j in the density at i.
    The search starts from above, at the variance of the rows. Returns 1 where the rows do not differ.

    Example:
        >>> rows = np.random.default_rng(0).normal(size=(500, 1))
        >>> bandwidth = np.sqrt(fit_squared_bandwidth(compute_squared_distances(rows, rows), 1))
        >>> bool(0.1 < bandwidth < 0.5)  # the best one for a normal density is 1.06 · 500^(−1/5) = 0.31
        True
    """
    mean = float(distances.mean())
    if mean == 0:
        return 1.0
    others = distances.copy()
    np.fill_diagonal(others, np.inf)
    squared = mean / (2 * dimensions)
    for _ in range(MAX_ROUNDS):
        exponents = others / (-2 * squared)
        shares = np.exp(exponents - exponents.max(axis=1, keepdims=True))
        shares /= shares.sum(axis=1, keepdims=True)
        previous, squared = squared, float((shares * distances).sum()) / (len(distances) * dimensions)
        squared = max(squared, MIN_BANDWIDTH_SHARE * mean / dimensions)
        if abs(squared - previous) < TOLERANCE * previous:
            break
    return squared
