"""Model files: a loaded model equals the saved one, and loading accepts trusted classes only."""

import json
import os
import pickle
import subprocess
import sys
import urllib.request
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skops.io

from core.actor import Actor
from core.data.dataset import Dataset
from core.detectors.baselines import BASELINE_CLASSES
from core.detectors.row_model import RowModel
from core.errors import NotFoundError, UnreadableFileError
from core.runs.model_files import MODEL_PACKAGES, list_trusted_types, load_model, save_model
from core.runs.tracked_run import track_run
from core.spec.spec import ApplySpec
from core.storage.durable_files import CHECKSUMS_FILE
from core.tasks.anomalies.run import apply_model
from core.tasks.anomalies.spec import list_detectors
from core.workspace import Workspace
from mlflow_utils.model_io import MODEL_FILE, PICKLE_FILE, UntrustedModelError
from tests.conftest import find_free_port, kill_process_tree, wait_until_reachable
from tests.support.sample_tables import make_input_table

ALICE = Actor("alice", "tests")


class Trap:
    """Object that creates the file `marker` when it is loaded."""

    def __init__(self, marker: str) -> None:
        self.marker = marker

    def __setstate__(self, state: dict[str, str]) -> None:
        Path(state["marker"]).touch()


class Command:
    """Object that is stored as a call of its class with `words`."""

    def __init__(self, words: list[str]) -> None:
        self.words = words

    def __reduce__(self) -> tuple[Any, ...]:
        return Command, (self.words,)


class PickledCall:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.marker,)


@pytest.fixture
def model(sample: Dataset) -> RowModel:
    return RowModel(list_detectors()["isolation-forest"](n_estimators=10), BASELINE_CLASSES["calendar"]()).fit(sample)


def save_run_with_model(model: RowModel, dataset: Dataset, workspace: Workspace) -> tuple[str, Path]:
    """Save the model in a run; return the id of the run and the local folder of the model.

    The run has no checksums, so that what a test changes is loaded: an attacker would remove them as well.
    """
    with track_run("tests", "Nothing", {}, dataset, ALICE, workspace) as run:
        save_model(run.folder / "model", model, make_input_table(dataset))
    (run.folder / CHECKSUMS_FILE).unlink()
    return run.id, run.folder / "model"


def read_schema(path: Path) -> dict[str, Any]:
    with zipfile.ZipFile(path) as archive:
        return json.loads(archive.read("schema.json"))


def rename_class(value: Any, old: tuple[str, str], new: tuple[str, str]) -> Any:
    """Return the schema of a skops file with one class renamed."""
    if isinstance(value, dict):
        value = {key: rename_class(item, old, new) for key, item in value.items()}
        if (value.get("__module__"), value.get("__class__")) == old:
            value |= {"__module__": new[0], "__class__": new[1]}
    return [rename_class(item, old, new) for item in value] if isinstance(value, list) else value


# ---- saving and loading ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("detector", "incomplete", "comparison"),
    [
        *(("isolation-forest", incomplete, name) for incomplete in ("drop", "impute") for name in BASELINE_CLASSES),
        *((name, "drop", "day") for name in list_detectors() if name != "isolation-forest"),
    ],
)
def test_load_model_gives_identical_scores(
    detector: str, incomplete: Any, comparison: str, sample: Dataset, workspace: Workspace
) -> None:
    fitted = RowModel(list_detectors()[detector](), BASELINE_CLASSES[comparison](), incomplete)
    scores = fitted.fit_score(sample)[1]
    run, folder = save_run_with_model(fitted, sample, workspace)
    loaded = load_model(run, RowModel, workspace)
    assert np.array_equal(loaded.score(loaded.prepare_rows(sample)), scores)
    assert np.array_equal(loaded.classify_rarity(scores), fitted.classify_rarity(scores))
    assert loaded.predict(make_input_table(sample)).equals(fitted.predict(make_input_table(sample)))
    files = {path.name for path in folder.iterdir()} | {path.name for path in (folder / "data").iterdir()}
    metadata = {"MLmodel", "conda.yaml", "python_env.yaml", "requirements.txt"}
    assert files == {*metadata, "data", "model.skops", "code"}


