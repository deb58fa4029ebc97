"""The Content-Security-Policy: what it forbids, and that the pages work under it in a browser."""

import pytest
from playwright.sync_api import Browser, expect

from pages.components.chart_script import INDEX_FILE
from pages.components.streamlit_texts import list_scripts
from pages.gate.content_security import INLINE_SCRIPT, build_policy, hash_scripts
from tests.support.app_server import TIMEOUT_MS, open_browser_page
from tests.support.http_client import Visitor

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
def test_every_answer_has_a_policy(app_url: str) -> None:
    visitor = Visitor(app_url)
    for path in ("/", "/anomalies", "/_stcore/health", "/static/none.js", "/account/sign-in"):
        headers = visitor.send(path)[0].headers
        assert headers["Content-Security-Policy"] == build_policy(visitor.host)
        assert headers["X-Content-Type-Options"] == "nosniff"
    media = visitor.send("/media/none.svg")[0].headers["Content-Security-Policy"]
    assert "sandbox" in media
    assert "'self'" not in media


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


@pytest.mark.browser
@pytest.mark.filterwarnings("ignore::ResourceWarning")  # Playwright does not close the socket of its event loop
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(("locale", "word"), [("en-GB", "Upload"), ("fr-FR", "Choisir")])
def test_browser_obeys_the_policy_and_runs_the_script_of_the_app(
    browser: Browser, app_url: str, locale: str, word: str
) -> None:
    """The script translates texts of Streamlit. That no page breaks the policy is seen in the walk of all pages."""
    page = open_browser_page(browser, locale)
    page.goto(f"{app_url}/data")
    expect(page.get_by_test_id("stFileUploaderDropzone").first).to_contain_text(word, timeout=TIMEOUT_MS)
    assert page.evaluate(PROBE) == {"script": "silent", "image": "refused", "call": "refused"}
    page.context.close()
