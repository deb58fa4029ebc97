"""One finding of the data doctor: its message, locations and repairs, and a picture of its worst place."""

import pandas as pd
import streamlit as st
from streamlit.elements.lib.column_types import ColumnConfig

from core.data.dataset import Dataset
from core.data.quality.changes import ChangeCounts
from core.data.quality.doctor import QualityReport
from core.data.quality.findings import LOCATION_LABELS, QUESTION_KINDS, TIME_KEYS, Finding, Repair
from core.data.quality.places import Place, RepairPreview, preview_repair
from core.data.quality.repairs import describe_repair
from core.figures.repairs import draw_repair
from pages.components import cache
from pages.components.i18n import _, format_value, get_date_format, translate_message
from pages.components.markdown import escape_markdown
from pages.components.results.run_widgets import show_chart

MAX_SHOWN_LOCATIONS = 200
MEASURED_KEYS = ("value", "sum", "total", "level_before", "level_after")  # keys of locations in the unit of the dataset


def show_finding(dataset: Dataset, report: QualityReport, number: int, key: str) -> Repair | None:
    """Show the finding `number` of the report, and return the chosen repair; None to leave the data as they are."""
    finding = report.findings[number]
    with st.container(border=True, key=f"finding-{key}"):
        if not finding.repairs:
            icon = ":material/help: " if finding.kind in QUESTION_KINDS else ""
            st.markdown(icon + translate_message(finding.message))
            _show_locations(finding, dataset, key)
            return None
        count, text, options = st.columns([1, 5, 4], vertical_alignment="center")
        count.markdown(f"**{format_value(finding.count)}**")
        with text:
            st.markdown(translate_message(finding.message))
            _show_locations(finding, dataset, key)
        with options:
            choice = _choose_repair(finding, key)
        preview = _preview_repair(dataset.digest, number, max(choice, 0), finding)
        if preview.counts is not None:
            st.caption(f"{format_repair(finding.repairs[max(choice, 0)])}. {format_changes(preview.counts)}")
        if preview.place is not None:
            title = _("Largest change: {place}").format(place=_name_place(preview.place, dataset))
            st.markdown(f"**{title}**")
            show_place(preview.place, dataset, f"place-{key}")
        return finding.repairs[choice] if choice >= 0 else None


def _choose_repair(finding: Finding, key: str) -> int:
    """Return the number of the chosen repair; −1 for none."""
    return st.selectbox(
        _("Repair"),
        range(-1, len(finding.repairs)),
        label_visibility="collapsed",
        key=f"repair-{key}",
        format_func=lambda number: _("No repair") if number < 0 else format_repair(finding.repairs[number]),
    )


@st.cache_resource(max_entries=64, show_spinner=False)
def _preview_repair(digest: str, number: int, choice: int, _finding: Finding) -> RepairPreview:
    """Return the preview of the repair `choice` of the finding `number` of the dataset `digest`."""
    dataset = cache.load_dataset()
    assert dataset is not None
    assert dataset.digest == digest
    return preview_repair(_finding, _finding.repairs[choice], dataset)


def format_repair(repair: Repair) -> str:
    """Return the label of a repair with its settings."""
    return translate_message(describe_repair(repair))


def format_changes(counts: ChangeCounts) -> str:
    """Return what repairs change, in numbers."""
    return " · ".join(_(label).format(count=format_value(count)) for label, count in counts.list_counts())


def show_place(place: Place, dataset: Dataset, key: str) -> None:
    """Show the values around the largest change of a repair, before and after."""
    show_chart(draw_repair(place.before, place.after, dataset.unit, _), key, _("Values before and after the repair"))


def _name_place(place: Place, dataset: Dataset) -> str:
    """Return the entity, the column if there are several, and the date or row of a place."""
    time = format_value(place.time) if dataset.has_dates else _("row {number}").format(number=format_value(place.time))
    column = place.column if len(dataset.columns) > 1 else ""
    return escape_markdown(", ".join(filter(None, [place.entity, column, time])))


# ---- locations ------------------------------------------------------------------------------------------------------


def _show_locations(finding: Finding, dataset: Dataset, key: str) -> None:
    """Show the locations of a finding: one location as text, several in a table that opens."""
    if not finding.locations or finding.locations[0].keys() == {"column"}:  # the message names the columns
        return
    table = _build_location_table(finding, dataset)
    if finding.count == 1:
        cells = (_format_cell(str(name), value, dataset.unit) for name, value in table.iloc[0].items())
        st.caption(escape_markdown(", ".join(cells)))
        return
    with st.popover(_("Where?"), type="tertiary", icon=":material/location_on:"):
        st.dataframe(
            table, hide_index=True, key=f"places-{key}", column_config=build_column_config(table, dataset.unit)
        )
        if len(finding.locations) > len(table):
            st.caption(_("Only the first {count} are shown.").format(count=format_value(len(table))))


def _build_location_table(finding: Finding, dataset: Dataset) -> pd.DataFrame:
    table = pd.DataFrame([dict(location) for location in finding.locations[:MAX_SHOWN_LOCATIONS]])
    for name in table.columns.intersection(TIME_KEYS):
        table[name] = pd.to_datetime(table[name], format="ISO8601") if dataset.has_dates else pd.to_numeric(table[name])
    return table


def _format_cell(name: str, value: object, unit: str) -> str:
    """Return a value of a location as text; a number with its label, a measurement also with its unit."""
    text = format_value(value.item() if hasattr(value, "item") else value)
    if name in TIME_KEYS or isinstance(value, str):
        return text
    amount = f"{text} {unit}".strip() if name in MEASURED_KEYS else text
    return _("{label}: {value}").format(label=_(LOCATION_LABELS.get(name, name)), value=amount)


def build_column_config(table: pd.DataFrame, unit: str) -> dict[str, ColumnConfig]:
    """Return translated headings and the reader's formats for a table with the keys of `Finding.locations`."""
    return {name: _build_column(name, table[name], unit) for name in map(str, table.columns)}


def _build_column(name: str, cells: pd.Series, unit: str) -> ColumnConfig:
    label = _(LOCATION_LABELS.get(name, name.replace("_", " ")))
    if pd.api.types.is_datetime64_any_dtype(cells):
        is_daily = bool((cells.dropna() == cells.dropna().dt.normalize()).all())
        return st.column_config.DatetimeColumn(label, format=get_date_format() + ("" if is_daily else " HH:mm"))
    if pd.api.types.is_numeric_dtype(cells):
        return st.column_config.NumberColumn(
            f"{label} ({unit})" if unit and name in MEASURED_KEYS else label, format="localized"
        )
    return st.column_config.TextColumn(label)
