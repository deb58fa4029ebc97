"""Memory of a server that takes one upload of a gigabyte over HTTP, and the time until it is on the disk."""

import time
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Thread

import psutil

from benchmarks.analyst_load import WARM_UP_S, measure_memory, run_app
from benchmarks.report import ResultLine, check_target
from tests.support.uploads import open_upload_page, upload

UPLOAD_MB = 1024
GROWTH_TARGET_MB = 50.0
SAMPLE_INTERVAL_S = 0.05


def main() -> list[ResultLine]:
    """Upload the file once, and watch the memory meanwhile."""
    with (
        TemporaryDirectory(prefix="vigie-uploads-") as name,
        run_app(Path(name)) as (visitor, server),
        visitor.open_tab() as tab,
    ):
        session = open_upload_page(tab)
        time.sleep(WARM_UP_S)
        before_mb, peaks, stop_event = measure_memory(server), [0.0], Event()
        watcher = Thread(target=_watch, args=(server, peaks, stop_event))
        watcher.start()
        began = time.perf_counter()
        status = upload(visitor, session, UPLOAD_MB * 1024 * 1024)
        seconds = time.perf_counter() - began
        stop_event.set()
        watcher.join()
    growth_mb = peaks[0] - before_mb
    return [
        ResultLine("answer to the upload", str(status), "", f"{UPLOAD_MB} MB"),
        ResultLine(
            "memory at the peak of the upload",
            f"+{growth_mb:.0f} MB",
            "",
            f"{before_mb:.0f} MB before",
            *check_target(growth_mb, GROWTH_TARGET_MB, "MB"),
        ),
        ResultLine("time of the upload", f"{seconds:.1f} s", "", f"{UPLOAD_MB / seconds:.0f} MB a second"),
    ]


def _watch(server: psutil.Process, peaks: list[float], stop_event: Event) -> None:
    while not stop_event.wait(SAMPLE_INTERVAL_S):
        peaks[0] = max(peaks[0], measure_memory(server))
