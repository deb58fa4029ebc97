"""Translatable messages: a template and its values."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, TypeGuard


def N_(text: str) -> str:
    """Mark `text` for extraction into the translation catalogue. Returns it unchanged.

    Example:
        >>> N_("{count} rows")
        '{count} rows'
    """
    return text


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

    Example:
        >>> message = Message("{count} rows of {file}", {"count": 1200, "file": "loads.csv"})
        >>> str(message)
        '1,200 rows of loads.csv'
        >>> str(Message("Read {what}", {"what": message}))
        'Read 1,200 rows of loads.csv'
        >>> message.render({"{count} rows of {file}": "{file} : {count} lignes"}.get, str)
        'loads.csv : 1200 lignes'
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

    def render(self, translate: Callable[[str], str], format_value: Callable[[object], str]) -> str:
        """Return the message, its template translated by `translate` and its values formatted by `format_value`."""
        texts = {
            name: value.render(translate, format_value) if isinstance(value, Message) else format_value(value)
            for name, value in self.values.items()
        }
        return translate(self.template).format(**texts)

    def __str__(self) -> str:
        return self.render(str, format_plain)

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
