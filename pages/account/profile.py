"""Account of the signed-in user: password, recent sign-ins, and sign-out everywhere."""

import pandas as pd
import streamlit as st

from core.accounts import User
from core.errors import InputError, VigieError
from core.messages import N_
from core.runs.tracked_run import record_event
from pages.account import access_denied, html_forms
from pages.components import auth, cache, clock
from pages.components.i18n import _, translate_message

MAX_SIGN_INS = 20


def page() -> None:
    """Show the account of the signed-in user."""
    session_user = auth.current_user()
    user = cache.get_workspace().accounts.find_user(session_user.name) if session_user else None
    if user is None:
        return
    st.title(_("Your account"))
    roles = ", ".join(_(access_denied.ROLE_LABELS[role]) for role in access_denied.ROLE_LABELS if role in user.roles)
    st.text(_("{name} · roles: {roles}").format(name=user.name, roles=roles))
    _show_password_form(user)
    _show_sign_ins(user)
    _show_sign_out_everywhere()


def _show_password_form(user: User) -> None:
    st.header(_("Password"))
    if not user.local:
        st.caption(_("You sign in with your organisation. Vigie stores no password for you."))
        return
    with st.form("change-password", clear_on_submit=True, width=420):
        old = st.text_input(_("Current password"), type="password", autocomplete="current-password", key="password-old")
        new = st.text_input(_("New password"), type="password", autocomplete="new-password", key="password-new")
        repeated = st.text_input(
            _("Confirm new password"), type="password", autocomplete="new-password", key="password-again"
        )
        submitted = st.form_submit_button(_("Change the password"))
    if submitted:
        _change_password(user, old, new, repeated)


def _change_password(user: User, old: str, new: str, repeated: str) -> None:
    try:
        if new != repeated:
            raise InputError(N_("The two passwords do not match."))
        with record_event(
            "account_change", auth.current_actor("account"), cache.get_workspace(), change="own password"
        ):
            cache.get_workspace().accounts.change_password(user.name, old, new, keep_token=auth.session_token())
    except VigieError as error:
        st.error(translate_message(error.message), icon=":material/error:")
    else:
        st.success(_("The password is changed. All your other sessions are ended."), icon=":material/check:")


def _show_sign_ins(user: User) -> None:
    st.header(_("Recent sign-ins"))
    sign_ins = cache.get_workspace().accounts.list_sign_ins(user.name, MAX_SIGN_INS)
    table = pd.DataFrame(
        {
            "time": [clock.to_browser_time(sign_in.time) for sign_in in sign_ins],
            "outcome": [_("signed in") if sign_in.success else _("rejected") for sign_in in sign_ins],
            "address": [sign_in.address for sign_in in sign_ins],
        }
    )
    st.dataframe(
        table,
        hide_index=True,
        width="stretch",
        key="sign-ins",
        alt=_("Recent sign-ins"),
        column_config={
            "time": clock.build_time_column(_("Time")),
            "outcome": st.column_config.TextColumn(_("Outcome")),
            "address": st.column_config.TextColumn(_("Address")),
        },
    )
    clock.show_zone()


def _show_sign_out_everywhere() -> None:
    st.header(_("Sign out everywhere"))
    session_user = auth.current_user()
    if session_user is None or not session_user.csrf:
        st.caption(_("The identity provider of your organisation sets the duration of your session."))
        return
    st.caption(_("Ends all your sessions, in this browser and in all others."))
    st.html(html_forms.build_sign_out_everywhere())


page()
