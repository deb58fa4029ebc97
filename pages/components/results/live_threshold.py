"""Threshold of a result that moves: the alarms follow without a new run; "Keep this threshold" makes the run."""

import math

import pandas as pd
import streamlit as st
from streamlit.elements.lib.column_types import ColumnConfig

from core.evaluation.threshold_views import ThresholdView, compare_incidents, list_thresholds, view_threshold
from core.figures.thresholds import draw_moved_threshold
from core.operations.threshold_from_feedback import FlaggedRows, load_flagged_rows, tabulate_alarms
from core.spec.task import get_task
from pages.components import cache, downloads, task_page, url_state
from pages.components.choices import label_uniquely
from pages.components.i18n import _, format_percent, format_value, get_date_format
from pages.components.results.run_widgets import show_chart

MAX_CACHED_RUNS = 8
MAX_SHOWN_INCIDENTS = 1000
ADDRESS = "threshold"
"""Name of the query parameter: a refresh and a shared link keep the position of the slider."""


def show(run: str) -> None:
    """Show the slider of the threshold of `run`; its effect appears below as soon as it is moved."""
    records = len(cache.get_workspace().feedback.read_records())
    _show_slider(_load_alarms(run, records))


@st.cache_resource(max_entries=MAX_CACHED_RUNS, show_spinner=False)
def _load_alarms(run: str, records: int) -> FlaggedRows:
    """Load the alarms of a run once per server, and again when there are more feedback records."""
    return load_flagged_rows(run, cache.get_workspace())


@st.fragment
def _show_slider(flagged: FlaggedRows) -> None:
    """Let the threshold move; only this part of the page is drawn again."""
    thresholds = list_thresholds(flagged.scored_rows.scores, flagged.threshold)
    if len(thresholds) < 2:
        return
    with st.container(border=True, key="live-threshold"):
        value = st.select_slider(
            _("Threshold, from low to high sensitivity"),
            thresholds,
            _find_start(thresholds, flagged.threshold),
            format_func=label_uniquely(thresholds, _format_score),
            key=f"live-threshold-{flagged.run_id}",
            help=_("The slider begins at the threshold of this run. Moving it shows other alarms and creates no run."),
        )
        url_state.set_query_param(ADDRESS, "" if value == flagged.threshold else repr(value))
        if value == flagged.threshold:
            st.caption(_("This is the threshold of the run. Move it to see what it would flag."))
        else:
            _show_effect(flagged, value)


def _find_start(thresholds: list[float], current: float) -> float:
    """Return the choice that is nearest to the threshold in the URL; the current threshold without one."""
    try:
        wanted = float(url_state.get_query_param(ADDRESS))
    except ValueError:
        return current
    return min(thresholds, key=lambda value: abs(value - wanted)) if math.isfinite(wanted) else current


def _format_score(value: float) -> str:
    return format_value(float(f"{value:.6g}"))


def _show_effect(flagged: FlaggedRows, threshold: float) -> None:
    """Show the alarms of the moved threshold beside those of the run, and the button that keeps it."""
    rows = flagged.scored_rows
    before, after = view_threshold(rows, flagged.threshold), view_threshold(rows, threshold)
    _show_counts(before, after)
    _show_quality(flagged, before, after)
    show_chart(
        draw_moved_threshold(rows.scores, flagged.threshold, threshold, _),
        "moved-threshold",
        _("Scores of all rows with the current and the new threshold"),
    )
    _show_tables(flagged, before, after)
    if rows.gap_rows:
        st.caption(
            _(
                "Here flagged rows at most {count} rows apart are one incident. The events of the result last until "
                "the scores have returned, so their number can differ."
            ).format(count=format_value(rows.gap_rows))
        )
    with st.container(horizontal=True, vertical_alignment="center"):
        if st.button(_("Keep this threshold"), type="primary", icon=":material/check:", key="keep-threshold"):
            task_page.submit_spec(get_task(flagged.task), flagged.build_spec(threshold, "chosen"))
        downloads.show_csv_button(
            _("All thresholds with their alarms (CSV)"),
            lambda: tabulate_alarms(flagged),
            "thresholds.csv",
            "moved-thresholds-CSV",
        )
        st.caption(
            _(
                "This creates a new run with this threshold on the same rows. A threshold that is chosen "
                "by hand has no target false-alarm rate."
            )
        )


def _show_counts(before: ThresholdView, after: ThresholdView) -> None:
    counts = [
        (_("Rows flagged"), before.flagged_rows, after.flagged_rows),
        (_("Incidents"), len(before.incidents), len(after.incidents)),
        (_("Affected entities"), len(before.by_entity), len(after.by_entity)),
        (_("Incidents per entity and month"), before.rate, after.rate),
    ]
    with st.container(horizontal=True, key="threshold-figures"):
        for label, current, new in counts:
            if new == new:
                _show_metric(label, _format_count(new), _("currently {value}").format(value=_format_count(current)))


