"""Health checks: a realistic request to each service, all in parallel."""

import os
import shutil
import time
import urllib.error
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from core.circuit_breaker import ServiceBreaker
from core.errors import ServiceUnavailableError, VigieError
from core.messages import N_, Message
from core.operations.upgrades import check_versions
from core.settings import find_misspelt_names, get_env_file
from core.storage.gcs import ArtifactBucket, is_google_location
from core.storage.outbox import Outbox
from core.workspace import Workspace
from mlflow_utils.sqlite_file import ASIDE_MARK

HealthState = Literal["works", "not_set", "at_rest", "short", "failing"]
"""State of a service.

works    it answers
not_set  no service is configured; files in the data folder replace it
at_rest  it does not run, and nothing waits for it
short    it answers, but a resource runs low
failing  it does not answer, or rejects the request
"""

OverallState = Literal["well", "degraded", "down"]
"""State of all services together.

well      every configured service answers, and nothing waits
degraded  a resource runs low, or records wait for delivery or were rejected
down      a configured service does not answer, or rejects the request
"""

TIMEOUT_S = 1.5
MAX_LISTED_FILES = 5
ASIDE_PATTERNS = (f"*{ASIDE_MARK}*", f"*/*{ASIDE_MARK}*")
MIN_FREE_BYTES, MIN_FREE_SHARE = 1 << 30, 0.02  # of the disk; "short" below both


@dataclass(frozen=True)
class ServiceHealth:
    """Health of one service.

    place    its location, without secrets
    seconds  response time, or time until the timeout
    problem  error, resource that runs low, or why it is at rest; None where there is none
    earlier  error of the last delivery
    backlog  number of records to be delivered to it
    refused  number of records that it rejected for good
    """

    name: str
    state: HealthState
    place: str = ""
    version: str = ""
    seconds: float = 0.0
    problem: Message | None = None
    earlier: str = ""
    backlog: int = 0
    refused: int = 0


@dataclass(frozen=True)
class AtRest:
    """Answer of a service that does not run and need not."""

    reason: Message


@dataclass(frozen=True)
class HealthCheck:
    """Health check of one service.

    check        returns the version of the service, a message on a resource that runs low, or that it is at rest;
                 raises on failure
    outbox       outbox of the service; None without one
    load_client  imports what `check` needs, whose time is not that of the service
    """

    name: str
    is_remote: bool
    location: str
    check: Callable[[], str | Message | AtRest]
    outbox: Outbox | None = None
    load_client: Callable[[], object] = lambda: None


ListWorkers = Callable[[Workspace], Collection[object]]
"""Function that lists the running workers of a workspace."""


def check_services(
    workspace: Workspace, list_workers: ListWorkers, *, needs_worker: bool = True
) -> list[ServiceHealth]:
    """Check every service, in less than two seconds even where several of them hang.

    needs_worker  False if a worker is missed only where jobs wait for one

    The first call of a process lasts longer: it imports the clients before the clock of any service starts.
    """
    checks = _build_checks(workspace, list_workers, needs_worker)
    for check in checks:
        with suppress(Exception):  # the check meets the same error, and tells it
            check.load_client()
    with ThreadPoolExecutor(len(checks), thread_name_prefix="health") as pool:
        services = list(pool.map(lambda check: _run_check(check, workspace), checks))
    return [*services, _run_check(_build_files_check(workspace), workspace)]  # the others may have moved files aside


def summarise_health(services: Collection[ServiceHealth]) -> OverallState:
    """Return the state of all services together."""
    if any(service.state == "failing" for service in services):
        return "down"
    is_degraded = any(service.state == "short" or service.backlog or service.refused for service in services)
    return "degraded" if is_degraded else "well"


# ---- the checks -----------------------------------------------------------------------------------------------------


def _run_check(check: HealthCheck, workspace: Workspace) -> ServiceHealth:
    start_s = time.monotonic()
    state, version, problem = _call_check(check, workspace)
    seconds, outbox = time.monotonic() - start_s, check.outbox
    service = (check.name, state, workspace.redact(check.location), version, seconds, problem)
    if outbox is None:
        return ServiceHealth(*service)
    earlier = workspace.redact(outbox.last_error)
    return ServiceHealth(*service, earlier, outbox.count_pending(), outbox.count_rejected())


def _call_check(check: HealthCheck, workspace: Workspace) -> tuple[HealthState, str, Message | None]:
    try:
        answer = ServiceBreaker(check.name, TIMEOUT_S, reset_after_s=0).call(check.check)
    except ServiceUnavailableError as error:
        return "failing", "", _explain_failure(error, workspace)
    if isinstance(answer, Message):
        return "short", "", answer
    if isinstance(answer, AtRest):
        return "at_rest", "", answer.reason
    return "works" if check.is_remote else "not_set", answer, None


def _explain_failure(error: ServiceUnavailableError, workspace: Workspace) -> Message:
    """Return the reason of a failure, with a remedy where one is known."""
    cause = error.__cause__
    if isinstance(cause, VigieError):
        return cause.message
    if isinstance(cause, urllib.error.HTTPError) and cause.code in (401, 403):
        return Message(
            N_(
                "The server rejects the user name, the password or this host (HTTP {code}). "
                "Check MLFLOW_TRACKING_USERNAME, MLFLOW_TRACKING_PASSWORD and the option "
                "--allowed-hosts of the server."
            ),
            {"code": str(cause.code)},
        )
    reason = getattr(cause, "reason", cause) or f"{TIMEOUT_S} s"  # a URLError holds the actual error as its reason
    return Message(N_("No answer: {reason}."), {"reason": workspace.redact(str(reason)).rstrip(".")})


