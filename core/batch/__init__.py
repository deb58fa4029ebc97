"""Many series from a folder of files, scored batch by batch; what is finished stays finished.

listing (which files) → batches (what one task reads) → tasks (read, score, write), carried out at a place (this
process, or workers of a Dask cluster). Below the folder of results:

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

from core.batch.batches import Batch, Per, batches
from core.batch.executors import Place
from core.batch.listing import Folder, Inventory
from core.batch.output import Fit, Work, begun, digest, written
from core.batch.score_batch import OF_SUMMARY, SUMMARY, Done
from core.errors import DataError
from core.exports import written_csv
from core.messages import N_, Text
from core.progress import Progress

IN_VAIN = 100  # files without any series, after which the others are not tried
SKIPPED = "skipped.csv"


@dataclass
class Tally:
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

    def add(self, done: Done) -> None:
        self.batches, self.resumed = self.batches + 1, self.resumed + (not done.fresh)
        self.series, self.rows = self.series + done.series, self.rows + done.rows
        self.anomalies, self.size = self.anomalies + done.anomalies, self.size + done.size
        self.resumed_series += 0 if done.fresh else done.series
        self.resumed_size += 0 if done.fresh else done.size
        self.skipped += done.skipped

    @property
    def files_skipped(self) -> int:
        return len({file for file, _ in self.skipped})

    @property
    def series_per_second(self) -> float:
        """Of those that were scored now."""
        return (self.series - self.resumed_series) / max(self.seconds, 1e-9)

    def left(self, size: int) -> float:
        """Seconds for the rest of `size` bytes, as fast as those so far."""
        return (size - self.size) * self.seconds / max(self.size - self.resumed_size, 1)

    def metrics(self) -> dict[str, float]:
        return {
            "series": self.series,
            "rows": self.rows,
            "anomalies": self.anomalies,
            "skipped": self.files_skipped,
            "batches": self.batches,
            "batches_resumed": self.resumed,
            "series_per_second": self.series_per_second,
            "flagged": self.anomalies / max(self.rows, 1),
        }


def score_folder(
    work: Work, folder: Folder, inventory: Inventory, cut: "Cut", place: Place, progress: Progress
) -> Tally:
    """Score every series below `folder` that is not scored yet, and write what the module says.

    Raises DataError where no file can be scored, Cancelled between two batches; then what is finished stays. Also what
    `Place.results` raises.
    """
    tally, began = Tally(), time.monotonic()

    def wake() -> None:
        tally.seconds = time.monotonic() - began
        progress.tell(min(tally.size / inventory.size, 0.99) if inventory.size else 0.0, _told(tally, inventory))

    try:
        for done in place.results(work, batches(folder, cut.rows, cut.per), wake):
            tally.add(done)
            wake()
            progress.draw("series_per_second", tally.series, tally.series_per_second)
            if not tally.series and len(tally.skipped) >= IN_VAIN:
                break
    finally:
        _write_skipped(work.out, tally.skipped)
    if not tally.series:
        raise DataError(
            N_("{file}: none of the first {count} files can be scored; the first: {reason}"),
            file=folder.place.name,
            count=tally.files_skipped,
            reason=tally.skipped[0][1] if tally.skipped else "-",
        )
    _write_summary(work.out)
    tally.seconds = time.monotonic() - began
    progress.tell(1.0)
    return tally


@dataclass(frozen=True)
class Cut:
    """How files are divided: about so many rows to a batch, one model per group or one for all."""

    rows: int = 50_000
    per: Per = ""


def _told(tally: Tally, inventory: Inventory) -> str:
    if tally.size == tally.resumed_size:
        return str(Text(N_("{count} series"), {"count": tally.series}))
    minutes, seconds = divmod(round(tally.left(inventory.size)), 60)
    left = f"{minutes}:{seconds:02d}"
    return str(
        Text(
            N_("{count} series, {rate}/s, {left} left"),
            {"count": tally.series, "rate": round(tally.series_per_second), "left": left},
        )
    )


def _write_skipped(out: Path, skipped: Iterable[tuple[str, str]]) -> None:
    with written(out / SKIPPED) as draft:
        written_csv(pd.DataFrame(sorted(set(skipped)), columns=["file", "reason"]), draft)


def _write_summary(out: Path) -> None:
    """The summaries of all batches in one file, one after the other."""
    with (
        written(out / SUMMARY) as draft,
        pyarrow.parquet.ParquetWriter(draft, OF_SUMMARY, compression="zstd") as writer,
    ):
        for part in sorted(out.glob(f"part=*/{SUMMARY}")):
            writer.write_table(pyarrow.parquet.read_table(part, partitioning=None))


__all__ = [
    "Batch",
    "Cut",
    "Fit",
    "Folder",
    "Inventory",
    "Per",
    "Place",
    "Tally",
    "Work",
    "batches",
    "begun",
    "digest",
    "score_folder",
]
