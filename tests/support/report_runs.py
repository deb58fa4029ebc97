"""Small runs of every task, on data whose names are HTML code, for the tests of reports."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from core.actor import Actor
from core.data.call_records.simulator import CallSimulator
from core.data.dataset import Dataset, make_clock_labels, make_index
from core.workspace import Workspace
from tests.support.sample_calls import make_call_dataset, make_calls
from tests.support.sample_sequences import make_series
from tests.support.sample_series import make_daily_dataset
from tests.support.toy_images import make_images

ALICE = Actor("alice <b>", "tests")
ENTITY = '"><img src=x onerror=\'alert(1)\'><a href="https://evil.example">Paris</a>'
FILE = "</script><script>alert(2)</script>.csv"
HOUR = pd.Timedelta(hours=1)


def run_anomalies(workspace: Workspace, folder: Path) -> str:
    """Run the detection of abnormal days, and return the id of the run."""
    from core.tasks.anomalies.run import detect
    from core.tasks.anomalies.spec import DetectionSpec, list_detectors

    spec = DetectionSpec(list_detectors()["largest-deviation"](), baseline="entity", contamination=0.02)
    return detect(spec, store_days(workspace), workspace=workspace, actor=ALICE)[1].id


def run_sequences(workspace: Workspace, folder: Path) -> str:
    """Run the detection of events in series, and return the id of the run."""
    from core.tasks.sequences.run import train
    from core.tasks.sequences.spec import SequenceSpec, list_detectors

    spec = SequenceSpec(list_detectors()["moving-mean"](), threshold="contamination", amount=0.02)
    return train(spec, store_series(workspace), workspace=workspace, actor=ALICE)[1].id


def run_comparison(workspace: Workspace, folder: Path) -> str:
    """Run the comparison of detectors of series, and return the id of the run."""
    from core.tasks.comparison.run import compare
    from core.tasks.comparison.spec import ComparisonSpec

    return compare(ComparisonSpec(), store_series(workspace), workspace=workspace, actor=ALICE)[1].id


def run_row_comparison(workspace: Workspace, folder: Path) -> str:
    """Run the comparison of detectors of rows, and return the id of the run."""
    from core.tasks.row_comparison.run import compare_rows
    from core.tasks.row_comparison.spec import RowComparisonSpec

    return compare_rows(RowComparisonSpec(), store_days(workspace), workspace=workspace, actor=ALICE)[1].id


def run_clusters(workspace: Workspace, folder: Path) -> str:
    """Run a clustering with noise, and return the id of the run."""
    from core.tasks.clusters.run import cluster
    from core.tasks.clusters.spec import ClusteringSpec, list_clusterers

    spec = ClusteringSpec(list_clusterers()["dbscan"](), look="shape")
    return cluster(spec, store_days(workspace), workspace=workspace, actor=ALICE)[1].id


def run_forecast(workspace: Workspace, folder: Path) -> str:
    """Run a forecast with an alarm, and return the id of the run."""
    from core.tasks.forecast.run import forecast
    from core.tasks.forecast.spec import ForecastSpec, list_forecasters

    amounts = 100 + np.random.default_rng(3).normal(0, 2, (300, 2))
    amounts[-10] = 400
    dataset = make_daily_dataset(amounts).replace(files=(FILE,))
    workspace.datasets.save(dataset)
    spec = ForecastSpec(list_forecasters()["ridge"](), horizon=3, weather="none")
    return forecast(spec, dataset, workspace=workspace, actor=ALICE)[1].id


def run_intervals(workspace: Workspace, folder: Path) -> str:
    """Run intervals of calls with an outage, and return the id of the run."""
    from core.forecasters.seasonal_naive import SeasonalNaive
    from core.tasks.intervals.run import judge_points
    from core.tasks.intervals.spec import IntervalsSpec

    values = make_calls(4, 2, HOUR)
    values[-40:-36, 1] = 0
    dataset = make_call_dataset(values, step=HOUR, names=[ENTITY, "T2"]).replace(files=(FILE,))
    workspace.datasets.save(dataset)
    return judge_points(IntervalsSpec(forecaster=SeasonalNaive()), dataset, workspace=workspace, actor=ALICE)[1].id


def run_folder_intervals(workspace: Workspace, folder: Path) -> str:
    """Run intervals of a folder of files, and return the id of the run."""
    from core.forecasters.seasonal_naive import SeasonalNaive
    from core.tasks.intervals.folder_run import judge_folder
    from core.tasks.intervals.spec import IntervalsFolderSpec

    source = write_folder(folder)
    spec = IntervalsFolderSpec(str(source), str(folder / "out"), forecaster=SeasonalNaive())
    return judge_folder(spec, workspace=workspace, actor=ALICE)[1].id


def run_batch(workspace: Workspace, folder: Path) -> str:
    """Score a folder of files, one of them unreadable, and return the id of the run."""
    from core.tasks.batch.run import score_files
    from core.tasks.batch.spec import BatchSpec

    source = write_folder(folder)
    (source / "<i>broken.parquet").write_text("no table")
    spec = BatchSpec(str(source), str(folder / "scores"), fit_per="folder")
    return score_files(spec, workspace=workspace, actor=ALICE)[1].id


def run_import(workspace: Workspace, folder: Path) -> str:
    """Import call records, and return the id of the run."""
    from core.tasks.call_records.import_run import import_records
    from core.tasks.call_records.import_spec import ImportSpec

    path = folder / "<b>calls.parquet"
    CallSimulator(trunks=2, days=2, calls_per_hour=30).write_parquet(path)
    return import_records(ImportSpec((str(path),), by="trunk"), workspace=workspace, actor=ALICE)[1].id


def run_cleaning(workspace: Workspace, folder: Path) -> str:
    """Clean counts with a spike, and return the id of the run."""
    from core.tasks.call_records.clean import clean
    from core.tasks.call_records.clean_spec import CleanSpec

    values = make_calls(3, 1, HOUR)
    values[100] = 20_000
    dataset = make_call_dataset(values, step=HOUR, names=[ENTITY]).replace(files=(FILE,))
    workspace.datasets.save(dataset)
    return clean(CleanSpec(), dataset, workspace=workspace, actor=ALICE)[1].id


def run_images_fit(workspace: Workspace, folder: Path) -> str:
    """Fit a detector of images, and return the id of the run."""
    from core.tasks.images.fit import fit_detector
    from core.tasks.images.spec import ImagesFitSpec, list_detectors

    spec = ImagesFitSpec(store_images(workspace), detector=list_detectors()["pca-pixels"]())
    return fit_detector(spec, workspace=workspace, actor=ALICE)[1].id


def run_images_comparison(workspace: Workspace, folder: Path) -> str:
    """Compare two detectors of images, and return the id of the run."""
    from core.tasks.images.comparison import compare
    from core.tasks.images.spec import ImagesCompareSpec

    spec = ImagesCompareSpec(store_images(workspace), detectors=("pca-pixels", "knn-pixels"), seeds=2)
    return compare(spec, workspace=workspace, actor=ALICE)[1].id


def run_images_score(workspace: Workspace, folder: Path) -> str:
    """Apply a detector of images, and return the id of the run."""
    from core.tasks.images.score import apply_model
    from core.tasks.images.spec import ImagesScoreSpec

    model = run_images_fit(workspace, folder)
    return apply_model(ImagesScoreSpec(store_images(workspace), model=model), workspace=workspace, actor=ALICE)[1].id


RUNS: dict[str, dict[str, Callable[[Workspace, Path], str]]] = {
    "anomalies": {"anomalies": run_anomalies},
    "batch": {"batch": run_batch},
    "call_records": {"import": run_import, "cleaning": run_cleaning},
    "clusters": {"clusters": run_clusters},
    "comparison": {"comparison": run_comparison},
    "forecast": {"forecast": run_forecast},
    "images": {"images": run_images_fit, "images-scores": run_images_score, "images-comparison": run_images_comparison},
    "intervals": {"intervals": run_intervals, "folder": run_folder_intervals},
    "row_comparison": {"row-comparison": run_row_comparison},
    "sequences": {"sequences": run_sequences},
}
"""Task → name → function that makes a run in a workspace and a folder for files, and returns its id."""


# ---- data -----------------------------------------------------------------------------------------------------------


def store_days(workspace: Workspace) -> Dataset:
    """Store 120 days of two entities with one abnormal day, and return them."""
    hours = np.arange(24)
    values = (10 + 4 * np.sin(hours / 4)) * np.random.default_rng(0).normal(1, 0.02, (240, 24))
    values[50, 6] = 90
    dates = pd.date_range("2024-01-01", periods=120).repeat(2)
    frame = pd.DataFrame(values, make_index([ENTITY, "b"] * 120, dates), columns=make_clock_labels(24))
    dataset = Dataset(frame, layout="demo", profile=True, step=HOUR, unit="MWh", files=(FILE,))
    workspace.datasets.save(dataset)
    return dataset


def store_series(workspace: Workspace) -> Dataset:
    """Store two series with an outlying stretch, and return them."""
    series = make_series(2, 400)
    names = [ENTITY if name == "s0" else name for name in series.entity]
    frame = series.frame.set_axis(make_index(names, series.time)).rename(columns={"a": "<u>a</u>"})
    dataset = series.replace(frame=frame, files=(FILE,))
    workspace.datasets.save(dataset)
    return dataset


def store_images(workspace: Workspace) -> str:
    """Store images of two classes with HTML code as names, and return their digest."""
    images = make_images(40, ("<i>good</i>", "bad"))
    return workspace.image_sets.save(images)


def write_folder(folder: Path) -> Path:
    """Write a file with hourly counts of two series into a folder, and return the folder."""
    source = folder / "series"
    source.mkdir(exist_ok=True)
    values = make_calls(4, 2, HOUR)
    values[-40:-36, 1] = 0
    times = pd.date_range("2024-01-01", periods=len(values), freq=HOUR)
    table = pd.DataFrame({"timestamp": np.tile(times, 2), "trunk": np.repeat([ENTITY, "T2"], len(times))})
    table.assign(total=values.T.ravel()).to_parquet(source / "calls.parquet", index=False)
    return source
