"""Tables of intervals in the output of commands: JSON records, and lines of events."""

import json
from collections.abc import Iterator
from typing import Any

import pandas as pd

MAX_EVENTS = 10


def to_records(table: pd.DataFrame) -> Any:
    """Return a table as plain JSON records; times as ISO text, null for what is missing.

    Example:
        >>> to_records(pd.DataFrame({"start": pd.to_datetime(["2024-01-01 00:15"]), "y": [None]}))
        [{'start': '2024-01-01 00:15:00', 'y': None}]
    """
    times = {name: table[name].astype(str) for name in table.select_dtypes("datetime").columns}
    return json.loads(table.assign(**times).to_json(orient="records"))


def format_alarm_rate(level: float, promised: float, measured: float, band: tuple[float, float]) -> str:
    """Return the promised and the measured share of points outside the interval, with its range by chance."""
    low, high = band
    return (
        f"outside the {level:.1%} interval: promised {promised:.2%}, measured {measured:.2%} "
        f"(by chance {low:.2%} to {high:.2%})"
    )


def format_events(events: pd.DataFrame) -> Iterator[str]:
    """Yield a line for each of the worst events."""
    for event in events.head(MAX_EVENTS).itertuples():
        yield (
            f"  {event.event:>3}  {event.start!s:19.19}  {event.end!s:19.19}  {event.entity:20.20}  "
            f"{event.measure:10.10}  {event.kind:11}  {event.severity:8}  {event.y:>9,.4g} for {event.yhat:,.4g}"
        )
