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

from core.accounts import Session
from core.actor import Actor
from core.errors import AccessDeniedError, InputError, ServiceUnavailableError, VigieError
from core.messages import N_
from core.runs.tracked_run import recorded
from pages.account import html_forms
from pages.components import cache
from pages.components.auth import SESSION_COOKIE, sign_in_required

LARGEST = 8 * 1024  # bytes
LONGEST_ADDRESS = 2000
AT_ONCE = 4  # a password check takes tens of megabytes and one processor core
FORM = "application/x-www-form-urlencoded"
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
DEFAULT_PORT = {"http": 80, "https": 443}
APPLICATION = "Vigie sign-in"


@dataclass(frozen=True)
class Visit:
    """A received form: its fields, the session token or "", the address of the client, and whether it came by https."""

    form: Mapping[str, str]
    token: str
    address: str
    secure: bool


# ---- actions --------------------------------------------------------------------------------------------------------


def sign_in(visit: Visit) -> Response:
    """Start a new session, and end the session of the request, if any."""
    name = visit.form.get("user", "")
    try:
        with recorded("sign_in", _known(name), cache.get_workspace()):
            token = cache.get_workspace().accounts.sign_in(name, visit.form.get("password", ""), visit.address)
        return _welcome(visit, token)
    except VigieError as error:
        return _back(visit, error)


def first(visit: Visit) -> Response:
    """Create the first administrator, if the setup token is correct, and sign them in."""
    name, password = visit.form.get("user", ""), visit.form.get("password", "")
    try:
        with recorded("first_administrator", Actor("anonymous", APPLICATION), cache.get_workspace()):
            cache.get_workspace().setup_token.check(visit.form.get("token", ""))
            if password != visit.form.get("again"):
                raise InputError(N_("The two passwords are not the same."))
            cache.get_workspace().accounts.first_administrator(name, password)
            cache.get_workspace().setup_token.use_up()
        return sign_in(visit)
    except VigieError as error:
        return _back(visit, error, "not-made")


def sign_out(visit: Visit) -> Response:
    """End the session of the cookie."""
    return _out(visit, lambda found: cache.get_workspace().accounts.sign_out(visit.token))


def sign_out_everywhere(visit: Visit) -> Response:
    """End all sessions of the user."""
    return _out(
        visit, lambda found: cache.get_workspace().accounts.sign_out_everywhere(found.user.name), everywhere=True
    )


def _out(visit: Visit, end: Callable[[Session], None], **how: bool) -> Response:
    """End sessions with `end`, and delete the cookie.

    The cookie is deleted even if there is no session or the accounts do not answer.
    """
    leaving: Response = RedirectResponse("/", 303)
    try:
        found = cache.get_workspace().accounts.session(visit.token) if visit.token else None
        if found is not None:
            if not hmac.compare_digest(visit.form.get("csrf", "").encode(), found.csrf.encode()):
                return PlainTextResponse("This form is not of this session. Reload the page.", 403)
            with recorded("sign_out", Actor(found.user.name, APPLICATION), cache.get_workspace(), **how):
                end(found)
    except ServiceUnavailableError as error:
        leaving = _back(visit, error)
    leaving.delete_cookie(SESSION_COOKIE, path="/", secure=visit.secure, httponly=True, samesite="lax")
    return leaving


def _known(name: str) -> Actor:
    """Return the actor of a sign-in attempt: an existing user, else "anonymous".

    A typed name without an account is stored nowhere.
    """
    try:
        found = cache.get_workspace().accounts.user(name)
    except VigieError:
        found = None
    return Actor(found.name if found else "anonymous", APPLICATION)


def _welcome(visit: Visit, token: str) -> Response:
    if visit.token:
        cache.get_workspace().accounts.sign_out(visit.token)
    found = cache.get_workspace().accounts.session(token)
    seconds = int((found.expires - datetime.now(UTC)).total_seconds()) if found else 0
    response = RedirectResponse(_with(same_site(visit.form.get("next", "/"))), 303)
    response.set_cookie(
        SESSION_COOKIE, token, max_age=seconds, path="/", secure=visit.secure, httponly=True, samesite="lax"
    )
    return response


