"""Anomalies of the gas files, from the click to the figure in headless Chromium, compared with a bare fit.

Every repetition asks about other rows, in a new browser context that has read the form for a while. Two bare fits are
measured in turn with it: plain scikit-learn, and the model of the product with its held-out threshold, whose promise
about false alarms a plain fit does not give.
"""

import re
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from playwright.sync_api import Browser, sync_playwright

from benchmarks.analyst_tasks import build_workspace
from benchmarks.datasets import find_gas_files
from benchmarks.detection import detect_plainly
from benchmarks.first_page import CHART, PRELOAD_S, ROOT, run_server
from benchmarks.report import ResultLine, build_figure, build_ratio
from core.data.dataset import Dataset
from core.data.ingest.loading import load
from core.detectors.baselines import BASELINE_CLASSES
from core.detectors.row_model import RowModel
from core.evaluation.stand_out import fit_stand_out_threshold
from core.runs.stored_runs import load_run
from core.tasks.anomalies.spec import DetectionSpec
from core.workspace import Workspace
from tests.support.chromium import CHROMIUM_ARGUMENTS, find_chromium

REPETITIONS = 7
LEFT_OUT_ROWS = 40  # more in every repetition, so that no job is equal to an earlier one
READING_S = 5.0  # in which an analyst reads the form
TIMEOUT_MS = 120_000.0
FIXED_S = 1.0
STAGES = (
    "click to the job",
    "job waits for a worker",
    "run: fit, threshold, result and model stored",
    "delivery to MLflow, outcome of the job stored",
    "page sees the outcome and shows the figure",
)


def main() -> list[ResultLine]:
    """Measure the stages of the wait, and both bare fits."""
    if find_chromium() is None or not find_gas_files():
        return [ResultLine("skipped: no Chromium, or no gas files", "–")]
    gas = load(find_gas_files())
    sides: dict[str, list[float]] = {"plain": [], "model": []}
    waits: list[list[float]] = []
    with TemporaryDirectory(prefix="vigie-bench-") as name, sync_playwright() as playwright:
        folder = Path(name) / "vigie"
        workspace = build_workspace(folder)
        datasets = [gas.take_rows(np.arange(LEFT_OUT_ROWS * turn, len(gas))) for turn in range(1 + REPETITIONS)]
        for dataset in datasets:
            workspace.datasets.save(dataset)
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=list(CHROMIUM_ARGUMENTS))
        with run_server(ROOT / "app.py", Path(name)) as (address, _start_s):
            _ask(browser, address, datasets[0], workspace, PRELOAD_S)  # reads the libraries
            for dataset in datasets[1:]:
                waits.append(_ask(browser, address, dataset, workspace, READING_S))
                complete = dataset.values[dataset.is_complete]
                sides["plain"].append(_time(lambda values=complete: detect_plainly(values)))
                sides["model"].append(_time(lambda part=dataset: _fit_with_threshold(part)))
        browser.close()
    totals = [sum(stages) for stages in waits]
    beyond = [total - FIXED_S for total in totals]
    return [
        build_ratio("click to figure beyond 1 s : plain scikit-learn", beyond, sides["plain"], target=1.5),
        build_ratio("click to figure beyond 1 s : model with its threshold", beyond, sides["model"], target=1.5),
        build_figure("click to figure", totals, "s"),
        *(build_figure(stage, [stages[place] for stages in waits], "s") for place, stage in enumerate(STAGES)),
    ]


def _ask(browser: Browser, address: str, dataset: Dataset, workspace: Workspace, reading_s: float) -> list[float]:
    """Ask for the anomalies of `dataset`; return the seconds of each of `STAGES`."""
    context = browser.new_context(locale="en-GB")
    context.set_default_timeout(TIMEOUT_MS)
    page = context.new_page()
    page.goto(f"{address}/anomalies?dataset={dataset.digest}")
    button = page.get_by_role("button", name="Find anomalies")
    button.wait_for()
    time.sleep(reading_s)
    clicked = time.time()
    button.click()
    page.wait_for_function("location.search.includes('work=')")
    key = _read_parameter(page.url, "work")
    page.wait_for_selector(CHART)
    shown = time.time()
    record = load_run(_read_parameter(page.url, "run"), workspace).record
    job = workspace.jobs.load(key)
    context.close()
    assert job is not None
    assert job.ended is not None
    moments = [clicked, job.submitted, record.started_ms / 1000, record.ended_ms / 1000, job.ended, shown]
    return np.diff(moments).tolist()


def _read_parameter(address: str, name: str) -> str:
    match = re.search(rf"[?&]{name}=(\w+)", address)
    assert match is not None, f"no {name} in {address}"
    return match[1]


def _time(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _fit_with_threshold(dataset: Dataset) -> float:
    """Return the threshold of the model that the page fits without being told otherwise."""
    dataset = dataset.replace()  # drops what was computed before
    spec = DetectionSpec(dataset=dataset.digest).fill_defaults(dataset)
    model = RowModel(spec.detector, BASELINE_CLASSES[spec.baseline](), spec.incomplete)  # type: ignore[arg-type]
    rows, scores = model.fit_score(dataset)
    calibration, blocks = model.score_held_out(rows)
    rate = spec.compute_target_rate(dataset)
    return fit_stand_out_threshold(scores, calibration, model.measure_deviations(rows), rate, blocks).value
