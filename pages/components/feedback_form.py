"""Form for the verdict on a row: true alarm, false alarm or unsure, with a comment.

A saved verdict is confirmed with its id, and shown when the row is opened again.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import get_args

import pandas as pd
import streamlit as st
from streamlit.elements.lib.column_types import ColumnConfig

from core.errors import InputError
from core.operations.feedback import VERDICT_LABELS, FeedbackInput, serialise_row, submit_feedback
from core.runs.verdicts import (
    ROW_KEY_COLUMNS,
    RowKey,
    compute_majorities,
    group_latest_verdicts,
    list_run_ids,
    make_row_key,
    select_row_verdicts,
)
from core.spec.task import find_task
from core.storage.feedback import MAX_COMMENT_CHARS, Feedback, FeedbackStatus, Verdict
from pages.components import auth, cache, clock, guide, url_state
from pages.components.i18n import _, translate_message
from pages.components.markdown import escape_markdown, format_code

VERDICT_MARKS = {"true_alarm": "✓", "false_alarm": "✗", "unsure": "?"}
VERDICT_OPTIONS: tuple[Verdict, ...] = get_args(Verdict)
FEEDBACK_SCRIPT = Path(__file__).parents[1] / "operations" / "feedback.py"


def ask_verdict(task: str, run: str, row: Mapping[str, object], table_key: str = "") -> None:
    """Show the form for verdict and comment on one row of a run; `row` has at least entity, time and score.

    `table_key` distinguishes two tables of a page that may have the same row open.
    """
    stored_row = serialise_row(row)
    key = hashlib.sha256(f"{table_key} {run} {make_row_key(stored_row)}".encode()).hexdigest()[:16]
    with st.container(border=True, key=f"verdict-{key}"):
        records = _load_verdicts(run)
        _show_earlier_verdicts(group_latest_verdicts(records).get(make_row_key(stored_row), []))
        verdict = st.segmented_control(
            _("Is this a true alarm?"),
            VERDICT_OPTIONS,
            format_func=format_verdict,
            key=f"verdict-choice-{key}",
            help=_(
                "Verdicts give the precision of the detector and a proposal for its threshold. See the page Feedback."
            ),
        )
        comment = st.text_input(
            _("Comment"),
            key=f"verdict-comment-{key}",
            max_chars=MAX_COMMENT_CHARS,
            placeholder=_("What happened, or why the row is normal"),
        )
        if st.button(
            _("Save the verdict"), key=f"verdict-save-{key}", icon=":material/rate_review:", disabled=verdict is None
        ):
            save_feedback(FeedbackInput(task, run, stored_row, verdict, comment=comment or ""), key)
        show_delivery_status(key)
        if records and _takes_verdicts(task):
            st.page_link(
                FEEDBACK_SCRIPT,
                label=_("Threshold proposed from the verdicts"),
                icon=":material/straighten:",
                query_params={"run": run, "view": "threshold"},
            )


def _takes_verdicts(name: str) -> bool:
    task = find_task(name)
    return task is not None and task.accepts_verdicts


def save_feedback(feedback: FeedbackInput, key: str) -> None:
    """Save one record per click, and rerun the page; `show_delivery_status` then shows the delivery status."""
    try:
        status = cache.submit_once(
            f"feedback {key} {feedback}",
            lambda: submit_feedback(feedback, workspace=cache.get_workspace(), actor=auth.current_actor(feedback.page)),
        )
    except InputError as error:
        st.error(translate_message(error.message), icon=":material/error:")
    except OSError as error:
        st.error(
            _("The feedback was not saved: {reason}. Try again later.").format(
                reason=escape_markdown(error.strerror or str(error))
            ),
            icon=":material/error:",
        )
    else:
        url_state.set_state(f"receipt-{key}", status)
        if feedback.verdict is not None:
            guide.record_verdict()
        st.rerun()


def show_delivery_status(key: str) -> None:
    """Show the delivery status of the last record saved with this form."""
    status: FeedbackStatus | None = url_state.get_state(f"receipt-{key}")
    if status is None:
        return
    if status.state == "waiting":
        st.warning(
            _("Saved on this server, pending delivery · {id}").format(id=format_code(status.id)),
            icon=":material/schedule_send:",
        )
        if status.problem is not None:
            st.caption(translate_message(status.problem))
        return
    template = _("Sent · {id}") if status.is_sent else _("Saved · {id}")
    st.success(template.format(id=format_code(status.id)), icon=":material/check:")


def format_verdict(verdict: str) -> str:
    """Return a verdict as a mark and a word, so that it does not depend on colour."""
    return f"{VERDICT_MARKS[verdict]} {_(VERDICT_LABELS[verdict])}" if verdict in VERDICT_MARKS else ""


def list_verdicts(run: str, rows: pd.DataFrame) -> list[str]:
    """Return the majority verdict on each of `rows` as text; "" for a row without a verdict.

    `rows` has the columns entity and time, and end or step where the task has them.
    """
    verdicts = compute_majorities(_load_verdicts(run))
    if not verdicts:
        return [""] * len(rows)
    return [format_verdict(verdicts.get(key, "")) for key in _build_row_keys(rows)]


def build_verdict_column() -> ColumnConfig:
    """Return the configuration of the verdict column."""
    return st.column_config.TextColumn(
        _("Verdict"), help=_("Majority verdict, with one vote per user. A tie counts as unsure.")
    )


def _build_row_keys(rows: pd.DataFrame) -> list[RowKey]:
    columns = [name for name in ROW_KEY_COLUMNS if name in rows]
    return [
        make_row_key(serialise_row(dict(zip(columns, row, strict=True))))
        for row in rows[columns].itertuples(index=False)
    ]


def _load_verdicts(run: str) -> list[Feedback]:
    return select_row_verdicts(cache.get_workspace().feedback.read_records(), cache.cache_by_run(list_run_ids, run))


def _show_earlier_verdicts(verdicts: list[Feedback]) -> None:
    """Show the latest verdict of every user on this row."""
    for record in sorted(verdicts, key=lambda record: record.time, reverse=True):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"**{format_verdict(str(record.verdict))}**")
            st.caption(f"{escape_markdown(record.user)} · {clock.format_instant(record.time)}")
        if record.comment:
            st.text(record.comment)
