"""Sign-in and sign-out in headless Chromium: password, setup token, identity provider, sign-out everywhere."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from core.accounts.service import Accounts
from core.storage.events.log import Events
from tests.conftest import answers, free_port, stop
from tests.test_browser import PATIENCE, browser, started, visitor
from tests.test_sign_in import PASSWORD, printed_token

__all__ = ["browser"]  # a fixture

pytestmark = [
    pytest.mark.browser,
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # Playwright does not close the socket of its event loop
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(scope="module")
def accounts(tmp_path_factory: pytest.TempPathFactory) -> Accounts:
    found = Accounts("", tmp_path_factory.mktemp("data"))
    for name, role in (("ana", "analyst"), ("otto", "operator"), ("ada", "administrator")):
        found.add_user(name, PASSWORD, [role])
    return found


@pytest.fixture(scope="module")
def url(accounts: Accounts) -> Iterator[str]:
    port = free_port()
    process = started(Path(str(accounts.database.url.database)).parent, port, VIGIE_REQUIRE_SIGN_IN="true")
    yield f"http://127.0.0.1:{port}"
    stop(process)


@contextmanager
def at(browser: Browser, address: str, **how: object) -> Iterator[Page]:
    """Open `address` in a separate browser context."""
    page = visitor(browser, **how)  # type: ignore[arg-type]
    expect.set_options(timeout=PATIENCE)
    page.goto(address)
    yield page
    page.context.close()


def sign_in(page: Page, name: str, password: str = PASSWORD) -> None:
    """Fill in and submit the form with the keyboard only."""
    page.get_by_label("Name", exact=True).press_sequentially(name)
    page.keyboard.press("Tab")
    page.keyboard.type(password)
    page.keyboard.press("Enter")


def signed_in(page: Page, name: str) -> None:
    expect(page.locator(".st-key-who")).to_contain_text(name)


def asked_to_sign_in(page: Page) -> None:
    expect(page.get_by_label("Password", exact=True)).to_be_visible()
    expect(page.get_by_test_id("stSidebarNavLink")).to_have_count(0)


def said(page: Page) -> str:
    expect(page.get_by_test_id("stAlert")).to_be_visible()
    return page.get_by_test_id("stAlert").inner_text()


def test_in_on_and_out(browser: Browser, url: str) -> None:
    """A deep link leads to the form and then to its page; the session lasts until the sign-out."""
    with at(browser, f"{url}/anomalies") as page:
        asked_to_sign_in(page)
        assert page.locator("input[type=file]").count() == 0
        sign_in(page, "ana")
        signed_in(page, "ana")
        expect(page.get_by_role("heading", level=1)).to_have_text("Anomalies")
        page.reload()
        signed_in(page, "ana")
        page.get_by_test_id("stSidebarNavLink").filter(has_text="Your account").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Your account")
        expect(page.get_by_test_id("stSidebarNavLink").filter(has_text="Users")).to_have_count(0)
        assert "vigie_session" not in page.evaluate("document.cookie")
        page.get_by_role("button", name="Sign out", exact=True).click()
        asked_to_sign_in(page)
        page.goto(f"{url}/account")
        asked_to_sign_in(page)


def test_a_page_of_another_role_is_refused(browser: Browser, url: str) -> None:
    with at(browser, f"{url}/health") as page:
        sign_in(page, "ana")
        expect(page.get_by_role("heading", level=1)).to_have_text("No access")
        assert "operator, administrator" in said(page)
        page.get_by_role("link", name="To the first page").click()
        expect(page.get_by_role("heading", level=1)).to_contain_text("What do you want to look at?")


def test_out_everywhere(browser: Browser, url: str) -> None:
    with at(browser, url) as one, at(browser, f"{url}/clusters") as other:
        for page in (one, other):
            sign_in(page, "otto")
            signed_in(page, "otto")
        one.goto(f"{url}/account")
        one.get_by_role("button", name="Sign out everywhere").click()
        asked_to_sign_in(one)
        other.get_by_test_id("stSidebarNavLink").filter(has_text="Forecast").click()
        asked_to_sign_in(other)


def test_what_is_wrong_is_said(browser: Browser, url: str) -> None:
    with at(browser, f"{url}/forecast") as page:
        sign_in(page, "ana", "not-the-password")
        assert "name or the password is wrong" in said(page)
        assert "ana" not in page.url.split("/forecast")[1].split("note=")[0]
        sign_in(page, "ana")
        signed_in(page, "ana")
        assert page.url == f"{url}/forecast"


def test_too_many_attempts_are_said(browser: Browser, url: str) -> None:
    with at(browser, url) as page:
        for number in range(6):
            page.goto(url)
            sign_in(page, "ana-who-forgot", f"attempt-{number}")
            page.wait_for_url("**sign-in=*")
            text = said(page)
        assert "Too many attempts" in text


@pytest.mark.parametrize(("locale", "width"), [("en-GB", 1280), ("fr-FR", 420)])
def test_every_form_fits_the_screen(browser: Browser, url: str, locale: str, width: int) -> None:
    with at(browser, f"{url}/users", locale=locale, width=width) as page:
        page.locator("input[name=password]").wait_for()
        fits(page)
        page.locator("input[name=user]").fill("ada")
        page.locator("input[name=password]").fill(PASSWORD)
        page.locator(".vigie-form button").click()
        page.locator(".st-key-add-user, [data-testid=stForm]").first.wait_for()
        fits(page)
        page.goto(f"{url}/account")
        page.locator("[data-testid=stForm]").wait_for()
        fits(page)


def fits(page: Page) -> None:
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0


def test_the_first_administrator(browser: Browser, tmp_path: Path) -> None:
    """The first visitor of a new process opens a page by the name of its script."""
    port = free_port()
    process = started(tmp_path, port, VIGIE_REQUIRE_SIGN_IN="true")
    try:
        with at(browser, f"http://127.0.0.1:{port}/users") as page:
            token = printed_token(tmp_path)
            fill_in(page, token, "1234567890")
            assert "too easy to guess" in said(page)
            fill_in(page, token, PASSWORD)
            signed_in(page, "ada")
            expect(page.get_by_role("heading", level=1)).to_have_text("Users")
    finally:
        stop(process)


def fill_in(page: Page, token: str, password: str) -> None:
    for name, value in {"token": token, "user": "ada", "password": password, "again": password}.items():
        page.locator(f"input[name={name}]").fill(value)
    page.get_by_role("button", name="Make the first administrator").click()
    page.wait_for_load_state()


@pytest.mark.parametrize("address", ["load", "sign_in"])
def test_an_anonymous_deep_link_of_a_fresh_process(browser: Browser, tmp_path: Path, address: str) -> None:
    """The first visitor of a new process opens a script by its name; Streamlit must not serve the script itself."""
    Accounts("", tmp_path).add_user("ana", PASSWORD, ["analyst"])
    port = free_port()
    process = started(tmp_path, port, VIGIE_REQUIRE_SIGN_IN="true")
    try:
        with at(browser, f"http://127.0.0.1:{port}/{address}") as page:
            expect(page.get_by_text("Please sign in to go on.")).to_be_visible()
            assert page.locator("input[type=file]").count() == 0
            assert page.get_by_test_id("stSidebarNavLink").count() == 0
    finally:
        stop(process)


# ---- an identity provider -------------------------------------------------------------------------------------------


@pytest.fixture
def with_provider(tmp_path: Path) -> Iterator[str]:
    """Address of a server with an identity provider; alice@example.org already has a role."""
    accounts = Accounts("", tmp_path)
    accounts.add_user("ada", PASSWORD, ["administrator"])
    accounts.add_user("alice@example.org", None, ["operator"])
    port, provider_port = free_port(), free_port()
    secrets = tmp_path / "secrets.toml"
    secrets.write_text(
        f"""[auth]
