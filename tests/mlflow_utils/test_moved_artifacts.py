"""Data folders that were moved, renamed or copied: MLflow's artifacts follow, and the original is not touched."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from mlflow import MlflowClient

from mlflow_utils import registry
from mlflow_utils.run_record import Record
from mlflow_utils.tracking import Tracking

NAMES = ("moved", "with blank é", "50% #1", "mlartifacts")


def open_tracking(folder: Path, location: str | None = None) -> Tracking:
    return Tracking(f"sqlite:///{folder / 'mlflow.db'}", location or (folder / "mlartifacts").as_uri(), folder / "runs")


def add_run(tracking: Tracking, text: str) -> Record:
    """Deliver a run with one file."""
    record = Record("tests", text)
    tracking.start_run(record)
    (tracking.spool.artifact_dir(record.key) / "model").mkdir(parents=True)
    (tracking.spool.artifact_dir(record.key) / "model" / "note.txt").write_text(text)
    record.status = "completed"
    tracking.save_outcome(record)
    assert tracking.deliver_run(record)
    return record


def read_artifact(tracking: Tracking, run: str, target: Path) -> str:
    target.mkdir()
    return Path(tracking.open_client().download_artifacts(run, "model/note.txt", str(target))).read_text()


def list_files(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock"}


def list_places(folder: Path) -> str:
    with closing(sqlite3.connect(folder / "mlflow.db")) as connection:
        return "\n".join(line for line in connection.iterdump() if "file://" in line)


@pytest.fixture
def original(tmp_path: Path, empty_store: Path) -> Path:
    """Data folder with a delivered run and a registered model."""
    folder = tmp_path / "original"
    folder.mkdir()
    shutil.copy(empty_store, folder / "mlflow.db")
    tracking = open_tracking(folder)
    record = add_run(tracking, "before")
    client = tracking.open_client()
    client.create_registered_model("model")
    client.create_model_version("model", f"runs:/{record.run_id}/model", record.run_id)
    return folder


@pytest.mark.parametrize("name", NAMES)
def test_copied_folder_reads_and_writes_its_own_artifacts(name: str, original: Path, tmp_path: Path) -> None:
    before = list_files(original)
    copy = tmp_path / name
    shutil.copytree(original, copy)
    tracking = open_tracking(copy)
    run = tracking.spool.list_newest(1)[0].run_id
    new = add_run(tracking, "after")
    assert read_artifact(tracking, new.run_id, tmp_path / "new") == "after"
    assert list_files(original) == before
    shutil.rmtree(original)
    assert read_artifact(tracking, run, tmp_path / "old") == "before"
    assert str(original) not in list_places(copy)
    [version] = registry.list_versions(tracking, "model")
    place = MlflowClient(tracking.uri).get_model_version_download_uri("model", str(version.number))
    assert place == f"runs:/{run}/model", "it names no folder"


def test_copied_folder_without_runs_writes_to_its_own_artifacts(tmp_path: Path, empty_store: Path) -> None:
    original, copy = tmp_path / "original", tmp_path / "copy"
    original.mkdir()
    shutil.copy(empty_store, original / "mlflow.db")
    tracking = open_tracking(original)
    tracking.get_experiment_id(tracking.open_client(), "tests")
    (original / "mlartifacts").mkdir()
    shutil.copytree(original, copy)
    add_run(open_tracking(copy), "new")
    assert not list((original / "mlartifacts").iterdir())


def test_chosen_place_of_artifacts_stays(tmp_path: Path, original: Path) -> None:
    """The artifacts of some experiments were sent elsewhere, to a folder of the same name."""
    elsewhere = tmp_path / "disk" / "mlartifacts"
    folder = tmp_path / "data"
    folder.mkdir()
    shutil.copy(original / "mlflow.db", folder / "mlflow.db")
    (tmp_path / "disk").mkdir()
    shutil.move(original / "mlartifacts", elsewhere)
    with closing(sqlite3.connect(folder / "mlflow.db")) as connection, connection:
        for table, column in (("experiments", "artifact_location"), ("runs", "artifact_uri")):
            connection.execute(
                f"UPDATE {table} SET {column} = replace({column}, ?, ?)",
                ((original / "mlartifacts").as_uri(), elsewhere.as_uri()),
            )
    before = list_places(folder)
    open_tracking(folder).open_client()
    open_tracking(folder, "file:///somewhere/mlartifacts").open_client()
    assert list_places(folder) == before


def test_folder_that_stays_is_not_changed(original: Path) -> None:
    before = (original / "mlflow.db").read_bytes()
    open_tracking(original).open_client()
    assert (original / "mlflow.db").read_bytes() == before
