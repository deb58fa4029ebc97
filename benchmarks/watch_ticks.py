"""Ticks of a watch of 1,000 entities with 24 columns: time, ratio to scoring alone, and memory."""

import os
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import psutil

from benchmarks.report import ResultLine, build_figure, build_ratio, check_target, median
from core.actor import Actor
from core.data.dataset import Dataset
from core.data.ingest.loading import load
from core.operations.watching.judges import load_judge
from core.operations.watching.reading import build_read_options, read_rows
from core.operations.watching.tick import run_tick
from core.operations.watching.watches import add_watch, suggest_watch
from core.tasks.anomalies.run import detect
from core.tasks.anomalies.spec import DetectionSpec
from core.watches.source import FolderSource
from core.workspace import Workspace
from mlflow_utils.tracking import Tracking

ENTITIES, COLUMNS, TRAINING_ROWS = 1000, 24, 40
TICKS = int(os.environ.get("WATCH_TICKS", "200"))
FIRST_MEASURED_TICK = 20  # caches are filled before it
STEP = pd.Timedelta(minutes=1)
START = pd.Timestamp("2024-01-01")
TICK_TARGET_S, GROWTH_TARGET_MB = 10.0, 20.0
FAULTY_ENTITIES = 20  # of each tick
ACTOR = Actor("benchmark")


def main() -> list[ResultLine]:
    """Run the ticks, each with one file of one new row of every entity."""
    with tempfile.TemporaryDirectory(prefix="vigie-watch-") as name:
        folder = Path(name)
        workspace = _create_workspace(folder)
        inbox = folder / "inbox" / "ticks"
        inbox.mkdir(parents=True)
        template, run_id = _train(workspace, folder)
        watch = suggest_watch(run_id, workspace, FolderSource(path=str(inbox)))
        add_watch(watch.model_copy(update={"name": "ticks", "history_days": 1}), workspace, ACTOR)
        watch = workspace.watches.watches.load_watch("ticks")
        judge, options = load_judge(watch, workspace)[1], build_read_options(watch.reading)
        process, seconds, scoring, memory_mb = psutil.Process(), [], [], []
        for tick in range(TICKS):
            path = _write_rows(tick, inbox)
            began = time.perf_counter()
            lease = workspace.watches.ticks.claim_tick("benchmark", datetime.now(UTC), "ticks")
            assert lease is not None
            record = run_tick(lease, workspace, datetime.now(UTC))
            seconds.append(time.perf_counter() - began)
            assert record is not None
            assert record.rows_new == ENTITIES, record
            memory_mb.append(process.memory_info().rss / 1e6)
            if tick % 10 == 0:
                rows = read_rows([(path, path.name)], options, template).dataset
                assert rows is not None
                began = time.perf_counter()
                judge.judge_rows(rows, np.ones(len(rows), dtype=bool))
                scoring.append(time.perf_counter() - began)
    late = seconds[FIRST_MEASURED_TICK:]
    middle = len(late) // 2
    growth_mb = median(memory_mb[-10:]) - median(memory_mb[FIRST_MEASURED_TICK : FIRST_MEASURED_TICK + 10])
    return [
        build_figure(f"a tick of {ENTITIES:,} entities × {COLUMNS} columns", late, "s", TICK_TARGET_S),
        build_ratio("a tick : judging alone", late[: len(scoring)], scoring),
        build_ratio("later : earlier ticks", late[middle : 2 * middle], late[:middle], target=1.3),
        ResultLine(
            f"growth of the memory over {TICKS} ticks",
            f"{growth_mb:+.1f} MB",
            "",
            f"{memory_mb[-1]:.0f} MB at the end",
            *check_target(growth_mb, GROWTH_TARGET_MB, "MB"),
        ),
    ]


def _create_workspace(folder: Path) -> Workspace:
    tracking = Tracking(f"sqlite:///{folder / 'mlflow.db'}", (folder / "mlartifacts").as_uri(), folder / "runs")
    return Workspace.in_folder(folder, tracking)


def _train(workspace: Workspace, folder: Path) -> tuple[Dataset, str]:
    """Return the training data without rows, and the id of the run of the model."""
    rows = pd.concat([_make_rows(tick - TRAINING_ROWS) for tick in range(TRAINING_ROWS)])
    path = folder / "history.csv"
    rows.to_csv(path, index=False)
    history = load([path])
    workspace.datasets.save(history)
    _, run = detect(DetectionSpec(), history, workspace=workspace, actor=ACTOR)
    return history.take_rows(np.zeros(0, dtype=np.intp)), run.id


def _make_rows(tick: int) -> pd.DataFrame:
    """Return one row of every entity; some have a fault in later ticks."""
    random = np.random.default_rng(tick + 1000)
    level = 100.0 * (1 + np.arange(ENTITIES) % 7)[:, None] * np.ones(COLUMNS)
    values = level * random.normal(1, 0.02, level.shape)
    if tick >= 0:
        values[random.choice(ENTITIES, FAULTY_ENTITIES, replace=False), 3] *= 2
    table = pd.DataFrame(values.round(4), columns=[f"kpi_{number}" for number in range(COLUMNS)])
    table.insert(0, "cell", [f"cell-{number:04d}" for number in range(ENTITIES)])
    table.insert(0, "time", START + tick * STEP)
    return table


def _write_rows(tick: int, inbox: Path) -> Path:
    """Write the file of a tick at once; older files are removed, as an archive does."""
    draft = inbox / f"{tick:05d}.tmp"
    _make_rows(tick).to_csv(draft, index=False)
    for path in sorted(inbox.glob("*.csv"))[:-5]:
        path.unlink()
    return draft.rename(draft.with_suffix(".csv"))
