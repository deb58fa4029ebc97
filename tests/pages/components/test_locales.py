"""Screen texts: complete catalogue, complete French translation, unchanged placeholders."""

import ast
import string
from functools import cache
from pathlib import Path

import pytest
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

from core.data.covariates.calendar_choice import describe_calendars
from core.language import load_catalogue
from core.messages import Message
from core.settings import ROOT
from pages.components import i18n

KEYWORDS = {"_": None, "N_": None}
METHODS = [("**.py", "python")]


@cache
def extract_messages() -> set[str]:
    """Return every text that core and pages mark for translation, extracted with Babel."""
    messages = set()
    for folder in ("core", "pages"):
        for _file, _line, message, _comments, _context in extract_from_dir(ROOT / folder, METHODS, keywords=KEYWORDS):
            messages.add(message if isinstance(message, str) else message[0])
    return messages


def find_marked_texts() -> set[str]:
    """Return the marked texts in the syntax tree. Babel does not look into f-strings."""
    paths = [path for folder in ("core", "pages") for path in (ROOT / folder).rglob("*.py")]
    calls = (node for path in paths for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call))
    texts = (
        call.args[0] for call in calls if isinstance(call.func, ast.Name) and call.func.id in KEYWORDS and call.args
    )
    return {text.value for text in texts if isinstance(text, ast.Constant)}


@cache
def load_french_catalogue() -> dict[str, str]:
    with (ROOT / "locales" / "fr" / "LC_MESSAGES" / "vigie.po").open("rb") as source:
        catalogue = read_po(source, locale="fr")
    assert not [message.id for message in catalogue if message.fuzzy and message.id]
    return {str(message.id): str(message.string) for message in catalogue if message.id}


def parse_placeholders(sentence: str) -> list[tuple[str | None, str | None, str | None]]:
    """Return the placeholders of a template with their format specs and conversions."""
    return sorted((name, spec, conversion) for _, name, spec, conversion in string.Formatter().parse(sentence) if name)


def test_french_catalogue_translates_every_message() -> None:
    translated = load_french_catalogue()
    assert sorted((extract_messages() | find_marked_texts()) - translated.keys()) == []
    assert [message for message, translation in translated.items() if not translation] == []


def test_french_catalogue_has_no_unused_message() -> None:
    assert sorted(load_french_catalogue().keys() - extract_messages()) == []


def test_french_catalogue_keeps_placeholders() -> None:
    translated = load_french_catalogue()
    assert len(translated) > 2000
    assert [m for m, text in translated.items() if parse_placeholders(m) != parse_placeholders(text)] == []


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
            isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in display_methods
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
    french = calendars.render(i18n.load_catalogue("fr").gettext, str)
    assert french == "Allemagne (DE, DE-BY), Royaume-Uni (GB)"
    stored = Message.load(calendars.dump())
    assert stored.render(i18n.load_catalogue("fr").gettext, str) == french
