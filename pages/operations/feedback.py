"""Feedback: say something, see what was said, and let verdicts move a threshold."""

from collections.abc import Callable

import streamlit as st

from core.operations import feedback_figures as figures
from core.operations.feedback import Said, precisions, table
from core.storage.feedback import LONGEST_COMMENT
from pages.components import feedback_form, job_progress, session, threshold_review
from pages.components.i18n import _, percent, shown
from pages.components.results import feedback_table
from pages.components.results.run_widgets import chart


def page() -> None:
    st.title(_("Feedback"))
    if threshold_review.settled():
        return
    views: dict[str, Callable[[], None]] = {
        _("Review"): _review,
        _("Threshold from verdicts"): threshold_review.show,
        _("Say something"): _form,
    }
    first = (
        _("Threshold from verdicts") if job_progress.going_on() or session.from_address("view") == "threshold" else None
    )
    tabs = st.tabs(list(views), key="feedback-view", on_change="rerun", default=first)
    for tab, draw in zip(tabs, views.values(), strict=True):
        if tab.open:
            with tab:
                draw()


# ---- say something --------------------------------------------------------------------------------------------------


def _form() -> None:
    """About a page or the product; the run of the address is offered."""
    with st.form("feedback-form", clear_on_submit=False):
        subject = st.selectbox(
            _("About"), list(feedback_table.SUBJECTS), format_func=feedback_table.subject, key="feedback-subject"
        )
        run = st.text_input(
            _("Run, if it is about one"),
            session.run_id(),
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
            Said(subject, run.strip(), rating=None if stars is None else stars + 1, comment=comment), "general"
        )
    feedback_form.receipt("general")


# ---- review ---------------------------------------------------------------------------------------------------------


def _review() -> None:
    records = session.here().feedback.read()
    waiting = session.here().feedback.pending_count()
    if waiting:
        st.warning(
            _("Records that wait here to be sent to {place}: {count}.").format(
                count=shown(waiting), place=session.here().feedback.location
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
    lines = table(records)
    kept = feedback_table.filtered(lines)
    chosen = [record for record in records if record.id in set(kept["id"])]
    feedback_table.counts(kept)
    feedback_table.listed(kept)
    _precision(precisions(chosen), precisions(chosen, each_run=True))
    feedback_table.exports(kept, chosen)


def _precision(by_detector, by_run) -> None:  # type: ignore[no-untyped-def]
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
    found = by_run if grain == "run" else by_detector
    found = found[found["judged"] > 0].reset_index(drop=True)
    names = [feedback_table.named(line) for line in found.to_dict("records")]
    chart(
        figures.precision(found, names, _), "precision", _("Precision of each detector with its interval"), dated=False
    )
    st.caption(
        _(
            "Of the alarms that people judged, the share that was true; one voice a person and row, ties left "
            "out. People judge what they open, mostly the highest scores: the precision of all alarms may be "
            "lower."
        )
    )
    feedback_table.precision_table(found, names, percent)


page()
