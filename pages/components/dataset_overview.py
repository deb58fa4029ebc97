"""First look at a loaded dataset: a plot, the columns and how they were read, the first rows, and the entities.

A wrong guess is mended here: change a role, and read the files again.
"""

from collections.abc import Callable
from dataclasses import Field, replace
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from core.data.columns import ROLE_LABELS, ROLES
from core.data.dataset import Dataset
from core.data.ingest.layouts.base import describe_zone
from core.data.ingest.loading import list_layouts
from core.data.overview import (
    MAX_LINES,
    ColumnOverview,
    EntityOverview,
    count_lines,
    describe_columns,
    describe_entities,
    select_lines,
)
from core.data.quality.doctor import QualitySummary, summarise_dataset
from core.data.read_options import ReadOptions, format_roles
from core.figures.overview import draw_overview
from core.messages import N_
from core.spec.hyperparameters import build_from_settings, get_hyperparameters
from pages.components import auth, cache
from pages.components.i18n import _, format_value, get_language, translate_plain
from pages.components.results.run_widgets import show_chart

MAX_ENTITY_ROWS = 1_000

ReadAgain = Callable[[ReadOptions], None]


def show(dataset: Dataset, read_again: ReadAgain | None) -> None:
    """Show what was read; `read_again` reads the uploaded files with other options, None if they are not stored."""
    _offer_earlier_choice(dataset, read_again)
    _show_figures(_summarise(dataset.digest, dataset), dataset)
    alt = _("Values over time, one small chart for each entity or measurement")
    show_chart(_draw(dataset.digest, dataset, get_language()), "overview-plot", alt)
    if count_lines(dataset) > MAX_LINES:
        text = _("The first {shown} of {count} are shown.")
        st.caption(text.format(shown=MAX_LINES, count=format_value(count_lines(dataset))))
    columns_tab, rows_tab, entities_tab = st.tabs([_("Columns"), _("First rows"), _("Entities")])
    with columns_tab:
        _show_columns(dataset, read_again)
    with rows_tab:
        readings = [reading for reading in dataset.readings if reading.first_cells]
        first_rows = pd.DataFrame({reading.name: list(reading.first_cells) for reading in readings})
        st.dataframe(first_rows, hide_index=True, width="stretch", placeholder="–")
    with entities_tab:
        st.dataframe(_tabulate_entities(_describe_entities(dataset.digest, dataset)), hide_index=True, width="stretch")


def _show_figures(summary: QualitySummary, dataset: Dataset) -> None:
    with st.container(horizontal=True, key="dataset-figures"):
        st.metric(_("Rows"), format_value(summary.rows), border=True)
        st.metric(_("Entities"), format_value(summary.entities), border=True)
        if dataset.has_dates:
            st.metric(_("Dates"), format_value(summary.dates), border=True)
        st.metric(_("Incomplete rows"), format_value(summary.incomplete_rows), border=True)
        st.metric(_("Unit"), summary.unit or "–", border=True)
    st.caption(" · ".join(_list_facts(summary, dataset)))


def _list_facts(summary: QualitySummary, dataset: Dataset) -> list[str]:
    """Return the layout, the period, the step, the time zone and the covariates as short texts."""
    facts = [_(layout.label) for layout in list_layouts() if layout.name == summary.layout]
    if summary.start:
        facts.append(f"{format_value(dataset.time.min())} – {format_value(dataset.time.max())}")
    if dataset.step is not None:
        facts.append(_("step: {step}").format(step=format_step(dataset.step)))
    if dataset.has_dates:
        facts.append(_("time zone: {zone}").format(zone=describe_zone(dataset.zone) or _("unknown")))
    return facts + [
        _("{name} (dates: {dates}, rows: {rows})").format(
            name=_(name), dates=format_value(counts["dates"]), rows=format_value(counts["rows"])
        )
        for name, counts in summary.covariates.items()
    ]


@st.cache_data(max_entries=32, show_spinner=False)
def _summarise(digest: str, _dataset: Dataset) -> QualitySummary:
    return summarise_dataset(_dataset)


def format_step(step: pd.Timedelta | None) -> str:
    """Return a time step for the reader: 15 min, 1 h, 1 d."""
    if step is None:
        return ""
    for unit, seconds in ((_("d"), 86_400), ("h", 3_600), ("min", 60), ("s", 1)):
        if step.total_seconds() % seconds == 0:
            return f"{format_value(int(step.total_seconds() // seconds))} {unit}"
    return f"{format_value(step.total_seconds())} s"


@st.cache_resource(max_entries=32, show_spinner=False)  # pickled, its numbers would be texts
def _draw(digest: str, _dataset: Dataset, language: str) -> go.Figure:
    """Draw the overview once per dataset and language."""
    return draw_overview(select_lines(_dataset), _dataset.unit, _)


@st.cache_data(max_entries=32, show_spinner=False)
def _describe_columns(digest: str, _dataset: Dataset) -> list[ColumnOverview]:
    return describe_columns(_dataset)


@st.cache_data(max_entries=32, show_spinner=False)
def _describe_entities(digest: str, _dataset: Dataset) -> list[EntityOverview]:
    return describe_entities(_dataset)


