"""Elasticsearch server with call records: its address, and requests with bounded retries."""

import random
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, TypeVar
from urllib.parse import SplitResult, urlsplit

from core.errors import OptionError, ServiceUnavailableError
from core.messages import N_
from core.progress import Progress
from core.redaction import remove_secrets
from core.settings import Settings

T = TypeVar("T")

DEFAULT_PORTS = {"http": 80, "https": 443}
REQUEST_TIMEOUT_S = 60.0
MAX_RETRIES = 5
INITIAL_BACKOFF_S, MAX_BACKOFF_S = 1.0, 60.0
RETRIED_STATUSES = {
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.BAD_GATEWAY,
    HTTPStatus.SERVICE_UNAVAILABLE,
    HTTPStatus.GATEWAY_TIMEOUT,
}
MAX_REASON_LETTERS = 300
MAX_INDEX_LETTERS = 255
INDEX_NAME = re.compile(r"[a-z0-9][a-z0-9_.*-]*")
"""One index or pattern. Neither all indices (*), nor hidden ones (.name), nor exclusions, nor other clusters."""


class PartialResultError(Exception):
    """A response that lacks the records of some shards, or that was cut off by a timeout of the server."""


@dataclass(frozen=True)
class SearchServer:
    """Address and credentials of an Elasticsearch server, and the index pattern of its call records.

    index               names of indices, separated by commas, with * for any letters
    request_timeout_s   time after which a request without a response counts as failed, s
    sleep               function that waits a number of seconds between two attempts

    Example:
        >>> server = SearchServer("https://calls.example.org:9243", "calls-*", user="vigie", password="hunter2")
        >>> server.with_endpoint("https://calls.example.org:9243/").user
        'vigie'
        >>> server.with_endpoint("http://calls.example.org:9243").user
        ''
    """

    endpoint: str
    index: str
    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    request_timeout_s: float = REQUEST_TIMEOUT_S
    sleep: Callable[[float], None] = field(default=time.sleep, repr=False)

    def __post_init__(self) -> None:
        """Raise OptionError for an address or an index pattern that is not accepted."""
        check_address(self.endpoint)
        check_index(self.index)

    @classmethod
    def from_settings(cls, settings: Settings) -> "SearchServer | None":
        """Return the server of the settings, or None if they name none. Raises OptionError for an invalid address."""
        if not settings.call_records_endpoint:
            return None
        return cls(
            settings.call_records_endpoint,
            settings.call_records_index,
            settings.call_records_username,
            settings.call_records_password.get_secret_value(),
        )

    @classmethod
    def from_address(cls, address: str, settings: Settings) -> "SearchServer":
        """Return the server at `address`, which somebody typed.

        The credentials of the settings go to the server of the settings alone: same scheme, host and port. Raises
        OptionError for an invalid address.
        """
        configured = cls.from_settings(settings)
        return configured.with_endpoint(address) if configured else cls(address, settings.call_records_index)

    def with_endpoint(self, address: str) -> "SearchServer":
        """Return the server at `address`; it has the credentials only if it is this one."""
        other = replace(self, endpoint=address)
        return other if other.origin == self.origin else replace(other, user="", password="")

    @property
    def origin(self) -> tuple[str, str, int]:
        """Scheme, host and port."""
        address = _split_address(self.endpoint)
        return address.scheme, address.hostname or "", address.port or DEFAULT_PORTS[address.scheme]

    @property
    def url(self) -> str:
        """Address with its port, as the client requires it."""
        scheme, host, port = self.origin
        host = f"[{host}]" if ":" in host else host
        return f"{scheme}://{host}:{port}{_split_address(self.endpoint).path.rstrip('/')}"

    @contextmanager
    def connect(self, progress: Progress) -> Iterator["SearchConnection"]:
        """Yield a connection, closed afterwards; a cancellation of `progress` also ends its pauses."""
        from elasticsearch import Elasticsearch

        with Elasticsearch(
            self.url,
            basic_auth=(self.user, self.password) if self.user else None,
            request_timeout=self.request_timeout_s,
            max_retries=0,
            retry_on_timeout=False,
        ) as client:
            yield SearchConnection(self, client, progress)

    def redact(self, text: str) -> str:
        """Return `text` without the password, shortened."""
        return remove_secrets(text, [self.password], [self.user, *self.index.split(",")])[:MAX_REASON_LETTERS]


