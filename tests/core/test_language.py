"""Texts, numbers, dates and charts in the language of the reader."""

import plotly.graph_objects as go
import pytest
from babel import numbers
from hypothesis import given
from hypothesis import strategies as st

from core.figures.style import TIME_FORMAT
from core.language import LANGUAGES, Language


@pytest.fixture(params=sorted(LANGUAGES))
def language(request: pytest.FixtureRequest) -> Language:
    return Language(request.param)


def test_chart_has_decimal_mark_and_dates_of_reader(language: Language) -> None:
    figure = go.Figure(go.Scatter(x=["2024-01-05"], y=[1234.5], hovertemplate=f"{TIME_FORMAT} %{{y:,.1f}}"))
    figure.add_bar(x=[1], y=[2])
    localised = language.localise_figure(figure)
    assert localised.layout.separators == {"en": ".,", "fr": ",\u202f"}[language.code]
    assert ("%d/%m/%Y" in localised.data[0].hovertemplate) == (language.code == "fr")


def test_chart_has_names_of_months_of_reader(language: Language) -> None:
    config = language.build_chart_config()
    names = config["locales"][config["locale"]]["format"]
    assert names["months"][1] == {"en": "February", "fr": "février"}[language.code]
    assert names["days"][0] == {"en": "Sunday", "fr": "dimanche"}[language.code]
    assert len(names["shortMonths"]) == 12


@pytest.mark.parametrize(
    ("text", "english", "french"),
    [
        ("19:00 +9.1σ, v1.2 -3σ", "19:00 +9.1 σ, v1.2 -3 σ", "19:00 +9,1 σ, v1.2 -3 σ"),
        ("nothing", "nothing", "nothing"),
    ],
)
def test_deviations_follow_language_of_reader(text: str, english: str, french: str, language: Language) -> None:
    expected = {"en": english, "fr": french}[language.code]
    assert language.localise_deviations(text).replace("\u202f", " ") == expected


ORDINARY_NUMBERS = st.integers(-(10**20), 10**20) | st.floats(-1e20, 1e20)


@given(st.lists(st.sampled_from([0, 1, 0.0, -0.0, 1.0, True, False]) | ORDINARY_NUMBERS))
def test_numbers_that_are_equal_keep_their_own_form(values: list[float]) -> None:
    """True, 1 and 1.0 are equal as keys of a cache."""
    for code in LANGUAGES:
        for value in values:
            pattern = None if isinstance(value, int) else "#,##0.######" if abs(value) < 100 else "#,##0.#"
            plain = str(value) if isinstance(value, bool) else numbers.format_decimal(value or 0, pattern, locale=code)
            assert Language(code).format_value(value) == plain


@given(st.integers(-(10**300), 10**300) | st.floats())
def test_numbers_of_any_size_are_written(value: float) -> None:
    for code in LANGUAGES:
        text = Language(code).format_value(value)
        assert text
        assert len(text) < 32
        assert Language(code).format_fixed(value, 2)