def _tabulate_entities(entities: list[EntityOverview]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            _("Entity"): [entity.entity for entity in entities],
            _("Rows"): [format_value(entity.rows) for entity in entities],
            _("First time"): [_format_optional(entity.start) for entity in entities],
            _("Last time"): [_format_optional(entity.end) for entity in entities],
            _("Step"): [format_step(entity.step) for entity in entities],
            _("Missing values"): [format_value(entity.missing) for entity in entities],
        }
    ).head(MAX_ENTITY_ROWS)


def _format_optional(value: object) -> str:
    return "" if value is None else format_value(value)


# ---- columns --------------------------------------------------------------------------------------------------------


def _show_columns(dataset: Dataset, read_again: ReadAgain | None) -> None:
    if not dataset.readings:
        st.caption(_("This dataset was not read from a table of a file."))
        return
    table = tabulate_columns(_describe_columns(dataset.digest, dataset))
    edited = edit_roles(table, is_editable=read_again is not None, key=f"roles-{dataset.digest}")
    if read_again is None:
        st.caption(_("To change a role, load the files again."))
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        with st.popover(_("More options"), icon=":material/tune:"):
            options = ask_read_options(dataset.read_options, f"read-{dataset.digest}")
        changed = {
            name: role
            for name, role, old in zip(edited["column"], edited["role"], table["role"], strict=True)
            if role != old
        }
        roles = {**dataset.read_options.role_by_column, **changed}
        options = replace(options, roles=format_roles(roles))
        if st.button(
            _("Read again"),
            type="primary" if options != dataset.read_options else "secondary",
            disabled=options == dataset.read_options,
            icon=":material/refresh:",
            key="read-again",
        ):
            read_again(options)


def tabulate_columns(columns: list[ColumnOverview]) -> pd.DataFrame:
    """Return the columns as a table of texts: role, unit, range, missing values, first values, reason."""
    return pd.DataFrame(
        {
            "column": [column.reading.name for column in columns],
            "role": [column.reading.role for column in columns],
            "unit": [column.reading.unit for column in columns],
            "range": [_format_range(column) for column in columns],
            "missing": ["" if column.missing is None else format_value(column.missing) for column in columns],
            "values": [", ".join(cell or "–" for cell in column.reading.first_cells[:2]) for column in columns],
            "reason": [translate_plain(column.reading.reason) for column in columns],
        }
    )


def _format_range(column: ColumnOverview) -> str:
    if column.lowest is None or column.highest is None:
        return ""
    return f"{format_value(column.lowest)} … {format_value(column.highest)}"


def edit_roles(table: pd.DataFrame, is_editable: bool, key: str) -> pd.DataFrame:
    """Show the table of columns, with a role to choose for each, and return it as edited."""
    edited: pd.DataFrame = st.data_editor(
        table,
        hide_index=True,
        width="stretch",
        key=key,
        placeholder="–",
        disabled=[name for name in table if name != "role" or not is_editable],
        column_config={
            "column": st.column_config.TextColumn(_("Column"), width=110),
            "role": st.column_config.SelectboxColumn(
                _("Role"),
                options=list(ROLES),
                required=True,
                width=110,
                format_func=lambda role: _(ROLE_LABELS[str(role)]),
            ),
            "unit": st.column_config.TextColumn(_("Unit"), width=60),
            "range": st.column_config.TextColumn(_("Range"), width=165),
            "missing": st.column_config.TextColumn(_("Missing"), width=70),
            "values": st.column_config.TextColumn(_("First values"), width=180),
            "reason": st.column_config.TextColumn(_("Read as")),
        },
    )
    return edited


def ask_read_options(options: ReadOptions, key: str) -> ReadOptions:
    """Show a widget for every option except the roles, and return the options as chosen."""
    values = {
        name: _ask_option(field, getattr(options, name), f"{key}-{name}")
        for name, field in get_hyperparameters(options).items()
        if name != "roles"
    }
    return build_from_settings(ReadOptions, values)


def _ask_option(field: Field[Any], value: str, key: str) -> str:
    texts, words = (field.metadata["label"], field.metadata["help"]), field.metadata["words"]
    label, help_text = (_(text) for text in texts)
    if field.name == "layout":
        words = {"": N_("from the file"), **{layout.name: layout.label for layout in list_layouts()}}
    if not words:
        return st.text_input(label, value, help=help_text, key=key, placeholder=_("from the file")).strip()
    choices = list(words)
    return st.selectbox(
        label, choices, choices.index(value), help=help_text, key=key, format_func=lambda choice: _(words[choice])
    )


def _offer_earlier_choice(dataset: Dataset, read_again: ReadAgain | None) -> None:
    """Offer the options that this user chose for an earlier file with the same columns."""
    if read_again is None or not dataset.readings or not dataset.read_options.is_empty:
        return
    columns = [reading.name for reading in dataset.readings]
    earlier = cache.get_workspace().read_choices.find(columns, auth.dataset_owner())
    if earlier.is_empty:
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.info(_("You read a file with these columns with other settings before."), icon=":material/history:")
        if st.button(_("Read it with those settings"), key="read-as-before"):
            read_again(earlier)
