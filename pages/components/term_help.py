"""Help of a figure or a field that is a term of the glossary: one line, and a link to the term."""

from core.glossary.terms import find_term
from pages.components.i18n import _

TERM_PARAM = "term"  # query parameter of the glossary
GLOSSARY_ADDRESS = "glossary"


def explain(name: str, text: str = "") -> str:
    """Return the help of a term, metric or option as Markdown: `text`, or the line of the glossary, and a link.

    A name without a term has `text` alone.
    """
    term = find_term(name)
    return f"{text or _(term.help)} [{_('Glossary')}]({build_address(term.name)})" if term else text


def link_label(name: str, label: str) -> str:
    """Return the label of a metric as a link to its term, or the label alone."""
    term = find_term(name)
    return f"[{label}]({build_address(term.name)})" if term else label


def build_address(term: str) -> str:
    """Return the address of a term of the glossary, relative to any page."""
    return f"{GLOSSARY_ADDRESS}?{TERM_PARAM}={term}"
