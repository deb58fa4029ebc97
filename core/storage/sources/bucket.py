"""Objects of S3 or Google Cloud Storage below a prefix: new ones, and what was appended to others."""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from core.errors import AccessDeniedError, NotFoundError, OptionError, ServiceUnavailableError, VigieError
from core.messages import N_
from core.redaction import remove_secrets
from core.settings import Settings
from core.storage.gcs import ArtifactBucket
from core.storage.s3 import Bucket
from core.storage.sources.base import NO_STATE, Portion
from core.storage.sources.file_records import FileChangedError, FileState, ListedFile
from core.storage.sources.folder import is_temporary, matches_pattern
from core.storage.sources.new_parts import take_new_parts
from core.storage.sources.places import check_place
from core.watches.source import BucketSource

MAX_OBJECTS = 200_000  # below a prefix, of any name
WINDOW_BYTES = 2**20
"""Of a larger object that grew, so much is compared at the begin and the end of what was read: a request costs."""
BLOCK_BYTES = 2**20
REQUEST_LIMITS: dict[str, Any] = {"timeout": 20.0, "retry": None}  # seconds; the next tick tries again
MAX_REASON_LETTERS = 300


@dataclass(frozen=True)
class StoredObject:
    """Object of a bucket; `version` differs after any change."""

    key: str
    size: int
    version: str
    changed_at: datetime


class ObjectStore(Protocol):
    """A bucket that can be listed and read in parts."""

    def list(self, prefix: str) -> Iterator[StoredObject]:
        """Yield the objects whose key begins with `prefix`."""
        ...

    def read(self, entry: StoredObject, start: int, stop: int) -> Iterator[bytes]:
        """Yield the bytes between two positions of the listed version. Raises NotFoundError if it is not there."""
        ...

    def list_failures(self) -> tuple[type[Exception], ...]:
        """Return the errors of the store and of the network."""
        ...

    def explain_error(self, error: Exception) -> VigieError:
        """Return the error for a person."""
        ...


@dataclass(frozen=True)
class S3Store:
    """Objects in S3, with the keys, region and endpoint of the settings."""

    bucket: Bucket

    def list(self, prefix: str) -> Iterator[StoredObject]:
        """List the objects; see `ObjectStore`."""
        return (StoredObject(*entry) for entry in self.bucket.list_versions(prefix))

    def read(self, entry: StoredObject, start: int, stop: int) -> Iterator[bytes]:
        """Read a part of an object; see `ObjectStore`."""
        return self.bucket.read_version(entry.key, entry.version, start, stop)

    def list_failures(self) -> tuple[type[Exception], ...]:
        """List the errors; see `ObjectStore`."""
        from botocore.exceptions import BotoCoreError, ClientError  # type: ignore[import-untyped]

        return BotoCoreError, ClientError, OSError, AccessDeniedError

    def explain_error(self, error: Exception) -> VigieError:
        """Return the error for a person; see `ObjectStore`."""
        if isinstance(error, AccessDeniedError) and error.message.values.get("code") == "NoSuchBucket":
            return _make_missing_error(self.bucket.name)
        return error if isinstance(error, VigieError) else _make_error("S3", error)


@dataclass(frozen=True)
class GoogleStore:
    """Objects in Google Cloud Storage, with the credentials of the settings."""

    bucket: ArtifactBucket

    def list(self, prefix: str) -> Iterator[StoredObject]:
        """List the objects; see `ObjectStore`."""
        for blob in self._client.list_blobs(self.bucket.name, prefix=prefix, **REQUEST_LIMITS):
            yield StoredObject(blob.name, int(blob.size), str(blob.generation), blob.updated)

    def read(self, entry: StoredObject, start: int, stop: int) -> Iterator[bytes]:
        """Read a part of an object; see `ObjectStore`."""
        from google.api_core.exceptions import NotFound, RequestRangeNotSatisfiable

        blob = self._client.bucket(self.bucket.name).blob(entry.key, generation=int(entry.version))
        options = {"raw_download": True, **REQUEST_LIMITS}
        try:
            for first in range(start, stop, BLOCK_BYTES):
                yield blob.download_as_bytes(start=first, end=min(first + BLOCK_BYTES, stop) - 1, **options)
        except (NotFound, RequestRangeNotSatisfiable) as error:
            raise NotFoundError(N_("The object {key} has changed."), key=entry.key) from error

    def list_failures(self) -> tuple[type[Exception], ...]:
        """List the errors; see `ObjectStore`."""
        from google.api_core.exceptions import GoogleAPIError
        from google.auth.exceptions import GoogleAuthError

        return GoogleAPIError, GoogleAuthError, OSError  # those of requests are OSErrors

    def explain_error(self, error: Exception) -> VigieError:
        """Return the error for a person; see `ObjectStore`."""
        from google.api_core.exceptions import Forbidden, NotFound, Unauthorized
        from google.auth.exceptions import RefreshError

        if isinstance(error, NotFound):
            return _make_missing_error(self.bucket.name)
        if isinstance(error, Forbidden | Unauthorized | RefreshError):
            return AccessDeniedError(
                N_(
                    "The Google account may not read the bucket {bucket} ({reason}). The role Storage Object Viewer "
                    "contains the rights."
                ),
                bucket=self.bucket.name,
                reason=_get_reason(error),
            )
        return _make_error("Google Cloud Storage", error)

    @cached_property
    def _client(self) -> Any:
        return self.bucket.open_client()


