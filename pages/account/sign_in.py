"""Sign in, where `VIGIE_REQUIRE_SIGN_IN` asks for it: every address shows this page until someone has."""

import streamlit as st

from pages.parts.text import _

st.title("Vigie")
st.write(_("Please sign in to go on."))
if "auth" in st.secrets:
    st.button(_("Sign in"), type="primary", on_click=st.login, key="sign-in")
else:
    st.warning(
        _("Signing in is required, but no identity provider is set up. An administrator adds it to .streamlit/secrets.toml; see docs/deployment.md."),
        icon=":material/key_off:",
    )
