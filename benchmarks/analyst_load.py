"""Analysts who look at their results at the same time, over the protocol of browsers: waits, CPU and memory.

Each analyst keeps one tab open and goes from page to page, back to the own result again and again. "Thinks 0 s" clicks
as soon as a page is complete. Analysts who think begin one after the other, evenly over one think time, as people do
who do not know of each other. The CPU and the memory are those of the app's process, without its worker.
"""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlencode

import psutil
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.sync.client import ClientConnection

from benchmarks.analyst_tasks import build_workspace, store_datasets
from benchmarks.report import ResultLine, check_target
from core.actor import Actor
from core.collector import COLLECTION_INTERVAL_S
from core.data.dataset import Dataset
from core.tasks.anomalies.run import detect
from core.tasks.anomalies.spec import DetectionSpec
from core.workspace import Workspace
from tests.conftest import find_free_port, kill_process_tree
from tests.support.app_server import start_app
from tests.support.http_client import Visitor

ANALYST_COUNTS, THINK_TIMES_S = (1, 10, 50), (5.0, 0.0)
PAGES = ("anomalies", "", "anomalies", "tracking", "anomalies")
ROUNDS = (
    5  # the same for every number of analysts, so that the share of first views, which draw the figures, is as well
)
WARM_UP_S = 40.0  # for the libraries that a server loads in the background
VIEW_TIMEOUT_S = 300.0
SLOWDOWN_TARGET, PAGE_TARGET_S, SESSION_TARGET_MB = 1.5, 4.0, 25.0


@dataclass
class Level:
    """Views of some analysts at the same time: their seconds, their errors, and what they cost the server."""

    analysts: int
    think_s: float
    seconds: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    cpu_s: float = 0.0
    grown_mb: float = 0.0

    @property
    def name(self) -> str:
        """Analysts and think time in words."""
        return (
            f"{self.analysts} analyst{'s' * (self.analysts > 1)}, think{'s' * (self.analysts == 1)} {self.think_s:g} s"
        )

    @property
    def p95_s(self) -> float:
        """The 95th percentile of the waits, in seconds."""
        return sorted(self.seconds)[min(int(0.95 * len(self.seconds)), len(self.seconds) - 1)]


@contextmanager
def run_app(folder: Path) -> Iterator[tuple[Visitor, psutil.Process]]:
    """Run the app on a data folder; yield a visitor of it and its process."""
    port = find_free_port()
    process = start_app(folder, port, VIGIE_REQUIRE_SIGN_IN="false")
    try:
        yield Visitor(f"http://127.0.0.1:{port}"), psutil.Process(process.pid)
    finally:
        kill_process_tree(process)


def store_results(folder: Path, count: int) -> list[str]:
    """Store `count` datasets, each with a detection; return the query strings of their pages."""
    workspace = build_workspace(folder)
    return [_store_result(dataset, workspace) for dataset in store_datasets(folder, count)]


def _store_result(dataset: Dataset, workspace: Workspace) -> str:
    spec = DetectionSpec(dataset=dataset.digest)
    _, run = detect(spec, dataset, workspace=workspace, actor=Actor("analyst", "benchmark"))
    return urlencode({"dataset": dataset.digest, "run": run.id})


def view_page(tab: ClientConnection, page: str, query: str) -> str:
    """Load a page in a tab until its script is complete; return the first error that it shows, or ""."""
    request = BackMsg()
    request.rerun_script.page_name = page
    request.rerun_script.query_string = query
    request.rerun_script.context_info.locale = "en-GB"
    tab.send(request.SerializeToString())
    error = ""
    while True:
        message = ForwardMsg.FromString(tab.recv(VIEW_TIMEOUT_S))
        kind = message.WhichOneof("type")
        if kind == "script_finished" and message.script_finished != ForwardMsg.FINISHED_EARLY_FOR_RERUN:
            return error
        if kind == "delta" and message.delta.WhichOneof("type") == "new_element":
            element = message.delta.new_element
            shown = element.WhichOneof("type")
            if shown == "exception":
                error = error or element.exception.message
            elif shown == "alert" and element.alert.format == element.alert.ERROR:
                error = error or element.alert.body


