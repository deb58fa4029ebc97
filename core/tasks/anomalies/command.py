"""Terminal output of `python -m core detect`."""

from collections.abc import Iterator
from typing import Any

from core.runs.tracked_run import Run
from core.tasks.anomalies.result import SEVERITIES, Detection

MAX_PRINTED_INCIDENTS = 10
MAX_JSON_INCIDENTS = 100


def to_lines(detection: Detection, run: Run) -> Iterator[str]:
    """Yield the counts, then the incidents with the highest scores and their explanations."""
    metrics = detection.metrics()
    yield (
        f"{metrics['anomalies']:,} anomalies in {metrics['rows']:,} rows ({metrics['rows_left_out']:,} incomplete rows "
        f"left out), {metrics['incidents']:,} incidents, {run.summary}"
    )
    yield from map(str, detection.notes)
    for number, incident in enumerate(detection.incidents.head(MAX_PRINTED_INCIDENTS).itertuples(), 1):
        rows = f" ({incident.rows} rows)" if incident.rows > 1 else ""
        yield (
            f"  {number:>3}  {incident.start!s:.19}{rows}  {incident.entity}  {incident.peak:.3f}  "
            f"{SEVERITIES[incident.severity]}"
        )
        yield from (f"       {sentence}" for sentence in detection.describe_row(incident.row))


def to_answer(detection: Detection, run: Run) -> dict[str, Any]:
    """Return for `--json` whether the promised rate of false alarms was kept, and the first incidents in words."""
    return {
        "promise_kept": detection.promise_kept,
        "incidents": [
            {
                "entity": str(incident.entity),
                "start": str(incident.start),
                "end": str(incident.end),
                "rows": incident.rows,
                "peak": incident.peak,
                "severity": SEVERITIES[incident.severity],
                "explanation": [str(sentence) for sentence in detection.describe_row(incident.row)],
            }
            for incident in detection.incidents.head(MAX_JSON_INCIDENTS).itertuples()
        ],
    }
