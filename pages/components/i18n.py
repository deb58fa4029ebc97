"""Screen text in the reader's language: English in the code, French in `locales/`, compiled when first needed."""

import gettext
import io
from datetime import date, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st
from babel import dates, numbers
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

from core.messages import Text
from pages.components import url_state

if TYPE_CHECKING:
    import plotly.graph_objects as go

LANGUAGES = {"en": "English", "fr": "Français"}
LOCALES = Path(__file__).resolve().parents[2] / "locales"


def language() -> str:
    """The language chosen in the side bar, else the browser's, else English."""
    chosen = url_state.get_state("language")
    browser = (st.context.locale or "en")[:2].lower()
    return chosen if chosen in LANGUAGES else browser if browser in LANGUAGES else "en"


@cache
def catalogue(code: str) -> gettext.NullTranslations:
    """The translations into `code`; English is the source and needs none."""
    path = LOCALES / code / "LC_MESSAGES" / "vigie.po"
    if not path.is_file():
        return gettext.NullTranslations()
    compiled = io.BytesIO()
    with path.open("rb") as source:
        write_mo(compiled, read_po(source, locale=code))
    compiled.seek(0)
    return gettext.GNUTranslations(compiled)


def _(text: str) -> str:
    """`text` in the reader's language."""
    return catalogue(language()).gettext(text) if text else ""


def say(text: Text) -> str:
    """A sentence with its values, both as the reader writes them."""
    return text.rendered(_, shown)


def shown(value: object) -> str:
    """Numbers and dates as the reader writes them, everything else as it is."""
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, int):
        return numbers.format_decimal(value, locale=language())
    if isinstance(value, float):
        pattern = "#,##0.######" if abs(value) < 100 else "#,##0.#"
        return numbers.format_decimal(value, format=pattern, locale=language())
    if isinstance(value, datetime):
        style = "d MMM y" if (value.hour, value.minute) == (0, 0) else "d MMM y HH:mm"
        return dates.format_datetime(value, style, locale=language())
    if isinstance(value, date):
        return dates.format_date(value, "d MMM y", locale=language())
    return str(value)


def percent(share: float) -> str:
    """Write a share as a percentage."""
    pattern = "#,##0.##\u202f%" if language() == "fr" else "#,##0.##%"
    return numbers.format_percent(share, format=pattern, locale=language())


def date_format() -> str:
    """How tables and date fields write a day."""
    return "DD/MM/YYYY" if language() == "fr" else "YYYY-MM-DD"


def localised(figure: "go.Figure", dated: bool = True) -> "go.Figure":
    """A figure with the reader's decimal mark and, on its time axis, the reader's order of day and month."""
    if language() == "fr":
        figure.update_layout(separators=", ")
        if dated:
            figure.update_xaxes(
                tickformatstops=[
                    {"dtickrange": [None, 86_400_000 - 1], "value": "%H:%M\n%d/%m/%Y"},
                    {"dtickrange": [86_400_000, "M1"], "value": "%d/%m/%Y"},
                    {"dtickrange": ["M1", "M12"], "value": "%m/%Y"},
                    {"dtickrange": ["M12", None], "value": "%Y"},
                ]
            )
    return figure
