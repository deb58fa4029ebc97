"""Plain HTTP requests to an MLflow server, for callers that cannot wait for the import of MLflow: it takes seconds."""

import base64
import json
import os
import urllib.error
import urllib.request


def request(uri: str, path: str, timeout_s: float, body: object = None) -> str:
    """Return the server's answer.

    Raises OSError where there is none, and urllib's HTTPError (one of them) where the server refuses.
    """
    question = urllib.request.Request(
        f"{uri.rstrip('/')}{path}",
        None if body is None else json.dumps(body).encode(),
        {"Content-Type": "application/json", **_credentials()},
    )
    try:
        with urllib.request.urlopen(question, timeout=timeout_s) as answer:
            return str(answer.read(1_000_000).decode(errors="replace"))
    except urllib.error.HTTPError as refusal:
        refusal.close()  # it holds the connection
        raise


def _credentials() -> dict[str, str]:
    """Make the header that MLflow's own client sends, from the same variables."""
    user, password, token = (
        os.environ.get(f"MLFLOW_TRACKING_{name}", "") for name in ("USERNAME", "PASSWORD", "TOKEN")
    )
    if user and password:
        return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}
    return {"Authorization": f"Bearer {token}"} if token else {}
