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
    "auc_roc_error": "float64",
    "auc_pr": "float64",
    "seconds": "float64",
    "emissions_kg": "float64",
    "training_images": "int64",
    "collapse": "str",
    "reason": "str",
}
"""Columns of a cell → type; `reason` tells why a cell has no figure, "" for a cell that has one.

auc_roc_error is the standard error of the area by the test images. Comparisons of earlier versions lack it.
"""

CERTAINTY = 1.96  # standard errors that 95 % of the values lie within


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
        """Name of the best detector; "" where its lead may be chance, see `choose_winner`."""
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


@dataclass(frozen=True)
class UnfinishedComparison:
    """Finished cells of a comparison, see `CELL_COLUMNS`, and the number of all its cells."""

    cells: pd.DataFrame
    total: int

    @property
    def areas(self) -> pd.DataFrame:
        """Mean area over the finished seeds, detector × class; NaN where none is finished.

        It has no mean over the classes: means over different classes are not comparable.

        Example:
            >>> cells = build_cells([{"detector": "vae", "normal_class": "0", "seed": seed, "auc_roc": 0.5 + seed / 4,
            ...                       "training_images": 2} for seed in (0, 1)])
            >>> float(UnfinishedComparison(cells, total=8).areas.loc["vae", "0"])
            0.625
        """
        table = self.cells.pivot_table("auc_roc", "detector", "normal_class", sort=False)
        return table.rename_axis(index=None, columns=None)


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
    error               standard error of that mean by the test images; 0 where it is unknown
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
                "error": _measure_error(part),
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


def _measure_error(cells: pd.DataFrame) -> float:
    """Return the standard error by the test images of the mean area of a detector; more seeds do not make it smaller.

    The classes count as if each had test images of its own.
    """
    if "auc_roc_error" not in cells:
        return 0.0
    by_class = cells.groupby("normal_class")["auc_roc_error"].mean().fillna(0.0)
    return float(np.sqrt((by_class**2).sum()) / max(len(by_class), 1))


@dataclass(frozen=True)
class Lead:
    """Lead of the best detector over the second, and what of it may be chance, in areas (0–1).

    lead    difference of the means over the classes
    spread  range of these means over the seeds, the larger of the two; NaN for one seed
    error   1.96 standard errors of the difference by the test images, as if they had other images: a careful choice
    """

    first: str
    second: str
    lead: float
    spread: float
    error: float

    @property
    def chance(self) -> float:
        """Lead up to which chance explains it: spread and error, whose squares add up; NaN for one seed."""
        return float(np.hypot(self.spread, self.error))

    @property
    def is_clear(self) -> bool:
        """True where the lead exceeds what chance explains; False for one seed."""
        return self.lead > self.chance + 1e-12


def measure_lead(cells: pd.DataFrame) -> Lead | None:
    """Return the lead of the best detector over the second; None for fewer than two with figures for all cells.

    Example:
        >>> areas = {"vae": (0.90, 0.92), "oc-nn": (0.94, 0.95)}
        >>> lines = [{"detector": name, "normal_class": "0", "seed": seed, "auc_roc": area, "auc_roc_error": 0.01,
        ...           "reason": ""} for name, pair in areas.items() for seed, area in enumerate(pair)]
        >>> lead = measure_lead(build_cells([{"training_images": 2, **line} for line in lines]))
        >>> lead.first, round(lead.lead, 4), round(lead.spread, 4), round(lead.error, 4), lead.is_clear
        ('oc-nn', 0.035, 0.02, 0.0277, True)
    """
    ranking = rank_detectors(cells)
    ranking = ranking[ranking["is_complete"]]
    if len(ranking) < 2:
        return None
    first, second = ranking.iloc[0], ranking.iloc[1]
    spreads = (float(first["spread"]), float(second["spread"]))
    return Lead(
        str(first["detector"]),
        str(second["detector"]),
        float(first["auc_roc"] - second["auc_roc"]),
        float(np.max(spreads)),
        CERTAINTY * float(np.hypot(first["error"], second["error"])),
    )


def choose_winner(cells: pd.DataFrame) -> str:
    """Return the detector with the best mean area, or "" where its lead over the second may be chance.

    The lead must exceed the range over the seeds and the error by the test images taken together, see `Lead`. A
    detector without randomness has no range, but its test images are a sample as well. One seed names no winner; a
    detector with a failed cell takes no part.
    """
    lead = measure_lead(cells)
    return lead.first if lead is not None and lead.is_clear else ""
