"""Names of users: which are accepted, and when two are the same."""

import re
import unicodedata

from core.errors import OptionError
from core.messages import N_

LONGEST = 100
ACCEPTED = re.compile(r"[^\W_][\w.+@|'-]*")
"""A letter or digit first, so that no name is a path, a hidden file or a formula; user names, e-mail addresses and the
subjects of identity providers (auth0|5f7c…) fit.
"""


def accepted(name: str) -> str:
    """`name` as it is kept. Raises OptionError for a name that is not accepted."""
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
    """What two spellings of one name share; None for a name that nobody can have."""
    kept = _one_form(name)
    return None if kept is None else folded(kept)


def folded(kept: str) -> str:
    """The key of an accepted name."""
    return unicodedata.normalize("NFKC", kept.casefold())


def _one_form(name: str) -> str | None:
    if len(name) > 2 * LONGEST:  # before any work is done on it
        return None
    kept = unicodedata.normalize("NFKC", name).strip()
    fits = len(kept) <= LONGEST and ACCEPTED.fullmatch(kept) is not None
    return kept if fits and len(_alphabets(kept)) <= 1 else None


def _alphabets(text: str) -> set[str]:
    """LATIN, CYRILLIC …: a name of two of them is made to be taken for another."""
    return {unicodedata.name(letter, "?").partition(" ")[0] for letter in text if letter.isalpha()}
