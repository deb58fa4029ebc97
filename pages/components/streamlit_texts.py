"""Texts, numbers and keys of Streamlit itself, as its readers need them.

Streamlit has English texts only: of the upload field, of lists without a match, of the menus of a table. A script
replaces them in the browser, where the whole text of an element is one of them. Streamlit writes the numbers of tables
and the months of calendars in the language of the browser; the script gives it that of the page, and gives screen
readers the shown numbers. Formats such as "%.2f" have a decimal point in every language, so that no table and no slider
uses them. A second script makes all of Streamlit usable by keyboard.
"""

import json
from functools import cache
from pathlib import Path

import streamlit as st

from core.language import LANGUAGES, Language
from core.messages import N_
from pages.components.i18n import get_language

TEXTS_SCRIPT = Path(__file__).with_suffix(".js")
KEYBOARD_SCRIPT = Path(__file__).with_name("streamlit_keyboard.js")

TEXTS = (
    N_("Skip to main content"),
    N_("App pages"),
    N_("Sidebar"),
    N_("Collapse sidebar"),
    N_("Expand sidebar"),
    N_("Navigate to home page"),
    N_("Link to heading"),
    N_("Open"),
    N_("Close"),
    N_("Increment"),
    N_("Decrement"),
    N_("Choose date"),
    N_("Choose date range"),
    N_("Date range"),
    N_("Quick select a date range"),
    N_("Select..."),
    N_("Past Week"),
    N_("Past Month"),
    N_("Past 3 Months"),
    N_("Past 6 Months"),
    N_("Past Year"),
    N_("Past 2 Years"),
    N_("Empty"),
    N_("file upload"),
    N_("Upload"),
    N_("Add files"),
    N_("Drag and drop a file here"),
    N_("Drag and drop files here"),
    N_("No results"),
    N_("Select all"),
    N_("Clear all"),
    N_("Clear value"),
    N_("Choose an option"),
    N_("Choose options"),
    N_("Choose or add an option"),
    N_("Choose or add options"),
    N_("No options to select"),
    N_("Press Enter to apply"),
    N_("Press Enter to submit form"),
    N_("Press Ctrl+Enter to apply"),
    N_("Press Ctrl+Enter to submit form"),
    N_("Sort ascending"),
    N_("Sort descending"),
    N_("Autosize"),
    N_("Format"),
    N_("Pin column"),
    N_("Unpin column"),
    N_("Hide column"),
    N_("Show/hide columns"),
    N_("Copy column name"),
    N_("Fullscreen"),
    N_("Close fullscreen"),
    N_("Search"),
    N_("Type to search"),
    N_("No data"),
    N_("empty"),
    N_("Show password"),
    N_("Hide password"),
    N_("Running..."),
    N_("Page not found"),
    N_("Stop"),
    N_("yyyy"),
    N_("mm"),
    N_("dd"),
)

PATTERNS = (
    (r"^You have requested page (\S+), but .*$", N_("There is no page $1. The first page is shown.")),
    (r"^Help for (.*)$", N_("Help for $1")),
    (r"^(Search|Fullscreen|Close fullscreen|Show/hide columns): (.*)$", N_("$1: $2")),
    (r"^day, (.*)$", N_("day, $1")),
    (r"^month, (.*)$", N_("month, $1")),
    (r"^year, (.*)$", N_("year, $1")),
    (r"^(.*) start date$", N_("$1 start date")),
    (r"^(.*) end date$", N_("$1 end date")),
    (r"^([\d.]+)KB per file(.*)$", N_("$1 KB per file$2")),
    (r"^([\d.]+)MB per file(.*)$", N_("$1 MB per file$2")),
    (r"^([\d.]+)GB per file(.*)$", N_("$1 GB per file$2")),
    (r"^([\d.]+)KB$", N_("$1 KB")),
    (r"^([\d.]+)MB$", N_("$1 MB")),
    (r"^([\d.]+)GB$", N_("$1 GB")),
)
"""Texts with a part that varies, as regular expressions and replacements of JavaScript, which translates the parts."""


def show() -> None:
    """Replace the texts of Streamlit in the browser, or restore them for readers of English.

    The scripts also set the language of the document, the form of numbers in tables, and keys in tables and the menu.
    """
    st.html(f"<script>{_build_script(get_language())}</script>", unsafe_allow_javascript=True)


def list_scripts() -> list[str]:
    """Return the scripts of all languages, which are the only inline scripts of the pages."""
    return [_build_script(language) for language in LANGUAGES]


@cache
def _build_script(language: str) -> str:
    texts = {text: Language(language).translate(text) for text in TEXTS}
    patterns = [(pattern, Language(language).translate(text)) for pattern, text in PATTERNS]
    # "<" could end the script element
    content = json.dumps({"language": language, "texts": texts, "patterns": patterns}, ensure_ascii=False).replace(
        "<", "\\u003c"
    )
    translate, adapt_keyboard = (path.read_text(encoding="utf-8") for path in (TEXTS_SCRIPT, KEYBOARD_SCRIPT))
    return f"({translate})({content});({adapt_keyboard})()"
