"""Patterns of passwords that zxcvbn does not know, or rates as strong where several stand side by side."""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from itertools import pairwise

MIN_OTHERS = 5  # letters, digits and distinct signs but one beside the patterns; with fewer, it is mostly patterns
MIN_RUN = 3  # keys or letters in a row
MAX_STEP = 3  # of a sequence, such as 2 of 1357
KEY_LINES = (
    *("1234567890", "qwertyuiop", "asdfghjkl", "zxcvbnm", "qwertzuiop", "yxcvbnm", "azertyuiop", "qsdfghjklm"),
    *(
        "wxcvbn",
        "!@#$%^&*()",
        "&e\"'(-e_ca)=",
        "147258369",
        "aqzsedrftgyhujikolpm",
        "qwsxdcfvgbhn",
        "qawsedrftgyhujikolp",
    ),
    *("1qaz2wsx3edc4rfv5tgb6yhn7ujm", "1aqw2zsx3edc4rfv5tgb6yhn7uj,"),
)
"""Rows, columns and zigzags of keyboards, American, German and French, without accents."""
KEY_RUNS = "\n".join((*KEY_LINES, *(line[::-1] for line in KEY_LINES)))
SWAPS = tuple(str.maketrans("01345789@$!", f"o{letter}eastbgasi") for letter in "il")
"""Letters that digits and signs stand for; 1 is i or l."""

MONTHS = (
    *("january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november"),
    *("december", "janvier", "fevrier", "mars", "avril", "mai", "juin", "juillet", "aout", "septembre", "octobre"),
    *("novembre", "decembre", "janv", "fevr", "juil", "sept", "jan", "feb", "fev", "mar", "apr", "avr", "jun", "jul"),
    *("aug", "sep", "oct", "nov", "dec"),
)
WEEKDAYS = (
    *("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"),
    *("lundi", "mardi", "mercredi", "jeudi", "vendredi", "samedi", "dimanche"),
)
DAY, MONTH, YEAR = r"(?:0[1-9]|[12]\d|3[01])", r"(?:0[1-9]|1[0-2])", r"(?:19|20)\d\d"
GAP = r"[\W_年月日]"
NUMBER = r"(?:\d{4}|\d{1,2})(?:er|st|nd|rd|th)?"
DATES = re.compile(
    rf"(?:(?:{'|'.join(WEEKDAYS)}){GAP}*)?(?:(?:le|the|on){GAP}*)?"
    rf"(?:(?:{NUMBER}{GAP}*){{1,2}}(?:of{GAP}*)?(?:{'|'.join(MONTHS)})(?:{GAP}*{NUMBER})?"
    rf"|(?:{'|'.join(MONTHS)})(?:{GAP}*{NUMBER}){{1,2}}"
    rf"|\d{{1,4}}{GAP}+\d{{1,2}}{GAP}+\d{{1,4}}"
    rf"|{DAY}{MONTH}{YEAR}|{MONTH}{DAY}{YEAR}|{YEAR}{MONTH}{DAY}|{DAY}{MONTH}\d\d(?!\d)|{YEAR})"
)
"""Dates in words and numbers, in any order, and years."""
REPEATS = re.compile(r"(.+?)\1+")

Span = tuple[int, int]


def contains_word(password: str, words: Iterable[str]) -> bool:
    """Tell whether a password contains one of the folded `words`, also backwards or with digits for letters.

    Example:
        >>> contains_word("4l1ce-71", ["alice"]), contains_word("71ECILA", ["alice"]), contains_word("71", ["alice"])
        (True, True, False)
    """
    readings = _list_readings(_fold(password))
    return any(form in reading for word in words for form in (word, word[::-1]) for reading in readings)


def find_main_pattern(password: str, words: Iterable[str]) -> str | None:
    """Return the kind of the longest pattern of a password where hardly anything else is in it, else None.

    Kinds are "name", "date", "spatial" (neighbouring keys), "sequence" and "repeat".

    words   folded words of the user and the product

    Example:
        >>> find_main_pattern("14 juillet 1989!", []), find_main_pattern("0011223344556677", [])
        ('date', 'sequence')
        >>> find_main_pattern("azeqsdwxcv", []), find_main_pattern("Fjord-lantern-71-plum", [])
        ('spatial', None)
    """
    text = _fold(password)
    if REPEATS.fullmatch(text):
        return "repeat"
    undoubled = REPEATS.sub(lambda match: match[1] if len(match[1]) == 1 else match[0], text)
    return _find_longest_pattern(text, words) or _find_longest_pattern(undoubled, words)


def _find_longest_pattern(text: str, words: Iterable[str]) -> str | None:
    spans_by_kind: dict[str, Iterable[Span]] = {
        "name": _find_words(text, words),
        "date": (match.span() for match in DATES.finditer(text)),
        "sequence": _find_sequences(text),
        "spatial": _find_key_runs(text),
        "repeat": ((match.start() + len(match[1]), match.end()) for match in REPEATS.finditer(text)),
    }
    spans = [(end - start, kind, start, end) for kind, spans in spans_by_kind.items() for start, end in spans]
    covered = {position for _length, _kind, start, end in spans for position in range(start, end)}
    others = [letter for position, letter in enumerate(text) if position not in covered]
    signs = {letter for letter in others if not letter.isalnum()}
    other_count = sum(letter.isalnum() for letter in others) + max(len(signs) - 1, 0)
    if not spans or other_count >= MIN_OTHERS:
        return None
    return max(spans, key=lambda span: span[0])[1]  # of the longest one


def _find_words(text: str, words: Iterable[str]) -> Iterator[Span]:
    forms = [re.escape(form) for word in words for form in (word, word[::-1])]
    if forms:
        for reading in _list_readings(text):
            yield from (match.span() for match in re.finditer("|".join(forms), reading))


def _find_key_runs(text: str) -> Iterator[Span]:
    start = 0
    while start + MIN_RUN <= len(text):
        end = start + MIN_RUN
        if text[start:end] not in KEY_RUNS:
            start += 1
            continue
        while end < len(text) and text[start : end + 1] in KEY_RUNS:
            end += 1
        yield start, end
        start = end


def _find_sequences(text: str) -> Iterator[Span]:
    """Yield stretches with the same small step from letter to letter, such as 1357 and cba."""
    steps = [ord(after) - ord(before) for before, after in pairwise(text)]
    start = 0
    while start < len(steps):
        end = start
        while end < len(steps) and steps[end] == steps[start]:
            end += 1
        is_plain = text[start : end + 1].isalpha() or text[start : end + 1].isdigit()
        if 0 < abs(steps[start]) <= MAX_STEP and end - start + 1 >= MIN_RUN and is_plain:
            yield start, end + 1
        start = end


def _list_readings(text: str) -> list[str]:
    return [text, *(text.translate(swap) for swap in SWAPS)]


def _fold(password: str) -> str:
    """Return the password in small letters and without accents."""
    decomposed = unicodedata.normalize("NFD", password.casefold())
    return "".join(letter for letter in decomposed if not unicodedata.combining(letter))
