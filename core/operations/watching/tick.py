"""Ticks: a watch is asked once about the rows that came since its last tick."""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from core.actor import Actor
from core.errors import OptionError, VigieError
from core.messages import N_, Message
from core.operations.watching.asking import Answer, ask_judge
from core.operations.watching.drift_watch import measure_watch_drift
from core.operations.watching.judges import load_judge
from core.operations.watching.reading import ArrivedRows, RefusedFile, build_read_options, read_rows
from core.runs.tracked_run import record_event
from core.storage.sources import Arrivals, read_arrivals
from core.storage.watches.arrival_folder import open_arrival_folder
from core.storage.watches.ticks import TickLease, TickOutcome, TickRecord
from core.watches.announcing import Announcement, plan_announcements
from core.watches.incident import IncidentChange
from core.watches.no_data import judge_silence
from core.watches.schedule import parse_schedule
from core.watches.watch import Watch
from core.workspace import Workspace

APPLICATION = "Vigie"
LEASE_PARTS = 4  # of a lease, after each of which it is extended
MAX_NAMES = 5
ALL = 10**9
REFUSED = N_("Files that cannot be read: {names}. {reason}")
SET_ASIDE = N_("Files that are set aside, because they cannot be read: {names}. {reason}")
UNKNOWN = N_(
    "The model does not know {count} entity: {names}. Its rows are stored and not judged. Train the model again.",
    "The model does not know {count} entities: {names}. Their rows are stored and not judged. Train the model again.",
)
UNEXPECTED = N_("An unexpected error has stopped the tick. Its number in the log is {number}.")
REPEATED = N_(
    "{count} row replaced an earlier one of the same entity and time in the same arrival.",
    "{count} rows replaced earlier ones of the same entity and time in the same arrival.",
)
LOGGED_ERROR = "tick of the watch %s failed: error %.8s"

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Reading:
    """Arrivals of a tick, with their rows; `gives_up` sets files aside that cannot be read."""

    arrivals: Arrivals
    rows: ArrivedRows
    gives_up: bool


def run_tick(lease: TickLease, workspace: Workspace, now: datetime) -> TickRecord | None:
    """Ask a watch about the rows that came since its last tick, and store the outcome in one transaction.

    A tick that fails is a record with its problem. None for a tick whose lease was lost, or whose incidents a person
    changed meanwhile: nothing was stored, and it is repeated. Raises ServiceUnavailableError where the database of the
    watches does not answer.
    """
    started = time.monotonic()
    with _extend_lease(lease, workspace):
        try:
            outcome, has_more = _ask_watch(lease, workspace, now)
        except VigieError as error:
            return _fail(lease, workspace, now, started, error.message)
        except Exception:
            logger.exception(LOGGED_ERROR, lease.watch.name, lease.tick)
            return _fail(lease, workspace, now, started, Message(UNEXPECTED, {"number": lease.tick[:8]}))
        ended = _measure_end(now, started)
        outcome = replace(outcome, record=replace(outcome.record, ended=ended))
        next_tick = ended if has_more else _find_next_tick(lease.watch, ended)
        try:
            is_stored = workspace.watches.ticks.commit_tick(lease, outcome, next_tick)
        except VigieError:
            raise  # nobody knows whether it was stored; the next lease tells
        except Exception:
            logger.exception(LOGGED_ERROR, lease.watch.name, lease.tick)
            return _fail(lease, workspace, now, started, Message(UNEXPECTED, {"number": lease.tick[:8]}))
        if not is_stored:
            return None
    _record_outcome(outcome.record, workspace)
    return outcome.record


def run_due_ticks(workspace: Workspace, worker: str, now: datetime, is_over: Callable[[], bool] = lambda: False) -> int:
    """Run the ticks of all watches that are due at `now`, one after the other, and return their number.

    No further tick begins when `is_over` returns True. Raises ServiceUnavailableError where the database of the watches
    does not answer.
    """
    count, started = 0, time.monotonic()
    while not is_over() and (lease := workspace.watches.ticks.claim_tick(worker, now)) is not None:
        run_tick(lease, workspace, _measure_end(now, started))
        count += 1
    return count


