"""The name of a run, in the language of the reader, and the form that changes it."""

from typing import TYPE_CHECKING

import streamlit as st

from core.errors import VigieError
from core.runs.run_names import translate_run_name
from pages.components import auth, cache, url_state
from pages.components.i18n import _, translate_message

if TYPE_CHECKING:
    from core.runs.comparison import Record

SHORT_ID_LENGTH = 12
MAX_NAME_LENGTH = 120


def format_run_name(record: "Record") -> str:
    """Return the name of a run for the reader; the first characters of its id where it has no name."""
    return translate_run_name(record.name, record.experiment, _) or record.id[:SHORT_ID_LENGTH]


def name_run(run_id: str) -> str:
    """Return the name of a run that started on this machine; the first characters of the id of any other."""
    from core.runs.comparison import find_local_record

    record = find_local_record(run_id, cache.get_workspace()) if run_id else None
    return run_id[:SHORT_ID_LENGTH] if record is None else format_run_name(record)


def show_rename(record: "Record") -> None:
    """Show the form that renames a run to its owner and to operators."""
    from core.runs.renaming import may_rename

    user = auth.current_user()
    if not may_rename(record, user.name if user else "", auth.manages_all_runs()):
        return
    key = f"rename-{record.id}"
    with st.popover(_("Rename"), icon=":material/edit:", key=key), st.form(f"{key}-form", border=False):
        name = st.text_input(
            _("Name of the run"), format_run_name(record), key=f"{key}-name", max_chars=MAX_NAME_LENGTH
        )
        if st.form_submit_button(_("Save the name"), key=f"{key}-save", icon=":material/check:"):
            _rename(record, name)


def show_rename_note(record: "Record") -> None:
    """Show that the new name of a run waits for MLflow, once after it was changed."""
    if url_state.get_state(f"renamed-{record.id}"):
        url_state.set_state(f"renamed-{record.id}", False)
        st.caption(_("The name is saved. MLflow gets it later."))


def _rename(record: "Record", name: str) -> None:
    from core.runs.renaming import rename_run

    if name == format_run_name(record):
        return
    try:
        is_delivered = cache.submit_once(
            f"rename {record.id} {name}",
            lambda: rename_run(
                record.id,
                name,
                workspace=cache.get_workspace(),
                actor=auth.current_actor("tracking"),
                manages_all=auth.manages_all_runs(),
            )[1],
        )
    except VigieError as error:
        st.error(translate_message(error.message), icon=":material/error:")
        return
    cache.clear_runs()
    url_state.set_state(f"renamed-{record.id}", not is_delivered)
    st.rerun()
