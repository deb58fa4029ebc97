"""Page of feedback: give feedback, review it, and derive a threshold from verdicts."""

from collections.abc import Callable

import pandas as pd
import streamlit as st

from core.operations import feedback_figures as figures
from core.operations.feedback import FeedbackInput, build_precision_table, to_frame
from core.storage.feedback import MAX_COMMENT_CHARS
from pages.components import cache, feedback_form, job_progress, threshold_review, url_state
from pages.components.i18n import _, format_value
from pages.components.markdown import escape_markdown
from pages.components.results import feedback_table
from pages.components.results.run_widgets import show_chart
from pages.components.task_links import link_recent_results


def page() -> None:
    """Show the tabs of the page, or open the run of an accepted threshold."""
    st.title(_("Feedback"))
    if threshold_review.open_accepted_run():
        return
    views: dict[str, Callable[[], None]] = {
        _("Review"): _show_review,
        _("Threshold from verdicts"): threshold_review.show,
        _("Give feedback"): _show_form,
    }
    first_view = (
        _("Threshold from verdicts")
        if job_progress.is_job_running() or url_state.get_query_param("view") == "threshold"
        else None
    )
    tabs = st.tabs(list(views), key="feedback-view", on_change="rerun", default=first_view)
    for tab, show_view in zip(tabs, views.values(), strict=True):
        if tab.open:
            with tab:
                show_view()


# ---- give feedback --------------------------------------------------------------------------------------------------


def _show_form() -> None:
    """Show the form for feedback on a page or the product; the run of the URL is the default."""
    with st.form("feedback-form", clear_on_submit=False):
        subject = st.selectbox(
            _("About"),
            feedback_table.list_subjects(),
            format_func=feedback_table.get_subject_label,
            key="feedback-subject",
        )
        run = st.text_input(
            _("Run (optional)"),
            url_state.get_run_id(),
            max_chars=64,
            key="feedback-run",
            help=_("Id of the run, as shown with its result."),
        )
        st.markdown(_("Rating"))
        stars = st.feedback("stars", key="feedback-stars")
        comment = st.text_area(_("Comment"), max_chars=MAX_COMMENT_CHARS, key="feedback-comment")
        submitted = st.form_submit_button(_("Send"), type="primary", icon=":material/send:", key="feedback-send")
    if submitted:
        feedback_form.save_feedback(
            FeedbackInput(subject, run.strip(), rating=None if stars is None else stars + 1, comment=comment), "general"
        )
    feedback_form.show_delivery_status("general")


# ---- review ---------------------------------------------------------------------------------------------------------


def _show_review() -> None:
    records = cache.get_workspace().feedback.read_records()
    pending_count = cache.get_workspace().feedback.count_pending()
    if pending_count:
        st.warning(
            _("Records pending delivery to {place}: {count}.").format(
                count=format_value(pending_count), place=escape_markdown(cache.get_workspace().feedback.location)
            ),
            icon=":material/schedule_send:",
        )
    if not records:
        st.info(
            _("There is no feedback yet. Open a result and give a verdict on a row, or use the tab “Give feedback”."),
            icon=":material/rate_review:",
        )
        link_recent_results()
        return
    table = feedback_table.ask_filter(to_frame(records))
    ids = set(table["id"])
    chosen_records = [record for record in records if record.id in ids]
    feedback_table.show_counts(table)
    feedback_table.show_list(table)
    _show_precision(build_precision_table(chosen_records), build_precision_table(chosen_records, per_run=True))
    feedback_table.show_export_buttons(table, chosen_records)


def _show_precision(by_detector: pd.DataFrame, by_run: pd.DataFrame) -> None:
    st.header(_("Precision so far"))
    if by_detector.empty or not by_detector["reviewed"].sum():
        st.caption(_("No alarm has the verdict true or false yet."))
        return
    grouping = st.segmented_control(
        _("By"),
        ["detector", "run"],
        default="detector",
        required=True,
        key="precision-by",
        format_func={"detector": _("detector"), "run": _("run")}.__getitem__,
    )
    table = by_run if grouping == "run" else by_detector
    table = table[table["reviewed"] > 0].reset_index(drop=True)
    names = [feedback_table.get_detector_label(row) for row in table.to_dict("records")]
    show_chart(figures.draw_precision(table, names, _), "precision", _("Precision of each detector with its interval"))
    st.caption(
        _(
            "Share of true alarms among the reviewed alarms. Each user has one vote per row, "
            "and ties are left out. Users mostly review the highest scores, so the precision "
            "of all alarms may be lower."
        )
    )
    feedback_table.show_precision_table(table, names)


page()