def measure_level(visitor: Visitor, server: psutil.Process, queries: list[str], think_s: float) -> Level:
    """Let one analyst per query look at pages, all at the same time."""
    level = Level(len(queries), think_s)
    before_mb, before_s = measure_memory(server), _measure_cpu(server)
    with ExitStack() as tabs:
        analysts = [(tabs.enter_context(visitor.open_tab()), query) for query in queries]
        barrier = threading.Barrier(len(queries))

        def look(number: int, analyst: tuple[ClientConnection, str]) -> None:
            barrier.wait()
            time.sleep(think_s * number / len(queries))
            for page in PAGES * ROUNDS:
                began = time.perf_counter()
                try:
                    error = view_page(analyst[0], page, analyst[1])
                except Exception as exception:  # noqa: BLE001 whatever breaks a view is a finding of the benchmark
                    error = repr(exception)
                level.seconds.append(time.perf_counter() - began)
                level.errors += [error] if error else []
                time.sleep(think_s)

        with ThreadPoolExecutor(len(queries)) as pool:
            list(pool.map(look, range(len(analysts)), analysts))
        level.cpu_s = _measure_cpu(server) - before_s
        time.sleep(2 * COLLECTION_INTERVAL_S)
        level.grown_mb = measure_memory(server) - before_mb
    return level


def measure_memory(server: psutil.Process) -> float:
    """Return the resident memory of the server's process in MB."""
    return server.memory_info().rss / 1e6


def _measure_cpu(server: psutil.Process) -> float:
    times = server.cpu_times()
    return times.user + times.system


def main() -> list[ResultLine]:
    """Measure 1, 10 and 50 analysts, who think 5 s and who do not think."""
    with TemporaryDirectory(prefix="vigie-load-") as name:
        queries = store_results(Path(name), max(ANALYST_COUNTS))
        with run_app(Path(name)) as (visitor, server):
            with visitor.open_tab() as tab:
                view_page(tab, "anomalies", queries[0])
            time.sleep(WARM_UP_S)
            levels = [
                measure_level(visitor, server, queries[:count], think_s)
                for think_s in THINK_TIMES_S
                for count in ANALYST_COUNTS
            ]
    return [*(line for level in levels for line in _build_lines(level)), *_compare_levels(levels)]


def _build_lines(level: Level) -> list[ResultLine]:
    views = len(level.seconds)
    ordered = sorted(level.seconds)
    return [
        ResultLine(
            f"page, {level.name}",
            f"p95 {level.p95_s:.2f} s",
            f"{ordered[0]:.2f} – {ordered[-1]:.2f}",
            f"median {ordered[views // 2]:.2f} s of {views}",
        ),
        ResultLine(f"CPU per page view, {level.name}", f"{level.cpu_s / views:.3f} s", "", f"{level.cpu_s:.1f} s"),
        ResultLine(
            f"memory per session, {level.name}",
            f"{level.grown_mb / level.analysts:.1f} MB",
            "",
            f"{level.grown_mb:.0f} MB more, tabs open",
        ),
    ]


def _compare_levels(levels: list[Level]) -> list[ResultLine]:
    """Return the figures that have a target."""
    by_size = {(level.analysts, level.think_s): level for level in levels}
    few, several, many = ANALYST_COUNTS
    slow, quick = THINK_TIMES_S
    slowdown = by_size[several, slow].p95_s / by_size[few, slow].p95_s
    page_s = by_size[several, quick].p95_s
    session_mb = by_size[many, slow].grown_mb / many
    errors = [error for level in levels for error in level.errors]
    return [
        ResultLine(
            f"p95, {several} analysts : 1, think {slow:g} s",
            f"{slowdown:.2f} x",
            "",
            "",
            *check_target(slowdown, SLOWDOWN_TARGET, "x"),
        ),
        ResultLine(
            f"p95, {several} analysts, think {quick:g} s",
            f"{page_s:.2f} s",
            "",
            "",
            *check_target(page_s, PAGE_TARGET_S, "s"),
        ),
        ResultLine("errors shown", str(len(errors)), "; ".join(errors)[:80], "", *check_target(len(errors), 0, "")),
        ResultLine(
            f"memory per session, {many} analysts",
            f"{session_mb:.1f} MB",
            "",
            "",
            *check_target(session_mb, SESSION_TARGET_MB, "MB"),
        ),
    ]