redirect_uri = "http://127.0.0.1:{port}/oauth2callback"
cookie_secret = "only-for-the-tests-only-for-the-tests"
client_id = "vigie"
client_secret = "secret"
server_metadata_url = "http://127.0.0.1:{provider_port}/.well-known/openid-configuration"
"""
    )
    provider = subprocess.Popen(
        [str(Path(sys.executable).parent / "oidc-provider-mock"), "--port", str(provider_port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    answers(f"http://127.0.0.1:{provider_port}/.well-known/openid-configuration")
    process = started(tmp_path, port, f"--secrets.files={secrets}", VIGIE_REQUIRE_SIGN_IN="true")
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        stop(process)
        stop(provider)


def vouch(page: Page, subject: str) -> None:
    page.get_by_role("button", name="Sign in with your organisation").click()
    page.locator("input[name=sub]").fill(subject)
    page.get_by_role("button", name="Authorize").click()


@pytest.mark.server
def test_an_identity_provider_says_who_and_our_accounts_say_what(
    browser: Browser, with_provider: str, tmp_path: Path
) -> None:
    accounts = Accounts("", tmp_path)
    with at(browser, f"{with_provider}/health") as page:
        vouch(page, "alice@example.org")
        signed_in(page, "alice@example.org")
        page.goto(f"{with_provider}/health")
        expect(page.get_by_role("heading", level=1)).to_have_text("Health")
        page.reload()
        signed_in(page, "alice@example.org")
        page.goto(f"{with_provider}/users")
        expect(page.get_by_role("heading", level=1)).to_have_text("No access")
        page.get_by_role("button", name="Sign out").click()
        page.get_by_role("button", name="End session").click()  # a page of the provider
        asked_to_sign_in(page)
    with at(browser, with_provider) as page:
        vouch(page, "new@example.org")
        expect(page.get_by_text("An administrator has to give you a role.")).to_be_visible()
        signed_in(page, "new@example.org")
        expect(page.get_by_test_id("stSidebarNavLink")).to_have_count(0)
        accounts.set_roles("new@example.org", ["analyst"])
        page.reload()
        expect(page.get_by_role("heading", level=1)).to_contain_text("What do you want to look at?")
        accounts.set_disabled("new@example.org", True)
        page.reload()
        assert "is disabled" in said(page)
    came = [(event.user, event.status) for event in Events(tmp_path / "events").read() if event.event == "sign_in"]
    assert came == [("alice@example.org", "completed"), ("new@example.org", "completed")], (
        "a refresh was recorded as a sign-in"
    )
