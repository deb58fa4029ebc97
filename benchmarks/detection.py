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

from benchmarks.lines import Line, judged, median, ratio
from benchmarks.material import gas_files, write_gas_like
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
COMPARISONS = ("calendar", "everything")
Sides = dict[str, list[float]]


def main() -> list[Line]:
    """Compare both sides on the gas files, and on generated files of three sizes."""
    with TemporaryDirectory(prefix="vigie-bench-") as folder:
        workspace = _workplace(Path(folder))
        _warm(workspace, Path(folder))
        lines = []
        if gas_files():
            sides = _timed(load(gas_files()), workspace)
            lines += [ratio(f"{name} : scikit-learn, gas files", sides[name], sides["bare"]) for name in COMPARISONS]
        sizes, found = [], []
        for entities in ENTITIES:
            dataset = _generated(Path(folder), entities)
            sizes.append(len(dataset))
            found.append(_timed(dataset, workspace))
        for size, sides in zip(sizes, found, strict=True):
            lines += [
                ratio(f"{name} : scikit-learn, {size:,} rows", sides[name], sides["bare"]) for name in COMPARISONS
            ]
        for name in COMPARISONS:
            lines += _lines_through(name, sizes, found)
    return lines


def _lines_through(name: str, sizes: list[int], found: list[Sides]) -> list[Line]:
    """Return our fixed start time, and our growth per row compared with that of scikit-learn.

    Both come from straight lines fitted by least squares.
    """
    ours, bare = (_straight(sizes, [median(sides[each]) for sides in found]) for each in (name, "bare"))
    each = [
        _straight(sizes, [sides[name][turn] for sides in found])[1]
        / _straight(sizes, [sides["bare"][turn] for sides in found])[1]
        for turn in range(REPETITIONS)
    ]
    slopes = ours[1] / bare[1]
    return [
        Line(f"{name}: fixed start", f"{ours[0]:.2f} s", basis=f"scikit-learn {bare[0]:.2f} s"),
        Line(
            f"{name}: growth per row : scikit-learn",
            f"{slopes:.2f} x",
            f"{min(each):.2f} – {max(each):.2f}",
            f"{ours[1] * 1e6:.1f} s : {bare[1] * 1e6:.1f} s per million rows",
            *judged(slopes, 1.5, "x"),
        ),
    ]


def _straight(sizes: list[int], seconds: list[float]) -> tuple[float, float]:
    """Return the seconds at 0 rows, and the seconds per row."""
    slope, start = np.polyfit(sizes, seconds, 1)
    return float(start), float(slope)


def _timed(dataset: Dataset, workspace: Workspace) -> Sides:
    """Return the seconds of every side; the sides take turns within a repetition."""
    by = Actor("benchmark", "Vigie benchmark")
    complete = dataset.values[dataset.complete]
    sides: dict[str, Callable[[], object]] = {"bare": lambda: bare(complete)}
    for name in COMPARISONS:  # replace() drops the cached properties of the dataset
        sides[name] = lambda name=name: detect(
            DetectionSpec(compare_with=name), dataset.replace(), workspace=workspace, actor=by
        )
    found: Sides = {name: [] for name in sides}
    for _ in range(REPETITIONS):
        for name, run in sides.items():
            began = time.perf_counter()
            run()
            found[name].append(time.perf_counter() - began)
    return found


def bare(features: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return the anomalies as a notebook computes them with plain scikit-learn."""
    forest = ensemble.IsolationForest(contamination=0.01, random_state=42).fit(features)
    return forest.score_samples(features) < forest.offset_


def _generated(folder: Path, entities: int) -> Dataset:
    path = folder / f"{entities}.csv"
    write_gas_like(path, entities=entities)
    dataset = load([path])
    path.unlink()
    return dataset


def _workplace(folder: Path) -> Workspace:
    tracking = Tracking(f"sqlite:///{folder / 'mlflow.db'}", (folder / "artefacts").as_uri(), folder / "runs")
    return Workspace.in_folder(folder, tracking)


def _warm(workspace: Workspace, folder: Path) -> None:
    """Load what a server loads once after its first page, and run one small detection."""
    workspace.tracking.preload()
    emissions.preload(workspace.settings.country_iso_code)
    detect(DetectionSpec(compare_with="calendar"), _generated(folder, 1), workspace=workspace, actor=Actor("benchmark"))
