"""HTML forms that the browser sends to the routes of the launcher.

Only the response to a form can set a cookie that scripts cannot read (HttpOnly).
"""

from html import escape
from pathlib import PurePosixPath
from urllib.parse import urlencode

from pages.components import auth, url_state
from pages.components.i18n import _

ROUTE_FOLDER = PurePosixPath("/account")
SIGN_IN, SIGN_OUT, SIGN_OUT_EVERYWHERE, FIRST_ADMINISTRATOR = (
    str(ROUTE_FOLDER / name) for name in ("sign-in", "sign-out", "sign-out-everywhere", "first")
)
MESSAGE_PARAMS = ("sign-in", "note")
"""Query parameters of a rejected form: the outcome, and the number of a flash message."""


def build_current_path(address: str) -> str:
    """Return path and query of the page `address`, without the message of an earlier attempt."""
    query = {name: values for name, values in url_state.get_query_params().items() if name not in MESSAGE_PARAMS}
    return f"/{address}" + (f"?{urlencode(query, doseq=True)}" if query else "")


def build_sign_in_form(target: str) -> str:
    """Return the form for name and password; the browser then opens `target`."""
    return _build_form(
        SIGN_IN,
        _("Sign in"),
        _build_hidden_field("next", target),
        _build_text_field(_("Name"), "user", autocomplete="username", autocapitalize="none", spellcheck="false"),
        _build_text_field(_("Password"), "password", autocomplete="current-password", type="password"),
    )


def build_setup_form(target: str) -> str:
    """Return the form that creates the first administrator with the setup token."""
    return _build_form(
        FIRST_ADMINISTRATOR,
        _("Create the first administrator"),
        _build_hidden_field("next", target),
        _build_text_field(
            _("Setup token (printed on the console of Vigie)"), "token", autocomplete="off", spellcheck="false"
        ),
        _build_text_field(_("Name"), "user", autocomplete="username", autocapitalize="none", spellcheck="false"),
        _build_text_field(_("Password"), "password", autocomplete="new-password", type="password"),
        _build_text_field(_("Confirm password"), "again", autocomplete="new-password", type="password"),
    )


def build_sign_out_form() -> str:
    """Return the form whose button signs the user out."""
    return _build_button_form(SIGN_OUT, _("Sign out"))


def build_sign_out_everywhere() -> str:
    """Return the form whose button ends all sessions of the user."""
    return _build_button_form(SIGN_OUT_EVERYWHERE, _("Sign out everywhere"))


def _build_button_form(route: str, label: str) -> str:
    user = auth.current_user()
    return _build_form(route, label, _build_hidden_field("csrf", user.csrf if user else ""), kind="quiet")


def _build_form(route: str, label: str, *fields: str, kind: str = "") -> str:
    button = f'<button type="submit">{escape(label)}</button>'
    return f'<form class="vigie-form {kind}" method="post" action="{route}">{"".join(fields)}{button}</form>'


def _build_hidden_field(name: str, value: str) -> str:
    return f'<input type="hidden" name="{name}" value="{escape(value)}">'


def _build_text_field(label: str, name: str, **attributes: str) -> str:
    attribute_text = " ".join(f'{key}="{escape(value)}"' for key, value in ({"type": "text"} | attributes).items())
    return f'<label><span>{escape(label)}</span><input name="{name}" required maxlength="256" {attribute_text}></label>'
