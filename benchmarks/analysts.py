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

from benchmarks.lines import Line
from core.actor import Actor
from core.data.dataset import Dataset
from core.data.samples import load_sample
from core.runs.stored_runs import load_run
from core.storage.datasets import Datasets
from core.tasks.anomalies.run import detect
from core.tasks.anomalies.spec import DetectionSpec
from core.workspace import Workspace
from mlflow_utils.tracking import Tracking
from tests.conftest import ROOT, answers, free_port, stop

ANALYSTS, VISITS = 10, 5
PATIENCE = 120.0  # seconds; timeout of one request
LOOK_INTERVAL_S = 0.5
ASK = "anomalies-ask"


@dataclass
class Visit:
    """Session of one analyst: `pages` are the seconds of page loads, `answer` those of the detection."""

    digest: str
    pages: list[float] = field(default_factory=list)
    answer: float = 0.0
    run_id: str = ""
    seen: str = ""
    metrics: dict[str, str] = field(default_factory=dict)


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Run a server on the data folder `folder`, with the agent API of Streamlit, and yield its URL."""
    port = free_port()
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
        "--server.fileWatcherType=none",
        "--browser.gatherUsageStats=false",
    ]
    given = {
        "VIGIE_DATA_DIR": str(folder),
        "MLFLOW_TRACKING_URI": "",
        "VIGIE_REQUIRE_SIGN_IN": "false",
        "OMP_NUM_THREADS": "1",
    }
    with (folder / "server.log").open("ab") as log:
        server = subprocess.Popen(
            command, cwd=ROOT, env=os.environ | given, stdout=log, stderr=log, start_new_session=True
        )
    try:
        answers(f"http://127.0.0.1:{port}/_stcore/health")
        yield f"http://127.0.0.1:{port}"
    finally:
        stop(server)


def own_datasets(count: int) -> list[Dataset]:
    """Return `count` different datasets."""
    whole = load_sample("gas_daily")
    return [whole.rows(np.arange(40 * number, len(whole))) for number in range(count)]


def visit(address: str, digest: str, times: int, together: threading.Barrier | None = None) -> Visit:
    """Open the anomalies page of a dataset, run a detection, and reload the page `times` times."""
    found = Visit(digest)
    if together is not None:
        together.wait()
    page = _timed(found.pages, address, page="anomalies", query_params={"dataset": [digest]})
    began = time.perf_counter()
    page = _timed([], address, session_id=page["session_id"], trigger={"key": ASK})
    while "run" not in page["query_params"]:  # a worker computes the result; a browser would poll by itself
        time.sleep(LOOK_INTERVAL_S)
        page = _timed([], address, session_id=page["session_id"])
    found.answer, found.seen = time.perf_counter() - began, json.dumps(page)
    found.run_id = page["query_params"]["run"][0]
    found.metrics = {each["props"]["label"]: each["props"]["value"] for each in _elements(page["tree"], "metric")}
    for _ in range(times):
        _timed(found.pages, address, page="anomalies", query_params=page["query_params"])
    return found


def at_once(address: str, datasets: list[Dataset], times: int = VISITS) -> list[Visit]:
    """Run one visit per dataset, all started at the same time."""
    together = threading.Barrier(len(datasets))
    with ThreadPoolExecutor(len(datasets)) as analysts:
        return list(analysts.map(lambda dataset: visit(address, dataset.digest, times, together), datasets))


def mixed_up(visits: list[Visit], datasets: list[Dataset], folder: Path) -> list[str]:
    """Return a message for every visit with data of another analyst, or with a wrong result."""
    server, alone = _workplace(folder), _workplace(folder / "alone")
    wrong = [] if len({each.run_id for each in visits}) == len(visits) else ["two analysts share a run"]
    for each, dataset in zip(visits, datasets, strict=True):
        spec = DetectionSpec(compare_with="calendar")
        right, _ = detect(spec, dataset, workspace=alone, actor=Actor("alone", "benchmark"))
        record = load_run(each.run_id, server).record
        expected = {"Rows scored": f"{len(right.rows):,}", "Anomalies": f"{len(right.anomalies):,}"}
        if record.tags["dataset.digest"] != dataset.digest:
            wrong.append(f"{dataset.digest[:8]} has a run of {record.tags['dataset.digest'][:8]}")
        if not expected.items() <= each.metrics.items():
            wrong.append(f"{dataset.digest[:8]} saw {each.metrics}, not {expected}")
        wrong += [
            f"{dataset.digest[:8]} saw {other.digest[:8]}"
            for other in datasets
            if other is not dataset and other.digest[:12] in each.seen
        ]
    return wrong


def prepared(folder: Path, count: int) -> list[Dataset]:
    """Return `count` datasets, stored in the data folder of the server."""
    datasets = own_datasets(count)
    for dataset in datasets:
        Datasets(folder / "datasets").save(dataset)
    return datasets


def _workplace(folder: Path) -> Workspace:
    folder.mkdir(exist_ok=True)
    return Workspace.in_folder(
        folder, Tracking(f"sqlite:///{folder / 'mlflow.db'}", (folder / "mlartifacts").as_uri(), folder / "runs")
    )


def _timed(spent: list[float], address: str, **asked: Any) -> dict[str, Any]:
    """Return the response of the server; append its seconds to `spent`."""
    request = urllib.request.Request(
        f"{address}/_stcore/agent/interact", json.dumps(asked).encode(), {"Content-Type": "application/json"}
    )
    began = time.perf_counter()
    with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
        found = json.loads(answer.read())
    while found["status"] not in ("ready", "error"):  # the script still runs: request its end
        found = _timed([], address, session_id=found["session_id"])
    spent.append(time.perf_counter() - began)
    return dict(found)


def _elements(tree: dict[str, Any], kind: str) -> Iterator[dict[str, Any]]:
    if tree.get("type") == kind:
        yield tree
    for child in tree.get("children", ()):
        yield from _elements(child, kind)


def main() -> list[Line]:
    """Measure one analyst, then ten at the same time."""
    with TemporaryDirectory(prefix="vigie-analysts-") as name:
        folder = Path(name)
        datasets = prepared(folder, ANALYSTS + 2)
        with served(folder) as address:
            visit(address, datasets[-1].digest, 1)  # warms up the server
            alone = visit(address, datasets[-2].digest, 2 * VISITS)
            visits = at_once(address, datasets[:ANALYSTS])
            wrong = mixed_up(visits, datasets[:ANALYSTS], folder)
    pages = [seconds for each in visits for seconds in each.pages]
    return [
        Line(
            "what an analyst saw that was not theirs",
            str(len(wrong)),
            "; ".join(wrong)[:80],
            f"{ANALYSTS} analysts",
            "0",
            "MISSED" if wrong else "met",
        ),
        _seconds("page, one analyst", alone.pages),
        _seconds(f"page, {ANALYSTS} at once", pages),
        _seconds("analysis, one analyst", [alone.answer]),
        _seconds(f"analysis, {ANALYSTS} at once", [each.answer for each in visits]),
    ]


def _seconds(measured: str, values: list[float]) -> Line:
    ordered = sorted(values)
    p95 = ordered[min(int(0.95 * len(ordered)), len(ordered) - 1)]
    return Line(
        measured,
        f"p95 {p95:.2f} s",
        f"{ordered[0]:.2f} – {ordered[-1]:.2f}",
        f"median {ordered[len(ordered) // 2]:.2f} s of {len(ordered)}",
    )
