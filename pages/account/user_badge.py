"""Name of the signed-in user in the sidebar, with the sign-out button."""

from html import escape

import streamlit as st

from pages.account import html_forms
from pages.components.auth import SignedInUser
from pages.components.i18n import _


def show(user: SignedInUser) -> None:
    """Show the name of the user and the sign-out button."""
    with st.sidebar.container(key="who"):
        label = escape(_("Signed in as"))
        st.html(f'<p class="vigie-who">{label} <strong>{escape(user.name)}</strong></p>')
        if user.csrf:
            st.html(html_forms.build_sign_out_form())
        else:
            st.button(_("Sign out"), icon=":material/logout:", on_click=st.logout, key="sign-out", type="tertiary")
