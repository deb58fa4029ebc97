"""Removal of secrets, coordinates and names of users from logs and feedback."""

import hashlib
import hmac
import re
from collections.abc import Mapping
from typing import Any

from pydantic import SecretStr

from core.settings import Settings

PLACEHOLDER = "[removed]"
PRIVATE_NAME = re.compile(
    r"password|secret|token|credential|api_?key|comment|e_?mail|latitude|longitude|coordinates", re.IGNORECASE
)
URL_CREDENTIALS = re.compile(r"(?<=://)[^/\s:@]*:[^/\s@]+(?=@)")
"""User and password of a URL, as in postgresql://user:password@host."""


def redact(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return `inputs` with the values of private names replaced, at any depth.

    Example:
        >>> redact({"entity": "paris", "source": {"api_key": "k-123", "latitude": 48.9}})
        {'entity': 'paris', 'source': {'api_key': '[removed]', 'latitude': '[removed]'}}
    """
    return {
        name: PLACEHOLDER if PRIVATE_NAME.search(str(name)) else _redact_value(value) for name, value in inputs.items()
    }


def _redact_value(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_redact_value(item) for item in value]
    return redact(value) if isinstance(value, Mapping) else value


def strip_secrets(text: str, settings: Settings) -> str:
    """Return `text` without the values of secret settings and without the user and password of URLs.

    Example:
        >>> settings = Settings.model_construct(elastic_password=SecretStr("hunter2"))
        >>> strip_secrets("hunter2 refused by https://vigie:hunter2@example.org", settings)
        '[removed] refused by https://[removed]@example.org'
    """
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if isinstance(value, SecretStr) and len(value.get_secret_value()) > 3:
            text = text.replace(value.get_secret_value(), PLACEHOLDER)
    return URL_CREDENTIALS.sub(PLACEHOLDER, text)


def pseudonymise(user: str, key: str) -> str:
    """Return the pseudonym of `user` in events and feedback: a keyed hash (HMAC-SHA256), or the name without a key.

    Case is ignored.

    Example:
        >>> pseudonymise("alice", key="")
        'alice'
        >>> pseudonymise("Alice", key="secret") == pseudonymise("alice", key="secret")
        True
    """
    if not key:
        return user
    return hmac.new(key.encode(), user.casefold().encode(), hashlib.sha256).hexdigest()[:32]
