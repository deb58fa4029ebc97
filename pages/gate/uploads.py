"""Uploads go to disk, within limits per user and in all, and are removed when their tab has closed.

Streamlit would hold each file in memory. It gets the form of the browser with a few bytes in the place of the content.
"""

import asyncio
import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from anyio import to_thread
from python_multipart.exceptions import FormParserError
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from core.errors import ServiceUnavailableError
from core.storage.staged_uploads import NoRoomError, StagedUpload
from pages.components import cache
from pages.components.auth import is_sign_in_required
from pages.components.uploads import MEGABYTE, read_limits
from pages.gate import identity, streamlit_internals
from pages.gate.endpoints import USER_KEY, get_path
from pages.gate.upload_form import UploadForm

logger = logging.getLogger(__name__)

ID_PATTERN = re.compile(r"[\w-]{1,64}", re.ASCII)
CHUNK_BYTES = 1024 * 1024
FORM_BYTES = 16 * 1024  # of a form beside the content of its file, at most
REMOVAL_INTERVAL_S = 10.0


@dataclass(frozen=True)
class UploadRequest:
    """A request about an upload: session of the tab, id of the file there, user ("" where nobody signs in), cookies."""

    session: str
    file_id: str
    user: str
    cookies: Mapping[str, str]


class UploadIntake:
    """Middleware that stores uploads. It refuses those above the limits, and those for the tab of another user."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, an upload without its content; or refuse it."""
        path = get_path(scope) if scope["type"] == "http" else ""
        if not path.startswith(streamlit_internals.UPLOAD_FOLDER):
            await self.app(scope, receive, send)
            return
        request = _read_request(path, scope)
        refusal = PlainTextResponse("Not found.", 404) if request is None else _find_refusal(request, scope)
        if request is None or refusal is not None:
            await (refusal or self.app)(scope, receive, send)
        elif scope["method"] == "PUT":
            await self._take_upload(request, scope, receive, send)
        else:
            is_removal = scope["method"] == "DELETE"
            await self.app(scope, receive, _build_sender(request, lambda status: is_removal and status < 300, send))

    async def _take_upload(self, request: UploadRequest, scope: Scope, receive: Receive, send: Send) -> None:
        """Let Streamlit check the request; when it asks for the form, store the file and give it the short form."""
        short_form: Message | None = None

        async def receive_short_form() -> Message:
            nonlocal short_form
            if short_form is not None:
                return await receive()
            short_form = await _store_file(request, Headers(scope=scope), receive)
            return short_form

        try:
            await self.app(
                scope,
                receive_short_form,
                _build_sender(request, lambda status: status >= 300 and short_form is not None, send),
            )
        except ClientDisconnect:  # the browser has left: nobody waits for an answer
            return


def _read_request(path: str, scope: Scope) -> UploadRequest | None:
    """Return the request about an upload; None for ids that are no names of files."""
    ids = path.removeprefix(streamlit_internals.UPLOAD_FOLDER).split("/")
    if len(ids) != 2 or not all(map(ID_PATTERN.fullmatch, ids)):
        return None
    return UploadRequest(ids[0], ids[1], scope.get(USER_KEY, ""), identity.read_cookies(scope))


def _find_refusal(request: UploadRequest, scope: Scope) -> PlainTextResponse | None:
    """Return the answer to a request about the tab of another user, and to an upload that must not begin."""
    if is_sign_in_required() and not _owns_tab(request):
        return PlainTextResponse("This upload field belongs to another session.", 403)
    if scope["method"] != "PUT":
        return None
    length = Headers(scope=scope).get("content-length", "")  # browsers announce it
    limit_mb = cache.get_workspace().settings.vigie_max_upload_mb
    if not length.isdecimal():
        return PlainTextResponse("The header Content-Length is missing.", 411)
    if int(length) > limit_mb * MEGABYTE + FORM_BYTES:
        return PlainTextResponse(f"The file is larger than {limit_mb} MB.", 413)
    return None


def _build_sender(request: UploadRequest, is_removal: Callable[[int], bool], send: Send) -> Send:
    """Return a function that sends the answer, and removes the upload before an answer with such a status."""

    async def send_answer(message: Message) -> None:
        if message["type"] == "http.response.start" and is_removal(message["status"]):
            staged_uploads = cache.get_workspace().staged_uploads
            await to_thread.run_sync(staged_uploads.remove, request.session, request.file_id)
        await send(message)

    return send_answer


def _owns_tab(request: UploadRequest) -> bool:
    """Tell whether the tab was opened with the sign-in of the request, or is not open."""
    cookies = streamlit_internals.find_tab_cookies(request.session)
    return cookies is None or identity.is_same_sign_in(cookies, request.cookies)


async def _store_file(request: UploadRequest, headers: Headers, receive: Receive) -> Message:
    """Store the file of a form; return the message with the short form, or that of a browser that has left.

    Raises HTTPException for a form that cannot be read, and where there is no room.
    """
    reserve = partial(
        cache.get_workspace().staged_uploads.reserve,
        request.session,
        request.file_id,
        request.user,
        int(headers["content-length"]),
        read_limits(),
    )
    try:
        staged_upload = await to_thread.run_sync(reserve)
        try:
            return await _receive_form(staged_upload, headers.get("content-type", ""), receive)
        finally:
            staged_upload.discard()
    except NoRoomError as error:
        raise HTTPException(413, "There is no room for more uploads.") from error
    except FormParserError as error:
        raise HTTPException(400, f"The form cannot be read: {error}.") from error
    except FileNotFoundError as error:  # the folder of an ended session was removed
        raise HTTPException(410, "The session of this upload has ended.") from error
    except OSError as error:
        logger.warning("an upload could not be stored: %s", error)
        raise HTTPException(507, "The server cannot store the file. Its disk may be full.") from error


async def _receive_form(staged_upload: StagedUpload, content_type: str, receive: Receive) -> Message:
    form, chunk, is_last = UploadForm(content_type, staged_upload.write), bytearray(), False
    while not is_last:
        message = await receive()
        if message["type"] == "http.disconnect":
            return message
        chunk += message.get("body", b"")
        is_last = not message.get("more_body", False)
        if is_last or len(chunk) >= CHUNK_BYTES:
            await to_thread.run_sync(form.write, bytes(chunk))
            chunk.clear()
    form.finish()
    await to_thread.run_sync(staged_upload.finish)
    return {"type": "http.request", "body": form.build_short_form(), "more_body": False}


# ---- removal --------------------------------------------------------------------------------------------------------


async def remove_periodically() -> None:
    """Remove the uploads of ended sessions again and again, until the task is cancelled."""
    while True:
        await asyncio.sleep(REMOVAL_INTERVAL_S)
        await remove_ended_uploads()


async def remove_ended_uploads() -> None:
    """Remove the uploads of tabs that are closed for good, and of tabs whose user has signed out."""
    staged_uploads = cache.get_workspace().staged_uploads
    for session in await to_thread.run_sync(staged_uploads.list_sessions):
        if not streamlit_internals.is_session_alive(session) or await _is_signed_out(session):
            streamlit_internals.remove_uploads(session)
            await to_thread.run_sync(staged_uploads.remove, session)


async def _is_signed_out(session: str) -> bool:
    cookies = streamlit_internals.find_tab_cookies(session)
    try:
        return cookies is not None and is_sign_in_required() and await identity.find_user(cookies) is None
    except ServiceUnavailableError:
        return False
