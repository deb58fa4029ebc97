"""Options and output of `python -m core intervals`, in addition to the fields of its specs."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from core.exports import write_csv
from core.runs.tracked_run import Run
from core.spec.command_line import CommandOptions, ExtraOption, OptionValues
from core.spec.hyperparameters import require_choice
from core.tasks.intervals.result import Intervals

MAX_EVENTS = 10
MAX_CURRENT = 1000


def check_points_path(extra: OptionValues, fields: OptionValues) -> OptionValues:
    """Return the fields. Raises OptionError, before anything is read, for a table file of another type."""
    if "points" in extra:
        require_choice("--points", extra["points"].suffix, (".csv", ".parquet"))
    return fields


def write_points(result: Intervals, extra: OptionValues) -> None:
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


def to_answer(result: Intervals, run: Run) -> dict[str, Any]:
    """Return the periods, the promised and measured alarm rate, the scores, the events and the trunks now."""
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
        "scores": _to_records(result.scores[result.scores["entity"] == ""].drop(columns="entity")),
        "events": _to_records(result.to_frame()),
        "current": _to_records(result.list_current().head(MAX_CURRENT)),
    }


def to_lines(result: Intervals, run: Run) -> Iterator[str]:
    """Yield the counts, the promised and measured alarm rate, the errors, the worst events, and the notes."""
    yield f"{len(result.events):,} events, {len(result.judged_rows):,} points judged, {run.summary}"
    low, high = result.alarm_band
    yield (
        f"outside the {result.level:.1%} interval: promised {result.promised_rate:.2%}, "
        f"measured {result.alarm_rate:.2%} (by chance {low:.2%} to {high:.2%})"
    )
    season = f"MASE ({result.season})"
    yield f"  {'measure':12}  {'model':24}  {'RMSE':>10}  {season:>12}  {'MWQL':>7}  {'50 %':>6}  {result.level:>6.1%}"
    for line in result.scores[result.scores["entity"] == ""].to_dict("records"):
        yield (
            f"  {line['measure']:12.12}  {line['model']:24.24}  {line['rmse']:>10,.4g}  "
            f"{line[result.mase_name]:>12.3f}  {line['mwql']:>7.3f}  {line['coverage_50']:>6.1%}  "
            f"{line[result.coverage_name]:>6.1%}"
        )
    for event in result.to_frame().head(MAX_EVENTS).itertuples():
        yield (
            f"  {event.event:>3}  {event.start!s:19.19}  {event.end!s:19.19}  {event.entity:20.20}  "
            f"{event.measure:10.10}  {event.kind:11}  {event.severity:8}  {event.y:>9,.4g} for {event.yhat:,.4g}"
        )
    yield from (f"  {note}" for note in result.notes)


def _to_records(table: Any) -> Any:
    """Return a table as plain JSON records; times as ISO text, null for what is missing."""
    times = {name: table[name].astype(str) for name in table.select_dtypes("datetime").columns}
    return json.loads(table.assign(**times).to_json(orient="records"))
