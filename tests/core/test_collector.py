"""The garbage collector of a server: what it skips, when it runs, and what Streamlit leaves to it."""

import gc
import subprocess
import sys
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path

import pytest

from core import collector
from core.settings import ROOT


class Node:
    """An object that refers to itself, which only the collector removes."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture
def gc_at_rest() -> Iterator[None]:
    """Collector of Python switched off, and nothing frozen at the end."""
    gc.disable()
    yield
    gc.enable()
    gc.unfreeze()


@pytest.mark.usefixtures("gc_at_rest")
def test_collector_removes_cycles_until_its_shutdown() -> None:
    shutdown, removed = threading.Event(), threading.Event()
    weakref.finalize(Node(), removed.set)
    thread = threading.Thread(target=collector.collect_periodically, args=(shutdown, 0.01))
    thread.start()
    assert removed.wait(30)
    shutdown.set()
    thread.join(30)
    assert not thread.is_alive()


@pytest.mark.usefixtures("gc_at_rest")
def test_collector_skips_frozen_objects_and_removes_garbage_before() -> None:
    removed, kept = threading.Event(), Node()
    weakref.finalize(Node(), removed.set)
    collector.freeze_loaded_objects()
    assert removed.is_set()
    assert gc.get_freeze_count() > 10_000
    assert not any(entry is kept for entry in gc.get_objects())


def test_streamlit_leaves_collection_to_the_server(tmp_path: Path) -> None:
    """`streamlit run` reads the option from every folder; an option that this version does not know would fail."""
    code = (
        "from streamlit import config; from streamlit.web import bootstrap, cli;"
        "bootstrap.run_asgi_app = lambda *_: print(config.get_option('runner.postScriptGC'));"
        f"cli._main_run({str(ROOT / 'app.py')!r})"
    )
    process = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert process.stdout.strip() == "False"
