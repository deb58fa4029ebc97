"""Seconds of single calls that people wait for: thresholds, metrics, scores of series, and services that are silent.

Each call runs on one core. A silent service is one that accepts connections and never answers.
"""

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from benchmarks.report import ResultLine, build_figure
from core.actor import Actor
from core.data.samples import load_sample
from core.detectors.sequences.pca_residual import PcaResidual
from core.evaluation.detection_metrics import compute_detection_metrics
from core.evaluation.spot import Spot
from core.progress import Progress
from core.runs.comparison import search_runs
from core.runs.tracked_run import track_run
from core.workspace import Workspace
from mlflow_utils.tracking import Tracking

REPETITIONS = 3
SCORE_COUNT, ROW_COUNT, LARGE_SHAPE = 30_000, 29_000, (24_000, 38)


def measure(work: Callable[[], object]) -> list[float]:
    """Return the seconds of each repetition of `work`, after one call that imports what it needs."""
    work()
    seconds = []
    for _ in range(REPETITIONS):
        start_s = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start_s)
    return seconds


@contextmanager
def listen_silently() -> Iterator[str]:
    """Yield the address of a server that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def record_and_search(folder: Path, url: str) -> None:
    """Record a small run and list the runs while MLflow is silent."""
    workspace = Workspace.in_folder(folder, Tracking(url, None, folder / "runs"))
    with track_run("tests", "Nothing", {}, load_sample("gas_daily"), Actor("alice", "benchmark"), workspace):
        pass
    workspace.tracking.reset()
    search_runs(workspace)


def main() -> list[ResultLine]:
    """Return one line per call."""
    rng = np.random.default_rng(0)
    scores, values = rng.lognormal(size=SCORE_COUNT), rng.normal(size=LARGE_SHAPE).astype(np.float32)
    labels = np.zeros(ROW_COUNT, dtype=bool)
    labels[rng.choice(ROW_COUNT - 50, 30, replace=False)[:, None] + np.arange(20)] = True
    noise, detector = rng.normal(size=ROW_COUNT) + labels, PcaResidual().fit([values], Progress())
    calls: dict[str, tuple[Callable[[], object], float]] = {
        f"moving threshold over {SCORE_COUNT:,} scores": (
            lambda: Spot(1e-4).fit(scores[:5000]).update_many(scores[5000:]),
            5,
        ),
        f"metrics of {ROW_COUNT:,} labelled rows": (lambda: compute_detection_metrics(labels, noise, 100), 2),
        "scores of 24,000 rows of 38 columns": (lambda: detector.score(values), 5),
    }
    lines = [build_figure(name, measure(work), "s", target) for name, (work, target) in calls.items()]
    with TemporaryDirectory() as folder, listen_silently() as url:
        seconds = measure(lambda: record_and_search(Path(folder), url))
    return [*lines, build_figure("a run and a list of runs, MLflow silent", seconds, "s", 4)]
