"""Whole model for clustering: missing values, points, scale, principal components and clusterer."""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pandas as pd

from core.clusterers.base import Clusterer, Floats, Labels
from core.clusterers.points import Look, Of, Points, points, shaped
from core.data.dataset import Dataset, keyed, require_like
from core.data.quality.expectation import Expectation
from core.data.quality.repairs import imputed
from core.errors import DataError
from core.messages import N_

Incomplete = Literal["drop", "impute", "column-mean"]
MAP_AXES = 3


@dataclass
class ClusterModel:
    """Clusterer with its preprocessing, saved as one object.

    One object for `fit` and `predict` guarantees that both treat a row in the same way.

    of          "days": each row is a point; "entities": each entity is a point, by its typical profile
    look        "level": the values; "shape": the values divided by the mean of the point
    incomplete  rows with missing measurements: "drop" leaves them out; "impute" fills them from the same entity;
                "column-mean" fills them with the mean of the column over all rows, which mixes entities and exists for
                comparison with older results only
    components  number of principal components for the clusterer; 0 for all features

    Example:
        >>> from core.clusterers.kmeans import KMeans
        >>> frame = pd.DataFrame({"load": [1.0, 1.1, 9.0, 9.2, np.nan]}, index=keyed(["a"] * 5, list(range(5))))
        >>> _, _, labels = ClusterModel(KMeans(n_clusters=2)).fit(Dataset(frame, layout="demo"))
        >>> labels.tolist()  # the row without a value is left out
        [0, 0, 1, 1]
    """

    clusterer: Clusterer
    of: Of = "days"
    look: Look = "level"
    incomplete: Incomplete = "drop"
    components: int = 0

    flat_: int = field(default=0, init=False)  # points without a shape in the last dataset

    def fit(self, dataset: Dataset) -> tuple[Points, Floats, Labels]:
        """Fit scale and clusters; return the points, their features (points, columns) and their labels (points,).

        Raises DataError for too few points, or for a shape of data without a daily profile.
        """
        from sklearn.decomposition import PCA

        found, features = self._scaled(dataset)
        if self.components:
            few = min(self.components, *features.shape)
            self.reduction_ = PCA(few, svd_solver="full").fit(features)
            features = self.reduction_.transform(features)
        self.clusterer.fit(features)
        self.map_ = PCA(min(MAP_AXES, *features.shape), svd_solver="covariance_eigh").fit(features)
        labels = self.clusterer.labels_
        del self.clusterer.labels_  # stored in the result, not in the model
        return found, features, labels

    def prepared(self, dataset: Dataset) -> Floats:
        """Return the scaled features of every point, without principal components, (points, columns).

        Fits the scale on `dataset`. Raises the errors of `fit`.
        """
        return self._scaled(dataset)[1]

    def features(self, dataset: Dataset) -> tuple[Points, Floats]:
        """Return the points of `dataset` and their features, (points, columns).

        Raises DataError if columns or unit differ from those of the training data, or if no complete row is left.
        """
        require_like(dataset, self.columns_, self.profile_, self.unit_)
        found = self._points(dataset)
        if not len(found):
            raise DataError(N_("No complete row is left to assign to a cluster."))
        features = self.scaler_.transform(found.values)
        return found, self.reduction_.transform(features) if self.components else features

    def predict(self, table: pd.DataFrame) -> pd.DataFrame:
        """Return the clusters for a table with the columns `entity`, `time` and the measurements.

        MLflow serves this.
        """
        index = keyed(table["entity"].to_numpy(), table["time"].to_numpy())
        step = pd.Timedelta(seconds=self.step_seconds_) if self.step_seconds_ else None
        frame = table[self.columns_].set_axis(index, axis=0)
        found, features = self.features(
            Dataset(frame, layout="served", profile=self.profile_, step=step, unit=self.unit_)
        )
        answer = pd.DataFrame({"entity": found.entity.astype(str), "cluster": self.clusterer.assign(features)})
        if found.time is not None:
            answer.insert(1, "time", np.asarray(found.time))
        return answer

    def _remember(self, dataset: Dataset) -> None:
        self.columns_, self.unit_, self.profile_ = dataset.columns, dataset.unit, dataset.profile
        self.step_seconds_ = dataset.step.total_seconds() if dataset.step else None  # a float can be saved
        if self.incomplete == "impute":
            self.gaps_ = Expectation("calendar" if dataset.dated else "entity").fit(dataset)
        elif self.incomplete == "column-mean":
            known = ~np.isnan(dataset.values)
            if not known.any(axis=0).all():
                empty = dataset.columns[int(np.argmin(known.any(axis=0)))]
                raise DataError(
                    N_("The column {column} has no value at all: there is no mean to fill it with."), column=empty
                )
            self.means_ = np.nanmean(dataset.values, axis=0)

    def _scaled(self, dataset: Dataset) -> tuple[Points, Floats]:
        """Return the points, and their features with mean 0 and standard deviation 1."""
        from sklearn.preprocessing import StandardScaler

        self._remember(dataset)
        found = self._points(dataset)
        if len(found) < 2:
            raise DataError(
                N_("{count} complete points are too few to compare; at least 2 are needed."), count=len(found)
            )
        self.scaler_ = StandardScaler().fit(found.values)
        return found, self.scaler_.transform(found.values)

    def _points(self, dataset: Dataset) -> Points:
        ready = self._ready(dataset)
        if not len(ready):
            raise DataError(N_("No row without missing measurements is left; fill them or choose other rows."))
        found = points(ready, self.of)
        if self.look == "level":
            return found
        kept = shaped(found, ready)
        self.flat_ = len(found) - len(kept)
        return kept

    def _ready(self, dataset: Dataset) -> Dataset:
        """Return the rows of `dataset` without missing values: incomplete rows are filled or left out."""
        if dataset.complete.all():
            return dataset
        if self.incomplete == "drop":
            return dataset.rows(dataset.complete)
        values = dataset.values
        filled = (
            imputed(dataset, self.gaps_)
            if self.incomplete == "impute"
            else np.where(np.isnan(values), self.means_, values)
        )
        full = dataset.replace(
            frame=pd.DataFrame(filled, index=dataset.frame.index, columns=dataset.frame.columns, copy=False)
        )
        return full if full.complete.all() else full.rows(full.complete)
