"""Terminal output of `python -m core detect`."""

from collections.abc import Iterator
from typing import Any

from core.runs.tracked_run import Run
from core.tasks.anomalies.result import Detection

MAX_ROWS = 10


def to_lines(detection: Detection, run: Run) -> Iterator[str]:
    """Yield the counts, then the rows with the highest scores."""
    metrics = detection.metrics()
    yield (
        f"{metrics['anomalies']:,} anomalies in {metrics['rows']:,} rows ({metrics['rows_left_out']:,} incomplete rows "
        f"left out), {run.summary}"
    )
    yield from map(str, detection.notes)
    for row in detection.to_frame().head(MAX_ROWS).itertuples():
        yield (
            f"  {row.rank:>3}  {row.time!s:19.19}  {row.entity:32.32}  {row.score:.3f}  {row.severity:8}  {row.causes}"
        )


def to_answer(detection: Detection, run: Run) -> dict[str, Any]:
    """Return whether the promised rate of false alarms was kept; None without a promise."""
    return {"promise_kept": detection.promise_kept}
