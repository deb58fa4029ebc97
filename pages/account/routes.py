"""Routes of the launcher: sign in, sign out, create the first administrator.

Each route takes a form, and answers with a cookie and a redirect.
"""

import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from anyio import CapacityLimiter, to_thread
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from core.accounts import DEVICE_LIFETIME, Session
from core.actor import Actor
from core.errors import AccessDeniedError, InputError, ServiceUnavailableError, VigieError
from core.messages import N_
from core.runs.tracked_run import record_event
from pages.account import html_forms
from pages.components import cache
from pages.components.auth import SESSION_COOKIE, is_sign_in_required
from pages.gate.hosts import is_same_origin

MAX_FORM_BYTES = 8 * 1024  # bytes
MAX_PATH_CHARACTERS = 2000
MAX_CONCURRENT_FORMS = 4  # a password check takes tens of megabytes and one processor core
FORM_TYPE = "application/x-www-form-urlencoded"
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
APPLICATION = "Vigie sign-in"
DEVICE_COOKIE = "vigie_device"
WAITING_TIMES = ("minutes", "seconds")


@dataclass(frozen=True)
class FormRequest:
    """A received form: its fields, the tokens of session and device or "", the address, and whether by https."""

    form: Mapping[str, str]
    token: str
    device: str
    address: str
    is_https: bool


# ---- actions --------------------------------------------------------------------------------------------------------


def sign_in(form_request: FormRequest) -> Response:
    """Start a new session, and end the session of the request, if any."""
    name = form_request.form.get("user", "")
    try:
        with record_event("sign_in", _find_actor(name), cache.get_workspace()):
            token = cache.get_workspace().accounts.sign_in(
                name, form_request.form.get("password", ""), form_request.address, form_request.device
            )
        return _start_session(form_request, token)
    except VigieError as error:
        return _redirect_back(form_request, error)


def create_first_admin(form_request: FormRequest) -> Response:
    """Create the first administrator, if the setup token is correct, and sign them in."""
    name, password = form_request.form.get("user", ""), form_request.form.get("password", "")
    try:
        with record_event("first_administrator", Actor("anonymous", APPLICATION), cache.get_workspace()):
            cache.get_workspace().setup_token.check(form_request.form.get("token", ""))
            if password != form_request.form.get("again"):
                raise InputError(N_("The two passwords do not match."))
            cache.get_workspace().accounts.add_first_administrator(name, password)
            cache.get_workspace().setup_token.invalidate()
        return sign_in(form_request)
    except VigieError as error:
        return _redirect_back(form_request, error, "not-made")


def sign_out(form_request: FormRequest) -> Response:
    """End the session of the cookie."""
    return _end_sessions(form_request, lambda session: cache.get_workspace().accounts.sign_out(form_request.token))


def sign_out_everywhere(form_request: FormRequest) -> Response:
    """End all sessions of the user."""
    return _end_sessions(
        form_request,
        lambda session: cache.get_workspace().accounts.sign_out_everywhere(session.user.name),
        everywhere=True,
    )


def _end_sessions(form_request: FormRequest, end: Callable[[Session], None], **details: bool) -> Response:
    """End sessions with `end`, and delete the cookie.

    The cookie is deleted even if there is no session or the accounts do not answer.
    """
    response: Response = RedirectResponse("/", 303)
    try:
        session = cache.get_workspace().accounts.find_session(form_request.token) if form_request.token else None
        if session is not None:
            if not hmac.compare_digest(form_request.form.get("csrf", "").encode(), session.csrf.encode()):
                return PlainTextResponse("The form belongs to another session. Reload the page.", 403)
            with record_event("sign_out", Actor(session.user.name, APPLICATION), cache.get_workspace(), **details):
                end(session)
    except ServiceUnavailableError as error:
        response = _redirect_back(form_request, error)
    response.delete_cookie(SESSION_COOKIE, path="/", secure=form_request.is_https, httponly=True, samesite="lax")
    return response


def _find_actor(name: str) -> Actor:
    """Return the actor of a sign-in attempt: an existing user, else "anonymous".

    A typed name without an account is stored nowhere.
    """
    try:
        user = cache.get_workspace().accounts.find_user(name)
    except VigieError:
        user = None
    return Actor(user.name if user else "anonymous", APPLICATION)


