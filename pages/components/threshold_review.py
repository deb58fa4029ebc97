"""Review of a threshold proposed from verdicts: the proposal, its effect on the alarms, and the new run."""

from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from core.operations import feedback_figures as figures
from core.operations.feedback import precision_table
from core.spec.task import get_task, list_tasks
from core.storage.feedback import Feedback
from pages.components import cache, job_progress, task_page, url_state
from pages.components.feedback_form import MARKS, words
from pages.components.i18n import _, date_format, say, shown
from pages.components.results.run_widgets import chart
from pages.components.task_links import link_run, page_script

if TYPE_CHECKING:
    from core.operations.threshold_from_feedback import FlaggedRows

STEPS = 200
SHOWN_ROWS = 1000


def open_accepted_run() -> bool:
    """Open the result of an accepted threshold; show the reason if the job ended without a run.

    Returns False if no result is opened.
    """
    from core.operations.threshold_from_feedback import task_of_run

    job = job_progress.ended()
    if job is None:
        return False
    if job.run_id:
        st.switch_page(
            page_script(task_of_run(job.run_id, cache.get_workspace())),
            query_params={"run": job.run_id, "dataset": str(job.arguments["dataset"])},
        )
    job_progress.show(job)
    return False


def show() -> None:
    """Let the user choose a run with verdicts, compare thresholds, and accept one."""
    from core.operations.threshold_from_feedback import load_flagged_rows, propose_threshold

    if job_progress.going_on():
        job_progress.show(None)
        return
    run = _choose_run(cache.get_workspace().feedback.read())
    if not run:
        return
    flagged = load_flagged_rows(run, cache.get_workspace())
    proposal = propose_threshold(flagged)
    if proposal is None:
        st.info(
            _("Nobody is sure of any alarm of this run yet. Open its rows and say which are true and which are false."),
            icon=":material/rate_review:",
        )
        _link(flagged)
        return
    suggested = proposal.cut.threshold
    st.markdown(_("Suggested: {threshold}.").format(threshold=_format(suggested)) + " " + say(proposal.reason))
    threshold = _choose_threshold(flagged, suggested)
    _show_changes(flagged, threshold)
    chart(
        figures.judged_scores(_near(flagged, threshold), flagged.threshold, threshold, _),
        "judged-scores",
        _("Scores by verdict, with both thresholds"),
        dated=False,
    )
    _accept(flagged, threshold)
    _show_removed(flagged.list_removed(threshold))


def _choose_run(records: list[Feedback]) -> str:
    """Return the run of the URL or the chosen run; "" if no run has verdicts."""
    tasks = {task.name for task in list_tasks() if task.takes_verdicts}
    table = precision_table([record for record in records if record.page in tasks], each_run=True)
    asked = url_state.get_run_id()
    runs = list(dict.fromkeys([*([asked] if asked else []), *table["run"]]))
    if not runs:
        st.info(
            _(
                "No alarm whose threshold could move has been judged yet. Open a result, choose a row, and say "
                "whether it is a true alarm."
            ),
            icon=":material/rate_review:",
        )
        return ""
    counted = {line["run"]: line for line in table.to_dict("records")}

    def label(run: str) -> str:
        line = counted.get(run)
        if line is None:
            return f"{run[:12]} · {_('not judged')}"
        marks = " ".join(
            f"{MARKS[verdict]} {shown(int(line[name]))}"
            for verdict, name in (("true_alarm", "true"), ("false_alarm", "false"), ("unsure", "unsure"))
        )
        return f"{line['model']} · {run[:12]} · {marks}"

    return st.selectbox(_("Run"), runs, format_func=label, key="threshold-run")


