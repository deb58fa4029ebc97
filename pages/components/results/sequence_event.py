"""One event opened: its columns over what was expected of them, in the order of either ranking."""

import streamlit as st

from core.tasks.anomalies.result import SEVERITIES
from core.tasks.sequences import figures as figures
from core.tasks.sequences.result import SequenceDetection
from pages.components.i18n import _, shown
from pages.components.results.anomalies import MARKS
from pages.components.results.run_widgets import chart


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
    actor = (
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
    ranking = event["causes"] if actor == "share" else event["ranked"]
    st.caption(_("In this order: {columns}.").format(columns=ranking or "–"))
    alt = _("Values of the columns that explain the event, over their expected bands")
    chart(figures.event(found, number, actor, _), "sequence-event", alt, dated=found.dated)


def severity(level: int) -> str:
    """A mark beside the word, so that severity never hangs on colour."""
    return f"{MARKS[level]} {_(SEVERITIES[level])}"


def _span(start: object, end: object) -> str:
    first, last = (
        shown(each.to_pydatetime()) if hasattr(each, "to_pydatetime") else str(each) for each in (start, end)
    )
    return first if first == last else f"{first} – {last}"