# ---- redirects ------------------------------------------------------------------------------------------------------


def same_site(target: str) -> str:
    """Return `target` if it is a path of this site, else "/".

    Browsers read a backslash as / and skip tabs and line breaks, so these are rejected.
    """
    plain = target.isascii() and target.isprintable() and " " not in target and "\\" not in target
    inside = target.startswith("/") and not target.startswith("//") and len(target) <= LONGEST_ADDRESS
    return target if plain and inside else "/"


def _back(visit: Visit, error: VigieError, word: str = "refused") -> Response:
    """Redirect to the page of the form, with the outcome and the number of a flash message in its query."""
    word = "unreachable" if isinstance(error, ServiceUnavailableError) else word
    locked = isinstance(error, AccessDeniedError) and "minutes" in error.text.values
    said = {"sign-in": "locked" if locked else word, "note": cache.get_workspace().flash.put(error.text)}
    return RedirectResponse(_with(same_site(visit.form.get("next", "/")), **said), 303)


def _with(target: str, **said: str) -> str:
    """Return `target` with `said` in its query, instead of the message of an earlier attempt."""
    parts = urlsplit(target)
    query = [pair for pair in parse_qsl(parts.query, keep_blank_values=True) if pair[0] not in html_forms.SAID]
    return urlunsplit(("", "", parts.path, urlencode([*query, *said.items()]), ""))


# ---- access check ---------------------------------------------------------------------------------------------------


def _route(path: str, work: Callable[[Visit], Response]) -> Route:
    async def endpoint(request: Request) -> Response:
        refusal = _refusal(request)
        if refusal is not None:
            return refusal
        try:
            body = await _body(request)
        except ClientDisconnect:
            return Response(status_code=400)
        if body is None:
            return PlainTextResponse(f"A form has {LARGEST} bytes at most.", 413)
        answer = await to_thread.run_sync(work, _visit(request, body), limiter=_limiter)
        answer.headers["Cache-Control"] = "no-store"
        return answer

    return Route(path, endpoint, methods=METHODS)  # all methods: Streamlit answers any other with its page


def _refusal(request: Request) -> Response | None:
    """Return the response to a request that must not be processed; None for an acceptable request."""
    if not sign_in_required():
        return PlainTextResponse("Nobody has to sign in here.", 404)
    if request.method != "POST":
        return PlainTextResponse("Only forms are answered here.", 405, {"Allow": "POST"})
    if not _from_here(request):
        return PlainTextResponse(
            "This form was not sent by a page of this site; a proxy has to pass the Host it was asked for.", 403
        )
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM:
        return PlainTextResponse(f"A form is sent as {FORM}.", 415)
    return None


def _from_here(request: Request) -> bool:
    """Tell whether the form was sent by a page of the requested host.

    Browsers name the page in the header Origin, some only in Referer.
    """
    said = request.headers.get("origin") or request.headers.get("referer") or ""
    try:
        page, asked = urlsplit(said), urlsplit(f"//{request.headers.get('host', '')}")
        usual = DEFAULT_PORT.get(page.scheme)
        return bool(page.hostname and usual) and (page.hostname, page.port or usual) == (
            asked.hostname,
            asked.port or usual,
        )
    except ValueError:
        return False


async def _body(request: Request) -> bytes | None:
    """Return the body; None as soon as it is too large, whatever its header says."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > LARGEST:
            return None
    return body


def _visit(request: Request, body: bytes) -> Visit:
    try:
        form = dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=20))
    except ValueError:
        form = {}
    https = "https" in (request.url.scheme, request.headers.get("x-forwarded-proto", "").partition(",")[0].strip())
    return Visit(form, request.cookies.get(SESSION_COOKIE, ""), request.client.host if request.client else "", https)


_limiter = CapacityLimiter(AT_ONCE)

ROUTES = [
    _route(html_forms.SIGN_IN, sign_in),
    _route(html_forms.SIGN_OUT, sign_out),
    _route(html_forms.EVERYWHERE, sign_out_everywhere),
    _route(html_forms.FIRST, first),
]
