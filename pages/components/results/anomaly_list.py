"""Incidents and flagged rows of a detection as a table, and one row in detail."""

import pandas as pd
import streamlit as st
from streamlit.elements.lib.column_types import ColumnConfig

from core.data.dataset import Dataset
from core.tasks.anomalies import figures, words
from core.tasks.anomalies.result import SEVERITIES, Detection
from pages.components import feedback_form
from pages.components.i18n import _, format_value, get_date_format, translate_message
from pages.components.results.run_widgets import show_chart

MAX_SHOWN_ROWS = 2000
SEVERITY_MARKS = ("○", "◇", "▲", "★")


def show(detection: Detection, dataset: Dataset | None, run: str) -> None:
    """Show the list of incidents or rows, the selected row in detail, and the form for a verdict on it."""
    st.subheader(_("Ranked incidents"))
    view, rows = _select_rows(detection)
    visible = rows.head(MAX_SHOWN_ROWS)
    st.caption(_describe_list(view, len(rows)))
    event = st.dataframe(
        _build_table(detection, visible, feedback_form.list_verdicts(run, visible), view),
        hide_index=True,
        width="stretch",
        key=f"ranked-{view}",
        on_select="rerun",
        selection_mode="single-row",
        column_config=_build_column_config(detection),
        placeholder="–",
        alt=_("Ranked incidents") if view == "incidents" else _("Ranked rows"),
    )
    if visible.empty:
        return
    selected = event.selection.rows
    number = int(visible.index[selected[0] if selected and selected[0] < len(visible) else 0])
    if view == "incidents":
        number = _ask_row(detection, number)
    _show_row(detection, dataset, number)
    feedback_form.ask_verdict("anomalies", run, detection.rows.loc[number, ["entity", "time", "score"]].to_dict())


def format_severity(level: int) -> str:
    """Return a severity as a mark and a word, so that it does not depend on colour."""
    return f"{SEVERITY_MARKS[level]} {_(SEVERITIES[level])}"


# ---- list -----------------------------------------------------------------------------------------------------------


def _select_rows(detection: Detection) -> tuple[str, pd.DataFrame]:
    """Show the filters; return the view and its rows. An incident is listed by its row with the highest score."""
    labels = {"incidents": _("Incidents"), "rows": _("Flagged rows"), "all": _("All rows")}
    view = (
        st.segmented_control(
            _("List"),
            list(labels),
            default="incidents",
            required=True,
            format_func=labels.__getitem__,
            key="table-view",
            label_visibility="collapsed",
            help=_("Flagged rows of one entity that follow one another are one incident."),
        )
        or "incidents"
    )
    entity_column, severity_column = st.columns([4, 6], vertical_alignment="bottom")
    rows = detection.rows
    with entity_column:
        names = st.multiselect(
            _("Entities"), sorted(rows["entity"].astype(str).unique()), placeholder=_("All"), key="table-entities"
        )
    with severity_column:
        levels = st.pills(
            _("Severity"),
            [3, 2, 1, 0],
            selection_mode="multi",
            format_func=format_severity,
            key="table-severity",
            help=_(
                "Rarity of the score among the training rows: extreme 1 in 10,000, rare 1 in "
                "1,000, notable 1 in 100, mild more frequent."
            ),
        )
    if view == "incidents":
        incidents = detection.incidents.set_index("row")
        rows = rows.loc[incidents.index].assign(start=incidents["start"], size=incidents["rows"])
    elif view == "rows":
        rows = rows[rows["anomaly"]]
    if names:
        rows = rows[rows["entity"].isin(names)]
    return view, rows[rows["severity"].isin(levels)] if levels else rows


def _describe_list(view: str, count: int) -> str:
    template = (
        _("{count} incidents, highest score first. Select an incident to see its causes.")
        if view == "incidents"
        else _("{count} rows, highest score first. Select a row to see its causes.")
    )
    sentences = [template.format(count=format_value(count))]
    if count > MAX_SHOWN_ROWS:
        sentences.append(_("Only the first {count} are shown.").format(count=format_value(MAX_SHOWN_ROWS)))
    return " ".join(sentences)


def _build_table(detection: Detection, rows: pd.DataFrame, verdicts: list[str], view: str) -> pd.DataFrame:
    """Return the displayed columns; a mark next to the word keeps severity independent of colour."""
    records = rows[["column", "value", "low", "high"]].to_dict("records")
    shown = [
        words.round_for_display(record["value"], record["low"], record["high"])
        if isinstance(record["column"], str)
        else None
        for record in records
    ]
    table = pd.DataFrame(
        {
            "severity": [format_severity(level) for level in rows["severity"]],
            "entity": rows["entity"].astype(str),
            "time": rows["start"] if view == "incidents" else rows["time"],
            "value": [None if values is None else values[0] for values in shown],
            "range": [
                "" if values is None else translate_message(words.describe_range(*values[1:])) for values in shown
            ],
            "causes": _describe_causes(detection, rows),
            "rows": rows["size"] if view == "incidents" else 1,
            "verdict": verdicts,
            "score": rows["score"].round(3),
            "rank": (rows["incident"] if view == "incidents" else rows.index) + 1,
        }
    )
    return table if view == "incidents" else table.drop(columns="rows")


