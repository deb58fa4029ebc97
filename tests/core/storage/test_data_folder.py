"""The data folder: its format, who may read it, disks that are full or read-only, and a clock that goes back."""

import json
import os
import resource
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from core import __version__
from core.errors import VigieError
from core.settings import ROOT
from core.storage import jobs as job_store
from core.storage.data_folder import CURRENT_FORMAT, FORMAT_FILE, open_data_folder
from core.storage.durable_files import write_durably
from core.storage.job import WorkerHeartbeat
from core.storage.jobs import JobStore
from mlflow_utils import process_identity
from mlflow_utils.process_identity import identify_process, is_alive
from tests.conftest import Command
from tests.support.commands import assert_one_line_error


def read_format(folder: Path) -> int:
    return int(json.loads((folder / FORMAT_FILE).read_text())["format"])


def test_new_data_folder_states_its_format(tmp_path: Path) -> None:
    open_data_folder(tmp_path / "a" / "data")
    assert read_format(tmp_path / "a" / "data") == CURRENT_FORMAT


def test_data_folder_of_earlier_version_is_closed_to_others(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "events").mkdir()
    open_data_folder(tmp_path)
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o700
    assert read_format(tmp_path) == CURRENT_FORMAT


def test_data_folder_of_later_version_is_refused_and_unchanged(tmp_path: Path, vigie: Command) -> None:
    data = tmp_path / "data"
    text = json.dumps({"format": CURRENT_FORMAT + 1, "version": "99.0"})
    (data / FORMAT_FILE).write_text(text)
    before = sorted(data.rglob("*"))
    with pytest.raises(VigieError, match=r"version 99\.0"):
        open_data_folder(data)
    for command, code in ((["health"], 2), (["runs", "list"], 1), (["worker", "--once"], 1)):
        assert_one_line_error(vigie(*command), code, "written by version 99.0 of Vigie")
    assert (data / FORMAT_FILE).read_text() == text
    assert sorted(data.rglob("*")) == before


@pytest.mark.parametrize(
    "text", ["", "{", "null", "[2]", '{"format": "two"}', '{"format": -5, "version": "x"}', "\x00"]
)
def test_damaged_format_file_is_written_again(text: str, tmp_path: Path) -> None:
    (tmp_path / FORMAT_FILE).write_text(text)
    open_data_folder(tmp_path)
    assert read_format(tmp_path) == CURRENT_FORMAT


def test_data_folder_that_is_a_file_is_one_line(tmp_path: Path, vigie: Command) -> None:
    (tmp_path / "file").write_text("no folder")
    process = vigie("health", VIGIE_DATA_DIR=str(tmp_path / "file"))
    assert_one_line_error(process, 2, "cannot be used")


def test_read_only_data_folder_is_reported_by_health(tmp_path: Path, vigie: Command) -> None:
    data = tmp_path / "data"
    if subprocess.run(["mount", "--bind", str(data), str(data)], capture_output=True, check=False).returncode:
        pytest.skip("mounting needs root")
    try:
        assert "not writable" not in vigie("health").stdout
        subprocess.run(["mount", "-o", "remount,ro,bind", str(data)], check=True)
        process = vigie("health")
        assert process.returncode == 2
        assert "is not writable" in process.stdout
        assert "Traceback" not in process.stderr
        new = vigie("health", VIGIE_DATA_DIR=str(data / "new"))
        assert_one_line_error(new, 2, "cannot be used")
    finally:
        subprocess.run(["umount", "-l", str(data)], check=True)


@pytest.mark.parametrize(
    "damage", ["runs/spool.db", "mlflow.db", "jobs/jobs.db", "accounts.db"], ids=lambda path: Path(path).stem
)
def test_health_says_where_a_damaged_file_went(damage: str, tmp_path: Path, vigie: Command) -> None:
    path = tmp_path / "data" / damage
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"this is no database\n" * 500)
    process = vigie("health")
    assert "Traceback" not in process.stderr
    [aside] = path.parent.glob(f"{path.name}.moved-*")
    assert aside.read_bytes() == b"this is no database\n" * 500
    assert str(aside) in process.stdout
    again = vigie("health")
    assert again.returncode == 1, "it needs attention, and nothing fails"
    assert str(aside) in again.stdout
    aside.unlink()
    assert "moved" not in vigie("health").stdout


