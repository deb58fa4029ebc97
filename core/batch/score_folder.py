"""Score every series below a folder, batch by batch; what is finished stays finished.

file_inventory (which files) → batches (what one task reads) → score_batch (read, score, write), carried out by an
executor (this process, or workers of a Dask cluster). Below the folder of results:

    manifest.json                 model, settings, digest of the list of files: what the results are the results of
    part=000000/scores.parquet    file, entity, row, time, score, anomaly; a batch that has it is finished
    part=000000/summary.parquet   one row per series of the batch
    summary.parquet               one row per series: highest score, anomalies, first and last moment
    skipped.csv                   files that could not be read, and why

A series is what one file says of one entity; NetMob23's files of days, and .seq windows of one folder, are read
together.
"""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import pyarrow.parquet

from core.batch.batches import Per, iter_batches
from core.batch.executors import Executor
from core.batch.file_inventory import Folder, Inventory
from core.batch.job_spec import JobSpec
from core.batch.output import atomic_write
from core.batch.score_batch import SUMMARY, SUMMARY_SCHEMA, BatchResult
from core.errors import DataError
from core.exports import written_csv
from core.messages import N_, Text
from core.progress import Progress

MAX_VAIN_FILES = 100  # without any series, after which the others are not tried
SKIPPED = "skipped.csv"


@dataclass(frozen=True)
class BatchConfig:
    """How files are divided: about so many rows to a batch, one model per group or one for all."""

    rows: int = 50_000
    per: Per = ""


@dataclass
class BatchProgress:
    """What was done so far. `resumed` batches, and the series in them, were finished before."""

    batches: int = 0
    resumed: int = 0
    series: int = 0
    resumed_series: int = 0
    rows: int = 0
    anomalies: int = 0
    size: int = 0
    resumed_size: int = 0
    seconds: float = 0.0
    skipped: list[tuple[str, str]] = field(default_factory=list)

    def add(self, result: BatchResult) -> None:
        """Count a batch that ended."""
        self.batches, self.resumed = self.batches + 1, self.resumed + (not result.fresh)
        self.series, self.rows = self.series + result.series, self.rows + result.rows
        self.anomalies, self.size = self.anomalies + result.anomalies, self.size + result.size
        self.resumed_series += 0 if result.fresh else result.series
        self.resumed_size += 0 if result.fresh else result.size
        self.skipped += result.skipped

    @property
    def files_skipped(self) -> int:
        """How many files could not be scored."""
        return len({file for file, _ in self.skipped})

    @property
    def series_per_second(self) -> float:
        """The rate of those that were scored now."""
        return (self.series - self.resumed_series) / max(self.seconds, 1e-9)

    def seconds_left(self, size: int) -> float:
        """Return the seconds for the rest of `size` bytes, as fast as those so far."""
        return (size - self.size) * self.seconds / max(self.size - self.resumed_size, 1)


def score_folder(
    job: JobSpec, folder: Folder, inventory: Inventory, config: BatchConfig, executor: Executor, progress: Progress
) -> BatchProgress:
    """Score every series below `folder` that is not scored yet, and write what the module says.

    Raises DataError where no file can be scored, Cancelled between two batches; then what is finished stays. Also what
    `Executor.run` raises.
    """
    done, began = BatchProgress(), time.monotonic()

    def on_tick() -> None:
        done.seconds = time.monotonic() - began
        share = min(done.size / inventory.size, 0.99) if inventory.size else 0.0
        progress.tell(share, _progress_text(done, inventory))

    try:
        for result in executor.run(job, iter_batches(folder, config.rows, config.per), on_tick):
            done.add(result)
            on_tick()
            progress.draw("series_per_second", done.series, done.series_per_second)
            if not done.series and len(done.skipped) >= MAX_VAIN_FILES:
                break
    finally:
        _write_skipped(job.out, done.skipped)
    if not done.series:
        raise DataError(
            N_("{file}: none of the first {count} files can be scored; the first: {reason}"),
            file=folder.root.name,
            count=done.files_skipped,
            reason=done.skipped[0][1] if done.skipped else "-",
        )
    _write_summary(job.out)
    done.seconds = time.monotonic() - began
    progress.tell(1.0)
    return done


def _progress_text(done: BatchProgress, inventory: Inventory) -> str:
    if done.size == done.resumed_size:
        return str(Text(N_("{count} series"), {"count": done.series}))
    minutes, seconds = divmod(round(done.seconds_left(inventory.size)), 60)
    values = {"count": done.series, "rate": round(done.series_per_second), "left": f"{minutes}:{seconds:02d}"}
    return str(Text(N_("{count} series, {rate}/s, {left} left"), values))


def _write_skipped(out: Path, skipped: Iterable[tuple[str, str]]) -> None:
    with atomic_write(out / SKIPPED) as draft:
        written_csv(pd.DataFrame(sorted(set(skipped)), columns=["file", "reason"]), draft)


def _write_summary(out: Path) -> None:
    """Write the summaries of all batches into one file, one after the other."""
    with (
        atomic_write(out / SUMMARY) as draft,
        pyarrow.parquet.ParquetWriter(draft, SUMMARY_SCHEMA, compression="zstd") as writer,
    ):
        for part in sorted(out.glob(f"part=*/{SUMMARY}")):
            writer.write_table(pyarrow.parquet.read_table(part, partitioning=None))
