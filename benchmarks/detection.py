"""Detection with run, result and model stored in SQLite, compared with plain scikit-learn.

MLflow and CodeCarbon are warmed up.
"""

import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray
from sklearn import ensemble

from benchmarks.datasets import find_gas_files, write_gas_days
from benchmarks.report import ResultLine, build_ratio, check_target, median
from core.actor import Actor
from core.data.dataset import Dataset
from core.data.ingest.loading import load
from core.tasks.anomalies.run import detect
from core.tasks.anomalies.spec import DetectionSpec
from core.workspace import Workspace
from mlflow_utils import emissions
from mlflow_utils.tracking import Tracking

ENTITIES = (15, 60, 120)  # 33,675, 134,700 and 269,400 rows
REPETITIONS = 9
BASELINE_NAMES = ("calendar", "everything")
Sides = dict[str, list[float]]


def main() -> list[ResultLine]:
    """Compare both sides on the gas files, and on generated files of three sizes."""
    with TemporaryDirectory(prefix="vigie-bench-") as folder:
        workspace = _build_workspace(Path(folder))
        _warm_up(workspace, Path(folder))
        lines = []
        if find_gas_files():
            sides = _measure_sides(load(find_gas_files()), workspace)
            lines += [
                build_ratio(f"{name} : scikit-learn, gas files", sides[name], sides["bare"]) for name in BASELINE_NAMES
            ]
        sizes, side_seconds = [], []
        for entities in ENTITIES:
            dataset = _generate_dataset(Path(folder), entities)
            sizes.append(len(dataset))
            side_seconds.append(_measure_sides(dataset, workspace))
        for size, sides in zip(sizes, side_seconds, strict=True):
            lines += [
                build_ratio(f"{name} : scikit-learn, {size:,} rows", sides[name], sides["bare"])
                for name in BASELINE_NAMES
            ]
        for name in BASELINE_NAMES:
            lines += _compare_growth(name, sizes, side_seconds)
    return lines


def _compare_growth(name: str, sizes: list[int], side_seconds: list[Sides]) -> list[ResultLine]:
    """Return our fixed start time, and our growth per row compared with that of scikit-learn.

    Both come from straight lines fitted by least squares.
    """
    ours, bare = (
        _fit_line(sizes, [median(sides[repetition_slopes]) for sides in side_seconds])
        for repetition_slopes in (name, "bare")
    )
    repetition_slopes = [
        _fit_line(sizes, [sides[name][turn] for sides in side_seconds])[1]
        / _fit_line(sizes, [sides["bare"][turn] for sides in side_seconds])[1]
        for turn in range(REPETITIONS)
    ]
    slopes = ours[1] / bare[1]
    return [
        ResultLine(f"{name}: fixed start", f"{ours[0]:.2f} s", basis=f"scikit-learn {bare[0]:.2f} s"),
        ResultLine(
            f"{name}: growth per row : scikit-learn",
            f"{slopes:.2f} x",
            f"{min(repetition_slopes):.2f} – {max(repetition_slopes):.2f}",
            f"{ours[1] * 1e6:.1f} s : {bare[1] * 1e6:.1f} s per million rows",
            *check_target(slopes, 1.5, "x"),
        ),
    ]


def _fit_line(sizes: list[int], seconds: list[float]) -> tuple[float, float]:
    """Return the seconds at 0 rows, and the seconds per row."""
    slope, start = np.polyfit(sizes, seconds, 1)
    return float(start), float(slope)


def _measure_sides(dataset: Dataset, workspace: Workspace) -> Sides:
    """Return the seconds of every side; the sides take turns within a repetition."""
    actor = Actor("benchmark", "Vigie benchmark")
    complete = dataset.values[dataset.is_complete]
    sides: dict[str, Callable[[], object]] = {"bare": lambda: detect_plainly(complete)}
    for name in BASELINE_NAMES:  # replace() drops the cached properties of the dataset
        sides[name] = lambda name=name: detect(
            DetectionSpec(baseline=name, contamination=0.01), dataset.replace(), workspace=workspace, actor=actor
        )
    seconds: Sides = {name: [] for name in sides}
    for _ in range(REPETITIONS):
        for name, run in sides.items():
            began = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - began)
    return seconds


def detect_plainly(features: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return the anomalies as a notebook computes them with plain scikit-learn."""
    forest = ensemble.IsolationForest(contamination=0.01, random_state=42).fit(features)
    return forest.score_samples(features) < forest.offset_


def _generate_dataset(folder: Path, entities: int) -> Dataset:
    path = folder / f"{entities}.csv"
    write_gas_days(path, entities=entities)
    dataset = load([path])
    path.unlink()
    return dataset


def _build_workspace(folder: Path) -> Workspace:
    tracking = Tracking(f"sqlite:///{folder / 'mlflow.db'}", (folder / "artefacts").as_uri(), folder / "runs")
    return Workspace.in_folder(folder, tracking)


def _warm_up(workspace: Workspace, folder: Path) -> None:
    """Load what a server loads once after its first page, and run one small detection."""
    workspace.tracking.preload()
    emissions.preload(workspace.settings.country_iso_code)
    detect(
        DetectionSpec(baseline="calendar"), _generate_dataset(folder, 1), workspace=workspace, actor=Actor("benchmark")
    )