def run_watch_now(name: str, workspace: Workspace, actor: Actor) -> TickRecord:
    """Run one tick of a watch at once, also before it is due or while it is paused.

    Raises NotFoundError for an unknown watch, OptionError while another process runs its tick.
    """
    with record_event("watch_run", actor, workspace, watch=name):
        now = datetime.now(UTC)
        lease = workspace.watches.ticks.claim_tick(f"{actor.user}:{uuid4().hex[:8]}", now, name)
        record = None if lease is None else run_tick(lease, workspace, now)
        if record is None:
            raise OptionError(N_("The watch {name} is being asked now. Try again later."), name=name)
    return record


# ---- one tick -------------------------------------------------------------------------------------------------------


def _ask_watch(lease: TickLease, workspace: Workspace, now: datetime) -> tuple[TickOutcome, bool]:
    """Return the outcome of a tick, and whether the source has more. Raises VigieError for a tick that fails."""
    watch = lease.watch
    run_id, judge = load_judge(watch, workspace)
    with open_arrival_folder(workspace.folder, watch.name, lease.tick) as folder:
        arrivals = read_arrivals(watch.source, lease.cursor, folder, workspace.settings)
        rows = read_rows(arrivals.files, build_read_options(watch.reading), judge.template)
    reading = _Reading(arrivals, rows, _gives_up(lease, rows.refused, workspace))
    if rows.refused and not reading.gives_up and rows.dataset is None:
        raise VigieError(REFUSED, **_name_refused(rows.refused))
    answer = ask_judge(watch, judge, run_id, rows.dataset, workspace, now)
    changes = (*answer.changes, *_judge_silence(lease, 0, answer.find_last_row(lease, now), workspace, now))
    outcome = TickOutcome(
        record=_add_drift(_build_record(lease, reading, answer, changes, workspace, now), watch, workspace, now),
        cursor=arrivals.cursor if reading.gives_up or not rows.refused else lease.cursor,
        judged=answer.judged,
        arrivals=answer.arrivals,
        changes=changes,
        announcements=_plan_announcements(watch, changes, workspace, now),
        keep_arrivals_since=answer.keep_arrivals_since,
    )
    return outcome, arrivals.has_more and outcome.cursor != lease.cursor


def _build_record(
    lease: TickLease,
    reading: _Reading,
    answer: Answer,
    changes: tuple[IncidentChange, ...],
    workspace: Workspace,
    now: datetime,
) -> TickRecord:
    problem = _find_problem(reading, answer)
    return TickRecord(
        lease.tick,
        lease.watch.name,
        lease.due,
        now,
        now,
        rows_new=answer.rows_new,
        rows_corrected=answer.rows_corrected,
        rows_known=answer.rows_known,
        rows_late=answer.rows_late,
        rows_left_out=answer.rows_left_out,
        alarms=answer.alarms,
        incidents_opened=sum(change.kind == "opened" for change in changes),
        problem=None if problem is None else _hide_secrets(problem, workspace),
        model_run=answer.model_run,
    )


def _add_drift(record: TickRecord, watch: Watch, workspace: Workspace, now: datetime) -> TickRecord:
    """Return the record with the drift of the stored rows, measured once a day; without it where that fails."""
    try:
        drift = measure_watch_drift(watch, record.model_run, workspace, now)
    except Exception:
        logger.exception("the drift of the watch %s was not measured", watch.name)
        return record
    return record if drift is None else replace(record, drift=drift.beyond_chance, drift_column=drift.column)


def _find_problem(reading: _Reading, answer: Answer) -> Message | None:
    """Return what a person should know about what was read: files first, then entities, notes, and repeated rows."""
    rows = reading.rows
    if rows.refused:
        return Message(SET_ASIDE if reading.gives_up else REFUSED, _name_refused(rows.refused))
    if answer.unknown_entities:
        return Message(UNKNOWN, {"count": len(answer.unknown_entities), "names": _join_names(answer.unknown_entities)})
    if reading.arrivals.notes:
        return reading.arrivals.notes[0]
    return Message(REPEATED, {"count": rows.repeated}) if rows.repeated else None


def _gives_up(lease: TickLease, refused: tuple[RefusedFile, ...], workspace: Workspace) -> bool:
    """Tell whether the last ticks were refused the same files so often that these are set aside."""
    if not refused:
        return False
    names, count = _name_refused(refused)["names"], 1
    for record in workspace.watches.ticks.list_ticks(lease.watch.name, lease.watch.max_failures):
        if record.problem is None or record.problem.template != REFUSED or record.problem.values["names"] != names:
            break
        count += 1
    return count >= lease.watch.max_failures


def _name_refused(refused: tuple[RefusedFile, ...]) -> dict[str, object]:
    return {"names": _join_names([file.name for file in refused]), "reason": refused[0].reason}


