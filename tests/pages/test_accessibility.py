"""Every page in headless Chromium, light and dark: no serious finding of axe-core, and no request to another host."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from core.actor import Actor
from core.data.samples import load_sample
from core.tasks.anomalies.run import detect
from core.tasks.anomalies.spec import DetectionSpec
from core.tasks.clusters.run import cluster
from core.tasks.clusters.spec import ClusteringSpec
from core.tasks.forecast.run import forecast
from core.tasks.forecast.spec import ForecastSpec, list_forecasters
from pages.navigation import SECTIONS
from tests.conftest import create_workspace
from tests.support.app_server import TIMEOUT_MS, open_browser_page

pytestmark = [
    pytest.mark.browser,
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # Playwright does not close the socket of its event loop
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

SERIOUS = {"serious", "critical"}
STREAMLIT_RULES = {"list": "[data-testid='stSidebarNav']", "listitem": "[data-testid='stSidebarNav']"}
"""Rule of axe → selector of the parts of Streamlit that break it: the list of pages has groups within the list."""
ADDRESSES = [page.address for pages in SECTIONS.values() for page in pages if not page.is_account_page]
ALICE = Actor("alice", "tests")


@dataclass(frozen=True)
class Results:
    """Address of a dataset, and of the result of a page: page → query."""

    queries: dict[str, str]


@pytest.fixture(scope="module")
def results(data_folder: Path, empty_store: Path) -> Results:
    """Results of three tasks on a sample, made before the app starts."""
    workspace = create_workspace(data_folder, empty_store)
    dataset = load_sample("gas_daily")
    digest = workspace.datasets.save(dataset)
    work: dict[str, Any] = {"workspace": workspace, "actor": ALICE}
    runs = {
        "anomalies": detect(DetectionSpec(), dataset, **work)[1],
        "clusters": cluster(ClusteringSpec(), dataset, **work)[1],
        "forecast": forecast(ForecastSpec(list_forecasters()["ridge"]()), dataset, **work)[1],
    }
    queries = dict.fromkeys(ADDRESSES, f"?dataset={digest}")
    return Results(queries | {name: f"?dataset={digest}&run={run.id}" for name, run in runs.items()})


@pytest.fixture(scope="module")
def requests() -> set[str]:
    """Hosts that the pages of this module asked."""
    return set()


@pytest.fixture(scope="module", params=["light", "dark"])
def themed_page(
    request: pytest.FixtureRequest, browser: Browser, results: Results, app_url: str, requests: set[str]
) -> Iterator[Page]:
    page = open_browser_page(browser)
    page.emulate_media(color_scheme=request.param)
    page.on("request", lambda sent: requests.add(urlsplit(sent.url).hostname or ""))
    page.goto(app_url)
    yield page
    page.context.close()


@pytest.mark.parametrize("address", ADDRESSES, ids=lambda address: address or "home")
def test_page_has_no_serious_finding_of_axe(themed_page: Page, app_url: str, results: Results, address: str) -> None:
    themed_page.goto(f"{app_url}/{address}{results.queries.get(address, '')}")
    expect(themed_page.get_by_role("heading", level=1).first).to_be_visible(timeout=TIMEOUT_MS)
    expect(themed_page.get_by_test_id("stStatusWidget")).to_have_count(0, timeout=TIMEOUT_MS)
    themed_page.wait_for_timeout(1500)
    findings = [
        (violation["id"], node["target"], node["failureSummary"].splitlines()[1].strip())
        for violation in Axe().run(themed_page).response["violations"]
        if violation["impact"] in SERIOUS or violation["id"] == "heading-order"
        for node in violation["nodes"]
        if not _is_of_streamlit(themed_page, violation["id"], node["target"])
    ]
    assert not findings, "\n".join(map(str, findings))


def _is_of_streamlit(page: Page, rule: str, target: list[str]) -> bool:
    """Tell whether an element is a part of Streamlit that is known to break a rule."""
    selector = STREAMLIT_RULES.get(rule)
    return selector is not None and bool(
        page.locator(target[0]).first.evaluate("(e, s) => e.closest(s) !== null", selector)
    )


def test_pages_ask_no_other_host(themed_page: Page, requests: set[str]) -> None:
    assert requests <= {"127.0.0.1", ""}, "the last test of each theme: all pages were opened before"
