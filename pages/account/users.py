"""User administration, for administrators."""

from collections.abc import Callable

import pandas as pd
import streamlit as st

from core.accounts import ROLES, User
from core.errors import OptionError, VigieError
from core.messages import N_
from core.runs.tracked_run import record_event
from pages.account import access_denied
from pages.components import auth, cache, clock, url_state
from pages.components.i18n import _, translate_message
from pages.components.markdown import escape_markdown

MAX_SIGN_INS = 1000  # newest sign-ins that are searched for the last one of each user


def page() -> None:
    """Show all users, and the forms that add and change them."""
    st.title(_("Users"))
    _show_success()
    users = cache.get_workspace().accounts.list_users()
    _show_table(users)
    left, right = st.columns(2, gap="large")
    with left:
        _show_add_form()
    with right:
        _show_edit_form(users)


def _show_table(users: list[User]) -> None:
    last_sign_ins = {
        sign_in.name: sign_in.time
        for sign_in in reversed(cache.get_workspace().accounts.list_sign_ins(limit=MAX_SIGN_INS))
        if sign_in.success
    }
    table = pd.DataFrame(
        {
            "name": [user.name for user in users],
            "roles": [_format_roles(user.roles) or "–" for user in users],
            "by": [_("password") if user.local else _("organisation") for user in users],
            "state": [_("disabled") if user.disabled else _("active") for user in users],
            "last": [
                clock.to_browser_time(last_sign_ins[user.name]) if user.name in last_sign_ins else None
                for user in users
            ],
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
            "last": clock.build_time_column(_("Last sign-in")),
        },
    )
    clock.show_zone()


# ---- add a user -----------------------------------------------------------------------------------------------------


def _show_add_form() -> None:
    st.header(_("Add a user"))
    with st.form("add-user"):
        name = st.text_input(
            _("Name"),
            key="new-name",
            autocomplete="off",
            help=_("For a user who signs in with your organisation: the address known to the identity provider."),
        )
        local = st.toggle(_("Signs in with a password"), value=True, key="new-local")
        password = st.text_input(
            _("Initial password"), type="password", key="new-password", autocomplete="new-password"
        )
        roles = st.multiselect(_("Roles"), ROLES, ["analyst"], format_func=_translate_role, key="new-roles")
        submitted = st.form_submit_button(_("Add"), type="primary", icon=":material/person_add:")
    if submitted:
        _make_change(name, "added", lambda: _add_user(name, password, local, roles))


def _add_user(name: str, password: str, local: bool, roles: list[str]) -> None:
    if local and not password:
        raise OptionError(N_("The initial password is missing."))
    cache.get_workspace().accounts.add_user(
        name, password if local else None, roles, granted_by=auth.current_actor("users").user
    )


# ---- change a user --------------------------------------------------------------------------------------------------


def _show_edit_form(users: list[User]) -> None:
    st.header(_("Change a user"))
    users_by_name = {user.name: user for user in users}
    name = st.selectbox(_("User"), list(users_by_name), key="edited")
    if name not in users_by_name:
        return
    user = users_by_name[name]
    with st.form("edit-roles"):
        roles = st.multiselect(
            _("Roles"),
            ROLES,
            [role for role in ROLES if role in user.roles],
            format_func=_translate_role,
            key=f"roles {name}",
        )
        if st.form_submit_button(_("Save the roles")):
            _make_change(
                name,
                "roles",
                lambda: cache.get_workspace().accounts.set_roles(
                    name, roles, granted_by=auth.current_actor("users").user
                ),
            )
    _show_state_button(user)
    _show_password_form(user)


def _show_state_button(user: User) -> None:
    label, icon = (_("Enable"), "lock_open") if user.disabled else (_("Disable"), "block")
    if st.button(
        label,
        key="switch-state",
        icon=f":material/{icon}:",
        help=_("A disabled user is signed out at once and cannot sign in."),
    ):
        _make_change(
            user.name, "state", lambda: cache.get_workspace().accounts.set_disabled(user.name, not user.disabled)
        )


def _show_password_form(user: User) -> None:
    with st.form("reset-password", clear_on_submit=True):
        password = st.text_input(
            _("New password"), type="password", key="reset-password-to", autocomplete="new-password"
        )
        submitted = st.form_submit_button(_("Set the password"), help=_("This ends all sessions of the user."))
    if submitted:
        _make_change(user.name, "password", lambda: cache.get_workspace().accounts.set_password(user.name, password))


# ---- changes --------------------------------------------------------------------------------------------------------

SUCCESS_MESSAGES = {
    "added": N_("User {name} is added."),
    "roles": N_("The roles of {name} are saved."),
    "state": N_("The state of {name} is changed. See the table."),
    "password": N_("The password of {name} is changed. All sessions of this user are ended."),
}


def _make_change(name: str, change: str, action: Callable[[], object]) -> None:
    """Make one change and record one event.

    An error of the accounts is shown in place and not recorded, because it may contain names.
    """
    workspace = cache.get_workspace()
    try:
        action()
    except VigieError as error:
        st.error(translate_message(error.message), icon=":material/error:")
        return
    with record_event(
        "account_change", auth.current_actor("users"), workspace, change=change, account=workspace.pseudonymise(name)
    ):
        url_state.set_state("account-change", (change, name))
    st.rerun()


def _show_success() -> None:
    change, name = url_state.get_state("account-change", ("", ""))
    if change:
        url_state.set_state("account-change", ("", ""))
        st.toast(_(SUCCESS_MESSAGES[change]).format(name=escape_markdown(name)), icon=":material/check:")


def _format_roles(roles: frozenset[str]) -> str:
    return ", ".join(_translate_role(role) for role in ROLES if role in roles)


def _translate_role(role: str) -> str:
    return _(access_denied.ROLE_LABELS[role])


page()