def _start_session(form_request: FormRequest, token: str) -> Response:
    accounts = cache.get_workspace().accounts
    if form_request.token:
        accounts.sign_out(form_request.token)
    session = accounts.find_session(token)
    seconds = int((session.expires - datetime.now(UTC)).total_seconds()) if session else 0
    response = RedirectResponse(_set_message_params(sanitise_target(form_request.form.get("next", "/"))), 303)
    response.set_cookie(
        SESSION_COOKIE, token, max_age=seconds, path="/", secure=form_request.is_https, httponly=True, samesite="lax"
    )
    response.set_cookie(
        DEVICE_COOKIE,
        accounts.remember_device(token, form_request.device),
        max_age=int(DEVICE_LIFETIME.total_seconds()),
        path=str(html_forms.ROUTE_FOLDER),
        secure=form_request.is_https,
        httponly=True,
        samesite="strict",
    )
    return response


# ---- redirects ------------------------------------------------------------------------------------------------------


def sanitise_target(target: str) -> str:
    """Return `target` if it is a path of this site, else "/".

    Browsers read a backslash as / and skip tabs and line breaks, so these are rejected.
    """
    is_plain = target.isascii() and target.isprintable() and " " not in target and "\\" not in target
    is_local = target.startswith("/") and not target.startswith("//") and len(target) <= MAX_PATH_CHARACTERS
    return target if is_plain and is_local else "/"


def _redirect_back(form_request: FormRequest, error: VigieError, outcome: str = "refused") -> Response:
    """Redirect to the page of the form, with the outcome and the number of a flash message in its query."""
    outcome = "unreachable" if isinstance(error, ServiceUnavailableError) else outcome
    is_locked = isinstance(error, AccessDeniedError) and not error.message.values.keys().isdisjoint(WAITING_TIMES)
    message_params = {
        "sign-in": "locked" if is_locked else outcome,
        "note": cache.get_workspace().flash.put(error.message),
    }
    return RedirectResponse(
        _set_message_params(sanitise_target(form_request.form.get("next", "/")), **message_params), 303
    )


def _set_message_params(target: str, **message_params: str) -> str:
    """Return `target` with `said` in its query, instead of the message of an earlier attempt."""
    parts = urlsplit(target)
    query = [
        pair for pair in parse_qsl(parts.query, keep_blank_values=True) if pair[0] not in html_forms.MESSAGE_PARAMS
    ]
    return urlunsplit(("", "", parts.path, urlencode([*query, *message_params.items()]), ""))


# ---- access check ---------------------------------------------------------------------------------------------------


def _build_route(path: str, handler: Callable[[FormRequest], Response]) -> Route:
    async def endpoint(request: Request) -> Response:
        rejection = _find_rejection(request)
        if rejection is not None:
            return rejection
        try:
            body = await _read_body(request)
        except ClientDisconnect:
            return Response(status_code=400)
        if body is None:
            return PlainTextResponse(f"The form is too large. At most {MAX_FORM_BYTES} bytes are accepted.", 413)
        response = await to_thread.run_sync(handler, _parse_form(request, body), limiter=_form_limiter)
        response.headers["Cache-Control"] = "no-store"
        return response

    return Route(path, endpoint, methods=METHODS)  # all methods: Streamlit answers any other with its page


def _find_rejection(request: Request) -> Response | None:
    """Return the response to a request that must not be processed; None for an acceptable request."""
    if not is_sign_in_required():
        return PlainTextResponse("Sign-in is not required on this server.", 404)
    if request.method != "POST":
        return PlainTextResponse("Only POST requests of forms are accepted.", 405, {"Allow": "POST"})
    sender = request.headers.get("origin") or request.headers.get("referer") or ""  # some browsers send Referer only
    if not is_same_origin(sender, request.headers.get("host", "")):
        return PlainTextResponse(
            "The form was not sent by a page of this site. A proxy must pass the header Host unchanged.", 403
        )
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM_TYPE:
        return PlainTextResponse(f"The content type of a form is {FORM_TYPE}.", 415)
    return None


async def _read_body(request: Request) -> bytes | None:
    """Return the body; None as soon as it is too large, whatever its header says."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_FORM_BYTES:
            return None
    return body


def _parse_form(request: Request, body: bytes) -> FormRequest:
    try:
        form = dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=20))
    except ValueError:
        form = {}
    is_https = "https" in (request.url.scheme, request.headers.get("x-forwarded-proto", "").partition(",")[0].strip())
    token, device = (request.cookies.get(name, "") for name in (SESSION_COOKIE, DEVICE_COOKIE))
    return FormRequest(form, token, device, request.client.host if request.client else "", is_https)


_form_limiter = CapacityLimiter(MAX_CONCURRENT_FORMS)

ROUTES = [
    _build_route(html_forms.SIGN_IN, sign_in),
    _build_route(html_forms.SIGN_OUT, sign_out),
    _build_route(html_forms.SIGN_OUT_EVERYWHERE, sign_out_everywhere),
    _build_route(html_forms.FIRST_ADMINISTRATOR, create_first_admin),
]
