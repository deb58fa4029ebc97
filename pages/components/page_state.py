"""Fields of a page that its address holds, so that a refresh, a colleague and a saved view see the same."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import Any

from pages.components import url_state

SEPARATOR = ","


@dataclass(frozen=True)
class AddressField:
    """A widget whose value is a query parameter. An empty parameter is the default value.

    parameter  name of the query parameter
    key        key of the widget, which must have no default of its own
    parse      converts the parameter to the value of the widget; text that is not accepted gives the default
    serialise  converts the value of the widget to the parameter
    """

    parameter: str
    key: str
    parse: Callable[[str], Any]
    serialise: Callable[[Any], str]

    def load(self) -> None:
        """Set the widget to the value in the address; to be called before the widget is shown."""
        url_state.set_state(self.key, self.parse(url_state.get_query_param(self.parameter)))

    def store(self) -> None:
        """Write the value of the widget to the address; to be called when the widget changes."""
        url_state.set_query_param(self.parameter, self.serialise(url_state.get_state(self.key)))


def make_text_field(parameter: str, key: str) -> AddressField:
    """Return the field of a text."""
    return AddressField(parameter, key, str, lambda text: (text or "").strip())


def make_choice_field(parameter: str, key: str, options: Collection[str], default: str = "") -> AddressField:
    """Return the field of a choice of one option."""
    return AddressField(
        parameter,
        key,
        lambda text: text if text in options else default,
        lambda option: "" if option in (default, None) else str(option),
    )


def make_list_field(
    parameter: str, key: str, is_option: Callable[[str], bool], default: Collection[str] = ()
) -> AddressField:
    """Return the field of a choice of several options, in the order of the reader; none is the default."""
    return AddressField(
        parameter,
        key,
        partial(_parse_list, is_option=is_option, default=tuple(default)),
        lambda options: "" if tuple(options) == tuple(default) else SEPARATOR.join(map(_quote, options)),
    )


def make_period_field(parameter: str, key: str) -> AddressField:
    """Return the field of a first and a last day, of which the last or both may be missing."""
    return AddressField(parameter, key, _parse_days, lambda days: SEPARATOR.join(day.isoformat() for day in days or ()))


def _parse_list(text: str, is_option: Callable[[str], bool], default: tuple[str, ...]) -> list[str]:
    names = [_unquote(name) for name in text.split(SEPARATOR)]
    return list(dict.fromkeys(name for name in names if is_option(name))) or list(default)


def _parse_days(text: str) -> tuple[date, ...]:
    try:
        days = sorted(date.fromisoformat(day) for day in text.split(SEPARATOR)[:2] if day)
    except ValueError:
        return ()
    return tuple(days)


def _quote(name: str) -> str:
    return name.replace("%", "%25").replace(SEPARATOR, "%2C")


def _unquote(name: str) -> str:
    return name.replace("%2C", SEPARATOR).replace("%25", "%")
