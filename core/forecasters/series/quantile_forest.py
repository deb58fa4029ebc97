"""Clusters of entities by their usual week, and a quantile forest for each cluster."""

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from core.array_types import Floats
from core.data.regular_series import RegularSeries
from core.forecasters.series.base import (
    RECENT_STEPS,
    SeriesForecaster,
    bound_quantiles,
    mark_known_entities,
    require_history,
)
from core.forecasters.series.lag_features import LagTable, compute_mean, require_whole_week
from core.forecasters.series.training_rows import draw_training_rows
from core.lazy_import import LazyModule
from core.messages import N_
from core.progress import Progress
from core.spec.hyperparameters import hyperparameter

quantile_forest: Any = LazyModule("quantile_forest")
cluster: Any = LazyModule("sklearn.cluster")
cluster_metrics: Any = LazyModule("sklearn.metrics")

MAX_CLUSTERS = 8  # tried for the automatic number
MIN_SILHOUETTE = 0.15  # of the best number of clusters, else all entities are one cluster
SILHOUETTE_ENTITIES = 1000  # drawn for the silhouette, which compares all pairs
LEAF_SAMPLES = 8  # of a leaf, kept for the quantiles
PREDICT_ROWS = 50_000  # predicted at once, which bounds the memory
NO_CLUSTER = -1


