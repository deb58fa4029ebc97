"""Setup token of the first administrator, printed on the console of the launcher."""

import threading

import streamlit as st

from core.errors import ServiceUnavailableError
from pages.components import cache
from pages.components.auth import LOOPBACK_HOSTS, is_sign_in_required

CHECK_INTERVAL_S = 5.0  # seconds between two checks of the accounts


def announce_token(stop_event: threading.Event) -> None:
    """Print the setup token once the accounts answer and are empty; stop at `stop_event`.

    Nothing is printed if sign-in is not required or an account exists.
    """
    while is_sign_in_required() and not stop_event.is_set():
        try:
            if cache.get_workspace().accounts.is_empty():
                print(_build_announcement(), flush=True)
            return
        except ServiceUnavailableError:
            stop_event.wait(CHECK_INTERVAL_S)


def _build_announcement() -> str:
    address, port = st.get_option("server.address"), st.get_option("server.port")
    host = address if address in LOOPBACK_HOSTS else "localhost"
    return (
        f"\n  Vigie has no users yet. Open http://{host}:{port}/ and use this setup token to "
        f"create the first administrator:\n\n"
        f"    {cache.get_workspace().setup_token.token}\n\n"
        f"  The token can be used once.\n"
    )
