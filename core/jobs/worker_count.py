"""The number of worker processes: a setting, or what the cores and the memory of the machine allow."""

import os
from contextlib import suppress
from pathlib import Path

import psutil

from core.settings import Settings

CGROUP = Path("/sys/fs/cgroup")  # limits of a container
GIB = 1 << 30  # bytes
RESERVED_BYTES = 2 * GIB  # for the app, MLflow and the system
WORKER_BYTES = GIB  # an idle worker needs half of it


def choose_worker_count(settings: Settings) -> int:
    """Return VIGIE_WORKERS, or one less than the number of cores, at least 1, and fewer where memory is short."""
    if settings.vigie_workers is not None:
        return settings.vigie_workers
    return limit_worker_count(_count_cores(), _measure_memory())


def limit_worker_count(cores: int, memory_bytes: int) -> int:
    """Return the number of workers for a machine.

    Example:
        >>> limit_worker_count(8, 16 << 30), limit_worker_count(8, 4 << 30), limit_worker_count(1, 1 << 30)
        (7, 2, 1)
    """
    return max(min(cores - 1, (memory_bytes - RESERVED_BYTES) // WORKER_BYTES), 1)


def _count_cores() -> int:
    """Return the number of cores that this process may use."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with suppress(OSError, ValueError):
        quota, period = map(int, (CGROUP / "cpu.max").read_text().split())
        return max(min(cores, quota // period), 1)
    return cores  # the quota is "max", or there is none


def _measure_memory() -> int:
    """Return the memory that this process may use, in bytes."""
    total: int = psutil.virtual_memory().total
    with suppress(OSError, ValueError):
        return min(total, int((CGROUP / "memory.max").read_text()))
    return total