@dataclass(frozen=True)
class BucketReader:
    """Reader of the objects below a prefix, which is taken for a folder."""

    source: BucketSource
    settings: Settings

    def read(self, state: Mapping[str, Any], folder: Path, max_bytes: int, now: datetime) -> Portion:
        """Read what was added; see `RowSource`."""
        max_file_bytes = self.settings.vigie_max_upload_mb * 2**20
        store = self._open_store()
        with _translate_errors(store):
            files = list(self._list_files(store))
            return take_new_parts(files, FileState.parse(state), folder, max_bytes, max_file_bytes, WINDOW_BYTES)

    def check(self) -> None:
        """List the first object; see `RowSource`."""
        store = self._open_store()
        with _translate_errors(store):
            next(iter(store.list(self._prefix)), None)

    def start_late(self, since: datetime | None) -> Mapping[str, Any]:
        """Return the empty state: objects are read as a whole."""
        return NO_STATE

    @property
    def _prefix(self) -> str:
        prefix = urlsplit(self.source.address).path.strip("/")
        return f"{prefix}/" if prefix else ""

    def _open_store(self) -> ObjectStore:
        check_place(self.source.address, self.settings)
        parts = urlsplit(self.source.address)
        if parts.scheme == "gs":
            return GoogleStore(ArtifactBucket(self.source.address, self.settings.google_application_credentials))
        settings = self.settings
        keys = settings.aws_access_key.get_secret_value(), settings.aws_secret_key.get_secret_value()
        return S3Store(Bucket(parts.netloc, settings.s3_region_name, settings.s3_endpoint_url, *keys))

    def _list_files(self, store: ObjectStore) -> Iterator[ListedFile]:
        entries = list(islice(store.list(self._prefix), MAX_OBJECTS + 1))
        if len(entries) > MAX_OBJECTS:
            raise OptionError(
                N_("The folder {value!r} has more than {accepted} entries. Choose a smaller one."),
                value=self.source.address,
                accepted=MAX_OBJECTS,
            )
        for entry in entries:
            name = entry.key.removeprefix(self._prefix)
            is_file = bool(name) and not name.endswith("/") and not any(map(is_temporary, name.split("/")))
            if is_file and matches_pattern(name, self.source.pattern):
                yield _list_object(store, entry, name)


def _list_object(store: ObjectStore, entry: StoredObject, name: str) -> ListedFile:
    def read(start: int, stop: int) -> Iterator[bytes]:
        if start >= stop:
            return
        try:
            yield from store.read(entry, start, stop)
        except NotFoundError as error:
            raise FileChangedError(name) from error

    return ListedFile(name, entry.size, entry.version, entry.changed_at.timestamp(), math.inf, read)


@contextmanager
def _translate_errors(store: ObjectStore) -> Iterator[None]:
    """Turn the errors of the libraries into those of `RowSource`, without secrets."""
    try:
        yield
    except store.list_failures() as error:
        raise store.explain_error(error) from error


def _make_missing_error(bucket: str) -> ServiceUnavailableError:
    return ServiceUnavailableError(N_("The bucket {bucket} does not exist."), bucket=bucket)


def _make_error(service: str, error: Exception) -> ServiceUnavailableError:
    return ServiceUnavailableError(
        N_("{service} does not answer ({reason})."), service=service, reason=_get_reason(error)
    )


def _get_reason(error: Exception) -> str:
    """Return the first line of an error, without user and password of an address."""
    return remove_secrets((str(error) or type(error).__name__).splitlines()[0], ())[:MAX_REASON_LETTERS]