def _build_checks(workspace: Workspace, list_workers: ListWorkers, needs_worker: bool) -> list[HealthCheck]:
    outboxes = [_build_outbox_check(outbox) for outbox in workspace.outboxes]
    if workspace.event_stream is None:
        folder = workspace.events.folder
        outboxes.append(HealthCheck(N_("Events"), False, str(folder), lambda: _raise_if_read_only(folder)))
    return [
        *outboxes,
        _build_artifacts_check(workspace),
        _build_accounts_check(workspace),
        _build_jobs_check(workspace, list_workers, needs_worker),
        _build_disk_check(workspace),
        HealthCheck(N_("Versions"), True, str(workspace.folder), lambda: check_versions(workspace)),
        HealthCheck(N_("Settings"), True, str(get_env_file()), _check_settings),
    ]


def _build_outbox_check(outbox: Outbox) -> HealthCheck:
    return HealthCheck(outbox.name, outbox.is_remote, outbox.location, outbox.check, outbox, outbox.load_client)


def _build_artifacts_check(workspace: Workspace) -> HealthCheck:
    location = workspace.tracking.artefacts_location or workspace.tracking.uri
    if is_google_location(location):
        bucket = ArtifactBucket(location, workspace.settings.google_application_credentials)
        return HealthCheck(N_("Artifacts"), True, location, bucket.check, load_client=bucket.load_client)
    is_remote = urlsplit(location).scheme not in ("", "file")
    tracking = workspace.tracking
    return HealthCheck(
        N_("Artifacts"), is_remote, location, tracking.check_artifacts, load_client=tracking.load_artifact_library
    )


def _build_accounts_check(workspace: Workspace) -> HealthCheck:
    url, file = workspace.settings.database_url.get_secret_value(), workspace.folder / "accounts.db"

    def check() -> str:
        return workspace.accounts.fetch_version() if url or file.exists() else ""  # do not create a database

    def load_client() -> None:
        if url:
            workspace.accounts.load_driver()

    return HealthCheck(N_("Accounts"), bool(url), url or str(file), check, load_client=load_client)


def _build_jobs_check(workspace: Workspace, list_workers: ListWorkers, needs_worker: bool) -> HealthCheck:
    url = workspace.settings.database_url.get_secret_value()

    def check() -> str | Message | AtRest:
        if list_workers(workspace):
            return ""
        if not (needs_worker or workspace.jobs.list_waiting() or workspace.jobs.list_running()):
            return AtRest(Message(N_("No worker process runs for this data folder, and no job waits for one.")))
        return Message(N_("No worker process runs for this data folder. Jobs wait until one is started."))

    place = url or str(workspace.folder / "jobs" / "jobs.db")
    return HealthCheck(N_("Jobs"), bool(url), place, check, load_client=lambda: workspace.jobs.load_driver())


def _build_disk_check(workspace: Workspace) -> HealthCheck:
    folder = workspace.folder

    def check() -> str | Message:
        disk_usage = shutil.disk_usage(_find_existing_parent(folder))
        if disk_usage.free < min(MIN_FREE_BYTES, MIN_FREE_SHARE * disk_usage.total):
            return Message(
                N_("Only {free} MB of {total} MB are free."),
                {"free": disk_usage.free >> 20, "total": disk_usage.total >> 20},
            )
        return _raise_if_read_only(folder)

    return HealthCheck(N_("Data folder"), True, str(folder), check)


def _check_settings() -> str | Message:
    misspelt = find_misspelt_names()
    if not misspelt:
        return ""
    return Message(
        N_("Names that are no setting, each with the nearest one that is: {names}."),
        {"names": ", ".join(f"{wrong_name} ({right_name})" for wrong_name, right_name in misspelt.items())},
    )


def _build_files_check(workspace: Workspace) -> HealthCheck:
    stores = (workspace.datasets, workspace.image_sets, workspace.covariates, workspace.notes, workspace.saved_views)

    def check() -> str | Message:
        damaged = [path for store in stores for path in store.list_damaged()]
        moved = [str(path) for pattern in ASIDE_PATTERNS for path in sorted(workspace.folder.glob(pattern))]
        if damaged:
            return Message(
                N_(
                    "Damaged: {files}. They are skipped. Load the same files again, which repairs datasets, images and "
                    "covariates; delete others, or restore them from a backup."
                ),
                {"files": _join_paths(damaged)},
            )
        if moved:
            return Message(
                N_(
                    "Damaged or foreign files were moved to {files}. What could be read was recovered. "
                    "Delete them when nothing is missed."
                ),
                {"files": _join_paths(moved)},
            )
        return ""

    return HealthCheck(N_("Stored files"), True, str(workspace.folder), check)


def _join_paths(paths: Sequence[str]) -> str:
    others = f" + {len(paths) - MAX_LISTED_FILES}" if len(paths) > MAX_LISTED_FILES else ""
    return ", ".join(paths[:MAX_LISTED_FILES]) + others


def _find_existing_parent(folder: Path) -> Path:
    """Return `folder`, or its nearest parent that exists."""
    return next(parent for parent in (folder, *folder.parents) if parent.exists())


def _raise_if_read_only(folder: Path) -> str:
    """Raise ServiceUnavailableError if `folder` is read-only. Returns "", because a folder has no version."""
    if not os.access(_find_existing_parent(folder), os.W_OK):
        raise ServiceUnavailableError(N_("The folder {folder} is not writable."), folder=str(folder))
    return ""
