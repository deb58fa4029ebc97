"""Incidents and flagged rows of a detection, worst first: the list, the chosen one in words and in its series."""

from collections.abc import Hashable
from typing import Any

import pandas as pd
import streamlit as st
from streamlit.elements.lib.column_types import ColumnConfig

from core.data.dataset import Dataset
from core.runs.renderings import Drawing
from core.tasks.anomalies import figures
from core.tasks.anomalies.incident_figure import draw_incident
from core.tasks.anomalies.incident_words import compute_percent, describe_incident, describe_part, round_amount
from core.tasks.anomalies.result import SEVERITIES, Detection
from pages.components import cache, feedback_form, url_state
from pages.components.choices import label_uniquely
from pages.components.i18n import _, format_value, get_date_format, translate_message, translate_plain
from pages.components.markdown import escape_markdown
from pages.components.ranked_list import FILTER_WIDTH_PX, Card, choose_entry
from pages.components.results.run_widgets import show_chart
from pages.components.timeline import Timeline

MAX_SHOWN_ROWS = 2000
SEVERITY_MARKS = ("○", "◇", "▲", "★")
VIEWS = ("incidents", "rows", "all")
DETAILS = ["spreads", "rows", "score", "rank"]


@st.fragment
def show(detection: Detection, dataset: Dataset | None, run: str, shared: Timeline) -> None:
    """Show the list of incidents or rows, the chosen one in detail, and the form for a verdict on it.

    A choice draws only this part of the page again.
    """
    st.header(_("Incidents, worst first"))
    view, numbers = _select_numbers(detection)
    if numbers.empty:
        st.info(_("No incident matches these filters."))
        return
    shown = numbers[:MAX_SHOWN_ROWS]
    if len(shown) < len(numbers):
        st.caption(_("Only the first {count} are shown.").format(count=format_value(MAX_SHOWN_ROWS)))
    rows = detection.incidents["row"].loc[shown - 1] if view == "incidents" else shown - 1
    verdicts = feedback_form.list_verdicts(run, detection.rows.loc[rows, ["entity", "time"]])
    table = cache.tabulate_once(run, _build_table, detection, view, shown.to_list())
    table.insert(table.columns.get_loc("spreads"), "verdict", verdicts)
    number = choose_entry(
        table,
        _build_column_config(detection, table),
        lambda number: _build_card(detection, _get_entry(detection, view, number), table["verdict"].get(number, "")),
        address="incident" if view == "incidents" else "row",
        label=_("Incidents, worst first") if view == "incidents" else _("Rows, worst first"),
        details=[*DETAILS, *(["verdict"] if not any(verdicts) else [])],
    )
    entry = _get_entry(detection, view, number)
    st.header(f"{format_severity(entry['severity'])} · {escape_markdown(_describe_entry(detection, entry))}")
    row = _ask_row(detection, int(entry["row"])) if view == "incidents" else int(entry["row"])
    _show_row(detection, dataset, row, run, shared)
    feedback_form.ask_verdict("anomalies", run, detection.rows.loc[row, ["entity", "time", "score"]].to_dict())


def format_severity(level: int) -> str:
    """Return a severity as a mark and a word, so that it does not depend on colour."""
    return f"{SEVERITY_MARKS[level]} {_(SEVERITIES[level])}"


# ---- list -----------------------------------------------------------------------------------------------------------


def _select_numbers(detection: Detection) -> tuple[str, pd.Index]:
    """Show the filters; return the view and the numbers of its incidents or rows, from 1 on."""
    with st.container(horizontal=True, vertical_alignment="bottom", key="incident-filters"):
        view = _ask_view(detection)
        rows = detection.rows if view == "all" else detection.anomalies
        names = st.multiselect(
            _("Entities"),
            sorted(rows["entity"].astype(str).unique()),
            placeholder=_("All"),
            key="table-entities",
            width=FILTER_WIDTH_PX,
        )
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
    entries = detection.incidents if view == "incidents" else rows
    entries = entries[entries["entity"].isin(names)] if names else entries
    entries = entries[entries["severity"].isin(levels)] if levels else entries
    return view, entries.index + 1


def _ask_view(detection: Detection) -> str:
    """Return what is listed: incidents, the flagged rows or all rows."""
    labels = {"incidents": _("Incidents"), "rows": _("Flagged rows"), "all": _("All rows")}
    view = st.segmented_control(
        _("List"),
        VIEWS,
        default=_find_first_view(detection),
        required=True,
        format_func=labels.__getitem__,
        key="table-view",
        label_visibility="collapsed",
    )
    return view or "incidents"


def _list_entries(detection: Detection, view: str, numbers: list[int]) -> pd.DataFrame:
    """Return incidents or rows under their numbers: as lines of `Detection.measured_incidents`."""
    places = pd.Index(numbers) - 1
    entries = detection.measured_incidents.loc[places] if view == "incidents" else detection.list_row_incidents(places)
    return entries.set_axis(pd.Index(numbers))


def _get_entry(detection: Detection, view: str, number: int) -> pd.Series:
    return _list_entries(detection, view, [number]).iloc[0]


def _find_first_view(detection: Detection) -> str:
    """Return the view that the row in the address belongs to; the incidents without one."""
    text = url_state.get_query_param("row")
    if not text.isdecimal():
        return "incidents"
    return "rows" if int(text) <= len(detection.anomalies) else "all"


