"""Images in headless Chromium: sample digits, comparison, the fit of a cell, one model, the moving threshold."""

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from core.language import Language
from tests.support.app_server import TIMEOUT_MS, check_every_tab, open_browser_page, wait_until_drawn

pytestmark = [
    pytest.mark.browser,
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # Playwright does not close the socket of its event loop
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def choose_options(page: Page, key: str, *names: str) -> None:
    """Choose options of a multiselect by their names; "" for the first option, whatever its language."""
    for name in names:
        field = page.locator(f"[class*='st-key-{key}'] input").first
        field.scroll_into_view_if_needed()  # before the click: a list that is open closes when the page scrolls
        wait_until_drawn(page)
        field.click()
        page.keyboard.type(name)
        option = page.get_by_role("option", name=name, exact=True).first if name else page.get_by_role("option").nth(1)
        option.click()  # option 0 of an unfiltered list chooses all
        page.keyboard.press("Escape")
        wait_until_drawn(page)


def remove_options(page: Page, key: str) -> None:
    """Remove all options of a multiselect."""
    names = ("Clear all", Language("fr").translate("Clear all"))
    button = page.locator(", ".join(f".st-key-{key} button[aria-label='{name}']" for name in names))
    button.scroll_into_view_if_needed()
    wait_until_drawn(page)
    button.click()
    expect(page.locator(f".st-key-{key} [data-tag]")).to_have_count(0, timeout=TIMEOUT_MS)
    wait_until_drawn(page)


def read_sensitivity(page: Page) -> Locator:
    return page.locator(".st-key-threshold-figures").get_by_test_id("stMetricValue").first


@pytest.mark.parametrize(("locale", "width"), [("en-GB", 1280), ("fr-FR", 420)])
def test_browser_compares_detectors_and_moves_the_threshold_of_one(
    browser: Browser, app_url: str, locale: str, width: int
) -> None:
    """Digits are compared, a cell leads to its fit, its diagnosis has a threshold that moves, a refresh shows it."""
    page = open_browser_page(browser, locale, width)
    page.goto(f"{app_url}/images")
    page.locator(".st-key-images-sample-digits button").click()
    expect(page.locator(".st-key-images-ask button")).to_be_enabled(timeout=TIMEOUT_MS)
    wait_until_drawn(page)
    remove_options(page, "images-detectors")  # the line to beat stays
    choose_options(page, "images-detectors", "")
    choose_options(page, "images-classes", "0", "1")
    page.locator(".st-key-images-ask button").click()
    figures = page.locator(".st-key-result-figures")
    expect(figures.get_by_test_id("stMetricValue").nth(2)).to_have_text("8", timeout=3 * TIMEOUT_MS)
    expect(page.locator(".st-key-images-means .main-svg").first).to_be_visible(timeout=TIMEOUT_MS)
    assert page.evaluate("document.documentElement.scrollWidth") <= width

    page.locator(".st-key-images-fits").get_by_role("link").first.click()
    page.locator(".st-key-images-diagnose button").click()
    expect(figures.get_by_test_id("stMetric")).to_have_count(5, timeout=3 * TIMEOUT_MS)
    assert "from=" in page.url
    expect(page.locator(".st-key-images-roc .main-svg").first).to_be_visible(timeout=TIMEOUT_MS)
    wait_until_drawn(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    slider = page.get_by_role("slider").last
    slider.scroll_into_view_if_needed()
    slider.focus()
    page.keyboard.press("Home")  # no image is an alarm
    expect(read_sensitivity(page)).to_contain_text("0", timeout=TIMEOUT_MS)
    expect(read_sensitivity(page)).not_to_contain_text("10", timeout=TIMEOUT_MS)
    page.keyboard.press("End")  # every image is one
    expect(read_sensitivity(page)).to_contain_text("100", timeout=TIMEOUT_MS)
    check_every_tab(page, page.get_by_role("tab").count())
    before = figures.inner_text()
    page.reload()
    expect(figures.get_by_test_id("stMetric")).to_have_count(5, timeout=TIMEOUT_MS)
    wait_until_drawn(page)
    assert figures.inner_text() == before
    page.context.close()
