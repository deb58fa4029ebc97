"""What logs and feedback may hold: no secret, no place on earth, and a person's name only as far as settings allow."""

import hashlib
import hmac
import re
from collections.abc import Mapping
from typing import Any

from pydantic import SecretStr

from core.settings import Settings

REMOVED = "[removed]"
PRIVATE = re.compile(
    r"password|secret|token|credential|api_?key|comment|e_?mail|latitude|longitude|coordinates", re.IGNORECASE
)
IN_ADDRESS = re.compile(r"(?<=://)[^/\s:@]*:[^/\s@]+(?=@)")
"""User and password of an address, as in postgresql://user:password@host."""


def redacted(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """`inputs` with the values of private names removed, however deep."""
    return {name: REMOVED if PRIVATE.search(str(name)) else _below(value) for name, value in inputs.items()}


def _below(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_below(each) for each in value]
    return redacted(value) if isinstance(value, Mapping) else value


def without_secrets(text: str, given: Settings) -> str:
    """`text` without the values of secret settings, and without the password of any address."""
    for name in type(given).model_fields:
        value = getattr(given, name)
        if isinstance(value, SecretStr) and len(value.get_secret_value()) > 3:
            text = text.replace(value.get_secret_value(), REMOVED)
    return IN_ADDRESS.sub(REMOVED, text)


def pseudonym(user: str, key: str) -> str:
    """`user` as events and feedback know them: a keyed hash (HMAC-SHA256), or the name itself where there is no key."""
    if not key:
        return user
    return hmac.new(key.encode(), user.casefold().encode(), hashlib.sha256).hexdigest()[:32]
