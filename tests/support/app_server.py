"""A real server of the app and pages in a browser."""

import os
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import Browser, Page, expect

from core.settings import ROOT
from tests.conftest import kill_process_tree, wait_until_reachable

TIMEOUT_MS = 60_000  # the first analysis of a server imports libraries


def start_app(folder: Path, port: int, *options: str, **settings: str) -> "subprocess.Popen[bytes]":
    """Start the app with `folder` as data folder and app.log there as its log; return when it is healthy."""
    command = [sys.executable, "-m", "streamlit", "run", str(ROOT / "app.py"), f"--server.port={port}"]
    environment = (
        os.environ | {"VIGIE_DATA_DIR": str(folder), "OMP_NUM_THREADS": "1", "MLFLOW_TRACKING_URI": ""} | settings
    )
    with (folder / "app.log").open("ab") as log:
        process = subprocess.Popen(
            [*command, "--server.address=127.0.0.1", "--server.headless=true", *options],
            cwd=ROOT,
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        wait_until_reachable(f"http://127.0.0.1:{port}/_stcore/health")
    except OSError:
        kill_process_tree(process)
        raise
    return process


def open_browser_page(browser: Browser, locale: str = "en-GB", width: int = 1280) -> Page:
    context = browser.new_context(locale=locale, viewport={"width": width, "height": 900})
    context.set_default_timeout(TIMEOUT_MS)
    expect.set_options(timeout=TIMEOUT_MS)
    return context.new_page()
