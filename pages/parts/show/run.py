"""What every result shows: what it cost, where it is on record, its figures, its downloads."""

from collections.abc import Callable

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from core.exports import as_csv, as_parquet
from core.run import cost_of, mlflow_link, waits_for_mlflow
from pages.parts import session
from pages.parts.text import _, localised, shown


def cost(run: str) -> None:
    """Two figures: seconds and grams of CO₂."""
    spent = session.cached(cost_of, run)
    st.metric(_("Seconds"), shown(round(spent.seconds, 2)), border=True)
    st.metric(
        "g CO₂", shown(float(f"{spent.emissions_kg * 1000:.2g}")), border=True,
        help=_("Estimated by {method}.").format(method=spent.method),
    )  # fmt: skip


def record(run: str) -> None:
    """Where the run is on record."""
    link = session.cached(mlflow_link, run)
    with st.container(horizontal=True, vertical_alignment="center"):
        if link:
            st.link_button(_("Open in MLflow"), link, icon=":material/open_in_new:")
        if waits_for_mlflow(run, session.here()):
            st.caption(_("MLflow does not answer: the run is kept here and will be delivered when it is back."))
        st.caption(_("Run {run}. The address of this page shows the same result to a colleague.").format(run=f"`{run}`"))


def chart(figure: go.Figure, key: str, alt: str, dated: bool = True) -> None:
    """A figure with numbers and dates in the person's language; `alt` says what it shows to those who cannot see it."""
    st.plotly_chart(localised(figure, dated), key=key, alt=alt, config={"displayModeBar": False})


def downloads(table: Callable[[], pd.DataFrame], name: str, label: str) -> None:
    """Buttons that write `table` only when asked; `label` holds {kind}."""
    st.subheader(_("Export the results"))
    with st.container(horizontal=True):
        for kind, writer in (("CSV", as_csv), ("Parquet", as_parquet)):
            st.download_button(
                label.format(kind=kind), lambda writer=writer: writer(table()), f"{name}.{kind.lower()}",
                key=f"{name}-{kind}", icon=":material/download:", on_click="ignore",
            )  # fmt: skip
