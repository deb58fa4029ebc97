"""Texts and numbers of Streamlit itself in the language of the reader.

Streamlit has English texts only: of the upload field, of lists without a match, of the menus of a table. A script
replaces them in the browser, where the whole text of an element is one of them. Streamlit writes the numbers of tables
in the language of the browser; the script gives it that of the page. It has formats of another kind, such as "%.2f",
which have a decimal point in every language: columns of tables use them for whole numbers only.
"""

import json
from functools import cache
from pathlib import Path

import streamlit as st

from core.language import LANGUAGES, Language
from core.messages import N_
from pages.components.i18n import get_language

SCRIPT = Path(__file__).with_suffix(".js")

TEXTS = (
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
)

PATTERNS = (
    (r"^You have requested page (\S+), but .*$", N_("There is no page $1. The first page is shown.")),
    (r"^([\d.]+)KB per file(.*)$", N_("$1 KB per file$2")),
    (r"^([\d.]+)MB per file(.*)$", N_("$1 MB per file$2")),
    (r"^([\d.]+)GB per file(.*)$", N_("$1 GB per file$2")),
    (r"^([\d.]+)KB$", N_("$1 KB")),
    (r"^([\d.]+)MB$", N_("$1 MB")),
    (r"^([\d.]+)GB$", N_("$1 GB")),
)
"""Texts with a number, as regular expressions and replacements of JavaScript."""


def show() -> None:
    """Replace the texts of Streamlit in the browser, or restore them for readers of English.

    The script also sets the form of numbers in tables.
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
    return f"({SCRIPT.read_text(encoding='utf-8')})({content})"
