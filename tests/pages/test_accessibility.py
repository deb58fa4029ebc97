"""Every page in headless Chromium: analyses in English with light colours, all others in French with dark ones.

No serious finding of axe-core in either colours, nothing cut, all reached by keyboard with a visible focus, no request
to another host, nothing that the Content-Security-Policy refuses. A page is loaded once for all checks.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, ConsoleMessage, Page, expect

from core.actor import Actor
from core.data.samples import load_sample
from core.errors import DataError
from core.language import Language
from core.operations.feedback import FeedbackInput, submit_feedback
from core.runs.renaming import rename_run
from core.runs.tracked_run import track_run
from core.tasks.anomalies import spec as anomalies
from core.tasks.anomalies.run import detect
from core.tasks.clusters.run import cluster
from core.tasks.clusters.spec import ClusteringSpec
from core.tasks.forecast.run import forecast
from core.tasks.forecast.spec import ForecastSpec, list_forecasters
from core.tasks.intervals.run import judge_points
from core.tasks.intervals.spec import IntervalsSpec, list_series_forecasters
from core.tasks.sequences.run import train
from core.tasks.sequences.spec import SequenceSpec, list_detectors
from core.workspace import Workspace
from pages.navigation import SECTIONS
from tests.conftest import create_workspace
from tests.support.app_server import TIMEOUT_MS, open_browser_page, wait_until_drawn
from tests.support.keyboard import Walk, walk_with_tab
from tests.support.layout import list_cut_parts
from tests.support.scrolled_parts import list_scrolled_choices, list_scrolled_tables
from tests.support.watched_incidents import make_incident, store_incidents

pytestmark = [
    pytest.mark.browser,
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # Playwright does not close the socket of its event loop
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

ColorScheme = Literal["light", "dark"]
SERIOUS = {"serious", "critical"}
STREAMLIT_RULES = {"list": "[data-testid='stSidebarNav']", "listitem": "[data-testid='stSidebarNav']"}
"""Rule of axe → selector of the parts of Streamlit that break it: the list of pages has groups within the list."""
TITLES = {page.address: page.title for pages in SECTIONS.values() for page in pages if not page.is_account_page}
RESULTS = ("anomalies", "clusters", "forecast", "intervals", "sequences")
ANALYSES = (*RESULTS, "images")
PAGES = {
    **{address: f"{address}?dataset={{dataset}}" for address in TITLES},
    **{address: f"{address}?dataset={{{address}_data}}&run={{{address}}}" for address in RESULTS},
    "images": "images?dataset={anomalies_data}",
    "tracking": "tracking?runs={first},{second}&user=alice&sort=seconds",
    "monitoring": "monitoring?view=runs",
    "glossary": "glossary?term=wape",
}
"""Every page with what fills it: key → address; names in braces are those of `results`."""
VIEWS = {
    "no data": "data",
    "one run": "tracking?runs={first}",
    **{
        f"monitoring of {view}": f"monitoring?view={view}"
        for view in ("seconds", "load", "anomalies", "errors", "emissions")
    },
    "nowhere": "nowhere",
    "new watch": "watch?view=new&run={anomalies}",
    **{f"{view} of watches": f"watch?view={view}" for view in ("calendar", "watches", "replay", "recipients")},
}
"""Other contents of pages, which may be cut."""
LOCALES: dict[ColorScheme, str] = {"light": "en-GB", "dark": "fr-FR"}
OTHER_COLOURS: dict[ColorScheme, ColorScheme] = {"light": "dark", "dark": "light"}
ALICE = Actor("alice", "tests")
LONG_ACTOR = Actor("alice.of.the.department.of.networks@example.org", "anomalies")
LONG_FILE = "export_of_the_supervision_of_the_regional_gas_network_2022_2024_final_version.csv"
FINISH_FADES = """Promise.allSettled(document.getAnimations().filter(
  animation => Number.isFinite(animation.effect.getComputedTiming().endTime)
).map(animation => animation.finished)).then(() => null)"""
WIDE_PX, NARROW_PX = 1280, 420
CUT_PAGE = """<main data-testid=stMain style="width: 200px; font: 16px monospace">
<p style="overflow: hidden; white-space: nowrap">A text that is longer than its line</p>
<div role=radiogroup style="overflow: auto; white-space: nowrap">Choices that are longer than their line</div>
<div class=st-key-list><div data-testid=stDataFrame><div class=dvn-scroller style="overflow: auto">
<p style="width: 300px">A table</p></div></div></div>
<p>A text that breaks into lines as it should</p></main>"""


@pytest.fixture(scope="module")
def results(data_folder: Path, empty_store: Path) -> dict[str, str]:
    """Digests of datasets and ids of runs, made before the app starts: results of five tasks, and long names."""
    workspace = create_workspace(data_folder, empty_store)
    gas, servers, calls = map(load_sample, ("gas_daily", "server_kpis", "trunk_calls"))
    work: dict[str, Any] = {"workspace": workspace, "actor": ALICE}
    naive = IntervalsSpec(forecaster=list_series_forecasters()["seasonal-naive"](), value=("total", "ccr"))
    runs = {
        "anomalies": detect(anomalies.DetectionSpec(), gas, **work)[1],
        "clusters": cluster(ClusteringSpec(), gas, **work)[1],
        "forecast": forecast(ForecastSpec(list_forecasters()["ridge"]()), gas, **work)[1],
        "intervals": judge_points(naive, calls, **work)[1],
        "sequences": train(SequenceSpec(list_detectors()["moving-mean"]()), servers, **work)[1],
    }
    data = dict.fromkeys(RESULTS, gas) | {"intervals": calls, "sequences": servers}
    digests = {f"{name}_data": workspace.datasets.save(dataset) for name, dataset in data.items()}
    incidents = make_incident(), make_incident("paris", severity=1, kind="lasting change")
    store_incidents(workspace, *incidents, model=runs["anomalies"].id)
    store_incidents(workspace, name="watch-of-a-long-name-of-the-gas-network", model=runs["anomalies"].id)
    return make_long_names(workspace) | digests | {name: run.id for name, run in runs.items()}


def make_long_names(workspace: Workspace) -> dict[str, str]:
    """Store a dataset with a long name and two runs on it: one has a name and a verdict. A third run fails."""
    dataset = load_sample("tidy_series").replace(files=(LONG_FILE,))
    digest = workspace.datasets.save(dataset)
    forest = anomalies.list_detectors()["isolation-forest"](n_estimators=10)
    work: dict[str, Any] = {"workspace": workspace, "actor": LONG_ACTOR}
    first, second = (
        detect(anomalies.DetectionSpec(forest, baseline=baseline, dataset=digest), dataset, **work)[1].id
        for baseline in ("entity", "calendar")
    )
    rename_run(first, "winter " * 17, **work)
    submit_feedback(FeedbackInput("anomalies", first, rating=4, comment="x" * 300), **work)
    with pytest.raises(DataError), track_run("anomalies", "ECOD", {}, dataset, LONG_ACTOR, workspace):
        raise DataError("Too few rows in {file}.", file=LONG_FILE)
    return {"dataset": digest, "first": first, "second": second}


@dataclass
class Traffic:
    """Hosts that the pages of this module asked, and what the policy refused."""

    hosts: set[str] = field(default_factory=set)
    refusals: list[str] = field(default_factory=list)

    def listen(self, page: Page) -> None:
        """Note the requests and the messages of a page."""
        page.on("request", lambda request: self.hosts.add(urlsplit(request.url).hostname or ""))
        page.on("console", self._note_refusal)

    def _note_refusal(self, message: ConsoleMessage) -> None:
        if "Security Policy" in message.text:
            self.refusals.append(message.text)


@pytest.fixture(scope="module")
def traffic() -> Traffic:
    return Traffic()


@pytest.fixture(scope="module")
def readers(
    browser: Browser, results: dict[str, str], app_url: str, traffic: Traffic
) -> Iterator[dict[ColorScheme, Page]]:
    """Pages of the two readers by their colours; the results are made before the app starts."""
    pages = {}
    for colours, locale in LOCALES.items():
        pages[colours] = open_browser_page(browser, locale)
        pages[colours].emulate_media(color_scheme=colours)
        traffic.listen(pages[colours])
    yield pages
    for page in pages.values():
        page.context.close()


@pytest.fixture(scope="module")
def opened_page(
    request: pytest.FixtureRequest, readers: dict[ColorScheme, Page], app_url: str, results: dict[str, str]
) -> Page:
    """Page of the app with a result where it has one."""
    address = request.param.format(**results)
    page = readers["light" if urlsplit(address).path in ANALYSES else "dark"]
    page.goto(f"{app_url}/{address}")
    expect(page.get_by_role("heading", level=1).first).to_be_visible(timeout=TIMEOUT_MS)
    if "run=" in address and urlsplit(address).path in ANALYSES:
        expect(page.locator(".st-key-result-figures")).to_be_visible(timeout=TIMEOUT_MS)
        charts = page.locator(".js-plotly-plot .main-svg").locator("visible=true")
        expect(charts.first).to_be_visible(timeout=TIMEOUT_MS)
    wait_until_still(page, pause_ms=1500)
    return page


def visit(views: dict[str, str]) -> pytest.MarkDecorator:
    """Run a test on each of these views; all tests of a view run one after the other on the same loaded page."""
    ids = [key or "home" for key in views]
    return pytest.mark.parametrize("opened_page", views.values(), indirect=True, scope="module", ids=ids)


def wait_until_still(page: Page, pause_ms: int = 500) -> None:
    """Wait until the page is drawn and has stopped to fade."""
    wait_until_drawn(page, pause_ms)
    page.evaluate(FINISH_FADES)


@visit(PAGES)
def test_page_has_no_serious_finding_of_axe(opened_page: Page) -> None:
    """In the colours of its reader; in the other ones, which change colours alone, the contrast is checked."""
    colours = get_colours(opened_page)
    findings, background = list_findings(opened_page), read_background(opened_page)
    switch_colours(opened_page, OTHER_COLOURS[colours])
    assert read_background(opened_page) != background
    findings += list_findings(opened_page, runOnly=["color-contrast"])
    switch_colours(opened_page, colours)
    assert not findings, "\n".join(map(str, findings))


def list_findings(page: Page, **options: Any) -> list[tuple[Any, ...]]:
    """Return rule, place, code and reason of each serious finding of axe-core."""
    return [
        (violation["id"], node["target"], node["html"], node["failureSummary"].splitlines()[1].strip())
        for violation in Axe().run(page, options={"resultTypes": ["violations"], **options}).response["violations"]
        if violation["impact"] in SERIOUS or violation["id"] == "heading-order"
        for node in violation["nodes"]
        if not _is_of_streamlit(page, violation["id"], node["target"])
    ]


def get_colours(page: Page) -> ColorScheme:
    return "dark" if page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches") else "light"


def switch_colours(page: Page, colours: ColorScheme) -> None:
    """Let the browser prefer other colours, as in the evening, and wait until the page has them."""
    page.emulate_media(color_scheme=colours)
    wait_until_still(page)


def read_background(page: Page) -> str:
    return str(page.get_by_test_id("stApp").evaluate("part => getComputedStyle(part).backgroundColor"))


def _is_of_streamlit(page: Page, rule: str, target: list[str]) -> bool:
    """Tell whether an element is a part of Streamlit that is known to break a rule."""
    selector = STREAMLIT_RULES.get(rule)
    return selector is not None and bool(
        page.locator(target[0]).first.evaluate("(e, s) => e.closest(s) !== null", selector)
    )


@visit(PAGES)
def test_page_has_title_of_its_own(opened_page: Page) -> None:
    address, language = get_address(opened_page), get_language(opened_page)
    assert opened_page.title() == f"{Language(language).translate(TITLES[address])} · Vigie"
    assert opened_page.locator("html").get_attribute("lang") == language


def get_address(page: Page) -> str:
    return urlsplit(page.url).path.strip("/")


def get_language(page: Page) -> str:
    return str(page.evaluate("navigator.language"))[:2]


@visit(PAGES | VIEWS)
def test_page_cuts_nothing_off(opened_page: Page) -> None:
    """On a wide screen and on a narrow one, where tables of numbers may be scrolled."""
    is_analysis = get_address(opened_page) in ANALYSES
    parts = list_cut_parts(opened_page) + (list_scrolled_tables(opened_page) if is_analysis else [])
    opened_page.set_viewport_size({"width": NARROW_PX, "height": 900})
    opened_page.wait_for_timeout(1000)
    parts += list_cut_parts(opened_page) + (list_scrolled_choices(opened_page) if is_analysis else [])
    opened_page.set_viewport_size({"width": WIDE_PX, "height": 900})
    assert not parts, "\n".join(parts)


@visit(PAGES)
def test_keyboard_reaches_all_that_mouse_reaches(opened_page: Page) -> None:
    """The dark theme is walked with forced colours, which leave of a focus its outline only."""
    is_dark = get_colours(opened_page) == "dark"
    opened_page.evaluate("document.querySelectorAll('details:not([open]) > summary').forEach((part) => part.click())")
    wait_until_still(opened_page)
    opened_page.emulate_media(forced_colors="active" if is_dark else "none")
    walk = walk_with_tab(opened_page)
    opened_page.emulate_media(forced_colors="none")
    assert walk.stops > len(TITLES), "the menu and more"
    assert (walk.missed, walk.faint) == ([], [])


@pytest.mark.usefixtures("readers")
def test_pages_ask_no_other_host_and_keep_to_the_policy(traffic: Traffic) -> None:
    assert traffic.hosts, "all pages were opened before"
    assert traffic.hosts <= {"127.0.0.1", ""}
    assert traffic.refusals == []


def test_walk_tells_what_keys_do_not_reach(browser: Browser) -> None:
    page = open_browser_page(browser)
    page.set_content(
        """<button>plain</button> <button style="outline: none">faint</button>
        <div role="button">mouse only</div> <p style="cursor: pointer">pointer</p>"""
    )
    assert walk_with_tab(page) == Walk(2, ["div mouse only", "p pointer"], ["button faint"])
    page.context.close()


@pytest.fixture(scope="module")
def french_result(browser: Browser, app_url: str, results: dict[str, str]) -> Iterator[Page]:
    """Anomalies in an English browser whose reader has chosen French."""
    page = open_browser_page(browser)
    page.goto(f"{app_url}/{PAGES['anomalies'].format(**results)}")
    expect(page.locator(".st-key-ranked-table-incident tbody tr").first).to_contain_text(re.compile(r"\d{4}-\d\d-\d\d"))
    page.get_by_role("radio", name="Français").click()
    expect(page.locator("html")).to_have_attribute("lang", "fr")
    yield page
    page.context.close()


def test_numbers_of_tables_follow_language_of_page(french_result: Page) -> None:
    """Screen readers read the numbers and dates as they are shown."""
    row = french_result.locator(".st-key-ranked-table-incident tbody tr").first
    expect(row.locator("td").nth(2)).to_have_text(re.compile(r"^\d\d/\d\d/\d{4}$"))
    expect(row.locator("td").nth(5)).to_have_text(re.compile(r"^\d[\d\s]*\s%$"))


def test_calendar_has_months_of_language_of_page(french_result: Page) -> None:
    """Streamlit's calendars name months and days in the language that the browser tells."""
    assert french_result.evaluate(
        "new Date(2026, 10, 1).toLocaleDateString(navigator.language, { month: 'long' })"
    ) == ("novembre")


