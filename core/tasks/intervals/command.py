"""Options and output of `python -m core intervals`, in addition to the fields of its specs."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from core.exports import write_csv
from core.runs.tracked_run import Run
from core.spec.command_line import CommandOptions, ExtraOption, OptionValues
from core.spec.hyperparameters import require_choice
from core.tasks.intervals.folder_command import to_folder_answer, to_folder_lines
from core.tasks.intervals.folder_result import FolderIntervals
from core.tasks.intervals.records import format_alarm_rate, format_events, to_records
from core.tasks.intervals.result import Intervals

MAX_CURRENT = 1000


def check_points_path(extra: OptionValues, fields: OptionValues) -> OptionValues:
    """Return the fields. Raises OptionError, before anything is read, for a table file of another type."""
    if "points" in extra:
        require_choice("--points", extra["points"].suffix, (".csv", ".parquet"))
    return fields


def write_points(result: Intervals, run: Run, extra: OptionValues) -> None:
    """Write the judged and future points to the file given by `--points`."""
    path: Path | None = extra.get("points")
    if path is None:
        return
    table = result.build_point_table()
    table.to_parquet(path, index=False) if path.suffix == ".parquet" else write_csv(table, path, extra["csv_format"])


OPTIONS = CommandOptions(
    options=(
        ExtraOption(
            "points",
            Path,
            "Write every point (timestamp, y, yhat, yhat_lower, yhat_upper, distance …) as .csv or .parquet.",
        ),
    ),
    to_fields=check_points_path,
    finish=write_points,
)


def to_answer(result: Intervals | FolderIntervals, run: Run) -> dict[str, Any]:
    """Return the periods, the promised and measured alarm rate, the scores, the events and the trunks now.

    For a folder, see `to_folder_answer`.
    """
    if isinstance(result, FolderIntervals):
        return to_folder_answer(result)
    low, high = result.alarm_band
    return {
        "horizon": result.horizon,
        "season": result.season,
        "level": result.level,
        "windows": result.windows,
        "alarms": {
            "promised": round(result.promised_rate, 9),
            "measured": run.metrics.get("alarm_rate"),
            "low": low,
            "high": high,
        },
        "scores": to_records(result.scores[result.scores["entity"] == ""].drop(columns="entity")),
        "events": to_records(result.to_frame()),
        "current": to_records(result.list_current().head(MAX_CURRENT)),
    }


def to_lines(result: Intervals | FolderIntervals, run: Run) -> Iterator[str]:
    """Yield the counts, the promised and measured alarm rate, the errors, the worst events, and the notes.

    For a folder, see `to_folder_lines`.
    """
    if isinstance(result, FolderIntervals):
        yield from to_folder_lines(result, run)
        return
    yield f"{len(result.events):,} events, {len(result.judged_rows):,} points judged, {run.summary}"
    yield format_alarm_rate(result.level, result.promised_rate, result.alarm_rate, result.alarm_band)
    season = f"MASE ({result.season})"
    yield f"  {'measure':12}  {'model':24}  {'RMSE':>10}  {season:>12}  {'MWQL':>7}  {'50 %':>6}  {result.level:>6.1%}"
    for line in result.scores[result.scores["entity"] == ""].to_dict("records"):
        yield (
            f"  {line['measure']:12.12}  {line['model']:24.24}  {line['rmse']:>10,.4g}  "
            f"{line[result.mase_name]:>12.3f}  {line['mwql']:>7.3f}  {line['coverage_50']:>6.1%}  "
            f"{line[result.coverage_name]:>6.1%}"
        )
    yield from format_events(result.to_frame())
    yield from (f"  {note}" for note in result.notes)
