"""The app in headless Chromium: sample, repair, anomalies, export, shared links, forecast, clusters, sequences."""

from pathlib import Path
from urllib.parse import unquote

import pandas as pd
import pytest
from playwright.sync_api import Browser, Page, expect

from core.language import Language
from core.storage.events.log import EventLog
from tests.support.app_server import TIMEOUT_MS, check_every_tab, open_browser_page, wait_until_drawn

pytestmark = [
    pytest.mark.browser,
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # Playwright does not close the socket of its event loop
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(scope="module")
def result_page(browser: Browser, app_url: str) -> Page:
    """Page with the anomalies of a sample whose incomplete rows were repaired."""
    page = open_browser_page(browser)
    page.goto(app_url)
    page.locator(".st-key-sample-gas_daily button").click()
    finding = page.locator(".st-key-finding-incomplete_rows")
    expect(finding).to_contain_text("6")
    finding.scroll_into_view_if_needed()  # before the click: a list that is open closes when the page scrolls
    expect(finding.locator(".js-plotly-plot .main-svg").first).to_be_visible(timeout=TIMEOUT_MS)
    page.locator(".st-key-repair-incomplete_rows input").scroll_into_view_if_needed()
    wait_until_drawn(page)
    page.locator(".st-key-repair-incomplete_rows input").click()
    page.get_by_role("option", name="Fill missing values from the usual day of the entity").click()
    page.locator(".st-key-make-repairs button").click()
    expect(page.locator(".st-key-recipe")).to_contain_text("Fill missing values from the usual day of the entity")
    page.get_by_role("link", name="Find anomalies").click()
    page.locator(".st-key-anomalies-ask button").click()
    page.locator(".st-key-result-figures").wait_for()
    return page


def read_figures(page: Page) -> str:
    """Return the text of the result's five figures once the page has finished drawing."""
    metrics = page.locator(".st-key-result-figures").get_by_test_id("stMetric")
    expect(metrics).to_have_count(5, timeout=TIMEOUT_MS)
    expect(page.locator(".st-key-anomalies-CSV")).to_be_visible(timeout=TIMEOUT_MS)  # the last element of the page
    wait_until_drawn(page, pause_ms=0)
    expect(metrics.first).to_contain_text("Incidents")
    return page.locator(".st-key-result-figures").inner_text()


def test_browser_shows_pictures_and_location_table_of_doctor(browser: Browser, app_url: str) -> None:
    """The pictures fit a narrow screen, and the table of places shows the reader's headings and dates."""
    page = open_browser_page(browser, locale="fr-FR", width=420)
    page.goto(app_url)
    page.locator(".st-key-sample-gas_daily button").click()
    pictures = page.locator("[class*='st-key-place-'] .js-plotly-plot")
    expect(pictures.nth(2)).to_be_visible(timeout=TIMEOUT_MS)
    wait_until_drawn(page)
    for number in range(pictures.count()):
        box = pictures.nth(number).bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 420
    expect(page.locator(".st-key-finding-isolated_spikes")).to_contain_text("25 janv. 2023")
    page.locator(".st-key-finding-isolated_spikes").get_by_role("button", name="Où ?").click()
    table = page.get_by_test_id("stPopoverBody").get_by_test_id("stDataFrame")
    expect(table).to_be_visible(timeout=TIMEOUT_MS)
    expect(table).to_contain_text("Entité")
    page.context.close()


@pytest.mark.parametrize(
    ("locale", "titles"),
    [
        ("en-GB", {"": "What is abnormal", "data": "Which data", "clusters": "Clusters", "nowhere": "does not exist"}),
        ("fr-FR", {"nowhere": "n’existe pas", "account": "n’existe pas"}),
    ],
)
def test_browser_opens_typed_addresses(browser: Browser, app_url: str, locale: str, titles: dict[str, str]) -> None:
    page = open_browser_page(browser, locale)
    for address, title in titles.items():
        page.goto(f"{app_url}/{address}")
        expect(page.get_by_role("heading", level=1)).to_contain_text(title)
        wait_until_drawn(page)
        expect(page.get_by_role("dialog")).to_have_count(0)
        assert page.url == f"{app_url}/{address}"
    page.context.close()


def test_browser_shows_anomaly_result(result_page: Page) -> None:
    result_page.locator(".js-plotly-plot .main-svg").first.wait_for()
    assert "Flagged rows" in read_figures(result_page)
    assert "run=" in result_page.url
    expect(result_page.locator(".st-key-ranked-table-incident").get_by_test_id("stDataFrame")).to_be_visible()


def test_browser_zooms_timeline_and_incident_together(result_page: Page) -> None:
    """Zooming the timeline zooms the detail below it, without a call of the server."""
    chart = result_page.locator(".st-key-incident .js-plotly-plot").first
    expect(chart).to_be_visible(timeout=TIMEOUT_MS)
    before = chart.evaluate("chart => chart._fullLayout.xaxis2.range")
    chart.scroll_into_view_if_needed()
    box = chart.locator(".xy .nsewdrag").bounding_box()
    assert box is not None
    result_page.mouse.move(box["x"] + 0.4 * box["width"], box["y"] + box["height"] / 2)
    result_page.mouse.down()
    result_page.mouse.move(box["x"] + 0.6 * box["width"], box["y"] + box["height"] / 2, steps=5)
    result_page.mouse.up()
    result_page.wait_for_timeout(1000)
    upper, lower = chart.evaluate("chart => [chart._fullLayout.xaxis.range, chart._fullLayout.xaxis2.range]")
    assert upper == lower
    narrow, wide = (pd.Timestamp(end) - pd.Timestamp(start) for start, end in (lower, before))
    assert narrow < 0.3 * wide


def test_browser_downloads_anomaly_scores(result_page: Page, tmp_path: Path) -> None:
    with result_page.expect_download() as download:
        result_page.locator(".st-key-anomalies-CSV button").click()
    download.value.save_as(tmp_path / "scores.csv")
    scores = pd.read_csv(tmp_path / "scores.csv")
    assert len(scores) > 2_900
    assert 20 < scores["anomaly"].sum() < 40
    assert {"entity", "time", "score", "severity", "causes"} <= set(scores.columns)


def test_browser_refresh_and_link_show_same_result(result_page: Page, browser: Browser) -> None:
    before = read_figures(result_page)
    result_page.reload()
    assert read_figures(result_page) == before
    colleague = open_browser_page(browser)
    colleague.goto(result_page.url)
    assert read_figures(colleague) == before
    colleague.context.close()


def test_browser_double_click_starts_one_run(result_page: Page, browser: Browser, data_folder: Path) -> None:
    page = open_browser_page(browser)
    page.goto(result_page.url.split("&run=")[0])
    button = page.locator(".st-key-anomalies-ask button")
    button.wait_for()
    before = len(EventLog(data_folder / "events").read_events())
    button.dblclick()
    page.wait_for_timeout(300)
    page.evaluate("document.querySelector('.st-key-anomalies-ask button')?.click()")  # gone where the page was quicker
    assert read_figures(page).split("\n")[:4] == read_figures(result_page).split("\n")[:4], "the same counts"
    page.wait_for_timeout(2000)
    events = EventLog(data_folder / "events").read_events()[before:]
    assert [event.event for event in events] == ["model_execution"], [
        (e.timestamp.isoformat(), e.response_time, e.status) for e in events
    ]
    page.context.close()


def test_browser_period_drawn_across_chart_moves_page(result_page: Page, browser: Browser) -> None:
    page = open_browser_page(browser)
    page.goto(result_page.url)
    chart = page.locator(".st-key-timeline .nsewdrag").first
    chart.scroll_into_view_if_needed()
    wait_until_drawn(page)
    box = chart.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 0.3 * box["width"], box["y"] + 0.4 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 0.6 * box["height"], steps=5)
    page.mouse.up()
    page.wait_for_url("**period=**")
    expect(page.locator(".st-key-time-range").get_by_role("radio", name="Custom")).to_be_checked()
    start, end = (pd.Timestamp(part) for part in unquote(page.url.split("period=")[1]).split(".."))
    assert start < end
    page.reload()
    expect(page.locator(".st-key-time-range").get_by_role("radio", name="Custom")).to_be_checked()
    page.context.close()


