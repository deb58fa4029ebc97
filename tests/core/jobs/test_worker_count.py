"""The number of workers: the setting, else the cores and the memory of the machine or of its container."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from core.jobs import worker_count
from core.jobs.worker_count import GIB, choose_worker_count
from core.settings import Settings


@pytest.fixture
def container(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folder with the limits of a container on a large machine."""
    monkeypatch.setattr(worker_count, "CGROUP", tmp_path)
    monkeypatch.setattr(worker_count.os, "sched_getaffinity", lambda _pid: set(range(64)))
    monkeypatch.setattr(worker_count.psutil, "virtual_memory", lambda: type("Memory", (), {"total": 256 * GIB}))
    return tmp_path


@pytest.mark.parametrize(
    ("cores", "memory", "expected"),
    [
        ("max 100000", "max", 63),
        ("400000 100000", "max", 3),
        ("50000 100000", "max", 1),
        ("max 100000", str(6 * GIB), 4),
        ("800000 100000", str(GIB), 1),
        ("", "", 63),
    ],
)
def test_limits_of_a_container_bound_the_workers(container: Path, cores: str, memory: str, expected: int) -> None:
    (container / "cpu.max").write_text(cores)
    (container / "memory.max").write_text(memory)
    assert choose_worker_count(Settings(_env_file=None)) == expected


def test_machine_without_limits_uses_all_cores_but_one(container: Path) -> None:
    assert choose_worker_count(Settings(_env_file=None)) == 63


def test_setting_decides_the_number_of_workers() -> None:
    assert choose_worker_count(Settings(_env_file=None, vigie_workers=5)) == 5
    with pytest.raises(ValidationError, match="greater than or equal to 1"):
        Settings(_env_file=None, vigie_workers=0)
