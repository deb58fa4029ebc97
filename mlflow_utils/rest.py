"""Plain HTTP requests to an MLflow server, for callers that cannot wait seconds for the import of MLflow."""

import base64
import json
import os
import urllib.error
import urllib.request

from mlflow_utils import google_identity


def request(uri: str, path: str, timeout_s: float, body: object = None) -> str:
    """Return the text of the response, at most 1 MB.

    Raises OSError where the server does not answer, HTTPError of urllib (a subclass) where it rejects the request.
    """
    http_request = urllib.request.Request(
        f"{uri.rstrip('/')}{path}",
        None if body is None else json.dumps(body).encode(),
        {"Content-Type": "application/json", **_build_auth_header(uri)},
    )
    try:
        with urllib.request.urlopen(http_request, timeout=timeout_s) as response:
            return str(response.read(1_000_000).decode(errors="replace"))
    except urllib.error.HTTPError as refusal:
        refusal.close()  # it keeps the connection open
        raise


def _build_auth_header(uri: str) -> dict[str, str]:
    """Return the authorization header of the MLflow client, from the same environment variables."""
    if google_identity.is_requested():
        return google_identity.build_header(uri)
    user, password, token = (
        os.environ.get(f"MLFLOW_TRACKING_{name}", "") for name in ("USERNAME", "PASSWORD", "TOKEN")
    )
    if user and password:
        return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}
    return {"Authorization": f"Bearer {token}"} if token else {}
