"""The launcher: `streamlit run app.py` starts everything.

The pages are not beside this script's main script (`pages/navigation.py`), so Streamlit never serves them by itself: a
deep link always passes the gate in navigation.
"""

import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import streamlit as st

from core import lifespan as background
from pages.account.routes import ROUTES
from pages.account.setup_token import announce


@asynccontextmanager
async def lifespan(app: object) -> AsyncIterator[None]:
    """What goes on beside the pages, and the token for the first administrator on the console."""
    ending = threading.Event()
    threading.Thread(target=announce, args=(ending,), daemon=True, name="announce").start()
    async with background.lifespan(app):
        yield
    ending.set()


app = st.App("pages/navigation.py", routes=ROUTES, lifespan=lifespan)

if __name__ == "__main__":
    app.run()
