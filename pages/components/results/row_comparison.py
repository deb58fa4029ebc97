"""Result of a comparison of detectors of rows: winner, score card, and what the ranking is valid for."""

import streamlit as st

from core.tasks.row_comparison.result import RowComparison
from pages.components.i18n import _, format_value
from pages.components.markdown import escape_markdown
from pages.components.results import score_card
from pages.components.results.run_widgets import show_cost, show_record


def show_comparison(comparison: RowComparison, run: str) -> None:
    """Show the score card of all detectors of rows."""
    st.header(_("Comparison of detectors"))
    st.markdown(f"**{score_card.name_winner(comparison.card)}**")
    if comparison.injected_count:
        st.info(_describe_faults(comparison), icon=":material/science:")
    score_card.show_table(comparison.card)
    st.caption(
        _(
            "{entity}: {rows} rows. Every detector has its default settings and is trained on the rows it scores."
        ).format(entity=escape_markdown(comparison.entity), rows=format_value(comparison.test_rows))
        + " "
        + score_card.explain_columns(comparison.card)
    )
    with st.container(horizontal=True, key="result-figures"):
        show_cost(run)
    show_record(run)


def _describe_faults(comparison: RowComparison) -> str:
    kinds = (
        _("spikes, flat stretches, shifted hours and zeros")
        if comparison.data.profile
        else _("spikes, level shifts, drifts, stuck values, and values of other rows")
    )
    return _(
        "The data have no labels. {count} faults are planted in a copy of the rows: {kinds}. The ranking is valid for "
        "planted faults only."
    ).format(count=format_value(comparison.injected_count), kinds=kinds)
