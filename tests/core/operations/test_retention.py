"""Removal of what is old: whatever was created, named, registered and pruned, everything on record still opens."""

import os
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core import jobs
from core.actor import Actor
from core.data.dataset import Dataset
from core.errors import OptionError, ServiceUnavailableError
from core.operations.retention import DAY_S, measure_parts, parse_age, prune
from core.runs.stored_runs import load_run
from core.runs.tracked_run import track_run
from core.storage.backup import lock_deletions
from core.workspace import Workspace
from mlflow_utils import registry
from mlflow_utils.model_io import MODEL_FILE
from mlflow_utils.registry import MODEL_FOLDER
from tests.conftest import Command, create_workspace

ACTOR = Actor("alice", "tests")
OLD_S = 100 * DAY_S
AGE_S = 90 * DAY_S


def make_old(folder: Path) -> None:
    """Let everything below a folder have been changed 100 days ago."""
    then = time.time() - OLD_S
    for path in [*folder.rglob("*"), folder]:
        if not path.name.endswith((".db", ".lock")):
            os.utime(path, (then, then))


def make_dataset(number: int, sample: Dataset) -> Dataset:
    return sample.take_rows(np.arange(number, len(sample)))


def track_model(dataset: Dataset, workspace: Workspace) -> str:
    """Track a run with a file of a model; return its id."""
    with track_run("tests", "Nothing", {}, dataset, ACTOR, workspace) as run:
        path = run.folder / MODEL_FOLDER / MODEL_FILE
        path.parent.mkdir(parents=True)
        path.write_text(dataset.digest)
    return run.id


def list_parts(workspace: Workspace) -> list[str]:
    return [removal.part for removal in prune(workspace, AGE_S)]


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("load"), st.integers(1, 3)),
        st.tuples(st.just("run"), st.integers(1, 3)),
        st.tuples(st.sampled_from(["name", "register", "age", "prune", "wait"]), st.integers(0, 5)),
    ),
    min_size=3,
    max_size=14,
)


