"""Ticks of watches: one worker at a time asks a watch, and what it finds is stored in one transaction or not at all."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal
from uuid import uuid4

import pandas as pd
from pydantic import TypeAdapter
from sqlalchemy import and_, case, func, or_, select
from sqlalchemy.orm import Session

from core.messages import Message
from core.storage.database_clock import now as database_now
from core.storage.watches.announcement_store import insert_announcements
from core.storage.watches.incident_store import IncidentConflictError, write_incidents
from core.storage.watches.judged_rows import JudgedBatch, LedgerChange, plan_ledger, write_ledger
from core.storage.watches.tables import TICKS, WATCHES
from core.storage.watches.watch_database import (
    TICK_TIMEOUT_S,
    WatchDatabase,
    count_changes,
    has_name,
    to_instant,
    to_seconds,
)
from core.watches.announcing import Announcement
from core.watches.incident import IncidentChange
from core.watches.watch import Watch

TickState = Literal["completed", "failed"]
RETENTION_S = 62 * 86_400  # of ticks: this month and the last
DELETED_AT_ONCE = 1000  # ticks
MAX_WORKER_CHARS = 100

FREE = {"lease_tick": "", "lease_worker": "", "lease_until": 0.0}


@dataclass(frozen=True)
class TickLease:
    """The right of a worker to ask a watch, until the lease ends.

    tick         id of the tick
    due          when it was due
    cursor       place in the source up to which rows were read; "" for its beginning
    failures     ticks in a row that failed before
    last_row_at  when the last new row was judged; None before the first
    attempts     workers that began this tick, this one included; more than 1 after one was killed
    edits        number of changes of incidents by persons before this tick
    """

    watch: Watch
    tick: str
    due: datetime
    cursor: str
    failures: int
    worker: str
    last_row_at: datetime | None = None
    attempts: int = 1
    edits: int = 0


@dataclass(frozen=True)
class TickRecord:
    """Account of a tick: times, numbers of rows, alarms and incidents.

    rows_left_out  new rows that cannot be judged, such as incomplete ones
    problem        why it failed, or what a person should know; None without one
    drift          largest stability index (PSI) of the columns; None where it was not computed
    """

    id: str
    watch: str
    due: datetime
    started: datetime
    ended: datetime
    state: TickState = "completed"
    rows_new: int = 0
    rows_corrected: int = 0
    rows_known: int = 0
    rows_late: int = 0
    rows_left_out: int = 0
    alarms: int = 0
    incidents_opened: int = 0
    problem: Message | None = None
    drift: float | None = None
    drift_column: str = ""
    model_run: str = ""


@dataclass(frozen=True)
class TickOutcome:
    """Everything that a tick stores.

    record               what happened
    cursor               place in the source up to which rows were read
    judged               judged rows; None for none
    arrivals             their values, to be stored: index (entity, instant), columns of numbers; None for none
    changes              changes of incidents
    announcements        whom to tell
    keep_arrivals_since  stored arrivals before it are deleted; None keeps all
    """

    record: TickRecord
    cursor: str = ""
    judged: JudgedBatch | None = None
    arrivals: pd.DataFrame | None = None
    changes: tuple[IncidentChange, ...] = ()
    announcements: tuple[Announcement, ...] = ()
    keep_arrivals_since: datetime | None = None


@dataclass(frozen=True)
class AlarmCount:
    """Numbers of judged rows, of alarms among them, and of incidents that were opened."""

    rows: int
    alarms: int
    incidents: int


RECORDS = TypeAdapter(TickRecord)


class TickStore:
    """The ticks of one data folder."""

    def __init__(self, database: WatchDatabase) -> None:
        self._database = database

    def claim_tick(self, worker: str, now: datetime, name: str = "") -> TickLease | None:
        """Lease the watch that has been due for longest to `worker`; None if none is due at `now` and free.

        name  this watch at once, also before it is due or while it is paused; None if another worker has it

        A watch whose worker was killed comes after the others, so that it cannot keep them from being asked. The clock
        of the database decides when a lease ends. Raises NotFoundError for an unknown name.
        """
        instant = to_seconds(now)
        is_free = or_(WATCHES.c.lease_tick == "", WATCHES.c.lease_until <= database_now())
        is_asked = has_name(name) if name else and_(WATCHES.c.is_paused.is_(False), WATCHES.c.next_tick <= instant)
        is_candidate = and_(WATCHES.c.workspace == self._database.workspace, is_asked, is_free)
        order = WATCHES.c.attempts, WATCHES.c.next_tick, WATCHES.c.id
        next_id = select(WATCHES.c.id).where(is_candidate).order_by(*order).limit(1)

        def find_candidate(session: Session) -> int | None:
            if name:
                self._database.find_watch_id(session, name)
            return session.scalar(next_id)

        if self._database.read(find_candidate) is None:
            return None  # without a write transaction that would block other writers

        def claim_once(session: Session) -> TickLease | None:
            key, tick = session.scalar(next_id), uuid4().hex
            if key is None:
                return None
            values = {"lease_tick": tick, "lease_worker": worker[:MAX_WORKER_CHARS]}
            times = {"lease_until": database_now() + self._database.lease_s, "attempts": WATCHES.c.attempts + 1}
            is_watch = WATCHES.c.id == key
            session.execute(WATCHES.update().where(is_watch).values(**values, **times))
            row = session.execute(select(WATCHES).where(is_watch)).mappings().one()
            due = now if row["next_tick"] is None else min(now, to_instant(row["next_tick"]) or now)
            return TickLease(
                Watch.model_validate_json(row["body"]),
                tick,
                due,
                row["cursor"],
                row["failures"],
                row["lease_worker"],
                to_instant(row["last_row_at"]),
                row["attempts"],
                row["edits"],
            )

        return self._database.write(claim_once)

    def extend_lease(self, lease: TickLease) -> bool:
        """Let the lease begin anew; return False if it was lost."""
        values = {"lease_until": database_now() + self._database.lease_s}
        statement = WATCHES.update().where(_has_lease(lease)).values(values)
        return self._database.write(lambda session: count_changes(session, statement)) == 1

    def commit_tick(self, lease: TickLease, outcome: TickOutcome, next_tick: datetime) -> bool:
        """Store the outcome of a tick and its cursor, and free the watch until `next_tick`.

        Returns False if the lease was lost, or a person has changed one of its incidents meanwhile. Then nothing was
        written, and the tick is repeated. Raises ServiceUnavailableError; whether it was written is then unknown, and
        the cursor of the next lease tells.
        """
        values: dict[str, Any] = {"cursor": outcome.cursor, "failures": 0}
        if outcome.record.rows_new:
            values["last_row_at"] = to_seconds(outcome.record.ended)
        return self._end_tick(lease, outcome, next_tick, values)

    def fail_tick(self, lease: TickLease, outcome: TickOutcome, next_tick: datetime) -> bool:
        """Store a tick that failed: its record and incidents, one failure more, and the cursor of before.

        Returns False as `commit_tick` does.
        """
        unread = replace(outcome, judged=None, arrivals=None, keep_arrivals_since=None)
        return self._end_tick(lease, unread, next_tick, {"failures": WATCHES.c.failures + 1})

    def list_ticks(self, name: str, limit: int = 100) -> list[TickRecord]:
        """Return the last ticks of a watch, newest first. Raises NotFoundError."""

        def list_once(session: Session) -> list[TickRecord]:
            is_of_watch = TICKS.c.watch_id == self._database.find_watch_id(session, name)
            order = TICKS.c.ended.desc(), TICKS.c.number.desc()
            bodies = session.scalars(select(TICKS.c.body).where(is_of_watch).order_by(*order).limit(limit))
            return [load_tick(body) for body in bodies]

        return self._database.read(list_once)

    def measure_alarms(self, name: str, since: datetime) -> AlarmCount:
        """Return the numbers of a watch over the ticks that ended after `since`. Raises NotFoundError.

        Ticks are stored for two months.
        """

        def count_once(session: Session) -> AlarmCount:
            sums = [func.coalesce(func.sum(TICKS.c[key]), 0) for key in ("rows_judged", "alarms", "incidents_opened")]
            is_of_watch = TICKS.c.watch_id == self._database.find_watch_id(session, name)
            row = session.execute(select(*sums).where(is_of_watch, TICKS.c.ended > to_seconds(since))).one()
            return AlarmCount(*map(int, row))

        return self._database.read(count_once)

    def _end_tick(self, lease: TickLease, outcome: TickOutcome, next_tick: datetime, values: dict[str, Any]) -> bool:
        plan = self._plan_tick(lease, outcome)
        if plan is None:
            return False
        watch_id, ledger = plan
        due = case((WATCHES.c.is_paused, None), else_=to_seconds(next_tick))
        values = {**values, **FREE, "attempts": 0, "next_tick": due}

        def end_once(session: Session) -> bool:
            if not count_changes(session, WATCHES.update().where(_has_lease(lease)).values(values)):
                return False
            if ledger is not None:
                write_ledger(session, watch_id, ledger)
            write_incidents(session, watch_id, [change.incident for change in outcome.changes], lease.edits)
            insert_announcements(session, watch_id, outcome.announcements)
            session.execute(TICKS.insert().values(_to_row(watch_id, outcome.record)))
            _delete_expired_ticks(session, watch_id, to_seconds(outcome.record.ended))
            return True

        try:
            return self._database.write(end_once, TICK_TIMEOUT_S)
        except IncidentConflictError:
            free = WATCHES.update().where(_has_lease(lease)).values({**FREE, "attempts": lease.attempts - 1})
            self._database.write(lambda session: session.execute(free))
            return False

    def _plan_tick(self, lease: TickLease, outcome: TickOutcome) -> tuple[int, LedgerChange | None] | None:
        """Return the key of the watch and what is written about rows; None if the lease was lost.

        Blocks are read and compressed here, before the transaction that others wait for. What is read cannot change
        while the lease lasts.
        """

        def plan_once(session: Session) -> tuple[int, LedgerChange | None] | None:
            watch_id = session.scalar(select(WATCHES.c.id).where(_has_lease(lease)))
            if watch_id is None:
                return None
            if outcome.judged is None and outcome.arrivals is None and outcome.keep_arrivals_since is None:
                return watch_id, None
            rows = outcome.judged, outcome.arrivals, outcome.keep_arrivals_since
            return watch_id, plan_ledger(session, watch_id, *rows, outcome.record.ended)

        return self._database.read(plan_once, TICK_TIMEOUT_S)


def dump_tick(record: TickRecord) -> str:
    """Return the JSON of a record. Values of its problem that JSON does not know become text."""
    problem = None if record.problem is None else _make_storable(record.problem)
    return RECORDS.dump_json(replace(record, problem=problem)).decode()


def load_tick(body: str) -> TickRecord:
    """Return the record of a JSON."""
    return RECORDS.validate_json(body)


def _make_storable(message: Message) -> Message:
    """Return a message whose values are texts, numbers and messages: an error may have another error as its reason."""
    return Message(message.template, {name: _make_storable_value(value) for name, value in message.values.items()})


def _make_storable_value(value: object) -> object:
    if isinstance(value, Message):
        return _make_storable(value)
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def _has_lease(lease: TickLease) -> Any:
    """Return the SQL condition that no other worker has begun this tick, and nobody has changed the watch."""
    return WATCHES.c.lease_tick == lease.tick


def _to_row(watch_id: int, record: TickRecord) -> dict[str, Any]:
    return {
        "id": record.id,
        "watch_id": watch_id,
        "ended": to_seconds(record.ended),
        "rows_judged": record.rows_new + record.rows_corrected,
        "alarms": record.alarms,
        "incidents_opened": record.incidents_opened,
        "body": dump_tick(record),
    }


def _delete_expired_ticks(session: Session, watch_id: int, ended: float) -> None:
    is_expired = and_(TICKS.c.watch_id == watch_id, TICKS.c.ended < ended - RETENTION_S)
    numbers = session.scalars(select(TICKS.c.number).where(is_expired).limit(DELETED_AT_ONCE)).all()
    if numbers:
        session.execute(TICKS.delete().where(TICKS.c.number.in_(numbers)))
