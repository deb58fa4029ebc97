"""Result of an anomaly detection: figures, charts, ranked rows, one row in detail, downloads."""

import pandas as pd
import streamlit as st
from streamlit.elements.lib.column_types import ColumnConfig

from core.data.dataset import Dataset
from core.messages import Message
from core.spec.spec import THRESHOLD_NOTES
from core.tasks.anomalies import figures
from core.tasks.anomalies.result import SEVERITIES, Detection
from pages.components import feedback_form
from pages.components.i18n import _, format_percent, format_value, get_date_format, translate_message
from pages.components.results import live_threshold, model
from pages.components.results.run_widgets import show_chart, show_cost, show_downloads, show_record

MAX_SHOWN_ROWS = 5000
SEVERITY_MARKS = ("○", "◇", "▲", "★")


def show_detection(detection: Detection, dataset: Dataset | None, run: str) -> None:
    """Show the result; `dataset` has the selected rows for the charts, None if they are not loaded."""
    _show_metrics(detection, run)
    live_threshold.show(run)
    if detection.anomalies.empty:
        st.info(_("No row has a score above the threshold."))
    else:
        if dataset is not None:
            _show_curves(detection, dataset)
        _show_table(detection, dataset, run, has_dates=pd.api.types.is_datetime64_any_dtype(detection.rows["time"]))
    model.show_section(run, "anomalies")
    show_downloads(lambda: _export_table(detection), "anomalies", _("All scores ({kind})"))


def _show_metrics(detection: Detection, run: str) -> None:
    metrics = detection.metrics()
    with st.container(horizontal=True, key="result-figures"):
        st.metric(_("Anomalies"), format_value(int(metrics["anomalies"])), border=True)
        st.metric(_("Rows scored"), format_value(int(metrics["rows"])), border=True)
        st.metric(_("Affected entities"), f"{metrics['entities_with_anomalies']} / {metrics['entities']}", border=True)
        show_cost(run)
    left_out = int(metrics["rows_left_out"])
    notes = [_("Incomplete rows that were left out: {count}.").format(count=format_value(left_out))] if left_out else []
    notes.append(_describe_threshold(detection))
    st.caption(" ".join(notes))
    show_record(run)


def _describe_threshold(detection: Detection) -> str:
    spec, threshold = detection.model_spec, format_value(round(detection.threshold, 4))
    if detection.threshold_run:
        notes = detection.notes or (Message(THRESHOLD_NOTES["verdicts"], {"run": detection.threshold_run[:12]}),)
        flagged = _("Rows with a score above {threshold} are flagged.").format(threshold=threshold)
        return " ".join([flagged, *(translate_message(note) for note in notes)])
    if spec.risk is not None:
        return _(
            "Rows with a score above {threshold} are flagged. The target is 1 normal row in "
            "{count}, computed from the tail of the scores."
        ).format(threshold=threshold, count=format_value(round(1 / spec.risk)))
    return _("Rows with a score above {threshold} are flagged ({share} of the training rows).").format(
        threshold=threshold, share=format_percent(spec.contamination)
    )


def _show_curves(detection: Detection, dataset: Dataset) -> None:
    if not dataset.has_dates:
        show_chart(
            figures.draw_timeline(dataset, detection, _),
            "timeline",
            _("Values in the order of the file, anomalies marked"),
        )
        return
    time_tab, calendar_tab, entity_tab, month_tab = st.tabs(
        [_("Over time"), _("Calendar"), _("By entity"), _("By month")]
    )
    with time_tab:
        entity = (
            st.selectbox(
                _("Entity"),
                dataset.entities,
                index=None,
                placeholder=_("All entities"),
                key="curve",
                label_visibility="collapsed",
            )
            if len(dataset.entities) > 1
            else None
        )
        selection = dataset.filter_rows([entity]) if entity else dataset
        show_chart(figures.draw_timeline(selection, detection, _), "timeline", _("Values over time, anomalies marked"))
    with calendar_tab:
        st.caption(_("Anomalies per day, with one column per week and Monday at the top."))
        show_chart(
            figures.draw_calendar_map(detection, _),
            "calendar",
            _("Anomalies per day of each year"),
            has_time_axis=False,
        )
    with entity_tab:
        show_chart(
            figures.draw_counts_per_entity(detection, _),
            "per-entity",
            _("Anomalies of each entity"),
            has_time_axis=False,
        )
    with month_tab:
        show_chart(
            figures.draw_counts_per_month(detection, _),
            "per-month",
            _("Anomalies per month of the year"),
            has_time_axis=False,
        )


# ---- table ----------------------------------------------------------------------------------------------------------


