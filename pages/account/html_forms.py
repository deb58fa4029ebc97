"""HTML forms that the browser sends to the routes of the launcher.

Only the response to a form can set a cookie that scripts cannot read (HttpOnly).
"""

from html import escape
from pathlib import PurePosixPath
from urllib.parse import urlencode

from pages.components import auth, url_state
from pages.components.i18n import _

ROUTES = PurePosixPath("/account")
SIGN_IN, SIGN_OUT, EVERYWHERE, FIRST = (
    str(ROUTES / name) for name in ("sign-in", "sign-out", "sign-out-everywhere", "first")
)
SAID = ("sign-in", "note")
"""Query parameters of a rejected form: the outcome, and the number of a flash message."""


def here(address: str) -> str:
    """Return path and query of the page `address`, without the message of an earlier attempt."""
    query = {name: values for name, values in url_state.query_params().items() if name not in SAID}
    return f"/{address}" + (f"?{urlencode(query, doseq=True)}" if query else "")


def sign_in_form(target: str) -> str:
    """Return the form for name and password; the browser then opens `target`."""
    return _form(
        SIGN_IN,
        _("Sign in"),
        _hidden("next", target),
        _field(_("Name"), "user", autocomplete="username", autocapitalize="none", spellcheck="false"),
        _field(_("Password"), "password", autocomplete="current-password", type="password"),
    )


def first_form(target: str) -> str:
    """Return the form that creates the first administrator with the setup token."""
    return _form(
        FIRST,
        _("Make the first administrator"),
        _hidden("next", target),
        _field(_("Token, from the console where Vigie was started"), "token", autocomplete="off", spellcheck="false"),
        _field(_("Name"), "user", autocomplete="username", autocapitalize="none", spellcheck="false"),
        _field(_("Password"), "password", autocomplete="new-password", type="password"),
        _field(_("Password again"), "again", autocomplete="new-password", type="password"),
    )


def sign_out_button() -> str:
    """Return the form whose button signs the user out."""
    return _button_alone(SIGN_OUT, _("Sign out"))


def sign_out_everywhere_button() -> str:
    """Return the form whose button ends all sessions of the user."""
    return _button_alone(EVERYWHERE, _("Sign out everywhere"))


def _button_alone(route: str, label: str) -> str:
    found = auth.current_user()
    return _form(route, label, _hidden("csrf", found.csrf if found else ""), kind="quiet")


def _form(route: str, label: str, *parts: str, kind: str = "") -> str:
    button = f'<button type="submit">{escape(label)}</button>'
    return f'<form class="vigie-form {kind}" method="post" action="{route}">{"".join(parts)}{button}</form>'


def _hidden(name: str, value: str) -> str:
    return f'<input type="hidden" name="{name}" value="{escape(value)}">'


def _field(label: str, name: str, **attributes: str) -> str:
    said = " ".join(f'{key}="{escape(value)}"' for key, value in ({"type": "text"} | attributes).items())
    return f'<label><span>{escape(label)}</span><input name="{name}" required maxlength="256" {said}></label>'
