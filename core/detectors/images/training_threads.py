"""Threads of a training: no more than there are idle cores.

Threads wait for each other after every operation. One that finds no core makes the others wait, and two are then slower
than one.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

from core.lazy_import import LazyModule

if TYPE_CHECKING:
    import psutil
    import torch
else:
    psutil = LazyModule("psutil")
    torch = LazyModule("torch")

MEASURED_S = 0.2
IDLE_SHARE = 0.7  # of a core that takes a thread


@contextmanager
def use_idle_cores() -> Iterator[None]:
    """Run a block with as many threads of torch as there are idle cores; restore their number afterwards.

    A worker process has one thread and keeps it.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(min(threads, count_idle_cores()) if threads > 1 else 1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@cache
def count_idle_cores() -> int:
    """Return the number of cores that other processes leave, at least 1.

    It is measured once per process: the number of threads decides the last digits of a result, so the same seed gives
    the same one.
    """
    shares = psutil.cpu_percent(interval=MEASURED_S, percpu=True)
    return max(math.floor(sum(1 - share / 100 for share in shares) + 1 - IDLE_SHARE), 1)
