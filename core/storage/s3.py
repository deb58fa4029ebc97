"""Objects in an S3 bucket. Errors that an operator can fix become AccessDeniedError with the remedy."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

from core.errors import AccessDeniedError, NotFoundError
from core.messages import N_
from core.settings import Settings

CONNECT_TIMEOUT_S, READ_TIMEOUT_S = 1.0, 3.0
ALREADY_EXISTS_CODES = ("PreconditionFailed", "412")
CHANGED_CODES = ("PreconditionFailed", "412", "NoSuchKey", "404", "InvalidRange", "416")
BLOCK_BYTES = 2**20
NO_CONDITIONAL_PUT_CODES = ("NotImplemented", "501")
ERROR_MESSAGES = {
    "InvalidAccessKeyId": N_("S3 does not know the access key ({code}). Check AWS_ACCESS_KEY."),
    "SignatureDoesNotMatch": N_("S3 does not accept the secret key ({code}). Check AWS_SECRET_KEY."),
    "ExpiredToken": N_("The keys for S3 have expired ({code})."),
    "InvalidToken": N_("S3 does not accept the session token ({code})."),
    "AccessDenied": N_(
        "The S3 keys have no access to the bucket {bucket} ({code}). They need permission to list, get and put objects."
    ),
    "403": N_(
        "The S3 keys have no access to the bucket {bucket} ({code}). They need permission to list, get and put objects."
    ),
    "NoSuchBucket": N_("The bucket {bucket} does not exist ({code}). Check S3_BUCKET_NAME."),
    "PermanentRedirect": N_("The bucket {bucket} is not in the region {region} ({code}). Check S3_REGION_NAME."),
    "AuthorizationHeaderMalformed": N_(
        "The bucket {bucket} is not in the region {region} ({code}). Check S3_REGION_NAME."
    ),
    "IllegalLocationConstraintException": N_(
        "The bucket {bucket} is not in the region {region} ({code}). Check S3_REGION_NAME."
    ),
    "RequestTimeTooSkewed": N_("The clock of this machine differs from the clock of S3 ({code}). Correct the clock."),
}
"""Messages by error code of S3. Any other error may be temporary."""


@dataclass(frozen=True)
class Bucket:
    """An S3 bucket.

    For empty fields, the default chain of AWS applies (environment, files, role of the machine).

    Methods raise AccessDeniedError for errors that an operator can fix, and the exceptions of boto3 for others.
    """

    name: str
    region: str = ""
    endpoint: str = ""
    access_key: str = field(default="", repr=False)
    secret_key: str = field(default="", repr=False)

    @classmethod
    def from_settings(cls, settings: Settings) -> "Bucket | None":
        """Return the bucket of the settings, or None if they name none."""
        if not settings.s3_bucket_name:
            return None
        keys = settings.aws_access_key.get_secret_value(), settings.aws_secret_key.get_secret_value()
        return cls(settings.s3_bucket_name, settings.s3_region_name, settings.s3_endpoint_url, *keys)

    @property
    def location(self) -> str:
        """Address of the bucket."""
        return f"s3://{self.name}"

    def put(self, key: str, body: bytes) -> None:
        """Store a JSON body under `key`; an existing object stays unchanged.

        A store without conditional writes overwrites the object, which is harmless: a key always has the same body.
        """
        from botocore.exceptions import ClientError  # type: ignore[import-untyped]

        fields = {"Bucket": self.name, "Key": key, "Body": body, "ContentType": "application/json"}
        with self._translate_errors():
            try:
                self._client.put_object(**fields, IfNoneMatch="*")
            except ClientError as error:
                if _get_error_code(error) in NO_CONDITIONAL_PUT_CODES:
                    self._client.put_object(**fields)
                elif _get_error_code(error) not in ALREADY_EXISTS_CODES:
                    raise

    def list_objects(self, prefix: str) -> Iterator[tuple[str, int]]:
        """Yield key and size in bytes of every object whose key begins with `prefix`."""
        with self._translate_errors():
            for page in self._client.get_paginator("list_objects_v2").paginate(Bucket=self.name, Prefix=prefix):
                yield from ((entry["Key"], entry["Size"]) for entry in page.get("Contents", ()))

    def list_versions(self, prefix: str) -> Iterator[tuple[str, int, str, datetime]]:
        """Yield key, size in bytes, ETag and time of the last change of every object below `prefix`."""
        with self._translate_errors():
            for page in self._client.get_paginator("list_objects_v2").paginate(Bucket=self.name, Prefix=prefix):
                for entry in page.get("Contents", ()):
                    yield entry["Key"], entry["Size"], entry["ETag"], entry["LastModified"]

    def read_version(self, key: str, version: str, start: int, stop: int) -> Iterator[bytes]:
        """Yield the bytes from `start` to before `stop` of an object, in blocks.

        Raises NotFoundError if its ETag is not `version` any more.
        """
        from botocore.exceptions import ClientError

        fields = {"Bucket": self.name, "Key": key, "IfMatch": version, "Range": f"bytes={start}-{stop - 1}"}
        with self._translate_errors():
            try:
                with closing(self._client.get_object(**fields)["Body"]) as body:
                    yield from body.iter_chunks(BLOCK_BYTES)
            except ClientError as error:
                if _get_error_code(error) in CHANGED_CODES:
                    raise NotFoundError(N_("The object {key} has changed."), key=key) from error
                raise

    def get(self, key: str, max_bytes: int) -> bytes:
        """Return the first `max_bytes` bytes of an object."""
        with self._translate_errors(), self._client.get_object(Bucket=self.name, Key=key)["Body"] as body:
            return bytes(body.read(max_bytes))

    def load_client(self) -> None:
        """Import boto3 and create its client. Raises AccessDeniedError for settings that it does not accept."""
        with self._translate_errors():
            _ = self._client

    def check(self) -> None:
        """Make one cheap request, to test access."""
        with self._translate_errors():
            self._client.list_objects_v2(Bucket=self.name, MaxKeys=1)

    @cached_property
    def _client(self) -> Any:
        """The boto3 client, created once because that takes longer than most requests."""
        from boto3.session import Session  # type: ignore[import-untyped]
        from botocore.config import Config  # type: ignore[import-untyped]

        config = Config(
            connect_timeout=CONNECT_TIMEOUT_S,
            read_timeout=READ_TIMEOUT_S,
            retries={"total_max_attempts": 2, "mode": "standard"},
            s3={"addressing_style": "path"} if self.endpoint else {},
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",  # for S3-compatible stores
        )
        return Session().client(
            "s3",
            region_name=self.region or None,
            endpoint_url=self.endpoint or None,
            config=config,
            aws_access_key_id=self.access_key or None,
            aws_secret_access_key=self.secret_key or None,
        )

    @contextmanager
    def _translate_errors(self) -> Iterator[None]:
        """Turn errors that an operator can fix into AccessDeniedError."""
        from botocore import exceptions as boto  # type: ignore[import-untyped]

        values = {"bucket": self.name, "region": self.region or "?"}
        try:
            yield
        except boto.ClientError as error:
            code = _get_error_code(error)
            if code in ERROR_MESSAGES:
                raise AccessDeniedError(ERROR_MESSAGES[code], code=code, **values) from error
            raise
        except (boto.NoCredentialsError, boto.PartialCredentialsError) as error:
            raise AccessDeniedError(N_("The S3 keys are incomplete. Set AWS_ACCESS_KEY and AWS_SECRET_KEY.")) from error
        except (boto.InvalidRegionError, boto.NoRegionError) as error:
            raise AccessDeniedError(
                N_("{region} is not a region of S3. Check S3_REGION_NAME."), region=values["region"]
            ) from error
        except (boto.ParamValidationError, ValueError) as error:
            raise AccessDeniedError(N_("The settings of S3 are not valid ({reason})."), reason=error) from error


def _get_error_code(error: Any) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))
