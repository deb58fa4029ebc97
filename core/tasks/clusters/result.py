"""Result of a clustering: cluster of every point, profile of every cluster, metrics."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.array_types import Floats
from core.clusterers.base import NOISE, Labels
from core.clusterers.points import Points
from core.data.dataset import DataSummary
from core.messages import N_, Message
from core.runs.result import Result
from core.spec.spec import ApplySpec
from core.tasks.clusters.spec import ClusteringSpec

SEASONS = (N_("winter"), N_("spring"), N_("summer"), N_("autumn"))
"""December to February, March to May, June to August, September to November."""

BAND_QUANTILES = (0.1, 0.9)  # quantiles of the points of a cluster
MAX_BAND_POINTS = 20_000  # of a cluster, evenly spaced, for the quantiles of its band
MAX_LOGGED_SIZES = 50
AXIS_COLUMNS = ("pc1", "pc2", "pc3")


@dataclass(frozen=True)
class Clustering(Result):
    """Clusters of points.

    spec           spec of this run
    model_spec     spec of the run that fitted the model; equal to `spec` unless a saved model was applied
    data           files, unit and columns of the dataset
    rows_left_out  number of incomplete rows, which belong to no point
    flat_points    number of points left out because they have no shape
    rows           entity, time (if points are rows), cluster (-1 for noise), pc1 … pc3 (coordinates on the map),
                   distance (to the nearest centre or core row), isolated (noise that Isolation Forest flags too)
    profiles       cluster, panel, column, mean, low, high: the band holds 80 % of the points of a cluster; noise has
                   none
    quality        metrics of `core.evaluation.cluster_metrics`, stability
    explained      share of the variance (0–1) of each axis of the map
    notes          limits that a reader has to know
    """

    spec: ClusteringSpec | ApplySpec
    model_spec: ClusteringSpec
    data: DataSummary
    rows_left_out: int
    flat_points: int
    rows: pd.DataFrame
    profiles: pd.DataFrame
    quality: dict[str, float]
    explained_shares: tuple[float, ...]
    notes: tuple[Message, ...] = ()

    @property
    def sizes(self) -> list[int]:
        """Numbers of points of cluster 0, 1, … without noise; 0 for a cluster of the model without points."""
        labels = self.rows["cluster"].to_numpy()
        return [int(size) for size in np.bincount(labels[labels >= 0])]

    @property
    def noise(self) -> pd.DataFrame:
        """Noise points, farthest from all clusters first."""
        return self.rows[self.rows["cluster"] == NOISE].sort_values("distance", ascending=False, kind="stable")

    @property
    def has_dates(self) -> bool:
        """True if the points have dates."""
        return "time" in self.rows and pd.api.types.is_datetime64_any_dtype(self.rows["time"])

    def metrics(self) -> dict[str, float]:
        """Return the metrics of the run."""
        noise_count = int((self.rows["cluster"] == NOISE).sum())
        return {
            "points": len(self.rows),
            "clusters": sum(size > 0 for size in self.sizes),
            "noise_points": noise_count,
            "noise_ratio": noise_count / max(len(self.rows), 1),
            "rows_left_out": self.rows_left_out,
            "flat_points_left_out": self.flat_points,
            **self.quality,
            **{f"explained_{axis + 1}": share for axis, share in enumerate(self.explained_shares)},
            **{f"cluster_{number}_size": size for number, size in enumerate(self.sizes[:MAX_LOGGED_SIZES])},
        }

    def to_frame(self) -> pd.DataFrame:
        """Return the cluster of every point as a table to export, in the order of the data."""
        return self.rows

    def count_by_entity(self) -> pd.DataFrame:
        """Return the number of points by entity (rows) and cluster (columns, noise first)."""
        return pd.crosstab(self.rows["entity"], self.rows["cluster"])

    def count_by_season(self) -> pd.DataFrame:
        """Return the number of points by season (rows) and cluster (columns, noise first).

        Empty if the points have no date.
        """
        if not self.has_dates:
            return pd.DataFrame()
        month = pd.DatetimeIndex(self.rows["time"]).month.to_numpy()
        season = pd.Categorical.from_codes(month % 12 // 3, list(SEASONS))
        return pd.crosstab(season, self.rows["cluster"], dropna=False).rename_axis("season")


def tabulate_points(
    points: Points, labels: Labels, coordinates: Floats, distance: Floats, isolated: NDArray[np.bool_]
) -> pd.DataFrame:
    """Return the rows of a result; `coordinates` are the coordinates on the map, (points, axes)."""
    rows = pd.DataFrame({"entity": points.entity})
    if points.time is not None:
        rows["time"] = np.asarray(points.time)
    rows["cluster"] = labels.astype(np.int32)
    for axis, name in enumerate(AXIS_COLUMNS[: coordinates.shape[1]]):
        rows[name] = coordinates[:, axis].astype(np.float32)
    rows["distance"] = np.where(np.isfinite(distance), distance, np.nan).astype(np.float32)
    rows["isolated"] = isolated
    return rows


def average_profiles(points: Points, labels: Labels) -> pd.DataFrame:
    """Return mean and band of every feature by cluster, in the unit of `points`."""
    parts = []
    for cluster in range(labels.max(initial=-1) + 1):
        members = np.flatnonzero(labels == cluster)
        if not len(members):  # clusters of a saved model can be empty
            continue
        sample = points.values[members[:: -(-len(members) // MAX_BAND_POINTS)]]
        low, high = np.quantile(sample, BAND_QUANTILES, axis=0)
        parts.append(
            pd.DataFrame(
                {
                    "cluster": np.int32(cluster),
                    "panel": points.profile_parts,
                    "column": points.features,
                    "mean": points.values[members].mean(axis=0),
                    "low": low,
                    "high": high,
                }
            )
        )
    columns = ["cluster", "panel", "column", "mean", "low", "high"]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)
