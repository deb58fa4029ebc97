"""The garbage collector of a server: it skips the loaded libraries, and runs by the clock instead of after each page.

Streamlit would run a full collection after every script run, which takes longer than many pages. The configuration in
`.streamlit/` switches that off. Python's own collections count objects, and therefore come late where a few objects
hold large tables.
"""

import gc
import threading

COLLECTION_INTERVAL_S = 10.0


def freeze_loaded_objects() -> None:
    """Exclude all living objects from later collections; to be called once, when the libraries are loaded."""
    gc.collect()
    gc.freeze()


def collect_periodically(shutdown: threading.Event, interval_s: float = COLLECTION_INTERVAL_S) -> None:
    """Run a full collection every `interval_s` seconds until the shutdown."""
    while not shutdown.wait(interval_s):
        gc.collect()
