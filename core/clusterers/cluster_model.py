"""Whole model for clustering: missing values, points, scale, principal components and clusterer."""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pandas as pd

from core.array_types import Floats
from core.clusterers.base import Clusterer, Labels
from core.clusterers.points import (
    Aspect,
    PointKind,
    Points,
    divide_by_levels,
    divide_by_mean,
    make_points,
    measure_levels,
)
from core.data.compatibility import check_compatible
from core.data.dataset import Dataset, make_index
from core.data.quality.baseline import GroupMedian
from core.data.quality.fills import impute
from core.errors import DataError
from core.messages import N_

IncompleteRows = Literal["drop", "impute", "column-mean"]
MAP_AXES = 3


@dataclass
class ClusterModel:
    """Clusterer with its preprocessing, saved as one object.

    One object for `fit` and `predict` guarantees that both treat a row in the same way.

    of          "days": each row is a point; "entities": each entity is a point, by its typical profile
    look        "level": the values; "relative": the values divided by the mean of their entity; "shape": the values
                divided by the mean of the point
    incomplete  rows with missing measurements: "drop" leaves them out; "impute" fills them from the same entity;
                "column-mean" fills them with the mean of the column over all rows, which mixes entities and exists for
                comparison with older results only
    components  number of principal components for the clusterer; 0 for all features

    Example:
        >>> from core.clusterers.kmeans import KMeans
        >>> frame = pd.DataFrame({"load": [1.0, 1.1, 9.0, 9.2, np.nan]}, index=make_index(["a"] * 5, list(range(5))))
        >>> _, _, labels = ClusterModel(KMeans(n_clusters=2)).fit(Dataset(frame, layout="demo"))
        >>> labels.tolist()  # the row without a value is left out
        [0, 0, 1, 1]
    """

    clusterer: Clusterer
    of: PointKind = "days"
    look: Aspect = "level"
    incomplete: IncompleteRows = "drop"
    components: int = 0

    flat_point_count_: int = field(default=0, init=False)  # points without a shape in the last dataset

    def fit(self, dataset: Dataset) -> tuple[Points, Floats, Labels]:
        """Fit scale and clusters; return the points, their features (points, columns) and their labels (points,).

        Raises DataError for too few points, or for a shape of data without a daily profile.
        """
        from sklearn.decomposition import PCA

        points, features = self._fit_scale(dataset)
        if self.components:
            component_count = min(self.components, *features.shape)
            self.pca_ = PCA(component_count, svd_solver="full").fit(features)
            features = self.pca_.transform(features)
        self.clusterer.fit(features)
        self.map_pca_ = PCA(min(MAP_AXES, *features.shape), svd_solver="covariance_eigh").fit(features)
        labels = self.clusterer.labels_
        self.clusterer.labels_ = labels[:0]  # stored in the result, not in the model
        return points, features, labels

    def prepare_features(self, dataset: Dataset) -> Floats:
        """Return the scaled features of every point, without principal components, (points, columns).

        Fits the scale on `dataset`. Raises the errors of `fit`.
        """
        return self._fit_scale(dataset)[1]

    def transform(self, dataset: Dataset) -> tuple[Points, Floats]:
        """Return the points of `dataset` and their features, (points, columns).

        Raises DataError if columns or unit differ from those of the training data, or if no complete row is left.
        """
        check_compatible(dataset, self.columns_, self.profile_, self.unit_)
        points = self._select_points(dataset)
        if not len(points):
            raise DataError(N_("There is no complete row to assign to a cluster."))
        features = self.scaler_.transform(points.values)
        return points, self.pca_.transform(features) if self.components else features

    def predict(self, table: pd.DataFrame) -> pd.DataFrame:
        """Return the clusters for a table with the columns `entity`, `time` and the measurements.

        MLflow serves this.
        """
        index = make_index(table["entity"].to_numpy(), table["time"].to_numpy())
        step = pd.Timedelta(seconds=self.step_seconds_) if self.step_seconds_ else None
        frame = table[self.columns_].set_axis(index, axis=0)
        points, features = self.transform(
            Dataset(frame, layout="served", profile=self.profile_, step=step, unit=self.unit_)
        )
        assignments = pd.DataFrame({"entity": points.entity.astype(str), "cluster": self.clusterer.assign(features)})
        if points.time is not None:
            assignments.insert(1, "time", np.asarray(points.time))
        return assignments

    def _fit_preprocessing(self, dataset: Dataset) -> None:
        self.columns_, self.unit_, self.profile_ = dataset.columns, dataset.unit, dataset.profile
        self.step_seconds_ = dataset.step.total_seconds() if dataset.step else None  # a float can be saved
        if self.incomplete == "impute":
            self.imputer_ = GroupMedian("calendar" if dataset.has_dates else "entity").fit(dataset)
        elif self.incomplete == "column-mean":
            has_value = ~np.isnan(dataset.values)
            if not has_value.any(axis=0).all():
                empty_column = dataset.columns[int(np.argmin(has_value.any(axis=0)))]
                raise DataError(
                    N_("The column {column} has no value, so it has no mean to fill it with."), column=empty_column
                )
            self.column_means_ = np.nanmean(dataset.values, axis=0)

    def _fit_scale(self, dataset: Dataset) -> tuple[Points, Floats]:
        """Return the points, and their features with mean 0 and standard deviation 1."""
        from sklearn.preprocessing import StandardScaler

        self._fit_preprocessing(dataset)
        self.levels_: dict[str, float] = {}
        points = self._select_points(dataset)
        if len(points) < 2:
            raise DataError(
                N_("Too few complete points to compare: {count}. At least 2 are needed."), count=len(points)
            )
        self.scaler_ = StandardScaler().fit(points.values)
        return points, self.scaler_.transform(points.values)

    def _select_points(self, dataset: Dataset) -> Points:
        complete_rows = self._resolve_missing(dataset)
        if not len(complete_rows):
            raise DataError(N_("Every row has missing measurements. Choose to fill them, or select other rows."))
        points = make_points(complete_rows, self.of)
        if self.look == "level":
            return points
        if self.look == "shape":
            scaled_points = divide_by_mean(points, complete_rows)
        else:
            self.levels_ = measure_levels(complete_rows) | self.levels_  # that of the fit, for the entities it had
            scaled_points = divide_by_levels(points, self.levels_)
        self.flat_point_count_ = len(points) - len(scaled_points)
        return scaled_points

    def _resolve_missing(self, dataset: Dataset) -> Dataset:
        """Return the rows of `dataset` without missing values: incomplete rows are filled or left out."""
        if dataset.is_complete.all():
            return dataset
        if self.incomplete == "drop":
            return dataset.take_rows(dataset.is_complete)
        values = dataset.values
        filled_values = (
            impute(dataset, self.imputer_)
            if self.incomplete == "impute"
            else np.where(np.isnan(values), self.column_means_, values)
        )
        filled_dataset = dataset.replace(
            frame=pd.DataFrame(filled_values, index=dataset.frame.index, columns=dataset.frame.columns, copy=False)
        )
        return (
            filled_dataset if filled_dataset.is_complete.all() else filled_dataset.take_rows(filled_dataset.is_complete)
        )
