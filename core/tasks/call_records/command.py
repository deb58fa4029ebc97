"""Output of `python -m core calls`."""

from collections.abc import Iterator
from typing import Any

from core.runs.tracked_run import Run
from core.tasks.call_records.clean_result import CleaningResult
from core.tasks.call_records.import_result import ImportResult


def to_lines(result: ImportResult | CleaningResult, run: Run) -> Iterator[str]:
    """Yield the totals of an import or a cleaning, its notes and the digest of the stored dataset."""
    yield from _list_changes(result, run) if isinstance(result, CleaningResult) else _list_totals(result, run)


def _list_changes(result: CleaningResult, run: Run) -> Iterator[str]:
    """Yield the numbers of changes, the threshold of every entity, the notes and the digest of the cleaned dataset."""
    metrics = result.metrics()
    yield (
        f"{result.measure}: {metrics['spikes']:,} spikes, {metrics['imputed']:,} filled, "
        f"{metrics['still_missing']:,} still missing, {run.summary}"
    )
    for row in result.entities.itertuples():
        yield f"  {row.entity:30.30}  threshold {row.threshold:,.6g}, {row.spikes:,} spikes, {row.imputed:,} filled"
    for note in result.notes:
        yield f"  {note}"
    yield f"cleaned: dataset {result.cleaned_dataset}"


def _list_totals(result: ImportResult, run: Run) -> Iterator[str]:
    metrics = result.metrics()
    yield (
        f"{result.records:,} records, {metrics['calls']:,} calls, {result.trunks:,} trunks, "
        f"{result.intervals:,} intervals from {result.first} to {result.last}"
    )
    for note in result.notes:
        yield f"  {note}"
    yield f"{result.records_per_second:,.0f} records/s, {run.summary}"
    yield f"counts: dataset {result.dataset}"


def to_answer(result: ImportResult | CleaningResult, run: Run) -> dict[str, Any]:
    """Return the digest of the stored dataset, with the rejected records by reason, or the thresholds by entity."""
    if isinstance(result, CleaningResult):
        thresholds = dict(zip(result.entities["entity"], result.entities["threshold"], strict=True))
        return {
            "dataset": result.cleaned_dataset,
            "value": result.measure,
            "thresholds": {name: None if value != value else float(value) for name, value in thresholds.items()},
        }
    return {"dataset": result.dataset, "first": result.first, "last": result.last, "rejected": dict(result.rejected)}
