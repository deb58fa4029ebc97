"""A threshold from verdicts, on screen: what is suggested, what it would change, and the new run once it is
accepted.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from core.operations import feedback_figures as figures
from core.operations.feedback import precisions
from core.storage.feedback import Feedback
from pages.components import cache, job_progress, url_state
from pages.components.feedback_form import MARKS, WITH_THRESHOLD, words
from pages.components.i18n import _, date_format, say, shown
from pages.components.results.run_widgets import chart

if TYPE_CHECKING:
    from core.operations.threshold_from_feedback import Alarms

PAGES = Path(__file__).parents[1] / "analysis"
STEPS = 200
SHOWN_ROWS = 1000


def settled() -> bool:
    """Open the result of a threshold that was accepted; shows why there is none, where the work ended without."""
    from core.operations.threshold_from_feedback import task_of

    job = job_progress.ended()
    if job is None:
        return False
    if job.run_id:
        here = cache.get_workspace()
        st.switch_page(
            PAGES / f"{task_of(job.run_id, here)}.py",
            query_params={"run": job.run_id, "dataset": str(job.arguments["dataset"])},
        )
    job_progress.show(job)
    return False


def show() -> None:
    """Choose a run with verdicts, see what another threshold would do, and accept it."""
    from core.operations.threshold_from_feedback import alarms, proposal

    if job_progress.going_on():
        job_progress.show(None)
        return
    run = _run(cache.get_workspace().feedback.read())
    if not run:
        return
    found = alarms(run, cache.get_workspace())
    suggested = proposal(found)
    if suggested is None:
        st.info(
            _("Nobody is sure of any alarm of this run yet. Open its rows and say which are true and which are false."),
            icon=":material/rate_review:",
        )
        _link(found.task, run, found.dataset)
        return
    st.markdown(
        " ".join(
            [_("Suggested: {threshold}.").format(threshold=_figure(suggested.cut.threshold)), say(suggested.reason)]
        )
    )
    threshold = _chosen(found, suggested.cut.threshold, run)
    _changes(found, threshold)
    chart(
        figures.judged_scores(_near(found, threshold), found.threshold, threshold, _),
        "judged-scores",
        _("Scores by verdict, with both thresholds"),
        dated=False,
    )
    _accept(found, run, threshold)
    _removed(found.removed(threshold))


def _run(records: list[Feedback]) -> str:
    """The run of the address where it has verdicts, or one that is chosen."""
    table = precisions([record for record in records if record.page in WITH_THRESHOLD], each_run=True)
    asked = url_state.get_run_id()
    runs = list(dict.fromkeys([*([asked] if asked else []), *table["run"]]))
    if not runs:
        st.info(
            _(
                "No row of anomalies or sequences has been judged yet. Open a result, choose a row, and say "
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


def _chosen(found: "Alarms", suggested: float, run: str) -> float:
    """The suggested threshold, or the one on the slider."""
    sure = found.judged.scores
    low, high = min(found.threshold, suggested, float(sure.min())), max(found.threshold, suggested, float(sure.max()))
    room = max(0.05 * (high - low), 1e-6)
    low, high = low - room, high + room
    if not st.toggle(_("Another threshold than the suggested one"), key=f"threshold-other-{run}"):
        return suggested
    return st.slider(_("Threshold"), low, high, suggested, (high - low) / STEPS, format="%.4g", key=f"threshold-{run}")


def _changes(found: "Alarms", threshold: float) -> None:
    cut, judged = found.judged.cut(threshold), found.judged
    now, then = found.flagged(found.threshold), found.flagged(threshold)
    with st.container(horizontal=True, key="result-figures"):
        st.metric(
            _("Threshold"),
            _figure(threshold),
            border=True,
            delta=_("now {value}").format(value=_figure(found.threshold)),
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


def _figure(value: float) -> str:
    return shown(float(f"{value:.5g}"))


def _near(found: "Alarms", threshold: float) -> pd.DataFrame:
    """What is flagged under either threshold, and what is judged."""
    rows = found.rows
    return rows[(rows["score"] > min(found.threshold, threshold)) | (rows["verdict"] != "")]


def _accept(found: "Alarms", run: str, threshold: float) -> None:
    """One click, one run; the old one stays as it is."""
    with st.container(horizontal=True, vertical_alignment="center"):
        if st.button(
            _("Accept this threshold"),
            type="primary",
            icon=":material/check:",
            key="accept-threshold",
            disabled=threshold == found.threshold,
        ):
            job_progress.start("verdict_threshold", {"run": run, "threshold": threshold, "dataset": found.dataset})
        _link(found.task, run, found.dataset)
    st.caption(
        _(
            "A new run with this threshold is made from the same rows; its model can be applied to new data. "
            "The run that was judged stays as it is."
        )
    )


def _link(task: str, run: str, dataset: str) -> None:
    st.page_link(
        PAGES / f"{task}.py",
        label=_("Open the run"),
        icon=":material/open_in_new:",
        query_params={"run": run, "dataset": dataset},
    )


def _removed(rows: pd.DataFrame) -> None:
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
        visible.assign(verdict=[words(each) for each in visible["verdict"]]),
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
