"""Review of a threshold proposed from verdicts: the proposal, its effect on the alarms, and the new run."""

from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from core.operations import feedback_figures as figures
from core.operations.feedback import build_precision_table
from core.spec.task import get_task, list_tasks
from core.storage.feedback import Feedback
from pages.components import cache, job_progress, task_page, url_state
from pages.components.choices import label_uniquely
from pages.components.feedback_form import VERDICT_MARKS, format_verdict
from pages.components.i18n import _, format_value, get_date_format, translate_message
from pages.components.results.run_widgets import show_chart
from pages.components.run_name import name_run
from pages.components.task_links import get_page_script, link_recent_results, link_run
from pages.components.term_help import explain

if TYPE_CHECKING:
    from core.operations.threshold_from_feedback import FlaggedRows

SLIDER_STEPS = 200
MAX_SHOWN_ROWS = 1000


def open_accepted_run() -> bool:
    """Open the result of an accepted threshold; show the reason if the job ended without a run.

    Returns False if no result is opened.
    """
    from core.operations.threshold_from_feedback import load_run_task

    job = job_progress.take_finished_job()
    if job is None:
        return False
    if job.run_id:
        st.switch_page(
            get_page_script(load_run_task(job.run_id, cache.get_workspace()).page),
            query_params={"run": job.run_id, "dataset": str(job.arguments["dataset"])},
        )
    job_progress.show(job)
    return False


def show() -> None:
    """Let the user choose a run with verdicts, compare thresholds, and accept one."""
    from core.operations.threshold_from_feedback import load_flagged_rows, propose_threshold

    if job_progress.is_job_running():
        job_progress.show(None)
        return
    run = _choose_run(cache.get_workspace().feedback.read_records())
    if not run:
        return
    flagged = load_flagged_rows(run, cache.get_workspace())
    proposal = propose_threshold(flagged)
    if proposal is None:
        st.info(
            _("No alarm of this run has the verdict true or false yet. Open its rows and give verdicts."),
            icon=":material/rate_review:",
        )
        _link_to_run(flagged)
        return
    suggested = proposal.candidate.threshold
    st.markdown(
        _("Suggested threshold: {threshold}.").format(threshold=_format_threshold(suggested))
        + " "
        + translate_message(proposal.reason)
    )
    threshold = _choose_threshold(flagged, suggested)
    _show_changes(flagged, threshold)
    show_chart(
        figures.draw_reviewed_scores(_select_affected_rows(flagged, threshold), flagged.threshold, threshold, _),
        "judged-scores",
        _("Scores by verdict, with both thresholds"),
    )
    _show_accept_button(flagged, threshold)
    _show_removed_rows(flagged.select_removed_rows(threshold))


def _choose_run(records: list[Feedback]) -> str:
    """Return the run of the URL or the chosen run; "" if no run has verdicts."""
    tasks = {task.name for task in list_tasks() if task.accepts_verdicts}
    table = build_precision_table([record for record in records if record.page in tasks], per_run=True)
    run_in_url = url_state.get_run_id()
    runs = list(dict.fromkeys([*([run_in_url] if run_in_url else []), *table["run"]]))
    if not runs:
        st.info(
            _(
                "No alarm with an adjustable threshold has a verdict yet. Open a result, "
                "select a row, and give a verdict."
            ),
            icon=":material/rate_review:",
        )
        link_recent_results()
        return ""
    row_by_run = {table_row["run"]: table_row for table_row in table.to_dict("records")}

    def describe_run(run: str) -> str:
        row = row_by_run.get(run)
        if row is None:
            return f"{name_run(run)} · {_('not reviewed')}"
        marks = " ".join(
            f"{VERDICT_MARKS[verdict]} {format_value(int(row[name]))}"
            for verdict, name in (("true_alarm", "true"), ("false_alarm", "false"), ("unsure", "unsure"))
        )
        return f"{name_run(run)} · {marks}"

    return st.selectbox(_("Run"), runs, format_func=label_uniquely(runs, describe_run), key="threshold-run")


