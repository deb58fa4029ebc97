"""Scorer with a model of series: one model for all files, or one that a worker fits for each group of files."""

from collections.abc import Iterable, Sequence
from copy import copy
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from core.batch.batches import FitTask
from core.batch.job_spec import JobSpec
from core.batch.output import atomic_write
from core.batch.read_files import SourceDataset, read_files
from core.batch.scorer import SUMMARY_SCHEMA, TIMESTAMP_TYPE, WORD_TYPE, BatchTables, encode_words, to_utf8
from core.data.compatibility import check_compatible
from core.data.dataset import DAY, Dataset
from core.data.ingest.files import SkippedFile
from core.data.series import EntitySeries, split_by_entity
from core.detectors.base import SequenceScores
from core.detectors.scaling import Scaling
from core.detectors.sequence_model import SequenceModel
from core.errors import DataError, InputError
from core.messages import N_
from mlflow_utils.model_io import read_model

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
        return to_utf8(self.series.entity)

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
        raise DataError(N_("No file of the group can be read. The model cannot be trained."))
    first = datasets[0]
    model = SequenceModel(copy(job.fit.detector), Scaling(job.fit.scaling, job.fit.counts))
    model.columns_, model.unit_, model.profile_ = first.columns, first.unit, first.profile
    model.step_seconds_ = first.step.total_seconds() if first.step else None
    model.detector.step_seconds_ = DAY.total_seconds() if first.profile else model.step_seconds_
    matching_datasets = [
        dataset
        for dataset in datasets
        if (dataset.columns, dataset.profile, dataset.unit) == (first.columns, first.profile, first.unit)
    ]
    model.fit_series([series.values for dataset in matching_datasets for series in split_by_entity(dataset)])
    model.threshold_ = model.fit_promise(job.fit.target_rate).value
    return model


# ---- scoring --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ModelScorer:
    """Scorer with the model of a group of files; "" for the single model of a job. Implements `BatchScorer`."""

    job: JobSpec
    group: str

    def score_datasets(self, sources: Iterable[SourceDataset], skipped: list[SkippedFile]) -> BatchTables:
        """Score all series of the batch in one call of the detector.

        Raises DataError for a file without a model of series.
        """
        job = self.job
        model = _load_model(job.get_model_path(self.group), job.manifest, job.trusted, job.streaming)
        compatible_sources = [source for source in sources if _is_compatible(model, source, skipped)]
        threshold = model.threshold_ if job.threshold is None else job.threshold
        return build_tables(_score_datasets(model, compatible_sources, threshold))


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
        check_compatible(source.dataset, model.columns_, model.profile_, model.unit_, by_position=True)
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
            to_utf8(source.get_file(series.entity)),
            source.dataset,
            series,
            series_scores,
            series_scores.score > threshold,
        )
        for (source, series), series_scores in zip(pairs, scores, strict=True)
    ]


# ---- tables ---------------------------------------------------------------------------------------------------------


def build_tables(scored_series: Sequence[ScoredSeries]) -> BatchTables:
    """Return the tables of the scored series of a batch."""
    anomalies = sum(int(series.anomaly.sum()) for series in scored_series)
    return BatchTables(_build_scores_table(scored_series), _build_summary_table(scored_series), anomalies)


def _build_scores_table(scored_series: Sequence[ScoredSeries]) -> pa.Table:
    if not scored_series:
        return SCORES_SCHEMA.empty_table()
    lengths = [len(series.anomaly) for series in scored_series]
    codes = np.repeat(np.arange(len(lengths)), lengths)
    return pa.table(
        {
            "file": encode_words([series.file for series in scored_series], codes),
            "entity": encode_words([series.entity for series in scored_series], codes),
            "row": np.concatenate([np.arange(length, dtype=np.int32) for length in lengths]),
            "time": pa.chunked_array([series.times for series in scored_series]),
            "score": np.concatenate([series.scores.score.astype(np.float32) for series in scored_series]),
            "anomaly": np.concatenate([series.anomaly for series in scored_series]),
        },
        schema=SCORES_SCHEMA,
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
