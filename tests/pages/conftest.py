"""Fixtures of the tests that use a browser."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.conftest import find_free_port, kill_process_tree
from tests.support.app_server import start_app
from tests.support.chromium import CHROMIUM_ARGUMENTS, find_chromium


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = find_chromium()
    if path is None:
        pytest.skip("no Chromium on this machine; python -m tests.support.chromium installs it")
    with sync_playwright() as playwright:
        chromium_browser = playwright.chromium.launch(executable_path=path, args=list(CHROMIUM_ARGUMENTS))
        yield chromium_browser
        chromium_browser.close()


@pytest.fixture(scope="session")
def data_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data folder of the server that the tests in a browser share."""
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="session")
def app_url(data_folder: Path) -> Iterator[str]:
    """Address of that server: its first start and its first analysis take longer than most tests."""
    port = find_free_port()
    process = start_app(data_folder, port)
    yield f"http://127.0.0.1:{port}"
    kill_process_tree(process)
