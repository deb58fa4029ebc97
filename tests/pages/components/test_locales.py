"""Screen texts: complete catalogue, complete French translation, unchanged placeholders."""

import ast
import re
import string
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from babel.messages.extract import extract_from_dir
from babel.messages.frontend import parse_keywords
from babel.messages.pofile import read_po
from streamlit.testing.v1 import AppTest

from core import language
from core.data.covariates.calendar_choice import describe_calendars
from core.language import load_catalogue
from core.messages import N_, Message
from core.settings import ROOT
from pages.components import i18n

MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
KEYWORDS = parse_keywords(" ".join(re.findall(r'^KEYWORDS := "(.*)"$', MAKEFILE, re.MULTILINE)).split())
METHODS = [("**.py", "python")]
Forms = tuple[str, ...]  # a text, or its singular and its plural


@cache
def extract_messages() -> set[Forms]:
    """Return every text that core and pages mark for translation, extracted with Babel."""
    messages = set()
    for folder in ("core", "pages"):
        for _file, _line, message, _comments, _context in extract_from_dir(ROOT / folder, METHODS, keywords=KEYWORDS):
            messages.add((message,) if isinstance(message, str) else tuple(message))
    return messages


def find_marked_texts() -> set[Forms]:
    """Return the marked texts in the syntax tree. Babel does not look into f-strings."""
    paths = [path for folder in ("core", "pages") for path in (ROOT / folder).rglob("*.py")]
    calls = (node for path in paths for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call))
    marked = [
        call.args[:2]
        for call in calls
        if isinstance(call.func, ast.Name) and call.func.id in KEYWORDS and len(call.args) in KEYWORDS[call.func.id]
    ]
    return {
        tuple(str(text.value) for text in texts if isinstance(text, ast.Constant))
        for texts in marked
        if all(isinstance(text, ast.Constant) for text in texts)
    }


@cache
def load_french_catalogue() -> dict[Forms, Forms]:
    with (ROOT / "locales" / "fr" / "LC_MESSAGES" / "vigie.po").open("rb") as source:
        catalogue = read_po(source, locale="fr")
    assert not [message.id for message in catalogue if message.fuzzy and message.id]
    return {
        (message.id,) if isinstance(message.id, str) else tuple(message.id): (message.string,)
        if isinstance(message.string, str)
        else tuple(message.string)
        for message in catalogue
        if message.id
    }


def parse_placeholders(sentence: str) -> list[tuple[str | None, str | None, str | None]]:
    """Return the placeholders of a template with their format specs and conversions."""
    return sorted((name, spec, conversion) for _, name, spec, conversion in string.Formatter().parse(sentence) if name)


def test_french_catalogue_translates_every_message() -> None:
    translated = load_french_catalogue()
    assert sorted((extract_messages() | find_marked_texts()) - translated.keys()) == []
    assert [forms for forms, translations in translated.items() if not all(translations)] == []


def test_french_catalogue_has_no_unused_message() -> None:
    assert sorted(load_french_catalogue().keys() - extract_messages()) == []


def test_french_catalogue_keeps_placeholders() -> None:
    translated = load_french_catalogue()
    assert len(translated) > 2000
    assert [
        forms
        for forms, (*_singular, text) in translated.items()
        if parse_placeholders(text) != parse_placeholders(forms[-1])
    ] == []


def test_singular_names_only_values_of_its_plural() -> None:
    """A singular may leave out its number: "the last interval", "the last 3 intervals"."""
    forms = [forms for pair in load_french_catalogue().items() for forms in pair if len(forms) == 2]
    assert [one for one, many in forms if not set(parse_placeholders(one)) <= set(parse_placeholders(many))] == []


def test_texts_with_a_plural_name_their_number() -> None:
    """Without a number in the text, no value could decide between its forms."""
    plurals = [forms[1] for forms in extract_messages() if len(forms) == 2]
    assert [plural for plural in plurals if not parse_placeholders(plural)] == []


def find_untranslated_texts(path: Path) -> list[str]:
    """Return literal texts that are passed to Streamlit without translation."""
    display_methods = {
        "title",
        "subheader",
        "caption",
        "info",
        "warning",
        "error",
        "success",
        "button",
        "metric",
        "markdown",
        "write",
        "selectbox",
        "multiselect",
        "toggle",
        "radio",
        "text_input",
        "expander",
        "popover",
        "spinner",
        "link_button",
    }
    texts = []
    for node in ast.walk(ast.parse(path.read_text())):
        is_call = (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in display_methods
            and ast.unparse(node.func.value) != "logger"
        )
        if is_call and node.args and isinstance(node.args[0], ast.Constant) and isinstance(node.args[0].value, str):  # type: ignore[attr-defined]
            texts.append(node.args[0].value)  # type: ignore[attr-defined]
    return [text for text in texts if text not in ("Vigie", "g CO₂")]


