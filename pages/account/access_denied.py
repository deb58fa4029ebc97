"""Replacement of a page that the roles of the user do not allow."""

from html import escape

import streamlit as st

from core.errors import VigieError
from core.messages import N_
from pages.components.auth import SignedInUser
from pages.components.i18n import _, translate_message
from pages.components.markdown import escape_markdown
from pages.components.task_links import HOME_SCRIPT

ROLE_LABELS = {"analyst": N_("analyst"), "operator": N_("operator"), "administrator": N_("administrator")}


def show(title: str, roles: tuple[str, ...]) -> None:
    """Show the roles that may open the page `title`."""
    st.title(_("No access"))
    st.warning(
        _("The page “{page}” requires one of these roles: {roles}. Ask an administrator for a role.").format(
            page=escape_markdown(title), roles=", ".join(_(ROLE_LABELS[role]) for role in roles)
        ),
        icon=":material/lock:",
    )
    st.page_link(HOME_SCRIPT, label=_("Go to the home page"), icon=":material/home:")


def show_no_role(user: SignedInUser) -> None:
    """Show a signed-in user without any role how to get one."""
    st.title(_("No access yet"))
    st.warning(_("You have no role yet. Ask an administrator for one."), icon=":material/lock:")
    text = escape(_("Your user name:"))
    st.html(f"<p>{text} <strong>{escape(user.name)}</strong></p>")


def show_rejected_account(error: VigieError) -> None:
    """Show why the accounts reject a user whom the identity provider authenticates."""
    st.title(_("No access"))
    st.warning(translate_message(error.message), icon=":material/lock:")
    st.button(_("Sign out"), icon=":material/logout:", on_click=st.logout, key="sign-out")
