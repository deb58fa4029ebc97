"""Main script in place of all pages where the data folder cannot be used: it shows the reason."""

import sys
from pathlib import Path

import streamlit as st

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from core.errors import VigieError  # noqa: E402
from core.workspace import get_workspace  # noqa: E402
from pages.components.auth import LOOPBACK_HOSTS  # noqa: E402
from pages.components.i18n import _, translate_message  # noqa: E402


def show() -> None:
    """Show why the data folder cannot be used; to visitors from other machines, only that it cannot."""
    st.set_page_config(page_title="Vigie", page_icon=str(ROOT / "pages" / "icon.svg"))
    st.title(_("Vigie cannot start"))
    try:
        get_workspace()
        st.info(_("The data folder can be used again. Restart Vigie."), icon=":material/restart_alt:")
    except VigieError as error:
        is_local = st.get_option("server.address") in LOOPBACK_HOSTS
        reason = translate_message(error.message) if is_local else _("The log of the server has the reason.")
        st.error(reason, icon=":material/error:")


if __name__ == "__main__":
    show()
