"""Widgets that all results share: cost, links to the run, charts and downloads."""

from collections.abc import Callable
from functools import partial

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from core.language import Language
from core.runs.stored_runs import get_run_cost, get_run_url, is_pending, load_run
from pages.components import auth, cache, downloads
from pages.components.i18n import _, build_chart_config, format_value, get_language, localise_figure
from pages.components.markdown import escape_markdown, format_code
from pages.components.run_name import format_run_name, show_rename, show_rename_note


def show_cost(run: str) -> None:
    """Show two figures: seconds, and grams of CO₂."""
    total_cost = cache.cache_by_run(get_run_cost, run)
    st.metric(_("Seconds"), format_value(round(total_cost.seconds, 2)), border=True)
    st.metric(
        "g CO₂",
        format_value(float(f"{total_cost.emissions_kg * 1000:.2g}")),
        border=True,
        help=_("Estimated by {method}.").format(method=total_cost.method),
    )


def show_record(run: str) -> None:
    """Show the name and id of the run, its link to MLflow, its delivery status and its run card."""
    link, record = cache.cache_by_run(get_run_url, run), cache.cache_by_run(load_run, run).record
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


def show_chart(figure: go.Figure, key: str, alt: str) -> None:
    """Show a figure with numbers and dates in the language of the reader.

    `alt` describes the figure for screen readers.
    """
    st.plotly_chart(localise_figure(figure), key=key, alt=alt, config=build_chart_config())


def show_downloads(build_table: Callable[[], pd.DataFrame], name: str, label: str) -> None:
    """Show the buttons that export a table; `build_table` is called on click, `label` contains {kind}."""
    st.header(_("Export the results"))
    with st.container(horizontal=True):
        downloads.show_table_buttons(build_table, name, label)
