"""Page of feedback: give feedback, review it, and derive a threshold from verdicts."""

from collections.abc import Callable

import pandas as pd
import streamlit as st

from core.operations import feedback_figures as figures
from core.operations.feedback import FeedbackInput, precision_table, to_frame
from core.storage.feedback import LONGEST_COMMENT
from pages.components import cache, feedback_form, job_progress, threshold_review, url_state
from pages.components.i18n import _, shown
from pages.components.results import feedback_table
from pages.components.results.run_widgets import chart


def page() -> None:
    """Show the tabs of the page, or open the run of an accepted threshold."""
    st.title(_("Feedback"))
    if threshold_review.open_accepted_run():
        return
    views: dict[str, Callable[[], None]] = {
        _("Review"): _review,
        _("Threshold from verdicts"): threshold_review.show,
        _("Say something"): _form,
    }
    first = (
        _("Threshold from verdicts")
        if job_progress.going_on() or url_state.get_query_param("view") == "threshold"
        else None
    )
    tabs = st.tabs(list(views), key="feedback-view", on_change="rerun", default=first)
    for tab, draw in zip(tabs, views.values(), strict=True):
        if tab.open:
            with tab:
                draw()


# ---- give feedback --------------------------------------------------------------------------------------------------


def _form() -> None:
    """Show the form for feedback on a page or the product; the run of the URL is the default."""
    with st.form("feedback-form", clear_on_submit=False):
        subject = st.selectbox(
            _("About"), feedback_table.list_subjects(), format_func=feedback_table.subject_label, key="feedback-subject"
        )
        run = st.text_input(
            _("Run, if it is about one"),
            url_state.get_run_id(),
            max_chars=64,
            key="feedback-run",
            help=_("Its id, as the results show it."),
        )
        st.markdown(_("How good is it?"))
        stars = st.feedback("stars", key="feedback-stars")
        comment = st.text_area(_("Comment"), max_chars=LONGEST_COMMENT, key="feedback-comment")
        submitted = st.form_submit_button(_("Send"), type="primary", icon=":material/send:", key="feedback-send")
    if submitted:
        feedback_form.keep(
            FeedbackInput(subject, run.strip(), rating=None if stars is None else stars + 1, comment=comment), "general"
        )
    feedback_form.receipt("general")


# ---- review ---------------------------------------------------------------------------------------------------------


def _review() -> None:
    records = cache.get_workspace().feedback.read()
    waiting = cache.get_workspace().feedback.pending_count()
    if waiting:
        st.warning(
            _("Records that wait here to be sent to {place}: {count}.").format(
                count=shown(waiting), place=cache.get_workspace().feedback.location
            ),
            icon=":material/schedule_send:",
        )
    if not records:
        st.info(
            _(
                "Nothing has been said yet. Open a row of a result and say whether it is a true alarm, or say "
                "something here."
            ),
            icon=":material/rate_review:",
        )
        return
    lines = feedback_table.filter_form(to_frame(records))
    ids = set(lines["id"])
    chosen = [record for record in records if record.id in ids]
    feedback_table.show_counts(lines)
    feedback_table.show_list(lines)
    _show_precision(precision_table(chosen), precision_table(chosen, each_run=True))
    feedback_table.export_buttons(lines, chosen)


def _show_precision(by_detector: pd.DataFrame, by_run: pd.DataFrame) -> None:
    st.subheader(_("Precision so far"))
    if by_detector.empty or not by_detector["judged"].sum():
        st.caption(_("No alarm has been judged true or false yet."))
        return
    grain = st.segmented_control(
        _("By"),
        ["detector", "run"],
        default="detector",
        required=True,
        key="precision-by",
        format_func={"detector": _("detector"), "run": _("run")}.__getitem__,
    )
    table = by_run if grain == "run" else by_detector
    table = table[table["judged"] > 0].reset_index(drop=True)
    names = [feedback_table.detector_label(line) for line in table.to_dict("records")]
    chart(
        figures.precision(table, names, _), "precision", _("Precision of each detector with its interval"), dated=False
    )
    st.caption(
        _(
            "Of the alarms that people judged, the share that was true; one voice a person and row, ties left "
            "out. People judge what they open, mostly the highest scores: the precision of all alarms may be "
            "lower."
        )
    )
    feedback_table.show_precision_table(table, names)


page()