@pytest.mark.parametrize("path", sorted((ROOT / "pages").rglob("*.py")), ids=lambda path: path.name)
def test_pages_show_no_untranslated_text(path: Path) -> None:
    assert find_untranslated_texts(path) == []


def test_catalogue_falls_back_to_english(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_catalogue("de").gettext("Load data") == "Load data"
    assert load_catalogue("fr").gettext("Load data") != "Load data"


@pytest.mark.parametrize(
    ("value", "english", "french_"),
    [(33720, "33,720", "33 720"), (1234.5, "1,234.5", "1 234,5"), (0.25, "0.25", "0,25"), ("MWh", "MWh", "MWh")],
)
def test_numbers_follow_language_of_user(
    value: object, english: str, french_: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(i18n, "get_language", lambda: "en")
    assert i18n.format_value(value) == english
    monkeypatch.setattr(i18n, "get_language", lambda: "fr")
    assert i18n.format_value(value).replace("\u202f", " ").replace("\xa0", " ") == french_


def test_countries_in_notes_have_their_name_in_the_language_of_the_reader() -> None:
    """The names come from Babel, so that the catalogue does not repeat them; codes stay."""
    calendars = describe_calendars(["DE", "DE-BY", "GB"])
    assert str(calendars) == "Germany (DE, DE-BY), United Kingdom (GB)"
    french = calendars.render(language.Language("fr").translate, str)
    assert french == "Allemagne (DE, DE-BY), Royaume-Uni (GB)"
    stored = Message.load(calendars.dump())
    assert stored.render(language.Language("fr").translate, str) == french


FRENCH_PLURALS = """
msgid ""
msgstr "Plural-Forms: nplurals=2; plural=(n > 1);\\n"

msgid "{count} row is empty."
msgid_plural "{count} rows are empty."
msgstr[0] "{count} ligne est vide."
msgstr[1] "{count} lignes sont vides."
"""


@pytest.fixture
def french_plurals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Read French from a catalogue of one text with two forms."""
    folder = tmp_path / "fr" / "LC_MESSAGES"
    folder.mkdir(parents=True)
    (folder / "vigie.po").write_text(FRENCH_PLURALS, encoding="utf-8")
    monkeypatch.setattr(language, "LOCALES", tmp_path)
    monkeypatch.setattr(i18n, "get_language", lambda: "fr")
    load_catalogue.cache_clear()
    yield
    load_catalogue.cache_clear()


EMPTY_ROWS = N_("{count} row is empty.", "{count} rows are empty.")


@pytest.mark.parametrize(
    ("count", "french"), [(0, "0 ligne est vide."), (1, "1 ligne est vide."), (2, "2 lignes sont vides.")]
)
@pytest.mark.usefixtures("french_plurals")
def test_french_plural_follows_its_own_rule(count: int, french: str) -> None:
    assert i18n.translate_message(Message(EMPTY_ROWS, {"count": count})) == french
    text = i18n._("{count} row is empty.", "{count} rows are empty.", count)
    assert text.format(count=count) == french


@pytest.mark.usefixtures("french_plurals")
def test_message_of_an_earlier_version_is_translated() -> None:
    """A note that was stored when the text had one form contains its plural."""
    assert i18n.translate_message(Message("{count} rows are empty.", {"count": 3})) == "3 lignes sont vides."
    assert i18n._(EMPTY_ROWS).format(count=3) == "3 lignes sont vides."


@pytest.mark.parametrize(
    ("value", "french"),
    [
        ("2024-05-08", "8 mai 2024"),
        ("2024-05-08 06:00:00", "8 mai 2024 06:00"),
        ("2024-13-45", "2024-13-45"),
        ("2024-05-08.csv", "2024-05-08.csv"),
    ],
)
def test_dates_of_a_stored_message_follow_language_of_user(
    value: str, french: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(i18n, "get_language", lambda: "fr")
    assert i18n.translate_message(Message("{day}", {"day": value})) == french


def show_kept_language() -> None:
    import streamlit as st

    from pages.components.i18n import get_language, keep_language

    for code in ("fr", "en"):
        st.session_state["language"] = code
        st.text(get_language())
        keep_language()
        st.text(get_language())


def test_language_is_kept_until_the_script_keeps_it_again() -> None:
    app = AppTest.from_function(show_kept_language).run()
    assert [text.value for text in app.text] == ["fr", "fr", "fr", "en"]
