"""Scoring of every series in a folder, batch by batch; finished batches are not repeated.

file_inventory (list files) → batches (divide them into tasks) → score_batch (read, score, write), run by an
executor (this process, or workers of a Dask cluster). How the data of a batch are scored is up to the scorer of the
job. Content of the output folder:

    manifest.json                 model, settings and digest of the list of files that the results depend on
    part=000000/scores.parquet    scores of the rows (with a model: file, entity, row, time, score, anomaly); it marks
                                  the batch as finished
    part=000000/summary.parquet   one row per series of the batch; some scorers write further tables
    summary.parquet               one row per series: highest score, anomalies, first and last timestamp
    NAME.parquet                  a further table of the scorer, of all batches
    skipped.csv                   files that could not be read, with reasons

A series is the rows of one entity in one file. The daily files of NetMob23 are read together, and so are the .seq
windows of one folder.
"""

import time
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import pyarrow.parquet

from core.batch.batches import Grouping, iter_batches
from core.batch.executors import Executor
from core.batch.file_inventory import Folder, Inventory
from core.batch.job_spec import JobSpec
from core.batch.output import atomic_write
from core.batch.score_batch import SCORES_FILE, BatchResult
from core.errors import DataError
from core.exports import write_csv
from core.messages import N_, Message
from core.progress import Progress

MAX_FAILED_FILES = 100  # skipped files without any scored series, after which scoring stops
SKIPPED_FILE = "skipped.csv"


@dataclass(frozen=True)
class BatchConfig:
    """Division of the files: approximate rows per batch, and one model per group or one for all."""

    rows: int = 50_000
    grouping: Grouping = ""


@dataclass
class BatchProgress:
    """Counts of the finished batches; those of an earlier attempt are `resumed_batches` and `resumed_series`."""

    batches: int = 0
    resumed_batches: int = 0
    series: int = 0
    resumed_series: int = 0
    rows: int = 0
    anomalies: int = 0
    size: int = 0
    resumed_size: int = 0
    seconds: float = 0.0
    skipped: list[tuple[str, str]] = field(default_factory=list)

    def add(self, result: BatchResult) -> None:
        """Count a finished batch."""
        self.batches, self.resumed_batches = self.batches + 1, self.resumed_batches + (not result.is_new)
        self.series, self.rows = self.series + result.series, self.rows + result.rows
        self.anomalies, self.size = self.anomalies + result.anomalies, self.size + result.size
        self.resumed_series += 0 if result.is_new else result.series
        self.resumed_size += 0 if result.is_new else result.size
        self.skipped += result.skipped

    @property
    def files_skipped(self) -> int:
        """Number of files that could not be scored."""
        return len({file for file, _ in self.skipped})

    @property
    def series_per_second(self) -> float:
        """Speed of this attempt, in series per second."""
        return (self.series - self.resumed_series) / max(self.seconds, 1e-9)

    def estimate_remaining_seconds(self, size: int) -> float:
        """Return the estimated seconds for the rest of `size` bytes, at the speed so far."""
        return (size - self.size) * self.seconds / max(self.size - self.resumed_size, 1)


def score_folder(
    job: JobSpec, folder: Folder, inventory: Inventory, config: BatchConfig, executor: Executor, progress: Progress
) -> BatchProgress:
    """Score every series in `folder` that has no score yet, and write the files that the module lists.

    Raises DataError if no file can be scored, Cancelled between two batches, and the errors of `Executor.run`. Finished
    batches stay in every case.
    """
    batch_progress, start_time = BatchProgress(), time.monotonic()

    def on_tick() -> None:
        batch_progress.seconds = time.monotonic() - start_time
        share = min(batch_progress.size / inventory.size, 0.99) if inventory.size else 0.0
        progress.report(share, _format_progress(batch_progress, inventory))

    try:
        for result in executor.run(job, iter_batches(folder, config.rows, config.grouping), on_tick):
            batch_progress.add(result)
            on_tick()
            progress.add_point("series_per_second", batch_progress.series, batch_progress.series_per_second)
            if not batch_progress.series and len(batch_progress.skipped) >= MAX_FAILED_FILES:
                break
    finally:
        _write_skipped_files(job.out, batch_progress.skipped)
    if not batch_progress.series:
        raise DataError(
            N_("{file}: none of the first {count} files can be scored. First reason: {reason}"),
            file=folder.root.name,
            count=batch_progress.files_skipped,
            reason=batch_progress.skipped[0][1] if batch_progress.skipped else "-",
        )
    _join_tables(job.out)
    batch_progress.seconds = time.monotonic() - start_time
    progress.report(1.0)
    return batch_progress


def _format_progress(batch_progress: BatchProgress, inventory: Inventory) -> str:
    if batch_progress.size == batch_progress.resumed_size:
        return str(Message(N_("{count} series"), {"count": batch_progress.series}))
    minutes, seconds = divmod(round(batch_progress.estimate_remaining_seconds(inventory.size)), 60)
    values = {
        "count": batch_progress.series,
        "rate": round(batch_progress.series_per_second),
        "left": f"{minutes}:{seconds:02d}",
    }
    return str(Message(N_("{count} series, {rate}/s, {left} remaining"), values))


def _write_skipped_files(out: Path, skipped: Iterable[tuple[str, str]]) -> None:
    with atomic_write(out / SKIPPED_FILE) as draft:
        write_csv(pd.DataFrame(sorted(set(skipped)), columns=["file", "reason"]), draft)


def _join_tables(out: Path) -> None:
    """Write every table of the finished batches, except the scores, into one file, in the order of the batches.

    One row group is held in memory at a time.
    """
    with ExitStack() as stack:
        writers: dict[str, pyarrow.parquet.ParquetWriter] = {}
        for scores in sorted(out.glob(f"part=*/{SCORES_FILE}")):
            for path in sorted(scores.parent.glob("*.parquet")):
                if path.name == SCORES_FILE:
                    continue
                with pyarrow.parquet.ParquetFile(path) as file:
                    if path.name not in writers:
                        draft = stack.enter_context(atomic_write(out / path.name))
                        writer = pyarrow.parquet.ParquetWriter(draft, file.schema_arrow, compression="zstd")
                        writers[path.name] = stack.enter_context(writer)
                    for row_group in range(file.num_row_groups):
                        writers[path.name].write_table(file.read_row_group(row_group))
