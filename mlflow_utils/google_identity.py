"""Identity tokens of Google for an MLflow server behind Cloud Run, renewed before they expire.

MLFLOW_TRACKING_AUTH=google-identity switches them on. A token is made for the address of the server, by the key file in
GOOGLE_APPLICATION_CREDENTIALS or by the service account of the machine. It is valid for an hour.
"""

import os
import threading
from functools import cache
from typing import Any
from urllib.parse import urlsplit

NAME = "google-identity"
TIMEOUT_S = 5.0  # of the metadata server or of Google's token service

_lock = threading.Lock()


def is_requested() -> bool:
    """Tell whether requests to MLflow carry such a token."""
    return os.environ.get("MLFLOW_TRACKING_AUTH") == NAME


def build_header(uri: str) -> dict[str, str]:
    """Return the authorization header for a request to `uri`. Raises OSError where no token is to be had."""
    from google.auth.exceptions import GoogleAuthError

    address = urlsplit(uri)
    header: dict[str, str] = {}
    try:
        with _lock:
            credentials, request = _find_credentials(f"{address.scheme}://{address.netloc}")
            credentials.before_request(request, "GET", uri, header)
    except GoogleAuthError as error:
        raise OSError(f"no identity token of Google for {address.netloc}: {error}") from error
    return {"Authorization": header["authorization"]}


@cache
def _find_credentials(audience: str) -> tuple[Any, Any]:
    """Return the credentials for an audience, which renew their token, and what sends their requests."""
    from functools import partial

    from google.auth.transport.requests import Request
    from google.oauth2.id_token import fetch_id_token_credentials

    request = partial(Request(), timeout=TIMEOUT_S)
    return fetch_id_token_credentials(audience, request=request), request  # type: ignore[no-untyped-call]


def prepare_client() -> None:
    """Make MLflow's client know the name where it is requested."""
    if is_requested():
        _register()


@cache
def _register() -> None:
    from mlflow.tracking.request_auth.abstract_request_auth_provider import RequestAuthProvider
    from mlflow.tracking.request_auth.registry import _request_auth_provider_registry
    from requests.auth import AuthBase

    class IdentityToken(AuthBase):
        """Adds the header to each request."""

        def __call__(self, request: Any) -> Any:
            request.headers.update(build_header(request.url))
            return request

    class GoogleIdentityProvider(RequestAuthProvider):  # type: ignore[misc]
        """Answer to the name."""

        def get_name(self) -> str:
            return NAME

        def get_auth(self) -> AuthBase:
            return IdentityToken()

    _request_auth_provider_registry.register(GoogleIdentityProvider)
