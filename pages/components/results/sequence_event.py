"""One event in detail: its columns with their expected bands, in the order of a ranking."""

import streamlit as st

from core.tasks.anomalies.result import SEVERITIES
from core.tasks.sequences import figures
from core.tasks.sequences.result import SequenceDetection
from pages.components.i18n import _, shown
from pages.components.results.anomalies import MARKS
from pages.components.results.run_widgets import chart


def show(detection: SequenceDetection, number: int) -> None:
    """Show the event in row `number` of the events."""
    event = detection.events.loc[number]
    words = [
        f"#{number + 1}",
        severity(int(event["severity"])),
        str(event["entity"]),
        _span(event["start"], event["end"]),
    ]
    st.subheader(" · ".join(words))
    if (detection.cells["event"] != number).all():
        st.caption(_("Values are kept only for the events with the highest scores."))
        return
    ranking = (
        st.segmented_control(
            _("Columns in the order of"),
            ["distance", "share"],
            default="distance",
            required=True,
            key="event-ranking",
            format_func={"share": _("the detector's shares"), "distance": _("distance to the moving mean")}.__getitem__,
            help=_(
                "The share says what raised this score. The distance to the moving mean names the true causes "
                "more often: a residual smears over columns that go together."
            ),
        )
        or "distance"
    )
    columns = event["causes"] if ranking == "share" else event["ranked"]
    st.caption(_("In this order: {columns}.").format(columns=columns or "–"))
    alt = _("Values of the columns that explain the event, over their expected bands")
    chart(figures.event(detection, number, ranking, _), "sequence-event", alt, dated=detection.is_dated)


def severity(level: int) -> str:
    """Return a severity as a mark and a word, so that it does not depend on colour."""
    return f"{MARKS[level]} {_(SEVERITIES[level])}"


def _span(start: object, end: object) -> str:
    first, last = (
        shown(each.to_pydatetime()) if hasattr(each, "to_pydatetime") else str(each) for each in (start, end)
    )
    return first if first == last else f"{first} – {last}"
