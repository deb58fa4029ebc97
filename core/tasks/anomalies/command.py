"""Terminal output of `python -m core detect`."""

from collections.abc import Iterator

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
    for row in detection.to_frame().head(MAX_ROWS).itertuples():
        yield (
            f"  {row.rank:>3}  {row.time!s:19.19}  {row.entity:32.32}  {row.score:.3f}  {row.severity:8}  {row.causes}"
        )