@pytest.mark.server
def test_saved_model_is_served_by_mlflow(model: RowModel, sample: Dataset, workspace: Workspace) -> None:
    _, folder = save_run_with_model(model, sample, workspace)
    port, inputs = find_free_port(), make_input_table(sample)
    command = [
        sys.executable,
        "-m",
        "mlflow",
        "models",
        "serve",
        "-m",
        str(folder),
        "--env-manager",
        "local",
        "--port",
        str(port),
    ]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | {
        "MLFLOW_TRACKING_URI": workspace.tracking.uri,
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "OMP_NUM_THREADS": "1",
        "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    server = subprocess.Popen(
        command,
        env=environment,
        cwd=folder,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until_reachable(f"http://127.0.0.1:{port}/ping", 90)
        body = json.dumps({"dataframe_split": json.loads(inputs.to_json(orient="split", date_format="iso"))}).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/invocations", body, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=30) as response:
            predictions = json.loads(response.read())["predictions"]
    finally:
        kill_process_tree(server)
    assert [prediction["score"] for prediction in predictions] == pytest.approx(
        model.predict(inputs)["score"].tolist(), rel=1e-9
    )


def test_saved_forest_is_as_small_as_its_pickle(model: RowModel, sample: Dataset, workspace: Workspace) -> None:
    forest = RowModel(list_detectors()["isolation-forest"](), BASELINE_CLASSES["calendar"]()).fit(sample)
    run, folder = save_run_with_model(forest, sample, workspace)
    load_model(run, RowModel, workspace)
    assert (folder / MODEL_FILE).stat().st_size < 1_000_000  # as a pickle: 991 kB


# ---- trusted classes ------------------------------------------------------------------------------------------------


def test_trusted_types_list_single_classes() -> None:
    names = list_trusted_types()
    ours = [name for name in names if not name.startswith(("sklearn.", "quantile_forest.", "pyod."))]
    assert {
        "core.detectors.row_model.RowModel",
        "core.detectors.tables.isolation_forest.IsolationForest",
        "core.detectors.baselines.CalendarBaseline",
        "core.data.quality.baseline.GroupMedian",
    } <= set(ours)
    assert {name.rpartition(".")[2] for name in set(names) - set(ours)} == {
        *("Tree", "TreePredictor", "RandomForestQuantileRegressor", "QuantileForest", "HBOS")
    }
    for name in ours:
        module, _, cls = name.rpartition(".")
        assert isinstance(getattr(sys.modules[module], cls), type)
        assert (
            module.startswith((*MODEL_PACKAGES, "core.evaluation.conformal"))
            or name == "core.data.quality.baseline.GroupMedian"
        )


@pytest.fixture
def marker(tmp_path: Path) -> Iterator[Path]:
    """Path of a file that must not exist at the end of the test."""
    path = tmp_path / "executed"
    yield path
    assert not path.exists()


def assert_load_rejected(run_id: str, workspace: Workspace, words: str) -> None:
    with pytest.raises(UnreadableFileError, match=words):
        load_model(run_id, RowModel, workspace)


def test_load_model_rejects_object_with_setstate(
    model: RowModel, sample: Dataset, workspace: Workspace, marker: Path
) -> None:
    run, folder = save_run_with_model(model, sample, workspace)
    model.rarity_scores_ = Trap(str(marker))  # type: ignore[assignment]  nested in a trusted class
    skops.io.dump(model, folder / MODEL_FILE)
    assert_load_rejected(run, workspace, "tests.core.runs.test_model_files.Trap")
    assert not marker.exists()
    skops.io.load(folder / MODEL_FILE, trusted=[*list_trusted_types(), "tests.core.runs.test_model_files.Trap"])
    assert marker.exists(), "the trap does not work, so the test proves nothing"
    marker.unlink()


def test_load_model_rejects_program_call(model: RowModel, sample: Dataset, workspace: Workspace, marker: Path) -> None:
    run, folder = save_run_with_model(model, sample, workspace)
    skops.io.dump(Command(["touch", str(marker)]), folder / MODEL_FILE)
    schema = rename_class(
        read_schema(folder / MODEL_FILE), ("tests.core.runs.test_model_files", "Command"), ("subprocess", "Popen")
    )
    with zipfile.ZipFile(folder / MODEL_FILE, "w") as archive:
        archive.writestr("schema.json", json.dumps(schema))
    assert_load_rejected(run, workspace, "subprocess.Popen")
    assert not marker.exists()
    assert skops.io.load(folder / MODEL_FILE, trusted=["subprocess.Popen"]).wait() == 0
    assert marker.exists(), "the trap does not work, so the test proves nothing"
    marker.unlink()


@pytest.mark.parametrize("protocol", [0, 1, 2])
def test_load_model_rejects_unlisted_class_name(
    model: RowModel, sample: Dataset, workspace: Workspace, protocol: int
) -> None:
    run, folder = save_run_with_model(model, sample, workspace)
    schema = rename_class(
        read_schema(folder / MODEL_FILE),
        ("core.detectors.row_model", "RowModel"),
        ("core.detectors.row_model", "Dataset"),
    )
    with zipfile.ZipFile(folder / MODEL_FILE, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("schema.json", json.dumps(schema | {"protocol": protocol}))
    assert_load_rejected(run, workspace, "core.detectors.row_model.Dataset")


def test_load_model_rejects_pickle(model: RowModel, sample: Dataset, workspace: Workspace, marker: Path) -> None:
    """Earlier versions stored pickles, and anyone with access to the folder can add one."""
    run, folder = save_run_with_model(model, sample, workspace)
    (folder / MODEL_FILE).unlink()
    (folder / PICKLE_FILE).write_bytes(pickle.dumps(PickledCall(marker)))
    assert_load_rejected(run, workspace, "pickle")
    (folder / MODEL_FILE).write_bytes(pickle.dumps(PickledCall(marker)))
    assert_load_rejected(run, workspace, "BadZipFile")
    with pytest.raises(UnreadableFileError):
        apply_model(ApplySpec(run), sample, workspace=workspace, actor=ALICE)
    pickle.loads((folder / PICKLE_FILE).read_bytes())
    assert marker.exists(), "the trap does not work, so the test proves nothing"
    marker.unlink()


def test_load_model_does_not_import_named_code(
    model: RowModel, sample: Dataset, workspace: Workspace, marker: Path
) -> None:
    run, folder = save_run_with_model(model, sample, workspace)
    (folder / "planted_loader.py").write_text(f"open({str(marker)!r}, 'w')\n")
    description = (folder / "MLmodel").read_text()
    assert "core.runs.model_loader" in description
    (folder / "MLmodel").write_text(description.replace("core.runs.model_loader", "planted_loader") + "\ncode: .\n")
    assert load_model(run, RowModel, workspace).columns_ == model.columns_


@pytest.mark.parametrize(("kept", "words"), [(0, "BadZipFile"), (2_000, "BadZipFile")])
def test_load_model_rejects_damaged_file(
    model: RowModel, sample: Dataset, workspace: Workspace, kept: int, words: str
) -> None:
    run, folder = save_run_with_model(model, sample, workspace)
    (folder / MODEL_FILE).write_bytes((folder / MODEL_FILE).read_bytes()[:kept])
    assert_load_rejected(run, workspace, words)


def test_load_model_rejects_other_model_type(model: RowModel, sample: Dataset, workspace: Workspace) -> None:
    run, folder = save_run_with_model(model, sample, workspace)
    skops.io.dump({"weights": np.zeros(3)}, folder / MODEL_FILE)
    assert_load_rejected(run, workspace, "dict, not RowModel")


def test_save_model_rejects_untrusted_type(model: RowModel, sample: Dataset, tmp_path: Path) -> None:
    model.note_ = Trap("")  # type: ignore[attr-defined]
    with pytest.raises(UntrustedModelError, match="Trap"):
        save_model(tmp_path / "model", model, make_input_table(sample))
    assert not (tmp_path / "model").exists()


def test_load_model_rejects_run_without_model(sample: Dataset, workspace: Workspace) -> None:
    with track_run("tests", "Nothing", {}, sample, ALICE, workspace) as run:
        (run.folder / "note.txt").touch()
    with pytest.raises(NotFoundError, match="has no saved model"):
        load_model(run.id, RowModel, workspace)
