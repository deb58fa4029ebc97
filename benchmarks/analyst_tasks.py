"""Ten analysts at the same time on one server, compared with one analyst.

Each analyst opens another dataset, runs a detection, and must get the result of this dataset.
"""

import json
import os
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from benchmarks.report import ResultLine
from core.actor import Actor
from core.data.dataset import Dataset
from core.data.samples import load_sample
from core.runs.stored_runs import load_run
from core.settings import ROOT
from core.storage.datasets import DatasetStore
from core.tasks.anomalies.run import detect
from core.tasks.anomalies.spec import DetectionSpec
from core.workspace import Workspace
from mlflow_utils.tracking import Tracking
from tests.conftest import find_free_port, kill_process_tree, wait_until_reachable

ANALYSTS, VISITS = 10, 5
REQUEST_TIMEOUT_S = 120.0  # seconds; timeout of one request
POLL_INTERVAL_S = 0.5
BUTTON_KEY = "anomalies-ask"


@dataclass
class Visit:
    """Session of one analyst: `pages` are the seconds of page loads, `answer` those of the detection."""

    digest: str
    pages: list[float] = field(default_factory=list)
    answer: float = 0.0
    run_id: str = ""
    last_page: str = ""
    metrics: dict[str, str] = field(default_factory=dict)


@contextmanager
def run_server(folder: Path, wait_s: int = 30) -> Iterator[str]:
    """Run a server on the data folder `folder`, with the agent API of Streamlit, and yield its URL.

    A request whose script runs for more than `wait_s` seconds is answered before the script ends.
    """
    port = find_free_port()
    command = [
        sys.executable,
        "-m",
        "streamlit",
        "run",
        "app.py",
        "--server.headless=true",
        "--server.address=127.0.0.1",
        f"--server.port={port}",
        "--server.enableAgentApi=true",
        f"--server.agentWaitTimeout={wait_s}",
        "--server.agentMaxSessions=1000",
        "--server.fileWatcherType=none",
        "--browser.gatherUsageStats=false",
    ]
    environment = {
        "VIGIE_DATA_DIR": str(folder),
        "MLFLOW_TRACKING_URI": "",
        "VIGIE_REQUIRE_SIGN_IN": "false",
        "OMP_NUM_THREADS": "1",
    }
    with (folder / "server.log").open("ab") as log:
        server = subprocess.Popen(
            command, cwd=ROOT, env=os.environ | environment, stdout=log, stderr=log, start_new_session=True
        )
    try:
        wait_until_reachable(f"http://127.0.0.1:{port}/_stcore/health")
        yield f"http://127.0.0.1:{port}"
    finally:
        kill_process_tree(server)


def make_datasets(count: int) -> list[Dataset]:
    """Return `count` different datasets."""
    sample = load_sample("gas_daily")
    return [sample.take_rows(np.arange(40 * number, len(sample))) for number in range(count)]


def visit_page(address: str, digest: str, times: int, barrier: threading.Barrier | None = None) -> Visit:
    """Open the anomalies page of a dataset, run a detection, and reload the page `times` times."""
    record = Visit(digest)
    if barrier is not None:
        barrier.wait()
    page = _request(record.pages, address, page="anomalies", query_params={"dataset": [digest]})
    began = time.perf_counter()
    page = _request([], address, session_id=page["session_id"], trigger={"key": BUTTON_KEY})
    while "run" not in page["query_params"]:  # a worker computes the result; a browser would poll by itself
        time.sleep(POLL_INTERVAL_S)
        page = _request([], address, session_id=page["session_id"])
    record.answer, record.last_page = time.perf_counter() - began, json.dumps(page)
    record.run_id = page["query_params"]["run"][0]
    record.metrics = {
        element["props"]["label"]: element["props"]["value"] for element in _iter_elements(page["tree"], "metric")
    }
    for _ in range(times):
        _request(record.pages, address, page="anomalies", query_params=page["query_params"])
    return record


def visit_at_once(address: str, datasets: list[Dataset], times: int = VISITS) -> list[Visit]:
    """Run one visit per dataset, all started at the same time."""
    barrier = threading.Barrier(len(datasets))
    with ThreadPoolExecutor(len(datasets)) as analysts:
        return list(analysts.map(lambda dataset: visit_page(address, dataset.digest, times, barrier), datasets))


