"""Page at an address that no page has."""

import streamlit as st

from pages.components.i18n import _
from pages.components.task_links import HOME_SCRIPT, LOAD_SCRIPT


def page() -> None:
    """Say that the page does not exist, and link to the pages that do."""
    st.title(_("This page does not exist"))
    st.info(_("No page has this address. Choose a page in the menu, or start here:"), icon=":material/explore_off:")
    st.page_link(HOME_SCRIPT, label=_("Home"), icon=":material/home:")
    st.page_link(LOAD_SCRIPT, label=_("Load data"), icon=":material/upload_file:")


page()