@dataclass(frozen=True)
class SearchConnection:
    """Open connection to a server."""

    server: SearchServer
    client: Any
    progress: Progress

    def ask(self, request: Callable[[Any], Any], read: Callable[[Any], T]) -> T:
        """Return what `read` makes of the response to `request`, a function of the client.

        A busy or unreachable server is asked again, at most 5 times. The pauses double, with jitter, or last as long
        as the server asks for (`Retry-After`). Raises OptionError if the index does not exist, else
        ServiceUnavailableError. Raises CancelledError after a request to cancel.
        """
        import elasticsearch

        reason, pause_s = "", 0.0
        for retry in range(MAX_RETRIES + 1):
            if retry:
                self._pause(
                    pause_s or min(INITIAL_BACKOFF_S * 2 ** (retry - 1), MAX_BACKOFF_S) * random.uniform(0.5, 1)
                )
            try:
                return read(_check_complete(request(self.client)))
            except (PartialResultError, elasticsearch.ConnectionError, elasticsearch.ConnectionTimeout) as error:
                reason, pause_s = str(error), 0.0
            except elasticsearch.ApiError as error:
                if error.meta.status not in RETRIED_STATUSES:
                    raise self._make_refusal(error) from None
                reason, pause_s = _describe(error), _read_retry_after(error.meta.headers.get("retry-after"))
            except (elasticsearch.TransportError, LookupError, ValueError, TypeError, AttributeError) as error:
                raise self._make_error(f"invalid response: {error}") from None
        raise self._make_error(reason)

    def _pause(self, seconds: float) -> None:
        """Wait, and look every second whether the task is cancelled."""
        while seconds > 0:
            self.progress.report(self.progress.share)
            self.server.sleep(min(seconds, 1.0))
            seconds -= 1.0

    def _make_refusal(self, error: Any) -> OptionError | ServiceUnavailableError:
        """Return the error for a request that the server refuses for good."""
        if error.meta.status == HTTPStatus.NOT_FOUND:
            return make_index_error(self.server.index)
        if error.meta.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            return ServiceUnavailableError(
                N_(
                    "Elasticsearch denies access to {index} ({status}). Check CALL_RECORDS_USERNAME and "
                    "CALL_RECORDS_PASSWORD, and that the address has the same scheme, host and port as "
                    "CALL_RECORDS_ENDPOINT."
                ),
                index=self.server.index,
                status=str(int(error.meta.status)),
            )
        return ServiceUnavailableError(
            N_("{service} refuses the request ({reason})."),
            service="Elasticsearch",
            reason=self.server.redact(_describe(error)),
        )

    def _make_error(self, reason: str) -> ServiceUnavailableError:
        return ServiceUnavailableError(
            N_("{service} does not answer ({reason})."), service="Elasticsearch", reason=self.server.redact(reason)
        )


def check_address(address: str) -> None:
    """Raise OptionError unless an address is http or https, with a host and without credentials."""
    _split_address(address)


def check_index(index: str) -> None:
    """Raise OptionError for an index pattern that is not accepted."""
    if not all(INDEX_NAME.fullmatch(name) for name in index.split(",")) or len(index) > MAX_INDEX_LETTERS:
        raise OptionError(
            N_(
                "index = {value!r} is not accepted. Accepted: names of indices in small letters, separated by commas, "
                "such as hookah-cdrs-t1t7_*. A name begins with a letter or a digit."
            ),
            value=index,
        )


def make_index_error(index: str) -> OptionError:
    """Return the error for a pattern that matches no index."""
    return OptionError(
        N_("index = {value!r}: Elasticsearch has no index with this name that its user may read."), value=index
    )


def _split_address(address: str) -> SplitResult:
    """Return the parts of an address. Raises OptionError for one that is not accepted, without its credentials."""
    try:
        parts = urlsplit(address)
        is_accepted = parts.scheme in DEFAULT_PORTS and bool(parts.hostname) and parts.port != 0
        has_extras = "@" in parts.netloc or bool(parts.query) or bool(parts.fragment)
    except ValueError:  # an invalid port or IPv6 address
        is_accepted, has_extras = False, False
    if not is_accepted or has_extras:
        raise OptionError(
            N_(
                "The address {value!r} of Elasticsearch is not accepted. Accepted: http://host:port or "
                "https://host:port, without user and password; these come from CALL_RECORDS_USERNAME and "
                "CALL_RECORDS_PASSWORD."
            ),
            value=f"…{address.rpartition('@')[2]}" if "@" in address else address,
        )
    return parts


def _check_complete(response: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the response. Raises PartialResultError if it does not cover all records."""
    shards = response.get("_shards", {})
    if response.get("timed_out") or shards.get("failed", 0):
        raise PartialResultError(
            f"partial result: {shards.get('failed', 0)} of {shards.get('total', '?')} shards failed"
        )
    return response


def _describe(error: Any) -> str:
    """Return the status and the first reasons of a refusal."""
    body = error.body if isinstance(error.body, Mapping) else {}
    details = body.get("error")
    details = details if isinstance(details, Mapping) else {"reason": details or error.message}
    return " ".join(str(part) for part in (error.meta.status, details.get("type"), details.get("reason")) if part)


def _read_retry_after(value: str | None) -> float:
    """Return the pause that a server asks for with seconds or a date, in s, at most a minute; 0.0 for none."""
    seconds = 0.0
    with suppress(ValueError, TypeError):
        text = (value or "").strip()
        is_number = text.isdigit()
        seconds = float(text) if is_number else (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds()
    return min(max(seconds, 0.0), MAX_BACKOFF_S)
