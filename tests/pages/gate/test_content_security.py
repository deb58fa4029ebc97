"""The Content-Security-Policy: what it forbids, and that the pages work under it in a browser."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from core.actor import Actor
from core.data.samples import load_sample
from core.tasks.anomalies.run import detect
from core.tasks.anomalies.spec import DetectionSpec
from pages.components.streamlit_texts import list_scripts
from pages.gate.content_security import INDEX_FILE, INLINE_SCRIPT, build_policy, hash_scripts
from pages.navigation import SECTIONS
from tests.conftest import create_workspace, find_free_port, kill_process_tree
from tests.support.app_server import TIMEOUT_MS, open_browser_page, start_app
from tests.support.http_client import Visitor

ADDRESSES = [page.address for pages in SECTIONS.values() for page in pages if not page.is_account_page]
PROBE = """async () => {
  const read = (load) => new Promise((resolve) => { load(resolve); setTimeout(() => resolve("silence"), 3000); });
  window.probe = "silent";
  const script = document.createElement("script");
  script.textContent = "window.probe = 'ran'";
  document.body.append(script);
  const image = await read((resolve) => {
    const element = new Image();
    element.onload = () => resolve("loaded");
    element.onerror = () => resolve("refused");
    element.src = "http://localhost.evil.example/px.png";
  });
  const call = await fetch("http://127.0.0.1:1/").then(() => "sent", () => "refused");
  return { script: window.probe, image, call };
}"""


@pytest.mark.server
def test_every_answer_has_a_policy(tmp_path: Path) -> None:
    port = find_free_port()
    process = start_app(tmp_path, port)
    visitor = Visitor(f"http://127.0.0.1:{port}")
    try:
        for path in ("/", "/anomalies", "/_stcore/health", "/static/none.js", "/account/sign-in"):
            headers = visitor.send(path)[0].headers
            assert headers["Content-Security-Policy"] == build_policy(visitor.host)
            assert headers["X-Content-Type-Options"] == "nosniff"
        media = visitor.send("/media/none.svg")[0].headers["Content-Security-Policy"]
        assert "sandbox" in media
        assert "'self'" not in media
    finally:
        kill_process_tree(process)


def test_policy_names_no_other_site() -> None:
    policy = build_policy("vigie.example.org")
    sources = {source for directive in policy.split("; ") for source in directive.split(" ")[1:]}
    names = {source for source in sources if not source.startswith("'")}
    assert names == {"data:", "blob:", "ws://vigie.example.org", "wss://vigie.example.org"}
    assert "unsafe-inline" not in policy.partition("script-src")[2].partition(";")[0]


def test_policy_allows_the_scripts_of_the_app() -> None:
    scripts = [*list_scripts(), *INLINE_SCRIPT.findall(INDEX_FILE.read_text(encoding="utf-8"))]
    assert len(scripts) > len(list_scripts())
    assert all(source in build_policy("a") for source in hash_scripts(scripts))
    assert hash_scripts(["alert(1)"])[0] not in build_policy("a")


@pytest.fixture(scope="module")
def query(data_folder: Path, empty_store: Path) -> str:
    """The address of a result, made before the app starts."""
    workspace = create_workspace(data_folder, empty_store)
    dataset = load_sample("gas_daily")
    digest = workspace.datasets.save(dataset)
    run = detect(DetectionSpec(), dataset, workspace=workspace, actor=Actor("alice", "tests"))[1].id
    return f"?dataset={digest}&run={run}"


@pytest.mark.browser
@pytest.mark.filterwarnings("ignore::ResourceWarning")  # Playwright does not close the socket of its event loop
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("locale", ["en-GB", "fr-FR"])
def test_pages_work_under_the_policy(query: str, browser: Browser, app_url: str, locale: str) -> None:
    page = open_browser_page(browser, locale)
    refusals: list[str] = []
    page.on("console", lambda message: refusals.append(message.text) if "Security Policy" in message.text else None)
    for address in ADDRESSES:
        page.goto(f"{app_url}/{address}{query if address == 'anomalies' else query.partition('&')[0]}")
        expect(page.get_by_role("heading", level=1).first).to_be_visible(timeout=TIMEOUT_MS)
        expect(page.get_by_test_id("stStatusWidget")).to_have_count(0, timeout=TIMEOUT_MS)
        if address == "anomalies":
            expect(page.locator(".js-plotly-plot .main-svg").first).to_be_visible(timeout=TIMEOUT_MS)
            expect(page.get_by_test_id("stDataFrame").locator("visible=true").first).to_be_visible(timeout=TIMEOUT_MS)
    assert not refusals
    check_translation(page, app_url, "Choisir" if locale == "fr-FR" else "Upload")
    assert page.evaluate(PROBE) == {"script": "silent", "image": "refused", "call": "refused"}
    page.context.close()


def check_translation(page: Page, app_url: str, word: str) -> None:
    """Check that the script of the app runs: it translates the texts of Streamlit's upload field."""
    page.goto(f"{app_url}/data")
    expect(page.get_by_test_id("stFileUploaderDropzone").first).to_contain_text(word, timeout=TIMEOUT_MS)
