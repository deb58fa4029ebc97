"""User administration, for administrators."""

from collections.abc import Callable

import pandas as pd
import streamlit as st

from core.accounts import ROLES, User
from core.errors import OptionError, VigieError
from core.messages import N_
from core.runs.tracked_run import recorded
from pages.account import access_denied
from pages.components import auth, cache, clock, url_state
from pages.components.i18n import _, date_format, say

LATEST = 1000  # newest sign-ins that are searched for the last one of each user


def page() -> None:
    """Show all users, and the forms that add and change them."""
    st.title(_("Users"))
    _done()
    users = cache.get_workspace().accounts.users()
    _table(users)
    left, right = st.columns(2, gap="large")
    with left:
        _add()
    with right:
        _edit(users)


def _table(users: list[User]) -> None:
    last = {
        sign_in.name: sign_in.time
        for sign_in in reversed(cache.get_workspace().accounts.sign_ins(limit=LATEST))
        if sign_in.success
    }
    table = pd.DataFrame(
        {
            "name": [user.name for user in users],
            "roles": [_roles(user.roles) or "–" for user in users],
            "by": [_("password") if user.local else _("organisation") for user in users],
            "state": [_("disabled") if user.disabled else _("active") for user in users],
            "last": [clock.to_browser_time(last[user.name]) if user.name in last else None for user in users],
        }
    )
    st.dataframe(
        table,
        hide_index=True,
        width="stretch",
        key="users",
        placeholder="–",
        alt=_("Users"),
        column_config={
            "name": st.column_config.TextColumn(_("Name")),
            "roles": st.column_config.TextColumn(_("Roles")),
            "by": st.column_config.TextColumn(_("Signs in with")),
            "state": st.column_config.TextColumn(_("State")),
            "last": st.column_config.DatetimeColumn(_("Last sign-in"), format=f"{date_format()} HH:mm"),
        },
    )


# ---- add a user -----------------------------------------------------------------------------------------------------


def _add() -> None:
    st.subheader(_("Add a user"))
    with st.form("add-user"):
        name = st.text_input(
            _("Name"),
            key="new-name",
            autocomplete="off",
            help=_("Of somebody who signs in with your organisation: the address it knows them by."),
        )
        local = st.toggle(_("Signs in with a password"), value=True, key="new-local")
        password = st.text_input(
            _("Initial password"), type="password", key="new-password", autocomplete="new-password"
        )
        roles = st.multiselect(_("Roles"), ROLES, ["analyst"], format_func=_role, key="new-roles")
        submitted = st.form_submit_button(_("Add"), type="primary", icon=":material/person_add:")
    if submitted:
        _act(name, "added", lambda: _added(name, password, local, roles))


def _added(name: str, password: str, local: bool, roles: list[str]) -> None:
    if local and not password:
        raise OptionError(N_("An initial password is missing."))
    cache.get_workspace().accounts.add_user(
        name, password if local else None, roles, by=auth.current_actor("users").user
    )


# ---- change a user --------------------------------------------------------------------------------------------------


def _edit(users: list[User]) -> None:
    st.subheader(_("Change a user"))
    known = {user.name: user for user in users}
    name = st.selectbox(_("User"), list(known), key="edited")
    if name not in known:
        return
    user = known[name]
    with st.form("edit-roles"):
        roles = st.multiselect(
            _("Roles"), ROLES, [role for role in ROLES if role in user.roles], format_func=_role, key=f"roles {name}"
        )
        if st.form_submit_button(_("Save the roles")):
            _act(
                name,
                "roles",
                lambda: cache.get_workspace().accounts.set_roles(name, roles, by=auth.current_actor("users").user),
            )
    _state(user)
    _reset(user)


def _state(user: User) -> None:
    label, icon = (_("Enable"), "lock_open") if user.disabled else (_("Disable"), "block")
    if st.button(
        label,
        key="switch-state",
        icon=f":material/{icon}:",
        help=_("Whoever is disabled is signed out at once and cannot sign in."),
    ):
        _act(user.name, "state", lambda: cache.get_workspace().accounts.set_disabled(user.name, not user.disabled))


def _reset(user: User) -> None:
    with st.form("reset-password", clear_on_submit=True):
        password = st.text_input(
            _("New password"), type="password", key="reset-password-to", autocomplete="new-password"
        )
        submitted = st.form_submit_button(_("Set the password"), help=_("They are signed out everywhere."))
    if submitted:
        _act(user.name, "password", lambda: cache.get_workspace().accounts.set_password(user.name, password))


# ---- changes --------------------------------------------------------------------------------------------------------

DONE = {
    "added": N_("{name} is added."),
    "roles": N_("The roles of {name} are saved."),
    "state": N_("{name} is enabled or disabled, as the table says."),
    "password": N_("{name} has a new password and is signed out everywhere."),
}


def _act(name: str, change: str, work: Callable[[], object]) -> None:
    """Make one change and record one event.

    An error of the accounts is shown in place and not recorded, because it may contain names.
    """
    here = cache.get_workspace()
    try:
        work()
    except VigieError as error:
        st.error(say(error.text), icon=":material/error:")
        return
    with recorded("account_change", auth.current_actor("users"), here, change=change, account=here.pseudonymise(name)):
        url_state.set_state("account-change", (change, name))
    st.rerun()


def _done() -> None:
    change, name = url_state.get_state("account-change", ("", ""))
    if change:
        url_state.set_state("account-change", ("", ""))
        st.toast(_(DONE[change]).format(name=name), icon=":material/check:")


def _roles(roles: frozenset[str]) -> str:
    return ", ".join(_role(role) for role in ROLES if role in roles)


def _role(role: str) -> str:
    return _(access_denied.ROLE[role])


page()
