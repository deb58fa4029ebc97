"""Points grouped by likeness: the cluster of every point, the profile of every cluster, how good they are."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.clusterers.base import NOISE, Floats, Labels
from core.clusterers.points import Points
from core.data.dataset import DataSummary
from core.messages import N_, Text
from core.runs.result import Result
from core.spec.spec import ApplySpec
from core.tasks.clusters.spec import ClusteringSpec

SEASONS = (N_("winter"), N_("spring"), N_("summer"), N_("autumn"))
"""December to February, March to May, June to August, September to November."""

BAND = (0.1, 0.9)  # of the points of a cluster lie within the band of its profile
BAND_POINTS = 20_000  # of a cluster, evenly taken, from which its band is found
SIZES_LOGGED = 50
AXES = ("pc1", "pc2", "pc3")


@dataclass(frozen=True)
class Clustering(Result):
    """The cluster of every point.

    spec           what was asked of this run
    model_spec     what was asked of the run that fitted the model: the same, unless a model was applied
    data           the dataset's files, unit and columns
    rows_left_out  incomplete rows, which belong to no point
    flat_points    points without a shape, which are left out
    rows           entity, time (where a point is a row), cluster (-1 for noise), pc1 … pc3 (coordinates on the map),
                   distance (to the nearest centre or core point), isolated (noise that Isolation Forest flags as well)
    profiles       cluster, panel, column, mean, low, high: the band holds 80 % of the cluster's points; noise has none
    quality        inertia, silhouette … as `core.evaluation.clusterings` finds them
    explained      share of the variance on each axis of the map
    notes          what a person should know before believing it
    """

    spec: ClusteringSpec | ApplySpec
    model_spec: ClusteringSpec
    data: DataSummary
    rows_left_out: int
    flat_points: int
    rows: pd.DataFrame
    profiles: pd.DataFrame
    quality: dict[str, float]
    explained: tuple[float, ...]
    notes: tuple[Text, ...] = ()

    @property
    def sizes(self) -> list[int]:
        """Points of cluster 0, 1, …, without noise; 0 where an earlier model's cluster has none of these points."""
        inside = self.rows["cluster"].to_numpy()
        return [int(size) for size in np.bincount(inside[inside >= 0])]

    @property
    def noise(self) -> pd.DataFrame:
        """The points that belong to no cluster, the farthest from any first."""
        return self.rows[self.rows["cluster"] == NOISE].sort_values("distance", ascending=False, kind="stable")

    @property
    def dated(self) -> bool:
        """Is every point a moment with a date?"""
        return "time" in self.rows and pd.api.types.is_datetime64_any_dtype(self.rows["time"])

    def metrics(self) -> dict[str, float]:
        """What a run logs."""
        noise = int((self.rows["cluster"] == NOISE).sum())
        return {
            "points": len(self.rows),
            "clusters": sum(size > 0 for size in self.sizes),
            "noise_points": noise,
            "noise_ratio": noise / max(len(self.rows), 1),
            "rows_left_out": self.rows_left_out,
            "flat_points_left_out": self.flat_points,
            **self.quality,
            **{f"explained_{axis + 1}": share for axis, share in enumerate(self.explained)},
            **{f"cluster_{number}_size": size for number, size in enumerate(self.sizes[:SIZES_LOGGED])},
        }

    def to_frame(self) -> pd.DataFrame:
        """The cluster of every point as a table to export, in the order of the data."""
        return self.rows

    def by_entity(self) -> pd.DataFrame:
        """Points of each entity (rows) in each cluster (columns, noise first)."""
        return pd.crosstab(self.rows["entity"], self.rows["cluster"])

    def by_season(self) -> pd.DataFrame:
        """Points of each season (rows) in each cluster (columns, noise first); empty where points have no date."""
        if not self.dated:
            return pd.DataFrame()
        month = pd.DatetimeIndex(self.rows["time"]).month.to_numpy()
        season = pd.Categorical.from_codes(month % 12 // 3, list(SEASONS))
        return pd.crosstab(season, self.rows["cluster"], dropna=False).rename_axis("season")


def tabulate_points(
    points: Points, labels: Labels, coordinates: Floats, distance: Floats, isolated: NDArray[np.bool_]
) -> pd.DataFrame:
    """Return the rows of a result; `coordinates` are those on the map, (points, axes)."""
    rows = pd.DataFrame({"entity": points.entity})
    if points.time is not None:
        rows["time"] = np.asarray(points.time)
    rows["cluster"] = labels.astype(np.int32)
    for axis, name in enumerate(AXES[: coordinates.shape[1]]):
        rows[name] = coordinates[:, axis].astype(np.float32)
    rows["distance"] = np.where(np.isfinite(distance), distance, np.nan).astype(np.float32)
    rows["isolated"] = isolated
    return rows


def average_profiles(points: Points, labels: Labels) -> pd.DataFrame:
    """Return mean and band of every feature in every cluster, in the unit of `points`."""
    parts = []
    for cluster in range(labels.max(initial=-1) + 1):
        members = np.flatnonzero(labels == cluster)
        if not len(members):  # rows assigned to clusters found elsewhere need not meet all of them
            continue
        sample = points.values[members[:: -(-len(members) // BAND_POINTS)]]
        low, high = np.quantile(sample, BAND, axis=0)
        parts.append(
            pd.DataFrame(
                {
                    "cluster": np.int32(cluster),
                    "panel": points.panels,
                    "column": points.features,
                    "mean": points.values[members].mean(axis=0),
                    "low": low,
                    "high": high,
                }
            )
        )
    columns = ["cluster", "panel", "column", "mean", "low", "high"]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)