def _choose_threshold(flagged: "FlaggedRows", suggested: float) -> float:
    """Return the suggested threshold, or the threshold on the slider."""
    reviewed_scores = flagged.reviewed_rows.scores
    low, high = (
        min(flagged.threshold, suggested, float(reviewed_scores.min())),
        max(flagged.threshold, suggested, float(reviewed_scores.max())),
    )
    margin = max(0.05 * (high - low), 1e-6)
    low, high = low - margin, high + margin
    if not st.toggle(_("Use another threshold"), key=f"threshold-other-{flagged.run_id}"):
        return suggested
    steps = [low + (high - low) * step / SLIDER_STEPS for step in range(SLIDER_STEPS + 1)]
    return st.select_slider(
        _("Threshold"),
        sorted({*steps, suggested}),
        suggested,
        format_func=_format_threshold,
        key=f"threshold-{flagged.run_id}",
    )


def _show_changes(flagged: "FlaggedRows", threshold: float) -> None:
    candidate, reviewed = flagged.reviewed_rows.evaluate_threshold(threshold), flagged.reviewed_rows
    current_count, new_count = flagged.count_flagged_rows(flagged.threshold), flagged.count_flagged_rows(threshold)
    with st.container(horizontal=True, key="result-figures"):
        st.metric(
            _("Threshold"),
            _format_threshold(threshold),
            border=True,
            delta=_("currently {value}").format(value=_format_threshold(flagged.threshold)),
            help=explain("threshold"),
            delta_color="off",
            delta_arrow="off",
        )
        st.metric(
            _("Rows flagged"),
            format_value(new_count),
            border=True,
            delta=_("currently {value}").format(value=format_value(current_count)),
            delta_color="off",
            delta_arrow="off",
        )
        st.metric(
            _("False alarms removed"),
            format_value(candidate.false_alarms_removed),
            border=True,
            delta=_("of {count} reviewed").format(count=format_value(int((~reviewed.is_true_alarm).sum()))),
            delta_color="off",
            delta_arrow="off",
        )
        st.metric(
            _("True alarms lost"),
            format_value(candidate.true_alarms_lost),
            border=True,
            delta=_("of {count} reviewed").format(count=format_value(int(reviewed.is_true_alarm.sum()))),
            delta_color="off",
            delta_arrow="off",
        )


def _format_threshold(value: float) -> str:
    return format_value(float(f"{value:.5g}"))


def _select_affected_rows(flagged: "FlaggedRows", threshold: float) -> pd.DataFrame:
    """Return the rows that are flagged under either threshold or have a verdict."""
    rows = flagged.rows
    return rows[(rows["score"] > min(flagged.threshold, threshold)) | (rows["verdict"] != "")]


def _show_accept_button(flagged: "FlaggedRows", threshold: float) -> None:
    """Show the button that accepts the threshold: one click makes one new run, and the old run stays."""
    with st.container(horizontal=True, vertical_alignment="center"):
        if st.button(
            _("Accept this threshold"),
            type="primary",
            icon=":material/check:",
            key="accept-threshold",
            disabled=threshold == flagged.threshold,
        ):
            task_page.submit_spec(get_task(flagged.task), flagged.build_spec(threshold))
        _link_to_run(flagged)
    st.caption(
        _(
            "This creates a new run with this threshold on the same rows. Its model can be "
            "applied to new data. The reviewed run does not change."
        )
    )


def _link_to_run(flagged: "FlaggedRows") -> None:
    link_run(get_task(flagged.task), flagged.run_id, flagged.dataset, _("Open the run"))


def _show_removed_rows(rows: pd.DataFrame) -> None:
    st.header(_("Rows that would no longer be flagged"))
    if rows.empty:
        st.caption(_("None."))
        return
    visible = rows.head(MAX_SHOWN_ROWS)
    time_column = st.column_config.DatetimeColumn if pd.api.types.is_datetime64_any_dtype(rows["time"]) else None
    time_suffix = " HH:mm" if time_column and (rows["time"].dt.normalize() != rows["time"]).any() else ""
    time_columns = {
        name: time_column(label, format=get_date_format() + time_suffix)
        if time_column
        else st.column_config.NumberColumn(label)
        for name, label in (("time", _("Time")), ("end", _("End")))
    }
    st.dataframe(
        visible.assign(verdict=[format_verdict(verdict) for verdict in visible["verdict"]]),
        hide_index=True,
        width="stretch",
        key="threshold-removed",
        alt=_("Rows that would no longer be flagged"),
        column_config={
            "entity": st.column_config.TextColumn(_("Entity")),
            "verdict": st.column_config.TextColumn(_("Verdict")),
            "score": st.column_config.NumberColumn(_("Score"), format="localized"),
            **time_columns,
        },
    )
