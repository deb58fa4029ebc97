"""Samples to open: what each contains, what one will see, and a picture of its data."""

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core import queries
from core.data.samples import SAMPLES, Sample, outline_sample
from core.figures.sparkline import draw_sparkline
from core.operations.queries import OPEN_SAMPLE
from core.operations.reading import SampleSpec
from core.progress import Progress
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
    """Create and store the sample `name`, and return its digest."""
    spec = SampleSpec(name, auth.dataset_owner())
    workspace, actor = cache.get_workspace(), auth.current_actor("data")
    with st.spinner(_("Creating the sample …")):
        return cache.submit_once(
            f"sample {name}",
            lambda: queries.answer_question(OPEN_SAMPLE, spec, workspace=workspace, actor=actor, progress=Progress()),
        )


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
