"""Languages of the readers: translation, and the form of numbers, dates and figures.

Source texts are English. The catalogues in `locales/` are compiled at first use.
"""

import gettext
import io
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache, lru_cache
from numbers import Integral, Real
from pathlib import Path
from typing import TYPE_CHECKING, Any

from babel import Locale, dates, numbers
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from typing_extensions import override

from core.messages import MANY, Message, split_template

if TYPE_CHECKING:
    import plotly.graph_objects as go

LANGUAGES = {"en": "English", "fr": "Français"}
MAX_CACHED_NUMBERS = 20_000
MAX_DECIMAL = 1e21  # with six digits after the point, below the 28 digits of a decimal
LOCALES = Path(__file__).resolve().parents[1] / "locales"
STORED_DATE = re.compile(r"\d{4}-\d{2}-\d{2}(?:[ T]\d{2}:\d{2}(?::\d{2})?)?")
PERCENT_PATTERNS = {"fr": "#,##0.##\u202f%"}
DAY_FORMATS = {
    "en": {"date": "%Y-%m-%d", "dayMonth": "%b %-d", "dayMonthYear": "%b %-d, %Y"},
    "fr": {"date": "%d/%m/%Y", "dayMonth": "%-d %b", "dayMonthYear": "%-d %b %Y"},
}
"""Language → order of day, month and year in hover texts and ticks."""


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


@cache
def load_catalogue(code: str) -> gettext.NullTranslations:
    """Load the translations into `code`; English is the source language and needs none.

    The plural of a text is also a text of its own: messages that were stored before a text had two forms contain it.
    """
    path = LOCALES / code / "LC_MESSAGES" / "vigie.po"
    if not path.is_file():
        return TerritoryNames(code)
    with path.open("rb") as source:
        texts = read_po(source, locale=code)
    for message in list(texts):
        forms, translations = message.id, message.string
        if isinstance(forms, tuple) and isinstance(translations, tuple) and forms[-1] not in texts:
            texts.add(forms[-1], translations[-1])
    buffer = io.BytesIO()
    write_mo(buffer, texts)
    buffer.seek(0)
    catalogue = gettext.GNUTranslations(buffer)
    catalogue.add_fallback(TerritoryNames(code))
    return catalogue


