"""Incidents of all watches, and changes of them by persons."""

import math
import re
from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, func, select
from sqlalchemy.orm import Session

from core.errors import NotFoundError, OptionError
from core.messages import N_
from core.storage.watches.announcement_store import insert_announcements
from core.storage.watches.tables import INCIDENTS, WATCHES
from core.storage.watches.watch_database import WatchDatabase, dump_record, has_name, to_seconds
from core.watches.announcing import Announcement
from core.watches.incident import Incident

MIN_PREFIX_CHARS = 6
PREFIX_PATTERN = re.compile(rf"[0-9a-f]{{{MIN_PREFIX_CHARS},32}}")
MAX_LISTED = 1000
WORST_FIRST = (
    *(INCIDENTS.c.is_open.desc(), INCIDENTS.c.severity.desc(), INCIDENTS.c.peak.desc()),
    *(INCIDENTS.c.end.desc(), INCIDENTS.c.id),
)


class IncidentConflictError(Exception):
    """A person has changed an incident since the tick that wants to change it began."""


class IncidentStore:
    """The incidents of one data folder."""

    def __init__(self, database: WatchDatabase) -> None:
        self._database = database

    def load_incident(self, incident_id: str) -> Incident:
        """Return the incident with this id, or whose id alone begins so, with at least six digits.

        Raises NotFoundError, and OptionError for several.
        """
        return self._database.read(lambda session: self._find(session, incident_id)[0])

    def list_incidents(
        self,
        *,
        watch: str = "",
        is_open: bool | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        entity: str = "",
        limit: int = MAX_LISTED,
    ) -> list[Incident]:
        """Return incidents, worst first: open ones, then by severity and peak.

        since, until  limits of a time in which they were going on, both included
        """
        conditions = [] if is_open is None else [INCIDENTS.c.is_open == is_open]
        conditions += [has_name(watch)] if watch else []
        conditions += [INCIDENTS.c.end >= to_seconds(since)] if since else []
        conditions += [INCIDENTS.c.start <= to_seconds(until)] if until else []
        conditions += [INCIDENTS.c.entity == entity] if entity else []
        statement = self._select(INCIDENTS.c.body).where(*conditions).order_by(*WORST_FIRST).limit(limit)
        bodies = self._database.read(lambda session: session.scalars(statement).all())
        return [Incident.model_validate_json(body) for body in bodies]

    def list_touching(self, watch: str, entities: Collection[str], start: datetime, end: datetime) -> list[Incident]:
        """Return the incidents of a watch with one of these entities that overlap with a time, oldest first.

        Both limits are included. Incidents that were merged into another are left out.
        """
        statement = self._select(INCIDENTS.c.body, INCIDENTS.c.entity).where(
            has_name(watch), INCIDENTS.c.end >= to_seconds(start), INCIDENTS.c.start <= to_seconds(end)
        )
        wanted = set(entities)
        rows = self._database.read(lambda session: session.execute(statement.order_by(INCIDENTS.c.start)).all())
        incidents = [Incident.model_validate_json(body) for body, entity in rows if entity in wanted]
        return [incident for incident in incidents if not incident.merged_into]

    def count_open(self) -> int:
        """Return the number of incidents that are not resolved."""
        statement = self._select(func.count()).where(INCIDENTS.c.is_open)
        return self._database.read(lambda session: session.scalar(statement) or 0)

    def change_incident(
        self,
        incident_id: str,
        change: Callable[[Incident], Incident],
        announcements: Callable[[Incident], Sequence[Announcement]] = lambda _incident: (),
    ) -> Incident:
        """Replace an incident by what `change` makes of it, store what is announced about it, and return it.

        Two persons who change it at once do so one after the other. A tick that was about to change it is repeated.
        Raises NotFoundError, OptionError for several incidents whose id begins so, and the errors of `change`.
        """

        def change_once(session: Session) -> Incident:
            incident, watch_id = self._find(session, incident_id)
            changed = change(incident)
            assert (changed.id, changed.watch) == (incident.id, incident.watch)
            is_watch = WATCHES.c.id == watch_id
            session.execute(WATCHES.update().where(is_watch).values(edits=WATCHES.c.edits + 1))
            edit = session.scalar(select(WATCHES.c.edits).where(is_watch))
            values = _to_values(changed) | {"edit": edit}
            session.execute(INCIDENTS.update().where(INCIDENTS.c.id == incident.id).values(values))
            insert_announcements(session, watch_id, announcements(changed))
            return changed

        return self._database.write(change_once)

    def _select(self, *columns: Any) -> Any:
        joined = INCIDENTS.join(WATCHES, INCIDENTS.c.watch_id == WATCHES.c.id)
        return select(*columns).select_from(joined).where(WATCHES.c.workspace == self._database.workspace)

    def _find(self, session: Session, incident_id: str) -> tuple[Incident, int]:
        """Return an incident and the key of its watch."""
        if not PREFIX_PATTERN.fullmatch(incident_id):
            raise NotFoundError(
                N_("{id} is no incident. An id has at least {count} of the digits 0–9 and a–f."),
                id=incident_id[:80],
                count=MIN_PREFIX_CHARS,
            )
        is_next = INCIDENTS.c.id.between(incident_id, incident_id + "g")
        rows = session.execute(self._select(INCIDENTS.c.body, INCIDENTS.c.watch_id).where(is_next).limit(2)).all()
        if not rows:
            raise NotFoundError(N_("The incident {id} does not exist."), id=incident_id)
        if len(rows) > 1:
            raise OptionError(N_("Several incidents begin with {id}. Give more digits of the id."), id=incident_id)
        return Incident.model_validate_json(rows[0][0]), int(rows[0][1])


def write_incidents(session: Session, watch_id: int, incidents: Sequence[Incident], edits: int) -> None:
    """Insert or replace the incidents of a tick in the transaction of `session`; of one id, the last.

    edits  number of changes by persons that the tick knows

    Raises IncidentConflictError if a person has changed one of them since.
    """
    by_id = {incident.id: incident for incident in incidents}
    is_known = INCIDENTS.c.id.in_(list(by_id))
    known: dict[str, int] = dict(session.execute(select(INCIDENTS.c.id, INCIDENTS.c.edit).where(is_known)).all())
    if any(edit > edits for edit in known.values()):
        raise IncidentConflictError
    rows = [{"id": key, "watch_id": watch_id, "edit": 0, **_to_values(by_id[key])} for key in by_id.keys() - known]
    if rows:
        session.execute(INCIDENTS.insert(), rows)
    changes = [{"key": key, **_to_values(by_id[key])} for key in known]
    if changes:
        session.connection().execute(INCIDENTS.update().where(INCIDENTS.c.id == bindparam("key")), changes)


def _to_values(incident: Incident) -> dict[str, Any]:
    return {
        "entity": incident.entity,
        "is_open": incident.is_open,
        "severity": incident.severity,
        "peak": 0.0 if math.isnan(incident.peak) else incident.peak,
        "start": to_seconds(incident.start),
        "end": to_seconds(incident.end),
        "body": dump_record(incident),
    }
