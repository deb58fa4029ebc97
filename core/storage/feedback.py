"""Feedback of users on results and on the product: one JSON record each, written locally, then sent to S3."""

import logging
import os
import re
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from core.circuit_breaker import ServiceBreaker
from core.errors import AccessDeniedError, ServiceUnavailableError
from core.messages import N_, Message
from core.storage.durable_files import move_durably, write_durably
from core.storage.s3 import Bucket

T = TypeVar("T")
logger = logging.getLogger(__name__)

Verdict = Literal["true_alarm", "false_alarm", "unsure"]
MAX_COMMENT_CHARS, MAX_MODEL_VERSION_CHARS = 2000, 300
UUID_PATTERN = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
KEY_PREFIX = "feedback/v1/"
KEY_PATTERN = re.compile(rf"feedback/v1/date=\d{{4}}-\d{{2}}-\d{{2}}/{UUID_PATTERN}\.json")
MAX_RECORD_BYTES = 64 * 1024  # limit for records of other machines
INTERACTIVE_TIMEOUT_S, BACKGROUND_TIMEOUT_S = 1.2, 15.0
FETCH_INTERVAL_S, MAX_FETCHED_RECORDS = 60.0, 500


class Feedback(BaseModel):
    """One feedback record of one user, on a row of a run, a run, a page, or the product."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: Literal[1] = 1
    id: str = Field(default_factory=lambda: str(uuid.uuid4()), pattern=f"^{UUID_PATTERN}$")
    time: AwareDatetime = Field(default_factory=lambda: datetime.now(UTC))
    user: Annotated[str, Field(max_length=200)]
    page: Annotated[str, Field(max_length=100)]
    run_id: str | None = Field(None, max_length=100)
    model: str | None = Field(None, max_length=200)
    model_version: str | None = Field(
        None,
        max_length=MAX_MODEL_VERSION_CHARS,
        description="The model used: NAME/NUMBER of a registered version, else the id of the run that trained it.",
    )
    dataset: str | None = Field(None, max_length=64, description="SHA-256 digest of the dataset.")
    row: dict[str, str | float] | None = Field(None, description="Entity, time and score of the row.")
    verdict: Verdict | None = None
    rating: int | None = Field(None, ge=1, le=5)
    comment: Annotated[str, Field(max_length=MAX_COMMENT_CHARS)] = ""

    @property
    def key(self) -> str:
        """Key of the object in the bucket; it contains no user input."""
        return f"{KEY_PREFIX}date={self.time.astimezone(UTC):%Y-%m-%d}/{self.id}.json"


@dataclass(frozen=True)
class FeedbackStatus:
    """Delivery status of a record.

    state    "kept" in the folder if there is no bucket, "sent" to S3, or "waiting" to be sent
    problem  the reason for waiting if an operator has to act; None if it may be temporary
    """

    id: str
    state: Literal["kept", "sent", "waiting"]
    problem: Message | None = None

    @property
    def is_sent(self) -> bool:
        """True if the bucket has the record."""
        return self.state == "sent"


class FeedbackStore:
    """Feedback records in `folder`, and their outbox.

    A record is the file `v1/date=…/<id>.json`. With a bucket, it is `waiting/<id>.json` until the bucket has it.
    """

    name, content = N_("Feedback"), N_("feedback")

    def __init__(self, folder: Path, bucket: Bucket | None = None) -> None:
        self.folder, self.bucket = folder, bucket
        self.last_error = ""
        self._problem: Message | None = None
        self._interactive_breaker = ServiceBreaker("S3", INTERACTIVE_TIMEOUT_S)
        self._background_breaker = ServiceBreaker("S3", BACKGROUND_TIMEOUT_S)
        self._next_fetch = 0.0
        self._cached_records: dict[str, Feedback] = {}
        self._invalid_keys: set[str] = set()

    def add_record(self, record: Feedback) -> FeedbackStatus:
        """Write the record to disk atomically and try to send it.

        Raises OSError if it cannot be written; nothing is saved then.
        """
        if self.bucket is None:
            write_durably(self._get_path(record), record.model_dump_json().encode())
            return FeedbackStatus(record.id, "kept")
        path = self.folder / "waiting" / f"{record.id}.json"
        write_durably(path, record.model_dump_json().encode())
        try:
            self._send_record(path, record, self._interactive_breaker)
        except ServiceUnavailableError:
            return FeedbackStatus(record.id, "waiting", self._problem)
        return FeedbackStatus(record.id, "sent")

    def read_records(self) -> list[Feedback]:
        """Return all records, sent or waiting, oldest first; log a warning for each invalid file and skip it."""
        paths = {
            path.stem: path for pattern in ("waiting/*.json", "v1/date=*/*.json") for path in self.folder.glob(pattern)
        }
        records = {name: self._cached_records.get(name) or _read_record(path) for name, path in paths.items()}
        self._cached_records = {name: record for name, record in records.items() if record is not None}
        return sorted(self._cached_records.values(), key=_sort_key)

    # ---- the outbox -------------------------------------------------------------------------------------------------

    @property
    def location(self) -> str:
        """Destination of the records: the bucket, or the folder if there is none."""
        return self.bucket.location if self.bucket else str(self.folder)

    @property
    def is_remote(self) -> bool:
        """True if a bucket is configured."""
        return self.bucket is not None

    def deliver_pending(self) -> int:
        """Send pending records, fetch the records of other machines, and return the number sent."""
        sent_count = self.send_pending()
        self.fetch_remote()
        return sent_count

    def count_pending(self) -> int:
        """Return the number of records that wait to be sent."""
        return sum(1 for _ in (self.folder / "waiting").glob("*.json"))

    def count_rejected(self) -> int:
        """Return 0: S3 rejects no record for good."""
        return 0

    def load_client(self) -> None:
        """Import the client of S3 and create it. Raises AccessDeniedError for settings that it does not accept."""
        if self.bucket is not None:
            self.bucket.load_client()

    def check(self) -> str:
        """Raise ServiceUnavailableError if records cannot be stored at their destination.

        Returns "", because neither S3 nor a folder has a version.
        """
        if self.bucket is not None:
            try:
                self._call_bucket(self.bucket.check, self._interactive_breaker)
            except ServiceUnavailableError:
                if self._problem is not None:
                    raise ServiceUnavailableError(self._problem.template, **self._problem.values) from None
                raise
        elif not os.access(self.folder if self.folder.is_dir() else self.folder.parent, os.W_OK):
            raise ServiceUnavailableError(N_("The folder {folder} is not writable."), folder=str(self.folder))
        return ""

    def reset(self) -> None:
        """Close the circuit breakers, so the next call reaches the bucket."""
        self._interactive_breaker.reset()
        self._background_breaker.reset()
        self._next_fetch = 0.0

    # ---- to and from the bucket -------------------------------------------------------------------------------------

    def send_pending(self) -> int:
        """Send pending records, oldest first, until the bucket does not answer; return the number sent.

        Sending a record twice changes nothing.
        """
        if self.bucket is None:
            return 0
        pending = [
            (record, path) for path in (self.folder / "waiting").glob("*.json") if (record := _read_record(path))
        ]
        sent_count = 0
        for record, path in sorted(pending, key=lambda pair: _sort_key(pair[0])):
            try:
                self._send_record(path, record, self._background_breaker)
            except ServiceUnavailableError:
                break
            sent_count += 1
        return sent_count

    def fetch_remote(self) -> int:
        """Fetch the records of other machines, at most once a minute, and return their number."""
        if self.bucket is None or time.monotonic() < self._next_fetch:
            return 0
        self._next_fetch = time.monotonic() + FETCH_INTERVAL_S
        bucket, fetched_count = self.bucket, 0
        with suppress(ServiceUnavailableError):
            for key in self._call_bucket(lambda: self._list_missing_keys(bucket), self._background_breaker)[
                :MAX_FETCHED_RECORDS
            ]:
                body = self._call_bucket(partial(bucket.get, key, MAX_RECORD_BYTES), self._background_breaker)
                fetched_count += self._accept_record(key, body)
        return fetched_count

    def _list_missing_keys(self, bucket: Bucket) -> list[str]:
        """Return the keys of records that are not stored here; keys of another form are ignored."""
        local_ids = {path.stem for path in self.folder.rglob("*.json")}
        keys = (
            key
            for key, size in bucket.list_objects(KEY_PREFIX)
            if KEY_PATTERN.fullmatch(key) and size < MAX_RECORD_BYTES
        )
        return [key for key in keys if key not in self._invalid_keys and Path(key).stem not in local_ids]

    def _accept_record(self, key: str, body: bytes) -> bool:
        """Store `body` if it is the record of `key`; others can write to the bucket, so the body is validated."""
        try:
            record = Feedback.model_validate_json(body)
        except ValueError:
            record = None
        if record is None or record.key != key:
            logger.warning("%s in the bucket is not a feedback record", key)
            self._invalid_keys.add(key)
            return False
        write_durably(self._get_path(record), body)
        return True

    def _send_record(self, path: Path, record: Feedback, breaker: ServiceBreaker) -> None:
        """Put the record into the bucket, then move its file out of `waiting`. Raises ServiceUnavailableError."""
        assert self.bucket is not None
        bucket, body = self.bucket, record.model_dump_json().encode()
        self._call_bucket(lambda: bucket.put(record.key, body), breaker)
        target = self._get_path(record)
        try:
            move_durably(path, target)
        except FileNotFoundError:  # another process has sent it
            return
        except OSError as error:  # the next delivery puts it into the bucket again, which changes nothing
            logger.warning("%s was sent and could not be moved: %s", path, error)

    def _call_bucket(self, work: Callable[[], T], breaker: ServiceBreaker) -> T:
        try:
            result = breaker.call(work)
        except ServiceUnavailableError as error:
            if error.__cause__ is not None:
                self._problem = error.__cause__.message if isinstance(error.__cause__, AccessDeniedError) else None
            self.last_error = breaker.last_error
            raise
        self._problem, self.last_error = None, ""
        return result

    def _get_path(self, record: Feedback) -> Path:
        return self.folder / Path(record.key).relative_to("feedback")


def _sort_key(record: Feedback) -> tuple[datetime, str]:
    return record.time, record.id


def _read_record(path: Path) -> Feedback | None:
    """Return the record in a file that is named after its id; None for any other or moved file."""
    try:
        record = Feedback.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        record = None
    if record is None or record.id != path.stem:
        logger.warning("%s is not a feedback record", path)
        return None
    return record


def build_feedback_schema() -> dict[str, Any]:
    """Return the JSON Schema of a record, published as docs/feedback.schema.json."""
    return Feedback.model_json_schema()
