"""Tasks of a worker: fit the model of a group, score a batch.

A finished task has an output file and is not repeated.
"""

import json
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet

from core.batch.batches import Batch, FitTask
from core.batch.job_spec import JobSpec
from core.batch.output import atomic_write
from core.batch.read_files import SourceDataset, read_files
from core.data.compatibility import check_compatible
from core.data.dataset import Dataset
from core.data.ingest.files import SkippedFile
from core.data.series import EntitySeries, split_by_entity
from core.detectors.base import SequenceScores
from core.detectors.scaling import Scaling
from core.detectors.sequence_model import SequenceModel
from core.errors import DataError, InputError
from core.evaluation.thresholds import fit_alarm_threshold
from core.messages import N_
from mlflow_utils.model_io import read_model

METADATA_KEY = b"vigie"  # metadata key in a file of scores
SCORES_FILE, SUMMARY_FILE = "scores.parquet", "summary.parquet"
WORD_TYPE = pa.dictionary(pa.int32(), pa.string())
TIMESTAMP_TYPE = pa.timestamp("us")
SCORES_SCHEMA = pa.schema(
    {
        "file": WORD_TYPE,
        "entity": WORD_TYPE,
        "row": pa.int32(),
        "time": TIMESTAMP_TYPE,
        "score": pa.float32(),
        "anomaly": pa.bool_(),
    }
)
SUMMARY_SCHEMA = pa.schema(
    {
        "file": pa.string(),
        "entity": pa.string(),
        "rows": pa.int32(),
        "first": TIMESTAMP_TYPE,
        "last": TIMESTAMP_TYPE,
        "max_score": pa.float32(),
        "anomalies": pa.int32(),
        "first_anomaly": TIMESTAMP_TYPE,
        "last_anomaly": TIMESTAMP_TYPE,
    }
)


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


@dataclass(frozen=True)
class ScoredSeries:
    """Scores of one series, with its source file and the rows above the threshold."""

    file: str
    dataset: Dataset
    series: EntitySeries
    scores: SequenceScores
    anomaly: np.ndarray[Any, np.dtype[np.bool_]]

    @property
    def entity(self) -> str:
        """Name of the entity as valid UTF-8."""
        return _to_utf8(self.series.entity)

    @property
    def times(self) -> Any:
        """Timestamps as an Arrow array; nulls for a file without dates."""
        if not self.dataset.has_dates:
            return pa.nulls(len(self.series.row_positions), TIMESTAMP_TYPE)
        return pa.array(
            self.dataset.time.to_numpy()[self.series.row_positions].astype("datetime64[us]"), TIMESTAMP_TYPE
        )


# ---- fitting --------------------------------------------------------------------------------------------------------


def fit_group(job: JobSpec, task: FitTask) -> str:
    """Fit and save the model of a group, unless it exists. Return "", or the reason if it cannot be fitted."""
    path, skipped = job.get_model_path(task.group), list[SkippedFile]()
    if path.exists():
        return ""
    assert job.fit is not None
    datasets = [source.dataset for source in read_files(job.folder, task.files, skipped)]
    try:
        model = _fit_model(job, datasets)
    except InputError as error:
        return str(error)
    import skops.io  # type: ignore[import-untyped]

    path.parent.mkdir(exist_ok=True)
    with atomic_write(path) as draft:
        skops.io.dump(model, draft)
    return ""


def _fit_model(job: JobSpec, datasets: Sequence[Dataset]) -> SequenceModel:
    """Return a model fitted on the datasets that match the first. Raises DataError for too few rows."""
    if not datasets or job.fit is None:
        raise DataError(N_("No file of the group can be read. The model cannot be fitted."))
    first = datasets[0]
    model = SequenceModel(copy(job.fit.detector), Scaling(job.fit.scaling, job.fit.counts))
    model.columns_, model.unit_, model.profile_ = first.columns, first.unit, first.profile
    model.step_seconds_ = first.step.total_seconds() if first.step else None
    matching_datasets = [
        dataset
        for dataset in datasets
        if (dataset.columns, dataset.profile, dataset.unit) == (first.columns, first.profile, first.unit)
    ]
    model.fit_series([series.values for dataset in matching_datasets for series in split_by_entity(dataset)])
    model.threshold_ = fit_alarm_threshold(model.calibration_, job.fit.target_rate).value
    return model


# ---- scoring --------------------------------------------------------------------------------------------------------


def score_batch(job: JobSpec, batch: Batch, rejection: str = "") -> BatchResult:
    """Score a batch and save the scores, unless they exist; `rejection` is the reason if its group has no model.

    Raises DataError for existing output of another job.
    """
    finished_result = load_finished_batch(job, batch)
    if finished_result is not None:
        return finished_result
    if rejection:
        return _save_batch(job, batch, [], [(_to_utf8(path), rejection) for path in _list_file_names(batch)])
    model = _load_model(job.get_model_path(batch.group), job.manifest, job.trusted, job.streaming)
    skipped: list[SkippedFile] = []
    sources = [
        source for source in read_files(job.folder, batch.files, skipped) if _is_compatible(model, source, skipped)
    ]
    scored_series = _score_datasets(model, sources, model.threshold_ if job.threshold is None else job.threshold)
    return _save_batch(
        job, batch, scored_series, [(_to_utf8(skip.file), _to_utf8(str(skip.reason))) for skip in skipped]
    )


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


