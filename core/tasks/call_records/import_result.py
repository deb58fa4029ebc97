"""Result of an import of call records: the counts, and what became of every record."""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd
from typing_extensions import override

from core.batch.file_inventory import FileList
from core.messages import Message
from core.runs.result import Result
from core.tasks.call_records.import_spec import ImportSpec


@dataclass(frozen=True)
class ImportResult(Result):
    """Counts per trunk and interval (see `build_counts`).

    dataset             digest of the counts as a stored dataset
    data                the files or the index of the records
    records             records that were read
    outside             records outside the chosen period
    rejected            reason → number of records that do not count
    trunks, intervals   their numbers; the trunk "all" counts as one
    first, last         first and last interval
    records_per_second  speed of reading
    notes               what the user must know about these counts
    """

    spec: ImportSpec
    counts: pd.DataFrame
    dataset: str
    data: FileList
    records: int
    outside: int
    rejected: Mapping[str, int]
    trunks: int
    intervals: int
    first: str
    last: str
    records_per_second: float
    notes: tuple[Message, ...] = ()

    @property
    @override
    def made_dataset(self) -> str:
        return self.dataset

    def metrics(self) -> dict[str, float]:
        """Return the metrics to log."""
        total = int(self.counts["total"].sum())
        answered = int(self.counts["answered"].sum())
        return {
            "records": self.records,
            "rejected": sum(self.rejected.values()),
            "outside": self.outside,
            "calls": total,
            "trunks": self.trunks,
            "intervals": self.intervals,
            "records_per_second": self.records_per_second,
            **({"ccr": answered / total} if total else {}),
        }

    def to_frame(self) -> pd.DataFrame:
        """Return the counts."""
        return self.counts
