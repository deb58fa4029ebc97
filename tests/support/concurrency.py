"""Calls that start at the same instant, and waiting for what other threads and processes do."""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from core.errors import ServiceUnavailableError, VigieError

CLIENT_ADDRESS = "192.0.2.7"
TIMEOUT_S = 60.0


def run_concurrently(count: int, work: Callable[[int], object]) -> list[object]:
    """Return the results of `work` in `count` threads that start together, errors included."""
    results: list[object] = []
    start = threading.Barrier(count)

    def run(number: int) -> None:
        start.wait()
        try:
            results.append(work(number))
        except VigieError as error:
            results.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def wait_until(condition: Callable[[], Any], timeout_s: float = TIMEOUT_S) -> Any:
    """Wait until `condition()` is true, and return its value. A database timeout is retried."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        with suppress(ServiceUnavailableError):
            if value := condition():
                return value
        time.sleep(0.02)
    raise AssertionError(f"the condition is not true after {timeout_s} s")
