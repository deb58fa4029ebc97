"""Result of intervals of a folder: counts, speed, the worst events, and the folder of all tables."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from core.batch.file_inventory import FileList
from core.evaluation.interval_events import SEVERITIES
from core.messages import Message
from core.runs.result import Result
from core.tasks.intervals.spec import IntervalsFolderSpec


@dataclass(frozen=True)
class FolderIntervals(Result):
    """Counts of a folder whose series were judged; the tables are files in the folder `spec.out`.

    spec               spec of this run
    data               the input files
    series             number of series: entities in one file, for every measure
    rows, anomalies    number of judged points, and of those outside their interval
    severities         severity → number of events
    batches, files_skipped  totals, including earlier attempts
    batches_resumed    batches that an earlier attempt finished
    series_per_second  speed of this attempt
    seconds            duration of this attempt
    skipped            first skipped files with reasons; skipped.csv lists all
    notes              limits that a reader has to know
    events             worst events: event (from 1), file, and the columns of `Intervals.events`
    """

    spec: IntervalsFolderSpec
    data: FileList
    series: int
    rows: int
    anomalies: int
    severities: dict[str, int]
    batches: int
    batches_resumed: int
    files_skipped: int
    series_per_second: float
    seconds: float
    skipped: tuple[tuple[str, str], ...]
    notes: tuple[Message, ...]
    events: pd.DataFrame

    @property
    def event_count(self) -> int:
        """Number of events, of which `events` holds the worst."""
        return sum(self.severities.values())

    @property
    def promised_rate(self) -> float:
        """Promised share of usual points outside the interval."""
        return 1 - self.spec.level

    @property
    def alarm_rate(self) -> float:
        """Measured share of judged points outside the interval; NaN without any."""
        return self.anomalies / self.rows if self.rows else float("nan")

    @property
    def alarm_band(self) -> tuple[float, float]:
        """95 % range of the measured alarm rate if all points are usual and the promise is kept."""
        from core.evaluation.forecast_metrics import compute_binomial_band

        return compute_binomial_band(self.promised_rate, self.rows)

    def metrics(self) -> dict[str, float]:
        """Return the metrics to log; names that `Intervals` has too mean the same."""
        metrics = {
            "series": self.series,
            "rows_scored": self.rows,
            "anomalies": self.anomalies,
            "events": self.event_count,
            **{f"events_{name}": self.severities[name] for name in SEVERITIES[-2:]},
            "alarm_rate": self.alarm_rate,
            "promised_rate": self.promised_rate,
            "batches": self.batches,
            "batches_resumed": self.batches_resumed,
            "skipped": self.files_skipped,
            "series_per_second": self.series_per_second,
        }
        return {name: float(value) for name, value in metrics.items() if np.isfinite(value)}

    def to_frame(self) -> pd.DataFrame:
        """Return the worst events as a table to export; events.csv in the output folder holds all of them."""
        return self.events
