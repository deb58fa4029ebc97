"""Memory of a server over 2,000 reruns of ten sessions, whose garbage is collected by the clock."""

import time
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil

from benchmarks.analyst_load import PAGES, WARM_UP_S, measure_memory, run_app, store_results, view_page
from benchmarks.report import ResultLine, check_target, median
from core.collector import COLLECTION_INTERVAL_S
from tests.support.http_client import Visitor

SESSIONS, RERUNS, STEP = 10, 2000, 100
MAX_GROWTH = 0.05  # from the second quarter of the reruns to the last, as a share


def main() -> list[ResultLine]:
    """Measure the resident memory after every hundred reruns."""
    with TemporaryDirectory(prefix="vigie-memory-") as name:
        queries = store_results(Path(name), SESSIONS)
        with run_app(Path(name)) as (visitor, server):
            with visitor.open_tab() as tab:
                view_page(tab, "anomalies", queries[0])
            time.sleep(WARM_UP_S)
            sizes = measure_reruns(visitor, server, queries, RERUNS)
    quarter = len(sizes) // 4
    early, late = median(sizes[quarter : 2 * quarter]), median(sizes[-quarter:])
    growth = late / early - 1
    return [
        ResultLine("memory after reruns", f"{sizes[-1]:.0f} MB", f"{min(sizes):.0f} – {max(sizes):.0f}", f"{RERUNS}"),
        ResultLine(
            "growth, second to last quarter",
            f"{growth:+.1%}",
            "",
            f"{early:.0f} MB, {late:.0f} MB",
            *check_target(100 * growth, 100 * MAX_GROWTH, "%"),
        ),
    ]


def measure_reruns(visitor: Visitor, server: psutil.Process, queries: list[str], reruns: int) -> list[float]:
    """Return the memory in MB after each hundred reruns of one session per query, and after a last collection."""
    sizes = []
    with ExitStack() as stack:
        tabs = [stack.enter_context(visitor.open_tab()) for _ in queries]
        for number in range(reruns):
            session = number % len(queries)
            view_page(tabs[session], PAGES[number // len(queries) % len(PAGES)], queries[session])
            if number % STEP == STEP - 1:
                sizes.append(measure_memory(server))
        time.sleep(2 * COLLECTION_INTERVAL_S)
        sizes.append(measure_memory(server))
    return sizes
