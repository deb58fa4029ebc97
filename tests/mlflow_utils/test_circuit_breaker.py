"""The circuit breaker: results, timeouts, waiting times, retries, single flight, error messages."""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from core.circuit_breaker import ServiceBreaker
from core.errors import ServiceUnavailableError
from mlflow_utils.circuit_breaker import NO_TIMEOUT_S, CallFailedError, CircuitBreaker


@pytest.fixture
def release() -> Iterator[threading.Event]:
    """Event that hanging calls wait for; it is set at the end of the test."""
    event = threading.Event()
    yield event
    event.set()


def raise_os_error() -> None:
    raise OSError("connection refused")


def measure_failure_s(breaker: CircuitBreaker, work: Callable[[], Any] = raise_os_error, **options: Any) -> float:
    """Return the seconds until the call fails."""
    began = time.monotonic()
    with pytest.raises(CallFailedError):
        breaker.call(work, **options)
    return time.monotonic() - began


def test_circuit_breaker_returns_result() -> None:
    breaker = CircuitBreaker("service", NO_TIMEOUT_S)
    assert breaker.call(lambda: 7) == 7
    assert (breaker.is_open, breaker.last_error) == (False, "")


def test_circuit_breaker_opens_after_failure_with_cause() -> None:
    breaker = CircuitBreaker("service")
    with pytest.raises(CallFailedError, match=r"service does not answer \(connection refused\)") as failure:
        breaker.call(raise_os_error)
    assert isinstance(failure.value.__cause__, OSError)
    assert (breaker.is_open, breaker.last_error) == (True, "connection refused")
    calls: list[int] = []
    with pytest.raises(CallFailedError, match="connection refused") as refusal:
        breaker.call(lambda: calls.append(1))
    assert (calls, refusal.value.__cause__) == ([], None)


def test_circuit_breaker_gives_up_hanging_call(release: threading.Event) -> None:
    breaker, calls = CircuitBreaker("service", 0.1), list[int]()
    assert measure_failure_s(breaker, release.wait) >= 0.1
    assert "no answer in 0.1 s" in breaker.last_error
    measure_failure_s(breaker, lambda: calls.append(1))
    assert calls == [], "an open breaker makes no call"
    breaker.reset()
    assert measure_failure_s(breaker, release.wait, timeout_s=0.3) >= 0.3
    assert not release.is_set(), "the calls still hang"


def test_circuit_breaker_treats_inner_timeout_as_failure() -> None:
    breaker = CircuitBreaker("service")
    with pytest.raises(CallFailedError) as failure:
        breaker.call(lambda: (_ for _ in ()).throw(TimeoutError("read timed out")))
    assert isinstance(failure.value.__cause__, TimeoutError)


def test_circuit_breaker_closes_after_time_or_reset() -> None:
    breaker = CircuitBreaker("service", reset_after_s=0.2)
    measure_failure_s(breaker)
    time.sleep(0.25)
    assert breaker.call(lambda: 1) == 1
    assert breaker.last_error == ""
    measure_failure_s(breaker)
    assert breaker.is_open
    breaker.reset()
    assert (breaker.call(lambda: 2), breaker.is_open) == (2, False)


def test_circuit_breaker_without_reset_time_stays_closed() -> None:
    breaker = CircuitBreaker("service", reset_after_s=0)
    measure_failure_s(breaker)
    assert not breaker.is_open
    assert breaker.call(lambda: 1) == 1


def test_circuit_breaker_passes_other_exceptions() -> None:
    breaker = CircuitBreaker("service")
    with pytest.raises(KeyError):
        breaker.call(lambda: {}["missing"], (OSError,))
    assert (breaker.is_open, breaker.last_error) == (False, "")
    with pytest.raises(SystemExit):
        breaker.call(lambda: (_ for _ in ()).throw(SystemExit(1)))
    assert not breaker.is_open


def test_circuit_breaker_doubles_reset_time_up_to_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("mlflow_utils.circuit_breaker.time.monotonic", lambda: now)
    breaker, pauses = CircuitBreaker("service", NO_TIMEOUT_S, 2.0, max_reset_after_s=60.0), []
    for _ in range(12):
        measure_failure_s(breaker)
        pauses.append(breaker._open_until - now)
        now = breaker._open_until
    assert all(low <= pause <= high for pause, (low, high) in zip(pauses, [(1, 2), (2, 4), (4, 8)], strict=False))
    assert all(30 <= pause <= 60 for pause in pauses[6:])
    assert len(set(pauses[6:])) > 1, "two processes do not retry at the same time"
    breaker.call(lambda: None)
    measure_failure_s(breaker)
    assert breaker._open_until - now <= 2, "a success resets the waiting time"


def test_circuit_breaker_makes_one_call_at_a_time(release: threading.Event) -> None:
    breaker = CircuitBreaker("service", 5.0, single_flight=True)
    active, active_counts = [], []

    def work(number: int) -> int:
        active.append(number)
        active_counts.append(len(active))
        time.sleep(0.02)
        active.remove(number)
        return number

    results: list[int] = []
    callers = [
        threading.Thread(target=lambda n=n: results.append(breaker.call(lambda: work(n))))  # type: ignore[misc]
        for n in range(8)
    ]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(10)
    assert sorted(results) == list(range(8))
    assert max(active_counts) == 1


def test_circuit_breaker_limits_wait_behind_hanging_call(release: threading.Event) -> None:
    breaker, began = CircuitBreaker("service", 0.3, reset_after_s=0, single_flight=True), time.monotonic()
    calls: list[int] = []
    assert measure_failure_s(breaker, release.wait) >= 0.3
    measure_failure_s(breaker, lambda: calls.append(1))  # the call in flight is already late
    measure_failure_s(breaker, lambda: calls.append(2), timeout_s=time.monotonic() - began + 0.2)
    assert calls == []
    release.set()
    breaker.wait(5)
    assert breaker.call(lambda: 3) == 3


def test_circuit_breaker_redacts_secrets(caplog: pytest.LogCaptureFixture) -> None:
    breaker = ServiceBreaker("service", redact=lambda text: text.replace("hunter2", "[removed]"))
    with pytest.raises(ServiceUnavailableError) as failure:
        breaker.call(lambda: (_ for _ in ()).throw(OSError("x" * 295 + "hunter2")))
    assert "hunt" not in breaker.last_error + str(failure.value) + caplog.text


def test_service_breaker_error_is_translatable() -> None:
    with pytest.raises(ServiceUnavailableError) as failure:
        ServiceBreaker("S3").call(raise_os_error)
    assert failure.value.message.template == "{service} does not answer ({reason})."
    assert str(failure.value) == "S3 does not answer (connection refused)."
