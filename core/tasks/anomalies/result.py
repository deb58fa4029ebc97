"""Rows found abnormal: the question, the ranked rows, and the cells that explain them."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.data.dataset import Dataset
from core.detectors.row_model import RowModel
from core.errors import NotFoundError
from core.messages import N_

SEVERITIES = (N_("mild"), N_("notable"), N_("rare"), N_("extreme"))
"""By rarity among the rows the model was fitted on: below the top 1 %, top 1 %, 1 in 1,000, 1 in 10,000."""

EXPLAINED_ROWS = 2000
CAUSES = 3
BAND = 2.0  # spreads on either side of what was expected


@dataclass(frozen=True)
class Question:
    """What was asked: the part of a result that does not depend on rows."""

    detector: str
    settings: dict[str, Any]
    compare_with: str
    incomplete: str
    contamination: float
    threshold: float
    dataset: str
    files: tuple[str, ...]
    unit: str
    profile: bool
    columns: tuple[str, ...]
    rows_left_out: int
    risk: float | None = None  # where the threshold comes from the tail of the scores instead of the contamination
    fitted_by: str = ""
    judged_in: str = ""  # the run whose verdicts the threshold comes from, where people chose it
    entities: tuple[str, ...] = ()
    start: str = ""
    end: str = ""


@dataclass(frozen=True)
class Detection:
    """Scored rows, the highest first.

    rows    entity, time, score, severity (0 … 3), anomaly, amount (sum of a profile's row, else its mean), expected
            amount, causes (the columns that deviate most, for rows worth explaining)
    cells   for the rows worth explaining (every anomaly, at least the top ones): row, column, value, expected, low,
            high,
            deviation in spreads
    """

    question: Question
    rows: pd.DataFrame
    cells: pd.DataFrame

    @classmethod
    def of(cls, question: Question, model: RowModel, ready: Dataset, scores: NDArray[np.float64]) -> "Detection":
        """Rank the rows of `ready` and explain those at the top."""
        order = np.argsort(-scores, kind="stable")
        anomalous = scores > question.threshold
        top = order[: max(int(anomalous.sum()), min(EXPLAINED_ROWS, len(order)))]
        reduced = np.sum if question.profile else np.mean
        rows = pd.DataFrame(
            {
                "entity": pd.Categorical.from_codes(ready.entity_codes[order], ready.entities),
                "time": ready.time[order],
                "score": scores[order],
                "severity": model.rarity(scores[order]).astype(np.int8),
                "anomaly": anomalous[order],
                "amount": reduced(ready.values, axis=1)[order],
            }
        )
        explained = ready.rows(top)
        expected, spread = model.comparison.expected(explained)
        deviations = model.comparison.deviations(explained)
        rows["expected"] = np.nan
        rows.loc[: len(top) - 1, "expected"] = reduced(expected, axis=1)
        rows["causes"] = ""
        rows.loc[: len(top) - 1, "causes"] = _causes(deviations)
        return cls(question, rows, _cells(explained, expected, spread, deviations))

    @property
    def anomalies(self) -> pd.DataFrame:
        """The rows above the threshold, the most anomalous first."""
        return self.rows[self.rows["anomaly"]]

    def metrics(self) -> dict[str, float]:
        """What a run logs."""
        found = self.anomalies
        return {
            "rows": len(self.rows),
            "anomalies": len(found),
            "anomaly_share": len(found) / max(len(self.rows), 1),
            "rows_left_out": self.question.rows_left_out,
            "entities": self.rows["entity"].nunique(),
            "entities_with_anomalies": found["entity"].nunique(),
            "extreme_anomalies": int((found["severity"] == 3).sum()),
            "threshold": self.question.threshold,
            "highest_score": float(self.rows["score"].max()),
        }

    def to_frame(self) -> pd.DataFrame:
        """The ranked rows as a table to export: severity in words, the deviation from what was expected."""
        table = self.rows.assign(
            rank=np.arange(1, len(self.rows) + 1),
            severity=np.asarray(SEVERITIES, dtype=object)[self.rows["severity"]],
            deviation=self.rows["amount"] - self.rows["expected"],
            unit=self.question.unit,
        )
        first = ["rank", "entity", "time", "score", "severity", "anomaly", "amount", "expected", "deviation", "unit"]
        return table[[*first, "causes"]]

    def explained(self, row: int) -> pd.DataFrame:
        """The cells of one row of `rows` (by position); empty where the row was not worth explaining."""
        return self.cells[self.cells["row"] == row].drop(columns="row").reset_index(drop=True)

    def save(self, folder: Path) -> None:
        """Write the result below `folder`; `load` reads it back."""
        folder.mkdir(parents=True, exist_ok=True)
        self.rows.to_parquet(folder / "rows.parquet", compression="zstd", index=False)
        self.cells.to_parquet(folder / "cells.parquet", compression="zstd", index=False)
        (folder / "question.json").write_text(json.dumps(asdict(self.question), ensure_ascii=False), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> "Detection":
        """Raises NotFoundError where `folder` holds no detection."""
        try:
            written = json.loads((folder / "question.json").read_text(encoding="utf-8"))
            fields: dict[str, Any] = {
                name: tuple(value) if isinstance(value, list) else value for name, value in written.items()
            }
            return cls(
                Question(**fields), pd.read_parquet(folder / "rows.parquet"), pd.read_parquet(folder / "cells.parquet")
            )
        except (OSError, TypeError, ValueError) as error:
            raise NotFoundError(N_("This run holds no detection that could be shown.")) from error


def _causes(deviations: pd.DataFrame) -> list[str]:
    """The columns that deviate most, up to three per row, as "19:00 +9.1σ, …"."""
    values = deviations.to_numpy()
    names = list(deviations.columns)
    first = np.argsort(-np.abs(values), axis=1, kind="stable")[:, :CAUSES]
    return [
        ", ".join(f"{names[column]} {values[row, column]:+.1f}σ" for column in columns)
        for row, columns in enumerate(first)
    ]


def _cells(
    dataset: Dataset, expected: NDArray[np.float64], spread: NDArray[np.float64], deviations: pd.DataFrame
) -> pd.DataFrame:
    count = len(dataset.columns)
    return pd.DataFrame(
        {
            "row": np.repeat(np.arange(len(dataset), dtype=np.int32), count),
            "column": pd.Categorical.from_codes(np.tile(np.arange(count), len(dataset)), dataset.columns),
            "value": dataset.values.ravel().astype(np.float32),
            "expected": expected.ravel().astype(np.float32),
            "low": (expected - BAND * spread).ravel().astype(np.float32),
            "high": (expected + BAND * spread).ravel().astype(np.float32),
            "deviation": deviations[dataset.columns].to_numpy().ravel().astype(np.float32),
        }
    )
