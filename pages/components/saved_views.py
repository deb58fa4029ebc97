"""Saved views of a page: its filters and columns under a name, for one person; the address shares them."""

import hashlib
from collections.abc import Callable, Mapping, Sequence

import streamlit as st

from core.errors import VigieError
from core.storage.saved_views import MAX_NAME_LENGTH, SavedView
from pages.components import auth, cache, url_state
from pages.components.i18n import _, translate_message
from pages.components.markdown import escape_markdown

Fields = Sequence[str]
"""Names of the query parameters that make a view."""


def show(page: str, fields: Fields) -> None:
    """Show the saved views of a page: open, save, rename and delete them."""
    views = cache.get_workspace().saved_views.list_views(page, auth.dataset_owner())
    state = _read_state(fields)
    current_view = next((view for view in views if dict(view.state) == state), None)
    label = escape_markdown(current_view.name) if current_view else _("Saved views")
    with st.popover(label, icon=":material/bookmarks:", key=f"{page}-views"):
        _show_list(page, views, fields)
        if current_view is None:
            _ask_new_view(page, state)
        if views:
            _ask_changes(page, views)
        st.caption(
            _(
                "A view holds what you chose on this page, but not the order after a click on the heading of a table. "
                "The address of the page opens the view for a colleague."
            )
        )


def _read_state(fields: Fields) -> dict[str, str]:
    return {name: value for name in fields if (value := url_state.get_query_param(name))}


def _show_list(page: str, views: Sequence[SavedView], fields: Fields) -> None:
    with st.container(gap="xxsmall"):
        for view in views:
            st.button(
                escape_markdown(view.name),
                key=f"{page}-view-{hashlib.sha256(view.name.encode()).hexdigest()[:12]}",
                type="tertiary",
                icon=":material/bookmark:",
                on_click=_open_view,
                args=(view.state, fields),
            )


def _open_view(state: Mapping[str, str], fields: Fields) -> None:
    for name in fields:
        url_state.set_query_param(name, state.get(name, ""))


def _ask_new_view(page: str, state: Mapping[str, str]) -> None:
    if not state:
        st.caption(_("Change what this page shows, then save it here as a view."))
        return
    name = st.text_input(_("Name of the view"), key=f"{page}-view-name", max_chars=MAX_NAME_LENGTH)
    if st.button(_("Save this view"), key=f"{page}-view-save", icon=":material/bookmark_add:"):
        _change(lambda: cache.get_workspace().saved_views.save(page, auth.dataset_owner(), SavedView(name, state)))


def _ask_changes(page: str, views: Sequence[SavedView]) -> None:
    with st.expander(_("Rename or delete"), icon=":material/edit:"):
        store, user = cache.get_workspace().saved_views, auth.dataset_owner()
        name = str(st.selectbox(_("View"), [view.name for view in views], key=f"{page}-view-choice"))
        new_name = st.text_input(_("New name"), key=f"{page}-view-new-name", max_chars=MAX_NAME_LENGTH)
        with st.container(horizontal=True):
            if st.button(_("Rename"), key=f"{page}-view-rename", disabled=not new_name.strip()):
                _change(lambda: store.rename(page, user, name, new_name))
            if st.button(_("Delete"), key=f"{page}-view-delete", icon=":material/delete:"):
                _change(lambda: store.delete(page, user, name))


def _change(work: Callable[[], object]) -> None:
    """Change the saved views and show the page again, or say why that is not possible."""
    try:
        work()
    except VigieError as error:
        st.error(translate_message(error.message), icon=":material/error:")
    except OSError as error:
        st.error(
            _("The view was not saved: {reason}.").format(reason=escape_markdown(error.strerror or str(error))),
            icon=":material/error:",
        )
    else:
        st.rerun()
