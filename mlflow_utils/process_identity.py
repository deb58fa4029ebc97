"""Identity of a process that survives changes of the clock, to tell later whether it still runs."""

import os
import socket
import time
from pathlib import Path

import psutil

REMOTE_TTL_S = 6 * 3600.0
BOOT_ID_PATH = Path("/proc/sys/kernel/random/boot_id")


def identify_process() -> str:
    """Return host, number, start by the clock, and start since the boot of this process, separated by colons."""
    pid = os.getpid()
    return f"{socket.gethostname()}:{pid}:{psutil.Process(pid).create_time():.0f}:{_read_start(pid)}"


def is_alive(identity: str) -> bool:
    """Tell whether the process still runs. On another host it counts as alive for REMOTE_TTL_S."""
    host, pid, created, *start = identity.split(":")
    if host != socket.gethostname():
        return time.time() - float(created) < REMOTE_TTL_S
    if start and start[0]:
        return _read_start(int(pid)) == start[0]
    try:
        return f"{psutil.Process(int(pid)).create_time():.0f}" == created
    except psutil.Error:
        return False


def _read_start(pid: int) -> str:
    """Return boot and clock ticks of the start of a process, which do not depend on the time of day.

    Returns "" for a process that has ended, and on a system other than Linux.
    """
    try:
        boot = BOOT_ID_PATH.read_text(encoding="ascii").strip()
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return ""
    state, ticks = fields[0], fields[19]
    return "" if state in "ZX" else f"{boot}.{ticks}"