def _show_table(detection: Detection, dataset: Dataset | None, run: str, has_dates: bool) -> None:
    st.subheader(_("Ranked rows"))
    rows = _filter_rows(detection)
    visible = rows.head(MAX_SHOWN_ROWS)
    st.caption(
        _("{count} rows, highest score first. Select a row to see its causes.").format(count=format_value(len(rows)))
        + (
            " " + _("Only the first {count} are shown.").format(count=format_value(MAX_SHOWN_ROWS))
            if len(rows) > MAX_SHOWN_ROWS
            else ""
        )
    )
    event = st.dataframe(
        _build_table(visible, feedback_form.list_verdicts(run, visible)),
        hide_index=True,
        width="stretch",
        key="ranked",
        on_select="rerun",
        selection_mode="single-row",
        column_config=_build_column_config(detection, has_dates),
        alt=_("Ranked rows"),
    )
    selected_rows = event.selection.rows
    if len(visible):
        number = int(
            visible.index[selected_rows[0]] if selected_rows and selected_rows[0] < len(visible) else visible.index[0]
        )
        _show_row(detection, dataset, number)
        feedback_form.ask_verdict("anomalies", run, detection.rows.loc[number, ["entity", "time", "score"]].to_dict())


def _filter_rows(detection: Detection) -> pd.DataFrame:
    rows = detection.rows
    entity_column, severity_column, toggle_column = st.columns([4, 6, 3], vertical_alignment="bottom")
    with entity_column:
        names = st.multiselect(
            _("Entities"), sorted(rows["entity"].astype(str).unique()), placeholder=_("All"), key="table-entities"
        )
    with severity_column:
        levels = st.pills(
            _("Severity"),
            [3, 2, 1, 0],
            selection_mode="multi",
            format_func=_format_severity,
            key="table-severity",
            help=_(
                "Rarity of the score among the training rows: extreme 1 in 10,000, rare 1 in "
                "1,000, notable 1 in 100, mild more frequent."
            ),
        )
    with toggle_column:
        show_all = st.toggle(_("All rows"), key="table-all")
    mask = rows["anomaly"] | show_all
    if names:
        mask &= rows["entity"].isin(names)
    if levels:
        mask &= rows["severity"].isin(levels)
    return rows[mask]


def _format_severity(level: int) -> str:
    return f"{SEVERITY_MARKS[level]} {_(SEVERITIES[level])}"


def _build_table(rows: pd.DataFrame, verdicts: list[str]) -> pd.DataFrame:
    """Return the displayed columns; a mark next to the word keeps severity independent of colour."""
    digits = 0 if rows["amount"].abs().median() >= 100 else 3
    return pd.DataFrame(
        {
            "rank": rows.index + 1,
            "severity": [_format_severity(level) for level in rows["severity"]],
            "verdict": verdicts,
            "entity": rows["entity"].astype(str),
            "time": rows["time"],
            "causes": rows["causes"].str.replace("level", _("level"), regex=False),
            "score": rows["score"].round(3),
            "amount": rows["amount"].round(digits),
            "expected": rows["expected"].round(digits),
            "deviation": (rows["amount"] - rows["expected"]).round(digits),
        }
    )


def _build_column_config(detection: Detection, has_dates: bool) -> dict[str, ColumnConfig]:
    unit = f" ({detection.data.unit})" if detection.data.unit else ""
    number = st.column_config.NumberColumn
    has_times = has_dates and (pd.DatetimeIndex(detection.rows["time"]).normalize() != detection.rows["time"]).any()
    time_format = get_date_format() + (" HH:mm" if has_times else "")
    return {
        "rank": number(_("Rank"), width="small"),
        "severity": st.column_config.TextColumn(_("Severity"), width="small"),
        "verdict": feedback_form.build_verdict_column(),
        "entity": st.column_config.TextColumn(_("Entity")),
        "time": st.column_config.DatetimeColumn(_("Time"), format=time_format) if has_dates else number(_("Row")),
        "score": number(_("Score"), format="localized", width="small"),
        "amount": number(_("Measured") + unit, format="localized"),
        "expected": number(_("Expected") + unit, format="localized"),
        "deviation": number(_("Deviation") + unit, format="localized"),
        "causes": st.column_config.TextColumn(_("Largest deviations"), width="medium"),
    }


def _show_row(detection: Detection, dataset: Dataset | None, number: int) -> None:
    """Show one row: its values and expected values, or a single value with its neighbours in time."""
    row, cells = detection.rows.loc[number], detection.select_cells(number)
    time_text = format_value(row["time"].to_pydatetime()) if hasattr(row["time"], "to_pydatetime") else str(row["time"])
    st.subheader(f"{_format_severity(int(row['severity']))} · {row['entity']} · {time_text}")
    if cells.empty:
        st.caption(_("Expected values are saved only for the rows with the highest scores."))
        return
    unit, time = detection.data.unit, row["time"]
    if dataset is not None and len(cells) == 1:
        figure, has_time_axis = (
            figures.draw_value_in_series(dataset.get_neighbourhood(row["entity"], time), time, cells.iloc[0], unit, _),
            True,
        )
    else:
        figure, has_time_axis = figures.draw_row_profile(cells, unit, _), False
    show_chart(figure, "profile", _("Values of the row and their expected band"), has_time_axis=has_time_axis)


def _export_table(detection: Detection) -> pd.DataFrame:
    table = detection.to_frame()
    return table.assign(entity=table["entity"].astype(str))
