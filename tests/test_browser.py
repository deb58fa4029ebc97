"""The app in headless Chromium: sample, repair, anomalies, export, shared links, forecast, clusters, sequences."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from core.storage.events.log import Events
from tests.browser import ARGUMENTS, chromium
from tests.conftest import ROOT, answers, free_port, stop

pytestmark = [
    pytest.mark.browser,
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # Playwright does not close the socket of its event loop
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

PATIENCE = 60_000  # the first analysis of a server imports libraries


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = chromium()
    if path is None:
        pytest.skip("no Chromium on this machine; python -m tests.browser installs it")
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=path, args=list(ARGUMENTS))
        yield found
        found.close()


def started(folder: Path, port: int, *options: str, **settings: str) -> "subprocess.Popen[bytes]":
    """Start the app with `folder` as data folder and app.log there as its log; return when it is healthy."""
    command = [sys.executable, "-m", "streamlit", "run", str(ROOT / "app.py"), f"--server.port={port}"]
    environment = (
        os.environ | {"VIGIE_DATA_DIR": str(folder), "OMP_NUM_THREADS": "1", "MLFLOW_TRACKING_URI": ""} | settings
    )
    with (folder / "app.log").open("ab") as log:
        process = subprocess.Popen(
            [*command, "--server.address=127.0.0.1", "--server.headless=true", *options],
            cwd=ROOT,
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        answers(f"http://127.0.0.1:{port}/_stcore/health")
    except OSError:
        stop(process)
        raise
    return process


@pytest.fixture(scope="module")
def data_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def app(data_folder: Path) -> Iterator[str]:
    port = free_port()
    process = started(data_folder, port)
    yield f"http://127.0.0.1:{port}"
    stop(process)


def visitor(browser: Browser, locale: str = "en-GB", width: int = 1280) -> Page:
    context = browser.new_context(locale=locale, viewport={"width": width, "height": 900})
    context.set_default_timeout(PATIENCE)
    return context.new_page()


@pytest.fixture(scope="module")
def result(browser: Browser, app: str) -> Page:
    """Page with the anomalies of a sample whose incomplete rows were repaired."""
    page = visitor(browser)
    page.goto(app)
    page.locator(".st-key-sample-gas_daily button").click()
    expect(page.locator(".st-key-finding-incomplete_rows")).to_contain_text("6")
    page.locator(".st-key-repair-incomplete_rows input").click()
    page.get_by_role("option", name="Fill from the entity's usual day").click()
    page.locator(".st-key-make-repairs button").click()
    expect(page.locator(".st-key-recipe")).to_contain_text("Fill from the entity's usual day")
    page.get_by_role("link", name="Find anomalies").click()
    page.locator(".st-key-anomalies-ask button").click()
    page.locator(".st-key-result-figures").wait_for()
    return page


def figures(page: Page) -> str:
    """Return the text of the result's five figures once the page has finished drawing."""
    metrics = page.locator(".st-key-result-figures").get_by_test_id("stMetric")
    expect(metrics).to_have_count(5, timeout=PATIENCE)
    expect(page.locator(".st-key-anomalies-CSV")).to_be_visible(timeout=PATIENCE)  # the last element of the page
    expect(page.get_by_test_id("stStatusWidget")).to_have_count(0, timeout=PATIENCE)
    expect(metrics.first).to_contain_text("Anomalies")
    return page.locator(".st-key-result-figures").inner_text()


def test_the_result_is_shown(result: Page) -> None:
    result.locator(".js-plotly-plot .main-svg").first.wait_for()
    assert "Anomalies" in figures(result)
    assert "run=" in result.url
    expect(result.get_by_test_id("stDataFrame").first).to_be_visible()