# ---- a full disk ----------------------------------------------------------------------------------------------------


def test_file_beyond_the_limit_leaves_the_former_one(tmp_path: Path) -> None:
    path = tmp_path / "views.json"
    write_durably(path, b"before")
    script = f"""
import resource, signal, sys
sys.path.insert(0, {str(ROOT)!r})
from pathlib import Path
from core.storage.durable_files import write_durably
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    write_durably(Path({str(path)!r}), b"x" * 100_000)
except OSError:
    sys.exit(3)
"""
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 3
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 4096, "the limit is that of the other process"


# ---- who may read it ------------------------------------------------------------------------------------------------


def test_files_of_commands_are_private(tmp_path: Path, vigie: Command) -> None:
    assert vigie("health").returncode == 0, "nothing runs, and no job waits"
    process = vigie("sample", "gas_daily", "--out", tmp_path / "data" / "gas.csv")
    assert process.returncode == 0, process.stderr
    assert vigie("worker", "--once").returncode == 0
    given = {tmp_path / "data", tmp_path / "data" / "mlflow.db"}  # made by the test
    open_to_others = [
        path for path in (tmp_path / "data").rglob("*") if path not in given and path.stat().st_mode & 0o077
    ]
    assert open_to_others == []


# ---- a clock that goes back -----------------------------------------------------------------------------------------


def test_dead_worker_of_the_future_is_not_listed(tmp_path: Path) -> None:
    store = JobStore(tmp_path)
    store.record_worker(WorkerHeartbeat("w" * 32, "host", 1, False))
    assert len(store.list_workers()) == 1
    store._database.write(
        lambda session: session.execute(job_store.WORKERS.update().values(heartbeat=job_store.now() + 7200))
    )
    assert store.list_workers() == []
    store.close()


def test_job_leased_before_the_clock_went_back_is_taken_over(tmp_path: Path) -> None:
    from core.actor import Actor

    store = JobStore(tmp_path)
    store.submit("tests", {}, Actor("alice", "tests"))
    assert store.claim("first") is not None
    assert store.claim("second") is None
    store._database.write(
        lambda session: session.execute(job_store.JOBS.update().values(lease_until=job_store.now() + 86_400))
    )
    assert store.claim("second") is not None
    store.close()


def test_process_is_alive_whatever_the_clock_says(monkeypatch: pytest.MonkeyPatch) -> None:
    identity = identify_process()
    host, pid, created, start = identity.split(":")
    assert is_alive(identity)
    assert is_alive(f"{host}:{pid}:{int(created) - 86_400}:{start}"), "the clock went back a day"
    assert not is_alive(f"{host}:{pid}:{created}:{start}0"), "another process with the same number"
    assert is_alive(f"{host}:{pid}:{created}"), "as an earlier version wrote it"
    assert not is_alive(f"{host}:{2**22 + 1}:{created}:{start}")
    monkeypatch.setattr(process_identity, "_read_start", lambda _pid: "")
    assert is_alive(f"{host}:{os.getpid()}:{created}:"), "a system without /proc"


def test_killed_process_is_not_alive() -> None:
    with subprocess.Popen(["sleep", "60"]) as process:
        host, _pid, created, _start = identify_process().split(":")
        identity = f"{host}:{process.pid}:{created}:{process_identity._read_start(process.pid)}"
        assert is_alive(identity)
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert not is_alive(identity), "a process that nobody has waited for counts as alive"
    assert not is_alive(identity)


def test_format_names_the_version_that_wrote_it(tmp_path: Path) -> None:
    open_data_folder(tmp_path)
    assert json.loads((tmp_path / FORMAT_FILE).read_text())["version"] == __version__
