"""The JSON door: routes of the launcher with which other programs read watches and incidents.

It answers to GET with a token of the settings, and never to a cookie. It changes nothing.
"""

import json
import re
from collections import Counter
from collections.abc import Callable
from typing import TypeVar

from anyio import CapacityLimiter, to_thread
from pydantic import BaseModel, ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from core.errors import InputError, NotFoundError, OptionError, ServiceUnavailableError, VigieError
from core.messages import N_
from core.settings import split_tokens
from core.watches.incident import ID_PATTERN
from core.workspace import Workspace
from pages.components import cache
from pages.watch.token_check import WrongTokens, has_token

FOLDER = "/api/v1"
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
READING_METHODS = ("GET", "HEAD")
MAX_CONCURRENT_ANSWERS = 4
MAX_SHOWN_CHARS = 100
STATUS_BY_ERROR: dict[type[VigieError], int] = {InputError: 400, NotFoundError: 404, ServiceUnavailableError: 503}
T = TypeVar("T", bound=BaseModel)


# ---- answers as JSON ------------------------------------------------------------------------------------------------


def list_incidents(request: Request, workspace: Workspace) -> str:
    """Return the incidents that the parameters choose, the worst first."""
    from pages.watch import answers  # loads the database library, which only a watch needs

    return answers.read_incidents(_parse_parameters(request, answers.IncidentQuery), workspace).model_dump_json()


def load_incident(request: Request, workspace: Workspace) -> str:
    """Return one incident. Raises NotFoundError for an id that is not stored."""
    incident_id = request.path_params["id"]
    if not re.fullmatch(ID_PATTERN, incident_id):
        raise NotFoundError(N_("The incident {id} does not exist."), id=incident_id[:MAX_SHOWN_CHARS])
    return workspace.watches.incidents.load_incident(incident_id).spell_events_out().model_dump_json()


def list_watches(request: Request, workspace: Workspace) -> str:
    """Return all watches with their last ticks."""
    from pages.watch import answers

    return answers.read_watches(workspace).model_dump_json()


def describe_door(request: Request, workspace: Workspace) -> str:
    """Return the description of all addresses, as OpenAPI."""
    from pages.watch.openapi import build_openapi

    return json.dumps(build_openapi())


def refuse_address(request: Request, workspace: Workspace) -> str:
    """Raise NotFoundError for an address without an answer, for which Streamlit would return its page."""
    raise NotFoundError(N_("There is nothing at this address."))


def _parse_parameters(request: Request, model: type[T]) -> T:
    """Return the parameters of the address. Raises OptionError for one that is unknown, repeated or not accepted."""
    counts = Counter(name for name, _ in request.query_params.multi_items())
    repeated = [name for name, count in counts.items() if count > 1]
    if repeated:
        raise OptionError(N_("The parameter {name} is given twice."), name=repeated[0][:MAX_SHOWN_CHARS])
    try:
        return model.model_validate(dict(request.query_params))
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        name, value = str(fault["loc"][0]), str(fault["input"])
        if fault["type"] == "extra_forbidden":
            accepted = ", ".join(model.model_fields)
            raise OptionError(
                N_("The parameter {name} is unknown. Accepted: {accepted}."),
                name=name[:MAX_SHOWN_CHARS],
                accepted=accepted,
            ) from None
        raise OptionError(
            N_("{name} = {value!r} is not accepted ({reason})."),
            name=name,
            value=value[:MAX_SHOWN_CHARS],
            reason=fault["msg"],
        ) from None


# ---- access ---------------------------------------------------------------------------------------------------------


def _build_route(path: str, answer: Callable[[Request, Workspace], str]) -> Route:
    async def endpoint(request: Request) -> Response:
        refusal = _find_refusal(request)
        if refusal is not None:
            return refusal
        return await to_thread.run_sync(_answer_request, request, answer, limiter=_answer_limiter)

    return Route(path, endpoint, methods=METHODS)  # all methods: Streamlit answers any other with its page


def _find_refusal(request: Request) -> Response | None:
    """Return the answer to a request that is refused before any work; None for one with a right token."""
    tokens = split_tokens(cache.get_workspace().settings.vigie_api_tokens)
    if not tokens:
        return _build_refusal(404, "VIGIE_API_TOKENS names no token, so nothing is read here.")
    if not has_token(request.headers, tokens):
        seconds = wrong_tokens.record(request.client.host if request.client else "")
        if seconds:
            return _build_refusal(429, "Too many wrong tokens. Try again later.", **{"Retry-After": str(seconds)})
        text = "The header Authorization must hold Bearer and a token of VIGIE_API_TOKENS."
        return _build_refusal(401, text, **{"WWW-Authenticate": "Bearer"})
    if request.method not in READING_METHODS:
        return _build_refusal(405, "Only GET and HEAD are accepted.", Allow=", ".join(READING_METHODS))
    return None


def _answer_request(request: Request, answer: Callable[[Request, Workspace], str]) -> Response:
    workspace = cache.get_workspace()
    try:
        return _build_response(200, answer(request, workspace))
    except VigieError as error:
        status = next((status for kind, status in STATUS_BY_ERROR.items() if isinstance(error, kind)), 500)
        return _build_refusal(status, workspace.redact(str(error)))


def _build_refusal(status: int, problem: str, **headers: str) -> Response:
    return _build_response(status, json.dumps({"error": problem}), **headers)


def _build_response(status: int, content: str, **headers: str) -> Response:
    return Response(content, status, {"Cache-Control": "no-store", **headers}, "application/json")


_answer_limiter = CapacityLimiter(MAX_CONCURRENT_ANSWERS)
wrong_tokens = WrongTokens()

ROUTES = [
    _build_route(f"{FOLDER}/incidents", list_incidents),
    _build_route(f"{FOLDER}/incidents/{{id}}", load_incident),
    _build_route(f"{FOLDER}/watches", list_watches),
    _build_route(f"{FOLDER}/openapi.json", describe_door),
    _build_route("/api", refuse_address),
    _build_route("/api/{rest:path}", refuse_address),
]
