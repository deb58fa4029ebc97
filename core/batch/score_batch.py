"""What a worker does: learn what is usual in a group, score a batch.

What is finished is a file, and is not done again.
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

from core.batch.batches import Batch, Learning
from core.batch.output import Work, written
from core.batch.reading import Material, read
from core.data.dataset import Dataset, require_like
from core.data.ingest.files import Skipped
from core.data.series import Series, series_of
from core.detectors.base import Scored
from core.detectors.scaling import Scaling
from core.detectors.sequence_model import SequenceModel
from core.errors import DataError, InputError
from core.evaluation.thresholds import alarm_threshold
from core.messages import N_
from mlflow_utils.model_io import read_model

NOTE = b"vigie"
SCORES, SUMMARY = "scores.parquet", "summary.parquet"
WORD = pa.dictionary(pa.int32(), pa.string())
MOMENT = pa.timestamp("us")
OF_SCORES = pa.schema(
    {"file": WORD, "entity": WORD, "row": pa.int32(), "time": MOMENT, "score": pa.float32(), "anomaly": pa.bool_()}
)
OF_SUMMARY = pa.schema(
    {
        "file": pa.string(),
        "entity": pa.string(),
        "rows": pa.int32(),
        "first": MOMENT,
        "last": MOMENT,
        "max_score": pa.float32(),
        "anomalies": pa.int32(),
        "first_anomaly": MOMENT,
        "last_anomaly": MOMENT,
    }
)


@dataclass(frozen=True)
class Done:
    """What became of a batch; `fresh` is False where that was done before. skipped: file and reason."""

    number: int
    files: int
    size: int
    series: int = 0
    rows: int = 0
    anomalies: int = 0
    skipped: tuple[tuple[str, str], ...] = ()
    fresh: bool = True


@dataclass(frozen=True)
class Judged:
    """One series, the file it comes from, its scores, and which of them are above the threshold."""

    file: str
    dataset: Dataset
    series: Series
    scored: Scored
    anomaly: np.ndarray[Any, np.dtype[np.bool_]]

    @property
    def entity(self) -> str:
        return _text(self.series.entity)

    @property
    def times(self) -> Any:
        """The moments as Arrow has them; nothing where the file has no dates."""
        if not self.dataset.dated:
            return pa.nulls(len(self.series.places), MOMENT)
        return pa.array(self.dataset.time.to_numpy()[self.series.places].astype("datetime64[us]"), MOMENT)


def learn(work: Work, group: Learning) -> str:
    """Fit and keep the model of a group, unless that was done before; "", or why there can be none."""
    place, skipped = work.model(group.group), list[Skipped]()
    if place.exists():
        return ""
    assert work.fit is not None
    datasets = [each.dataset for each in read(work.folder, group.units, skipped)]
    try:
        model = _fitted(work, datasets)
    except InputError as error:
        return str(error)
    import skops.io  # type: ignore[import-untyped]

    place.parent.mkdir(exist_ok=True)
    with written(place) as draft:
        skops.io.dump(model, draft)
    return ""


def _fitted(work: Work, datasets: Sequence[Dataset]) -> SequenceModel:
    """A model of all series of datasets that are like the first. Raises DataError where they are too few."""
    if not datasets or work.fit is None:
        raise DataError(N_("No file of the group can be read; there is nothing to learn from."))
    first = datasets[0]
    model = SequenceModel(copy(work.fit.detector), Scaling(work.fit.scaling, work.fit.counts))
    model.columns_, model.unit_, model.profile_ = first.columns, first.unit, first.profile
    model.step_seconds_ = first.step.total_seconds() if first.step else None
    like = [
        each
        for each in datasets
        if (each.columns, each.profile, each.unit) == (first.columns, first.profile, first.unit)
    ]
    model.fit_series([series.values for each in like for series in series_of(each)])
    model.threshold_ = alarm_threshold(model.calibration_, work.fit.rate).value
    return model


@lru_cache(maxsize=4)
def _model(path: Path, manifest: str, trusted: tuple[str, ...], streaming: bool) -> SequenceModel:
    """The model in a file, read once per process for one `manifest`."""
    model = read_model(path, trusted)
    if not isinstance(model, SequenceModel):
        raise DataError(N_("{file}: {value}, not a model of series."), file=path.name, value=type(model).__name__)
    if streaming and hasattr(model.detector, "scoring"):
        model.detector.scoring = "streaming"
    return model


def score(work: Work, batch: Batch, refused: str = "") -> Done:
    """Score a batch and keep that, unless it was done before; `refused` says why its group has no model.

    Raises DataError where a result is there that does not belong to this work.
    """
    before = finished(work, batch)
    if before is not None:
        return before
    if refused:
        return _kept(work, batch, [], [(_text(path), refused) for path in _files(batch)])
    model = _model(work.model(batch.group), work.manifest, work.trusted, work.streaming)
    skipped: list[Skipped] = []
    fitting = [each for each in read(work.folder, batch.units, skipped) if _fits(model, each, skipped)]
    judged = _judged(model, fitting, model.threshold_ if work.threshold is None else work.threshold)
    return _kept(work, batch, judged, [(_text(each.file), _text(str(each.reason))) for each in skipped])


def finished(work: Work, batch: Batch) -> Done | None:
    """What the result of a batch says of it; None where there is none. Raises as `score`."""
    path = work.part(batch.number) / SCORES
    try:
        metadata = pyarrow.parquet.read_metadata(path).metadata
    except (OSError, pa.ArrowException):
        return None
    note = json.loads((metadata or {}).get(NOTE, b"{}"))
    if (note.get("manifest"), note.get("inputs")) != (work.manifest, batch.digest):
        raise DataError(
            N_("{file} holds results of something else; choose another folder, or delete it."), file=str(path)
        )
    return Done(
        batch.number,
        len(_files(batch)),
        batch.size,
        note["series"],
        note["rows"],
        note["anomalies"],
        tuple((file, reason) for file, reason in note["skipped"]),
        fresh=False,
    )


def _text(name: str) -> str:
    """A name that came from bytes that are no UTF-8, as it can be written."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _files(batch: Batch) -> list[str]:
    return list(dict.fromkeys(unit.name for unit in batch.units))