def test_the_scores_are_exported(result: Page, tmp_path: Path) -> None:
    with result.expect_download() as download:
        result.locator(".st-key-anomalies-CSV button").click()
    download.value.save_as(tmp_path / "scores.csv")
    scores = pd.read_csv(tmp_path / "scores.csv")
    assert len(scores) > 2_900
    assert scores["anomaly"].sum() == 30
    assert {"entity", "time", "score", "severity", "causes"} <= set(scores.columns)


def test_a_refresh_and_a_colleague_see_the_same(result: Page, browser: Browser) -> None:
    before = figures(result)
    result.reload()
    assert figures(result) == before
    colleague = visitor(browser)
    colleague.goto(result.url)
    assert figures(colleague) == before
    colleague.context.close()


def test_a_double_click_is_one_run(result: Page, browser: Browser, data_folder: Path) -> None:
    page = visitor(browser)
    page.goto(result.url.split("&run=")[0])
    button = page.locator(".st-key-anomalies-ask button")
    button.wait_for()
    before = len(Events(data_folder / "events").read())
    button.click()
    page.wait_for_timeout(300)
    button.click(force=True)
    assert "30" in figures(page)
    page.wait_for_timeout(2000)
    events = Events(data_folder / "events").read()[before:]
    assert [event.event for event in events] == ["model_execution"], [
        (e.timestamp.isoformat(), e.response_time, e.status) for e in events
    ]
    page.context.close()


def test_french_on_a_narrow_screen(result: Page, browser: Browser) -> None:
    page = visitor(browser, locale="fr-FR", width=420)
    page.goto(result.url)
    assert "Entités concernées" in figures(page)
    overflow = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert overflow <= 0
    page.context.close()


def test_a_file_that_is_no_table_is_a_message(browser: Browser, app: str, tmp_path: Path) -> None:
    page = visitor(browser)
    page.goto(app)
    (tmp_path / "photo.csv").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 20)
    page.locator("input[type=file]").set_input_files(tmp_path / "photo.csv")
    page.locator(".st-key-load button").click()
    expect(page.get_by_test_id("stAlert").first).to_contain_text("photo.csv")
    expect(page.get_by_test_id("stException")).to_have_count(0)
    page.context.close()


def test_columns_are_mapped_by_hand(browser: Browser, app: str, tmp_path: Path) -> None:
    page = visitor(browser)
    page.goto(app)
    rows = "\n".join(f"{2024 + day // 300},{day},{day % 9 + 0.5}" for day in range(100))
    (tmp_path / "odd.csv").write_text(f"year,number,flow\n{rows}\n")
    page.locator("input[type=file]").set_input_files(tmp_path / "odd.csv")
    page.get_by_text("Choose layout and columns myself").click()
    page.locator(".st-key-load-mapped button").click()
    page.locator(".st-key-dataset-figures").wait_for()
    expect(page.locator(".st-key-dataset-figures")).to_contain_text("100")
    page.context.close()


# ---- forecast and clusters ------------------------------------------------------------------------------------------


def dataset_of(result: Page) -> str:
    return result.url.split("dataset=")[1].split("&")[0]


def settled(page: Page) -> None:
    """Wait until the page has finished drawing."""
    expect(page.get_by_test_id("stStatusWidget")).to_have_count(0, timeout=PATIENCE)
    page.wait_for_timeout(1000)


def every_tab(page: Page, count: int) -> None:
    """Open every tab of a result and check that none shows an error."""
    tabs = page.get_by_role("tab")
    expect(tabs).to_have_count(count, timeout=PATIENCE)
    for number in range(count):
        tabs.nth(number).click()
        expect(page.get_by_test_id("stStatusWidget")).to_have_count(0, timeout=PATIENCE)
        expect(page.get_by_test_id("stException")).to_have_count(0)
        expect(page.get_by_test_id("stAlertContentError")).to_have_count(0)