def _build_table(detection: Detection, view: str, numbers: list[int]) -> pd.DataFrame:
    """Return the columns: how bad, where, when, how far, and what deviates; the others are details."""
    entries = _list_entries(detection, view, numbers)
    records = entries.to_dict("records")
    amounts = [_round_amounts(record) for record in records]
    expected = entries["expected"].dropna()
    table = pd.DataFrame(
        {
            "severity": [format_severity(level) for level in entries["severity"]],
            "entity": entries["entity"].astype(str),
            "time": entries["start"],
            "measured": [measured for measured, _expected in amounts],
            "expected": [expected for _measured, expected in amounts],
            "share": [compute_percent(record["measured"], record["expected"]) / 100 for record in records],
            "difference": [measured - expected for measured, expected in amounts],
            "part": [translate_plain(describe_part(record, detection.data.unit)) for record in records],
            "spreads": entries["spreads"].round(1),
            "rows": entries["rows"],
            "score": entries["score"].round(3),
            "rank": entries.index,
        },
        entries.index,
    )
    unused = ["rows"] if view != "incidents" else []
    return table.drop(columns=[*unused, "difference" if (expected > 0).all() else "share"])


def _round_amounts(record: dict[Hashable, Any]) -> tuple[float, float]:
    """Return the measured and the expected value with the digits that their difference needs."""
    measured, expected = float(record["measured"]), float(record["expected"])
    return round_amount(measured, measured - expected), round_amount(expected, measured - expected)


def _build_card(detection: Detection, entry: pd.Series, verdict: str) -> Card:
    title = [format_severity(entry["severity"]), *([verdict] if verdict else [])]
    return Card(" · ".join(title), _describe_entry(detection, entry))


def _describe_entry(detection: Detection, entry: pd.Series) -> str:
    return translate_plain(describe_incident(entry.to_dict(), detection.data.unit))


def _build_column_config(detection: Detection, table: pd.DataFrame) -> dict[str, ColumnConfig]:
    unit = f" ({detection.data.unit})" if detection.data.unit else ""
    number, text = st.column_config.NumberColumn, st.column_config.TextColumn
    has_dates = pd.api.types.is_datetime64_any_dtype(table["time"])
    has_times = has_dates and (table["time"].dt.normalize() != table["time"]).any()
    time_format = get_date_format() + (" HH:mm" if has_times else "")
    return {
        "severity": text(_("Severity"), width=84),
        "entity": text(_("Entity"), width=125),
        "time": st.column_config.DatetimeColumn(_("Time"), format=time_format, width=130 if has_times else 88)
        if has_dates
        else number(_("Row"), width=70),
        "measured": number(
            _("Measured") + unit,
            format="localized",
            width=108,
            help=_("Mean of the values that deviate; sum of the day where the whole day does; size of a jump."),
        ),
        "expected": number(
            _("Usual") + unit, format="localized", width=100, help=_("Expected value, computed in the same way.")
        ),
        "share": number(_("Deviation"), format="percent", step=0.01, width=82),
        "difference": number(_("Deviation") + unit, format="localized", width=100),
        "part": text(_("What deviates"), width=200),
        "verdict": feedback_form.build_verdict_column(),
        "spreads": number(
            _("Spreads (σ)"),
            format="localized",
            width=80,
            help=_("Distance of the value that deviates most to its expected value, in its usual spreads (σ)."),
        ),
        "rows": number(_("Rows"), width=60),
        "score": number(_("Score"), format="localized", width=75),
        "rank": number(_("Rank"), width=60),
    }


# ---- one row --------------------------------------------------------------------------------------------------------


def _ask_row(detection: Detection, worst: int) -> int:
    """Return the row of an incident to show: the one with the highest score, unless another is chosen."""
    rows = detection.rows
    numbers = rows.index[rows["incident"] == rows.at[worst, "incident"]]
    if len(numbers) == 1:
        return worst
    numbers = [int(number) for number in rows.loc[numbers].sort_values("time", kind="stable").index]

    def describe_row(number: int) -> str:
        score = format_value(round(float(rows.at[number, "score"]), 3))
        return _("{time}, score {score}").format(time=_format_time(rows.at[number, "time"]), score=score)

    return st.selectbox(
        _("Row of the incident"),
        numbers,
        numbers.index(worst),
        format_func=label_uniquely(numbers, describe_row),
        key=f"incident-row-{rows.at[worst, 'incident']}",
    )


def _show_row(detection: Detection, dataset: Dataset | None, number: int, run: str, shared: Timeline) -> None:
    """Show one row: its explanation, its series with the known events, and its columns where it has several."""
    cells = detection.select_cells(number)
    if cells.empty:
        st.caption(_("Expected values are saved only for the rows with the highest scores."))
    else:
        st.text("\n".join(map(translate_message, detection.describe_row(number))))
    if dataset is not None:
        shared.show_chart(
            Drawing(run, draw_incident, (dataset, detection, number, _, translate_message)),
            "incident",
            _("Timeline of the entity, and below it the values around the incident with their usual band"),
            str(detection.rows.at[number, "entity"]),
            has_focus=True,
        )
    if len(cells) > 1:
        show_chart(
            Drawing(run, figures.draw_row_profile, (cells, detection.data.unit, _)),
            "profile",
            _("Values of the row and their expected band"),
        )


def _format_time(time: object) -> str:
    return format_value(time.to_pydatetime()) if hasattr(time, "to_pydatetime") else str(time)
