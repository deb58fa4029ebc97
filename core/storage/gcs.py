"""Check of artifacts in Google Cloud Storage. MLflow reads and writes them with the same library and credentials."""

import posixpath
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

from core.errors import AccessDeniedError, ServiceUnavailableError
from core.messages import N_
from mlflow_utils.circuit_breaker import CallFailedError, CircuitBreaker

SCHEME = "gs"
REQUEST_TIMEOUT_S = 1.4
SEARCH_TIMEOUT_S = 1.2  # for credentials: outside of Google's machines, their library waits nine seconds for one
PROBE_NAME, PROBE = "vigie-health", b"Vigie checks that it can write, list, read and delete here."


@dataclass(frozen=True)
class ArtifactBucket:
    """A bucket of Google Cloud Storage.

    Methods raise AccessDeniedError for errors that an operator can fix, and the exceptions of Google's library for
    others.

    location          its address, gs://bucket/folder
    credentials_file  path of the key file; "" for the credentials that Google's library finds
    """

    location: str
    credentials_file: str = ""

    @property
    def name(self) -> str:
        """Name of the bucket."""
        return urlsplit(self.location).netloc

    def load_client(self) -> None:
        """Import Google's library."""
        import google.cloud.storage  # type: ignore[import-untyped]  # noqa: F401

    def check(self) -> str:
        """Write, list, read and delete a small object below the location. Returns "", because there is no version."""
        if not self.name:
            raise AccessDeniedError(
                N_(
                    "The address {location} names no bucket. Accepted: gs://bucket/folder. "
                    "Check MLFLOW_ARTEFACTS_LOCATION."
                ),
                location=self.location,
            )
        client = self.open_client()
        limits: dict[str, Any] = {"timeout": REQUEST_TIMEOUT_S, "retry": None}
        folder = posixpath.join(urlsplit(self.location).path.strip("/"), PROBE_NAME)
        blob = client.bucket(self.name).blob(f"{folder}/{uuid4().hex}")
        with self._explain_refusal("storage.objects.create"):
            blob.upload_from_string(PROBE, "text/plain", **limits)
        try:
            self._read_probe(client, blob.name, limits)
        except Exception:
            with suppress(Exception):
                blob.delete(**limits)
            raise
        with self._explain_refusal("storage.objects.delete"):
            blob.delete(**limits)
        return ""

    def _read_probe(self, client: Any, name: str, limits: dict[str, Any]) -> None:
        with self._explain_refusal("storage.objects.list"):
            names = {blob.name for blob in client.list_blobs(self.name, prefix=name, **limits)}
        with self._explain_refusal("storage.objects.get"):
            content = client.bucket(self.name).blob(name).download_as_bytes(**limits)
        if content != PROBE or name not in names:
            raise ServiceUnavailableError(N_("The bucket {bucket} does not return what was written."), bucket=self.name)

    def open_client(self) -> Any:
        """Return a client with the credentials that MLflow uses as well. Raises AccessDeniedError without any."""
        from google.cloud import storage

        try:
            return CircuitBreaker("Google", SEARCH_TIMEOUT_S, reset_after_s=0).call(storage.Client)
        except CallFailedError as error:
            cause = error.__cause__
            if _names_no_project(cause):
                raise AccessDeniedError(
                    N_("The credentials of Google name no project. Set GOOGLE_CLOUD_PROJECT.")
                ) from error
            if self.credentials_file:
                raise AccessDeniedError(
                    N_(
                        "The file {file} has no credentials of Google ({reason}). "
                        "GOOGLE_APPLICATION_CREDENTIALS is the path of the key file of a service account."
                    ),
                    file=self.credentials_file,
                    reason=_get_first_line(cause or error),
                ) from error
            raise AccessDeniedError(
                N_(
                    "There are no credentials of Google. Set GOOGLE_APPLICATION_CREDENTIALS to the path of the "
                    "key file of a service account."
                )
            ) from error

    @contextmanager
    def _explain_refusal(self, permission: str) -> Iterator[None]:
        """Turn the refusals of Google that an operator can fix into AccessDeniedError."""
        from google.api_core.exceptions import Forbidden, NotFound, Unauthorized
        from google.auth.exceptions import GoogleAuthError, TransportError

        try:
            yield
        except NotFound as error:
            raise AccessDeniedError(
                N_("The bucket {bucket} does not exist (HTTP 404). Check MLFLOW_ARTEFACTS_LOCATION."), bucket=self.name
            ) from error
        except Forbidden as error:
            raise AccessDeniedError(
                N_(
                    "The Google account lacks the permission {permission} for the bucket {bucket} (HTTP 403). "
                    "The role Storage Object User contains it."
                ),
                permission=permission,
                bucket=self.name,
            ) from error
        except TransportError:  # Google is out of reach
            raise
        except (Unauthorized, GoogleAuthError) as error:
            raise AccessDeniedError(
                N_("Google does not accept the credentials ({reason})."), reason=_get_first_line(error)
            ) from error


def is_google_location(location: str | None) -> bool:
    """Tell whether artifacts at `location` are in Google Cloud Storage."""
    return urlsplit(location or "").scheme == SCHEME


def _names_no_project(error: BaseException | None) -> bool:
    """Tell whether Google's library found credentials and no project, which is an OSError without a number."""
    return type(error) is OSError and error.errno is None


def _get_first_line(error: BaseException) -> str:
    """Return the first line of an error, or of the text that comes first among its arguments."""
    text = str(error.args[0] if error.args else error) or type(error).__name__
    return text.splitlines()[0].strip().rstrip(".")
