"""Watches and what is known about each: its last and next tick, the failures of its source."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import uuid4

from sqlalchemy import and_, select
from sqlalchemy.orm import Session

from core.errors import OptionError
from core.messages import N_
from core.storage.database_clock import now
from core.storage.watches.recipient_store import find_unknown_recipients
from core.storage.watches.tables import BLOCKS, METADATA, TICKS, WATCHES
from core.storage.watches.ticks import TickRecord, load_tick
from core.storage.watches.watch_database import (
    WatchDatabase,
    count_changes,
    has_name,
    make_missing_error,
    to_instant,
    to_seconds,
)
from core.watches.watch import Watch

DELETED_AT_ONCE = 2000  # blocks of rows in one transaction, so that none takes longer than a database may

FREE = {"lease_tick": "", "lease_worker": "", "lease_until": 0.0}
LAST_TICK = (
    select(TICKS.c.body)
    .where(TICKS.c.watch_id == WATCHES.c.id)
    .order_by(TICKS.c.ended.desc(), TICKS.c.number.desc())
    .limit(1)
    .scalar_subquery()
)
STATE_COLUMNS = (
    *(WATCHES.c.body, WATCHES.c.next_tick, WATCHES.c.failures, WATCHES.c.last_row_at),
    LAST_TICK.label("last_tick"),
    and_(WATCHES.c.lease_tick != "", WATCHES.c.lease_until > now()).label("is_running"),
)


@dataclass(frozen=True)
class WatchState:
    """A watch and its state.

    next_tick    None while it is paused
    last_tick    None before the first one has ended
    failures     ticks in a row that failed
    last_row_at  when the last new row was judged, by the clock of the worker; None before the first
    is_running   a worker asks it now
    """

    watch: Watch
    next_tick: datetime | None
    last_tick: TickRecord | None
    failures: int
    last_row_at: datetime | None
    is_running: bool


class WatchStore:
    """The watches of one data folder."""

    def __init__(self, database: WatchDatabase) -> None:
        self._database = database

    def add_watch(self, watch: Watch, next_tick: datetime) -> None:
        """Store a new watch. Raises OptionError for a name that is taken, and for an unknown recipient."""

        def add_once(session: Session) -> None:
            _check_recipients(session, self._database.workspace, watch)
            if session.scalar(select(WATCHES.c.id).where(self._has_name(watch.name))) is not None:
                raise OptionError(N_("There is a watch {name} already. Choose another name."), name=watch.name)
            row = {"workspace": self._database.workspace, "name": watch.name, **FREE}
            row |= {"cursor": "", "failures": 0, "attempts": 0, "edits": 0}
            session.execute(WATCHES.insert().values(**row, **_to_values(watch, next_tick)))
            _delete_orphans(session, self._database.find_watch_id(session, watch.name))

        self._database.write(add_once)

    def change_watch(self, watch: Watch, next_tick: datetime) -> None:
        """Store another form of the watch of this name.

        A tick that runs is repeated with the new form. Another source is read from its beginning; rows that were
        judged before are not judged again. Raises NotFoundError, and OptionError for an unknown recipient.
        """

        def change_once(session: Session) -> None:
            _check_recipients(session, self._database.workspace, watch)
            values = {**_to_values(watch, next_tick), **FREE, "attempts": 0}
            if self._load(session, watch.name).source != watch.source:
                values |= {"cursor": "", "failures": 0}
            session.execute(WATCHES.update().where(self._has_name(watch.name)).values(values))

        self._database.write(change_once)

    def edit_watch(self, name: str, edit: Callable[[Watch], Watch]) -> Watch:
        """Replace the watch `name` by what `edit` makes of it, which keeps its source and schedule; return it.

        Two persons who do so at once do it one after the other. A tick that runs is repeated with the new form. Raises
        NotFoundError, and the errors of `edit`.
        """

        def edit_once(session: Session) -> Watch:
            watch = edit(self._load(session, name))
            session.execute(WATCHES.update().where(self._has_name(name)).values(body=watch.model_dump_json(), **FREE))
            return watch

        return self._database.write(edit_once)

    def load_watch(self, name: str) -> Watch:
        """Return the watch `name`. Raises NotFoundError."""
        return self._database.read(lambda session: self._load(session, name))

    def load_state(self, name: str) -> WatchState:
        """Return the state of the watch `name`. Raises NotFoundError."""
        statement = select(*STATE_COLUMNS).where(self._has_name(name))
        row = self._database.read(lambda session: session.execute(statement).mappings().one_or_none())
        if row is None:
            raise make_missing_error(name)
        return _to_state(row)

    def list_states(self) -> list[WatchState]:
        """Return the states of all watches, by name."""
        is_mine = WATCHES.c.workspace == self._database.workspace
        statement = select(*STATE_COLUMNS).where(is_mine).order_by(WATCHES.c.name)
        rows = self._database.read(lambda session: session.execute(statement).mappings().all())
        return [_to_state(row) for row in rows]

    def set_paused(self, name: str, is_paused: bool, next_tick: datetime | None) -> None:
        """Pause a watch or let it go on at `next_tick`; a tick that runs ends. Raises NotFoundError."""

        def change_once(session: Session) -> None:
            watch = self._load(session, name).model_copy(update={"is_paused": is_paused})
            session.execute(WATCHES.update().where(self._has_name(name)).values(_to_values(watch, next_tick)))

        self._database.write(change_once)

    def delete_watch(self, name: str) -> None:
        """Delete a watch with its ticks, rows, incidents and announcements. Raises NotFoundError.

        It is gone at once. Its rows are deleted in several transactions; a killed process leaves the rest to the next
        deletion of a watch.
        """
        values = {"workspace": "", "name": uuid4().hex, "is_paused": True, "next_tick": None, **FREE}
        detach = WATCHES.update().where(self._has_name(name)).values(values)
        if not self._database.write(lambda session: count_changes(session, detach)):
            raise make_missing_error(name)
        while not self._database.write(_delete_detached):
            pass

    def _has_name(self, name: str) -> Any:
        return and_(WATCHES.c.workspace == self._database.workspace, has_name(name))

    def _load(self, session: Session, name: str) -> Watch:
        body = session.scalar(select(WATCHES.c.body).where(self._has_name(name)))
        if body is None:
            raise make_missing_error(name)
        return Watch.model_validate_json(body)


def _delete_orphans(session: Session, watch_id: int) -> None:
    """Delete rows with the key of a new watch: of a damaged file, they may be recovered without their watch."""
    for table in METADATA.tables.values():
        if "watch_id" in table.c:
            session.execute(table.delete().where(table.c.watch_id == watch_id))


def _check_recipients(session: Session, workspace: str, watch: Watch) -> None:
    if unknown := find_unknown_recipients(session, workspace, watch.recipients):
        raise OptionError(
            N_("The recipient {recipient} of the watch {name} does not exist. Add it first."),
            recipient=unknown[0],
            name=watch.name,
        )


def _to_values(watch: Watch, next_tick: datetime | None) -> dict[str, Any]:
    due = None if watch.is_paused or next_tick is None else to_seconds(next_tick)
    return {"body": watch.model_dump_json(), "is_paused": watch.is_paused, "next_tick": due}


def _to_state(row: Mapping[Any, Any]) -> WatchState:
    return WatchState(
        Watch.model_validate_json(row["body"]),
        to_instant(row["next_tick"]),
        load_tick(row["last_tick"]) if row["last_tick"] else None,
        int(row["failures"]),
        to_instant(row["last_row_at"]),
        bool(row["is_running"]),
    )


def _delete_detached(session: Session) -> bool:
    """Delete some rows of watches that are being deleted, or these watches; return True when nothing is left."""
    detached = select(WATCHES.c.id).where(WATCHES.c.workspace == "")
    blocks = select(BLOCKS.c.id).where(BLOCKS.c.watch_id.in_(detached)).limit(DELETED_AT_ONCE)
    if count_changes(session, BLOCKS.delete().where(BLOCKS.c.id.in_(blocks))):
        return False
    session.execute(WATCHES.delete().where(WATCHES.c.workspace == ""))  # with all other rows
    return True
