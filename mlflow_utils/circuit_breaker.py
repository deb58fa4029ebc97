"""Circuit breaker for calls to services: a timeout for each call, and a pause after failures."""

import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import Any, TypeVar

T = TypeVar("T")
NO_TIMEOUT_S = threading.TIMEOUT_MAX
MAX_ERROR_LENGTH = 300


class CallFailedError(Exception):
    """Failure or timeout of a service, or a call while the breaker is open."""


class CircuitBreaker:
    """Circuit breaker that limits the time callers wait for one service.

    service            name of the service, for messages
    timeout_s          maximum wait of a caller; a longer call ends in the background
    reset_after_s      time after a failure during which the breaker is open: every call fails at once; 0 never opens
    max_reset_after_s  where larger than `reset_after_s`, that time doubles with every consecutive failure up to this
                       limit (exponential backoff), with random jitter of up to half
    single_flight      at most one call at a time; a later caller waits for the end of the call in flight, at most its
                       own timeout, and fails at once where that call is already late
    redact             removes secrets from the text of an error
    last_error         error of the last call; "" after a success
    """

    def __init__(
        self,
        service: str,
        timeout_s: float = 1.5,
        reset_after_s: float = 5.0,
        *,
        max_reset_after_s: float = 0.0,
        single_flight: bool = False,
        redact: Callable[[str], str] = str,
    ) -> None:
        self.service, self.timeout_s, self.reset_after_s = service, timeout_s, reset_after_s
        self.max_reset_after_s, self.single_flight = max_reset_after_s, single_flight
        self.last_error = ""
        self._redact = redact
        self._failures, self._open_until = 0, 0.0
        self._start_lock = threading.Lock()
        self._in_flight: Future[Any] | None = None
        self._started_s = 0.0

    @property
    def is_open(self) -> bool:
        """True while every call fails at once after a failure."""
        return time.monotonic() < self._open_until

    def call(
        self,
        work: Callable[[], T],
        failures: tuple[type[Exception], ...] = (Exception,),
        timeout_s: float | None = None,
    ) -> T:
        """Return the result of `work`.

        timeout_s   timeout of this call; by default that of the breaker

        Raises `self.make_error()` where the breaker is open, the call lasts too long or raises one of `failures`, which
        is then its cause. Other exceptions propagate and do not count as failures of the service.
        """
        if self.is_open:
            raise self.make_error()
        limit_s = self.timeout_s if timeout_s is None else timeout_s
        try:
            result = self._run(work, limit_s)
        except _CallTimeoutError as error:
            self._open(str(error))
            raise self.make_error() from None
        except failures as error:
            self._open(str(error) or type(error).__name__)
            raise self.make_error() from error
        self.reset()
        self.last_error = ""
        return result

    def reset(self) -> None:
        """Close the breaker, so that the next call is made."""
        self._failures, self._open_until = 0, 0.0

    def wait(self, timeout_s: float) -> None:
        """Wait for the end of the call in flight."""
        if self._in_flight is not None:
            wait([self._in_flight], timeout_s)

    def make_error(self) -> Exception:
        """Return the exception for callers, with `last_error` as the reason."""
        return CallFailedError(f"{self.service} does not answer ({self.last_error})")

    def _open(self, reason: str) -> None:
        self.last_error = self._redact(reason)[:MAX_ERROR_LENGTH]
        pause_s = self.reset_after_s
        if self.max_reset_after_s > pause_s:
            pause_s = min(self.max_reset_after_s, pause_s * 2 ** min(self._failures, 30)) * random.uniform(0.5, 1.0)
        self._failures += 1
        self._open_until = time.monotonic() + pause_s

    def _run(self, work: Callable[[], T], limit_s: float) -> T:
        """Run `work` in its own thread. Raises _LateError after `limit_s` seconds, and the errors of `work`."""
        deadline = time.monotonic() + limit_s
        call = self._start_single_call(work, deadline, limit_s) if self.single_flight else self._start_call(work)
        if not wait([call], _remaining_s(deadline)).done:
            raise _CallTimeoutError(f"no answer in {limit_s:.2g} s")
        return call.result()

    def _start_call(self, work: Callable[[], T]) -> "Future[T]":
        call: Future[T] = Future()

        def run() -> None:
            try:
                call.set_result(work())
            except BaseException as error:  # noqa: BLE001 carried to the caller
                call.set_exception(error)

        threading.Thread(target=run, daemon=True, name=f"call {self.service}").start()
        return call

    def _start_single_call(self, work: Callable[[], T], deadline: float, limit_s: float) -> "Future[T]":
        if not self._start_lock.acquire(timeout=_remaining_s(deadline)):
            raise _CallTimeoutError("others wait already")
        try:
            if self._in_flight is not None:
                self.wait(_remaining_s(min(deadline, self._started_s + limit_s)))
                if not self._in_flight.done():
                    raise _CallTimeoutError(f"no answer for {time.monotonic() - self._started_s:.2g} s")
            self._started_s = time.monotonic()
            self._in_flight = call = self._start_call(work)
            return call
        finally:
            self._start_lock.release()


class _CallTimeoutError(Exception):
    """A call that did not end in time."""


def _remaining_s(deadline: float) -> float:
    return max(deadline - time.monotonic(), 0.0)
