"""The launcher: `streamlit run app.py` starts everything.

The pages are not beside this script's main script (`pages/navigation.py`), so Streamlit never serves them by itself: a
deep link always passes the gate in navigation.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import streamlit as st

from core.background import lifespan

app = st.App("pages/navigation.py", lifespan=lifespan)

if __name__ == "__main__":
    app.run()