def test_row_of_table_is_chosen_by_keyboard(french_result: Page) -> None:
    """Arrow keys move within a table, Space chooses, and Tab leaves in both directions."""
    table = french_result.locator(".st-key-ranked-table-incident canvas[tabindex]")
    for key, place in (("ArrowDown", 0), ("ArrowDown", 1)):
        (table if place == 0 else table.locator("td:focus")).press(key)
        expect(table.locator(f"[id^='glide-cell-'][id$='-{place}']:focus")).to_have_count(1)
    french_result.keyboard.press("Space")
    french_result.wait_for_url("**incident=2**")
    for key in ("Tab", "Shift+Tab"):
        table.focus()
        french_result.keyboard.press(key)
        assert not table.evaluate("table => table.contains(document.activeElement)")


def test_popover_gives_focus_back(french_result: Page) -> None:
    button = french_result.locator("[class*='st-key-figure-table-'] button").first
    wait_until_drawn(french_result)
    button.press("Enter")
    expect(french_result.get_by_test_id("stPopoverBody").get_by_test_id("stDataFrame")).to_be_visible()
    wait_until_drawn(french_result)
    french_result.keyboard.press("Escape")
    expect(french_result.get_by_test_id("stPopoverBody")).to_have_count(0)
    expect(button).to_be_focused()


def test_cut_parts_of_page_are_found(browser: Browser) -> None:
    page = open_browser_page(browser)
    page.set_content(CUT_PAGE)
    assert [part.partition(":")[0] for part in list_cut_parts(page)] == ["is cut"]
    assert list_scrolled_choices(page) == ["choices: Choices that are longer than their line"]
    assert list_scrolled_tables(page) == ["table: st-key-list"]
    page.context.close()


def test_cut_parts_are_listed(browser: Browser) -> None:
    page = open_browser_page(browser, width=420)
    page.set_content(
        "<main data-testid='stMain'><p style='width:3em; overflow:hidden; white-space:nowrap'>a text that is cut</p>"
        "<div style='width:9em; overflow-x:auto; white-space:nowrap'>a text that scrolls sideways in its box</div>"
        "<button style='margin-left:400px'>far to the right</button><p>whole</p></main>"
    )
    faults = list_cut_parts(page)
    assert [fault.partition(":")[0] for fault in faults if "cut" in fault] == ["is cut"]
    assert any("scrolls sideways: " in fault for fault in faults)
    assert any(fault.startswith("leaves the window: button") for fault in faults)
    assert not any("whole" in fault or "in its box" in fault for fault in faults)
    page.context.close()
