"""Passwords: validated for strength and stored as argon2id hashes."""

import re
import threading
import unicodedata
from functools import cache
from typing import Any

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from zxcvbn import zxcvbn  # type: ignore[import-untyped]

from core.accounts.password_patterns import contains_word, find_main_pattern
from core.errors import WeakPasswordError
from core.messages import N_

MIN_CHARS, MAX_CHARS = 10, 200
MIN_SCORE = 3  # zxcvbn score of 0 to 4; 3 is "safely unguessable", from 10^8 guesses on
MAX_SCORED_CHARS = 72  # characters; the time of zxcvbn grows at least with the square of the length
PRODUCT_WORDS = ("vigie",)
COMMON_WORDS = ("motdepasse", "administrateur", "utilisateur", "bonjour", "energie", "energy", "telecom", "reseau")
"""Words of French and of the trade, which zxcvbn does not know."""

HASHER = PasswordHasher(time_cost=1, memory_cost=47104, parallelism=1)
"""46 MiB and one pass, as OWASP recommends for argon2id (Password Storage Cheat Sheet). It takes 50 to 100 ms."""
HASH_SLOTS = threading.Semaphore(4)  # concurrent hashes, so that many sign-ins do not exhaust the memory

WEAKNESS_MESSAGES = {
    "sequence": N_(
        "The password is too easy to guess. It consists mostly of consecutive letters or "
        "digits, such as 0123456 or 987654."
    ),
    "repeat": N_("The password is too easy to guess. It repeats the same characters."),
    "spatial": N_("The password is too easy to guess. It consists mostly of neighbouring keys."),
    "date": N_("The password is too easy to guess. It consists mostly of a date or a year."),
    "common": N_("The password is too easy to guess. It consists mostly of a very common password."),
    "word": N_("The password is too easy to guess. It consists mostly of a word or a name."),
    "name": N_("The password is too easy to guess. It contains the name of the user or of this product."),
    "": N_("The password is too easy to guess. Make it longer or add other words."),
}


def check_password(password: str, name: str) -> None:
    """Raise WeakPasswordError, with the reason, if the password is too short, too long or too easy to guess.

    name   the user name, which the password must not contain

    Example:
        >>> check_password("eight unrelated zebras", "ada")
        >>> check_password("Ada-Lovelace-1815", "ada.lovelace")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        core.errors.WeakPasswordError: ... contains the name of the user ...
    """
    if not MIN_CHARS <= len(password) <= MAX_CHARS:
        raise WeakPasswordError(
            N_("The password has {count} characters. Accepted are {shortest} to {longest} characters."),
            count=len(password),
            shortest=MIN_CHARS,
            longest=MAX_CHARS,
        )
    normalized, name_parts = _normalize(password), _split_name(name)
    if contains_word(normalized, name_parts):
        raise WeakPasswordError(WEAKNESS_MESSAGES["name"])
    words = [*name_parts, *PRODUCT_WORDS]
    reason = find_main_pattern(normalized, words) or _find_weakness(normalized[:MAX_SCORED_CHARS], words)
    if reason is not None:
        raise WeakPasswordError(WEAKNESS_MESSAGES[reason])


def hash_password(password: str) -> str:
    """Return the argon2id hash of a password."""
    with HASH_SLOTS:
        return HASHER.hash(_encode(password))


def verify_password(password_hash: str | None, password: str) -> bool:
    """Tell whether `password_hash` is a hash of `password`.

    Without a hash, a dummy hash is verified, so that the response time does not reveal whether the user exists.

    Example:
        >>> verify_password(hash_password("eight unrelated zebras"), "eight unrelated zebras")
        True
        >>> verify_password(None, "eight unrelated zebras")
        False
    """
    candidate = password if len(password) <= MAX_CHARS else ""  # no stored password is empty
    dummy_hash = _get_dummy_hash()
    with HASH_SLOTS:
        try:
            HASHER.verify(password_hash or dummy_hash, _encode(candidate))
        except (VerificationError, InvalidHashError):
            return False
    return password_hash is not None


def needs_rehash(password_hash: str) -> bool:
    """Tell whether `password_hash` was made with other parameters than those of `HASHER`."""
    return HASHER.check_needs_rehash(password_hash)


@cache
def _get_dummy_hash() -> str:
    return HASHER.hash("the password of nobody")


def _normalize(password: str) -> str:
    """Return the NFKC form, because keyboards encode the same character in several ways."""
    return unicodedata.normalize("NFKC", password)


def _encode(password: str) -> bytes:
    return _normalize(password).encode("utf-8", "surrogatepass")


def _split_name(name: str) -> list[str]:
    """Return the case-folded name and its parts that have at least 4 characters."""
    folded = _normalize(name).casefold()
    return [part for part in {folded, *re.split(r"[^\w]|_", folded)} if len(part) >= 4]


def _find_weakness(password: str, words: list[str]) -> str | None:
    """Return the key in `WEAKNESS_MESSAGES` of the main weakness; None for a strong password.

    words   names of the user and the product
    """
    estimate = zxcvbn(password, user_inputs=[*words, *COMMON_WORDS])
    if estimate["score"] >= MIN_SCORE:
        return None
    matches = [match for match in estimate["sequence"] if match["pattern"] != "bruteforce"]
    return _classify_match(max(matches, key=lambda match: len(match["token"]))) if matches else ""


def _classify_match(match: dict[str, Any]) -> str:
    if match["pattern"] != "dictionary":
        return {"regex": "date"}.get(match["pattern"], match["pattern"])
    if match["dictionary_name"] == "user_inputs":
        return "word" if match["matched_word"] in COMMON_WORDS else "name"
    return "common" if match["dictionary_name"] == "passwords" else "word"
