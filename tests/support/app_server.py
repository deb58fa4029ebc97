"""A real server of the app and pages in a browser."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from playwright.sync_api import Browser, Page, expect

from core.settings import ROOT
from tests.support.command_server import ForkedProcess, get_command_server
from tests.support.processes import Process, kill_process_tree, wait_until_reachable

APP_SCRIPT = ROOT / "app.py"
APP_OPTIONS = ("--server.address=127.0.0.1", "--server.headless=true")
TIMEOUT_MS = 60_000  # the first analysis of a server imports libraries


def start_app(folder: Path, port: int, *options: str, **settings: str) -> ForkedProcess:
    """Start the app with `folder` as data folder and app.log there as its log; return when it is healthy.

    The app and its embedded worker are forks of a process that has imported the libraries, which saves twenty seconds
    of a processor.
    """
    process = get_command_server().start(
        "tests.support.app_with_worker",
        f"--server.port={port}",
        *APP_OPTIONS,
        *options,
        environment=build_app_environment(folder, settings),
        output=folder / "app.log",
    )
    _wait_until_healthy(process, port)
    return process


def start_app_afresh(folder: Path, port: int, *options: str, **settings: str) -> "subprocess.Popen[bytes]":
    """Start the app as a user does: a new process that imports its libraries and starts its worker."""
    command = [sys.executable, "-m", "streamlit", "run", str(APP_SCRIPT), f"--server.port={port}"]
    with (folder / "app.log").open("ab") as log:
        process = subprocess.Popen(
            [*command, *APP_OPTIONS, *options],
            cwd=ROOT,
            env=build_app_environment(folder, settings),
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    _wait_until_healthy(process, port)
    return process


def build_app_environment(folder: Path, settings: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of an app without an MLflow server."""
    no_mlflow = {"MLFLOW_TRACKING_URI": "", "VIGIE_MLFLOW_ADDRESS": "off"}
    return os.environ | {"VIGIE_DATA_DIR": str(folder), "OMP_NUM_THREADS": "1"} | no_mlflow | settings


def _wait_until_healthy(process: Process, port: int) -> None:
    """Wait until the app answers. Raises OSError after the app has been killed."""
    try:
        wait_until_reachable(f"http://127.0.0.1:{port}/_stcore/health")
    except OSError:
        kill_process_tree(process)
        raise


def wait_until_drawn(page: Page, pause_ms: int = 500) -> None:
    """Wait until the page has finished drawing, and `pause_ms` longer for what the browser moves and fades.

    A click changes the state of the app at once. The sign of a run that the reader sees appears later, and what is
    clicked before the end of a run may be lost: the answer to the former click puts the former choice back.
    """
    expect(page.get_by_test_id("stApp")).to_have_attribute("data-test-script-state", "notRunning", timeout=TIMEOUT_MS)
    expect(page.locator("[data-stale='true']")).to_have_count(0, timeout=TIMEOUT_MS)  # pale until they are replaced
    page.wait_for_timeout(pause_ms)


def check_every_tab(page: Page, count: int) -> None:
    """Open every tab of a result and check that none shows an error."""
    tabs = page.get_by_role("tab")
    expect(tabs).to_have_count(count, timeout=TIMEOUT_MS)
    for number in range(count):
        tabs.nth(number).click()
        wait_until_drawn(page, pause_ms=0)
        expect(tabs.nth(number)).to_have_attribute("aria-selected", "true")
        expect(page.get_by_test_id("stException")).to_have_count(0)
        expect(page.get_by_test_id("stAlertContentError")).to_have_count(0)


def open_browser_page(browser: Browser, locale: str = "en-GB", width: int = 1280) -> Page:
    context = browser.new_context(locale=locale, viewport={"width": width, "height": 900})
    context.set_default_timeout(TIMEOUT_MS)
    expect.set_options(timeout=TIMEOUT_MS)
    return context.new_page()