def _show_quality(flagged: FlaggedRows, before: ThresholdView, after: ThresholdView) -> None:
    """Show precision and recall, from labels and from verdicts, where there are some."""
    with st.container(horizontal=True, key="threshold-quality"):
        if before.confusion is not None and after.confusion is not None:
            for label, current, new, help_text in (
                (
                    _("Precision"),
                    before.confusion.precision,
                    after.confusion.precision,
                    _("Share of the flagged rows that are labelled."),
                ),
                (
                    _("Recall"),
                    before.confusion.sensitivity,
                    after.confusion.sensitivity,
                    _("Share of the labelled rows that are flagged."),
                ),
            ):
                note = _("currently {value}").format(value=_format_share(current))
                _show_metric(label, _format_share(new), note, help_text)
        reviewed = flagged.reviewed_rows
        if len(reviewed.scores):
            precision = reviewed.measure_precision(after.threshold)
            _show_metric(
                _("Precision from verdicts"),
                _format_share(precision.share),
                _("true: {count}, lost: {lost}").format(
                    count=format_value(int(reviewed.is_true_alarm.sum())),
                    lost=format_value(int(reviewed.is_true_alarm.sum()) - precision.true_alarms),
                ),
                _("Share of the reviewed alarms above this threshold that are true alarms."),
            )


def _show_metric(label: str, value: str, note: str, help_text: str | None = None) -> None:
    st.metric(label, value, border=True, delta=note, delta_color="off", delta_arrow="off", help=help_text)


def _format_count(value: float) -> str:
    return format_value(float(f"{value:.3g}") if value % 1 else int(value))


def _format_share(share: float) -> str:
    return format_percent(round(share, 4)) if share == share else "–"


# ---- tables ---------------------------------------------------------------------------------------------------------


def _show_tables(flagged: FlaggedRows, before: ThresholdView, after: ThresholdView) -> None:
    rows = flagged.scored_rows
    incident_tab, entity_tab, *month_tabs = st.tabs(
        [_("Incidents"), _("By entity"), *([_("By month")] if len(after.by_month) else [])]
    )
    with incident_tab:
        _show_incidents(compare_incidents(rows, flagged.threshold, after.threshold))
    with entity_tab:
        _show_group_counts("entity", _("Entity"), before.by_entity, after.by_entity)
    for month_tab in month_tabs:
        with month_tab:
            _show_group_counts("month", _("Month"), before.by_month, after.by_month)


def _show_incidents(table: pd.DataFrame) -> None:
    """Show the incidents at the moved threshold and those that it loses; changes come first."""
    if table.empty:
        st.info(_("No row has a score above the threshold."))
        return
    changes = {"new": _("new"), "gone": _("no longer flagged"), "": ""}
    is_dated = pd.api.types.is_datetime64_any_dtype(table["start"])
    has_hours = is_dated and (table["start"].dt.normalize() != table["start"]).any()
    time_format = get_date_format() + (" HH:mm" if has_hours else "")
    number, text = st.column_config.NumberColumn, st.column_config.TextColumn

    def build_time_column(label: str) -> ColumnConfig:
        return st.column_config.DatetimeColumn(label, format=time_format) if is_dated else number(label)

    st.dataframe(
        table.head(MAX_SHOWN_INCIDENTS).assign(change=table["change"].map(changes)),
        hide_index=True,
        width="stretch",
        height=240,
        key="moved-incidents",
        alt=_("Incidents at the new threshold"),
        column_order=["change", "entity", "start", "end", "rows", "peak"],
        column_config={
            "change": text(_("Change"), width="small"),
            "entity": text(_("Entity")),
            "start": build_time_column(_("Start")),
            "end": build_time_column(_("End")),
            "rows": number(_("Rows"), width="small"),
            "peak": number(_("Peak"), format="localized", width="small"),
        },
    )


def _show_group_counts(name: str, label: str, before: pd.DataFrame, after: pd.DataFrame) -> None:
    """Show rows and incidents of each entity or month, beside those of the run."""
    table = after.merge(before, on=name, how="outer", suffixes=("", "_before")).fillna(0)
    st.dataframe(
        table if name == "month" else table.sort_values("rows", ascending=False, kind="stable"),
        hide_index=True,
        width="stretch",
        height=240,
        key=f"moved-{name}",
        alt=label,
        column_config={
            name: st.column_config.TextColumn(label),
            "rows": st.column_config.NumberColumn(_("Rows")),
            "incidents": st.column_config.NumberColumn(_("Incidents")),
            "rows_before": st.column_config.NumberColumn(_("Rows currently")),
            "incidents_before": st.column_config.NumberColumn(_("Incidents currently")),
        },
    )
