"""Result of the sequences task: scored rows, events, explanations and metrics."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from typing_extensions import override

from core.data.dataset import DataSummary
from core.evaluation.alarm_rates import convert_rate_to_alarms
from core.evaluation.events import MAX_GAP_ROWS
from core.evaluation.threshold_views import ScoredRows
from core.messages import Message
from core.runs.result import Result
from core.spec.spec import ApplySpec, ThresholdSpec
from core.tasks.anomalies.result import SEVERITIES
from core.tasks.sequences.spec import PER_1000_ROWS, Period, SequenceSpec

NEW_EVENT_COLUMNS: Mapping[str, Any] = {
    "kind": "anomaly",
    "column": "",
    "measured": np.nan,
    "usual_low": np.nan,
    "usual_high": np.nan,
    "unflagged_by": "",
    "unflagged_column": "",
    "unflagged_low": np.nan,
    "unflagged_high": np.nan,
    "unflagged": "",
}
"""Columns of events that runs of earlier versions did not store, with their default."""

MAX_CELL_COLUMNS = 6  # columns with cells per event


@dataclass(frozen=True)
class SequenceDetection(Result):
    """Scored rows of series, and the events that consecutive anomalies form.

    spec        spec of this run.
    model_spec  spec of the run that fitted the model; the same as `spec` unless an existing model was applied.
    data        files, unit and columns of the dataset.
    threshold   score above which a row is an anomaly, computed by `method`.
    promise     target false-alarm rate: largest share of normal rows above the threshold; None without target.
    per         period, or 1,000 rows, in which alarms are counted.
    mode        mode of scoring: exact windows, or row by row.
    sampling_seconds  seconds from one row to the next; None without dates, or with one timestamp only.
    rows        entity, time, score, anomaly, fitted (training row; never an anomaly), event (position in `events`, −1
                without), category (most likely mode, −1 without), label (only with labels), threshold (only if it
                adapts). The rows of an entity are together, in chronological order.
    events      entity, start, end, rows (number of anomalies), peak, kind (anomaly, or lasting change), causes (first
                columns with their weights), column (first cause) with its measured value and the ends of its usual
                range (usual_low, usual_high), severity (0 … 3), odds (conformal p-value of the peak). Also known
                (contains a labelled row; half of the rows for a lasting change; only with labels), first and last
                (positions in `rows`). The highest peak is first.
                unflagged holds ranges with which no row of the event would have been flagged; unflagged_column,
                unflagged_low and unflagged_high are the first of them. unflagged_by is "one column", "several columns",
                "no column" (no range was found), or "" (there was no search).
    shares      entity, time and "0", "1" …: largest share of every column per bin, at most 2,000 bins per entity.
    categories  entity, time and "0", "1" …: mean membership in every mode per bin; empty without modes.
    cells       values around the first 200 events, for the columns that explain them: event, time, inside, column,
                value, expected, low and high (usual range), share, rank (of the column among the causes).
    curves      curve, step, value: training curves.
    card        line (name of detector or baseline) and a column per metric, the detector first; empty without labels.
    figures     other measurements: alarm rate with its confidence interval, rows per second, hit rates ….
    notes       limits of the result, to show with it.
    """

    spec: SequenceSpec | ApplySpec | ThresholdSpec
    model_spec: SequenceSpec
    data: DataSummary
    threshold: float
    method: str
    target_rate: float | None
    per: Period
    mode: str
    sampling_seconds: float | None
    rows: pd.DataFrame
    events: pd.DataFrame
    shares: pd.DataFrame
    categories: pd.DataFrame
    cells: pd.DataFrame
    curves: pd.DataFrame
    card: pd.DataFrame
    measurements: dict[str, float]
    notes: tuple[Message, ...] = ()

    @classmethod
    @override
    def load(cls, folder: Path) -> Self:
        result = super().load(folder)
        return replace(result, events=_upgrade_events(result.events), cells=_upgrade_cells(result.cells))

    @property
    def is_labelled(self) -> bool:
        """True if the rows have labels."""
        return "label" in self.rows

    @property
    def is_dated(self) -> bool:
        """True if the rows have dates instead of row numbers."""
        return bool(pd.api.types.is_datetime64_any_dtype(self.rows["time"]))

    @property
    def has_train_rows(self) -> bool:
        """True if some of these rows are training rows of the model."""
        return bool(self.rows["fitted"].any())

    @property
    def test_rows(self) -> pd.DataFrame:
        """Rows that the model was not fitted on."""
        return self.rows[~self.rows["fitted"]]

    @property
    def measured_rate(self) -> float:
        """Share of flagged rows, 0–1.

        With labels, it is the share among the rows that are neither labelled abnormal nor part of an event with such a
        row. Without labels, it is the share among all test rows.
        """
        return self.measurements.get("measured_rate", float("nan"))

    @property
    def exceeds_target_rate(self) -> bool:
        """True if the measured rate is significantly above the target false-alarm rate."""
        return self.target_rate is not None and self.measurements.get("measured_low", 0.0) > self.target_rate

    @property
    def promise_kept(self) -> bool | None:
        """False if the measured rate is significantly above the target rate; None without target."""
        return None if self.target_rate is None else not self.exceeds_target_rate

    def count_alarms(self, share: float) -> float:
        """Return the number of alarms per period, over all entities together, for a share of rows, 0–1.

        The period is 1,000 rows for rows without dates.
        """
        if self.per == PER_1000_ROWS or self.sampling_seconds is None:
            return share * 1000
        return convert_rate_to_alarms(share, self.per, self.sampling_seconds, self.rows["entity"].nunique())

    def metrics(self) -> dict[str, float]:
        """Return the metrics to log."""
        test_rows = self.test_rows
        values = {
            "rows": len(self.rows),
            "rows_fitted": len(self.rows) - len(test_rows),
            "rows_scored": len(test_rows),
            "anomalies": int(test_rows["anomaly"].sum()),
            "anomaly_share": float(test_rows["anomaly"].mean()) if len(test_rows) else 0.0,
            "events": len(self.events),
            "entities": self.rows["entity"].nunique(),
            "entities_with_events": self.events["entity"].nunique(),
            "threshold": self.threshold,
            **({} if self.target_rate is None else {"target_rate": self.target_rate}),
            **({} if self.promise_kept is None else {"promise_kept": self.promise_kept}),
            **self.measurements,
            **self._card_metrics(),
        }
        return {name: float(value) for name, value in values.items() if np.isfinite(value)}

    def _card_metrics(self) -> dict[str, float]:
        """Return the card as metrics: the detector's under their own names, those of baselines as line.metric."""
        metrics: dict[str, float] = {}
        for number, line in enumerate(self.card.to_dict("records")):
            name = line.pop("line")
            line["f1_threshold"] = line.pop("threshold")  # threshold of the best F1, not of this detection
            metrics |= {metric if number == 0 else f"{name}.{metric}": float(value) for metric, value in line.items()}
        return metrics

    def to_frame(self) -> pd.DataFrame:
        """Return the rows as a table to export, with event numbers and severity names."""
        event = self.rows["event"].to_numpy()
        severity = np.append(self.events["severity"].to_numpy(dtype=int), -1)[event]
        table = self.rows.assign(
            entity=self.rows["entity"].astype(str),
            event=pd.array(np.where(event < 0, 0, event + 1), dtype="Int64"),
            severity=np.asarray((*SEVERITIES, ""), dtype=object)[severity],
            threshold=self.rows.get("threshold", self.threshold),
        )
        table.loc[event < 0, "event"] = pd.NA
        return table.drop(columns="category") if self.categories.empty else table

    def build_event_table(self) -> pd.DataFrame:
        """Return the events as a table to export, the highest peak first."""
        words = np.asarray(SEVERITIES, dtype=object)[self.events["severity"].to_numpy(dtype=int)]
        table = self.events.assign(entity=self.events["entity"].astype(str), severity=words)
        table.insert(0, "event", np.arange(1, len(table) + 1))
        return table.drop(columns=["first", "last"])

    def select_rows(self, entity: str) -> pd.DataFrame:
        """Return the rows of one entity in chronological order."""
        return self.rows[(self.rows["entity"] == entity).to_numpy()]

    def select_events(self, entity: str) -> pd.DataFrame:
        """Return the events of one entity, the highest peak first."""
        return self.events[(self.events["entity"] == entity).to_numpy()]

    def rank_columns(self, entity: str) -> list[str]:
        """Return the causes of the events of an entity, first causes and high peaks first; all columns without."""
        cells = self.cells[self.cells["event"].isin(self.select_events(entity).index)]
        if cells.empty:
            return list(self.data.columns)
        return [str(column) for column in cells.sort_values(["rank", "event"], kind="stable")["column"].unique()]

    def list_alarms(self) -> pd.DataFrame:
        """Return entity, time, end and score of every event, for feedback."""
        events = self.events.rename(columns={"start": "time", "peak": "score"})
        return events[["entity", "time", "end", "score"]]

    def list_scored_rows(self) -> ScoredRows:
        """Return the test rows, which the threshold is compared with, and their labels."""
        return ScoredRows.from_table(self.test_rows, self.test_rows.get("label"), MAX_GAP_ROWS)


def _upgrade_events(events: pd.DataFrame) -> pd.DataFrame:
    """Return the events with the columns that runs of earlier versions did not store.

    They stored two lists of causes. The one by distance to the moving mean is kept.
    """
    if "ranked" in events:
        first_cause = events["ranked"].str.split(", ").str[0]
        events = events.assign(causes=events["ranked"], column=first_cause).drop(columns="ranked")
    missing = {name: value for name, value in NEW_EVENT_COLUMNS.items() if name not in events}
    return events.assign(**missing)


def _upgrade_cells(cells: pd.DataFrame) -> pd.DataFrame:
    """Return the cells with one rank of the columns; runs of earlier versions stored two."""
    if "by_distance" not in cells:
        return cells
    shown = cells[cells["by_distance"] < MAX_CELL_COLUMNS]
    return shown.rename(columns={"by_distance": "rank"}).drop(columns="by_share")
