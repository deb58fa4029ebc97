"""Files of upload fields: the gate has written them to disk, and pages pass their paths on."""

from collections.abc import Sequence
from pathlib import Path

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx
from streamlit.runtime.uploaded_file_manager import UploadedFile

from core.errors import InputError, NotFoundError
from core.messages import N_
from core.storage.staged_uploads import UploadLimits
from pages.components import cache

STORED_CONTENT = b"on disk"
"""Content of a file for Streamlit; the gate has stored the true one."""
MEGABYTE = 1024 * 1024  # bytes


def locate_files(uploads: Sequence[UploadedFile]) -> list[tuple[Path, str]]:
    """Return the path and the name of each upload. Raises NotFoundError for one that was removed meanwhile."""
    return [(_locate_file(upload), upload.name) for upload in uploads]


def store_files(uploads: Sequence[UploadedFile]) -> str:
    """Store uploads for their reading, once, and return their common digest.

    Raises NotFoundError for one that was removed meanwhile, and InputError where the disk does not take it.
    """
    return _store_once(tuple(upload.file_id for upload in uploads), uploads)


@st.cache_resource(max_entries=100, show_spinner=False)  # the gate imports this before Streamlit has room for data
def _store_once(file_ids: tuple[str, ...], _uploads: Sequence[UploadedFile]) -> str:
    try:
        return cache.get_workspace().uploads.save(locate_files(_uploads))
    except OSError as error:
        raise InputError(
            N_("The files could not be stored ({reason}). Free some space on the disk, then load them again."),
            reason=error.strerror or str(error),
        ) from error


def remove_files(file_ids: Sequence[str]) -> None:
    """Delete uploads of this tab from the disk."""
    context = get_script_run_ctx()
    for file_id in file_ids:
        cache.get_workspace().staged_uploads.remove(context.session_id if context else "", file_id)


def read_limits() -> UploadLimits:
    """Return the limits of the settings."""
    settings = cache.get_workspace().settings
    return UploadLimits(settings.vigie_max_uploads_per_user_mb * MEGABYTE, settings.vigie_max_uploads_mb * MEGABYTE)


def _locate_file(upload: UploadedFile) -> Path:
    staged_uploads, context = cache.get_workspace().staged_uploads, get_script_run_ctx()
    session = context.session_id if context else ""
    path = staged_uploads.find(session, upload.file_id)
    if path is not None:
        return path
    if upload.getbuffer() == STORED_CONTENT:
        raise NotFoundError(N_("The uploaded files are no longer stored here. Load them again."))
    # no gate stands before the pages, as in Streamlit's test harness: the content is in memory
    staged_upload = staged_uploads.reserve(session, upload.file_id, "", upload.size, read_limits())
    staged_upload.write(upload.getbuffer())
    staged_upload.finish()
    return staged_upload.target
