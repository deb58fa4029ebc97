"""Widgets that all results share: cost, links to the run, charts and downloads."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import streamlit as st
from streamlit.elements.lib.column_types import ColumnConfig

from core.figures.chart import Chart, SentFigure, finish_chart
from core.figures.tables import count_decimals, tabulate_figure
from core.language import Language
from core.messages import Message
from core.runs.renderings import Drawing
from core.runs.stored_runs import get_run_cost, get_run_url, is_pending, load_run
from pages.components import auth, cache, downloads
from pages.components.i18n import _, build_chart_config, format_value, get_date_format, get_language, translate_message
from pages.components.markdown import escape_markdown, format_code
from pages.components.mlflow_links import localise_link
from pages.components.run_name import format_run_name, show_rename, show_rename_note


def show_cost(run: str) -> None:
    """Show two figures: seconds, and grams of CO₂."""
    total_cost = cache.cache_by_run(get_run_cost, run)
    st.metric(_("Seconds"), format_value(round(total_cost.seconds, 2)), border=True)
    st.metric(
        "g CO₂",
        format_value(float(f"{total_cost.emissions_kg * 1000:.2g}")),
        border=True,
        help=_("Estimated by {method}.").format(method=escape_markdown(total_cost.method)),
    )


def show_record(run: str) -> None:
    """Show the name and id of the run, its link to MLflow, its delivery status and its run card."""
    link = localise_link(cache.cache_by_run(get_run_url, run))
    record = cache.cache_by_run(load_run, run).record
    with st.container(horizontal=True, vertical_alignment="center", key="run-name"):
        st.markdown(f"**{escape_markdown(format_run_name(record))}**")
        show_rename(record)
        show_rename_note(record)
    with st.container(horizontal=True, vertical_alignment="center"):
        if link:
            st.link_button(_("Open in MLflow"), link, icon=":material/open_in_new:")
        downloads.show_report_button(run)
        show_card_buttons(run)
        if is_pending(run, cache.get_workspace()):
            st.caption(_("MLflow does not respond. The run is saved here and pending delivery."))
        st.caption(_describe_readers().format(run=format_code(run)))


def _describe_readers() -> str:
    """Return a sentence with {run} that tells who can open the address of a result."""
    if auth.has_private_runs():
        return _("Run {run}. The address of this page opens the result for you and for operators only.")
    return _("Run {run}. The address of this page opens the same result for your colleagues.")


def show_card_buttons(run: str) -> None:
    """Show the downloads of the run card as HTML and JSON, which are built on click."""
    workspace, language = cache.get_workspace(), Language(get_language())

    def build_card(kind: str) -> str:
        """Build the card without any call of Streamlit, which runs this outside the script of the page."""
        from core.runs.card import build_run_card
        from core.runs.card_html import render_html

        card = build_run_card(run, workspace)
        return card.to_json() if kind == "JSON" else render_html(card, language)

    for kind, label in (("HTML", _("Run card")), ("JSON", _("Run card (JSON)"))):
        st.download_button(
            label,
            partial(build_card, kind),
            f"run-{run[:12]}.{kind.lower()}",
            mime=f"{'text' if kind == 'HTML' else 'application'}/{kind.lower()}",
            key=f"card-{kind}-{run}",
            icon=":material/badge:",
            on_click="ignore",
        )


def show_chart(figure: go.Figure | Drawing, key: str, alt: str, *, is_picture: bool = False) -> None:
    """Show a figure with numbers and dates in the language of the reader, and a button that opens its table.

    alt         tells in a few words what is drawn; the series, the time and the highest value are added
    is_picture  True for made-up numbers, which need neither zoom nor table
    """
    chart = cache.finish_once(figure, finish_chart, Language(get_language()))
    show_finished_chart(chart, key, alt, is_picture=is_picture)
    if not is_picture:
        show_figure_table(figure, key)


def show_finished_chart(
    chart: Chart, key: str, alt: str, *, on_drag: Callable[[], None] | None = None, is_picture: bool = False
) -> None:
    """Show a chart; `on_drag` is called after the reader has drawn a box across it, None for charts without boxes."""
    options: dict[str, Any] = {} if on_drag is None else {"on_select": on_drag, "selection_mode": "box"}
    st.plotly_chart(
        SentFigure(chart),
        key=key,
        alt=f"{alt.rstrip('.')}. {chart.words}".strip(),
        config=build_chart_config() | ({"staticPlot": True} if is_picture else {}),
        **options,
    )


def show_figure_table(figure: go.Figure | Drawing, key: str) -> None:
    """Show the button that opens the numbers of a figure; they are read from the figure on demand."""
    popover = st.popover(
        _("Table of the figure"), icon=":material/table:", type="tertiary", key=f"figure-table-{key}", on_change="rerun"
    )
    if popover.open:
        with popover:
            table = tabulate_figure(figure.make_figure() if isinstance(figure, Drawing) else figure, _)
            decimals = {name: count_decimals(table[name]) for name in table.select_dtypes("number")}
            st.dataframe(
                table.round(decimals),
                hide_index=True,
                width="stretch",
                placeholder="–",
                key=f"figure-rows-{key}",
                alt=_("Table of the figure"),
                column_config={name: _configure_column(table[name], decimals.get(name, 0)) for name in table},
            )
            downloads.show_csv_button(_("Download as CSV"), lambda: table, f"{key}.csv", f"figure-csv-{key}")


def _configure_column(values: pd.Series, decimals: int) -> ColumnConfig | None:
    if pd.api.types.is_datetime64_any_dtype(values):
        has_times = bool((values.dt.normalize() != values).any())
        return st.column_config.DatetimeColumn(format=get_date_format() + (" HH:mm" if has_times else ""))
    if pd.api.types.is_numeric_dtype(values):
        return st.column_config.NumberColumn(format="localized", step=10**-decimals)
    return None


def show_notes(notes: Sequence[Message]) -> None:
    """Show the limits of a result, where there are any."""
    if notes:
        label = _("Notes on this result ({count})").format(count=format_value(len(notes)))
        with st.expander(label, icon=":material/notes:"):
            st.caption("\n".join(f"- {translate_message(note)}" for note in notes))


def show_downloads(build_table: Callable[[], pd.DataFrame], name: str, label: str) -> None:
    """Show the buttons that export a table; `build_table` is called on click, `label` contains {kind}."""
    st.header(_("Export the results"))
    with st.container(horizontal=True):
        downloads.show_table_buttons(build_table, name, label)