def test_browser_shows_french_on_narrow_screen(result_page: Page, browser: Browser, app_url: str) -> None:
    page = open_browser_page(browser, locale="fr-FR", width=420)
    page.goto(result_page.url)
    assert "Entités concernées" in read_figures(page)
    overflow = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert overflow <= 0
    cards = page.locator(".st-key-ranked-cards-incident")
    expect(page.locator(".st-key-ranked-table-incident")).to_be_hidden()
    cards.get_by_test_id("stRadioOption").nth(2).click()
    heading = page.locator("h2", has_text=cards.get_by_test_id("stRadioCaption").nth(2).inner_text())
    expect(heading).to_be_visible(timeout=TIMEOUT_MS)
    page.reload()
    expect(heading).to_be_visible(timeout=TIMEOUT_MS)
    assert "incident=3" in page.url
    page.goto(f"{app_url}/data")
    upload = page.get_by_test_id("stFileUploaderDropzone").first
    expect(upload).to_contain_text(Language("fr").translate("Upload"))
    expect(upload).to_contain_text(Language("fr").translate("$1 GB per file$2").replace("$1", "2").replace("$2", ""))
    page.context.close()


def test_browser_shows_error_for_image_file(browser: Browser, app_url: str, tmp_path: Path) -> None:
    page = open_browser_page(browser)
    page.goto(f"{app_url}/data")
    (tmp_path / "photo.csv").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 20)
    page.locator("input[type=file]").set_input_files(tmp_path / "photo.csv")
    page.locator(".st-key-load button").click()
    expect(page.get_by_test_id("stAlert").first).to_contain_text("photo.csv")
    expect(page.get_by_test_id("stException")).to_have_count(0)
    page.context.close()