@pytest.mark.parametrize(
    ("locale", "title", "run"), [("en-GB", "Forecast", "Run"), ("fr-FR", "Prévision", "Exécution")]
)
def test_a_forecast(result: Page, browser: Browser, app: str, locale: str, title: str, run: str) -> None:
    """A Ridge forecast with the sample's weather shows all tabs, and the same figures after a refresh."""
    page = visitor(browser, locale)
    page.goto(f"{app}/forecast?dataset={dataset_of(result)}")
    expect(page.get_by_role("heading", level=1)).to_contain_text(title)
    page.locator(".st-key-sample-weather button").click()
    expect(page.locator(".st-key-forget-drivers")).to_be_visible(timeout=PATIENCE)
    page.locator(".st-key-forecast-ask").scroll_into_view_if_needed()  # a list of options closes when the page scrolls
    settled(page)
    page.locator(".st-key-forecast-forecaster input").click()
    page.keyboard.type("Ridge")
    page.get_by_role("option", name="Ridge", exact=True).click()
    page.locator(".st-key-forecast-ask button").click()
    page.locator(".st-key-result-figures").wait_for(timeout=2 * PATIENCE)
    assert "drivers=" in page.url
    every_tab(page, 7)
    before = page.locator(".st-key-result-figures").inner_text()
    page.reload()
    expect(page.locator(".st-key-result-figures").get_by_test_id("stMetric")).to_have_count(6, timeout=PATIENCE)
    expect(page.locator(".st-key-forecast-CSV")).to_be_visible(timeout=PATIENCE)
    assert page.locator(".st-key-result-figures").inner_text() == before
    expect(page.get_by_text(f"{run} ").last).to_be_visible()
    page.context.close()


def test_a_cancelled_forecast(result: Page, browser: Browser, app: str) -> None:
    """*Cancel* stops the job and enables the form again."""
    page = visitor(browser)
    page.goto(f"{app}/forecast?dataset={dataset_of(result)}")
    page.locator(".st-key-forecast-ask button").click()
    page.locator(".st-key-cancel-work button").click()
    expect(page.locator(".st-key-cancel-work")).to_have_count(0, timeout=PATIENCE)
    expect(page.locator(".st-key-forecast-ask button")).to_be_enabled(timeout=PATIENCE)
    assert "run=" not in page.url
    page.context.close()


@pytest.mark.parametrize(("locale", "title"), [("en-GB", "Clusters"), ("fr-FR", "Groupes")])
def test_clusters(result: Page, browser: Browser, app: str, tmp_path: Path, locale: str, title: str) -> None:
    """The result shows all tabs, and the labels of the days can be downloaded."""
    page = visitor(browser, locale)
    page.goto(f"{app}/clusters?dataset={dataset_of(result)}")
    expect(page.get_by_role("heading", level=1)).to_contain_text(title)
    page.locator(".st-key-clusters-ask button").click()
    page.locator(".st-key-result-figures").wait_for(timeout=PATIENCE)
    every_tab(page, page.get_by_role("tab").count())
    with page.expect_download() as download:
        page.locator(".st-key-clusters-CSV button").click()
    download.value.save_as(tmp_path / "clusters.csv")
    labels = pd.read_csv(tmp_path / "clusters.csv")
    assert len(labels) > 2_900
    assert labels["cluster"].nunique() == 4
    page.context.close()


# ---- sequences ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server_dataset(browser: Browser, app: str) -> str:
    """Digest of the server sample, opened on the first page."""
    page = visitor(browser)
    page.goto(app)
    page.locator(".st-key-sample-server_kpis button").click()
    page.locator(".st-key-dataset-figures").wait_for()
    found = dataset_of(page)
    page.context.close()
    return found


def sequence_figures(page: Page) -> str:
    """Return the text of the figures once the page has finished drawing."""
    expect(page.locator(".st-key-result-figures").get_by_test_id("stMetric")).to_have_count(5, timeout=2 * PATIENCE)
    expect(page.locator(".st-key-sequences-likelihoods")).to_be_visible(timeout=PATIENCE)
    settled(page)
    return page.locator(".st-key-result-figures").inner_text()


