"""Notes on moments of the data: those of the period, and the form that adds or edits one."""

from collections.abc import Callable
from datetime import date, datetime, time

import pandas as pd
import streamlit as st

from core.data.dataset import Dataset
from core.data.known_events import describe_span
from core.data.time_ranges import TimeRange
from core.errors import VigieError
from core.operations.known_events import has_whole_days
from core.operations.notes import NoteInput, add_note, edit_note, get_notes_digest, is_author, remove_note
from core.storage.notes import MAX_NOTE_CHARS, Note
from pages.components import auth, cache, url_state
from pages.components.clock import to_browser_time
from pages.components.i18n import _, format_value, get_date_format, translate_message, translate_plain
from pages.components.markdown import escape_markdown

PAGE = "notes"
EDITED_KEY, VERSION_KEY, RECEIPT_KEY = "note-edited", "note-version", "note-receipt"
MAX_SHOWN_NOTES = 20


def show(dataset: Dataset, known_notes: list[Note], period: TimeRange | None) -> None:
    """Show the notes of the period, newest moment first, and the form."""
    visible = [note for note in known_notes if period is None or _is_inside(note, period)]
    for note in visible[::-1][:MAX_SHOWN_NOTES]:
        _show_note(note, dataset)
    if len(visible) > MAX_SHOWN_NOTES:
        st.caption(
            _("{count} earlier notes are in the table above.").format(
                count=format_value(len(visible) - MAX_SHOWN_NOTES)
            )
        )
    edited_id = url_state.get_state(EDITED_KEY)
    _show_form(dataset, next((note for note in known_notes if note.id == edited_id), None), period)


def _is_inside(note: Note, period: TimeRange) -> bool:
    return period.start <= pd.Timestamp(note.end) and pd.Timestamp(note.start) < period.end


def _show_note(note: Note, dataset: Dataset) -> None:
    """Show one note; its text is never read as Markdown."""
    with st.container(border=True, key=f"note-{note.id}"):
        length = pd.Timedelta(days=1) if has_whole_days(dataset) else pd.Timedelta(0)
        moment = translate_plain(describe_span(note.start, note.end + length))
        st.text(note.text)
        with st.container(horizontal=True, vertical_alignment="center"):
            st.text(
                _("{moment} · {entity} · {author}, {written}").format(
                    moment=moment,
                    entity=note.entity or _("all entities"),
                    author=note.author,
                    written=format_value(to_browser_time(note.edited or note.written)),
                )
            )
            if is_author(note, auth.current_actor(PAGE)):
                st.button(
                    _("Edit"),
                    icon=":material/edit:",
                    key=f"note-edit-{note.id}",
                    on_click=url_state.set_state,
                    args=(EDITED_KEY, note.id),
                )
                if st.button(_("Delete"), icon=":material/delete:", key=f"note-delete-{note.id}"):
                    _change(lambda: _delete(note, dataset), f"delete {note.id}", _("The note was deleted."))


def _delete(note: Note, dataset: Dataset) -> None:
    remove_note(note.id, get_notes_digest(dataset), workspace=cache.get_workspace(), actor=auth.current_actor(PAGE))


def _show_form(dataset: Dataset, edited: Note | None, period: TimeRange | None) -> None:
    """Show the form for a new note, or for the note that is edited."""
    if receipt := url_state.get_state(RECEIPT_KEY, ""):
        st.success(receipt, icon=":material/check:")
        url_state.set_state(RECEIPT_KEY, "")
    shown = "" if period is None else period.code
    key = f"{'' if edited is None else edited.id}-{shown}-{url_state.get_state(VERSION_KEY, 0)}-{dataset.digest[:12]}"
    title = _("Edit the note") if edited else _("Add a note")
    st.markdown(f"**{title}**")
    start, end = _ask_span(dataset, edited, period, key)
    entity = _ask_entity(dataset, edited, key)
    text = st.text_area(
        _("Note"),
        edited.text if edited else "",
        max_chars=MAX_NOTE_CHARS,
        height=80,
        key=f"note-text-{key}",
        placeholder=_("What happened, for example: meter replaced, site closed, data corrected"),
        help=_("Everybody who opens these data sees the note and your name. Repairs of the data keep it."),
    )
    with st.container(horizontal=True):
        clicked = st.button(
            _("Save the note"),
            icon=":material/sticky_note_2:",
            key=f"note-save-{key}",
            disabled=start is None or not (text or "").strip(),
        )
        if edited is not None:
            st.button(_("Cancel"), key=f"note-cancel-{key}", on_click=url_state.set_state, args=(EDITED_KEY, None))
    if clicked and start is not None:
        entry = NoteInput(text or "", start, end, entity)
        _change(lambda: _save(entry, edited, dataset), f"save {key} {entry}", _("The note was saved."))