def _describe_causes(detection: Detection, rows: pd.DataFrame) -> list[str]:
    """Return what deviates in one line each: the columns, else a jump or the combination; and the level of the day."""
    texts = []
    columns = rows[["causes", "jump_column", "expected_amount"]].itertuples(index=False)
    levels, patterns = detection.describe_levels(rows.index), detection.describe_patterns(rows.index)
    for level, sentences, line in zip(levels, patterns, columns, strict=True):
        parts = [line.causes] if line.causes else []
        if not line.causes and isinstance(line.jump_column, str):
            parts.append(_("jump at {column}").format(column=line.jump_column))
        parts += [] if level is None else [translate_message(level)]
        parts += map(translate_message, sentences)
        is_explained = pd.notna(line.expected_amount)
        texts.append(" · ".join(parts) or (_("the combination of values") if is_explained else ""))
    return texts


def _build_column_config(detection: Detection) -> dict[str, ColumnConfig]:
    unit = f" ({detection.data.unit})" if detection.data.unit else ""
    number, text = st.column_config.NumberColumn, st.column_config.TextColumn
    times = detection.rows["time"]
    has_dates = pd.api.types.is_datetime64_any_dtype(times)
    has_times = has_dates and (pd.DatetimeIndex(times).normalize() != times).any()
    time_format = get_date_format() + (" HH:mm" if has_times else "")
    return {
        "severity": text(_("Severity"), width=80),
        "entity": text(_("Entity"), width=160),
        "time": st.column_config.DatetimeColumn(_("Time"), format=time_format, width=125 if has_times else 90)
        if has_dates
        else number(_("Row"), width=70),
        "value": number(_("Measured") + unit, format="localized", width=115),
        "range": text(_("Usually") + unit, width=110, help=_("Expected range (± 2σ) of the value that deviates most.")),
        "causes": text(
            _("What deviates"),
            width=230,
            help=_("Values outside their expected range, with their distance to the expected value in spreads (σ)."),
        ),
        "rows": number(_("Rows"), width=55),
        "verdict": feedback_form.build_verdict_column(),
        "score": number(_("Score"), format="localized", width=65),
        "rank": number(_("Rank"), width=55),
    }


# ---- one row --------------------------------------------------------------------------------------------------------


def _ask_row(detection: Detection, worst: int) -> int:
    """Return the row of an incident to show: the one with the highest score, unless another is chosen."""
    rows = detection.rows
    numbers = rows.index[rows["incident"] == rows.at[worst, "incident"]]
    if len(numbers) == 1:
        return worst
    numbers = rows.loc[numbers].sort_values("time", kind="stable").index
    return st.selectbox(
        _("Row of the incident"),
        [int(number) for number in numbers],
        list(numbers).index(worst),
        format_func=lambda number: _("{time}, score {score}").format(
            time=_format_time(rows.at[number, "time"]), score=format_value(round(float(rows.at[number, "score"]), 3))
        ),
        key=f"incident-row-{rows.at[worst, 'incident']}",
    )


def _show_row(detection: Detection, dataset: Dataset | None, number: int) -> None:
    """Show one row: its explanation, its values and expected values, or a single value with its neighbours in time."""
    row, cells = detection.rows.loc[number], detection.select_cells(number)
    st.subheader(f"{format_severity(int(row['severity']))} · {row['entity']} · {_format_time(row['time'])}")
    if cells.empty:
        st.caption(_("Expected values are saved only for the rows with the highest scores."))
        return
    for sentence in detection.describe_row(number):
        st.text(translate_message(sentence))
    unit, time = detection.data.unit, row["time"]
    if dataset is not None and len(cells) == 1:
        figure, has_time_axis = (
            figures.draw_value_in_series(dataset.get_neighbourhood(row["entity"], time), time, cells.iloc[0], unit, _),
            True,
        )
    else:
        figure, has_time_axis = figures.draw_row_profile(cells, unit, _), False
    show_chart(figure, "profile", _("Values of the row and their expected band"), has_time_axis=has_time_axis)


def _format_time(time: object) -> str:
    return format_value(time.to_pydatetime()) if hasattr(time, "to_pydatetime") else str(time)