def test_browser_maps_columns_by_hand(browser: Browser, app_url: str, tmp_path: Path) -> None:
    page = open_browser_page(browser)
    page.goto(f"{app_url}/data")
    rows = "\n".join(f"{2024 + day // 300},{day},{day % 9 + 0.5}" for day in range(100))
    (tmp_path / "odd.csv").write_text(f"year,number,flow\n{rows}\n")
    page.locator("input[type=file]").set_input_files(tmp_path / "odd.csv")
    page.get_by_text("Set layout and columns manually").click()
    page.locator(".st-key-load-mapped button").click()
    page.locator(".st-key-dataset-figures").wait_for()
    expect(page.locator(".st-key-dataset-figures")).to_contain_text("100")
    page.context.close()


# ---- forecast and clusters ------------------------------------------------------------------------------------------


def get_dataset_digest(page: Page) -> str:
    return page.url.split("dataset=")[1].split("&")[0]


@pytest.mark.parametrize(
    ("locale", "title", "run"), [("en-GB", "Forecast", "Run"), ("fr-FR", "Prévision", "Exécution")]
)
def test_browser_shows_forecast_after_refresh(
    result_page: Page, browser: Browser, app_url: str, locale: str, title: str, run: str
) -> None:
    """A Ridge forecast with the sample's weather shows all tabs, and the same figures after a refresh."""
    page = open_browser_page(browser, locale)
    page.goto(f"{app_url}/forecast?dataset={get_dataset_digest(result_page)}")
    expect(page.get_by_role("heading", level=1)).to_contain_text(title)
    page.locator(".st-key-sample-weather button").click()
    expect(page.locator(".st-key-forget-covariates")).to_be_visible(timeout=TIMEOUT_MS)
    wait_until_drawn(page)
    page.locator(".st-key-forecast-ask").scroll_into_view_if_needed()  # a list of options closes when the page scrolls
    wait_until_drawn(page)
    page.locator(".st-key-forecast-forecaster input").click()
    page.keyboard.type("Ridge")
    page.get_by_role("option", name="Ridge", exact=True).click()
    page.locator(".st-key-forecast-ask button").click()
    page.locator(".st-key-result-figures").wait_for(timeout=2 * TIMEOUT_MS)
    assert "covariates=" in page.url
    check_every_tab(page, 8)
    before = page.locator(".st-key-result-figures").inner_text()
    page.reload()
    expect(page.locator(".st-key-result-figures").get_by_test_id("stMetric")).to_have_count(6, timeout=TIMEOUT_MS)
    expect(page.locator(".st-key-forecast-CSV")).to_be_visible(timeout=TIMEOUT_MS)
    assert page.locator(".st-key-result-figures").inner_text() == before
    expect(page.get_by_text(f"{run} ").last).to_be_visible()
    page.context.close()


