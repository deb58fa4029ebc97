"""Announcements that wait to be delivered, and those that were.

Announcements that are due for one recipient become one message. Its id is stored before it is sent for the first time,
with the lease of the process that sends it. A process that is killed in between leaves the message as it is; after the
lease, another one sends it again under the same id. Write transactions run one after the other, so a message has one
sender at a time.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import uuid4

from sqlalchemy import and_, cast, func, select, true
from sqlalchemy.orm import Session

from core.messages import Message
from core.storage.watches.tables import ANNOUNCEMENTS, WATCHES
from core.storage.watches.watch_database import WatchDatabase, count_changes, dump_record, to_instant, to_seconds
from core.watches.announcing import Announcement, is_quiet
from core.watches.watch import Recipient

LEASE_S = 60.0  # twice the longest delivery
FIRST_WAIT_S, LONGEST_WAIT_S = 10.0, 600.0
"""Waits before the second attempt, which double, and the longest one."""
MAX_ATTEMPTS = 150  # about a day of them
CAP_S = 3600.0
MAX_BATCH = 5000  # announcements in one message
MAX_LISTED = 100


@dataclass(frozen=True)
class MessageClaim:
    """Announcements that this process sends to one recipient as one message.

    id       id of the message, the same on every attempt
    token    proves that the lease is still that of this claim
    attempt  number of the attempt, from 1 on
    """

    id: str
    token: str
    attempt: int
    announcements: tuple[Announcement, ...]


@dataclass(frozen=True)
class RejectedMessage:
    """A message that nobody tries to send any more, until a person does.

    count    number of its announcements
    ended    when it was given up
    problem  reason of the last attempt
    """

    id: str
    recipient: str
    watches: tuple[str, ...]
    count: int
    attempts: int
    ended: datetime
    problem: Message


@dataclass(frozen=True)
class WaitingCount:
    """Number of announcements to one recipient that are due, and how many of them quiet hours do not hold back."""

    recipient: str
    due: int
    urgent: int


class AnnouncementStore:
    """The announcements of one data folder. Times are those of the clock of the caller."""

    def __init__(self, database: WatchDatabase) -> None:
        self._database = database

    # ---- sending ----------------------------------------------------------------------------------------------------

    def count_due(self, now: datetime) -> list[WaitingCount]:
        """Return what is due for each recipient, whether or not it may be sent now; by name."""
        is_urgent = func.sum(cast(ANNOUNCEMENTS.c.is_urgent, ANNOUNCEMENTS.c.attempts.type))
        statement = self._select(ANNOUNCEMENTS.c.recipient, func.count(), is_urgent).where(
            ANNOUNCEMENTS.c.state == "waiting", ANNOUNCEMENTS.c.due <= to_seconds(now)
        )
        statement = statement.group_by(ANNOUNCEMENTS.c.recipient).order_by(ANNOUNCEMENTS.c.recipient)
        rows = self._database.read(lambda session: session.execute(statement).all())
        return [WaitingCount(*row) for row in rows]

    def is_capped(self, recipient: Recipient, now: datetime) -> bool:
        """Tell whether a recipient has had as many messages in the last hour as it wants."""
        return self._database.read(lambda session: self._is_capped(session, recipient, to_seconds(now)))

    def claim_message(self, recipient: Recipient, now: datetime, *, ignores_waits: bool = False) -> MessageClaim | None:
        """Lease the message to a recipient that is to be sent now; None if there is none.

        A message that failed comes first, after its wait; what is announced meanwhile becomes the next message. In
        quiet hours, only urgent announcements are sent, and messages that have one. No message is sent where the
        recipient has had `max_per_hour` in the last hour.

        ignores_waits  True does not wait before another attempt
        """
        seconds, is_held = to_seconds(now), is_quiet(recipient, now)

        def find_next(session: Session) -> str | None:
            return self._find_next(session, recipient, seconds, is_held, ignores_waits)

        def claim_once(session: Session) -> MessageClaim | None:
            message_id = find_next(session)
            if message_id is None:
                return None
            return self._lease(
                session, message_id or self._start_message(session, recipient, seconds, is_held), seconds
            )

        is_idle = self._database.read(find_next) is None  # most often, and a read keeps no writer waiting
        return None if is_idle else self._database.write(claim_once)

    def note_sent(self, claim: MessageClaim, now: datetime) -> int:
        """Note that a message was accepted, also where the lease was lost; return the number of its announcements."""
        values = {"state": "sent", "ended": to_seconds(now), "lease_until": 0.0, "problem": ""}
        is_message = and_(ANNOUNCEMENTS.c.message_id == claim.id, ANNOUNCEMENTS.c.state != "sent")
        statement = ANNOUNCEMENTS.update().where(is_message).values(values)
        return self._database.write(lambda session: count_changes(session, statement))

    def note_failure(self, claim: MessageClaim, problem: Message, now: datetime, *, is_final: bool = False) -> bool:
        """Note why a message was not accepted, and when the next attempt is; return False if the lease was lost.

        is_final  another attempt is useless, so that there is none; there is none after `MAX_ATTEMPTS` either
        """
        wait_s = min(FIRST_WAIT_S * 2.0 ** min(claim.attempt - 1, 30), LONGEST_WAIT_S)
        values: dict[str, Any] = {"problem": problem.dump(), "lease_until": 0.0}
        if is_final or claim.attempt >= MAX_ATTEMPTS:
            values |= {"state": "rejected", "ended": to_seconds(now)}
        else:
            values |= {"next_attempt": to_seconds(now) + wait_s}
        has_lease = and_(ANNOUNCEMENTS.c.message_id == claim.id, ANNOUNCEMENTS.c.lease_worker == claim.token)
        statement = ANNOUNCEMENTS.update().where(has_lease, ANNOUNCEMENTS.c.state == "waiting").values(values)
        return self._database.write(lambda session: count_changes(session, statement)) > 0

    def reject_waiting(self, recipient: str, problem: Message, now: datetime) -> int:
        """Give up what waits for a recipient that no longer exists; return the number of announcements."""
        is_waiting = and_(ANNOUNCEMENTS.c.recipient == recipient, ANNOUNCEMENTS.c.state == "waiting")
        values = {"state": "rejected", "ended": to_seconds(now), "problem": problem.dump()}

        def reject_once(session: Session) -> int:
            is_new = and_(is_waiting, ANNOUNCEMENTS.c.message_id == "")
            new_id = {"message_id": uuid4().hex}
            session.execute(ANNOUNCEMENTS.update().where(self._is_mine(), is_new).values(new_id))
            return count_changes(session, ANNOUNCEMENTS.update().where(self._is_mine(), is_waiting).values(values))

        return self._database.write(reject_once)

    # ---- what was given up ------------------------------------------------------------------------------------------

    def count_rejected(self) -> int:
        """Return the number of announcements that were given up."""
        statement = self._select(func.count()).where(ANNOUNCEMENTS.c.state == "rejected")
        return self._database.read(lambda session: session.scalar(statement) or 0)

    def list_rejected(self, limit: int = MAX_LISTED) -> list[RejectedMessage]:
        """Return the messages that were given up, the last one first."""
        columns = (ANNOUNCEMENTS.c.message_id, ANNOUNCEMENTS.c.recipient, ANNOUNCEMENTS.c.problem)
        ended, attempts = func.max(ANNOUNCEMENTS.c.ended), func.max(ANNOUNCEMENTS.c.attempts)
        statement = (
            self._select(*columns, func.count(), attempts, ended)
            .where(ANNOUNCEMENTS.c.state == "rejected")
            .group_by(*columns)
            .order_by(ended.desc(), ANNOUNCEMENTS.c.message_id)
            .limit(limit)
        )

        def list_once(session: Session) -> list[RejectedMessage]:
            rows = session.execute(statement).all()
            is_listed = ANNOUNCEMENTS.c.message_id.in_([row.message_id for row in rows])
            names: dict[str, set[str]] = {}
            for message_id, name in session.execute(
                self._select(ANNOUNCEMENTS.c.message_id, WATCHES.c.name).where(is_listed).distinct()
            ):
                names.setdefault(message_id, set()).add(name)
            return [
                RejectedMessage(key, name, tuple(sorted(names[key])), count, tries, _load_time(end), Message.load(text))
                for key, name, text, count, tries, end in rows
            ]

        return self._database.read(list_once)

    def retry_rejected(self, message_id: str, now: datetime) -> int:
        """Let a message that was given up be sent again, under its id; return the number of its announcements."""
        values = {"state": "waiting", "ended": None, "attempts": 0, "next_attempt": to_seconds(now), "lease_until": 0.0}
        return self._change_rejected(message_id, ANNOUNCEMENTS.update().values(values))

    def discard_rejected(self, message_id: str) -> int:
        """Forget a message that was given up; return the number of its announcements."""
        return self._change_rejected(message_id, ANNOUNCEMENTS.delete())

    def delete_sent(self, before: datetime) -> int:
        """Delete announcements that were sent before an instant; return their number."""
        is_old = and_(ANNOUNCEMENTS.c.state == "sent", ANNOUNCEMENTS.c.ended < to_seconds(before))
        statement = ANNOUNCEMENTS.delete().where(self._is_mine(), is_old)
        return self._database.write(lambda session: count_changes(session, statement))

    # ---- internals --------------------------------------------------------------------------------------------------

    def _select(self, *columns: Any) -> Any:
        joined = ANNOUNCEMENTS.join(WATCHES, ANNOUNCEMENTS.c.watch_id == WATCHES.c.id)
        return select(*columns).select_from(joined).where(WATCHES.c.workspace == self._database.workspace)

    def _is_mine(self) -> Any:
        """Return the SQL condition that an announcement is of a watch of this data folder."""
        return ANNOUNCEMENTS.c.watch_id.in_(select(WATCHES.c.id).where(WATCHES.c.workspace == self._database.workspace))

    def _change_rejected(self, message_id: str, statement: Any) -> int:
        is_message = and_(ANNOUNCEMENTS.c.message_id == message_id, ANNOUNCEMENTS.c.state == "rejected")
        return self._database.write(
            lambda session: count_changes(session, statement.where(self._is_mine(), is_message))
        )

    def _is_capped(self, session: Session, recipient: Recipient, seconds: float) -> bool:
        statement = self._select(func.count(ANNOUNCEMENTS.c.message_id.distinct())).where(
            ANNOUNCEMENTS.c.recipient == recipient.name,
            ANNOUNCEMENTS.c.state == "sent",
            ANNOUNCEMENTS.c.ended > seconds - CAP_S,
        )
        return (session.scalar(statement) or 0) >= recipient.max_per_hour

    def _list_started(self, session: Session, recipient: str) -> Sequence[Any]:
        """Return the messages to a recipient that have an id and were not accepted yet, oldest first."""
        statement = self._select(
            ANNOUNCEMENTS.c.message_id,
            func.max(ANNOUNCEMENTS.c.next_attempt).label("next_attempt"),
            func.max(ANNOUNCEMENTS.c.lease_until).label("lease_until"),
            func.max(cast(ANNOUNCEMENTS.c.is_urgent, ANNOUNCEMENTS.c.attempts.type)).label("is_urgent"),
        ).where(
            ANNOUNCEMENTS.c.recipient == recipient, ANNOUNCEMENTS.c.state == "waiting", ANNOUNCEMENTS.c.message_id != ""
        )
        statement = statement.group_by(ANNOUNCEMENTS.c.message_id).order_by(func.min(ANNOUNCEMENTS.c.number))
        return session.execute(statement).all()

    def _find_next(
        self, session: Session, recipient: Recipient, seconds: float, is_held: bool, ignores_waits: bool
    ) -> str | None:
        """Return the id of the message that is to be sent now; "" for a new one, None for none."""
        started = self._list_started(session, recipient.name)
        if self._is_capped(session, recipient, seconds) or any(row.lease_until > seconds for row in started):
            return None
        row = next((row for row in started if row.is_urgent or not is_held), None)
        if row is not None:
            return row.message_id if ignores_waits or row.next_attempt <= seconds else None
        return None if session.scalar(self._select_due(recipient, seconds, is_held).limit(1)) is None else ""

    def _select_due(self, recipient: Recipient, seconds: float, is_held: bool) -> Any:
        """Select the numbers of the announcements that belong to no message yet and may be sent now, oldest first."""
        return (
            self._select(ANNOUNCEMENTS.c.number)
            .where(
                ANNOUNCEMENTS.c.recipient == recipient.name,
                ANNOUNCEMENTS.c.state == "waiting",
                ANNOUNCEMENTS.c.message_id == "",
                ANNOUNCEMENTS.c.due <= seconds,
                ANNOUNCEMENTS.c.is_urgent if is_held else true(),
            )
            .order_by(ANNOUNCEMENTS.c.number)
        )

    def _start_message(self, session: Session, recipient: Recipient, seconds: float, is_held: bool) -> str:
        """Give what is due the id of a new message, and return it."""
        message_id, numbers = uuid4().hex, self._select_due(recipient, seconds, is_held).limit(MAX_BATCH)
        is_due = ANNOUNCEMENTS.c.number.in_(numbers)
        session.execute(ANNOUNCEMENTS.update().where(is_due).values(message_id=message_id))
        return message_id

    def _lease(self, session: Session, message_id: str, seconds: float) -> MessageClaim:
        token, is_message = uuid4().hex, ANNOUNCEMENTS.c.message_id == message_id
        values = {"lease_worker": token, "lease_until": seconds + LEASE_S, "attempts": ANNOUNCEMENTS.c.attempts + 1}
        session.execute(ANNOUNCEMENTS.update().where(is_message).values(values))
        columns = select(ANNOUNCEMENTS.c.body, ANNOUNCEMENTS.c.attempts).where(is_message)
        rows = session.execute(columns.order_by(ANNOUNCEMENTS.c.number)).all()
        announcements = tuple(Announcement.model_validate_json(row.body) for row in rows)
        return MessageClaim(message_id, token, max(row.attempts for row in rows), announcements)


def _load_time(seconds: float) -> datetime:
    instant = to_instant(seconds)
    assert instant is not None
    return instant


def insert_announcements(session: Session, watch_id: int, announcements: Sequence[Announcement]) -> int:
    """Insert announcements of a watch in the transaction of `session`; return their number.

    One with the id of a stored announcement is the same announcement, and is left out.
    """
    by_id = {announcement.id: announcement for announcement in announcements}
    known = set(session.scalars(select(ANNOUNCEMENTS.c.id).where(ANNOUNCEMENTS.c.id.in_(list(by_id)))))
    rows = [
        {
            "id": announcement.id,
            "watch_id": watch_id,
            "recipient": announcement.recipient,
            "due": to_seconds(announcement.due),
            "is_urgent": announcement.is_urgent,
            "state": "waiting",
            "attempts": 0,
            "next_attempt": to_seconds(announcement.due),
            "lease_worker": "",
            "lease_until": 0.0,
            "message_id": "",
            "problem": "",
            "body": dump_record(announcement),
        }
        for announcement in by_id.values()
        if announcement.id not in known
    ]
    if rows:
        session.execute(ANNOUNCEMENTS.insert(), rows)
    return len(rows)