def _choose_threshold(flagged: "FlaggedRows", suggested: float) -> float:
    """Return the suggested threshold, or the threshold on the slider."""
    sure = flagged.judged.scores
    low, high = (
        min(flagged.threshold, suggested, float(sure.min())),
        max(flagged.threshold, suggested, float(sure.max())),
    )
    room = max(0.05 * (high - low), 1e-6)
    low, high = low - room, high + room
    if not st.toggle(_("Another threshold than the suggested one"), key=f"threshold-other-{flagged.run_id}"):
        return suggested
    return st.slider(
        _("Threshold"), low, high, suggested, (high - low) / STEPS, format="%.4g", key=f"threshold-{flagged.run_id}"
    )


def _show_changes(flagged: "FlaggedRows", threshold: float) -> None:
    cut, judged = flagged.judged.cut(threshold), flagged.judged
    now, then = flagged.count_flagged(flagged.threshold), flagged.count_flagged(threshold)
    with st.container(horizontal=True, key="result-figures"):
        st.metric(
            _("Threshold"),
            _format(threshold),
            border=True,
            delta=_("now {value}").format(value=_format(flagged.threshold)),
            delta_color="off",
            delta_arrow="off",
        )
        st.metric(
            _("Rows flagged"),
            shown(then),
            border=True,
            delta=_("now {value}").format(value=shown(now)),
            delta_color="off",
            delta_arrow="off",
        )
        st.metric(
            _("False alarms removed"),
            shown(cut.removed),
            border=True,
            delta=_("of {count} judged").format(count=shown(int((~judged.true).sum()))),
            delta_color="off",
            delta_arrow="off",
        )
        st.metric(
            _("True alarms lost"),
            shown(cut.lost),
            border=True,
            delta=_("of {count} judged").format(count=shown(int(judged.true.sum()))),
            delta_color="off",
            delta_arrow="off",
        )


def _format(value: float) -> str:
    return shown(float(f"{value:.5g}"))


def _near(flagged: "FlaggedRows", threshold: float) -> pd.DataFrame:
    """Return the rows that are flagged under either threshold or have a verdict."""
    rows = flagged.rows
    return rows[(rows["score"] > min(flagged.threshold, threshold)) | (rows["verdict"] != "")]


def _accept(flagged: "FlaggedRows", threshold: float) -> None:
    """Show the button that accepts the threshold: one click makes one new run, and the old run stays."""
    with st.container(horizontal=True, vertical_alignment="center"):
        if st.button(
            _("Accept this threshold"),
            type="primary",
            icon=":material/check:",
            key="accept-threshold",
            disabled=threshold == flagged.threshold,
        ):
            task_page.submit(get_task(flagged.task), flagged.build_spec(threshold))
        _link(flagged)
    st.caption(
        _(
            "A new run with this threshold is made from the same rows; its model can be applied to new data. "
            "The run that was judged stays as it is."
        )
    )


def _link(flagged: "FlaggedRows") -> None:
    link_run(get_task(flagged.task), flagged.run_id, flagged.dataset, _("Open the run"))


def _show_removed(rows: pd.DataFrame) -> None:
    st.subheader(_("What would no longer be flagged"))
    if rows.empty:
        st.caption(_("Nothing."))
        return
    visible = rows.head(SHOWN_ROWS)
    moment = st.column_config.DatetimeColumn if pd.api.types.is_datetime64_any_dtype(rows["time"]) else None
    hours = " HH:mm" if moment and (rows["time"].dt.normalize() != rows["time"]).any() else ""
    times = {
        name: moment(label, format=date_format() + hours) if moment else st.column_config.NumberColumn(label)
        for name, label in (("time", _("Time")), ("end", _("End")))
    }
    st.dataframe(
        visible.assign(verdict=[words(verdict) for verdict in visible["verdict"]]),
        hide_index=True,
        width="stretch",
        key="threshold-removed",
        alt=_("What would no longer be flagged"),
        column_config={
            "entity": st.column_config.TextColumn(_("Entity")),
            "verdict": st.column_config.TextColumn(_("Verdict")),
            "score": st.column_config.NumberColumn(_("Score"), format="localized"),
            **times,
        },
    )