@dataclass
class QuantileForest(SeriesForecaster):
    """Entities with a similar usual week form a cluster. Each cluster has one forest for all its entities.

    The forest forecasts the difference to the mean of the same clock in the weeks before, as a multiple of the usual
    change of the entity. Any quantile is that of the training values in the leaves of a row. Meinshausen: Quantile
    Regression Forests, Journal of Machine Learning Research 7, 2006. Clusters: k-means on the usual weeks, each divided
    by its mean. Their number has the best silhouette. Rousseeuw: Silhouettes, Journal of Computational and Applied
    Mathematics 20, 1987.

    Fitted attributes: `clusters_` is the number of the cluster of each entity, −1 without values. `profiles_` is the
    usual week of each cluster as a multiple of its mean, from Monday on, (clusters, times of the week).
    """

    name = "quantile-forest"
    label = N_("Quantile forest per cluster")

    n_clusters: int = hyperparameter(
        0,
        low=0,
        high=100,
        help=N_("Number of clusters of entities. 0 chooses it by the silhouette."),
        label=N_("Number of clusters (k)"),
    )
    n_estimators: int = hyperparameter(
        50, low=5, high=2000, help=N_("Number of trees of each forest."), label=N_("Number of trees")
    )
    min_samples_leaf: int = hyperparameter(
        20,
        low=1,
        high=10_000,
        help=N_("Smallest number of training rows in a leaf. More give smoother forecasts."),
        label=N_("Fewest rows in a leaf"),
    )
    max_train_rows: int = hyperparameter(
        60_000,
        low=1000,
        high=2_000_000,
        help=N_("Training rows of all forests, drawn over entities, origins and steps."),
        label=N_("Maximum of training rows"),
    )
    random_state: int = hyperparameter(
        42, low=0, high=2**31 - 1, help=N_("Random seed. The same seed gives the same forecasts."), label=N_("Seed")
    )

    @override
    def fit_series(self, series: RegularSeries, horizon: int, progress: Progress | None = None) -> Self:
        require_whole_week(series)
        require_history(series, series.week_steps + max(series.day_steps, RECENT_STEPS))
        profiles = compute_weekly_profiles(series)
        self.clusters_ = self._find_clusters(profiles)
        numbers = range(self.clusters_.max(initial=NO_CLUSTER) + 1)
        self.profiles_ = np.array([compute_mean(profiles[self.clusters_ == number]) for number in numbers])
        self.forests_: list[Any] = []
        for number in numbers:
            members = self.clusters_ == number
            max_rows = max(int(self.max_train_rows * members.mean()), 1000)
            rows = draw_training_rows(_select_entities(series, members), horizon, max_rows, self.random_state)
            forest = quantile_forest.RandomForestQuantileRegressor(
                n_estimators=self.n_estimators,
                min_samples_leaf=min(self.min_samples_leaf, max(len(rows.targets) // 20, 1)),
                max_samples_leaf=LEAF_SAMPLES,
                max_features=0.5,
                random_state=self.random_state,
            )
            self.forests_.append(forest.fit(_fill_unknown(rows.features), rows.targets))
            if progress is not None:
                progress.report((number + 1) / len(numbers))
        return self

    @override
    def predict_quantiles(self, series: RegularSeries, horizon: int, quantiles: Floats) -> Floats:
        table, forecasts = LagTable(series, horizon), np.full((horizon, len(series.entities), len(quantiles)), np.nan)
        features = table.build_features(len(series), np.arange(1, horizon + 1))
        is_known = mark_known_entities(series)
        for number, forest in enumerate(self.forests_):
            members = np.flatnonzero((self.clusters_ == number) & is_known)
            if len(members):
                rows = _fill_unknown(features.values[:, members]).reshape(-1, features.values.shape[2])
                parts = np.array_split(rows, max(len(rows) // PREDICT_ROWS, 1))
                differences = [forest.predict(part, quantiles=list(quantiles)) for part in parts]
                shape = (horizon, len(members), len(quantiles))
                scaled = np.concatenate([np.reshape(each, (-1, len(quantiles))) for each in differences]).reshape(shape)
                forecasts[:, members] = features.baseline[:, members, None] + scaled * features.scale[members][:, None]
        return bound_quantiles(forecasts, series)

    def _find_clusters(self, profiles: Floats) -> NDArray[np.intp]:
        """Return the number of the cluster of each of the `profiles`, the largest cluster first."""
        clusters = np.full(len(profiles), NO_CLUSTER, dtype=np.intp)
        is_known = np.isfinite(profiles).any(axis=1)
        points = np.nan_to_num(profiles[is_known])
        max_count = min(len(np.unique(points, axis=0)), max(self.n_clusters, MAX_CLUSTERS))
        if self.n_clusters:
            labels = self._assign_clusters(points, min(self.n_clusters, max_count))
        else:
            labels = self._choose_clusters(points, max_count)
        by_size = np.argsort(-np.bincount(labels), kind="stable") if len(labels) else labels
        clusters[is_known] = np.argsort(by_size)[labels]
        return clusters

    def _choose_clusters(self, points: Floats, max_count: int) -> NDArray[np.intp]:
        """Return the labels of the number of clusters with the best silhouette; one cluster if none is clear."""
        best, best_score = np.zeros(len(points), dtype=np.intp), MIN_SILHOUETTE
        for count in range(2, min(max_count, len(points) - 1) + 1):
            labels = self._assign_clusters(points, count)
            size = min(SILHOUETTE_ENTITIES, len(points))
            score = cluster_metrics.silhouette_score(points, labels, sample_size=size, random_state=self.random_state)
            has_groups = np.mean(np.bincount(labels) > 1) > 0.5  # most clusters have more than one entity
            if has_groups and score > best_score:
                best, best_score = labels, score
        return best

    def _assign_clusters(self, points: Floats, count: int) -> NDArray[np.intp]:
        if count < 2:
            return np.zeros(len(points), dtype=np.intp)
        k_means = cluster.KMeans(count, n_init=5, random_state=self.random_state)
        return np.asarray(k_means.fit_predict(points), dtype=np.intp)


def compute_weekly_profiles(series: RegularSeries) -> Floats:
    """Return the mean week of every entity divided by its mean size, (entities, times of the week).

    A day has at most 24 times, a week begins on Monday. NaN where no value is known.

    Example:
        >>> import pandas as pd
        >>> days = pd.date_range("2024-01-01", periods=14)  # begins on a Monday
        >>> values = np.tile([2.0, 2, 2, 2, 2, 0, 0], 2)[:, None]
        >>> series = RegularSeries(days, ("a",), values, pd.Timedelta(days=1))
        >>> compute_weekly_profiles(series).round(1).tolist()
        [[1.4, 1.4, 1.4, 1.4, 1.4, 0.0, 0.0]]
    """
    clock, day_slots = series.local_times, min(max(series.day_steps, 1), 24)
    slots = np.asarray(clock.dayofweek * day_slots + clock.hour * day_slots // 24)
    profiles = np.stack([compute_mean(series.values[slots == slot]) for slot in range(7 * day_slots)], axis=1)
    level = compute_mean(np.abs(series.values))[:, None]
    return np.where(level > 0, profiles / np.where(level > 0, level, 1.0), profiles)


def _fill_unknown(features: Floats) -> Floats:
    """Return `features` with 0 for unknown values; for lags, 0 means no difference to the baseline."""
    return np.nan_to_num(features, nan=0.0)


def _select_entities(series: RegularSeries, mask: NDArray[np.bool_]) -> RegularSeries:
    entities = tuple(np.array(series.entities, dtype=object)[mask])
    attempts = None if series.attempts is None else series.attempts[:, mask]
    return replace(series, entities=entities, values=series.values[:, mask], attempts=attempts)
