"""Maintenance windows: times of planned work, in which nobody is told."""

from sqlalchemy import and_, select
from sqlalchemy.orm import Session

from core.errors import NotFoundError
from core.messages import N_
from core.storage.watches.tables import MAINTENANCE
from core.storage.watches.watch_database import WatchDatabase, count_changes
from core.watches.maintenance import MaintenanceWindow


class MaintenanceStore:
    """The maintenance windows of one data folder."""

    def __init__(self, database: WatchDatabase) -> None:
        self._database = database

    def save_window(self, window: MaintenanceWindow) -> None:
        """Store a new window, or another form of the one with this id."""
        body = window.model_dump_json()

        def save_once(session: Session) -> None:
            key = {"workspace": self._database.workspace, "id": window.id}
            has_key = and_(MAINTENANCE.c.workspace == key["workspace"], MAINTENANCE.c.id == key["id"])
            if not count_changes(session, MAINTENANCE.update().where(has_key).values(body=body)):
                session.execute(MAINTENANCE.insert().values(**key, body=body))

        self._database.write(save_once)

    def list_windows(self) -> list[MaintenanceWindow]:
        """Return all windows, oldest first."""
        statement = select(MAINTENANCE.c.body).where(MAINTENANCE.c.workspace == self._database.workspace)
        bodies = self._database.read(lambda session: session.scalars(statement).all())
        windows = [MaintenanceWindow.model_validate_json(body) for body in bodies]
        return sorted(windows, key=lambda window: (window.created_at, window.id))

    def delete_window(self, window_id: str) -> None:
        """Delete a window. Raises NotFoundError."""
        has_key = and_(MAINTENANCE.c.workspace == self._database.workspace, MAINTENANCE.c.id == window_id)
        if not self._database.write(lambda session: count_changes(session, MAINTENANCE.delete().where(has_key))):
            raise NotFoundError(N_("The maintenance window {id} does not exist."), id=window_id[:80])
