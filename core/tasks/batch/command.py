"""Output of `python -m core scale`."""

from collections.abc import Iterator
from typing import Any

from core.batch.folder_spec import use_one_core
from core.runs.tracked_run import Run
from core.spec.command_line import CommandOptions
from core.tasks.batch.result import BatchScoringResult

OPTIONS = CommandOptions(prepare=use_one_core)


def to_lines(result: BatchScoringResult, run: Run) -> Iterator[str]:
    """Yield the counts, the resumed batches, the first skipped files, the notes and the folder of the scores."""
    yield (
        f"{result.series:,} series, {result.rows:,} rows, {result.anomalies:,} anomalies, "
        f"{result.files_skipped:,} files skipped, {result.series_per_second:,.0f} series/s, {result.seconds:.1f} s, "
        f"run {run.id}"
    )
    if result.batches_resumed:
        yield f"{result.batches_resumed:,} of {result.batches:,} batches were finished before"
    for file, reason in result.skipped:
        yield f"  skipped {file}: {reason}"
    for note in result.notes:
        yield str(note)
    yield result.spec.out


def to_answer(result: BatchScoringResult, run: Run) -> dict[str, Any]:
    """Return the metrics, the seconds of scoring and the folder of the scores."""
    return {**result.metrics(), "seconds": result.seconds, "where": result.spec.out}
