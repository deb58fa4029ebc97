"""Limits of the uploads that the server keeps in memory, per user and in all, and their removal.

Streamlit keeps an upload until the session of its tab is collected, which may be hours after the tab was closed.
"""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from streamlit.runtime import Runtime
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager

from core.errors import ServiceUnavailableError
from pages.components import cache
from pages.components.auth import is_sign_in_required
from pages.gate import identity
from pages.gate.endpoints import USER_KEY, get_path

UPLOAD_FOLDER = "/_stcore/upload_file/"
MEGABYTE = 1024 * 1024  # bytes
REMOVAL_INTERVAL_S = 10.0


@dataclass(frozen=True)
class Upload:
    """An upload: the session of its tab, its id there, its user ("" where nobody signs in), and their cookies."""

    session_id: str
    file_id: str
    user: str
    cookies: Mapping[str, str]


class UploadLimit:
    """Middleware that answers 413 to an upload above the limits, and 403 to one for the tab of another user."""

    def __init__(self, app: ASGIApp, ledger: "UploadLedger") -> None:
        self.app, self.ledger = app, ledger

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        parts = get_path(scope).removeprefix(UPLOAD_FOLDER).split("/") if scope["type"] == "http" else []
        if len(parts) != 2 or not get_path(scope).startswith(UPLOAD_FOLDER):
            await self.app(scope, receive, send)
            return
        upload = Upload(parts[0], parts[1], scope.get(USER_KEY, ""), identity.read_cookies(scope))
        if is_sign_in_required() and not _owns_tab(upload):
            await PlainTextResponse("This upload field belongs to another session.", 403)(scope, receive, send)
        elif scope["method"] == "PUT":
            await self._pass_upload(upload, scope, receive, send)
        else:
            await self.app(scope, receive, send)

    async def _pass_upload(self, upload: Upload, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass an upload on if there is room for it. Its size is known in advance: browsers send Content-Length."""
        length = Headers(scope=scope).get("content-length", "")
        if not length.isdecimal():
            await PlainTextResponse("The header Content-Length is missing.", 411)(scope, receive, send)
            return
        if not self.ledger.has_room(upload.user, int(length)):
            await PlainTextResponse("There is no room for more uploads.", 413)(scope, receive, send)
            return

        async def send_answer(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] < 300:
                self.ledger.add(upload)
            await send(message)

        with self.ledger.reserve(upload.user, int(length)):
            await self.app(scope, receive, send_answer)


def _owns_tab(upload: Upload) -> bool:
    """Tell whether the tab was opened with the sign-in of the upload, or is not open."""
    client = Runtime.instance().get_client(upload.session_id)
    context = client.client_context if client else None
    return context is None or identity.is_same_sign_in(context.cookies, upload.cookies)


class UploadLedger:
    """The uploads in memory and those that are on their way. All methods are for the thread of the server."""

    def __init__(self) -> None:
        self._uploads: dict[tuple[str, str], Upload] = {}
        self._expected: list[tuple[str, int]] = []

    def add(self, upload: Upload) -> None:
        """Add an upload that has arrived."""
        self._uploads[upload.session_id, upload.file_id] = upload

    @contextmanager
    def reserve(self, user: str, size: int) -> Iterator[None]:
        """Count `size` bytes of `user` while they arrive."""
        self._expected.append((user, size))
        try:
            yield
        finally:
            self._expected.remove((user, size))

    def has_room(self, user: str, size: int) -> bool:
        """Tell whether `size` more bytes are within the limits; the one per user holds where users sign in."""
        settings, used = cache.get_workspace().settings, [*self._expected, *self._measure_uploads()]
        total = size + sum(used_size for _owner, used_size in used)
        own = size + sum(used_size for owner, used_size in used if owner == user)
        is_within_own = not user or own <= settings.vigie_max_uploads_per_user_mb * MEGABYTE
        return is_within_own and total <= settings.vigie_max_uploads_mb * MEGABYTE

    def _measure_uploads(self) -> Iterator[tuple[str, int]]:
        """Yield the user and the size in bytes of each upload in memory, and forget those that are gone."""
        storage = _get_storage().file_storage
        self._uploads = {key: upload for key, upload in self._uploads.items() if key[1] in storage.get(key[0], {})}
        for (session_id, file_id), upload in self._uploads.items():
            yield upload.user, len(storage[session_id][file_id].data)

    async def remove_ended(self) -> None:
        """Remove the uploads of tabs that are closed for good, and of users who are signed out."""
        for session_id in list(_get_storage().file_storage):
            cookies = next((upload.cookies for key, upload in self._uploads.items() if key[0] == session_id), {})
            if Runtime.instance()._session_mgr.get_session_info(session_id) is None or await _is_signed_out(cookies):
                _get_storage().remove_session_files(session_id)

    async def remove_periodically(self) -> None:
        """Remove ended uploads again and again, until the task is cancelled."""
        while True:
            await asyncio.sleep(REMOVAL_INTERVAL_S)
            await self.remove_ended()


async def _is_signed_out(cookies: Mapping[str, str]) -> bool:
    try:
        return is_sign_in_required() and await identity.find_user(cookies) is None
    except ServiceUnavailableError:
        return False


def _get_storage() -> MemoryUploadedFileManager:
    storage = Runtime.instance().uploaded_file_mgr
    assert isinstance(storage, MemoryUploadedFileManager)
    return storage
