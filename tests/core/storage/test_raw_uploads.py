"""Uploaded raw records: kept for their job, deleted with it."""

import os
import time
from pathlib import Path

import pytest

from core.actor import Actor
from core.storage.raw_uploads import MAX_AGE_S, RawUploads
from core.workspace import Workspace

BOB = Actor("bob", "tests")


def save(uploads: RawUploads, name: str = "records.csv") -> str:
    [path] = uploads.save([(name, lambda path: path.write_text("a\n"))])
    return path


@pytest.mark.parametrize("name", ["../../etc/passwd", "..", ".hidden.csv", "a/b.csv", "voix né.csv", ""])
def test_names_stay_in_the_folder(tmp_path: Path, name: str) -> None:
    uploads = RawUploads(tmp_path / "raw")
    path = Path(save(uploads, name))
    assert path.read_text() == "a\n"
    assert path.resolve().is_relative_to(tmp_path / "raw")
    assert not path.name.startswith(".")


def test_discarding_leaves_other_files_alone(tmp_path: Path) -> None:
    uploads = RawUploads(tmp_path / "raw")
    first, second = save(uploads), save(uploads)
    other = tmp_path / "other.csv"
    other.write_text("a\n")
    uploads.discard(
        {"records": [str(other), first, f"{uploads.folder}/../other.csv", str(uploads.folder)], "by": "all"}
    )
    assert other.exists()
    assert Path(second).exists()
    assert not Path(first).exists()


def test_old_uploads_are_deleted_at_the_next_one(tmp_path: Path) -> None:
    uploads = RawUploads(tmp_path / "raw")
    old = Path(save(uploads))
    long_ago = time.time() - MAX_AGE_S - 60
    os.utime(old.parents[1], (long_ago, long_ago))
    save(uploads)
    assert not old.exists()


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    uploads = RawUploads(tmp_path / "raw")

    def fail(path: Path) -> None:
        path.write_text("half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        uploads.save([("records.csv", fail)])
    assert not list(uploads.folder.glob("*"))


def test_cancelled_job_loses_its_records_and_a_requeued_one_does_not(workspace: Workspace) -> None:
    waiting, running = save(workspace.raw_uploads), save(workspace.raw_uploads)
    job = workspace.jobs.submit("call_records", {"records": [waiting]}, BOB)
    workspace.jobs.cancel(job.key)
    assert not Path(waiting).exists()
    workspace.jobs.submit("call_records", {"records": [running]}, BOB)
    claimed = workspace.jobs.claim("worker")
    assert claimed is not None
    workspace.jobs.requeue(claimed)
    assert Path(running).exists()
    claimed = workspace.jobs.claim("worker")
    assert claimed is not None
    workspace.jobs.finish(claimed, "failed")
    assert not Path(running).exists()
