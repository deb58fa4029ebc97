"""One event in detail: in words, and its columns with their usual ranges."""

from typing import Any

import pandas as pd
import streamlit as st

from core.messages import Message
from core.runs.renderings import Drawing
from core.tasks.anomalies.result import SEVERITIES
from core.tasks.sequences import figures, words
from core.tasks.sequences.result import SequenceDetection
from core.tasks.sequences.words import LASTING_CHANGE
from pages.components.i18n import _, format_value, translate_message, translate_plain
from pages.components.markdown import escape_markdown
from pages.components.ranked_list import Card
from pages.components.results.anomaly_list import SEVERITY_MARKS
from pages.components.results.run_widgets import show_chart

HOUR_S, DAY_S = 3600, 86_400


def show(detection: SequenceDetection, number: int, run: str) -> None:
    """Show the event in row `number` of the events of a run."""
    event = detection.events.loc[number]
    title_parts = [
        f"#{number + 1}",
        format_severity(int(event["severity"])),
        escape_markdown(str(event["entity"])),
        _format_span(event["start"], event["end"]),
    ]
    st.header(" · ".join(title_parts))
    has_cells = bool((detection.cells["event"] == number).any())
    st.markdown(" ".join(map(translate_message, words.describe_event(detection, number))))
    if not has_cells:
        st.caption(_("Values are saved only for the events with the highest scores."))
        return
    alt = _("Values of the columns that explain the event, with their usual ranges")
    show_chart(Drawing(run, figures.draw_event, (detection, number, _)), "sequence-event", alt)


def format_severity(level: int) -> str:
    """Return a severity as a mark and a word, so that it does not depend on colour."""
    return f"{SEVERITY_MARKS[level]} {_(SEVERITIES[level])}"


def format_causes(event: Any) -> str:
    """Return the causes of an event; the text tells a lasting change."""
    causes = str(event["causes"]) or "–"
    return _("lasting change: {causes}").format(causes=causes) if event["kind"] == LASTING_CHANGE else causes


def format_amount(amount: float) -> str:
    """Return a value with four significant digits; a dash for a missing value."""
    return format_value(words.round_amount(amount))


def format_usual(event: Any) -> str:
    """Return the usual range of the first cause of an event."""
    usual = words.describe_usual(event)
    return translate_plain(usual) if isinstance(usual, Message) else format_value(usual)


def format_duration(detection: SequenceDetection, event: Any) -> str:
    """Return how long an event lasts, from its first row to the end of its last row."""
    if not detection.is_dated:
        return _("{count} row", "{count} rows", int(event["last"] - event["first"] + 1)).format(
            count=format_value(int(event["last"] - event["first"] + 1))
        )
    length = pd.Timedelta(event["end"] - event["start"]).total_seconds() + (detection.sampling_seconds or 0)
    days, rest = divmod(round(length), DAY_S)
    hours, minutes, seconds = rest // HOUR_S, rest % HOUR_S // 60, rest % 60
    if days:
        return _("{days} d {hours} h").format(days=format_value(days), hours=hours)
    if hours:
        return _("{hours} h {minutes} min").format(hours=hours, minutes=minutes)
    return _("{minutes} min").format(minutes=minutes) if minutes else _("{seconds} s").format(seconds=seconds)


def format_odds(odds: float) -> str:
    """Return the rarity of a peak as text."""
    return _("1 in {count}").format(count=format_value(round(1 / odds))) if odds > 0 else "–"


def build_card(row: "pd.Series[Any]") -> Card:
    """Return the card of a line of the table of events."""
    start = row["start"]
    time = format_value(start.to_pydatetime() if isinstance(start, pd.Timestamp) else start)
    text = _("{entity}, {time}, for {duration}: {causes}, measured {measured}, usual {usual}").format(
        entity=row["entity"],
        time=time,
        duration=row["duration"],
        causes=row["causes"],
        measured=row["measured"],
        usual=row["usual"],
    )
    return Card(" · ".join(filter(None, [row["severity"], row["verdict"]])), text)


def _format_span(start: object, end: object) -> str:
    first, last = (
        format_value(time.to_pydatetime()) if hasattr(time, "to_pydatetime") else str(time) for time in (start, end)
    )
    return first if first == last else f"{first} – {last}"
