"""Make the pictures of the documents from samples, in headless Chromium: `python docs/pictures/make.py`.

It stores results of samples in a new data folder, starts the app on it, and photographs the pages in English.
"""

import io
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from PIL import Image  # noqa: E402
from playwright.sync_api import Browser, Page, expect, sync_playwright  # noqa: E402

from benchmarks.analyst_tasks import build_workspace  # noqa: E402
from core.actor import Actor  # noqa: E402
from core.data.samples import load_sample  # noqa: E402
from core.tasks.anomalies.run import detect  # noqa: E402
from core.tasks.anomalies.spec import DetectionSpec  # noqa: E402
from core.tasks.clusters.run import cluster  # noqa: E402
from core.tasks.clusters.spec import ClusteringSpec  # noqa: E402
from core.tasks.forecast.run import forecast  # noqa: E402
from core.tasks.forecast.spec import ForecastSpec, list_forecasters  # noqa: E402
from core.tasks.sequences.run import train  # noqa: E402
from core.tasks.sequences.spec import SequenceSpec, list_detectors  # noqa: E402
from tests.conftest import find_free_port, kill_process_tree  # noqa: E402
from tests.support.app_server import TIMEOUT_MS, start_app  # noqa: E402
from tests.support.chromium import CHROMIUM_ARGUMENTS, find_chromium  # noqa: E402

WIDTH_PX = 1280
SETTLING_MS = 4000
COLOURS = 256  # of a picture: it then has less than 200 KB
ANALYST = Actor("analyst", "pictures")
CHART = ".js-plotly-plot .main-svg"


@dataclass(frozen=True)
class Picture:
    """A picture of a page.

    address  page and query; {name} stands for the query of a result or of a dataset
    last     selector of an element that the page draws late
    prepare  what is done on the page first
    top      selector of the element at the upper edge; "" for the top of the page
    """

    address: str
    height_px: int
    last: str
    prepare: Callable[[Page], None] = lambda page: None
    top: str = ""


def give_verdict(page: Page) -> None:
    """Say that the chosen incident is a true alarm."""
    form = page.locator("[class*='st-key-verdict-']").first
    form.get_by_role("radio", name="true alarm").click()
    form.get_by_role("button", name="Save the verdict").click()
    expect(page.get_by_test_id("stAlertContentSuccess")).to_be_visible(timeout=TIMEOUT_MS)


PICTURES = {
    "anomalies": Picture("anomalies?{anomalies}", 1500, f".st-key-incident {CHART}"),
    "verdict": Picture("anomalies?{anomalies}", 1500, f".st-key-incident {CHART}", give_verdict, ".st-key-incident"),
    "clusters": Picture("clusters?{clusters}", 1200, f".st-key-profiles {CHART}"),
    "forecast": Picture("forecast?{forecast}", 1060, f".st-key-ahead {CHART}"),
    "sequences": Picture("sequences?{sequences}", 1400, f".st-key-sequence-event {CHART}"),
    "tracking": Picture("tracking?runs={two_runs}", 1300, CHART),
    "doctor": Picture("data?{data}", 1300, f"[class*=st-key-place-] {CHART}", top="[class*=st-key-finding-]"),
}


def make_pictures() -> None:
    """Write every picture beside this file. Raises RuntimeError without Chromium."""
    path = find_chromium()
    if path is None:
        raise RuntimeError("no Chromium: `make test` installs it")
    with TemporaryDirectory(prefix="vigie-pictures-") as name, sync_playwright() as playwright:
        queries = store_results(Path(name))
        port = find_free_port()
        process = start_app(Path(name), port)
        browser = playwright.chromium.launch(executable_path=path, args=list(CHROMIUM_ARGUMENTS))
        try:
            for picture_name, picture in PICTURES.items():
                image = photograph(browser, f"http://127.0.0.1:{port}/{picture.address.format(**queries)}", picture)
                Path(__file__).with_name(f"{picture_name}.png").write_bytes(image)
        finally:
            browser.close()
            kill_process_tree(process)


def store_results(folder: Path) -> dict[str, str]:
    """Store results of samples in a data folder; return name → query of their pages."""
    work: dict[str, Any] = {"workspace": build_workspace(folder), "actor": ANALYST}
    gas, servers = load_sample("gas_daily"), load_sample("server_kpis")
    digest, server_digest = (work["workspace"].datasets.save(dataset) for dataset in (gas, servers))
    share = detect(DetectionSpec(contamination=0.02), gas, **work)[1]
    anomalies = detect(DetectionSpec(), gas, **work)[1]
    runs = {
        "anomalies": anomalies,
        "clusters": cluster(ClusteringSpec(), gas, **work)[1],
        "forecast": forecast(ForecastSpec(list_forecasters()["ridge"]()), gas, **work)[1],
    }
    sequences = train(SequenceSpec(list_detectors()["sub-pca"]()), servers, **work)[1]
    queries = {name: f"dataset={digest}&run={run.id}" for name, run in runs.items()}
    return queries | {
        "data": f"dataset={digest}",
        "sequences": f"dataset={server_digest}&run={sequences.id}",
        "two_runs": f"{anomalies.id},{share.id}",
    }


def photograph(browser: Browser, address: str, picture: Picture) -> bytes:
    """Return a PNG of a page with few colours."""
    context = browser.new_context(locale="en-GB", viewport={"width": WIDTH_PX, "height": picture.height_px})
    context.set_default_timeout(TIMEOUT_MS)
    page = context.new_page()
    page.goto(address)
    page.locator(picture.last).first.wait_for()
    _wait_until_drawn(page)
    picture.prepare(page)
    if picture.top:
        page.locator(picture.top).first.evaluate("element => element.scrollIntoView()")
    _wait_until_drawn(page)
    drawn = page.screenshot()
    context.close()
    buffer = io.BytesIO()
    image = Image.open(io.BytesIO(drawn)).convert("RGB")
    image.quantize(COLOURS, Image.Quantize.MAXCOVERAGE, kmeans=5, dither=Image.Dither.NONE).save(
        buffer, "PNG", optimize=True
    )
    return buffer.getvalue()


def _wait_until_drawn(page: Page) -> None:
    """Wait until the script of the page has ended, and its elements have replaced their placeholders and settled."""
    for name in ("stStatusWidget", "stSkeleton"):
        expect(page.get_by_test_id(name)).to_have_count(0, timeout=TIMEOUT_MS)
    page.wait_for_timeout(SETTLING_MS)


if __name__ == "__main__":
    make_pictures()
