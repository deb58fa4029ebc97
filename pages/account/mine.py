"""Your account."""

import streamlit as st

from pages.parts.text import _

st.title(_("Your account"))
