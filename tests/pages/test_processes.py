"""Two app processes on one data folder behind the proxy of deploy/: sessions, limits and answers belong to both."""

import ssl
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPSConnection
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import pytest
from playwright.sync_api import Browser, expect
from streamlit.proto.BackMsg_pb2 import BackMsg
from websockets.sync.client import connect

from core.accounts.login_throttling import MAX_PER_PAIR
from core.accounts.service import Accounts
from core.data.dataset import Dataset
from core.storage.datasets import DatasetStore
from core.storage.events.log import EventLog
from core.storage.feedback import FeedbackStore
from core.storage.jobs import JobStore
from tests.conftest import find_free_port, kill_process_tree, wait_until_reachable
from tests.support.app_server import TIMEOUT_MS, open_browser_page, start_app
from tests.support.concurrency import wait_until
from tests.support.databases import create_database, open_accounts, start_postgres
from tests.support.http_client import PROCESS_COOKIE, Visitor, load_page
from tests.support.servers import S3_SECRET, S3_USER, make_proxy, make_s3_server
from tests.support.setup_token import read_setup_token
from tests.support.uploads import open_upload_page, upload

pytestmark = [
    pytest.mark.server,
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # Playwright does not close the socket of its event loop
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

PASSWORD = "orage-violet-tambour-7"
MEGABYTE = 1024 * 1024
PROCESSES = ("one", "two")
SETTINGS = {"VIGIE_REQUIRE_SIGN_IN": "true", "VIGIE_TRUSTED_PROXIES": "127.0.0.1", "VIGIE_MAX_UPLOADS_PER_USER_MB": "3"}


@dataclass
class Site:
    """The address of the proxy, the data folder, the accounts, the two processes by the name of their cookie."""

    url: str
    folder: Path
    accounts: Accounts
    processes: "dict[str, subprocess.Popen[bytes]]"
    ports: list[int]

    def sign_in(self, process: str, name: str = "ana") -> Visitor:
        """Return a user whom the proxy leads to this process."""
        visitor = Visitor(self.url, process=process)
        assert visitor.sign_in(name, PASSWORD).status == 303
        assert visitor.process == process
        return visitor


@contextmanager
def start_site(folder: Path, proxy_folder: Path, **settings: str) -> Iterator[Site]:
    """Start a site whose first administrator is created with the token of one process in a form to the other."""
    ports = {name: find_free_port() for name in PROCESSES}
    proxy = make_proxy(proxy_folder, *ports.values())
    with ThreadPoolExecutor() as pool:
        started = pool.map(lambda port: start_app(folder, port, **SETTINGS, **settings), ports.values())
        processes = dict(zip(PROCESSES, started, strict=True))
    try:
        proxy.start()
        with open_accounts(settings.get("DATABASE_URL", ""), folder) as accounts:
            form = {"token": read_setup_token(folder), "user": "ada", "next": "/"}
            form |= {"password": PASSWORD, "again": PASSWORD}
            for process in PROCESSES:
                wait_until_reachable(f"http://127.0.0.1:{ports[process]}/_stcore/health")
            assert "note=" in str(
                Visitor(proxy.url, process="one").send_form("/account/first", form | {"token": "x"}).headers
            )
            assert Visitor(proxy.url, process="two").send_form("/account/first", form).status == 303
            assert [user.name for user in accounts.list_users()] == ["ada"]
            accounts.add_user("ana", PASSWORD, ["analyst"])
            yield Site(proxy.url, folder, accounts, processes, list(ports.values()))
    finally:
        proxy.kill()
        for started_process in processes.values():
            kill_process_tree(started_process)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The site on SQLite files and without other services."""
    with start_site(tmp_path_factory.mktemp("data"), tmp_path_factory.mktemp("proxy")) as running:
        yield running


@pytest.fixture
def served_site(tmp_path: Path) -> Iterator[Site]:
    """The site with accounts and jobs on PostgreSQL, and feedback in S3."""
    storage = make_s3_server(tmp_path / "s3").start()
    (tmp_path / "data").mkdir()
    try:
        with (
            start_postgres() as server,
            create_database(server) as database,
            start_site(
                tmp_path / "data",
                tmp_path / "proxy",
                DATABASE_URL=database,
                S3_BUCKET_NAME="vigie",
                S3_ENDPOINT_URL=storage.url,
                AWS_ACCESS_KEY=S3_USER,
                AWS_SECRET_KEY=S3_SECRET,
            ) as running,
        ):
            yield running
    finally:
        storage.kill()


def test_proxy_leads_a_browser_to_one_process(site: Site) -> None:
    first, second = Visitor(site.url), Visitor(site.url)
    for visitor in (first, second):
        assert visitor.send("/_stcore/health")[0].status == 200
    assert first.process in PROCESSES
    process = first.process
    for _ in range(4):
        first.send("/_stcore/health")
        assert first.process == process


def test_session_and_sign_out_hold_in_both_processes(site: Site) -> None:
    visitor = site.sign_in("one")
    other = Visitor(site.url, visitor.cookie, process="two")
    with other.open_tab() as tab:
        assert "Sign in to continue" not in load_page(tab).text
        site.accounts.sign_out_everywhere("ana")
        for page in (load_page(tab), visitor.open_page()):
            assert "Sign in to continue" in page.text


def test_message_of_a_refused_sign_in_is_shown_by_the_other_process(site: Site) -> None:
    location = Visitor(site.url, process="one").send_form("/account/sign-in", {"user": "ana", "password": "x"})
    query = str(location.headers["Location"]).partition("?")[2]
    assert "name or the password is wrong" in Visitor(site.url, process="two").open_page(query=query).text


def test_sign_in_attempts_are_limited_per_visitor_in_all_processes(site: Site) -> None:
    """The address is that of the connection to the proxy, whatever the visitor claims."""
    for number in range(MAX_PER_PAIR):
        guesser = Visitor(site.url, address=f"203.0.113.{number}", source="127.0.0.2", process=PROCESSES[number % 2])
        assert "sign-in=refused" in guesser.sign_in("eve", "x").headers["Location"]
    for process in PROCESSES:
        guesser = Visitor(site.url, source="127.0.0.2", process=process)
        assert "sign-in=locked" in guesser.sign_in("eve", "x").headers["Location"]
    assert "sign-in=refused" in Visitor(site.url, source="127.0.0.3").sign_in("eve", "x").headers["Location"]
    assert {"127.0.0.2", "127.0.0.3"} <= {attempt.address for attempt in site.accounts.list_sign_ins()}


def test_uploads_are_limited_per_user_in_all_processes(site: Site) -> None:
    first, second = (site.sign_in(process) for process in PROCESSES)
    with first.open_tab() as tab, second.open_tab() as other_tab:
        session, other_session = open_upload_page(tab), open_upload_page(other_tab)
        assert upload(first, session, 2 * MEGABYTE) == 204
        assert upload(second, other_session, 2 * MEGABYTE) == 413
        assert upload(second, other_session, MEGABYTE // 2) == 204


def test_same_question_to_two_processes_is_one_job(site: Site, sample: Dataset) -> None:
    query = f"dataset={DatasetStore(site.folder / 'datasets').save(sample)}"
    barrier = threading.Barrier(len(PROCESSES))

    def ask(visitor: Visitor) -> None:
        with visitor.open_tab() as tab:
            request = BackMsg()
            widget = load_page(tab, "anomalies", query).find_widget("anomalies-ask")
            request.rerun_script.widget_states.widgets.add(id=widget).trigger_value = True
            barrier.wait()
            load_page(tab, "anomalies", query, request)

    with ThreadPoolExecutor() as pool:
        list(pool.map(ask, [site.sign_in(process) for process in PROCESSES]))
    jobs = JobStore(site.folder / "jobs")
    wait_until(lambda: not jobs.list_unfinished("ana"))
    events = EventLog(site.folder / "events").read_events()
    assert [event.event for event in events if event.user == "ana"].count("model_execution") == 1


def test_analysis_asked_in_one_process_is_read_and_judged_in_the_other(served_site: Site, sample: Dataset) -> None:
    query = f"dataset={DatasetStore(served_site.folder / 'datasets').save(sample)}"
    log = EventLog(served_site.folder / "events")
    with served_site.sign_in("one").open_tab() as tab:
        request = BackMsg()
        widget = load_page(tab, "anomalies", query).find_widget("anomalies-ask")
        request.rerun_script.widget_states.widgets.add(id=widget).trigger_value = True
        load_page(tab, "anomalies", query, request)
    wait_until(lambda: any(event.event == "model_execution" for event in log.read_events()))
    [run] = [event.run_id for event in log.read_events() if event.event == "model_execution"]
    with served_site.sign_in("two").open_tab() as tab:
        screen = load_page(tab, "anomalies", f"{query}&run={run}")
        request = BackMsg()
        widgets = request.rerun_script.widget_states.widgets
        widgets.add(id=screen.find_widget(r"verdict-choice-\w+")).string_array_value.data.append("✗ false alarm")
        widgets.add(id=screen.find_widget(r"verdict-comment-\w+")).string_value = "a strike"
        widgets.add(id=screen.find_widget(r"verdict-save-\w+")).trigger_value = True
        load_page(tab, "anomalies", f"{query}&run={run}", request)
        assert "Sent" in load_page(tab, "anomalies", f"{query}&run={run}").text
    [record] = FeedbackStore(served_site.folder / "feedback").read_records()
    assert (record.user, record.verdict, record.comment) == ("ana", "false_alarm", "a strike")
    assert record.run_id == run
    assert not {"accounts.db", "jobs.db"} & {path.name for path in served_site.folder.rglob("*.db")}


def write_certificate(folder: Path) -> tuple[Path, Path]:
    """Write a certificate for this machine that ends in an hour, alone and together with its key."""
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    words = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days"]
    words += ["1", "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key)]
    subprocess.run([*words, "-out", str(certificate)], check=True, capture_output=True)
    both = folder / "site.pem"
    both.write_bytes(certificate.read_bytes() + key.read_bytes())
    return certificate, both


def test_proxy_with_tls_passes_pages_and_marks_cookies_secure(site: Site, tmp_path: Path) -> None:
    """The same file of the proxy, with a certificate; the app learns that visitors come over TLS."""
    certificate, both = write_certificate(tmp_path)
    proxy = make_proxy(tmp_path / "proxy", *site.ports, certificate=both).start()
    try:
        context = ssl.create_default_context(cafile=certificate)
        form = urlencode({"user": "ana", "password": PASSWORD, "next": "/"}).encode()
        connection = HTTPSConnection(urlsplit(proxy.url).netloc, context=context, timeout=TIMEOUT_MS / 1000)
        headers = {"Origin": proxy.url, "Content-Type": "application/x-www-form-urlencoded"}
        connection.request("POST", "/account/sign-in", form, headers)
        response = connection.getresponse()
        cookies = response.headers.get_all("Set-Cookie") or []
        connection.close()
        assert response.status == 303
        assert {cookie.partition("=")[0] for cookie in cookies} >= {"vigie_session", PROCESS_COOKIE}
        assert all("; Secure" in cookie for cookie in cookies), cookies
        assert response.headers["Strict-Transport-Security"]
        pairs = "; ".join(cookie.partition(";")[0] for cookie in cookies)
        with connect(
            f"{proxy.url.replace('https', 'wss')}/_stcore/stream",
            ssl=context,
            subprotocols=["streamlit"],  # type: ignore[list-item]
            additional_headers={"Cookie": pairs, "Origin": proxy.url},
            max_size=None,
            compression=None,
        ) as tab:
            text = load_page(tab).text
            assert "Sign in to continue" not in text
            assert "ana" in text
    finally:
        proxy.kill()


@pytest.mark.browser
def test_analyst_goes_on_when_a_process_is_killed(site: Site, browser: Browser) -> None:
    page = open_browser_page(browser)
    page.goto(site.url)
    page.get_by_label("Name", exact=True).fill("ana")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.keyboard.press("Enter")
    page.locator(".st-key-sample-tidy_series button").click()
    page.get_by_role("link", name="Find anomalies").click()
    page.locator(".st-key-anomalies-ask button").click()
    figures = page.locator(".st-key-result-figures")
    expect(figures.get_by_test_id("stMetric")).to_have_count(5, timeout=TIMEOUT_MS)
    expect(figures).to_contain_text("Flagged rows")
    before = figures.inner_text()
    [cookie] = [cookie for cookie in page.context.cookies() if cookie["name"] == PROCESS_COOKIE]
    kill_process_tree(site.processes[cookie["value"]])
    page.reload()
    expect(figures).to_have_text(before, use_inner_text=True, timeout=TIMEOUT_MS)
    expect(page.locator(".st-key-who")).to_contain_text("ana")
    page.goto(f"{site.url}/account")
    page.get_by_role("button", name="Sign out everywhere").click()
    expect(page.get_by_label("Password", exact=True)).to_be_visible()
    names = [event.event for event in EventLog(site.folder / "events").read_events() if event.user == "ana"]
    assert {"sign_in", "model_execution", "sign_out"} <= set(names)
    page.context.close()
