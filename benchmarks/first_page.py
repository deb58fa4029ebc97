"""Time from GET to the first heading in headless Chromium, compared with an empty Streamlit app; a shared link as well.

Each visit has a new server and a new browser context. The shared link is opened last, when the server has loaded its
libraries, and ends with the chart of the result.
"""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from playwright.sync_api import Browser, sync_playwright

from benchmarks.analyst_load import store_results
from benchmarks.report import ResultLine, build_figure, build_ratio
from tests.support.chromium import CHROMIUM_ARGUMENTS, find_chromium

ROOT = Path(__file__).resolve().parents[1]
REPETITIONS = 7
EMPTY_APP = 'import streamlit as st\n\nst.title("x")\n'
START_TIMEOUT_S = 60.0
PRELOAD_S = 30.0  # in which a server loads its libraries in the background
CHART = ".js-plotly-plot .main-svg"


def main() -> list[ResultLine]:
    """Compare Vigie with the empty app."""
    if find_chromium() is None:
        return [ResultLine("skipped: no Chromium; `make test` installs it", "–")]
    with TemporaryDirectory(prefix="vigie-bench-") as folder, sync_playwright() as playwright:
        empty = Path(folder) / "empty.py"
        empty.write_text(EMPTY_APP, encoding="utf-8")
        apps = {"empty": empty, "ours": ROOT / "app.py"}
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=list(CHROMIUM_ARGUMENTS))
        [link] = store_results(Path(folder) / "vigie", 1)
        visits: dict[str, list[tuple[float, float, float, float]]] = {name: [] for name in apps}
        for _ in range(1 + REPETITIONS):
            for name, app in apps.items():
                visits[name].append(
                    _measure_visit(browser, app, Path(folder), f"anomalies?{link}", is_ours=name == "ours")
                )
        browser.close()
    ours, empty_times = visits["ours"][1:], visits["empty"][1:]  # the first round reads from disk
    return [
        build_ratio(
            "first page : empty app", [times[1] for times in ours], [times[1] for times in empty_times], target=1.5
        ),
        build_ratio("second visitor : empty app", [times[2] for times in ours], [times[2] for times in empty_times]),
        build_ratio(
            "shared link to its chart : first page of the empty app",
            [times[3] for times in ours],
            [times[1] for times in empty_times],
            target=2.0,
        ),
        build_ratio("server start : empty app", [times[0] for times in ours], [times[0] for times in empty_times]),
        build_figure("server start to /_stcore/health", [times[0] for times in ours], "s"),
        build_figure("server start to first heading", [times[0] + times[1] for times in ours], "s"),
    ]


def _measure_visit(
    browser: Browser, app: Path, folder: Path, link: str, *, is_ours: bool
) -> tuple[float, float, float, float]:
    """Return the seconds from start to health, to the first heading, to that of a second visitor, and of the link.

    The link is opened in our app only; it takes 0 s in the other.
    """
    with run_server(app, folder) as (address, start_s):
        first_s, second_s = (_time_element(browser, address, "h1") for _ in range(2))
        link_s = 0.0
        if is_ours:
            time.sleep(PRELOAD_S)
            link_s = _time_element(browser, f"{address}/{link}", CHART)
        return start_s, first_s, second_s, link_s


def _time_element(browser: Browser, address: str, selector: str) -> float:
    """Return the seconds from GET until an element is visible, in a new browser context."""
    context = browser.new_context()
    page = context.new_page()
    began = time.perf_counter()
    page.goto(address, wait_until="commit")
    page.wait_for_selector(selector, timeout=1000 * START_TIMEOUT_S)
    seconds = time.perf_counter() - began
    context.close()
    return seconds


@contextmanager
def run_server(app: Path, folder: Path) -> Iterator[tuple[str, float]]:
    """Run a server for `app`; yield its URL, and the seconds until its health check succeeded."""
    port = _free_port()
    began = time.perf_counter()
    server = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "streamlit",
            "run",
            str(app),
            "--server.headless",
            "true",
            "--server.port",
            str(port),
            "--server.address",
            "127.0.0.1",
            "--browser.gatherUsageStats",
            "false",
            "--server.fileWatcherType",
            "none",
        ],
        cwd=app.parent,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "VIGIE_DATA_DIR": str(folder / "vigie"), "MLFLOW_TRACKING_URI": ""},
    )
    try:
        address = f"http://127.0.0.1:{port}"
        _wait_until_healthy(f"{address}/_stcore/health", server)
        yield address, time.perf_counter() - began
    finally:
        server.terminate()
        server.wait(20)


def _wait_until_healthy(address: str, server: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline and server.poll() is None:
        try:
            with urllib.request.urlopen(address, timeout=1):
                return
        except OSError:
            time.sleep(0.02)
    raise RuntimeError(f"the server did not start: {address}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
