"""Page of the glossary: the terms of the product in words, each with a picture, and how tables are used."""

import streamlit as st

from core.glossary.terms import TERMS, Term
from pages.components import url_state
from pages.components.i18n import _
from pages.components.results.run_widgets import show_chart
from pages.components.term_help import TERM_PARAM


def main() -> None:
    """Show all terms, that of the URL open."""
    st.title(_("Glossary"))
    st.caption(_("What the figures of the pages mean, and how to read them. The pictures show made-up numbers."))
    asked_name = url_state.get_query_param(TERM_PARAM)
    asked_terms = [term for term in TERMS.values() if term.name == asked_name]
    for term in [*asked_terms, *(term for term in TERMS.values() if term.name != asked_name)]:
        _show_term(term, is_open=term.name == asked_name)
    _explain_tables()


def _show_term(term: Term, is_open: bool) -> None:
    title = _("{label}: {value}").format(label=f"**{_(term.label)}**", value=_(term.help))
    with st.expander(title, expanded=is_open):
        words, picture = st.columns(2, vertical_alignment="center")
        words.markdown(_(term.text))
        alt = _("Picture of the term {term}").format(term=_(term.label))
        with picture:
            show_chart(term.draw(_), f"term-{term.name}", alt, is_picture=True)


def _explain_tables() -> None:
    st.header(_("Tables"))
    st.markdown(
        _(
            "A click on a heading sorts a table; the menu of a heading hides or pins the column. The buttons above a "
            "table search it, choose its columns, and show it on the whole screen. By keyboard, Tab enters a table and "
            "leaves it, the arrow keys move, Space chooses a row, and Enter shows the whole text of a cell. Ctrl+F "
            "searches, and Ctrl+C copies the cell, for instance to a spreadsheet. Under a figure, its values are in "
            "such a table."
        )
    )


main()
