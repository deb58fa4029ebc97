"""List of incidents, events or alarms, worst first: a table, on a narrow screen cards; one entry is always chosen.

The choice is in the address: a refresh and a shared link show it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
import streamlit as st
from streamlit.elements.lib.column_types import ColumnConfig

from pages.components import url_state
from pages.components.i18n import _, format_value
from pages.components.markdown import escape_markdown

CARD_COUNT = 5  # shown at first, and added by every click on "More"
LINE_HEIGHT_PX, PADDING_PX = 18, 12  # in rows above 64 pixels, from three lines of text on, Streamlit breaks lines
MAX_TABLE_ROWS = 6  # seen without scrolling
FILTER_WIDTH_PX = 170  # of a field that filters a list


@dataclass(frozen=True)
class Card:
    """An entry of a list on a narrow screen: a title, and a sentence that says all that counts."""

    title: str
    text: str


def choose_entry(
    table: pd.DataFrame,
    columns: Mapping[str, ColumnConfig],
    build_card: Callable[[int], Card],
    *,
    address: str,
    label: str,
    details: Sequence[str] = (),
    lines: int = 3,
    names: Sequence[str] = (),
) -> int:
    """Show the entries of `table`; return the number of the chosen one, the first unless another was chosen.

    table       one line per entry, worst first; its index holds the numbers of the entries
    columns     name of a column → how it is shown
    build_card  card of the entry with a number
    address     name of the query parameter that holds the choice, and of the widgets
    label       names the list for screen readers
    details     columns that are shown on demand only
    lines       lines of text in a row of the table, at least three
    names       unique name of each entry, which the address holds in place of its number where a list changes by itself
    """
    texts = dict(zip(map(int, table.index), names or map(str, table.index), strict=True))
    chosen = read_choice(texts, address)
    with st.container(key=f"ranked-table-{address}"):
        _show_table(table, columns, chosen, address, label, details, PADDING_PX + lines * LINE_HEIGHT_PX, texts)
    with st.container(key=f"ranked-cards-{address}"):
        _show_cards(texts, build_card, chosen, address, label)
    return chosen


def read_choice(texts: Mapping[int, str], address: str) -> int:
    """Return the number of the entry whose text is in the address; the first one where none is."""
    text = url_state.get_query_param(address)
    return next((number for number, name in texts.items() if name == text), next(iter(texts)))


def _show_table(
    table: pd.DataFrame,
    columns: Mapping[str, ColumnConfig],
    chosen: int,
    address: str,
    label: str,
    details: Sequence[str],
    row_height_px: int,
    texts: Mapping[int, str],
) -> None:
    has_details = bool(url_state.get_state(f"{address}-details", False))
    key, place = f"{address}-table", int(table.index.get_loc(chosen))
    if _get_selected_place(key) != place:
        url_state.set_state(key, {"selection": {"rows": [place], "columns": [], "cells": []}})

    def remember_choice() -> None:
        """Put the row that was clicked into the address."""
        selected = _get_selected_place(key)
        if selected is not None and selected < len(table):
            url_state.set_query_param(address, texts[int(table.index[selected])])

    st.dataframe(
        table,
        hide_index=True,
        width="stretch",
        height=36 + row_height_px * min(len(table), MAX_TABLE_ROWS) + 2,
        row_height=row_height_px,
        key=key,
        on_select=remember_choice,
        selection_mode="single-row-required",
        column_config=dict(columns),
        column_order=[name for name in table.columns if has_details or name not in details],
        placeholder="–",
        alt=label,
    )
    if details:
        st.toggle(_("Details"), key=f"{address}-details")


def _get_selected_place(key: str) -> int | None:
    """Return the place of the selected row of a table; None before the table is shown."""
    state = url_state.get_state(key)
    rows = state["selection"]["rows"] if state else []
    return int(rows[0]) if rows else None


def _show_cards(
    texts: Mapping[int, str], build_card: Callable[[int], Card], chosen: int, address: str, label: str
) -> None:
    shown = url_state.get_or_set_state(f"{address}-cards-shown", CARD_COUNT)
    listed = list(texts)[:shown]
    cards = {number: build_card(number) for number in listed}
    key = f"{address}-cards"
    url_state.set_state(key, chosen if chosen in cards else None)
    st.radio(
        label,
        listed,
        format_func=lambda number: f"**{format_value(number)} · {escape_markdown(cards[number].title)}**",  # unique
        captions=[escape_markdown(card.text) for card in cards.values()],
        index=None,
        key=key,
        label_visibility="collapsed",
        on_change=lambda: url_state.set_query_param(address, texts[url_state.get_state(key)]),
    )
    if len(texts) > shown:
        st.button(
            _("More"),
            key=f"{address}-more",
            icon=":material/expand_more:",
            on_click=lambda: url_state.set_state(f"{address}-cards-shown", shown + CARD_COUNT),
        )
