"""The stores of watches of one data folder, which share a database."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from core.storage.watches.announcement_store import AnnouncementStore
from core.storage.watches.incident_store import IncidentStore
from core.storage.watches.judged_rows import JudgedRows
from core.storage.watches.maintenance_store import MaintenanceStore
from core.storage.watches.recipient_store import RecipientStore
from core.storage.watches.ticks import TickStore
from core.storage.watches.watch_database import LEASE_S, WatchDatabase
from core.storage.watches.watch_store import WatchStore


@dataclass(frozen=True)
class WatchStores:
    """Watches, whom they tell, their ticks, judged rows and incidents, and what is announced."""

    database: WatchDatabase
    watches: WatchStore
    recipients: RecipientStore
    maintenance: MaintenanceStore
    ticks: TickStore
    rows: JudgedRows
    incidents: IncidentStore
    announcements: AnnouncementStore

    @classmethod
    def open(cls, folder: Path, url: str = "", lease_s: float = LEASE_S) -> Self:
        """Return the stores in `folder`/watches.db, or in the database `url`, which the first call opens.

        lease_s  seconds after which the tick of a killed worker is repeated

        Raises OptionError for any database other than SQLite and PostgreSQL.
        """
        database = WatchDatabase(folder, url, lease_s)
        return cls(
            database,
            WatchStore(database),
            RecipientStore(database),
            MaintenanceStore(database),
            TickStore(database),
            JudgedRows(database),
            IncidentStore(database),
            AnnouncementStore(database),
        )

    def fetch_version(self) -> str:
        """Return the name and version of the database, for example "PostgreSQL 15.14"."""
        return self.database.fetch_version()

    def load_driver(self) -> None:
        """Import the driver of the database."""
        self.database.load_driver()

    def reset(self) -> None:
        """Close the circuit breaker, so the next call reaches the database."""
        self.database.reset()

    def close(self) -> None:
        """Close all connections; the next call opens new ones."""
        self.database.close()
