"""Uploads that arrive: limits for all processes together, aborted ones, full disks, folders of killed processes."""

import errno
import os
from pathlib import Path

import psutil
import pytest

from core.storage import staged_uploads
from core.storage.staged_uploads import NoRoomError, StagedUploads, UploadLimits

LIMITS = UploadLimits(user_bytes=100, total_bytes=150)


@pytest.fixture
def store(tmp_path: Path) -> StagedUploads:
    return StagedUploads(tmp_path)


def upload(store: StagedUploads, content: bytes, file_id: str = "a", user: str = "ada", size: int = 0) -> None:
    staged_upload = store.reserve("tab", file_id, user, size or len(content), LIMITS)
    staged_upload.write(content)
    staged_upload.finish()


def read(store: StagedUploads, file_id: str = "a", session: str = "tab") -> bytes | None:
    path = store.find(session, file_id)
    return None if path is None else path.read_bytes()


@pytest.mark.parametrize("content", [b"", b"1", b"12" * 40])
def test_staged_upload_is_found_once_it_is_complete(content: bytes, store: StagedUploads) -> None:
    staged_upload = store.reserve("tab", "a", "ada", 90, LIMITS)
    staged_upload.write(content)
    assert read(store) is None
    staged_upload.finish()
    staged_upload.discard()
    assert read(store) == content, "the announced size includes the form"
    assert read(store, session="other tab") is None


def test_staged_upload_replaces_an_older_one(store: StagedUploads) -> None:
    upload(store, b"12")
    upload(store, b"3")
    assert read(store) == b"3"


def test_limits_hold_while_uploads_arrive_and_for_all_processes(store: StagedUploads, tmp_path: Path) -> None:
    other_process = StagedUploads(tmp_path)
    arriving = store.reserve("tab", "a", "ada", 80, LIMITS)
    for process in (store, other_process):
        with pytest.raises(NoRoomError):
            process.reserve("tab", "b", "ada", 21, LIMITS)
    upload(other_process, b"1" * 60, user="bob")
    with pytest.raises(NoRoomError):
        other_process.reserve("tab", "c", "eve", 11, LIMITS)
    arriving.discard()
    upload(other_process, b"1" * 90, user="ada")


def test_limit_per_user_does_not_hold_where_nobody_signs_in(store: StagedUploads) -> None:
    upload(store, b"1" * 120, user="")
    with pytest.raises(NoRoomError):
        upload(store, b"1" * 31, "b", user="")


def test_removed_and_aborted_uploads_leave_nothing(store: StagedUploads, tmp_path: Path) -> None:
    upload(store, b"1")
    upload(store, b"2", "b")
    store.remove("tab", "a")
    assert (read(store, "a"), read(store, "b")) == (None, b"2")
    store.reserve("tab", "c", "ada", 5, LIMITS).discard()
    assert store.list_sessions() == {"tab"}
    store.remove("tab")
    assert store.list_sessions() == set()
    assert not [path for path in tmp_path.glob("*/**/*") if path.is_file()]


def test_upload_to_a_full_disk_is_refused_before_it_arrives(store: StagedUploads, tmp_path: Path) -> None:
    size = psutil.disk_usage(str(tmp_path)).free * 2
    with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
        store.reserve("tab", "a", "", size, UploadLimits(2 * size, 2 * size))
    assert store.list_sessions() == set()


def test_uploads_of_a_killed_process_are_deleted_by_the_next(store: StagedUploads, tmp_path: Path) -> None:
    living, killed = StagedUploads(tmp_path), StagedUploads(tmp_path)
    for process in (living, killed):
        process.open()
        upload(process, b"1")
    killed._process_lock.release()  # as the system does for a killed process
    store.open()
    assert (read(living), read(killed)) == (b"1", None)
    for process in (living, store):
        process.close()
    assert [path.name for path in tmp_path.iterdir()] == [staged_uploads.FOLDER_LOCK]