def _join_names(names: Sequence[str]) -> str:
    more = f" … ({len(names)})" if len(names) > MAX_NAMES else ""
    return ", ".join(names[:MAX_NAMES]) + more


def _judge_silence(
    lease: TickLease, failures: int, last_row_at: datetime | None, workspace: Workspace, now: datetime
) -> tuple[IncidentChange, ...]:
    """Return the change of the incident about missing data, if there is one."""
    open_incidents = workspace.watches.incidents.list_incidents(watch=lease.watch.name, is_open=True, limit=ALL)
    silent = next((incident for incident in open_incidents if incident.kind == "no data"), None)
    change = judge_silence(lease.watch, silent, failures, last_row_at, now)
    return () if change is None else (change,)


def _plan_announcements(
    watch: Watch, changes: tuple[IncidentChange, ...], workspace: Workspace, now: datetime
) -> tuple[Announcement, ...]:
    if not changes or not watch.recipients:
        return ()
    recipients = [each for each in workspace.watches.recipients.list_recipients() if each.name in watch.recipients]
    return plan_announcements(watch, changes, recipients, workspace.watches.maintenance.list_windows(), now)


def _hide_secrets(message: Message, workspace: Workspace) -> Message:
    """Return a message without the values of secret settings; values other than numbers become text."""

    def hide(value: object) -> object:
        if isinstance(value, Message):
            return _hide_secrets(value, workspace)
        return value if value is None or isinstance(value, bool | int | float) else workspace.redact(str(value))

    return Message(message.template, {name: hide(value) for name, value in message.values.items()})


# ---- its end --------------------------------------------------------------------------------------------------------


def _fail(lease: TickLease, workspace: Workspace, now: datetime, started: float, problem: Message) -> TickRecord | None:
    """Store a failed tick, and the incident about missing data if there were too many; None if the lease was lost."""
    changes = _judge_silence(lease, lease.failures + 1, lease.last_row_at, workspace, now)
    ended = _measure_end(now, started)
    record = TickRecord(
        lease.tick,
        lease.watch.name,
        lease.due,
        now,
        ended,
        "failed",
        incidents_opened=sum(change.kind == "opened" for change in changes),
        problem=_hide_secrets(problem, workspace),
    )
    announcements = _plan_announcements(lease.watch, changes, workspace, now)
    outcome = TickOutcome(record, lease.cursor, changes=changes, announcements=announcements)
    if not workspace.watches.ticks.fail_tick(lease, outcome, _find_next_tick(lease.watch, ended)):
        return None
    _record_outcome(record, workspace)
    return record


def _find_next_tick(watch: Watch, now: datetime) -> datetime:
    return parse_schedule(watch.schedule, watch.zone).find_next_tick(now)


def _measure_end(now: datetime, started: float) -> datetime:
    """Return the end of a tick that began at `now`, by the clock that never jumps."""
    return now + timedelta(seconds=time.monotonic() - started)


def _record_outcome(record: TickRecord, workspace: Workspace) -> None:
    """Record a failed tick, and one with alarms, as an event; the others would be millions."""
    if record.state != "failed" and not record.alarms:
        return
    inputs = {"watch": record.watch, "tick": record.id, "rows": record.rows_new + record.rows_corrected}
    details = {"anomalies_count": record.alarms, "failed_predictions": record.rows_left_out}
    actor = Actor(user="", application=APPLICATION)
    try:
        with record_event("watch_tick", actor, workspace, details, **inputs):  # type: ignore[arg-type]
            if record.state == "failed" and record.problem is not None:
                raise _FailedTickError(record.problem.template, **record.problem.values)
    except _FailedTickError:
        pass  # it is recorded


class _FailedTickError(VigieError):
    """A tick that failed, as its event names it."""


@contextmanager
def _extend_lease(lease: TickLease, workspace: Workspace) -> Iterator[None]:
    """Extend the lease of a tick until the end of the block."""
    is_over = threading.Event()
    interval_s = workspace.watches.database.lease_s / LEASE_PARTS

    def extend() -> None:
        while not is_over.wait(interval_s):
            try:
                if not workspace.watches.ticks.extend_lease(lease):
                    return
            except Exception:
                logger.warning("the lease of a tick of %s was not extended", lease.watch.name, exc_info=True)

    thread = threading.Thread(target=extend, daemon=True, name="lease")
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()
