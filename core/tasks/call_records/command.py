"""Output of `python -m core calls`."""

from collections.abc import Iterator
from typing import Any

from core.runs.tracked_run import Run
from core.tasks.call_records.import_result import ImportResult


def to_lines(result: ImportResult, run: Run) -> Iterator[str]:
    """Yield the totals of an import, its notes and the digest of the counts."""
    metrics = result.metrics()
    yield (
        f"{result.records:,} records, {metrics['calls']:,} calls, {result.trunks:,} trunks, "
        f"{result.intervals:,} intervals from {result.first} to {result.last}"
    )
    for note in result.notes:
        yield f"  {note}"
    yield f"{result.records_per_second:,.0f} records/s, {run.summary}"
    yield f"counts: dataset {result.dataset}"


def to_answer(result: ImportResult, run: Run) -> dict[str, Any]:
    """Return the totals of an import, the rejected records by reason and the digest of the counts."""
    return {"dataset": result.dataset, "first": result.first, "last": result.last, "rejected": dict(result.rejected)}