@dataclass(frozen=True)
class Language:
    """Language of a reader, by its code.

    Example:
        >>> Language("en").format_value(33720), Language("en").format_percent(0.125)
        ('33,720', '12.5%')
        >>> Language("fr").render(Message("{day}", {"day": date(2024, 3, 12)}))
        '12 mars 2024'
    """

    code: str = "en"

    # ---- texts ------------------------------------------------------------------------------------------------------

    def translate(self, text: str, plural: str = "", count: int = MANY, /) -> str:
        """Return the translation of `text`; of a text with a `plural`, the form for `count` things."""
        catalogue = load_catalogue(self.code)
        if not plural:
            text, plural = split_template(text)
        if not plural:
            return catalogue.gettext(text) if text else ""
        return catalogue.ngettext(text, plural, count)

    def render(self, message: Message, escape: Callable[[str], str] = str) -> str:
        """Return a message, translated, its values in the form of the language; a stored message has dates as text.

        `escape` is applied to each value, because a value may be text that a file or a person brought.
        """
        return message.render(self.translate, lambda value: escape(self.format_value(_restore_date(value))))

    # ---- values -----------------------------------------------------------------------------------------------------

    def format_value(self, value: object) -> str:
        """Return a number or a date as text; any other value becomes its text."""
        if isinstance(value, bool):
            return str(value)
        if isinstance(value, Integral):
            return _format_number(self.code, int(value), None)
        if isinstance(value, Real):
            value = float(value) + 0.0  # -0.0 becomes 0.0
            return _format_number(self.code, value, "#,##0.######" if abs(value) < 100 else "#,##0.#")
        if isinstance(value, datetime):
            style = "d MMM y" if (value.hour, value.minute) == (0, 0) else "d MMM y HH:mm"
            return dates.format_datetime(value, style, locale=self.code)
        if isinstance(value, date):
            return dates.format_date(value, "d MMM y", locale=self.code)
        return str(value)

    def format_fixed(self, value: float, digits: int) -> str:
        """Return a number with a fixed number of decimals, for columns of figures."""
        return _format_number(self.code, value + 0.0, f"#,##0.{'0' * digits}")

    def format_percent(self, share: float) -> str:
        """Return a share (0–1) as a percentage."""
        return numbers.format_percent(share, format=PERCENT_PATTERNS.get(self.code, "#,##0.##%"), locale=self.code)

    def localise_deviations(self, text: str) -> str:
        """Return a text with deviations in spreads, such as "19:00 +9.1σ", its numbers in the form of the language.

        Example:
            >>> Language("en").localise_deviations("19:00 +9.1σ").split()
            ['19:00', '+9.1', 'σ']
        """
        mark = numbers.get_decimal_symbol(self.code)
        pattern = r"([+-]\d+)(?:\.(\d+))?σ"
        return re.sub(pattern, lambda match: mark.join(filter(None, match.groups())) + "\u202fσ", text)

    def list_weekdays(self) -> list[str]:
        """Return the short names of the weekdays, from Monday on."""
        names = dates.get_day_names("abbreviated", locale=self.code)
        return [names[number] for number in range(7)]

    def list_months(self) -> list[str]:
        """Return the short names of the months."""
        names = dates.get_month_names("abbreviated", locale=self.code)
        return [names[number] for number in range(1, 13)]

    # ---- figures ----------------------------------------------------------------------------------------------------

    def localise_figure(self, figure: "go.Figure") -> "go.Figure":
        """Set the decimal mark and the order of dates in the hover texts of a figure, and return the figure."""
        symbols = numbers.get_decimal_symbol(self.code) + numbers.get_group_symbol(self.code)
        figure.update_layout(separators=symbols)
        for trace in figure.data:
            template = getattr(trace, "hovertemplate", None)
            if isinstance(template, str):
                trace.hovertemplate = template.replace(DAY_FORMATS["en"]["date"], DAY_FORMATS[self.code]["date"])
        return figure

    def build_chart_config(self) -> dict[str, Any]:
        """Return the configuration of a chart of Plotly: no toolbar, names of months and days of the language."""
        return {"displayModeBar": False, "locale": self.code, "locales": {self.code: _build_chart_locale(self.code)}}


@lru_cache(maxsize=MAX_CACHED_NUMBERS, typed=True)
def _format_number(code: str, value: float, pattern: str | None) -> str:
    """Return a number as text; kept, because a page formats hundreds of numbers again at every rerun.

    Numbers with more digits than a decimal has are written as a power of ten.
    """
    if MAX_DECIMAL <= abs(value) < math.inf:
        return numbers.format_scientific(float(value), format="0.######E0", locale=code)
    return numbers.format_decimal(value, format=pattern, locale=code)


@cache
def _build_chart_locale(code: str) -> dict[str, Any]:
    """Return names and formats of a language as Plotly takes them; its weeks begin with Sunday."""
    locale = Locale.parse(code)
    months, days = locale.months["format"], locale.days["format"]
    sunday_first = (6, 0, 1, 2, 3, 4, 5)
    return {
        "dictionary": {},
        "format": {
            "months": list(months["wide"].values()),
            "shortMonths": list(months["abbreviated"].values()),
            "days": [days["wide"][day] for day in sunday_first],
            "shortDays": [days["abbreviated"][day] for day in sunday_first],
            "decimal": numbers.get_decimal_symbol(code),
            "thousands": numbers.get_group_symbol(code),
            "year": "%Y",
            "month": "%b %Y",
            **DAY_FORMATS[code],
        },
    }


def _restore_date(value: object) -> object:
    """Return the date that a text such as "2024-05-08" or "2024-05-08 06:00" is; any other value unchanged."""
    if not isinstance(value, str) or not STORED_DATE.fullmatch(value):
        return value
    try:
        return date.fromisoformat(value) if len(value) == len("2024-05-08") else datetime.fromisoformat(value)
    except ValueError:
        return value
