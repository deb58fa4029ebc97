"""Services that may not answer: asked for so long and no longer, then left alone for a while."""

import logging
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from core.errors import ServiceUnavailableError
from core.messages import N_

T = TypeVar("T")
logger = logging.getLogger(__name__)


class Patience:
    """How long one service is waited for.

    service    its name, for messages
    seconds    the longest that a caller waits; work that takes longer ends in the background, and its answer is dropped
    down_for   for so many seconds a service that failed is not asked again
    """

    def __init__(self, service: str, seconds: float = 1.5, down_for: float = 5.0) -> None:
        self.service, self.seconds, self.down_for = service, seconds, down_for
        self.last_error = ""
        self._down_until = 0.0

    def ask(self, work: Callable[[], T], failures: tuple[type[Exception], ...] = (Exception,)) -> T:
        """What `work` answers.

        Raises ServiceUnavailableError where it takes too long or raises one of `failures`; others go on.
        """
        if time.monotonic() < self._down_until:
            raise self._unreachable()
        answers: list[T] = []
        raised: list[BaseException] = []

        def run() -> None:
            try:
                answers.append(work())
            except BaseException as error:  # noqa: BLE001 carried to the caller below
                raised.append(error)

        thread = threading.Thread(target=run, daemon=True, name=f"ask {self.service}")
        thread.start()
        thread.join(self.seconds)
        if answers:
            self.last_error = ""
            return answers[0]
        if raised and not isinstance(raised[0], failures):
            raise raised[0]
        self._down_until = time.monotonic() + self.down_for
        self.last_error = str(raised[0]) if raised else f"no answer in {self.seconds} s"
        logger.warning("%s does not answer: %s", self.service, self.last_error)
        raise self._unreachable() from (raised[0] if raised else None)

    def try_again(self) -> None:
        """Ask at the next call, whatever happened before."""
        self._down_until = 0.0

    def _unreachable(self) -> ServiceUnavailableError:
        return ServiceUnavailableError(
            N_("{service} does not answer ({reason})."), service=self.service, reason=self.last_error
        )
