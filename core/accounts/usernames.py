"""User names: validation, and a key that is equal for all spellings of a name."""

import re
import unicodedata

from core.errors import OptionError
from core.messages import N_

LONGEST = 100
ACCEPTED = re.compile(r"[^\W_][\w.+@|'-]*")
"""User names, e-mail addresses and subjects of identity providers (auth0|5f7c…). The first character is a letter or
digit, so that no name is a path, a hidden file or a formula.
"""


def accepted(name: str) -> str:
    """Return the name in the form that is stored (NFKC, without surrounding spaces).

    Raises OptionError for a name that is too long, contains other characters or mixes alphabets (U+0430 is Cyrillic).

    Example:
        >>> accepted(" Zoé.Martin ")
        'Zoé.Martin'
        >>> accepted("p" + chr(0x0430) + "ul")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        core.errors.OptionError: ...
    """
    kept = _one_form(name)
    if kept is None:
        raise OptionError(
            N_(
                "This name is not accepted. A user name or e-mail address has 1 to {longest} "
                "letters, digits and . _ + @ | ' -"
                " and begins with a letter or digit; its letters are of one alphabet."
            ),
            longest=LONGEST,
        )
    return kept


def key(name: str) -> str | None:
    """Return the key that all spellings of a name share; None for a name that is not accepted.

    Example:
        >>> key("ZOÉ.martin"), key("zoe\u0301.Martin"), key("=1+1")
        ('zoé.martin', 'zoé.martin', None)
    """
    kept = _one_form(name)
    return None if kept is None else folded(kept)


def folded(kept: str) -> str:
    """Return the key of a name that `accepted` has returned."""
    return unicodedata.normalize("NFKC", kept.casefold())


def _one_form(name: str) -> str | None:
    if len(name) > 2 * LONGEST:  # reject before the normalisation of a long text
        return None
    kept = unicodedata.normalize("NFKC", name).strip()
    fits = len(kept) <= LONGEST and ACCEPTED.fullmatch(kept) is not None
    return kept if fits and len(_alphabets(kept)) <= 1 else None


def _alphabets(text: str) -> set[str]:
    """Return the alphabets (LATIN, CYRILLIC …) of the letters; a mixture of two may imitate another name."""
    return {unicodedata.name(letter, "?").partition(" ")[0] for letter in text if letter.isalpha()}
