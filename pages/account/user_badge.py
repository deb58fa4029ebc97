"""Name of the signed-in user in the sidebar, with the sign-out button."""

from html import escape

import streamlit as st

from pages.account import html_forms
from pages.components.auth import SignedInUser
from pages.components.i18n import _


def show(person: SignedInUser) -> None:
    """Show the name of the user and the sign-out button."""
    with st.sidebar.container(key="who"):
        said = escape(_("Signed in as"))
        st.html(f'<p class="vigie-who">{said} <strong>{escape(person.name)}</strong></p>')
        if person.csrf:
            st.html(html_forms.sign_out_button())
        else:
            st.button(_("Sign out"), icon=":material/logout:", on_click=st.logout, key="sign-out", type="tertiary")
