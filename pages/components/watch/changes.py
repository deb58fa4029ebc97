"""Changes that a person makes on the page *Watch*: one click, one change, and a note that it was made."""

import time
from collections.abc import Callable
from typing import TypeVar

import streamlit as st
from pydantic import BaseModel, ValidationError

from core.actor import Actor
from core.errors import OptionError, VigieError
from core.messages import N_, Message
from pages.components import auth, cache, url_state
from pages.components.i18n import translate_message

PAGE = "watch"
RECEIPT_KEY, PROBLEM_KEY = "watch-receipt", "watch-problem"
PROBLEM_S = 60.0  # a reader has time to read why a change was refused
M = TypeVar("M", bound=BaseModel)

ACCEPTED_FORMS = {
    "name": N_("small letters, digits and hyphens, at most 60, a letter or a digit first"),
    "address": N_("an address such as s3://bucket/folder"),
    "url": N_("an address that starts with http:// or https://"),
    "path": N_("the path of a folder"),
    "pattern": N_("a pattern of file names such as *.csv"),
    "database": N_("the name of a database in the settings"),
    "query": N_("a SELECT of at most 20,000 characters"),
    "quiet_from": N_("an hour such as 22:00, or nothing"),
    "quiet_until": N_("an hour such as 07:00, or nothing"),
}
"""Field of a watch, a source or a recipient → what it may hold."""


def get_actor() -> Actor:
    """Return the user who acts on this page. Raises AccessDeniedError after the user has been signed out."""
    return auth.current_actor(PAGE)


def make_change(
    action: str, work: Callable[[], object], receipt: str, then: Callable[[], object] = lambda: None
) -> None:
    """Make a change once for a double click, and show the page again with `receipt`; show why where it is refused.

    work    makes the change
    action  tells this change from others: what is done, to what, and with which values
    then    is called after the change; it may set the address
    """
    try:
        cache.submit_once(action, work)
    except VigieError as error:
        st.error(translate_message(error.message), icon=":material/error:")
        url_state.set_state(PROBLEM_KEY, (error.message, time.monotonic()))
        return
    then()
    url_state.set_state(PROBLEM_KEY, None)
    url_state.set_state(RECEIPT_KEY, receipt)
    st.rerun()


def show_receipt() -> None:
    """Show once that the last change was made; show for a minute why it was refused, also when a list renews itself."""
    problem = url_state.get_state(PROBLEM_KEY)
    if problem is not None:
        message, told_at_s = problem
        if time.monotonic() - told_at_s < PROBLEM_S:
            st.error(translate_message(message), icon=":material/error:")
        else:
            url_state.set_state(PROBLEM_KEY, None)
    if receipt := url_state.get_state(RECEIPT_KEY, ""):
        url_state.set_state(RECEIPT_KEY, "")
        st.toast(receipt, icon=":material/check:")


def build_checked(cls: type[M], **values: object) -> M:
    """Return an instance of `cls`. Raises OptionError for the first value that is not accepted."""
    try:
        return cls.model_validate(values)
    except ValidationError as error:
        fault = error.errors()[0]
        name = str(fault["loc"][-1]) if fault["loc"] else cls.__name__
        accepted = Message(ACCEPTED_FORMS[name]) if name in ACCEPTED_FORMS else fault["msg"]
        raise OptionError(
            N_("{name} = {value!r} is not accepted. Accepted: {accepted}."),
            name=name,
            value=str(fault["input"])[:200],
            accepted=accepted,
        ) from None
