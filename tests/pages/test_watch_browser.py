"""A watch in headless Chromium, with a real worker and mail server: from a result to an alarm that reaches someone."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest
from playwright.sync_api import Browser, Page, expect

from core.workspace import Workspace
from tests.conftest import find_free_port, kill_process_tree
from tests.support.app_server import TIMEOUT_MS, open_browser_page, start_app, wait_until_drawn
from tests.support.receivers import MailServer, serve_mail
from tests.support.watched_power import FIRST_WATCHED, make_rows, train_power_model, write_rows

pytestmark = [
    pytest.mark.browser,
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # Playwright does not close the socket of its event loop
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@dataclass(frozen=True)
class WatchedApp:
    """A running app with a result, the workspace of its data folder, and the server of its mails."""

    url: str
    run_id: str
    dataset: str
    workspace: Workspace
    mail: MailServer


@pytest.fixture(scope="module")
def watched_app(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Iterator[WatchedApp]:
    folder, port = tmp_path_factory.mktemp("watched"), find_free_port()
    workspace, run_id = train_power_model(folder, empty_store)
    [info] = workspace.datasets.list_recent()
    url = f"http://127.0.0.1:{port}"
    with serve_mail() as mail:
        settings = {"VIGIE_SMTP_URL": mail.url, "VIGIE_MAIL_FROM": "vigie@example.org", "VIGIE_PUBLIC_URL": url}
        process = start_app(workspace.folder, port, **settings)
        yield WatchedApp(url, run_id, info.digest, workspace, mail)
        kill_process_tree(process)


def write_faulty_rows(inbox: Path, name: str) -> None:
    """Write a day of hourly power, in which lyon uses far too much for four hours."""
    rows = make_rows(FIRST_WATCHED, 24, seed=5)
    hours = (rows["time"] - FIRST_WATCHED) / pd.Timedelta(hours=1)
    rows.loc[(rows["site"] == "lyon") & hours.between(10, 13), "power"] *= 1.8
    write_rows(rows, inbox / name)


def click_tab(page: Page, label: str) -> None:
    page.get_by_role("tab", name=label, exact=True).click()
    wait_until_drawn(page)


def wait_for_mails(app: WatchedApp, page: Page, count: int) -> None:
    """Wait until so many mails have arrived; the page lets the time pass, and draws meanwhile."""
    for _ in range(TIMEOUT_MS // 250):
        if len(app.mail.mails) >= count:
            return
        page.wait_for_timeout(250)
    pytest.fail(f"{len(app.mail.mails)} mails after {TIMEOUT_MS} ms")


def test_result_becomes_watch_whose_alarm_reaches_a_person(browser: Browser, watched_app: WatchedApp) -> None:
    """In English: recipient, test message, two clicks to a watch, incident by itself, mail, its link, resolution."""
    page = open_browser_page(browser)
    page.goto(f"{watched_app.url}/watch?view=recipients")
    page.get_by_role("textbox", name="Name").fill("on-call")
    page.get_by_role("textbox", name="Address").fill("oncall@example.org")
    page.get_by_role("button", name="Save the recipient").click()
    expect(page.locator(".st-key-recipient-try button")).to_be_visible()
    wait_until_drawn(page)
    page.locator(".st-key-recipient-try button").click()
    wait_for_mails(watched_app, page, 1)
    write_faulty_rows(watched_app.workspace.folder / "inbox", "first.csv")
    page.goto(f"{watched_app.url}/anomalies?dataset={watched_app.dataset}&run={watched_app.run_id}")
    page.get_by_role("link", name="Ask this again…").click()
    expect(page.locator(".st-key-watch-start button")).to_be_enabled()
    wait_until_drawn(page)
    page.locator("[class*='st-key-new-watch'][class*='recipients'] input").click()
    page.get_by_role("option", name="on-call").click()
    page.keyboard.press("Escape")
    wait_until_drawn(page)
    page.locator(".st-key-watch-start button").click()
    expect(page.locator(".st-key-watch")).to_contain_text("every hour")
    wait_until_drawn(page)
    click_tab(page, "Incidents")
    incident = page.locator(".st-key-incident")
    expect(incident).to_contain_text("lyon", timeout=2 * TIMEOUT_MS)  # without a click: the list renews itself
    wait_for_mails(watched_app, page, 2)
    mail = watched_app.mail.mails[-1]
    assert "lyon" in mail["subject"] + mail.get_body(("plain",)).get_content()  # type: ignore[union-attr]
    [link] = re.findall(r"http://\S+/watch\?incident=[0-9a-f]{32}", mail.get_body(("plain",)).get_content())  # type: ignore[union-attr]
    page.goto(link)
    expect(incident).to_contain_text("lyon")
    wait_until_drawn(page)
    page.locator(".st-key-incident-acknowledge button").dblclick()
    expect(incident).to_contain_text("Acknowledged by")
    wait_until_drawn(page)
    page.get_by_role("button", name="Resolve", exact=True).click()
    page.get_by_role("radio", name=re.compile("true alarm")).click()
    wait_until_drawn(page)
    page.locator(".st-key-incident-resolve button").click()
    expect(incident).to_contain_text("Verdict:")
    page.reload()
    expect(incident).to_contain_text("Verdict:")
    expect(page.get_by_test_id("stAlertContentError")).to_have_count(0)
    [stored] = [each for each in watched_app.workspace.watches.incidents.list_incidents() if each.entity == "lyon"]
    assert (stored.state, stored.verdict) == ("resolved", "true_alarm")
    page.context.close()


def test_watch_is_seen_in_french_on_narrow_screen(browser: Browser, watched_app: WatchedApp) -> None:
    """Every tab of the page shows its content, nothing scrolls sideways, and a watch is run and paused."""
    page = open_browser_page(browser, "fr-FR", 420)
    page.goto(f"{watched_app.url}/watch?view=new&run={watched_app.run_id}")
    expect(page.locator(".st-key-watch-start button")).to_be_enabled()
    wait_until_drawn(page)
    page.locator("[class*='st-key-new-watch'][class*='-name'] input").fill("nuit")
    page.keyboard.press("Enter")
    wait_until_drawn(page)
    page.locator(".st-key-watch-start button").click()
    expect(page.locator(".st-key-watch")).to_contain_text("nuit")
    expect(page.locator(".st-key-watch-ticks .main-svg").first).to_be_visible()  # after the first tick of the worker
    wait_until_drawn(page)
    page.locator(".st-key-watch-pause button").click()
    paused = page.locator(".st-key-watch-pause").get_by_text("play_circle")
    expect(paused).to_be_visible()
    wait_until_drawn(page)
    page.locator(".st-key-watch-run button").click()
    expect(page.locator(".st-key-watch-ticks")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 420
    tabs = page.get_by_role("tab")
    expect(tabs).to_have_count(6)
    for number in range(6):
        tabs.nth(number).click()
        wait_until_drawn(page)
        expect(page.get_by_test_id("stException")).to_have_count(0)
        expect(page.get_by_test_id("stAlertContentError")).to_have_count(0)
        assert page.evaluate("document.documentElement.scrollWidth") <= 420, number
    page.context.close()


def test_replay_is_computed_by_worker_and_moved_by_threshold(browser: Browser, watched_app: WatchedApp) -> None:
    page = open_browser_page(browser)
    page.goto(f"{watched_app.url}/watch?view=replay&run={watched_app.run_id}")
    expect(page.locator(".st-key-replay-ask button")).to_be_enabled()
    wait_until_drawn(page)
    page.locator(".st-key-replay-ask button").click()
    slider = page.get_by_role("slider")
    expect(slider).to_be_visible(timeout=2 * TIMEOUT_MS)
    figures = page.locator(".st-key-result-figures")
    expect(figures).to_be_visible()
    wait_until_drawn(page)
    before = figures.inner_text()
    slider.press("Home")
    expect(figures).not_to_have_text(before, use_inner_text=True)
    expect(page.locator(".js-plotly-plot .main-svg").first).to_be_visible()
    page.context.close()
