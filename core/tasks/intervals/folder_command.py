"""Output of `python -m core scale-intervals`, and the preparation of its process."""

from collections.abc import Iterator
from typing import Any

from core.batch.folder_spec import use_one_core
from core.runs.tracked_run import Run
from core.spec.command_line import CommandOptions
from core.tasks.intervals.folder_result import FolderIntervals
from core.tasks.intervals.records import format_alarm_rate, format_events, to_records

OPTIONS = CommandOptions(prepare=use_one_core)


def to_folder_answer(result: FolderIntervals) -> dict[str, Any]:
    """Return the counts, the promised and measured alarm rate, the worst events and the folder of the tables."""
    low, high = result.alarm_band
    counts = result.metrics()
    return {
        **{name: int(counts[name]) for name in ("series", "batches", "batches_resumed", "skipped")},
        "rows": result.rows,
        "anomalies": result.anomalies,
        "severities": result.severities,
        "series_per_second": result.series_per_second,
        "level": result.spec.level,
        "alarms": {
            "promised": round(result.promised_rate, 9),
            "measured": counts.get("alarm_rate"),
            "low": low,
            "high": high,
        },
        "events": to_records(result.events),
        "where": result.spec.out,
    }


def to_folder_lines(result: FolderIntervals, run: Run) -> Iterator[str]:
    """Yield the counts, the alarm rate, the worst events, the first skipped files, the notes and the folder."""
    yield (
        f"{result.event_count:,} events, {result.series:,} series, {result.rows:,} points judged, "
        f"{result.files_skipped:,} files skipped, {result.series_per_second:,.1f} series/s, {run.summary}"
    )
    if result.batches_resumed:
        yield f"{result.batches_resumed:,} of {result.batches:,} batches were finished before"
    yield format_alarm_rate(result.spec.level, result.promised_rate, result.alarm_rate, result.alarm_band)
    yield from format_events(result.events)
    for file, reason in result.skipped:
        yield f"  skipped {file}: {reason}"
    yield from (f"  {note}" for note in result.notes)
    yield result.spec.out
