"""One event opened: its columns over what was expected of them, in the order of either ranking."""

import streamlit as st

from core.figures import sequences as figures
from core.results.detection import SEVERITIES
from core.results.sequences import SequenceDetection
from pages.parts.show.anomalies import MARKS
from pages.parts.show.run import chart
from pages.parts.text import _, shown


def show(found: SequenceDetection, number: int) -> None:
    """The event at the place `number` of the table."""
    event = found.events.loc[number]
    words = [
        f"#{number + 1}",
        severity(int(event["severity"])),
        str(event["entity"]),
        _span(event["start"], event["end"]),
    ]
    st.subheader(" · ".join(words))
    if (found.cells["event"] != number).all():
        st.caption(_("Values are kept only for the events with the highest scores."))
        return
    by = (
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
    ranking = event["causes"] if by == "share" else event["ranked"]
    st.caption(_("In this order: {columns}.").format(columns=ranking or "–"))
    alt = _("Values of the columns that explain the event, over their expected bands")
    chart(figures.event(found, number, by, _), "sequence-event", alt, dated=found.dated)


def severity(level: int) -> str:
    """A mark beside the word, so that severity never hangs on colour."""
    return f"{MARKS[level]} {_(SEVERITIES[level])}"


def _span(start: object, end: object) -> str:
    first, last = (
        shown(each.to_pydatetime()) if hasattr(each, "to_pydatetime") else str(each) for each in (start, end)
    )
    return first if first == last else f"{first} – {last}"
