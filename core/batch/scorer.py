"""Scorer of batches: what a worker does with the data of a batch, and the tables that come of it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from core.batch.read_files import SourceDataset
from core.data.ingest.files import SkippedFile

WORD_TYPE = pa.dictionary(pa.int32(), pa.string())
TIMESTAMP_TYPE = pa.timestamp("us")
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
class BatchTables:
    """Tables of a scored batch. A table has the same schema in every batch of a job.

    scores     one row per scored row of the data; it stays in the folder of the batch
    summary    one row per series
    anomalies  number of anomalous rows of `scores`
    others     name → further table; `summary` and these are joined over all batches
    """

    scores: pa.Table
    summary: pa.Table
    anomalies: int
    others: Mapping[str, pa.Table] = field(default_factory=dict)


class BatchScorer(Protocol):
    """Scorer of the datasets of a batch. It is sent to the workers, so it can be pickled."""

    def score_datasets(self, sources: Iterable[SourceDataset], skipped: list[SkippedFile]) -> BatchTables:
        """Return the tables of a batch; files that cannot be scored are added to `skipped` with the reason.

        Files that cannot be read are added to the same list while `sources` is iterated.
        """
        ...


def encode_words(words: Sequence[str], codes: NDArray[np.integer]) -> pa.Array:
    """Return the word of every row, given by its position in `words`, which may hold a word twice.

    Example:
        >>> encode_words(["a.csv", "a.csv", "b.csv"], np.array([2, 0, 1])).to_pylist()
        ['b.csv', 'a.csv', 'a.csv']
    """
    names, positions = np.unique(np.asarray(words, dtype=object), return_inverse=True)
    return pa.DictionaryArray.from_arrays(positions.astype(np.int32)[codes], pa.array(names.tolist(), pa.string()))


def to_utf8(name: str) -> str:
    """Return a file name as valid UTF-8, with replacement characters for undecodable bytes."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
