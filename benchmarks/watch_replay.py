"""Replay of a watch: seconds for a year of one hourly series and of the gas files, with and without retraining."""

import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd

from benchmarks.datasets import find_gas_files
from benchmarks.known_anomalies import find_anomalous_rows
from benchmarks.report import ResultLine, check_target
from core.actor import Actor
from core.data.dataset import Dataset, make_index
from core.data.ingest.loading import load
from core.data.quality.repairs import undo_hour_shift
from core.operations.watching.replay import replay_watch
from core.operations.watching.replay_result import Replay
from core.progress import Progress
from core.spec.spec import DataSpec
from core.spec.task import run_task
from core.tasks.anomalies.spec import DetectionSpec
from core.tasks.sequences.spec import SequenceSpec, list_detectors
from core.watches.source import FolderSource
from core.watches.watch import Watch
from core.workspace import Workspace
from mlflow_utils.tracking import Tracking

ACTOR = Actor("benchmark")
TARGET_S = 30.0  # for a year of one series
SEED, NOISE = 0, 2.0
FAULTS, MAX_FAULT_HOURS = 24, 12  # of a year
SERIES_DETECTOR = "pca-residual"  # scores a row by the rows before it
REPLAY_YEAR = 2025


@dataclass(frozen=True)
class Case:
    """A replayed year: the model learns the years before it."""

    name: str
    task: str
    spec: DataSpec
    dataset: Dataset
    year: int
    refit: str = ""
    target_s: float | None = None


def main() -> list[ResultLine]:
    """Replay each case once, after one that loads the libraries."""
    detector = list_detectors()[SERIES_DETECTOR]()
    series, before = make_hourly_series(), f"{REPLAY_YEAR - 1}-12-31"
    rows_spec, series_spec = DetectionSpec(end=before), SequenceSpec(detector=detector, until=f"{REPLAY_YEAR}-01-01")
    cases = [
        Case("rows, a year of one hourly series", "anomalies", rows_spec, series, REPLAY_YEAR, target_s=TARGET_S),
        Case("the same, retrained every 4 weeks", "anomalies", rows_spec, series, REPLAY_YEAR, "4 weeks"),
        Case("series, a year of one hourly series", "sequences", series_spec, series, REPLAY_YEAR, target_s=TARGET_S),
        Case("the same, retrained every 4 weeks", "sequences", series_spec, series, REPLAY_YEAR, "4 weeks"),
    ]
    if files := find_gas_files():
        gas = label_known_faults(undo_hour_shift(load(files)))
        year = int(pd.DatetimeIndex(gas.time).year.max())
        gas_spec = DetectionSpec(end=f"{year - 1}-12-31")
        cases += [
            Case(f"gas files, {year}", "anomalies", gas_spec, gas, year, target_s=TARGET_S),
            Case("the same, retrained every 4 weeks", "anomalies", gas_spec, gas, year, "4 weeks"),
        ]
    with TemporaryDirectory(prefix="vigie-bench-") as folder:
        tracking = Tracking(
            f"sqlite:///{folder}/mlflow.db", (Path(folder) / "mlartifacts").as_uri(), Path(folder) / "runs"
        )
        workspace = Workspace.in_folder(Path(folder), tracking)
        _replay(cases[0], workspace)
        return [_measure(case, workspace) for case in cases]


def make_hourly_series() -> Dataset:
    """Return two years of hourly loads with labelled faults in the second."""
    rng = np.random.default_rng(SEED)
    times = pd.date_range(f"{REPLAY_YEAR - 1}-01-01", f"{REPLAY_YEAR}-12-31 23:00", freq="h")
    hours = np.arange(len(times))
    daily, yearly = 20 * np.sin(2 * np.pi * hours / 24), 15 * np.cos(2 * np.pi * hours / 8766)
    values = 100 + daily + yearly + rng.normal(0, NOISE, len(hours))
    label = np.zeros(len(hours), dtype=bool)
    first = int(np.searchsorted(times, pd.Timestamp(f"{REPLAY_YEAR}-01-01")))
    for start in rng.choice(np.arange(first, len(hours) - MAX_FAULT_HOURS), FAULTS, replace=False):
        rows = slice(start, start + int(rng.integers(1, MAX_FAULT_HOURS + 1)))
        values[rows] += rng.choice([-1, 1]) * rng.uniform(10, 40)
        label[rows] = True
    index = make_index(["load"] * len(hours), times)
    frame, labels = pd.DataFrame({"load": values}, index), pd.Series(label, index)
    return Dataset(frame, "tidy_series", step=pd.Timedelta(hours=1), unit="MW", labels=labels, files=("load.csv",))


def label_known_faults(dataset: Dataset) -> Dataset:
    """Return the gas files with their known faults as labels."""
    return dataset.replace(labels=pd.Series(find_anomalous_rows(dataset), dataset.frame.index))


def _replay(case: Case, workspace: Workspace) -> tuple[float, Replay]:
    workspace.datasets.save(case.dataset)
    run = run_task(case.task, case.spec, workspace=workspace, actor=ACTOR, progress=Progress(), dataset=case.dataset)[1]
    source = FolderSource(path="inbox")
    watch = Watch(name="replayed", task=case.task, model=run.id, source=source, schedule="1 hour", refit=case.refit)
    begin = time.perf_counter()
    first, last = f"{case.year}-01-01", f"{case.year}-12-31"
    replay = replay_watch(watch, case.dataset, first, last, is_refit=bool(case.refit), workspace=workspace)
    return time.perf_counter() - begin, replay


def _measure(case: Case, workspace: Workspace) -> ResultLine:
    seconds, replay = _replay(case, workspace)
    figures = replay.metrics()
    told = [f"{len(replay.rows):,} rows", f"{len(replay.incidents)} incidents"]
    told += [f"{name} {figures[name]:.2f}" for name in ("precision", "recall") if name in figures]
    told += [f"{int(replay.refits['is_used'].sum())} of {len(replay.refits)} models used"] * bool(case.refit)
    verdict = check_target(seconds, case.target_s, "s")
    return ResultLine(case.name, f"{seconds:.2f} s", "", ", ".join(told), *verdict)