@lru_cache(maxsize=4)
def _load_model(path: Path, manifest: str, trusted: tuple[str, ...], streaming: bool) -> SequenceModel:
    """Return the model in a file, loaded once per process and `manifest`."""
    model = read_model(path, trusted)
    if not isinstance(model, SequenceModel):
        raise DataError(
            N_("{file}: the model has the type {value}. A model of series is required."),
            file=path.name,
            value=type(model).__name__,
        )
    if streaming and hasattr(model.detector, "scoring"):
        model.detector.scoring = "streaming"
    return model


def _is_compatible(model: SequenceModel, source: SourceDataset, skipped: list[SkippedFile]) -> bool:
    """Tell whether the dataset matches the model. The files of a dataset that does not are added to `skipped`."""
    try:
        check_compatible(source.dataset, model.columns_, model.profile_, model.unit_)
    except DataError as error:
        skipped += [SkippedFile(name, error.message) for name in source.file_names]
        return False
    return True


def _score_datasets(model: SequenceModel, sources: Sequence[SourceDataset], threshold: float) -> list[ScoredSeries]:
    """Score all series of a batch in one call of the detector."""
    pairs = [(source, series) for source in sources for series in split_by_entity(source.dataset)]
    scores = model.score_series([series.values for _, series in pairs]) if pairs else []
    return [
        ScoredSeries(
            _to_utf8(source.get_file(series.entity)),
            source.dataset,
            series,
            series_scores,
            series_scores.score > threshold,
        )
        for (source, series), series_scores in zip(pairs, scores, strict=True)
    ]


def _list_file_names(batch: Batch) -> list[str]:
    return list(dict.fromkeys(file_group.name for file_group in batch.files))


def _to_utf8(name: str) -> str:
    """Return a file name as valid UTF-8, with replacement characters for undecodable bytes."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


# ---- output files ---------------------------------------------------------------------------------------------------


def _save_batch(
    job: JobSpec, batch: Batch, scored_series: Sequence[ScoredSeries], skipped: Sequence[tuple[str, str]]
) -> BatchResult:
    """Write the summary first and the scores last, because the scores mark the batch as finished."""
    result = BatchResult(
        batch.number,
        len(_list_file_names(batch)),
        batch.size,
        len(scored_series),
        sum(len(series.anomaly) for series in scored_series),
        sum(int(series.anomaly.sum()) for series in scored_series),
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
    scores = _build_scores_table(scored_series).replace_schema_metadata({METADATA_KEY: json.dumps(metadata_values)})
    for name, table in ((SUMMARY_FILE, _build_summary_table(scored_series)), (SCORES_FILE, scores)):
        with atomic_write(folder / name) as draft:
            pyarrow.parquet.write_table(table, draft, compression="zstd")
    return result


def _build_scores_table(scored_series: Sequence[ScoredSeries]) -> pa.Table:
    if not scored_series:
        return SCORES_SCHEMA.empty_table()
    lengths = [len(series.anomaly) for series in scored_series]
    return pa.table(
        {
            "file": _repeat_words([series.file for series in scored_series], lengths),
            "entity": _repeat_words([series.entity for series in scored_series], lengths),
            "row": np.concatenate([np.arange(length, dtype=np.int32) for length in lengths]),
            "time": pa.chunked_array([series.times for series in scored_series]),
            "score": np.concatenate([series.scores.score.astype(np.float32) for series in scored_series]),
            "anomaly": np.concatenate([series.anomaly for series in scored_series]),
        },
        schema=SCORES_SCHEMA,
    )


def _repeat_words(words: list[str], lengths: list[int]) -> pa.Array:
    """Return each word once per row of its series."""
    names, codes = np.unique(np.asarray(words, dtype=object), return_inverse=True)
    return pa.DictionaryArray.from_arrays(
        np.repeat(codes.astype(np.int32), lengths), pa.array(names.tolist(), pa.string())
    )


def _build_summary_table(scored_series: Sequence[ScoredSeries]) -> pa.Table:
    """Return one row per series: highest score, number of anomalies, first and last timestamps."""
    rows = []
    for series in scored_series:
        times, anomaly_positions = series.times, np.flatnonzero(series.anomaly)
        rows.append(
            {
                "file": series.file,
                "entity": series.entity,
                "rows": len(times),
                "first": times[0].as_py(),
                "last": times[-1].as_py(),
                "max_score": float(series.scores.score.max()),
                "anomalies": len(anomaly_positions),
                "first_anomaly": times[int(anomaly_positions[0])].as_py() if len(anomaly_positions) else None,
                "last_anomaly": times[int(anomaly_positions[-1])].as_py() if len(anomaly_positions) else None,
            }
        )
    return pa.Table.from_pylist(rows, schema=SUMMARY_SCHEMA)
