"""Removal of secrets, coordinates and names of users from logs and feedback."""

import hashlib
import hmac
import json
import os
import re
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus, unquote

from pydantic import SecretStr

from core.settings import LIBRARY_VARIABLES, Settings, split_tokens

PLACEHOLDER = "[removed]"
PRIVATE_NAME = re.compile(
    r"password|secret|token|credential|(?:api|access)_?key|comment|e_?mail|latitude|longitude|coordinates",
    re.IGNORECASE,
)
URL_CREDENTIALS = re.compile(r"(?<=://)[^/\s:@]*:[^/\s@]+(?=@)")
"""User and password of a URL, as in postgresql://user:password@host."""
ADDRESS_PASSWORD = re.compile(r"://[^/\s:@]*:(.+)@")
"""Password of an address in a setting. Unlike in a text, it is known to end there, so it may have the signs @ and /."""
SECRET_ADDRESSES = ("database_url", "vigie_smtp_url")
"""Settings that are secret for the password in them; the rest of the address may be told."""
PASSWORD_NAME = r"(?i:\w*(?:passw(?:or)?d|pwd|secret|token|key)\w*)[\"']?\s*[=:]\s*[\"']?"
"""What stands before a password: `password=`, `"secret_key": "`."""
MIN_CHARS = 4  # of a secret that is removed anywhere
MIN_PLAIN_CHARS = 8  # of one that has only letters, or only digits
COMMON_NAMES = frozenset(
    {"password", "postgres", "postgresql", "elasticsearch", "minioadmin", "administrator", "anonymous", "changeme"}
)
"""Longer words that are passwords of stand-ins and words of messages."""


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

    A secret that could be an ordinary word or number is removed only where a password stands, as in `password=vigie`:
    elsewhere it hides names, and the gap in a known sentence would tell it.

    Example:
        >>> secrets = {"elastic_password": SecretStr("hunter2"), "aws_secret_key": SecretStr("vigie")}
        >>> settings = Settings.model_construct(**secrets)
        >>> strip_secrets("hunter2 refused by https://vigie:hunter2@example.org", settings)
        '[removed] refused by https://[removed]@example.org'
        >>> strip_secrets("s3://vigie refused secret_key=vigie", settings)
        's3://vigie refused secret_key=[removed]'
    """
    return remove_secrets(text, _list_secrets(settings), _list_names(settings))


def remove_secrets(text: str, secrets: Collection[str], names: Collection[str] = ()) -> str:
    """Return `text` without `secrets`, as `strip_secrets` does; `names` are words that it needs."""
    known_secrets = set(secrets) - {""}
    distinct_secrets = [secret for secret in known_secrets if not _is_ordinary(secret, names)]
    forms = {form for secret in distinct_secrets for form in _list_written_forms(secret)}
    patterns = [URL_CREDENTIALS.pattern]
    if forms:
        patterns.append(_join_alternatives(forms))
    if known_secrets:
        anything = _join_alternatives(known_secrets)
        patterns += [rf"(?<=:)(?:{anything})(?=@)", rf"(?P<name>{PASSWORD_NAME})(?:{anything})(?!\w)"]
    return re.sub("|".join(patterns), lambda match: f"{match.groupdict().get('name') or ''}{PLACEHOLDER}", text)


def _list_secrets(settings: Settings) -> set[str]:
    """Return the values of secret settings and variables. Of an address it is the password, as its place is none."""
    fields = {name: getattr(settings, name) for name in type(settings).model_fields}
    secret_addresses = [fields.pop(name).get_secret_value() for name in SECRET_ADDRESSES]
    source_databases = fields.pop("vigie_source_databases").get_secret_value()
    values = {value.get_secret_value() for value in fields.values() if isinstance(value, SecretStr)}
    values |= set(split_tokens(settings.vigie_api_tokens))
    values |= {os.environ.get(name, "") for name in LIBRARY_VARIABLES if PRIVATE_NAME.search(name)}
    addresses = [*secret_addresses, *(value for value in fields.values() if isinstance(value, str))]
    addresses += _list_texts(source_databases)
    passwords = {match[1] for address in addresses if (match := ADDRESS_PASSWORD.search(address))}
    return values | passwords | {unquote(password) for password in passwords}


def _list_texts(document: str) -> list[str]:
    """Return the values of a JSON object that are texts; all of the document where it is none."""
    try:
        return [value for value in json.loads(document or "{}").values() if isinstance(value, str)]
    except (ValueError, AttributeError):
        return [document]


def _is_ordinary(secret: str, names: Collection[str]) -> bool:
    """Tell whether a secret is also a name of the settings, or short and made of only letters or only digits."""
    is_plain = secret.isalpha() or secret.isdigit()
    return len(secret) < MIN_CHARS or (is_plain and len(secret) < MIN_PLAIN_CHARS) or secret in {*names, *COMMON_NAMES}


def _list_names(settings: Settings) -> set[str]:
    """Return the names that messages need: those of buckets, users, hosts and folders."""
    values = [getattr(settings, name) for name in type(settings).model_fields]
    texts = [str(value) for value in values if isinstance(value, str | Path)]
    secret_addresses = (getattr(settings, name).get_secret_value() for name in SECRET_ADDRESSES)
    places = [ADDRESS_PASSWORD.sub("://", text) for text in (*texts, *secret_addresses)]
    return {word for text in places for word in (text, *re.split(r"[/:@.,?&=\s]+", text))}


def _list_written_forms(secret: str) -> set[str]:
    """Return a secret as it is written in a text, an address, JSON and the display of Python."""
    return {secret, quote(secret, safe=""), quote_plus(secret), json.dumps(secret)[1:-1], repr(secret)[1:-1]}


def _join_alternatives(texts: Iterable[str]) -> str:
    return "|".join(map(re.escape, sorted(texts, key=lambda text: (-len(text), text))))


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
