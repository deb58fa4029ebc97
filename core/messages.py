"""Translatable messages: a template and its values.

A template with a count has two forms, one for a single thing and one for any other number. They are the two lines of
the template, so that it is stored and passed on as one text.
"""

import json
import string
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from numbers import Integral
from typing import Any, Protocol, TypeGuard

MANY = 2  # stands for any number of things but one


class Translator(Protocol):
    """A function that translates a text; of a text with a `plural`, the form for `count` things."""

    def __call__(self, text: str, plural: str = "", count: int = MANY, /) -> str:
        """Return the translation."""
        ...


def N_(text: str, plural: str = "") -> str:
    """Mark `text` for extraction into the translation catalogue, and return it as a template.

    With a `plural`, `text` is the form for one thing, and the template has both forms.

    Example:
        >>> N_("All rows")
        'All rows'
        >>> str(Message(N_("{count} row is empty.", "{count} rows are empty."), {"count": 1}))
        '1 row is empty.'
    """
    return f"{text}\n{plural}" if plural else text


def keep_english(text: str, plural: str = "", count: int = MANY, /) -> str:
    """Return the English form of a text for `count` things; a `Translator` into the language of the source.

    Example:
        >>> keep_english("{count} row", "{count} rows", 1), keep_english("{count} row", "{count} rows", 0)
        ('{count} row', '{count} rows')
    """
    return plural if plural and count != 1 else text


def split_template(template: str) -> tuple[str, str]:
    """Return the forms of a template for one thing and for many; the second is "" where it has one form.

    Example:
        >>> split_template(N_("{count} row", "{count} rows")), split_template("All rows")
        (('{count} row', '{count} rows'), ('All rows', ''))
    """
    text, _, plural = template.partition("\n")
    return text, plural


def format_plain(value: object) -> str:
    """Return `value` as English text, numbers with thousands separators and six significant digits.

    Example:
        >>> format_plain(1234567), format_plain(1234.56789), format_plain("paris")
        ('1,234,567', '1,234.57', 'paris')
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:,.6g}"


@dataclass(frozen=True)
class Message:
    """A message template with named placeholders, and their values; a value may be a message.

    The first whole number among the values, in the order of the template, decides between its two forms.

    Example:
        >>> message = Message("{count} rows of {file}", {"count": 1200, "file": "loads.csv"})
        >>> str(message)
        '1,200 rows of loads.csv'
        >>> str(Message("Read {what}", {"what": message}))
        'Read 1,200 rows of loads.csv'
        >>> message.render(lambda text, plural="", count=2: text.replace("rows of", "lignes de"), str)
        '1200 lignes de loads.csv'
    """

    template: str
    values: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Restore the messages among the values of one that was stored as JSON."""
        if any(map(_is_stored_message, self.values.values())):
            restored = {
                name: Message(**value) if _is_stored_message(value) else value for name, value in self.values.items()
            }
            object.__setattr__(self, "values", restored)

    def render(self, translate: Translator, format_value: Callable[[object], str]) -> str:
        """Return the message, its template translated by `translate` and its values formatted by `format_value`."""
        texts = {
            name: value.render(translate, format_value) if isinstance(value, Message) else format_value(value)
            for name, value in self.values.items()
        }
        text, plural = split_template(self.template)
        return (translate(text, plural, self._get_count(plural)) if plural else translate(text)).format(**texts)

    def _get_count(self, plural: str) -> int:
        """Return the number that decides between the forms."""
        names = (name for _, name, _, _ in string.Formatter().parse(plural) if name)
        numbers = (self.values.get(name) for name in names)
        return next((int(number) for number in numbers if isinstance(number, Integral)), MANY)

    def __str__(self) -> str:
        return self.render(keep_english, format_plain)

    def dump(self) -> str:
        """Return the message as one line of JSON, for a place that holds a text."""
        return json.dumps(asdict(self))

    @classmethod
    def load(cls, text: str) -> "Message":
        """Return the message that `dump` wrote; any other text is a template without values.

        Example:
            >>> message = Message("{number} of {total}", {"number": 3, "total": Message("all")})
            >>> Message.load(message.dump()) == message, Message.load("Saving the model").template
            (True, 'Saving the model')
        """
        if not text.startswith('{"template": '):
            return cls(text)
        fields = json.loads(text)
        return cls(fields["template"], fields["values"])


def _is_stored_message(value: object) -> TypeGuard[dict[str, Any]]:
    return isinstance(value, dict) and set(value) == {"template", "values"}
