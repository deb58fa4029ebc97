"""Sign-in and sign-out in headless Chromium: password, setup token, identity provider, sign-out everywhere."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from core.accounts.service import Accounts
from core.storage.events.log import EventLog
from tests.conftest import find_free_port, kill_process_tree, wait_until_reachable
from tests.pages.account.test_sign_in import PASSWORD
from tests.support.app_server import TIMEOUT_MS, open_browser_page, start_app
from tests.support.layout import list_cut_parts
from tests.support.setup_token import read_setup_token

pytestmark = [
    pytest.mark.browser,
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # Playwright does not close the socket of its event loop
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(scope="module")
def accounts(tmp_path_factory: pytest.TempPathFactory) -> Accounts:
    service = Accounts("", tmp_path_factory.mktemp("data"))
    for name, role in (("ana", "analyst"), ("otto", "operator"), ("ada", "administrator")):
        service.add_user(name, PASSWORD, [role])
    return service


@pytest.fixture(scope="module")
def url(accounts: Accounts) -> Iterator[str]:
    port = find_free_port()
    process = start_app(Path(str(accounts.database.url.database)).parent, port, VIGIE_REQUIRE_SIGN_IN="true")
    yield f"http://127.0.0.1:{port}"
    kill_process_tree(process)


@contextmanager
def open_url(browser: Browser, address: str, **options: object) -> Iterator[Page]:
    """Open `address` in a separate browser context."""
    page = open_browser_page(browser, **options)  # type: ignore[arg-type]
    expect.set_options(timeout=TIMEOUT_MS)
    page.goto(address)
    yield page
    page.context.close()


def sign_in(page: Page, name: str, password: str = PASSWORD) -> None:
    """Fill in and submit the form with the keyboard only."""
    page.get_by_label("Name", exact=True).press_sequentially(name)
    page.keyboard.press("Tab")
    page.keyboard.type(password)
    page.keyboard.press("Enter")


def expect_signed_in(page: Page, name: str) -> None:
    expect(page.locator(".st-key-who")).to_contain_text(name)


def expect_sign_in_form(page: Page) -> None:
    expect(page.get_by_label("Password", exact=True)).to_be_visible()
    expect(page.get_by_test_id("stSidebarNavLink")).to_have_count(0)


def read_alert(page: Page) -> str:
    expect(page.get_by_test_id("stAlert")).to_be_visible()
    return page.get_by_test_id("stAlert").inner_text()


def test_sign_in_and_out_in_browser(browser: Browser, url: str) -> None:
    """A deep link leads to the form and then to its page; the session lasts until the sign-out."""
    with open_url(browser, f"{url}/anomalies") as page:
        expect_sign_in_form(page)
        assert page.locator("input[type=file]").count() == 0
        sign_in(page, "ana")
        expect_signed_in(page, "ana")
        expect(page.get_by_role("heading", level=1)).to_have_text("Anomalies")
        page.reload()
        expect_signed_in(page, "ana")
        page.get_by_test_id("stSidebarNavLink").filter(has_text="Your account").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Your account")
        expect(page.get_by_test_id("stSidebarNavLink").filter(has_text="Users")).to_have_count(0)
        assert "vigie_session" not in page.evaluate("document.cookie")
        page.get_by_role("button", name="Sign out", exact=True).click()
        expect_sign_in_form(page)
        page.goto(f"{url}/account")
        expect_sign_in_form(page)


def test_page_of_other_role_is_refused_in_browser(browser: Browser, url: str) -> None:
    with open_url(browser, f"{url}/health") as page:
        sign_in(page, "ana")
        expect(page.get_by_role("heading", level=1)).to_have_text("No access")
        assert "operator, administrator" in read_alert(page)
        page.get_by_role("link", name="Go to the home page").click()
        expect(page.get_by_role("heading", level=1)).to_contain_text("What is abnormal")


def test_sign_out_everywhere_in_browser(browser: Browser, url: str) -> None:
    with open_url(browser, url) as first_page, open_url(browser, f"{url}/clusters") as second_page:
        for page in (first_page, second_page):
            sign_in(page, "otto")
            expect_signed_in(page, "otto")
        first_page.goto(f"{url}/account")
        first_page.get_by_role("button", name="Sign out everywhere").click()
        expect_sign_in_form(first_page)
        second_page.get_by_test_id("stSidebarNavLink").filter(has_text="Forecast").click()
        expect_sign_in_form(second_page)


def test_sign_in_reports_wrong_password_in_browser(browser: Browser, url: str) -> None:
    with open_url(browser, f"{url}/forecast") as page:
        sign_in(page, "ana", "not-the-password")
        assert "name or the password is wrong" in read_alert(page)
        assert "ana" not in page.url.split("/forecast")[1].split("note=")[0]
        sign_in(page, "ana")
        expect_signed_in(page, "ana")
        assert page.url == f"{url}/forecast"


def test_sign_in_reports_rate_limit_in_browser(browser: Browser, url: str) -> None:
    with open_url(browser, url) as page:
        for number in range(6):
            page.goto(url)
            sign_in(page, "ana-who-forgot", f"attempt-{number}")
            page.wait_for_url("**sign-in=*")
            text = read_alert(page)
        assert "Too many attempts" in text


@pytest.mark.parametrize(("locale", "width"), [("en-GB", 1280), ("fr-FR", 420)])
def test_account_forms_fit_screen_in_browser(browser: Browser, url: str, locale: str, width: int) -> None:
    with open_url(browser, f"{url}/users", locale=locale, width=width) as page:
        page.locator("input[name=password]").wait_for()
        assert_fits_screen(page)
        page.locator("input[name=user]").fill("ada")
        page.locator("input[name=password]").fill(PASSWORD)
        page.locator(".vigie-form button").click()
        page.locator(".st-key-add-user, [data-testid=stForm]").first.wait_for()
        assert_fits_screen(page)
        page.goto(f"{url}/account")
        page.locator("[data-testid=stForm]").wait_for()
        assert_fits_screen(page)


def assert_fits_screen(page: Page) -> None:
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0


def test_first_administrator_is_created_in_browser(browser: Browser, tmp_path: Path) -> None:
    """The first visitor of a new process opens a page by the name of its script."""
    port = find_free_port()
    process = start_app(tmp_path, port, VIGIE_REQUIRE_SIGN_IN="true")
    try:
        with open_url(browser, f"http://127.0.0.1:{port}/users") as page:
            token = read_setup_token(tmp_path)
            submit_setup_form(page, token, "1234567890")
            assert "too easy to guess" in read_alert(page)
            submit_setup_form(page, token, PASSWORD)
            expect_signed_in(page, "ada")
            expect(page.get_by_role("heading", level=1)).to_have_text("Users")
    finally:
        kill_process_tree(process)


def submit_setup_form(page: Page, token: str, password: str) -> None:
    for name, value in {"token": token, "user": "ada", "password": password, "again": password}.items():
        page.locator(f"input[name={name}]").fill(value)
    page.get_by_role("button", name="Create the first administrator").click()
    page.wait_for_load_state()


@pytest.mark.parametrize("address", ["load", "sign_in"])
def test_anonymous_deep_link_shows_sign_in_in_browser(browser: Browser, tmp_path: Path, address: str) -> None:
    """The first visitor of a new process opens a script by its name; Streamlit must not serve the script itself."""
    Accounts("", tmp_path).add_user("ana", PASSWORD, ["analyst"])
    port = find_free_port()
    process = start_app(tmp_path, port, VIGIE_REQUIRE_SIGN_IN="true")
    try:
        with open_url(browser, f"http://127.0.0.1:{port}/{address}") as page:
            expect(page.get_by_text("Sign in to continue.")).to_be_visible()
            assert page.locator("input[type=file]").count() == 0
            assert page.get_by_test_id("stSidebarNavLink").count() == 0
    finally:
        kill_process_tree(process)


# ---- an identity provider -------------------------------------------------------------------------------------------


@pytest.fixture
def provider_app_url(tmp_path: Path) -> Iterator[str]:
    """Address of a server with an identity provider; alice@example.org already has a role."""
    accounts = Accounts("", tmp_path)
    accounts.add_user("ada", PASSWORD, ["administrator"])
    accounts.add_user("alice@example.org", None, ["operator"])
    port, provider_port = find_free_port(), find_free_port()
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
    wait_until_reachable(f"http://127.0.0.1:{provider_port}/.well-known/openid-configuration")
    process = start_app(tmp_path, port, f"--secrets.files={secrets}", VIGIE_REQUIRE_SIGN_IN="true")
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        kill_process_tree(process)
        kill_process_tree(provider)


def sign_in_with_provider(page: Page, subject: str) -> None:
    page.get_by_role("button", name="Sign in with your organisation").click()
    page.locator("input[name=sub]").fill(subject)
    page.get_by_role("button", name="Authorize").click()


@pytest.mark.server
def test_identity_provider_sign_in_uses_account_roles(browser: Browser, provider_app_url: str, tmp_path: Path) -> None:
    accounts = Accounts("", tmp_path)
    with open_url(browser, f"{provider_app_url}/health") as page:
        sign_in_with_provider(page, "alice@example.org")
        expect_signed_in(page, "alice@example.org")
        page.goto(f"{provider_app_url}/health")
        expect(page.get_by_role("heading", level=1)).to_have_text("Health")
        page.reload()
        expect_signed_in(page, "alice@example.org")
        page.goto(f"{provider_app_url}/users")
        expect(page.get_by_role("heading", level=1)).to_have_text("No access")
        page.get_by_role("button", name="Sign out").click()
        page.get_by_role("button", name="End session").click()  # a page of the provider
        expect_sign_in_form(page)
    with open_url(browser, provider_app_url) as page:
        sign_in_with_provider(page, "new@example.org")
        expect(page.get_by_text("You have no role yet. Ask an administrator for one.")).to_be_visible()
        expect_signed_in(page, "new@example.org")
        expect(page.get_by_test_id("stSidebarNavLink")).to_have_count(0)
        accounts.set_roles("new@example.org", ["analyst"])
        page.reload()
        expect(page.get_by_role("heading", level=1)).to_contain_text("What is abnormal")
        accounts.set_disabled("new@example.org", True)
        page.reload()
        assert "is disabled" in read_alert(page)
    sign_ins = [
        (event.user, event.status) for event in EventLog(tmp_path / "events").read_events() if event.event == "sign_in"
    ]
    assert sign_ins == [("alice@example.org", "completed"), ("new@example.org", "completed")], (
        "a refresh was recorded as a sign-in"
    )


@pytest.mark.parametrize(("locale", "width"), [("en-GB", 1280), ("fr-FR", 420)])
def test_account_pages_cut_nothing_off(browser: Browser, accounts: Accounts, url: str, locale: str, width: int) -> None:
    with open_url(browser, f"{url}/users", locale=locale, width=width) as page:
        form = page.locator(".vigie-form").first
        expect(form).to_be_visible()
        assert list_cut_parts(page) == []
        form.locator("input[name=user]").fill("ada")
        form.locator("input[name=password]").fill(PASSWORD)
        form.locator("button").click()
        for address, key in (("users", "edited"), ("account", "password-old")):
            page.goto(f"{url}/{address}")
            expect(page.locator(f".st-key-{key}")).to_be_visible()
            assert list_cut_parts(page) == []