def test_browser_cancels_forecast(result_page: Page, browser: Browser, app_url: str) -> None:
    """*Cancel* stops the job and enables the form again."""
    page = open_browser_page(browser)
    page.goto(f"{app_url}/forecast?dataset={get_dataset_digest(result_page)}")
    page.locator(".st-key-forecast-ask button").click()
    page.locator(".st-key-cancel-work button").click()
    expect(page.locator(".st-key-cancel-work")).to_have_count(0, timeout=TIMEOUT_MS)
    expect(page.locator(".st-key-forecast-ask button")).to_be_enabled(timeout=TIMEOUT_MS)
    assert "run=" not in page.url
    page.context.close()


@pytest.mark.parametrize(("locale", "title", "delimiter"), [("en-GB", "Clusters", ","), ("fr-FR", "Groupes", ";")])
def test_browser_shows_and_downloads_clusters(
    result_page: Page, browser: Browser, app_url: str, tmp_path: Path, locale: str, title: str, delimiter: str
) -> None:
    """The result shows all tabs, and the labels of the days can be downloaded in the form of the reader's Excel."""
    page = open_browser_page(browser, locale)
    page.goto(f"{app_url}/clusters?dataset={get_dataset_digest(result_page)}")
    expect(page.get_by_role("heading", level=1)).to_contain_text(title)
    page.locator(".st-key-clusters-ask button").click()
    expect(page.locator(".st-key-clusters-CSV button")).to_be_visible(timeout=TIMEOUT_MS)  # below the tabs
    wait_until_drawn(page)
    check_every_tab(page, page.get_by_role("tab").count())
    with page.expect_download() as download:
        page.locator(".st-key-clusters-CSV button").click()
    download.value.save_as(tmp_path / "clusters.csv")
    labels = pd.read_csv(tmp_path / "clusters.csv", sep=delimiter)
    assert len(labels) > 2_900
    assert labels["cluster"].nunique() == 2
    page.context.close()


# ---- sequences ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server_digest(browser: Browser, app_url: str) -> str:
    """Digest of the server sample, opened on the first page."""
    page = open_browser_page(browser)
    page.goto(app_url)
    page.locator(".st-key-sample-server_kpis button").click()
    page.locator(".st-key-dataset-figures").wait_for()
    digest = get_dataset_digest(page)
    page.context.close()
    return digest


def read_sequence_figures(page: Page) -> str:
    """Return the text of the figures once the page has finished drawing."""
    expect(page.locator(".st-key-result-figures").get_by_test_id("stMetric")).to_have_count(5, timeout=2 * TIMEOUT_MS)
    expect(page.locator(".st-key-sequences-likelihoods")).to_be_visible(timeout=TIMEOUT_MS)
    wait_until_drawn(page)
    return page.locator(".st-key-result-figures").inner_text()


def measure_plot_edges(page: Page, key: str) -> tuple[int, int]:
    """Return the left and right edge of a figure's plot area, in pixels of the page."""
    box = page.locator(f".st-key-{key} .nsewdrag").first.bounding_box(timeout=TIMEOUT_MS)
    assert box is not None
    return round(box["x"]), round(box["x"] + box["width"])