def axis(page: Page, key: str) -> tuple[int, int]:
    """Return the left and right edge of a figure's plot area, in pixels of the page."""
    box = page.locator(f".st-key-{key} .nsewdrag").first.bounding_box(timeout=PATIENCE)
    assert box is not None
    return round(box["x"]), round(box["x"] + box["width"])


@pytest.mark.parametrize(
    ("locale", "title", "events", "worst", "card"),
    [
        ("en-GB", "Sequences", "Events", "extreme", "Score card"),
        ("fr-FR", "Séquences", "Événements", "extrême", "Fiche de résultats"),
    ],
)
def test_sequences(
    browser: Browser, app: str, server_dataset: str, locale: str, title: str, events: str, worst: str, card: str
) -> None:
    """The result of a worker process shows events, an opened event and the score card, also after a refresh."""
    page = visitor(browser, locale)
    page.goto(f"{app}/sequences?dataset={server_dataset}")
    expect(page.get_by_role("heading", level=1)).to_contain_text(title)
    page.locator(".st-key-sequences-ask button").click()
    before = sequence_figures(page)
    assert events in before
    assert "run=" in page.url
    assert axis(page, "sequence-timeline") == axis(page, "sequence-shares")
    opened = page.get_by_role("heading", name="#1 ·")
    expect(opened).to_contain_text(worst)
    opened.scroll_into_view_if_needed()
    page.locator(".st-key-event-ranking button").last.click()
    expect(page.locator(".st-key-sequence-event .main-svg").first).to_be_visible(timeout=PATIENCE)
    every_tab(page, 3)
    page.get_by_role("tab", name=card).click()
    expect(page.get_by_text("VUS-PR").first).to_be_visible(timeout=PATIENCE)
    page.reload()
    assert sequence_figures(page) == before
    page.context.close()


def test_two_visitors_and_a_double_click_are_one_run(
    browser: Browser, app: str, server_dataset: str, data_folder: Path
) -> None:
    """Three identical requests at the same time start one job."""
    pages, before = [visitor(browser), visitor(browser)], len(Events(data_folder / "events").read())
    for page in pages:
        page.goto(f"{app}/sequences?dataset={server_dataset}")
        page.locator(".st-key-sequences-scaling").scroll_into_view_if_needed()
        settled(page)
        page.locator(".st-key-sequences-scaling input").click()
        page.get_by_role("option", name="median and quartiles").click()
        settled(page)
    pages[0].locator(".st-key-sequences-ask button").dblclick()
    pages[1].locator(".st-key-sequences-ask button").click()
    first, second = map(sequence_figures, pages)
    assert first == second
    assert pages[0].url == pages[1].url
    events = Events(data_folder / "events").read()[before:]
    assert [(event.event, event.status) for event in events] == [("model_execution", "completed")]
    for page in pages:
        page.context.close()


def test_a_cancelled_training(browser: Browser, app: str, server_dataset: str) -> None:
    """*Cancel* stops the training of the deep model and enables the form again."""
    page = visitor(browser)
    page.goto(f"{app}/sequences?dataset={server_dataset}")
    page.locator(".st-key-sequences-ask").scroll_into_view_if_needed()  # a list of options closes when the page scrolls
    settled(page)
    page.locator(".st-key-sequences-detector input").click()
    page.keyboard.type("SGmVRNN")
    page.get_by_role("option", name="SGmVRNN").click()
    settled(page)
    page.locator(".st-key-sequences-ask button").click()
    expect(page.get_by_text("Learning what is usual").first).to_be_visible(timeout=PATIENCE)
    page.locator(".st-key-cancel-work button").click()
    expect(page.get_by_text("Cancelled: nothing was kept")).to_be_visible(timeout=PATIENCE)
    expect(page.locator(".st-key-sequences-ask button")).to_be_enabled(timeout=PATIENCE)
    assert "run=" not in page.url
    page.context.close()
