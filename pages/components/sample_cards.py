"""Samples to open: what each contains, what one will see, and a picture of its data."""

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core.data.samples import SAMPLES, Sample, load_sample, outline_sample
from core.figures.sparkline import draw_sparkline
from core.runs.tracked_run import record_event
from pages.components import auth, cache, url_state
from pages.components.cards import show_cards, show_picture
from pages.components.i18n import _
from pages.components.task_links import LOAD_SCRIPT


def show() -> None:
    """Show a card for each sample. The pictures come last, because the first visitor of a server waits for them."""
    samples = list(SAMPLES.values())
    for sample, picture in zip(samples, show_cards(samples, _show_sample), strict=True):
        with picture:
            outline = outline_sample(sample.name)
            alt = _("Values over time: {name}").format(name=_(sample.label))
            show_picture(draw_sparkline(outline.low, outline.high), alt)


def store_sample(name: str) -> str:
    """Create and store the sample `name`, record the event, and return its digest."""
    workspace = cache.get_workspace()
    with (
        st.spinner(_("Creating the sample …")),
        record_event("data_load", auth.current_actor("data"), workspace, sample=name) as inputs,
    ):
        digest = workspace.datasets.save(load_sample(name), auth.dataset_owner())
        inputs["dataset"] = digest
    return digest


def _show_sample(sample: Sample) -> DeltaGenerator:
    """Show the card of a sample, and return the place of its picture."""
    picture = st.container()
    st.markdown(f"**{_(sample.label)}**")
    st.caption(_(sample.summary))
    st.markdown(_(sample.outlook))
    if st.button(_("Open"), key=f"sample-{sample.name}", width="stretch"):
        digest = store_sample(sample.name)
        url_state.set_state("dataset", digest)
        st.switch_page(LOAD_SCRIPT, query_params={"dataset": digest})
    return picture