def find_mixed_results(visits: list[Visit], datasets: list[Dataset], folder: Path) -> list[str]:
    """Return a message for every visit with data of another analyst, or with a wrong result."""
    server, alone = build_workspace(folder), build_workspace(folder / "alone")
    messages = [] if len({visit.run_id for visit in visits}) == len(visits) else ["two analysts share a run"]
    for visit, dataset in zip(visits, datasets, strict=True):
        expected_result, _ = detect(DetectionSpec(), dataset, workspace=alone, actor=Actor("alone", "benchmark"))
        record = load_run(visit.run_id, server).record
        expected = {
            "Flagged rows": f"{len(expected_result.anomalies):,}",
            "Incidents": f"{len(expected_result.incidents):,}",
        }
        if record.tags["dataset.digest"] != dataset.digest:
            messages.append(f"{dataset.digest[:8]} has a run of {record.tags['dataset.digest'][:8]}")
        if not expected.items() <= visit.metrics.items():
            messages.append(f"{dataset.digest[:8]} saw {visit.metrics}, not {expected}")
        messages += [
            f"{dataset.digest[:8]} saw {other.digest[:8]}"
            for other in datasets
            if other is not dataset and other.digest[:12] in visit.last_page
        ]
    return messages


def store_datasets(folder: Path, count: int) -> list[Dataset]:
    """Return `count` datasets, stored in the data folder of the server."""
    datasets = make_datasets(count)
    for dataset in datasets:
        DatasetStore(folder / "datasets").save(dataset)
    return datasets


def build_workspace(folder: Path) -> Workspace:
    """Return the workspace of a server on the data folder `folder`."""
    folder.mkdir(exist_ok=True)
    return Workspace.in_folder(
        folder, Tracking(f"sqlite:///{folder / 'mlflow.db'}", (folder / "mlartifacts").as_uri(), folder / "runs")
    )


def _request(seconds: list[float], address: str, **arguments: Any) -> dict[str, Any]:
    """Return the response of the server; append its seconds to `seconds`."""
    request = urllib.request.Request(
        f"{address}/_stcore/agent/interact", json.dumps(arguments).encode(), {"Content-Type": "application/json"}
    )
    began = time.perf_counter()
    with urllib.request.urlopen(request, timeout=REQUEST_TIMEOUT_S) as answer:
        response = json.loads(answer.read())
    while "status" not in response:  # the server stopped waiting for the script, which still runs: wait again
        response = _request([], address, session_id=response["session_id"])
    seconds.append(time.perf_counter() - began)
    return dict(response)


def _iter_elements(tree: dict[str, Any], kind: str) -> Iterator[dict[str, Any]]:
    if tree.get("type") == kind:
        yield tree
    for child in tree.get("children", ()):
        yield from _iter_elements(child, kind)


def main() -> list[ResultLine]:
    """Measure one analyst, then ten at the same time."""
    with TemporaryDirectory(prefix="vigie-analysts-") as name:
        folder = Path(name)
        datasets = store_datasets(folder, ANALYSTS + 2)
        with run_server(folder) as address:
            visit_page(address, datasets[-1].digest, 1)  # warms up the server
            alone = visit_page(address, datasets[-2].digest, 2 * VISITS)
            visits = visit_at_once(address, datasets[:ANALYSTS])
            messages = find_mixed_results(visits, datasets[:ANALYSTS], folder)
    pages = [seconds for visit in visits for seconds in visit.pages]
    return [
        ResultLine(
            "what an analyst saw that was not theirs",
            str(len(messages)),
            "; ".join(messages)[:80],
            f"{ANALYSTS} analysts",
            "0",
            "MISSED" if messages else "met",
        ),
        _build_line("page, one analyst", alone.pages),
        _build_line(f"page, {ANALYSTS} at once", pages),
        _build_line("analysis, one analyst", [alone.answer]),
        _build_line(f"analysis, {ANALYSTS} at once", [visit.answer for visit in visits]),
    ]


def _build_line(measured: str, values: list[float]) -> ResultLine:
    ordered = sorted(values)
    p95 = ordered[min(int(0.95 * len(ordered)), len(ordered) - 1)]
    return ResultLine(
        measured,
        f"p95 {p95:.2f} s",
        f"{ordered[0]:.2f} – {ordered[-1]:.2f}",
        f"median {ordered[len(ordered) // 2]:.2f} s of {len(ordered)}",
    )
