"""Page of the glossary: the terms of the product in words, each with a picture."""

import streamlit as st

from core.glossary.terms import TERMS, Term
from pages.components import url_state
from pages.components.i18n import _, build_chart_config, localise_figure
from pages.components.term_help import TERM_PARAM


def main() -> None:
    """Show all terms, that of the URL open."""
    st.title(_("Glossary"))
    st.caption(_("What the figures of the pages mean, and how to read them. The pictures show made-up numbers."))
    asked_name = url_state.get_query_param(TERM_PARAM)
    asked_terms = [term for term in TERMS.values() if term.name == asked_name]
    for term in [*asked_terms, *(term for term in TERMS.values() if term.name != asked_name)]:
        _show_term(term, is_open=term.name == asked_name)


def _show_term(term: Term, is_open: bool) -> None:
    title = _("{label}: {value}").format(label=f"**{_(term.label)}**", value=_(term.help))
    with st.expander(title, expanded=is_open):
        words, picture = st.columns(2, vertical_alignment="center")
        words.markdown(_(term.text))
        picture.plotly_chart(
            localise_figure(term.draw(_)),
            key=f"term-{term.name}",
            alt=_("Picture of the term {term}").format(term=_(term.label)),
            config=build_chart_config() | {"staticPlot": True},
        )


main()
