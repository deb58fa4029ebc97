"""Announcements for tests: incidents, recipients, and a store in which they wait."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

from core.storage.watches.announcement_store import insert_announcements
from core.storage.watches.stores import WatchStores
from core.watches.announcing import Announcement
from core.watches.incident import ChangeKind, Incident, IncidentChange
from core.watches.source import FolderSource
from core.watches.watch import Recipient, Watch

MORNING = datetime(2026, 3, 2, 6, tzinfo=UTC)
WATCH = "load"


def make_incident(number: int = 0, **fields: Any) -> Incident:
    """Return an incident of its own entity, from 06:00 to 09:00 UTC."""
    values = {
        "id": sha256(str(number).encode()).hexdigest()[:32],
        "watch": WATCH,
        "entity": f"lyon-{number}",
        "start": MORNING,
        "end": MORNING + timedelta(hours=3),
        "peak_at": MORNING,
        "peak": 5.0,
        "severity": 2,
        "rows": 4,
        "column": "power",
        "measured": 123.4567891,
        "expected": 80.0,
        "low": 70.0,
        "high": 95.0,
        "unit": "MW",
        "opened_at": MORNING,
        "changed_at": MORNING,
    }
    return Incident(**values | fields)


def announce(
    incident: Incident,
    recipient: str = "ada",
    kind: ChangeKind = "opened",
    due: datetime = MORNING,
    *,
    is_urgent: bool = False,
) -> Announcement:
    """Return the announcement of a change of an incident."""
    change = IncidentChange(kind=kind, incident=incident)
    key = f"{incident.id}{kind}{incident.severity}{recipient}"
    return Announcement(
        id=sha256(key.encode()).hexdigest()[:32],
        recipient=recipient,
        watch=WATCH,
        change=change,
        due=due,
        is_urgent=is_urgent,
    )


def make_recipient(address: str = "ada@example.org", **fields: Any) -> Recipient:
    """Return a recipient, named ada."""
    return Recipient(**{"name": "ada", "channel": "mail", "address": address, **fields})


def open_stores(folder: Path, recipients: Sequence[Recipient], url: str = "") -> WatchStores:
    """Open the stores of watches with one watch that tells `recipients`; they need not be stored."""
    stores = WatchStores.open(folder / "watches", url)
    for recipient in recipients:
        stores.recipients.save_recipient(recipient)
    watch = Watch(
        name=WATCH,
        task="anomalies",
        model="load@champion",
        source=FolderSource(path=str(folder)),
        schedule="1 hour",
        recipients=tuple(recipient.name for recipient in recipients),
    )
    stores.watches.add_watch(watch, MORNING)
    return stores


def store_announcements(stores: WatchStores, announcements: Sequence[Announcement]) -> int:
    """Store announcements as a tick does."""
    database = stores.database
    return database.write(
        lambda session: insert_announcements(session, database.find_watch_id(session, WATCH), announcements)
    )
