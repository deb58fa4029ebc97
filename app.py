"""Launcher of Vigie: `streamlit run app.py` starts everything.

The main script of Streamlit is `pages/navigation.py`; without a usable data folder it is `pages/unusable_folder.py`. No
folder `pages` lies next to it, so Streamlit never serves a page script by itself. Every deep link passes the access
check in `pages/navigation.py`.
"""

import asyncio
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

import streamlit as st

from core import lifespan as core_lifespan
from core.errors import VigieError
from core.settings import load_environment
from core.storage.data_folder import restrict_new_files
from core.workspace import get_workspace
from pages.account.routes import ROUTES as ACCOUNT_ROUTES
from pages.account.setup_token import announce_token
from pages.gate.middleware import MIDDLEWARE
from pages.gate.proxies import trust_proxies
from pages.gate.uploads import remove_periodically
from pages.watch.routes import ROUTES as DOOR_ROUTES

FIRST_MODULES = ("pages.navigation", "pages.components.way_back", "pages.components.sample_cards")
"""What the home page imports."""


@asynccontextmanager
async def lifespan(app: object) -> AsyncIterator[None]:
    """Run the background services of the app, and print the setup token of the first administrator.

    They include the removal of uploads whose session has ended, or whose process was killed. The home page is imported
    while the first browser loads Streamlit's scripts.
    """
    staged_uploads = get_workspace().staged_uploads
    with suppress(OSError):  # a read-only data folder can be looked at; uploads are refused
        staged_uploads.open()
    stop_event = threading.Event()
    threading.Thread(target=_import_home_page, daemon=True, name="import").start()
    threading.Thread(target=announce_token, args=(stop_event,), daemon=True, name="announce").start()
    removal = asyncio.create_task(remove_periodically())
    url = f"http://{st.get_option('server.address') or 'localhost'}:{st.get_option('server.port')}"
    async with core_lifespan.lifespan(app, url):
        yield
    removal.cancel()
    stop_event.set()
    staged_uploads.close()


def is_data_folder_usable() -> bool:
    """Tell whether the data folder can be used; print the reason if it cannot."""
    try:
        get_workspace()
    except VigieError as error:
        print(" ".join(str(error).split()), file=sys.stderr, flush=True)
        return False
    return True


def _import_home_page() -> None:
    for name in FIRST_MODULES:
        import_module(name)


load_environment()
restrict_new_files()
script, options = "pages/unusable_folder.py", dict[str, Any]()
if is_data_folder_usable():
    trust_proxies()
    script, options = "pages/navigation.py", {"middleware": MIDDLEWARE, "lifespan": lifespan}
    options["routes"] = [*ACCOUNT_ROUTES, *DOOR_ROUTES]
app = st.App(script, **options)  # Streamlit looks for an assignment of this form

if __name__ == "__main__":
    app.run()
