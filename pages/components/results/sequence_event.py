"""One event in detail: its columns with their expected bands, in the order of a ranking."""

import streamlit as st

from core.tasks.anomalies.result import SEVERITIES
from core.tasks.sequences import figures
from core.tasks.sequences.result import SequenceDetection
from pages.components.i18n import _, format_value
from pages.components.results.anomaly_list import SEVERITY_MARKS
from pages.components.results.run_widgets import show_chart


def show(detection: SequenceDetection, number: int) -> None:
    """Show the event in row `number` of the events."""
    event = detection.events.loc[number]
    title_parts = [
        f"#{number + 1}",
        format_severity(int(event["severity"])),
        str(event["entity"]),
        _format_span(event["start"], event["end"]),
    ]
    st.subheader(" · ".join(title_parts))
    if (detection.cells["event"] != number).all():
        st.caption(_("Values are saved only for the events with the highest scores."))
        return
    ranking = (
        st.segmented_control(
            _("Order of the columns"),
            ["distance", "share"],
            default="distance",
            required=True,
            key="event-ranking",
            format_func={"share": _("the detector's shares"), "distance": _("distance to the moving mean")}.__getitem__,
            help=_(
                "The share is the contribution of a column to this score. The distance to the "
                "moving mean finds the true causes more often, because a residual spreads over "
                "correlated columns."
            ),
        )
        or "distance"
    )
    columns = event["causes"] if ranking == "share" else event["ranked"]
    st.caption(_("Order: {columns}.").format(columns=columns or "–"))
    alt = _("Values of the columns that explain the event, with their expected bands")
    show_chart(
        figures.draw_event(detection, number, ranking, _), "sequence-event", alt, has_time_axis=detection.is_dated
    )


def format_severity(level: int) -> str:
    """Return a severity as a mark and a word, so that it does not depend on colour."""
    return f"{SEVERITY_MARKS[level]} {_(SEVERITIES[level])}"


def _format_span(start: object, end: object) -> str:
    first, last = (
        format_value(time.to_pydatetime()) if hasattr(time, "to_pydatetime") else str(time) for time in (start, end)
    )
    return first if first == last else f"{first} – {last}"
