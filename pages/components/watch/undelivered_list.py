"""Messages that were given up, with the reason, and a button that sends them again."""

from functools import partial

import streamlit as st

from core.operations.watching.delivery import discard_message, list_undelivered, retry_message
from pages.components import cache, clock
from pages.components.i18n import _, format_value, translate_message
from pages.components.markdown import escape_markdown
from pages.components.watch.changes import get_actor, make_change

MAX_SHOWN = 20


def show() -> None:
    """Show the messages that did not reach their recipients; nothing without one."""
    workspace, actor = cache.get_workspace(), get_actor()
    messages = list_undelivered(workspace)
    if not messages:
        return
    st.header(_("Not delivered"))
    for message in messages[:MAX_SHOWN]:
        with st.container(border=True, key=f"undelivered-{message.id}"):
            st.markdown(
                _(
                    "**{recipient}**: {count} announcement of {watches}, given up {time}",
                    "**{recipient}**: {count} announcements of {watches}, given up {time}",
                    message.count,
                ).format(
                    recipient=escape_markdown(message.recipient),
                    count=format_value(message.count),
                    watches=escape_markdown(", ".join(message.watches)),
                    time=clock.format_instant(message.ended),
                )
            )
            st.caption(translate_message(message.problem))
            with st.container(horizontal=True):
                if st.button(_("Try again"), icon=":material/refresh:", key=f"undelivered-retry-{message.id}"):
                    make_change(
                        f"retry {message.id}",
                        partial(retry_message, message.id, workspace, actor),
                        _("The message is sent again."),
                    )
                if st.button(_("Forget it"), icon=":material/delete:", key=f"undelivered-discard-{message.id}"):
                    make_change(
                        f"discard {message.id}",
                        partial(discard_message, message.id, workspace, actor),
                        _("The message is forgotten."),
                    )
