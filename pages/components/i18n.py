"""Translation and formatting for the language of the reader."""

from contextvars import ContextVar
from typing import Any

import streamlit as st

from core.language import LANGUAGES, Language
from core.messages import MANY, Message
from pages.components import url_state
from pages.components.markdown import escape_markdown

_kept_language: ContextVar[str] = ContextVar("language", default="")


def keep_language() -> None:
    """Keep the language until the script of the page ends: a page asks for it hundreds of times."""
    _kept_language.set(_find_language())


def get_language() -> str:
    """Return the language chosen in the sidebar, else the language of the browser, else English."""
    return _kept_language.get() or _find_language()


def _find_language() -> str:
    selected = url_state.get_state("language")
    browser = (st.context.locale or "en")[:2].lower()
    return selected if selected in LANGUAGES else browser if browser in LANGUAGES else "en"


def _(text: str, plural: str = "", count: int = MANY, /) -> str:
    """Translate `text` into the language of the reader; of a text with a `plural`, return the form for `count` things.

    Example: `_("{count} row", "{count} rows", count).format(count=format_value(count))`
    """
    return Language(get_language()).translate(text, plural, count)


def translate_message(message: Message) -> str:
    """Translate a message for Markdown; its values are formatted for the reader, and texts among them escaped."""
    return Language(get_language()).render(message, escape_markdown)  # one call: the session answers slowly


def translate_plain(message: Message) -> str:
    """Translate a message for a place that shows plain text: a cell of a table, a chart, `st.text`."""
    return Language(get_language()).render(message)


def format_value(value: object) -> str:
    """Format a number or a date for the reader; any other value becomes its text."""
    return Language(get_language()).format_value(value)


def format_fixed(value: float, digits: int) -> str:
    """Format a number with a fixed number of decimals, for columns of figures."""
    return Language(get_language()).format_fixed(value, digits)


def format_percent(share: float) -> str:
    """Format a share (0–1) as a percentage."""
    return Language(get_language()).format_percent(share)


def localise_deviations(text: str) -> str:
    """Write the deviations of a text in spreads, such as "19:00 +9.1σ", for the reader."""
    return Language(get_language()).localise_deviations(text)


def get_date_format() -> str:
    """Return the date pattern of tables and date fields."""
    return "DD/MM/YYYY" if get_language() == "fr" else "YYYY-MM-DD"


def list_weekdays() -> list[str]:
    """Return the short names of the weekdays, from Monday on."""
    return Language(get_language()).list_weekdays()


def list_months() -> list[str]:
    """Return the short names of the months."""
    return Language(get_language()).list_months()


def build_chart_config() -> dict[str, Any]:
    """Return the configuration of a chart for the reader: no toolbar, names of months and days."""
    return Language(get_language()).build_chart_config()
