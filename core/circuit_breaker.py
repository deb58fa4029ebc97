"""Circuit breaker with an error that pages can translate."""

import logging

from core.errors import ServiceUnavailableError
from core.messages import N_
from mlflow_utils.circuit_breaker import CircuitBreaker

logger = logging.getLogger(__name__)


class ServiceBreaker(CircuitBreaker):
    """A circuit breaker that raises ServiceUnavailableError, and logs a warning when it opens.

    The breakers of MLflow are plain `CircuitBreaker`s: their callers log the failure.
    """

    def make_error(self) -> ServiceUnavailableError:
        """Return the error that names the service and the reason."""
        return ServiceUnavailableError(
            N_("{service} does not answer ({reason})."), service=self.service, reason=self.last_error
        )

    def _open(self, reason: str) -> None:
        super()._open(reason)
        if self.reset_after_s:
            logger.warning("%s does not answer: %s", self.service, self.last_error)
