"""Translation and formatting for the language of the reader.

Source strings are English. The French catalogue in `locales/` is compiled at first use.
"""

import gettext
import io
from datetime import date, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st
from babel import Locale, dates, numbers
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from typing_extensions import override

from core.messages import Message
from pages.components import url_state

if TYPE_CHECKING:
    import plotly.graph_objects as go

LANGUAGES = {"en": "English", "fr": "Français"}
LOCALES = Path(__file__).resolve().parents[2] / "locales"


class TerritoryNames(gettext.NullTranslations):
    """Translations of the English names of countries, which no catalogue repeats.

    Example:
        >>> TerritoryNames("fr").gettext("Germany"), TerritoryNames("fr").gettext("Load data")
        ('Allemagne', 'Load data')
    """

    def __init__(self, language: str) -> None:
        super().__init__()
        english, names = (Locale.parse(code).territories for code in ("en", language))
        self.names = {name: names.get(code, name) for code, name in english.items() if code.isalpha()}

    @override
    def gettext(self, message: str) -> str:
        return self.names.get(message, message)


def get_language() -> str:
    """Return the language chosen in the sidebar, else the language of the browser, else English."""
    selected = url_state.get_state("language")
    browser = (st.context.locale or "en")[:2].lower()
    return selected if selected in LANGUAGES else browser if browser in LANGUAGES else "en"


@cache
def load_catalogue(code: str) -> gettext.NullTranslations:
    """Load the translations into `code`; English is the source language and needs none."""
    path = LOCALES / code / "LC_MESSAGES" / "vigie.po"
    if not path.is_file():
        return TerritoryNames(code)
    buffer = io.BytesIO()
    with path.open("rb") as source:
        write_mo(buffer, read_po(source, locale=code))
    buffer.seek(0)
    catalogue = gettext.GNUTranslations(buffer)
    catalogue.add_fallback(TerritoryNames(code))
    return catalogue


def _(text: str) -> str:
    """Translate `text` into the language of the reader."""
    return load_catalogue(get_language()).gettext(text) if text else ""


def translate_message(message: Message) -> str:
    """Translate a message, and format its values for the reader."""
    language = get_language()  # once a message, because the session answers slowly
    translate = load_catalogue(language).gettext
    return message.render(
        lambda text: translate(text) if text else "", lambda value: format_value(value, language=language)
    )


def format_value(value: object, language: str = "") -> str:
    """Format a number or a date for the reader, or in `language`; any other value becomes its text."""
    language = language or get_language()
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, int):
        return numbers.format_decimal(value, locale=language)
    if isinstance(value, float):
        pattern = "#,##0.######" if abs(value) < 100 else "#,##0.#"
        return numbers.format_decimal(value, format=pattern, locale=language)
    if isinstance(value, datetime):
        style = "d MMM y" if (value.hour, value.minute) == (0, 0) else "d MMM y HH:mm"
        return dates.format_datetime(value, style, locale=language)
    if isinstance(value, date):
        return dates.format_date(value, "d MMM y", locale=language)
    return str(value)


def format_fixed(value: float, digits: int) -> str:
    """Format a number with a fixed number of decimals, for columns of figures."""
    return numbers.format_decimal(value, format=f"#,##0.{'0' * digits}", locale=get_language())


def format_percent(share: float) -> str:
    """Format a share (0–1) as a percentage."""
    pattern = "#,##0.##\u202f%" if get_language() == "fr" else "#,##0.##%"
    return numbers.format_percent(share, format=pattern, locale=get_language())


def get_date_format() -> str:
    """Return the date pattern of tables and date fields."""
    return "DD/MM/YYYY" if get_language() == "fr" else "YYYY-MM-DD"


def list_weekdays() -> list[str]:
    """Return the short names of the weekdays, from Monday on."""
    names = dates.get_day_names("abbreviated", locale=get_language())
    return [names[number] for number in range(7)]


def list_months() -> list[str]:
    """Return the short names of the months."""
    names = dates.get_month_names("abbreviated", locale=get_language())
    return [names[number] for number in range(1, 13)]


def localise_figure(figure: "go.Figure", has_time_axis: bool = True) -> "go.Figure":
    """Set the decimal mark and the date order of a figure for the reader, and return the figure.

    `has_time_axis` is True where the x axis is a time axis.
    """
    if get_language() == "fr":
        figure.update_layout(separators=", ")
        if has_time_axis:
            figure.update_xaxes(
                tickformatstops=[
                    {"dtickrange": [None, 86_400_000 - 1], "value": "%H:%M\n%d/%m/%Y"},
                    {"dtickrange": [86_400_000, "M1"], "value": "%d/%m/%Y"},
                    {"dtickrange": ["M1", "M12"], "value": "%m/%Y"},
                    {"dtickrange": ["M12", None], "value": "%Y"},
                ]
            )
    return figure
