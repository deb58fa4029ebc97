"""Algorithms of one file each, and a plugin of pytest that registers them: `-p tests.support.toy_algorithms`."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Self

import numpy as np
import pytest

from core import clusterers, forecasters
from core.array_types import Floats
from core.clusterers.base import Clusterer, Labels
from core.data.panel import Panel
from core.detectors import sequences, tables
from core.detectors.base import Detector, Floats32, SequenceDetector, SequenceScores
from core.errors import DataError
from core.forecasters.panels.covariate_panel import CovariatePanel
from core.forecasters.ridge import Ridge
from core.messages import N_
from core.progress import Progress
from core.spec.hyperparameters import hyperparameter
from core.spec.plugins import register_class


@dataclass
class ToyDetector(Detector):
    """Score rows by their distance to the median row."""

    name = "toy"
    label = "Toy detector"

    power: float = hyperparameter(2.0, low=0.5, high=4.0, help=N_("Distances are raised to it."))

    def fit(self, features: Floats) -> Self:
        """Learn the median row."""
        self.median_ = np.median(features, axis=0)
        return self

    def score(self, features: Floats) -> Floats:
        """Return the distance of every row."""
        return np.asarray((np.abs(features - self.median_) ** self.power).sum(axis=1))


@dataclass
class ToyClusterer(Clusterer):
    """Group rows by the cell of a grid in which they lie."""

    name = "toy"
    label = "Toy clusterer"
    sampling_note = N_("none")

    width: float = hyperparameter(3.0, low=0.1, high=1000.0, help=N_("Width of a cell."))

    def fit(self, features: Floats) -> Self:
        """Number the cells that rows lie in. Raises DataError without rows."""
        if not len(features):
            raise DataError(N_("There are too few rows to group."))
        self.cells_, self.labels_ = np.unique(self._cells(features), axis=0, return_inverse=True)
        self.labels_, self.sampled_ = self.labels_.reshape(-1).astype(np.intp), 0
        return self

    def assign(self, features: Floats) -> Labels:
        """Return the number of the nearest cell."""
        return np.asarray([np.argmin(np.abs(self.cells_ - cell).sum(axis=1)) for cell in self._cells(features)])

    def compute_distance(self, features: Floats) -> Floats:
        """Return the distance to the middle of the nearest cell, in cells."""
        middles = self.cells_[self.assign(features)] * self.width
        return np.linalg.norm(features - middles, axis=1) / self.width

    def _cells(self, features: Floats) -> Floats:
        return np.asarray(np.round(features / self.width))


@dataclass
class ToyForecaster(Ridge):
    """A ridge whose forecasts are multiplied by a number."""

    name = "toy"
    label = "Toy forecaster"

    factor: float = hyperparameter(1.0, low=0.5, high=2.0, help=N_("Forecasts are multiplied by it."))

    def predict(self, series: Panel, covariates: CovariatePanel, step: int, first_day: int = 0) -> Floats:
        """Return the ridge's forecast, multiplied."""
        return self.factor * super().predict(series, covariates, step, first_day)


@dataclass
class ToySequenceDetector(SequenceDetector):
    """Score rows by how far they lie from the column's usual value."""

    name = "toy"
    label = "Toy detector of series"

    scale: float = hyperparameter(1.0, low=0.1, high=10.0, help=N_("Scores are multiplied by it."))

    def fit(self, series: Sequence[Floats32], progress: Progress) -> Self:
        """Learn the usual value of every column."""
        progress.report(0.0)
        self.usual_ = np.nan_to_num(np.nanmedian(np.concatenate(list(series)), axis=0)).astype(np.float32)
        return self

    def score(self, series: Floats32) -> SequenceScores:
        """Return the mean distance of every row, and every column's share in it."""
        distance = np.nan_to_num(np.abs(series - self.usual_)).astype(np.float32)
        return SequenceScores(np.float32(self.scale) * distance.mean(axis=1, dtype=np.float32), distance)


@contextmanager
def registered() -> Iterator[None]:
    """Add every toy to its folder, as long as the block lasts."""
    with ExitStack() as stack:
        stack.enter_context(register_class(tables, ToyDetector))
        stack.enter_context(register_class(clusterers, ToyClusterer))
        stack.enter_context(register_class(forecasters, ToyForecaster))
        stack.enter_context(register_class(sequences, ToySequenceDetector))
        yield


def pytest_configure(config: pytest.Config) -> None:
    """Register the toys before the tests are collected."""
    stack = ExitStack()
    stack.enter_context(registered())
    config.add_cleanup(stack.close)
