"""Home page: what the product does, the way back to recent work, the guided walk and the samples."""

import streamlit as st

from core.data.samples import SAMPLES
from pages.components import guide, sample_cards, url_state, way_back
from pages.components.i18n import _
from pages.components.task_links import ANALYSIS_FOLDER, LOAD_SCRIPT


def page() -> None:
    """Show the introduction, recent work and the samples."""
    st.title(_("What is abnormal, why, and what comes next?"))
    _show_introduction()
    recent_work = st.container()
    _show_samples()
    with recent_work:  # last, because the search of runs may take a second
        way_back.show()


def _show_introduction() -> None:
    st.markdown(
        "\n".join(
            f"- {line}"
            for line in (
                _("Load a file of measurements. Vigie reads it as it is and reports what is wrong with it."),
                _("See what is abnormal and why, what comes next, and how sure each answer is."),
                _("Judge the alarms. Every result stays here, to be opened, shared and repeated."),
            )
        )
    )
    with st.container(horizontal=True, vertical_alignment="center"):
        if st.button(_("Load your data"), type="primary", icon=":material/upload_file:", key="home-load"):
            url_state.clear_dataset()
            st.switch_page(LOAD_SCRIPT)
        guide.show_start_button()


def _show_samples() -> None:
    st.header(_("Samples"))
    st.caption(_("{count} generated files with known anomalies. Each opens in a second.").format(count=len(SAMPLES)))
    sample_cards.show()
    st.page_link(
        ANALYSIS_FOLDER / "images.py", label=_("Samples of pictures: compare models"), icon=":material/photo_library:"
    )


page()
