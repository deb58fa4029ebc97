"""What people say of results and of the product: one JSON record each, written here first, then sent to S3."""

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
from core.messages import N_, Text
from core.storage.s3 import Bucket

T = TypeVar("T")
logger = logging.getLogger(__name__)

Verdict = Literal["true_alarm", "false_alarm", "unsure"]
LONGEST_COMMENT = 2000
UUID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
PREFIX = "feedback/v1/"
KEY = re.compile(rf"feedback/v1/date=\d{{4}}-\d{{2}}-\d{{2}}/{UUID}\.json")
MAX_RECORD_BYTES = 64 * 1024  # of a record that somebody else has sent
INTERACTIVE_TIMEOUT_S, BACKGROUND_TIMEOUT_S = 1.2, 15.0
FETCH_INTERVAL_S, MAX_FETCHED = 60.0, 500


class Feedback(BaseModel):
    """One thing that one person said, about a row of a run, a run, a page, or the product."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: Literal[1] = 1
    id: str = Field(default_factory=lambda: str(uuid.uuid4()), pattern=f"^{UUID}$")
    time: AwareDatetime = Field(default_factory=lambda: datetime.now(UTC))
    user: Annotated[str, Field(max_length=200)]
    page: Annotated[str, Field(max_length=100)]
    run_id: str | None = Field(None, max_length=100)
    model: str | None = Field(None, max_length=200)
    model_version: str | None = Field(None, max_length=100)
    dataset: str | None = Field(None, max_length=64, description="SHA-256 digest of the dataset.")
    row: dict[str, str | float] | None = Field(None, description="Which row: entity, time, and its score.")
    verdict: Verdict | None = None
    rating: int | None = Field(None, ge=1, le=5)
    comment: Annotated[str, Field(max_length=LONGEST_COMMENT)] = ""

    @property
    def key(self) -> str:
        """Where it is stored: nothing that a person typed is in it."""
        return f"{PREFIX}date={self.time.astimezone(UTC):%Y-%m-%d}/{self.id}.json"


@dataclass(frozen=True)
class FeedbackStatus:
    """What became of a record.

    state    "kept" where the folder is its place, "sent" to S3, or "waiting" to be sent
    problem  why it waits, where somebody has to act; None where that may pass by itself
    """

    id: str
    state: Literal["kept", "sent", "waiting"]
    problem: Text | None = None

    @property
    def is_sent(self) -> bool:
        """Has the bucket got the record?"""
        return self.state == "sent"


class FeedbackStore:
    """Records below `folder`; the outbox of feedback.

    A record is `v1/date=…/<id>.json`, and `waiting/<id>.json` until the bucket has it, where there is one.
    """

    name, content = N_("Feedback"), N_("feedback")

    def __init__(self, folder: Path, bucket: Bucket | None = None) -> None:
        self.folder, self.bucket = folder, bucket
        self.last_error = ""
        self._problem: Text | None = None
        self._interactive_breaker = ServiceBreaker("S3", INTERACTIVE_TIMEOUT_S)
        self._background_breaker = ServiceBreaker("S3", BACKGROUND_TIMEOUT_S)
        self._next_fetch = 0.0
        self._known: dict[str, Feedback] = {}
        self._foreign: set[str] = set()

    def add(self, record: Feedback) -> FeedbackStatus:
        """Write the record down, whole or not at all, and try to send it.

        Raises OSError where the disk cannot take it: nothing is saved then.
        """
        if self.bucket is None:
            _write(self._path(record), record.model_dump_json().encode())
            return FeedbackStatus(record.id, "kept")
        path = self.folder / "waiting" / f"{record.id}.json"
        _write(path, record.model_dump_json().encode())
        try:
            self._send(path, record, self._interactive_breaker)
        except ServiceUnavailableError:
            return FeedbackStatus(record.id, "waiting", self._problem)
        return FeedbackStatus(record.id, "sent")

    def read(self) -> list[Feedback]:
        """Read every record, sent or waiting, oldest first; what is no record is left out with a warning."""
        paths = {
            path.stem: path for pattern in ("waiting/*.json", "v1/date=*/*.json") for path in self.folder.glob(pattern)
        }
        known = {name: self._known.get(name) or _read(path) for name, path in paths.items()}
        self._known = {name: record for name, record in known.items() if record is not None}
        return sorted(self._known.values(), key=_sort_key)

    # ---- the outbox -------------------------------------------------------------------------------------------------

    @property
    def location(self) -> str:
        """Where records end."""
        return self.bucket.location if self.bucket else str(self.folder)

    @property
    def is_remote(self) -> bool:
        """Is there a bucket?"""
        return self.bucket is not None

    def deliver_pending(self) -> int:
        """Send what waits, then fetch what other machines have sent; return how many records were sent."""
        sent = self.send()
        self.fetch()
        return sent

    def pending_count(self) -> int:
        """Count the records that wait to be sent."""
        return sum(1 for _ in (self.folder / "waiting").glob("*.json"))

    def rejected_count(self) -> int:
        """Count the records that S3 will never take: none."""
        return 0

    def check(self) -> str:
        """Raise ServiceUnavailableError where records cannot end where they should; S3 tells no version."""
        if self.bucket is not None:
            try:
                self._call(self.bucket.check, self._interactive_breaker)
            except ServiceUnavailableError:
                if self._problem is not None:
                    raise ServiceUnavailableError(self._problem.template, **self._problem.values) from None
                raise
        elif not os.access(self.folder if self.folder.is_dir() else self.folder.parent, os.W_OK):
            raise ServiceUnavailableError(N_("{folder} cannot be written to."), folder=str(self.folder))
        return ""

    def reset(self) -> None:
        """Ask the bucket at the next call, whatever happened before."""
        self._interactive_breaker.reset()
        self._background_breaker.reset()
        self._next_fetch = 0.0

    # ---- to and from the bucket -------------------------------------------------------------------------------------

    def send(self) -> int:
        """Send what waits, oldest first, until the bucket does not answer; return how many records were sent.

        Sending a record twice changes nothing.
        """
        if self.bucket is None:
            return 0
        pending = [(record, path) for path in (self.folder / "waiting").glob("*.json") if (record := _read(path))]
        sent = 0
        for record, path in sorted(pending, key=lambda pair: _sort_key(pair[0])):
            try:
                self._send(path, record, self._background_breaker)
            except ServiceUnavailableError:
                break
            sent += 1
        return sent

    def fetch(self) -> int:
        """Fetch what other machines have sent, at most once a minute; return how many records came."""
        if self.bucket is None or time.monotonic() < self._next_fetch:
            return 0
        self._next_fetch = time.monotonic() + FETCH_INTERVAL_S
        bucket, fetched = self.bucket, 0
        with suppress(ServiceUnavailableError):
            for key in self._call(lambda: self._missing_keys(bucket), self._background_breaker)[:MAX_FETCHED]:
                body = self._call(partial(bucket.get, key, MAX_RECORD_BYTES), self._background_breaker)
                fetched += self._accept(key, body)
        return fetched

    def _missing_keys(self, bucket: Bucket) -> list[str]:
        """List the keys of records that are not here; other keys are nobody's business, and lead nowhere."""
        local = {path.stem for path in self.folder.rglob("*.json")}
        keys = (key for key, size in bucket.list_objects(PREFIX) if KEY.fullmatch(key) and size < MAX_RECORD_BYTES)
        return [key for key in keys if key not in self._foreign and Path(key).stem not in local]

    def _accept(self, key: str, body: bytes) -> bool:
        """Keep `body` where it is the record that `key` says: whoever may write to the bucket may write anything."""
        try:
            record = Feedback.model_validate_json(body)
        except ValueError:
            record = None
        if record is None or record.key != key:
            logger.warning("%s in the bucket is no record of feedback", key)
            self._foreign.add(key)
            return False
        _write(self._path(record), body)
        return True

    def _send(self, path: Path, record: Feedback, breaker: ServiceBreaker) -> None:
        """Put the record into the bucket, then move it to its place. Raises ServiceUnavailableError."""
        assert self.bucket is not None
        bucket, body = self.bucket, record.model_dump_json().encode()
        self._call(lambda: bucket.put(record.key, body), breaker)
        target = self._path(record)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            path.replace(target)
            _sync(target.parent)
        except FileNotFoundError:  # another process has sent it meanwhile
            return
        except OSError as error:  # it is in the bucket, and will be put there again to no effect
            logger.warning("%s was sent and could not be moved: %s", path, error)

    def _call(self, work: Callable[[], T], breaker: ServiceBreaker) -> T:
        try:
            result = breaker.call(work)
        except ServiceUnavailableError as error:
            if error.__cause__ is not None:
                self._problem = error.__cause__.text if isinstance(error.__cause__, AccessDeniedError) else None
            self.last_error = breaker.last_error
            raise
        self._problem, self.last_error = None, ""
        return result

    def _path(self, record: Feedback) -> Path:
        return self.folder / Path(record.key).relative_to("feedback")


def _sort_key(record: Feedback) -> tuple[datetime, str]:
    return record.time, record.id


def _read(path: Path) -> Feedback | None:
    """The record of a file that is named after it; None for anything else, and for a file that was moved meanwhile."""
    try:
        record = Feedback.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        record = None
    if record is None or record.id != path.stem:
        logger.warning("%s is no record of feedback", path)
        return None
    return record


def _write(path: Path, body: bytes) -> None:
    """The file, on the disk and whole, or none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(f".{os.getpid()}.draft")
    try:
        with draft.open("wb") as file:
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    _sync(path.parent)


def _sync(folder: Path) -> None:
    """The names in `folder`, too, survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def schema() -> dict[str, Any]:
    """The published JSON Schema of a record (docs/feedback.schema.json)."""
    return Feedback.model_json_schema()
