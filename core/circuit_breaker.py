"""The circuit breaker with an error that pages can translate."""

from core.errors import ServiceUnavailableError
from core.messages import N_
from mlflow_utils.circuit_breaker import CircuitBreaker


class ServiceBreaker(CircuitBreaker):
    """A circuit breaker that raises ServiceUnavailableError."""

    def error(self) -> ServiceUnavailableError:
        """Make the error: which service does not answer, and why."""
        return ServiceUnavailableError(
            N_("{service} does not answer ({reason})."), service=self.service, reason=self.last_error
        )
