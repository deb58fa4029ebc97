"""Result of the batch task: counts, speed, skipped files and the folder of the scores."""

from dataclasses import dataclass

import pandas as pd

from core.batch.file_inventory import FileList
from core.messages import Message
from core.runs.result import Result
from core.tasks.batch.spec import BatchApplySpec, BatchSpec


@dataclass(frozen=True)
class BatchScoringResult(Result):
    """Counts of a scored folder; the scores are files in the folder `spec.out`.

    spec               spec of this run.
    data               the input files.
    series, rows, anomalies, batches, files_skipped  totals, including earlier attempts.
    batches_resumed    batches that an earlier attempt finished.
    series_per_second  speed of this attempt.
    seconds            duration of scoring.
    skipped            first skipped files with reasons; skipped.csv lists all.
    notes              limits of the scores, to show with the result.
    """

    spec: BatchSpec | BatchApplySpec
    data: FileList
    series: int
    rows: int
    anomalies: int
    batches: int
    batches_resumed: int
    files_skipped: int
    series_per_second: float
    seconds: float
    skipped: tuple[tuple[str, str], ...] = ()
    notes: tuple[Message, ...] = ()

    def metrics(self) -> dict[str, float]:
        """Return the metrics to log."""
        return {
            "series": self.series,
            "rows": self.rows,
            "anomalies": self.anomalies,
            "skipped": self.files_skipped,
            "batches": self.batches,
            "batches_resumed": self.batches_resumed,
            "series_per_second": self.series_per_second,
            "flagged": self.anomalies / max(self.rows, 1),
        }

    def to_frame(self) -> pd.DataFrame:
        """Return the metrics as a table of one row; summary.parquet in the output folder has one row per series."""
        return pd.DataFrame([self.metrics()])
