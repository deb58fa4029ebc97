"""Plain questions to an MLflow server, for whom importing MLflow takes too long: it takes seconds."""

import base64
import json
import os
import urllib.error
import urllib.request


def asked(uri: str, path: str, seconds: float, body: object = None) -> str:
    """What the server answers.

    Raises OSError where it does not, and urllib's HTTPError (one of them) where it refuses.
    """
    request = urllib.request.Request(
        f"{uri.rstrip('/')}{path}",
        None if body is None else json.dumps(body).encode(),
        {"Content-Type": "application/json", **_credentials()},
    )
    try:
        with urllib.request.urlopen(request, timeout=seconds) as answer:
            return str(answer.read(1_000_000).decode(errors="replace"))
    except urllib.error.HTTPError as refusal:
        refusal.close()  # it holds the connection
        raise


def _credentials() -> dict[str, str]:
    """What MLflow's own client sends, from the same variables."""
    user, password, token = (
        os.environ.get(f"MLFLOW_TRACKING_{name}", "") for name in ("USERNAME", "PASSWORD", "TOKEN")
    )
    if user and password:
        return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}
    return {"Authorization": f"Bearer {token}"} if token else {}
