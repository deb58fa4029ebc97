"""Ten rows to judge: those whose verdicts would tell most about the best threshold of a model."""

import hashlib
from typing import Any

import streamlit as st

from core.operations.feedback import FeedbackInput, serialise_row
from core.operations.watching.rows_to_judge import RowsToJudge, choose_rows_to_judge
from core.phrases import to_moment
from core.spec.task import get_task
from pages.components import cache, feedback_form
from pages.components.i18n import _, format_value
from pages.components.markdown import escape_markdown


def show(run_id: str, task: str) -> None:
    """Show the rows of the model of a run, on demand: choosing them reads all its scores."""
    if not get_task(task).accepts_verdicts:
        return
    section = st.expander(
        _("Ten rows to judge"), icon=":material/rate_review:", key=f"rows-to-judge-{run_id}", on_change="rerun"
    )
    if section.open:
        with section:
            _show_rows(choose_rows_to_judge(run_id, cache.get_workspace()))


def _show_rows(chosen: RowsToJudge) -> None:
    st.caption(
        _(
            "The verdicts on these rows would tell most about the best threshold of the model. They lie around the "
            "threshold, and a row that was judged leaves the list."
        )
    )
    if chosen.proposal is not None:
        st.markdown(
            _(
                "{count} row is judged. The verdicts propose the threshold {threshold}. The model has {current}.",
                "{count} rows are judged. The verdicts propose the threshold {threshold}. The model has {current}.",
                chosen.reviewed,
            ).format(
                count=format_value(chosen.reviewed),
                threshold=_format_score(chosen.proposal.candidate.threshold),
                current=_format_score(chosen.threshold),
            )
        )
        st.page_link(
            feedback_form.FEEDBACK_SCRIPT,
            label=_("Threshold proposed from the verdicts"),
            icon=":material/straighten:",
            query_params={"run": chosen.run_id, "view": "threshold"},
        )
    if chosen.rows.empty:
        st.info(_("Every row that could tell something is judged."), icon=":material/check_circle:")
        return
    for row in chosen.rows.to_dict("records"):
        _ask_verdict(chosen, {str(name): value for name, value in row.items()})


def _ask_verdict(chosen: RowsToJudge, row: dict[str, Any]) -> None:
    """Show a row with a button for each verdict; a click saves it, and the row leaves the list.

    The buttons have the identity of the row: the second click of a double click does not judge the next row.
    """
    is_flagged = row.pop("is_flagged")
    stored_row = serialise_row(row)
    key = f"judge-{hashlib.sha256(f'{chosen.run_id} {sorted(stored_row.items())}'.encode()).hexdigest()[:16]}"
    with st.container(horizontal=True, vertical_alignment="center", key=key):
        st.markdown(
            "**{entity}** · {time} · {score} · {state}".format(
                entity=escape_markdown(str(row["entity"])),
                time=format_value(to_moment(row["time"])),
                score=_("score {score}").format(score=_format_score(row["score"])),
                state=_("flagged") if is_flagged else _("not flagged"),
            ),
            width=430,
        )
        for verdict in feedback_form.VERDICT_OPTIONS:
            if st.button(feedback_form.format_verdict(verdict), key=f"{key}-{verdict}"):
                feedback_form.save_feedback(FeedbackInput(chosen.task, chosen.run_id, stored_row, verdict), key)


def _format_score(score: float) -> str:
    return format_value(float(f"{score:.4g}"))
