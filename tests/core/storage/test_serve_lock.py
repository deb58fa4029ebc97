"""The lock of `serve`: held by one process and its children, and free as soon as they have ended."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from core.storage import serve_lock
from core.storage.serve_lock import (
    LOCK_FILE,
    FolderInUseError,
    announce_mlflow,
    find_mlflow_address,
    lock_data_folder,
    unlock_data_folder,
)

APP, MLFLOW = "http://127.0.0.1:8501", "http://127.0.0.1:5000"


def test_second_lock_names_the_holder(tmp_path: Path) -> None:
    descriptor = lock_data_folder(tmp_path, APP, MLFLOW)
    with pytest.raises(FolderInUseError, match=f"process {os.getpid()} on .*{APP}.*MLFLOW_TRACKING_URI={MLFLOW}"):
        lock_data_folder(tmp_path, "http://127.0.0.1:8601", "http://127.0.0.1:5100")
    os.close(descriptor)
    os.close(lock_data_folder(tmp_path, APP, MLFLOW))


def test_mlflow_is_known_from_its_first_answer_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody asks the server, which does not run here: a page must not wait for it."""
    assert find_mlflow_address(tmp_path) == ""
    announce_mlflow(tmp_path)
    descriptor = lock_data_folder(tmp_path, APP, MLFLOW)
    assert find_mlflow_address(tmp_path) == ""
    announce_mlflow(tmp_path)
    assert find_mlflow_address(tmp_path) == MLFLOW
    with monkeypatch.context() as patch:
        patch.setattr(serve_lock, "is_alive", lambda _identity: False)
        assert find_mlflow_address(tmp_path) == "", "the process was killed"
    unlock_data_folder(descriptor)
    announce_mlflow(tmp_path)
    assert find_mlflow_address(tmp_path) == "", "the server has ended, and the app goes on"


def test_mlflow_of_another_process_is_not_announced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(serve_lock, "identify_process", lambda: "elsewhere:1:0:")
        descriptor = lock_data_folder(tmp_path, APP, MLFLOW)
    announce_mlflow(tmp_path)
    assert not json.loads((tmp_path / LOCK_FILE).read_text())["is_ready"]
    os.close(descriptor)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"process": "elsewhere:1:0:", "app": "", "mlflow": "", "started": ""}']
)
def test_file_without_lock_is_no_lock(tmp_path: Path, text: str) -> None:
    (tmp_path / LOCK_FILE).write_text(text + " " * 500)
    descriptor = lock_data_folder(tmp_path, APP, MLFLOW)
    assert json.loads((tmp_path / LOCK_FILE).read_text())["app"] == APP
    os.close(descriptor)


def test_child_keeps_the_lock_until_it_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The holder is dead, and its servers are ending: the next one waits for them, but not for ever."""
    descriptor = lock_data_folder(tmp_path, APP, MLFLOW)
    command = [sys.executable, "-c", "input()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, pass_fds=[descriptor]) as child:
        os.close(descriptor)
        monkeypatch.setattr(serve_lock, "is_alive", lambda _identity: False)
        monkeypatch.setattr(serve_lock, "WAIT_S", 0.3)
        with pytest.raises(FolderInUseError):
            lock_data_folder(tmp_path, APP, MLFLOW)
        monkeypatch.setattr(serve_lock, "WAIT_S", 60.0)
        monkeypatch.setattr(serve_lock.time, "sleep", lambda _seconds: child.communicate(b"\n"))
        os.close(lock_data_folder(tmp_path, APP, MLFLOW))
