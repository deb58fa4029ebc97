"""Calls that start at the same instant."""

import threading
from collections.abc import Callable

from core.errors import VigieError

CLIENT_ADDRESS = "192.0.2.7"


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
