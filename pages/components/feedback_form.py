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
from core.operations.feedback import (
    VERDICTS,
    FeedbackInput,
    RowKey,
    latest_by_row,
    majority_by_row,
    row_key,
    row_verdicts,
    run_ids,
    serialise_row,
    submit_feedback,
)
from core.spec.task import find_task
from core.storage.feedback import LONGEST_COMMENT, Feedback, FeedbackStatus, Verdict
from pages.components import auth, cache, url_state
from pages.components.i18n import _, say, shown

MARKS = {"true_alarm": "✓", "false_alarm": "✗", "unsure": "?"}
VERDICT_OPTIONS: tuple[Verdict, ...] = get_args(Verdict)
FEEDBACK = Path(__file__).parents[1] / "operations" / "feedback.py"


def ask(task: str, run: str, row: Mapping[str, object], place: str = "") -> None:
    """Show the form for verdict and comment on one row of a run; `row` has at least entity, time and score.

    `place` distinguishes two tables of a page that may have the same row open.
    """
    kept = serialise_row(row)
    key = hashlib.sha256(f"{place} {run} {row_key(kept)}".encode()).hexdigest()[:16]
    with st.container(border=True, key=f"verdict-{key}"):
        records = _records(run)
        _said_before(latest_by_row(records).get(row_key(kept), []))
        verdict = st.segmented_control(
            _("Is this a true alarm?"),
            VERDICT_OPTIONS,
            format_func=words,
            key=f"verdict-choice-{key}",
            help=_(
                "Verdicts measure the precision of the detector, and can move its threshold: see the page Feedback."
            ),
        )
        comment = st.text_input(
            _("Comment"),
            key=f"verdict-comment-{key}",
            max_chars=LONGEST_COMMENT,
            placeholder=_("What happened, or why it is usual"),
        )
        if st.button(
            _("Save the verdict"), key=f"verdict-save-{key}", icon=":material/rate_review:", disabled=verdict is None
        ):
            keep(FeedbackInput(task, run, kept, verdict, comment=comment or ""), key)
        receipt(key)
        if records and _takes_verdicts(task):
            st.page_link(
                FEEDBACK,
                label=_("What the verdicts say of the threshold"),
                icon=":material/straighten:",
                query_params={"run": run, "view": "threshold"},
            )


def _takes_verdicts(name: str) -> bool:
    task = find_task(name)
    return task is not None and task.takes_verdicts


def keep(given: FeedbackInput, key: str) -> None:
    """Save one record per click, and rerun the page; `receipt` then shows the delivery status."""
    try:
        got = cache.submit_once(
            f"feedback {key} {given}",
            lambda: submit_feedback(given, workspace=cache.get_workspace(), actor=auth.current_actor(given.page)),
        )
    except InputError as error:
        st.error(say(error.text), icon=":material/error:")
    except OSError as error:
        st.error(
            _("This could not be written down ({reason}): nothing was saved. Try again later.").format(
                reason=error.strerror or error
            ),
            icon=":material/error:",
        )
    else:
        url_state.set_state(f"receipt-{key}", got)
        st.rerun()


def receipt(key: str) -> None:
    """Show the delivery status of the last record saved with this form."""
    got: FeedbackStatus | None = url_state.get_state(f"receipt-{key}")
    if got is None:
        return
    if got.state == "waiting":
        st.warning(_("Saved here, will be sent · {id}").format(id=f"`{got.id}`"), icon=":material/schedule_send:")
        if got.problem is not None:
            st.caption(say(got.problem))
        return
    sentence = _("Sent · {id}") if got.is_sent else _("Saved · {id}")
    st.success(sentence.format(id=f"`{got.id}`"), icon=":material/check:")


def words(verdict: str) -> str:
    """Return a verdict as a mark and a word, so that it does not depend on colour."""
    return f"{MARKS[verdict]} {_(VERDICTS[verdict])}" if verdict in MARKS else ""


def column(run: str, rows: pd.DataFrame) -> list[str]:
    """Return the majority verdict on each of `rows` as text; "" for a row without a verdict.

    `rows` has the columns entity and time, and end or step where the task has them.
    """
    verdicts = majority_by_row(_records(run))
    if not verdicts:
        return [""] * len(rows)
    return [words(verdicts.get(key, "")) for key in _keys(rows)]


def column_config() -> ColumnConfig:
    """Return the configuration of the verdict column."""
    return st.column_config.TextColumn(
        _("Verdict"), help=_("What most people say of it, one voice a person; a tie is unsure.")
    )


def _keys(rows: pd.DataFrame) -> list[RowKey]:
    columns = [name for name in ("entity", "time", "end", "step") if name in rows]
    return [
        row_key(serialise_row(dict(zip(columns, row, strict=True)))) for row in rows[columns].itertuples(index=False)
    ]


def _records(run: str) -> list[Feedback]:
    return row_verdicts(cache.get_workspace().feedback.read(), cache.cache_by_run(run_ids, run))


def _said_before(voices: list[Feedback]) -> None:
    """Show the latest verdict of every user on this row."""
    for record in sorted(voices, key=lambda record: record.time, reverse=True):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"**{words(str(record.verdict))}**")
            st.caption(f"{record.user} · {shown(record.time.astimezone().replace(tzinfo=None))}")
        if record.comment:
            st.text(record.comment)
