"""Lock of the delivery to MLflow: one thread of one process at a time sends runs and names."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout


class DeliveryLock:
    """Lock for all threads and processes that deliver the runs of one spool `folder`."""

    def __init__(self, folder: Path) -> None:
        self._thread_lock = threading.Lock()
        self._process_lock = FileLock(folder / "delivery.lock")

    @contextmanager
    def hold(self, timeout_s: float) -> Iterator[None]:
        """Keep others from delivering meanwhile. Raises TimeoutError where another one still does after `timeout_s`."""
        if not self._thread_lock.acquire(timeout=timeout_s):
            raise TimeoutError("another thread is delivering")
        try:
            try:
                self._process_lock.acquire(timeout=timeout_s)
            except Timeout:
                raise TimeoutError("another process is delivering") from None
            try:
                yield
            finally:
                self._process_lock.release()
        finally:
            self._thread_lock.release()
