"""Sentences that a person will read: kept as template and values, so that a page can translate them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


def N_(text: str) -> str:
    """Mark `text` for the catalogue; the page that shows it translates it."""
    return text


def plain(value: object) -> str:
    """`value` as English text: numbers grouped by thousands, everything else as it is."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:,.6g}"


@dataclass(frozen=True)
class Text:
    """A sentence with named places, and what goes into them."""

    template: str
    values: Mapping[str, object] = field(default_factory=dict)

    def rendered(self, translate: Callable[[str], str], shown: Callable[[object], str]) -> str:
        """Return the sentence translated, with its values as `shown` writes them."""
        return translate(self.template).format(**{name: shown(value) for name, value in self.values.items()})

    def __str__(self) -> str:
        return self.rendered(str, plain)
