"""The script of charts, which the browser runs before the first chart comes.

Streamlit's own page asks for it when the first chart arrives; reading and running its 5 MB then takes longer than
drawing the chart. A page with a result runs it while the server computes the result, a form while it is read.
"""

import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import streamlit as st

INDEX_FILE = Path(st.__file__).parent / "static" / "index.html"
SCRIPT_FOLDER = INDEX_FILE.parent / "static" / "js"
SCRIPT_ADDRESS = "./static/js/"  # as the page itself names its scripts
MIN_SCRIPT_BYTES = 25_000  # smaller ones are loaded in no time
HEAD_CHARACTERS = 20_000  # of a script, in which its imports are
IMPORTED_SCRIPT = re.compile(r"""(?:from|import)\s*["'`]\./([\w.-]+\.js)["'`]""")
CHART_WIDGET = "PlotlyChart"
IDLE_TIMEOUT_MS = 2000
LOADER = """(() => {
  const load = () => import(new URL("%(address)s", document.baseURI)).catch(() => {}); // the chart itself asks again
  if (new URLSearchParams(location.search).has("run") || !window.requestIdleCallback) load();
  else requestIdleCallback(load, { timeout: %(timeout)d });
})();"""


def show() -> None:
    """Let the browser run the script of charts: at once where the address names a result, else when it is idle."""
    st.html(f"<script>{build_script()}</script>", unsafe_allow_javascript=True)


@cache
def build_script() -> str:
    """Return the inline script; "" for a version of Streamlit that names the script of charts otherwise."""
    addresses = [f"{SCRIPT_ADDRESS}{path.name}" for path in SCRIPT_FOLDER.glob(f"{CHART_WIDGET}.*.js")]
    return "".join(LOADER % {"address": address, "timeout": IDLE_TIMEOUT_MS} for address in addresses[:1])


def list_scripts(widgets: Iterable[str]) -> list[str]:
    """Return the names of the large scripts that widgets need, beyond those that Streamlit's page loads at once."""
    first_page = INDEX_FILE.read_text(encoding="utf-8")
    waiting = [path.name for widget in widgets for path in sorted(SCRIPT_FOLDER.glob(f"{widget}.*.js"))]
    names: dict[str, int] = {}
    while waiting:
        name = waiting.pop(0)
        path = SCRIPT_FOLDER / name
        if name in names or name in first_page or not path.is_file():
            continue
        names[name] = path.stat().st_size
        with path.open(encoding="utf-8") as script:
            waiting += IMPORTED_SCRIPT.findall(script.read(HEAD_CHARACTERS))
    return [name for name, size in names.items() if size >= MIN_SCRIPT_BYTES]
