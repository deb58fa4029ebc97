"""Call records and intervals in headless Chromium: upload of raw records, faults of two weeks of calls, verdict."""

from pathlib import Path

import pandas as pd
import pytest
from playwright.sync_api import Browser, Page, expect

from core.data.call_records.simulator import CallSimulator
from tests.support.app_server import TIMEOUT_MS, check_every_tab, open_browser_page, wait_until_drawn

pytestmark = [
    pytest.mark.browser,
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # Playwright does not close the socket of its event loop
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def open_call_records(browser: Browser, app_url: str, locale: str = "en-GB", width: int = 1280) -> Page:
    page = open_browser_page(browser, locale, width)
    page.goto(f"{app_url}/call_records")
    expect(page.locator(".st-key-call_records-ask button")).to_be_enabled(timeout=TIMEOUT_MS)
    wait_until_drawn(page)
    return page


def test_browser_counts_uploaded_records_and_keeps_no_customer(
    browser: Browser, app_url: str, data_folder: Path, tmp_path: Path
) -> None:
    """Raw records become KPIs; neither the records nor the names in them stay in the data folder."""
    records = pd.concat(CallSimulator(trunks=2, days=2, calls_per_hour=40, seed=3).iter_records())
    path = tmp_path / "records.csv"
    records.to_csv(path, index=False)
    page = open_call_records(browser, app_url)
    page.locator(".st-key-calls-files input[type=file]").set_input_files(path)
    expect(page.locator(".st-key-calls-files")).to_contain_text("records.csv")
    wait_until_drawn(page)
    page.locator(".st-key-call_records-ask button").click()
    figures = page.locator(".st-key-call-totals, .st-key-result-figures").first
    expect(figures).to_contain_text(f"{len(records):,}", timeout=2 * TIMEOUT_MS)
    contents = b"".join(file.read_bytes() for file in data_folder.rglob("*") if file.is_file())
    assert b"Customer 1 Ltd" not in contents
    assert b"3314209" not in contents
    page.context.close()


@pytest.mark.parametrize(("locale", "width", "title"), [("en-GB", 1280, "Intervals"), ("fr-FR", 420, "Intervalles")])
def test_browser_finds_faults_of_two_weeks_of_calls(
    browser: Browser, app_url: str, locale: str, width: int, title: str
) -> None:
    """The sample leads to its worst fault in three clicks; tabs work, nothing scrolls sideways, a refresh shows it."""
    page = open_call_records(browser, app_url, locale, width)
    page.locator(".st-key-calls-sample button").click()
    expect(page.locator(".st-key-call-totals")).to_be_visible(timeout=TIMEOUT_MS)
    wait_until_drawn(page)
    page.goto(page.url.replace("/call_records", "/intervals"))
    expect(page.get_by_role("heading", level=1)).to_have_text(title)
    wait_until_drawn(page)
    page.locator(".st-key-intervals-ask button").click()
    event = page.locator(".st-key-interval-event")
    expect(event).to_contain_text("T003", timeout=3 * TIMEOUT_MS)
    expect(page.locator(".js-plotly-plot .main-svg").first).to_be_visible(timeout=TIMEOUT_MS)
    wait_until_drawn(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    text = event.inner_text()
    check_every_tab(page, 4)
    page.reload()
    expect(event).to_be_visible(timeout=TIMEOUT_MS)
    wait_until_drawn(page)
    page.get_by_role("tab").first.click()
    expect(event).to_have_text(text, timeout=TIMEOUT_MS, use_inner_text=True)
    page.context.close()
