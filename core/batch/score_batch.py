"""Task of a worker: score a batch. A finished batch has a file of scores and is not repeated."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet

from core.batch.batches import Batch
from core.batch.job_spec import JobSpec
from core.batch.model_scorer import ModelScorer, build_tables
from core.batch.output import atomic_write
from core.batch.read_files import read_files
from core.batch.scorer import BatchScorer, BatchTables, to_utf8
from core.data.ingest.files import SkippedFile
from core.errors import DataError
from core.messages import N_

METADATA_KEY = b"vigie"  # metadata key in a file of scores
SCORES_FILE, SUMMARY = "scores.parquet", "summary"
SUMMARY_FILE = f"{SUMMARY}.parquet"


@dataclass(frozen=True)
class BatchResult:
    """Result of a batch. `is_new` is False if an earlier attempt finished it; `skipped` holds files and reasons."""

    number: int
    files: int
    size: int
    series: int = 0
    rows: int = 0
    anomalies: int = 0
    skipped: tuple[tuple[str, str], ...] = ()
    is_new: bool = True


def score_batch(job: JobSpec, batch: Batch, rejection: str = "") -> BatchResult:
    """Score a batch and save its tables, unless they exist; `rejection` is the reason if its group has no model.

    Raises DataError for existing output of another job.
    """
    finished_result = load_finished_batch(job, batch)
    if finished_result is not None:
        return finished_result
    if rejection:
        return _save_batch(
            job, batch, build_tables([]), [(to_utf8(path), rejection) for path in _list_file_names(batch)]
        )
    scorer: BatchScorer = job.scorer or ModelScorer(job, batch.group)
    skipped: list[SkippedFile] = []
    tables = scorer.score_datasets(read_files(job.folder, batch.files, skipped), skipped)
    return _save_batch(job, batch, tables, [(to_utf8(skip.file), to_utf8(str(skip.reason))) for skip in skipped])


def load_finished_batch(job: JobSpec, batch: Batch) -> BatchResult | None:
    """Return the result of a finished batch; None if it is not finished. Raises the errors of `score_batch`."""
    path = job.get_batch_folder(batch.number) / SCORES_FILE
    try:
        metadata = pyarrow.parquet.read_metadata(path).metadata
    except (OSError, pa.ArrowException):
        return None
    metadata_values = json.loads((metadata or {}).get(METADATA_KEY, b"{}"))
    if (metadata_values.get("manifest"), metadata_values.get("inputs")) != (job.manifest, batch.digest):
        raise DataError(
            N_("{file} contains results of a different command. Choose another folder, or delete the file."),
            file=str(path),
        )
    return BatchResult(
        batch.number,
        len(_list_file_names(batch)),
        batch.size,
        metadata_values["series"],
        metadata_values["rows"],
        metadata_values["anomalies"],
        tuple((file, reason) for file, reason in metadata_values["skipped"]),
        is_new=False,
    )


def _list_file_names(batch: Batch) -> list[str]:
    return list(dict.fromkeys(file_group.name for file_group in batch.files))


def _save_batch(job: JobSpec, batch: Batch, tables: BatchTables, skipped: Sequence[tuple[str, str]]) -> BatchResult:
    """Write the scores last, because they mark the batch as finished."""
    result = BatchResult(
        batch.number,
        len(_list_file_names(batch)),
        batch.size,
        tables.summary.num_rows,
        tables.scores.num_rows,
        tables.anomalies,
        tuple(skipped),
    )
    metadata_values = {
        "manifest": job.manifest,
        "inputs": batch.digest,
        "series": result.series,
        "rows": result.rows,
        "anomalies": result.anomalies,
        "skipped": result.skipped,
    }
    folder = job.get_batch_folder(batch.number)
    folder.mkdir(exist_ok=True)
    scores = tables.scores.replace_schema_metadata({METADATA_KEY: json.dumps(metadata_values)})
    files = {f"{name}.parquet": table for name, table in {SUMMARY: tables.summary, **tables.others}.items()}
    for name, table in {**files, SCORES_FILE: scores}.items():
        with atomic_write(folder / name) as draft:
            pyarrow.parquet.write_table(table, draft, compression="zstd")
    return result
