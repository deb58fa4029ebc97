"""Result of the anomalies task: ranked rows, with the cells that explain them."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.data.dataset import Dataset, DataSummary
from core.detectors.row_model import RowModel
from core.evaluation.threshold_views import ScoredRows
from core.messages import N_, Message
from core.runs.result import Result
from core.spec.spec import ApplySpec, ThresholdSpec
from core.tasks.anomalies.spec import DetectionSpec

SEVERITIES = (N_("mild"), N_("notable"), N_("rare"), N_("extreme"))
"""Names of the severities 0 … 3: below the top 1 % of the training scores, in the top 1 %, 1 in 1,000, 1 in 10,000."""

MIN_EXPLAINED_ROWS = 2000
MAX_CAUSES = 3
BAND_HALF_WIDTH = 2.0  # half width of the expected band, in spreads


@dataclass(frozen=True)
class Detection(Result):
    """Scored rows of a dataset, sorted from the highest score to the lowest.

    spec           spec of this run.
    model_spec     spec of the run that fitted the model; the same as `spec` unless an existing model was applied.
    data           files, unit and columns of the dataset.
    threshold      score above which a row is an anomaly.
    rows_left_out  number of incomplete rows, which have no score.
    rows           entity, time, score, severity (0 … 3), anomaly, amount (sum of a daily profile, else mean of a row),
                   expected amount, causes (the columns that deviate most; for explained rows only).
    cells          cells of the explained rows (every anomaly, and at least the top rows): row, column, value, expected,
                   low, high, deviation in spreads.
    threshold_run  run whose verdicts led to the threshold; "" for a threshold computed from scores.
    method         how the threshold was computed, see `Threshold`; "" in runs of earlier versions.
    target_rate    largest share of normal rows above the threshold; None for a threshold without target.
    notes          limits of the result, to show with it.
    """

    spec: DetectionSpec | ApplySpec | ThresholdSpec
    model_spec: DetectionSpec
    data: DataSummary
    threshold: float
    rows_left_out: int
    rows: pd.DataFrame
    cells: pd.DataFrame
    threshold_run: str = ""
    method: str = ""
    target_rate: float | None = None
    notes: tuple[Message, ...] = ()

    @property
    def anomalies(self) -> pd.DataFrame:
        """Rows above the threshold, the highest score first."""
        return self.rows[self.rows["anomaly"]]

    def metrics(self) -> dict[str, float]:
        """Return the metrics to log."""
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
        """Return the ranked rows as a table to export, with severity names and deviations from the expected amount."""
        table = self.rows.assign(
            rank=np.arange(1, len(self.rows) + 1),
            severity=np.asarray(SEVERITIES, dtype=object)[self.rows["severity"]],
            deviation=self.rows["amount"] - self.rows["expected"],
            unit=self.data.unit,
        )
        leading_columns = [
            "rank",
            "entity",
            "time",
            "score",
            "severity",
            "anomaly",
            "amount",
            "expected",
            "deviation",
            "unit",
        ]
        return table[[*leading_columns, "causes"]]

    def select_cells(self, row: int) -> pd.DataFrame:
        """Return the cells of one row, given its position in `take_rows`; empty for a row that is not explained."""
        return self.cells[self.cells["row"] == row].drop(columns="row").reset_index(drop=True)

    def list_alarms(self) -> pd.DataFrame:
        """Return entity, time and score of every row, for feedback."""
        return self.rows[["entity", "time", "score"]]

    def list_scored_rows(self) -> ScoredRows:
        """Return all rows, which the threshold is compared with."""
        return ScoredRows.from_table(self.rows)


def rank_rows(
    model: RowModel, complete_rows: Dataset, scores: NDArray[np.float64], threshold: float
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the rows of `complete_rows` by descending score, and the cells that explain the top rows."""
    order = np.argsort(-scores, kind="stable")
    anomalous = scores > threshold
    top = order[: max(int(anomalous.sum()), min(MIN_EXPLAINED_ROWS, len(order)))]
    reduce = np.sum if complete_rows.profile else np.mean
    rows = pd.DataFrame(
        {
            "entity": pd.Categorical.from_codes(complete_rows.entity_codes[order], complete_rows.entities),
            "time": complete_rows.time[order],
            "score": scores[order],
            "severity": model.classify_rarity(scores[order]).astype(np.int8),
            "anomaly": anomalous[order],
            "amount": reduce(complete_rows.values, axis=1)[order],
        }
    )
    explained_rows = complete_rows.take_rows(top)
    expected, spread = model.baseline.predict_values(explained_rows)
    deviations = model.baseline.compute_deviations(explained_rows)
    rows["expected"] = np.nan
    rows.loc[: len(top) - 1, "expected"] = reduce(expected, axis=1)
    rows["causes"] = ""
    rows.loc[: len(top) - 1, "causes"] = _format_causes(deviations)
    return rows, _build_cells(explained_rows, expected, spread, deviations)


def _format_causes(deviations: pd.DataFrame) -> list[str]:
    """Return the columns that deviate most, up to three per row, as "19:00 +9.1σ, …"."""
    values = deviations.to_numpy()
    names = list(deviations.columns)
    top_columns = np.argsort(-np.abs(values), axis=1, kind="stable")[:, :MAX_CAUSES]
    return [
        ", ".join(f"{names[column]} {values[row, column]:+.1f}σ" for column in columns)
        for row, columns in enumerate(top_columns)
    ]


def _build_cells(
    dataset: Dataset, expected: NDArray[np.float64], spread: NDArray[np.float64], deviations: pd.DataFrame
) -> pd.DataFrame:
    count = len(dataset.columns)
    return pd.DataFrame(
        {
            "row": np.repeat(np.arange(len(dataset), dtype=np.int32), count),
            "column": pd.Categorical.from_codes(np.tile(np.arange(count), len(dataset)), dataset.columns),
            "value": dataset.values.ravel().astype(np.float32),
            "expected": expected.ravel().astype(np.float32),
            "low": (expected - BAND_HALF_WIDTH * spread).ravel().astype(np.float32),
            "high": (expected + BAND_HALF_WIDTH * spread).ravel().astype(np.float32),
            "deviation": deviations[dataset.columns].to_numpy().ravel().astype(np.float32),
        }
    )
