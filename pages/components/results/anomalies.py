"""Result of an anomaly detection: figures, incidents, one of them in detail, charts, threshold, downloads."""

from collections.abc import Callable
from functools import partial

import pandas as pd
import streamlit as st

from core.data.dataset import Dataset
from core.messages import Message
from core.runs.renderings import Drawing
from core.spec.spec import THRESHOLD_NOTES
from core.tasks.anomalies import figures
from core.tasks.anomalies.calendar_figure import draw_calendar_map
from core.tasks.anomalies.result import Detection
from core.tasks.anomalies.spec import PER_1000_ROWS, PERIOD_LABELS
from core.tasks.anomalies.timeline import MAX_FOCUS_ENTITIES, choose_focus, draw_timeline
from pages.components.i18n import _, format_percent, format_value, list_months, list_weekdays, translate_message
from pages.components.results import anomaly_list, live_threshold, model
from pages.components.results.run_widgets import show_chart, show_cost, show_downloads, show_record
from pages.components.term_help import explain
from pages.components.timeline import Timeline, open_timeline


def show_detection(detection: Detection, dataset: Dataset | None, run: str) -> None:
    """Show the result; `dataset` has the selected rows for the charts, None if they are not loaded.

    The incidents come first. The period moves the charts below it only.
    """
    _show_metrics(detection, run)
    if detection.promise_kept is False:
        st.warning(
            _(
                "More rows are flagged than the target false-alarm rate allows. They are abnormal, or the data have "
                "changed since the training."
            ),
            icon=":material/trending_up:",
        )
    if detection.anomalies.empty:
        st.info(_("Nothing stands out: no row has a score above the threshold."), icon=":material/check_circle:")
    else:
        incidents = st.container()
        st.header(_("All anomalies"))
        shared = open_timeline(dataset, filters_lists=False)
        with incidents:
            anomaly_list.show(detection, dataset, run, shared)
        _show_views(detection, dataset, shared, run)
    st.header(_("Threshold"))
    st.caption(_describe_threshold(detection))
    live_threshold.show(run)
    model.show_section(run, "anomalies")
    show_downloads(lambda: _export_table(detection), "anomalies", _("All scores ({kind})"))
    show_record(run)


def _show_metrics(detection: Detection, run: str) -> None:
    metrics = detection.metrics()
    with st.container(horizontal=True, key="result-figures"):
        st.metric(_("Incidents"), format_value(int(metrics["incidents"])), border=True, help=explain("incident"))
        st.metric(
            _("Flagged rows"),
            format_value(int(metrics["anomalies"])),
            border=True,
            delta_color="off",
            delta_arrow="off",
            delta=_("of {rows} rows").format(rows=format_value(int(metrics["rows"]))),
            help=explain("threshold"),
        )
        st.metric(_("Affected entities"), f"{metrics['entities_with_anomalies']} / {metrics['entities']}", border=True)
        show_cost(run)


def _describe_threshold(detection: Detection) -> str:
    """Return how the threshold was found, what it allows, and which rows it does not judge."""
    sentences = _list_threshold_sentences(detection)
    left_out = int(detection.metrics()["rows_left_out"])
    if left_out:
        sentences.append(_("Incomplete rows that were left out: {count}.").format(count=format_value(left_out)))
    return " ".join(sentences)


def _list_threshold_sentences(detection: Detection) -> list[str]:
    spec, threshold = detection.model_spec, format_value(round(detection.threshold, 4))
    if detection.threshold_run:
        notes = detection.notes or (Message(THRESHOLD_NOTES["verdicts"], {"run": detection.threshold_run[:12]}),)
        flagged = _("Rows with a score above {threshold} are flagged.").format(threshold=threshold)
        return [flagged, *(translate_message(note) for note in notes)]
    if spec.risk is not None:
        text = _(
            "Rows with a score above {threshold} are flagged. The target is 1 normal row in "
            "{count}, computed from the tail of the scores."
        )
        return [text.format(threshold=threshold, count=format_value(round(1 / spec.risk)))]
    if spec.contamination is not None:
        text = _("Rows with a score above {threshold} are flagged ({share} of the training rows).")
        return [text.format(threshold=threshold, share=format_percent(spec.contamination))]
    sentences = [
        _("Rows with a score above {threshold} stand out from the others.").format(threshold=threshold),
        _("False alarms per entity {period}: at most {count}.").format(
            count=format_value(spec.alarms), period=_(PERIOD_LABELS[spec.per or PER_1000_ROWS])
        ),
    ]
    if detection.anomalies.empty or detection.has_weaker_promise:
        sentences += [translate_message(note) for note in detection.notes]
    return sentences


@st.fragment
def _show_views(detection: Detection, dataset: Dataset | None, shared: Timeline, run: str) -> None:
    """Show the anomalies over time, by day, entity and month; only the open view is drawn."""
    if dataset is not None and not dataset.has_dates:
        _show_timeline(detection, dataset, shared, run)
        return
    views: dict[str, Callable[[], None]] = {
        _("Over time"): partial(_show_timeline, detection, dataset, shared, run),
        _("Calendar"): partial(_show_calendar, detection, run),
        _("By entity"): partial(_show_entities, detection, run),
        _("By month"): partial(_show_months, detection, run),
    }
    if dataset is None:
        del views[_("Over time")]
    tabs = st.tabs(list(views), key="anomaly-view", on_change="rerun")
    for tab, show_view in zip(tabs, views.values(), strict=True):
        if tab.open:
            with tab:
                show_view()


def _show_timeline(detection: Detection, dataset: Dataset | None, shared: Timeline, run: str) -> None:
    if dataset is None:
        return
    focus = choose_focus(detection, dataset.entities)
    if len(dataset.entities) > len(focus):
        focus = st.multiselect(
            _("Entities in colour"), dataset.entities, focus, max_selections=MAX_FOCUS_ENTITIES, key="curve"
        )
    shared.show_chart(
        Drawing(run, draw_timeline, (shared.select_rows(dataset), detection, _, translate_message, focus)),
        "timeline",
        _("Values over time, incidents marked"),
        focus[0] if len(focus) == 1 else "",
    )


def _show_calendar(detection: Detection, run: str) -> None:
    show_chart(
        Drawing(run, draw_calendar_map, (detection, _, list_weekdays(), list_months())),
        "calendar",
        _("Anomalies per day of each year, weeks from left to right and weekdays from Monday at the top"),
    )


def _show_entities(detection: Detection, run: str) -> None:
    show_chart(
        Drawing(run, figures.draw_counts_per_entity, (detection, _)), "per-entity", _("Anomalies of each entity")
    )


def _show_months(detection: Detection, run: str) -> None:
    show_chart(
        Drawing(run, figures.draw_counts_per_month, (detection, _, list_months())),
        "per-month",
        _("Anomalies per month of the year"),
    )


def _export_table(detection: Detection) -> pd.DataFrame:
    table = detection.to_frame()
    return table.assign(entity=table["entity"].astype(str))
