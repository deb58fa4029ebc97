"""Sign-in page, or the form for the first administrator; shown at every address until a user is signed in."""

import streamlit as st

from core.errors import ServiceUnavailableError
from core.messages import N_
from pages.account import html_forms
from pages.components import cache, url_state
from pages.components.i18n import _, translate_message

ERROR_MESSAGES = {
    "refused": N_("Wrong name or password."),
    "locked": N_("Too many attempts. Try again later."),
    "not-made": N_("The administrator was not created."),
    "unreachable": N_("The account database does not respond. Try again."),
}


def show(address: str) -> None:
    """Show the form for the page `address`, and the error of the last attempt."""
    try:
        has_no_users = cache.get_workspace().accounts.is_empty()
    except ServiceUnavailableError:
        show_unreachable()
        return
    st.title("Vigie")
    with st.container(key="sign-in", width=420):
        _show_setup_form(address) if has_no_users else _show_sign_in_form(address)


def show_unreachable() -> None:
    """Show that sign-in is not possible now; the reason is only on the health page, which needs sign-in."""
    st.title("Vigie")
    st.error(
        _(
            "The account database does not respond. Sign-in is not possible at the moment. Users "
            "who are already signed in can continue to work."
        ),
        icon=":material/cloud_off:",
    )
    st.button(_("Try again"), icon=":material/refresh:", key="try-again", on_click=_reset_accounts)


def _reset_accounts() -> None:
    cache.get_workspace().accounts.reset()


def _show_sign_in_form(address: str) -> None:
    st.write(_("Sign in to continue."))
    _show_last_error()
    st.html(html_forms.build_sign_in_form(html_forms.build_current_path(address)))
    if st.secrets.load_if_toml_exists() and "auth" in st.secrets:
        st.caption(_("or"))
        st.button(
            _("Sign in with your organisation"),
            on_click=st.login,
            key="sign-in-provider",
            width="stretch",
            icon=":material/passkey:",
        )


def _show_setup_form(address: str) -> None:
    st.write(
        _(
            "No user exists yet. Create the first administrator here, with the setup token "
            "that Vigie printed on its console."
        )
    )
    _show_last_error()
    st.html(html_forms.build_setup_form(html_forms.build_current_path(address)))
    st.caption(_("Or run this command on the server:"))
    st.code("python -m core users add NAME --role administrator", language="bash", wrap_lines=True)


def _show_last_error() -> None:
    """Show the flash message of the last attempt, else the general message of its outcome."""
    outcome = url_state.get_query_param("sign-in")
    message = cache.get_workspace().flash.get(url_state.get_query_param("note"))
    if message is not None:
        st.error(translate_message(message), icon=":material/error:")
    elif outcome in ERROR_MESSAGES:
        st.error(_(ERROR_MESSAGES[outcome]), icon=":material/error:")