def _save(entry: NoteInput, edited: Note | None, dataset: Dataset) -> None:
    services = {"workspace": cache.get_workspace(), "actor": auth.current_actor(PAGE)}
    if edited is None:
        add_note(entry, dataset, **services)  # type: ignore[arg-type]
    else:
        edit_note(edited.id, entry, dataset, **services)  # type: ignore[arg-type]


def _change(work: Callable[[], None], action: str, receipt: str) -> None:
    """Carry out a click once, and rerun the page, which then shows `receipt`; or show why it is impossible."""
    try:
        cache.submit_once(f"note {action}", work)
    except VigieError as error:
        st.error(translate_message(error.message), icon=":material/error:")
    except OSError as error:
        st.error(
            _("The note was not saved: {reason}. Try again later.").format(
                reason=escape_markdown(error.strerror or str(error))
            ),
            icon=":material/error:",
        )
    else:
        url_state.set_state(RECEIPT_KEY, receipt)
        url_state.set_state(EDITED_KEY, None)
        url_state.set_state(VERSION_KEY, url_state.get_state(VERSION_KEY, 0) + 1)
        st.rerun()


# ---- fields ---------------------------------------------------------------------------------------------------------


def _ask_span(
    dataset: Dataset, edited: Note | None, period: TimeRange | None, key: str
) -> tuple[datetime | None, datetime | None]:
    """Ask for the first and the last moment: those of the edited note, else of a custom period, else the last time."""
    if edited is not None:
        start, end = edited.start, None if edited.end == edited.start else edited.end
    elif period is not None and period.label is None:
        last = period.end - pd.Timedelta(days=1) if has_whole_days(dataset) else period.end
        start, end = period.start.to_pydatetime(), max(last, period.start).to_pydatetime()
    else:
        start, end = _find_last_time(dataset, period), None
    left, right = st.columns(2)
    if has_whole_days(dataset):
        first_day = left.date_input(_("Day"), start.date(), format=get_date_format(), key=f"note-start-{key}")
        last_day = right.date_input(
            _("Last day, if it lasts longer"),
            None if end is None else end.date(),
            format=get_date_format(),
            key=f"note-end-{key}",
        )
        return _to_time(first_day), _to_time(last_day)
    first = left.datetime_input(_("Moment"), start, format=get_date_format(), step=60, key=f"note-start-{key}")
    final = right.datetime_input(
        _("End, if it lasts longer"), end, format=get_date_format(), step=60, key=f"note-end-{key}"
    )
    return first, final


def _find_last_time(dataset: Dataset, period: TimeRange | None) -> datetime:
    """Return the last time of the data, of the period if the data have any in it."""
    times = pd.DatetimeIndex(dataset.time)
    inside = times if period is None else times[(times >= period.start) & (times < period.end)]
    return (inside if len(inside) else times).max().to_pydatetime()


def _to_time(day: object) -> datetime | None:
    return datetime.combine(day, time()) if isinstance(day, date) else None


def _ask_entity(dataset: Dataset, edited: Note | None, key: str) -> str:
    """Ask for the entity; "" for all."""
    entities = dataset.entities
    if len(entities) == 1:
        return ""
    default = entities.index(edited.entity) if edited and edited.entity in entities else None
    return st.selectbox(_("Entity"), entities, default, placeholder=_("All entities"), key=f"note-entity-{key}") or ""
