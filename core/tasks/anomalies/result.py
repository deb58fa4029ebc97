"""Rows that are abnormal: ranked, with the cells that explain them."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.data.dataset import Dataset, DataSummary
from core.detectors.row_model import RowModel
from core.messages import N_
from core.runs.result import Result
from core.spec.spec import ApplySpec, ThresholdSpec
from core.tasks.anomalies.spec import DetectionSpec

SEVERITIES = (N_("mild"), N_("notable"), N_("rare"), N_("extreme"))
"""By rarity among the rows the model was fitted on: below the top 1 %, top 1 %, 1 in 1,000, 1 in 10,000."""

EXPLAINED_ROWS = 2000
CAUSES = 3
BAND = 2.0  # spreads on either side of what was expected


@dataclass(frozen=True)
class Detection(Result):
    """Scored rows, the highest first.

    spec           what was asked of this run
    model_spec     what was asked of the run that fitted the model: the same, unless a model was applied
    data           the dataset's files, unit and columns
    threshold      rows with a higher score are anomalies
    rows_left_out  incomplete rows, which have no score
    rows           entity, time, score, severity (0 … 3), anomaly, amount (sum of a profile's row, else its mean),
                   expected amount, causes (the columns that deviate most, for rows worth explaining)
    cells          for the rows worth explaining (every anomaly, at least the top ones): row, column, value, expected,
                   low, high, deviation in spreads
    threshold_run  the run whose verdicts led to the threshold; "" where it comes from the scores
    """

    spec: DetectionSpec | ApplySpec | ThresholdSpec
    model_spec: DetectionSpec
    data: DataSummary
    threshold: float
    rows_left_out: int
    rows: pd.DataFrame
    cells: pd.DataFrame
    threshold_run: str = ""

    @property
    def anomalies(self) -> pd.DataFrame:
        """The rows above the threshold, the most anomalous first."""
        return self.rows[self.rows["anomaly"]]

    def metrics(self) -> dict[str, float]:
        """What a run logs."""
        anomalies = self.anomalies
        return {
            "rows": len(self.rows),
            "anomalies": len(anomalies),
            "anomaly_share": len(anomalies) / max(len(self.rows), 1),
            "rows_left_out": self.rows_left_out,
            "entities": self.rows["entity"].nunique(),
            "entities_with_anomalies": anomalies["entity"].nunique(),
            "extreme_anomalies": int((anomalies["severity"] == 3).sum()),
            "threshold": self.threshold,
            "highest_score": float(self.rows["score"].max()),
        }

    def to_frame(self) -> pd.DataFrame:
        """The ranked rows as a table to export: severity in words, the deviation from what was expected."""
        table = self.rows.assign(
            rank=np.arange(1, len(self.rows) + 1),
            severity=np.asarray(SEVERITIES, dtype=object)[self.rows["severity"]],
            deviation=self.rows["amount"] - self.rows["expected"],
            unit=self.data.unit,
        )
        first = ["rank", "entity", "time", "score", "severity", "anomaly", "amount", "expected", "deviation", "unit"]
        return table[[*first, "causes"]]

    def explained(self, row: int) -> pd.DataFrame:
        """The cells of one row of `rows` (by position); empty where the row was not worth explaining."""
        return self.cells[self.cells["row"] == row].drop(columns="row").reset_index(drop=True)

    def alarm_rows(self) -> pd.DataFrame:
        """Return what people can judge: entity, time and score of every row."""
        return self.rows[["entity", "time", "score"]]

    def judged_scores(self) -> NDArray[np.float64]:
        """Return the scores that the threshold divides."""
        return self.rows["score"].to_numpy(dtype=np.float64)


def rank_rows(
    model: RowModel, ready: Dataset, scores: NDArray[np.float64], threshold: float
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the rows of `ready`, the highest score first, and the cells that explain those at the top."""
    order = np.argsort(-scores, kind="stable")
    anomalous = scores > threshold
    top = order[: max(int(anomalous.sum()), min(EXPLAINED_ROWS, len(order)))]
    reduce = np.sum if ready.profile else np.mean
    rows = pd.DataFrame(
        {
            "entity": pd.Categorical.from_codes(ready.entity_codes[order], ready.entities),
            "time": ready.time[order],
            "score": scores[order],
            "severity": model.rarity(scores[order]).astype(np.int8),
            "anomaly": anomalous[order],
            "amount": reduce(ready.values, axis=1)[order],
        }
    )
    explained = ready.rows(top)
    expected, spread = model.comparison.expected(explained)
    deviations = model.comparison.deviations(explained)
    rows["expected"] = np.nan
    rows.loc[: len(top) - 1, "expected"] = reduce(expected, axis=1)
    rows["causes"] = ""
    rows.loc[: len(top) - 1, "causes"] = _causes(deviations)
    return rows, _cells(explained, expected, spread, deviations)


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
