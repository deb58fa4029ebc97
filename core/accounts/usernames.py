"""User names: validation, and a key that is equal for all spellings of a name."""

import re
import unicodedata

from core.errors import OptionError
from core.messages import N_

MAX_NAME_CHARS = 100
NAME_PATTERN = re.compile(r"[^\W_][\w.+@|'-]*")
"""User names, e-mail addresses and subjects of identity providers (auth0|5f7c…). The first character is a letter or
digit, so that no name is a path, a hidden file or a formula.
"""


def validate_username(name: str) -> str:
    """Return the name in the form that is stored (NFKC, without surrounding spaces).

    Raises OptionError for a name that is too long, contains other characters or mixes alphabets (U+0430 is Cyrillic).

    Example:
        >>> validate_username(" Zoé.Martin ")
        'Zoé.Martin'
        >>> validate_username("p" + chr(0x0430) + "ul")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        core.errors.OptionError: ...
    """
    normalized = _normalize_name(name)
    if normalized is None:
        raise OptionError(
            N_(
                "This name is not accepted. It must have 1 to {longest} letters, digits or "
                "characters of . _ + @ | ' - and begin with a letter or digit. All letters "
                "must be of one alphabet."
            ),
            longest=MAX_NAME_CHARS,
        )
    return normalized


def make_lookup_key(name: str) -> str | None:
    """Return the key that all spellings of a name share; None for a name that is not accepted.

    Example:
        >>> make_lookup_key("ZOÉ.martin"), make_lookup_key("zoe\u0301.Martin"), make_lookup_key("=1+1")
        ('zoé.martin', 'zoé.martin', None)
    """
    normalized = _normalize_name(name)
    return None if normalized is None else fold_name(normalized)


def fold_name(name: str) -> str:
    """Return the key of a name that `validate_username` has returned."""
    return unicodedata.normalize("NFKC", name.casefold())


def _normalize_name(name: str) -> str | None:
    if len(name) > 2 * MAX_NAME_CHARS:  # reject before the normalisation of a long text
        return None
    normalized = unicodedata.normalize("NFKC", name).strip()
    base_characters = "".join(c for c in normalized if not unicodedata.category(c).startswith("M"))
    is_valid = (
        len(normalized) <= MAX_NAME_CHARS
        and normalized.startswith(base_characters[:1])  # a combining mark follows the letter that it changes
        and NAME_PATTERN.fullmatch(base_characters) is not None
    )
    return normalized if is_valid and len(_find_alphabets(normalized)) <= 1 else None


def _find_alphabets(text: str) -> set[str]:
    """Return the alphabets (LATIN, CYRILLIC …) of the letters; a mixture of two may imitate another name."""
    return {unicodedata.name(letter, "?").partition(" ")[0] for letter in text if letter.isalpha()}
