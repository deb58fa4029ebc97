"""Fixtures of the tests that use a browser."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

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
