"""Passwords: validated for strength and stored as argon2id hashes."""

import re
import threading
import unicodedata
from functools import cache
from typing import Any

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from zxcvbn import zxcvbn  # type: ignore[import-untyped]

from core.errors import OptionError
from core.messages import N_

SHORTEST, LONGEST = 10, 200
STRONG = 3  # zxcvbn score of 0 to 4; 3 is "safely unguessable", from 10^8 guesses on
LOOKED_AT = 72  # characters; the time of zxcvbn grows at least with the square of the length
PRODUCT = ("vigie",)
FRENCH_ROWS = ("azertyuiop", "qsdfghjklm", "wxcvbn")  # zxcvbn knows only the rows of US keyboards

HASHER = PasswordHasher(time_cost=1, memory_cost=47104, parallelism=1)
"""46 MiB and one pass, as OWASP recommends for argon2id (Password Storage Cheat Sheet). It takes 50 to 100 ms."""
AT_ONCE = threading.Semaphore(4)  # concurrent hashes, so that many sign-ins do not exhaust the memory

REFUSED = {
    "sequence": N_(
        "The password is too easy to guess: it is mostly a run of letters or digits, such as 0123456 or 987654."
    ),
    "repeat": N_("The password is too easy to guess: it repeats the same characters."),
    "spatial": N_("The password is too easy to guess: it is mostly a row of neighbouring keys."),
    "date": N_("The password is too easy to guess: it is mostly a date or a year."),
    "common": N_("The password is too easy to guess: it is mostly one of the passwords that people use most."),
    "word": N_("The password is too easy to guess: it is mostly a word or a name."),
    "name": N_("The password is too easy to guess: it contains the name of the user or of this product."),
    "": N_("The password is too easy to guess: make it longer, or mix in other words."),
}


def check(password: str, name: str) -> None:
    """Raise OptionError, with the reason, if the password is too short, too long or too easy to guess.

    name   the user name, which the password must not contain

    Example:
        >>> check("eight unrelated zebras", "ada")
        >>> check("Ada-Lovelace-1815", "ada.lovelace")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        core.errors.OptionError: ... contains the name of the user ...
    """
    if not SHORTEST <= len(password) <= LONGEST:
        raise OptionError(
            N_("The password has {count} characters; {shortest} to {longest} are accepted."),
            count=len(password),
            shortest=SHORTEST,
            longest=LONGEST,
        )
    normal, parts = _normal(password), _parts(name)
    if any(part in normal.casefold() for part in parts):
        raise OptionError(REFUSED["name"])
    reason = _weakness(normal[:LOOKED_AT], [*parts, *PRODUCT, *FRENCH_ROWS])
    if reason is not None:
        raise OptionError(REFUSED[reason])


def hashed(password: str) -> str:
    """Return the argon2id hash of a password."""
    with AT_ONCE:
        return HASHER.hash(_bytes(password))


def verified(kept: str | None, password: str) -> bool:
    """Tell whether `kept` is a hash of `password`.

    Without a hash, a dummy hash is verified, so that the response time does not reveal whether the user exists.

    Example:
        >>> verified(hashed("eight unrelated zebras"), "eight unrelated zebras")
        True
        >>> verified(None, "eight unrelated zebras")
        False
    """
    fits = password if len(password) <= LONGEST else ""  # no stored password is empty
    of_nobody = _of_nobody()
    with AT_ONCE:
        try:
            HASHER.verify(kept or of_nobody, _bytes(fits))
        except (VerificationError, InvalidHashError):
            return False
    return kept is not None


def outdated(kept: str) -> bool:
    """Tell whether `kept` was made with other parameters than those of `HASHER`."""
    return HASHER.check_needs_rehash(kept)


@cache
def _of_nobody() -> str:
    return HASHER.hash("the password of nobody")


def _normal(password: str) -> str:
    """Return the NFKC form, because keyboards encode the same character in several ways."""
    return unicodedata.normalize("NFKC", password)


def _bytes(password: str) -> bytes:
    return _normal(password).encode("utf-8", "surrogatepass")


def _parts(name: str) -> list[str]:
    """Return the case-folded name and its parts that have at least 4 characters."""
    whole = _normal(name).casefold()
    return [part for part in {whole, *re.split(r"[^\w]|_", whole)} if len(part) >= 4]


def _weakness(password: str, words: list[str]) -> str | None:
    """Return the key in `REFUSED` of the main weakness; None for a strong password."""
    found = zxcvbn(password, user_inputs=words)
    if found["score"] >= STRONG:
        return None
    matches = [match for match in found["sequence"] if match["pattern"] != "bruteforce"]
    return _kind(max(matches, key=lambda match: len(match["token"]))) if matches else ""


def _kind(match: dict[str, Any]) -> str:
    if match["pattern"] != "dictionary":
        return {"regex": "date"}.get(match["pattern"], match["pattern"])
    if match["dictionary_name"] == "user_inputs":
        return "spatial" if match["matched_word"] in FRENCH_ROWS else "name"
    return "common" if match["dictionary_name"] == "passwords" else "word"