@pytest.mark.parametrize(
    ("locale", "title", "events", "worst", "card"),
    [
        ("en-GB", "Sequences", "Events", "extreme", "Score card"),
        ("fr-FR", "Séquences", "Événements", "extrême", "Fiche de résultats"),
    ],
)
def test_browser_shows_sequences_after_refresh(
    browser: Browser, app_url: str, server_digest: str, locale: str, title: str, events: str, worst: str, card: str
) -> None:
    """The result of a worker process shows events, an opened event and the score card, also after a refresh."""
    page = open_browser_page(browser, locale)
    page.goto(f"{app_url}/sequences?dataset={server_digest}")
    expect(page.get_by_role("heading", level=1)).to_contain_text(title)
    page.locator(".st-key-sequences-ask button").click()
    before = read_sequence_figures(page)
    assert events in before
    assert "run=" in page.url
    assert measure_plot_edges(page, "sequence-timeline") == measure_plot_edges(page, "sequence-shares")
    event_heading = page.get_by_role("heading", name="#1 ·")
    expect(event_heading).to_contain_text(worst)
    event_heading.scroll_into_view_if_needed()
    expect(page.locator(".st-key-sequence-event .main-svg").first).to_be_visible(timeout=TIMEOUT_MS)
    check_every_tab(page, 3)
    page.get_by_role("tab", name=card).click()
    expect(page.get_by_text("VUS-PR").first).to_be_visible(timeout=TIMEOUT_MS)
    page.reload()
    assert read_sequence_figures(page) == before
    page.context.close()


def test_browser_identical_requests_start_one_run(
    browser: Browser, app_url: str, server_digest: str, data_folder: Path
) -> None:
    """Three identical requests at the same time start one job."""
    pages, before = (
        [open_browser_page(browser), open_browser_page(browser)],
        len(EventLog(data_folder / "events").read_events()),
    )
    for page in pages:
        page.goto(f"{app_url}/sequences?dataset={server_digest}")
        page.locator(".st-key-sequences-scaling").scroll_into_view_if_needed()
        wait_until_drawn(page)
        page.locator(".st-key-sequences-scaling input").click()
        page.get_by_role("option", name="median and quartiles").click()
        wait_until_drawn(page)
    pages[0].locator(".st-key-sequences-ask button").dblclick()
    pages[1].locator(".st-key-sequences-ask button").click()
    first, second = map(read_sequence_figures, pages)
    assert first == second
    assert pages[0].url == pages[1].url
    events = EventLog(data_folder / "events").read_events()[before:]
    assert [(event.event, event.status) for event in events] == [("model_execution", "completed")]
    for page in pages:
        page.context.close()


def test_browser_cancels_training(browser: Browser, app_url: str, server_digest: str) -> None:
    """A refresh shows the training that goes on, the home page leads back to it, and *Cancel* stops it."""
    page = open_browser_page(browser)
    page.goto(f"{app_url}/sequences?dataset={server_digest}")
    page.locator(".st-key-sequences-ask").scroll_into_view_if_needed()  # a list of options closes when the page scrolls
    wait_until_drawn(page)
    page.locator(".st-key-sequences-detector input").click()
    page.keyboard.type("SGmVRNN")
    page.get_by_role("option", name="SGmVRNN").click()
    wait_until_drawn(page)
    page.locator(".st-key-sequences-ask button").click()
    expect(page.get_by_text("Training the detector").first).to_be_visible(timeout=TIMEOUT_MS)
    page.reload()
    expect(page.get_by_text("Training the detector").first).to_be_visible(timeout=TIMEOUT_MS)
    page.get_by_role("link", name="Home").click()
    page.get_by_role("link", name="Sequences · sample_server_kpis.csv · running").click()
    expect(page.get_by_text("Training the detector").first).to_be_visible(timeout=TIMEOUT_MS)
    assert server_digest in page.url
    page.locator(".st-key-cancel-work button").click()
    expect(page.get_by_text("The job is cancelled")).to_be_visible(timeout=TIMEOUT_MS)
    expect(page.locator(".st-key-sequences-ask button")).to_be_enabled(timeout=TIMEOUT_MS)
    assert "run=" not in page.url
    page.context.close()
