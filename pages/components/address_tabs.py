"""Tabs of a page, of which the address names the open one."""

from collections.abc import Callable, Mapping

import streamlit as st

from pages.components.page_state import AddressField


def show_tabs(parameter: str, key: str, views: Mapping[str, tuple[str, Callable[[], None]]]) -> None:
    """Show the open one of several views. The address has no parameter for the first of them.

    parameter  name of the query parameter
    key        key of the tabs
    views      name in the address → label, and function that shows the view
    """
    first = next(iter(views))
    name_by_label = {label: name for name, (label, _show) in views.items()}
    field = AddressField(
        parameter,
        key,
        lambda name: views.get(name, views[first])[0],
        lambda label: "" if name_by_label.get(label) == first else name_by_label.get(label, ""),
    )
    field.load()
    tabs = st.tabs(list(name_by_label), on_change=field.store, key=field.key)
    for tab, (_label, show_view) in zip(tabs, views.values(), strict=True):
        if tab.open:
            with tab:
                show_view()
