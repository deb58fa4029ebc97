"""How the services are that this product uses: each asked what it would be asked for in earnest, all side by side."""

import os
import shutil
import time
import urllib.error
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from core.circuit_breaker import Patience
from core.errors import ServiceUnavailableError, VigieError
from core.messages import N_, Text
from core.redaction import without_secrets
from core.settings import Settings, settings
from core.workspace import Workspace
from mlflow_utils import health

State = Literal["works", "not_set", "short", "failing"]
"""It works; no service is set, and files of the data folder take its place; it works, but something is short; it does
not answer, or refuses.
"""

PATIENT = 1.5  # seconds
ROOM, SHARE = 1 << 30, 0.02  # bytes, and part of the disk, below which room is short


@dataclass(frozen=True)
class Service:
    """One service, as it is now.

    place    where it is, without secrets
    seconds  until it answered, or was given up
    problem  what is wrong, or short; None where nothing is
    earlier  what went wrong before, where it may still matter
    backlog  how much waits to be sent there
    refused  how much it will never take
    """

    name: str
    state: State
    place: str = ""
    version: str = ""
    seconds: float = 0.0
    problem: Text | None = None
    earlier: str = ""
    backlog: int = 0
    refused: int = 0


@dataclass(frozen=True)
class Probe:
    """How to ask one service: `ask` returns its version, or what is short; it raises what is wrong."""

    name: str
    is_set: bool
    place: str
    ask: Callable[[], str | Text]
    backlog: Callable[[], int] = lambda: 0
    earlier: Callable[[], str] = lambda: ""
    refused: Callable[[], int] = lambda: 0


Workers = Callable[[Workspace], Collection[object]]
"""The living workers of a workplace; jobs know analyses, and not the other way round."""


def looked_at(workspace: Workspace, workers: Workers) -> list[Service]:
    """Every service. It takes less than two seconds, however many of them hang."""
    probes = _probes(workspace, settings(), workers)
    with ThreadPoolExecutor(len(probes), thread_name_prefix="health") as askers:
        return list(askers.map(_service, probes))


def fails(services: Collection[Service]) -> bool:
    """Does anything that is set not work?"""
    return any(service.state == "failing" for service in services)


# ---- asking ---------------------------------------------------------------------------------------------------------


def _service(probe: Probe) -> Service:
    began = time.monotonic()
    state, found, problem = _answer(probe)
    return Service(
        probe.name,
        state,
        without_secrets(probe.place, settings()),
        found,
        time.monotonic() - began,
        problem,
        without_secrets(probe.earlier(), settings()),
        probe.backlog(),
        probe.refused(),
    )


def _answer(probe: Probe) -> tuple[State, str, Text | None]:
    try:
        found = Patience(probe.name, PATIENT, down_for=0).ask(probe.ask)
    except ServiceUnavailableError as silent:
        return "failing", "", _problem(silent)
    return ("short", "", found) if isinstance(found, Text) else ("works" if probe.is_set else "not_set", found, None)


def _problem(silent: ServiceUnavailableError) -> Text:
    """The reason in a sentence, where there is one that says what to do."""
    cause = silent.__cause__
    if isinstance(cause, VigieError):
        return cause.text
    if isinstance(cause, urllib.error.HTTPError) and cause.code in (401, 403):
        return Text(
            N_(
                "It refuses our name or password, or this host ({code}): check "
                "MLFLOW_TRACKING_USERNAME, MLFLOW_TRACKING_PASSWORD"
                " and the server's --allowed-hosts."
            ),
            {"code": str(cause.code)},
        )
    reason = getattr(cause, "reason", cause) or f"{PATIENT} s"  # an address that failed keeps what is behind it
    return Text(N_("No answer: {reason}."), {"reason": without_secrets(str(reason), settings()).rstrip(".")})


def _probes(workspace: Workspace, given: Settings, workers: Workers) -> list[Probe]:
    return [
        _mlflow(workspace),
        _artifacts(workspace),
        _accounts(workspace, given),
        _feedback(workspace, given),
        _events(workspace, given),
        _jobs(workspace, given, workers),
        _disk(workspace),
    ]


# ---- what each is asked ---------------------------------------------------------------------------------------------


def _mlflow(workspace: Workspace) -> Probe:
    tracking = workspace.tracking
    return Probe(
        "MLflow",
        tracking.uri.startswith("http"),
        tracking.uri,
        lambda: health.server(tracking),
        lambda: len(tracking.spool.waiting()),
        lambda: tracking.last_error or tracking.spool.last_error(),
    )


def _artifacts(workspace: Workspace) -> Probe:
    place = workspace.tracking.artefacts_location or workspace.tracking.uri

    def ask() -> str:
        health.artifacts(workspace.tracking)
        return ""

    return Probe(N_("Artifacts"), urlsplit(place).scheme not in ("", "file"), place, ask)


def _accounts(workspace: Workspace, given: Settings) -> Probe:
    url, file = given.database_url.get_secret_value(), _data(workspace) / "accounts.db"

    def ask() -> str:
        from core.accounts import accounts

        return accounts().version() if url or file.exists() else ""  # where nobody signs in, nothing is made

    return Probe(N_("Accounts"), bool(url), url or str(file), ask)


def _feedback(workspace: Workspace, given: Settings) -> Probe:
    def ask() -> str:
        workspace.feedback.check()
        return ""

    return Probe(
        N_("Feedback"),
        bool(given.s3_bucket_name),
        workspace.feedback.place,
        ask,
        workspace.feedback.backlog,
        lambda: workspace.feedback.last_error,
    )


def _events(workspace: Workspace, given: Settings) -> Probe:
    stream = workspace.event_stream
    if stream is None:
        return Probe(N_("Events"), False, str(workspace.events.folder), lambda: _writable(workspace.events.folder))
    return Probe(
        N_("Events"),
        True,
        given.elastic_deployment_endpoint,
        stream.check,
        stream.backlog,
        lambda: stream.last_error,
        stream.refused,
    )


def _jobs(workspace: Workspace, given: Settings, workers: Workers) -> Probe:
    url = given.database_url.get_secret_value()

    def ask() -> str | Text:
        return (
            ""
            if workers(workspace)
            else Text(N_("No worker serves this data folder: slow work waits until one is started."))
        )

    return Probe(N_("Jobs"), bool(url), url or str(_data(workspace) / "jobs" / "jobs.db"), ask)


def _disk(workspace: Workspace) -> Probe:
    def ask() -> str | Text:
        room = shutil.disk_usage(_standing(_data(workspace)))
        if room.free < min(ROOM, SHARE * room.total):
            return Text(
                N_("Only {free} MB of {total} MB are free."), {"free": room.free >> 20, "total": room.total >> 20}
            )
        return _writable(_data(workspace))

    return Probe(N_("Data folder"), True, str(_data(workspace)), ask)


def _data(workspace: Workspace) -> Path:
    return workspace.datasets.folder.parent


def _standing(folder: Path) -> Path:
    """The folder, or the lowest one above it that exists."""
    return next(above for above in (folder, *folder.parents) if above.exists())


def _writable(folder: Path) -> str:
    if not os.access(_standing(folder), os.W_OK):
        raise ServiceUnavailableError(N_("{folder} cannot be written to."), folder=str(folder))
    return ""
