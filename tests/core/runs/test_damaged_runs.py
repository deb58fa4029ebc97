"""Damaged files of runs: fetched from MLflow again, else refused by name; other runs are not touched."""

from pathlib import Path
from shutil import rmtree

import pytest

from core.actor import Actor
from core.data.dataset import Dataset
from core.errors import NotFoundError
from core.runs.stored_runs import check_files, load_run
from core.runs.tracked_run import track_run
from core.storage.durable_files import CHECKSUMS_FILE, find_damage
from core.workspace import Workspace
from mlflow_utils import runs
from tests.support.damage import KINDS, damage_file

RESULT = Path("result") / "result.json"


def track_run_with_files(dataset: Dataset, workspace: Workspace) -> tuple[str, Path]:
    """Track a run with a result; return its id and the folder of its files."""
    with track_run("tests", "Nothing", {}, dataset, Actor("alice", "tests"), workspace) as run:
        (run.folder / RESULT).parent.mkdir()
        (run.folder / RESULT).write_text('{"answer": 42}')
    assert run.delivered
    return run.id, run.folder


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_result_is_fetched_from_mlflow(kind: str, workspace: Workspace, sample: Dataset) -> None:
    run, folder = track_run_with_files(sample, workspace)
    damage_file(folder / RESULT, kind)
    stored = load_run(run, workspace)
    check_files(stored, "result")
    assert (stored.files / RESULT).read_text() == '{"answer": 42}'
    assert find_damage(folder) == ""


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_result_that_mlflow_lacks_is_named(kind: str, workspace: Workspace, sample: Dataset) -> None:
    run, folder = track_run_with_files(sample, workspace)
    other, _folder = track_run_with_files(sample, workspace)
    damage_file(folder / RESULT, kind)
    rmtree(workspace.folder / "mlartifacts")
    stored = load_run(run, workspace)
    with pytest.raises(NotFoundError, match=r"damaged \(result/result\.json\)"):
        check_files(stored, "result")
    check_files(stored, "model")
    check_files(load_run(other, workspace), "result")


def test_run_that_waits_keeps_its_damaged_files(workspace: Workspace, sample: Dataset) -> None:
    run, folder = track_run_with_files(sample, workspace)
    record = workspace.tracking.spool.find_run(run)
    assert record is not None
    workspace.tracking.spool.save_run(record, "waiting")
    damage_file(folder / RESULT, "flipped")
    load_run(run, workspace)
    assert (folder / RESULT).read_text() != '{"answer": 42}'


def test_download_that_fails_leaves_no_partial_run(
    workspace: Workspace, sample: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, folder = track_run_with_files(sample, workspace)
    rmtree(folder)
    client = workspace.tracking.open_client()

    def download_half(_run: str, _path: str, target: str) -> None:
        (Path(target) / CHECKSUMS_FILE).write_text("{}")
        raise OSError("connection lost")

    monkeypatch.setattr(client, "download_artifacts", download_half)
    with pytest.raises(OSError, match="connection lost"):
        runs._download_files(client, run, folder)
    assert not folder.exists()
    assert (load_run(run, workspace).files / RESULT).read_text() == '{"answer": 42}'
