"""Questions that may never be answered: asked in a thread of their own, waited for so long and no longer."""

import threading
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class CallTimeoutError(Exception):
    """Nothing was said in time; the question may still be answered."""


class OneAtATime:
    """Work of one kind, never two at once: who comes while it goes on waits for its end, or not at all if it is
    late.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._thread: threading.Thread | None = None
        self._began = 0.0
        self._starting = threading.Lock()

    def ask(self, work: Callable[[], T], seconds: float) -> T:
        """What `work` answers or raises. Raises CallTimeoutError after `seconds`; `work` then goes on in the
        background.
        """
        until = time.monotonic() + seconds
        answers: list[T] = []
        raised: list[BaseException] = []

        def run() -> None:
            try:
                answers.append(work())
            except BaseException as error:  # noqa: BLE001 carried to the caller below
                raised.append(error)

        thread = self._started(run, until, seconds)
        thread.join(max(until - time.monotonic(), 0.0))
        if answers:
            return answers[0]
        if raised:
            raise raised[0]
        raise CallTimeoutError(f"no answer in {seconds:.2g} s")

    def settle(self, seconds: float) -> None:
        """Wait for what goes on."""
        if self._thread is not None:
            self._thread.join(seconds)

    def _started(self, run: Callable[[], None], until: float, seconds: float) -> threading.Thread:
        if not self._starting.acquire(timeout=max(until - time.monotonic(), 0.0)):
            raise CallTimeoutError("others wait already")
        try:
            if self._thread is not None and self._thread.is_alive():
                self._thread.join(max(min(until, self._began + seconds) - time.monotonic(), 0.0))
                if self._thread.is_alive():
                    raise CallTimeoutError(f"no answer for {time.monotonic() - self._began:.2g} s")
            self._thread = threading.Thread(target=run, daemon=True, name=self.name)
            self._began = time.monotonic()
            self._thread.start()
            return self._thread
        finally:
            self._starting.release()