def _fits(model: SequenceModel, material: Material, skipped: list[Skipped]) -> bool:
    """Does the model know such a dataset? One that it does not joins `skipped`."""
    try:
        require_like(material.dataset, model.columns_, model.profile_, model.unit_)
    except DataError as error:
        names = (
            [material.name]
            if material.name
            else sorted({material.file(entity) for entity in material.dataset.entities})
        )
        skipped += [Skipped(name, error.text) for name in names]
        return False
    return True


def _judged(model: SequenceModel, materials: Sequence[Material], threshold: float) -> list[Judged]:
    """All series of a batch, scored together."""
    found = [(each, series) for each in materials for series in series_of(each.dataset)]
    scored = model.score_series([series.values for _, series in found]) if found else []
    return [
        Judged(_text(each.file(series.entity)), each.dataset, series, one, one.score > threshold)
        for (each, series), one in zip(found, scored, strict=True)
    ]


def _kept(work: Work, batch: Batch, judged: Sequence[Judged], skipped: Sequence[tuple[str, str]]) -> Done:
    """Write what was found: the summary first, the scores last, because they say that the batch is finished."""
    done = Done(
        batch.number,
        len(_files(batch)),
        batch.size,
        len(judged),
        sum(len(each.anomaly) for each in judged),
        sum(int(each.anomaly.sum()) for each in judged),
        tuple(skipped),
    )
    note = {
        "manifest": work.manifest,
        "inputs": batch.digest,
        "series": done.series,
        "rows": done.rows,
        "anomalies": done.anomalies,
        "skipped": done.skipped,
    }
    place = work.part(batch.number)
    place.mkdir(exist_ok=True)
    for name, table in (
        (SUMMARY, _summary(judged)),
        (SCORES, _scores(judged).replace_schema_metadata({NOTE: json.dumps(note)})),
    ):
        with written(place / name) as draft:
            pyarrow.parquet.write_table(table, draft, compression="zstd")
    return done


def _scores(judged: Sequence[Judged]) -> pa.Table:
    if not judged:
        return OF_SCORES.empty_table()
    lengths = [len(each.anomaly) for each in judged]
    return pa.table(
        {
            "file": _words([each.file for each in judged], lengths),
            "entity": _words([each.entity for each in judged], lengths),
            "row": np.concatenate([np.arange(length, dtype=np.int32) for length in lengths]),
            "time": pa.chunked_array([each.times for each in judged]),
            "score": np.concatenate([each.scored.score.astype(np.float32) for each in judged]),
            "anomaly": np.concatenate([each.anomaly for each in judged]),
        },
        schema=OF_SCORES,
    )


def _words(words: list[str], lengths: list[int]) -> pa.Array:
    """Each word as many times as its series has rows."""
    names, codes = np.unique(np.asarray(words, dtype=object), return_inverse=True)
    return pa.DictionaryArray.from_arrays(
        np.repeat(codes.astype(np.int32), lengths), pa.array(names.tolist(), pa.string())
    )


def _summary(judged: Sequence[Judged]) -> pa.Table:
    """One row per series: how high its scores go, how many rows are anomalies, between when and when."""
    rows = []
    for each in judged:
        times, hits = each.times, np.flatnonzero(each.anomaly)
        rows.append(
            {
                "file": each.file,
                "entity": each.entity,
                "rows": len(times),
                "first": times[0].as_py(),
                "last": times[-1].as_py(),
                "max_score": float(each.scored.score.max()),
                "anomalies": len(hits),
                "first_anomaly": times[int(hits[0])].as_py() if len(hits) else None,
                "last_anomaly": times[int(hits[-1])].as_py() if len(hits) else None,
            }
        )
    return pa.Table.from_pylist(rows, schema=OF_SUMMARY)
