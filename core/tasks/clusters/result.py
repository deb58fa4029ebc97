"""Points grouped by likeness: the question, the cluster of every point, the profile of every cluster, how good they
are.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.clusterers.base import NOISE, Floats, Labels
from core.clusterers.points import Points
from core.errors import NotFoundError
from core.messages import N_, Text

SEASONS = (N_("winter"), N_("spring"), N_("summer"), N_("autumn"))
"""December to February, March to May, June to August, September to November."""

FILE = "clustering.json"
BAND = (0.1, 0.9)  # of the points of a cluster lie within the band of its profile
BAND_POINTS = 20_000  # of a cluster, evenly taken, from which its band is found
SIZES_LOGGED = 50
AXES = ("pc1", "pc2", "pc3")


@dataclass(frozen=True)
class Question:
    """What was asked: the part of a result that does not depend on rows."""

    clusterer: str
    settings: dict[str, Any]
    of: str
    look: str
    incomplete: str
    components: int
    dataset: str
    files: tuple[str, ...]
    unit: str
    columns: tuple[str, ...]
    rows_left_out: int = 0
    flat_points: int = 0
    fitted_by: str = ""
    entities: tuple[str, ...] = ()
    start: str = ""
    end: str = ""


@dataclass(frozen=True)
class Clustering:
    """The cluster of every point.

    rows       entity, time (where a point is a row), cluster (-1 for noise), pc1 … pc3 (places on the map), distance
               (to
               the nearest centre or core point), isolated (noise that Isolation Forest flags as well)
    profiles   cluster, panel, column, mean, low, high: the band holds 80 % of the cluster's points; noise has none
    quality    inertia, silhouette … as `core.evaluation.clusterings` finds them
    explained  share of the variance on each axis of the map
    notes      what a person should know before believing it
    """

    question: Question
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
            "rows_left_out": self.question.rows_left_out,
            "flat_points_left_out": self.question.flat_points,
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

    def save(self, folder: Path) -> None:
        """Write the result below `folder`; `load` reads it back."""
        folder.mkdir(parents=True, exist_ok=True)
        self.rows.to_parquet(folder / "rows.parquet", compression="zstd", index=False)
        self.profiles.to_parquet(folder / "profiles.parquet", compression="zstd", index=False)
        rest = {
            "question": asdict(self.question),
            "quality": self.quality,
            "explained": self.explained,
            "notes": [[note.template, dict(note.values)] for note in self.notes],
        }
        (folder / FILE).write_text(json.dumps(rest, ensure_ascii=False), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> "Clustering":
        """Raises NotFoundError where `folder` holds no clustering."""
        try:
            rest = json.loads((folder / FILE).read_text(encoding="utf-8"))
            asked: dict[str, Any] = {
                name: tuple(value) if isinstance(value, list) else value for name, value in rest["question"].items()
            }
            return cls(
                Question(**asked),
                pd.read_parquet(folder / "rows.parquet"),
                pd.read_parquet(folder / "profiles.parquet"),
                rest["quality"],
                tuple(rest["explained"]),
                tuple(Text(*note) for note in rest["notes"]),
            )
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise NotFoundError(N_("This run holds no clusters that could be shown.")) from error


def table(
    points: Points, labels: Labels, places: Floats, distance: Floats, isolated: NDArray[np.bool_]
) -> pd.DataFrame:
    """The rows of a result; `places` are the coordinates on the map, (points, axes)."""
    rows = pd.DataFrame({"entity": points.entity})
    if points.time is not None:
        rows["time"] = np.asarray(points.time)
    rows["cluster"] = labels.astype(np.int32)
    for axis, name in enumerate(AXES[: places.shape[1]]):
        rows[name] = places[:, axis].astype(np.float32)
    rows["distance"] = np.where(np.isfinite(distance), distance, np.nan).astype(np.float32)
    rows["isolated"] = isolated
    return rows


def profiles(points: Points, labels: Labels) -> pd.DataFrame:
    """Mean and band of every feature in every cluster, in the dataset's unit (or as a share of the point's mean)."""
    parts = []
    for cluster in range(labels.max(initial=-1) + 1):
        mine = np.flatnonzero(labels == cluster)
        if not len(mine):  # rows assigned to clusters found elsewhere need not meet all of them
            continue
        some = points.values[mine[:: -(-len(mine) // BAND_POINTS)]]
        low, high = np.quantile(some, BAND, axis=0)
        parts.append(
            pd.DataFrame(
                {
                    "cluster": np.int32(cluster),
                    "panel": points.panels,
                    "column": points.features,
                    "mean": points.values[mine].mean(axis=0),
                    "low": low,
                    "high": high,
                }
            )
        )
    columns = ["cluster", "panel", "column", "mean", "low", "high"]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)
