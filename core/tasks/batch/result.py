"""What became of the files of a folder: how much was scored, and where the scores lie."""

from dataclasses import dataclass

import pandas as pd

from core.batch.file_inventory import FileList
from core.messages import Text
from core.runs.result import Result
from core.tasks.batch.spec import BatchApplySpec, BatchSpec


@dataclass(frozen=True)
class BatchScoringResult(Result):
    """What was done; the scores themselves lie in the folder `spec.out`.

    spec               what was asked of this run
    data               the files that were scored
    series, rows, anomalies, batches, files_skipped   how many there are, those of earlier attempts counted
    batches_resumed    batches that an earlier attempt had finished
    series_per_second  of those that were scored now
    seconds            that scoring took
    skipped            the first files that could not be scored, and why; all of them are in skipped.csv
    notes              what a person should know before believing it
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
    notes: tuple[Text, ...] = ()

    def metrics(self) -> dict[str, float]:
        """What a run logs."""
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
        """The metrics as a table of one row; one row per series is in summary.parquet, beside the scores."""
        return pd.DataFrame([self.metrics()])
