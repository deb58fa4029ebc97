"""Launcher of Vigie: `streamlit run app.py` starts everything.

The main script of Streamlit is `pages/navigation.py`. No folder `pages` lies next to it, so Streamlit never serves a
page script by itself. Every deep link passes the access check in `pages/navigation.py`.
"""

import asyncio
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import streamlit as st

from core import lifespan as core_lifespan
from core.storage.data_folder import restrict_new_files
from pages.account.routes import ROUTES
from pages.account.setup_token import announce_token
from pages.gate.middleware import MIDDLEWARE, UPLOADS
from pages.gate.proxies import trust_proxies


@asynccontextmanager
async def lifespan(app: object) -> AsyncIterator[None]:
    """Run the background services of the app, and print the setup token of the first administrator.

    They include the removal of uploads whose session has ended.
    """
    stop_event = threading.Event()
    threading.Thread(target=announce_token, args=(stop_event,), daemon=True, name="announce").start()
    removal = asyncio.create_task(UPLOADS.remove_periodically())
    async with core_lifespan.lifespan(app):
        yield
    removal.cancel()
    stop_event.set()


restrict_new_files()
trust_proxies()
app = st.App("pages/navigation.py", routes=ROUTES, middleware=MIDDLEWARE, lifespan=lifespan)

if __name__ == "__main__":
    app.run()
