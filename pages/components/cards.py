"""Cards in rows: a small picture, a link or a button, and a few words."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import streamlit as st

T = TypeVar("T")
R = TypeVar("R")
CARDS_PER_ROW = 3


def show_cards(items: Sequence[T], show_card: Callable[[T], R]) -> list[R]:
    """Show a card for each item, three in a row, and return what `show_card` returns.

    On a narrow screen the cards stand one under another.
    """
    results = []
    for start in range(0, len(items), CARDS_PER_ROW):
        row = items[start : start + CARDS_PER_ROW]
        for column, item in zip(st.columns(CARDS_PER_ROW), row, strict=False):
            with column.container(border=True, height="stretch"):
                results.append(show_card(item))
    return results


def show_picture(svg: str, alt: str) -> None:
    """Show an SVG image in the width of the card; nothing for ""."""
    if svg:
        st.image(svg, width="stretch", alt=alt)
