"""Widgets that all results share: cost, links to the run, charts and downloads."""

from collections.abc import Callable
from functools import partial

import pandas as pd
import plotly.graph_objects as go
import streamlit as st
from babel import numbers

from core.exports import as_csv, as_parquet
from core.runs.stored_runs import is_pending, mlflow_run_url, run_cost
from pages.components import cache
from pages.components.i18n import _, catalogue, language, localised, shown


def cost(run: str) -> None:
    """Show two figures: seconds, and grams of CO₂."""
    spent = cache.cache_by_run(run_cost, run)
    st.metric(_("Seconds"), shown(round(spent.seconds, 2)), border=True)
    st.metric(
        "g CO₂",
        shown(float(f"{spent.emissions_kg * 1000:.2g}")),
        border=True,
        help=_("Estimated by {method}.").format(method=spent.method),
    )


def record(run: str) -> None:
    """Show the id of the run, its link to MLflow, its delivery status and its run card."""
    link = cache.cache_by_run(mlflow_run_url, run)
    with st.container(horizontal=True, vertical_alignment="center"):
        if link:
            st.link_button(_("Open in MLflow"), link, icon=":material/open_in_new:")
        card(run)
        if is_pending(run, cache.get_workspace()):
            st.caption(_("MLflow does not answer: the run is kept here and will be delivered when it is back."))
        st.caption(
            _("Run {run}. The address of this page shows the same result to a colleague.").format(run=f"`{run}`")
        )


def card(run: str) -> None:
    """Show the downloads of the run card as HTML and JSON, which are built on click."""
    workspace, code = cache.get_workspace(), language()

    def made(kind: str) -> str:
        """Build the card without any call of Streamlit, which runs this outside the script of the page."""
        from core.runs.card import run_card
        from core.runs.card_html import html

        found = run_card(run, workspace)
        return (
            found.to_json()
            if kind == "JSON"
            else html(found, catalogue(code).gettext, partial(written, code=code), code)
        )

    for kind, label in (("HTML", _("Run card")), ("JSON", _("Run card (JSON)"))):
        st.download_button(
            label,
            partial(made, kind),
            f"run-{run[:12]}.{kind.lower()}",
            mime=f"{'text' if kind == 'HTML' else 'application'}/{kind.lower()}",
            key=f"card-{kind}-{run}",
            icon=":material/badge:",
            on_click="ignore",
        )


def written(value: object, code: str) -> str:
    """Format a number for readers of the language `code`; any other value becomes its text."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    return numbers.format_decimal(value, format="#,##0.######", locale=code)


def chart(figure: go.Figure, key: str, alt: str, dated: bool = True) -> None:
    """Show a figure with numbers and dates in the language of the reader.

    `alt` describes the figure for screen readers. `dated` is True where the x axis is a time axis.
    """
    st.plotly_chart(localised(figure, dated), key=key, alt=alt, config={"displayModeBar": False})


def downloads(table: Callable[[], pd.DataFrame], name: str, label: str) -> None:
    """Show the buttons that export a table; `table` is called on click, `label` contains {kind}."""
    st.subheader(_("Export the results"))
    with st.container(horizontal=True):
        for kind, writer in (("CSV", as_csv), ("Parquet", as_parquet)):
            st.download_button(
                label.format(kind=kind),
                partial(_exported, writer, table),
                f"{name}.{kind.lower()}",
                key=f"{name}-{kind}",
                icon=":material/download:",
                on_click="ignore",
            )


def _exported(writer: Callable[[pd.DataFrame], bytes], table: Callable[[], pd.DataFrame]) -> bytes:
    return writer(table())