@settings(max_examples=8)
@given(steps=STEPS)
def test_everything_on_record_opens_after_pruning(
    steps: list[tuple[str, int]], sample: Dataset, empty_store: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    workspace = create_workspace(tmp_path_factory.mktemp("data"), empty_store)
    datasets = {number: make_dataset(number, sample) for number in (1, 2, 3)}
    runs: list[tuple[str, Dataset]] = []
    for step, number in [*steps, ("age", 0), ("prune", 0)]:
        if step == "load":
            workspace.datasets.save(datasets[number])
        elif step == "run":
            workspace.datasets.save(datasets[number])
            runs.append((track_model(datasets[number], workspace), datasets[number]))
        elif step == "age":
            make_old(workspace.folder)
        elif step == "prune":
            prune(workspace, AGE_S)
        elif runs:
            run, _dataset = runs[number % len(runs)]
            record = load_run(run, workspace).record
            if step == "name":
                workspace.tracking.rename_run(record, f"name {number}")
            elif step == "register":
                workspace.tracking.deliver_pending()
                candidate = registry.load_candidate(workspace.tracking, run)
                registry.register(workspace.tracking, candidate, "model", None, "alice")
            else:  # its delivery has to be repeated
                workspace.tracking.spool.save_run(record, "waiting")
    for run, dataset in runs:
        assert workspace.datasets.load(dataset.digest).digest == dataset.digest
        stored = load_run(run, workspace)
        assert (stored.files / MODEL_FOLDER / MODEL_FILE).read_text() == dataset.digest
        assert load_run(stored.record.key, workspace).record.id == stored.record.id
    used = {dataset.digest for _run, dataset in runs}
    assert {path.name for path in workspace.datasets.folder.glob("[0-9a-f]*")} == used, "others are removed"
    shutil.rmtree(workspace.folder)


def test_only_what_is_old_and_unneeded_is_removed(workspace: Workspace, sample: Dataset) -> None:
    workspace.datasets.save(make_dataset(1, sample))
    track_model(make_dataset(2, sample), workspace)
    workspace.datasets.save(make_dataset(2, sample))
    for name in ("renderings/a", "answers/ab/question.json", "jobs/lost/checkpoint", "jobs/raw-uploads/x/1/calls.csv"):
        (workspace.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (workspace.folder / name).write_text("{}")
    (workspace.events.folder / "events-2020-01.jsonl").write_text("{}\n")
    assert prune(workspace, AGE_S) == []
    make_old(workspace.folder)
    (workspace.folder / "renderings" / "new").write_text("")
    rehearsal = prune(workspace, AGE_S, is_rehearsal=True)
    parts = ["runs", "datasets", "jobs", "renderings", "answers", "events"]
    assert [removal.part for removal in rehearsal] == parts
    assert all(removal.path.exists() and removal.total_bytes for removal in rehearsal)
    assert prune(workspace, AGE_S) == rehearsal
    assert not any(removal.path.exists() for removal in rehearsal)
    assert (workspace.folder / "renderings" / "new").exists()
    assert (workspace.folder / "jobs" / "raw-uploads" / "x" / "1" / "calls.csv").exists()
    assert prune(workspace, AGE_S) == []


def test_data_and_checkpoints_of_unfinished_jobs_stay(workspace: Workspace, sample: Dataset) -> None:
    workspace.datasets.save(sample)
    job = jobs.submit("clusters", {"dataset": sample.digest}, workspace=workspace, actor=ACTOR)
    checkpoint = workspace.jobs.checkpoint_folder(job) / "step"
    checkpoint.parent.mkdir(parents=True)
    checkpoint.write_text("3")
    make_old(workspace.folder)
    assert list_parts(workspace) == []
    workspace.jobs.cancel(job.key)
    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    checkpoint.write_text("3")
    make_old(workspace.folder)
    assert list_parts(workspace) == ["datasets", "jobs"]


@pytest.mark.parametrize("loss", ["deleted", "changed", "run"])
def test_run_that_mlflow_has_lost_keeps_its_files(loss: str, workspace: Workspace, sample: Dataset) -> None:
    run = track_model(sample, workspace)
    [copy] = (workspace.folder / "mlartifacts").rglob(MODEL_FILE.name)
    if loss == "run":
        workspace.tracking.open_client().delete_run(run)
    elif loss == "deleted":
        copy.unlink()
    else:
        copy.write_text(sample.digest[::-1])
    make_old(workspace.folder)
    assert list_parts(workspace) == []
    assert (load_run(run, workspace).files / MODEL_FOLDER / MODEL_FILE).read_text() == sample.digest


def test_nothing_is_removed_where_it_is_not_known_what_is_needed(
    tmp_path: Path, empty_store: Path, sample: Dataset
) -> None:
    workspace = create_workspace(tmp_path, empty_store, "http://127.0.0.1:9")
    workspace.datasets.save(sample)
    make_old(tmp_path)
    with pytest.raises(ServiceUnavailableError, match="MLflow does not answer"):
        prune(workspace, AGE_S)
    assert workspace.datasets.load(sample.digest).digest == sample.digest


def test_backup_and_prune_exclude_each_other(workspace: Workspace) -> None:
    with lock_deletions(workspace.folder), pytest.raises(ServiceUnavailableError, match="Another backup or prune"):
        prune(workspace, AGE_S)


@pytest.mark.parametrize("text", ["", "soon", "90", "-90d", "0d", "23h", "3 months", "nan d"])
def test_age_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(OptionError):
        parse_age(text)


def test_parts_are_measured(workspace: Workspace, sample: Dataset) -> None:
    workspace.datasets.save(sample)
    (workspace.folder / "events").mkdir()
    (workspace.folder / "events" / "events-2020-01.jsonl").write_bytes(b"x" * 1000)
    sizes = {part.label: (part.files, part.total_bytes) for part in measure_parts(workspace)}
    assert sizes["Event log"] == (1, 1000)
    folder = workspace.datasets.folder
    assert sizes["Datasets"][1] == sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    assert "Covariates" not in sizes


def test_prune_command(vigie: Command, tmp_path: Path) -> None:
    assert vigie("prune", "--older-than", "tomorrow").returncode == 2
    path = tmp_path / "data" / "renderings" / "old"
    path.parent.mkdir()
    path.write_text("x" * 1_000_000)
    os.utime(path, (1, 1))
    process = vigie("prune", "--older-than", "90d", "--dry-run")
    assert (process.returncode, process.stdout) == (0, f"{path}\n"), process.stderr
    assert "renderings: 1 would be removed, 1.0 MB" in process.stderr
    assert vigie("prune", "--older-than", "90d").stdout == "renderings: 1 removed, 1.0 MB\n"
    assert not path.exists()
