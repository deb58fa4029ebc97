"""Reading of a large file in headless Chromium: a refresh before and during the reading, and a second tab."""

import datetime
from pathlib import Path

import pytest
from openpyxl import Workbook
from playwright.sync_api import Browser, expect

from core.storage.events.log import EventLog
from tests.support.app_server import TIMEOUT_MS, open_browser_page

pytestmark = [
    pytest.mark.browser,
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # Playwright does not close the socket of its event loop
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
ROWS = 60_000  # read in some seconds: a workbook is slow for its size


@pytest.fixture(scope="module")
def workbook(tmp_path_factory: pytest.TempPathFactory) -> Path:
    book = Workbook(write_only=True)
    sheet = book.create_sheet("load")
    sheet.append(["time", "load", "flow"])
    start = datetime.datetime(2020, 1, 1)
    for hour in range(ROWS):
        sheet.append([start + datetime.timedelta(hours=hour), 100.5 + hour % 24, 7.25 + hour % 7])
    path = tmp_path_factory.mktemp("files") / "hours.xlsx"
    book.save(path)
    return path


def count_readings(data_folder: Path) -> int:
    """Count the files that were read so far; the tests of one worker share the app."""
    return sum(event.event == "data_load" for event in EventLog(data_folder / "events").read_events())


def test_browser_refresh_loses_neither_file_nor_reading(
    browser: Browser, app_url: str, data_folder: Path, workbook: Path
) -> None:
    earlier_readings = count_readings(data_folder)
    page = open_browser_page(browser)
    page.goto(f"{app_url}/data")
    page.locator("input[type=file]").set_input_files(workbook)
    page.locator(".st-key-load button").wait_for()
    page.wait_for_url("**files=*")
    page.reload()
    expect(page.get_by_text("hours.xlsx")).to_be_visible(timeout=TIMEOUT_MS)
    page.locator(".st-key-load button").click()
    progress = page.locator(".st-key-work").get_by_test_id("stProgress")
    expect(progress).to_be_visible(timeout=TIMEOUT_MS)
    second_tab = open_browser_page(browser)
    second_tab.goto(page.url)
    page.reload()
    for tab in (page, second_tab):
        expect(tab.locator(".st-key-dataset-figures")).to_contain_text(f"{ROWS:,}", timeout=3 * TIMEOUT_MS)
        tab.wait_for_url("**dataset=*")
        assert "work=" not in tab.url
        assert "files=" not in tab.url
    assert count_readings(data_folder) == earlier_readings + 1, "read once"
    second_tab.context.close()
    page.context.close()
