"""Recipients: the persons and channels that incidents are announced to."""

import json
from collections.abc import Sequence

from sqlalchemy import and_, select
from sqlalchemy.orm import Session

from core.errors import NotFoundError, OptionError
from core.messages import N_
from core.storage.watches.tables import RECIPIENTS, WATCHES
from core.storage.watches.watch_database import WatchDatabase, count_changes
from core.watches.watch import Recipient


class RecipientStore:
    """The recipients of one data folder, by name."""

    def __init__(self, database: WatchDatabase) -> None:
        self._database = database

    def save_recipient(self, recipient: Recipient) -> None:
        """Store a new recipient, or another form of the one of this name."""
        body = recipient.model_dump_json()

        def save_once(session: Session) -> None:
            key = {"workspace": self._database.workspace, "name": recipient.name}
            has_key = and_(RECIPIENTS.c.workspace == key["workspace"], RECIPIENTS.c.name == key["name"])
            if not count_changes(session, RECIPIENTS.update().where(has_key).values(body=body)):
                session.execute(RECIPIENTS.insert().values(**key, body=body))

        self._database.write(save_once)

    def load_recipient(self, name: str) -> Recipient:
        """Return the recipient `name`. Raises NotFoundError."""
        has_key = and_(RECIPIENTS.c.workspace == self._database.workspace, RECIPIENTS.c.name == name)
        body = self._database.read(lambda session: session.scalar(select(RECIPIENTS.c.body).where(has_key)))
        if body is None:
            raise _make_missing_error(name)
        return Recipient.model_validate_json(body)

    def list_recipients(self) -> list[Recipient]:
        """Return all recipients, by name."""
        is_mine = RECIPIENTS.c.workspace == self._database.workspace
        statement = select(RECIPIENTS.c.body).where(is_mine).order_by(RECIPIENTS.c.name)
        bodies = self._database.read(lambda session: session.scalars(statement).all())
        return [Recipient.model_validate_json(body) for body in bodies]

    def delete_recipient(self, name: str) -> None:
        """Delete a recipient. Raises NotFoundError, and OptionError while a watch names it."""

        def delete_once(session: Session) -> None:
            is_mine = WATCHES.c.workspace == self._database.workspace
            statement = select(WATCHES.c.name, WATCHES.c.body).where(is_mine).order_by(WATCHES.c.name)
            watches = [watch for watch, body in session.execute(statement) if name in json.loads(body)["recipients"]]
            if watches:
                raise OptionError(
                    N_("The recipient {name} is told by the watches {watches}. Remove it from them first."),
                    name=name,
                    watches=", ".join(watches),
                )
            has_key = and_(RECIPIENTS.c.workspace == self._database.workspace, RECIPIENTS.c.name == name)
            if not count_changes(session, RECIPIENTS.delete().where(has_key)):
                raise _make_missing_error(name)

        self._database.write(delete_once)


def find_unknown_recipients(session: Session, workspace: str, names: Sequence[str]) -> list[str]:
    """Return those of `names` that are no stored recipient."""
    known = set(session.scalars(select(RECIPIENTS.c.name).where(RECIPIENTS.c.workspace == workspace)))
    return [name for name in names if name not in known]


def _make_missing_error(name: str) -> NotFoundError:
    return NotFoundError(N_("The recipient {name} does not exist."), name=name[:80])
