"""Result of the comparison of detectors of images: its cells, the means, and the winner if there is one."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from typing_extensions import override

from core.data.images.image_set import ImageSet
from core.messages import Message
from core.runs.result import Result
from core.tasks.images.model_result import ImageFacts
from core.tasks.images.spec import LINE_TO_BEAT, ImagesCompareSpec

CELL_COLUMNS = {
    "detector": "str",
    "normal_class": "str",
    "seed": "int64",
    "run": "str",
    "auc_roc": "float64",
    "auc_pr": "float64",
    "seconds": "float64",
    "emissions_kg": "float64",
    "training_images": "int64",
    "collapse": "str",
    "reason": "str",
}
"""Columns of a cell → type; `reason` tells why a cell has no figure, "" for a cell that has one."""


@dataclass(frozen=True)
class ImageComparison(Result):
    """Detectors of images, each fitted on every normal class with several seeds.

    cells      one row per detector, normal class and seed, see `CELL_COLUMNS`; `run` is the id of the run of the cell
    published  model, normal_class, auc_roc (0–1), sd (NaN if unknown), source, is_checked (read in the source, not
               quoted from memory); empty unless the images are a set with published figures
    notes      what a reader has to know
    """

    spec: ImagesCompareSpec
    data: ImageFacts
    cells: pd.DataFrame
    published: pd.DataFrame
    notes: tuple[Message, ...] = ()

    @property
    def table(self) -> pd.DataFrame:
        """Mean and spread over the seeds per detector and class, in the order of the spec.

        Columns: detector, normal_class, auc_roc, sd, auc_pr, seconds, emissions_kg, cells, failed.
        """
        return tabulate_classes(self.cells)

    @property
    def ranking(self) -> pd.DataFrame:
        """Mean over classes per detector, the best first, see `rank_detectors`."""
        return rank_detectors(self.cells)

    @property
    def winner(self) -> str:
        """Name of the best detector; "" where its lead does not exceed the spread of the seeds, see `choose_winner`."""
        return choose_winner(self.cells)

    @property
    def line_to_beat(self) -> float:
        """Mean area of the detector that learns nothing; NaN where it failed."""
        ranking = self.ranking.set_index("detector")["auc_roc"]
        return float(ranking.get(LINE_TO_BEAT, float("nan")))

    def list_below_line(self) -> list[str]:
        """Return the detectors whose mean area is below that of the detector that learns nothing."""
        ranking = self.ranking
        return ranking.loc[ranking["auc_roc"] < self.line_to_beat, "detector"].tolist()

    def metrics(self) -> dict[str, float]:
        """Return the best mean area, the mean of every detector as `name.auc_roc`, and the numbers of cells."""
        ranking = self.ranking.dropna(subset="auc_roc")
        means = dict(zip(ranking["detector"], ranking["auc_roc"], strict=True))
        values = {
            "cells": len(self.cells),
            "cells_failed": int((self.cells["reason"] != "").sum()),
            "auc_roc": float(ranking["auc_roc"].max()) if len(ranking) else float("nan"),
            **{f"{name}.auc_roc": value for name, value in means.items()},
        }
        return {name: float(value) for name, value in values.items() if np.isfinite(value)}

    def to_frame(self) -> pd.DataFrame:
        """Return the table to export: our means and, marked in the column source, the published ones."""
        ours = self.table.assign(source="measured")
        if self.published.empty:
            return ours
        others = self.published.rename(columns={"model": "detector"}).drop(columns="is_checked")
        others = others.assign(source="published: " + others["source"])
        table = pd.concat([ours, others], ignore_index=True)[ours.columns]
        return table.astype({"cells": "Int64", "failed": "Int64"})  # unknown of published rows

    @override
    def select(self, dataset: ImageSet) -> ImageSet:
        return dataset


def build_cells(rows: list[dict[str, object]]) -> pd.DataFrame:
    """Return cells as a table with the types of `CELL_COLUMNS`."""
    return pd.DataFrame(rows, columns=list(CELL_COLUMNS)).astype(CELL_COLUMNS)


def tabulate_classes(cells: pd.DataFrame) -> pd.DataFrame:
    """Return one row per detector and class, see `ImageComparison.table`; sd is NaN for fewer than two seeds."""
    groups = cells.groupby(["detector", "normal_class"], sort=False)
    table = groups[["auc_roc", "auc_pr", "seconds", "emissions_kg"]].mean()
    table.insert(1, "sd", groups["auc_roc"].std())
    table["cells"], table["failed"] = groups.size(), groups["reason"].agg(lambda reasons: int((reasons != "").sum()))
    return table.reset_index()


def rank_detectors(cells: pd.DataFrame) -> pd.DataFrame:
    """Return one row per detector, the best first, those without a figure last.

    A detector with a failed cell is not complete: its means are NaN, because means over different classes are not
    comparable.

    auc_roc             mean over the seeds of the mean over the classes
    sd, spread          standard deviation and range of that mean over the seeds; NaN for one seed
    worst, worst_class  least mean of a class
    auc_pr, seconds     mean of the cells
    emissions_kg        of all cells
    cells, failed       numbers of cells
    is_complete         True where every cell has a figure

    Example:
        >>> lines = [{"detector": "vae", "normal_class": c, "seed": s, "auc_roc": a, "reason": ""}
        ...          for c, s, a in (("0", 0, 0.8), ("1", 0, 0.6), ("0", 1, 0.9), ("1", 1, 0.7))]
        >>> cells = build_cells([{"training_images": 2, **line} for line in lines])
        >>> rank_detectors(cells)[["auc_roc", "spread", "worst", "worst_class"]].round(3).values.tolist()
        [[0.75, 0.1, 0.65, '1']]
    """
    lines = []
    for detector, part in cells.groupby("detector", sort=False):
        failed = int((part["reason"] != "").sum())
        is_complete = bool(part["auc_roc"].notna().all())
        by_seed = part.groupby("seed")["auc_roc"].mean() if is_complete else pd.Series(dtype=float)
        by_class = part.groupby("normal_class", sort=False)["auc_roc"].mean()
        lines.append(
            {
                "detector": detector,
                "auc_roc": by_seed.mean() if is_complete else float("nan"),
                "sd": by_seed.std() if len(by_seed) > 1 else float("nan"),
                "spread": by_seed.max() - by_seed.min() if len(by_seed) > 1 else float("nan"),
                "worst": by_class.min() if is_complete else float("nan"),
                "worst_class": str(by_class.idxmin()) if is_complete else "",
                "auc_pr": part["auc_pr"].mean() if is_complete else float("nan"),
                "seconds": part["seconds"].mean(),
                "emissions_kg": part["emissions_kg"].sum(),
                "cells": len(part),
                "failed": failed,
                "is_complete": is_complete,
            }
        )
    return pd.DataFrame(lines).sort_values("auc_roc", ascending=False, kind="stable", ignore_index=True)


def choose_winner(cells: pd.DataFrame) -> str:
    """Return the detector with the best mean area, or "" where the seeds do not tell it from the second.

    The rule: the mean over classes is computed for each seed. The lead of the best detector over the second must exceed
    the range of these means over the seeds, the larger of the two. One seed has no range, so it names no winner; a
    detector with a failed cell takes no part.

    Example:
        >>> areas = {"vae": (0.90, 0.92), "oc-nn": (0.94, 0.95)}
        >>> lines = [{"detector": name, "normal_class": "0", "seed": seed, "auc_roc": area, "reason": ""}
        ...          for name, pair in areas.items() for seed, area in enumerate(pair)]
        >>> cells = build_cells([{"training_images": 2, **line} for line in lines])
        >>> choose_winner(cells)  # the lead of 0.035 exceeds the range of 0.02
        'oc-nn'
    """
    ranking = rank_detectors(cells)
    ranking = ranking[ranking["is_complete"]]
    if len(ranking) < 2 or ranking["spread"].isna().any():
        return ""
    first, second = ranking.iloc[0], ranking.iloc[1]
    lead = first["auc_roc"] - second["auc_roc"]
    return str(first["detector"]) if lead > max(first["spread"], second["spread"]) + 1e-12 else ""
