"""Watches, ticks and incidents as tests store them."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sqlalchemy import select

from core.storage.watches.judged_rows import JudgedBatch, RowStates, compute_digests
from core.storage.watches.stores import WatchStores
from core.storage.watches.tables import METADATA, WATCHES
from core.storage.watches.ticks import TickLease, TickOutcome, TickRecord
from core.watches.announcing import Announcement
from core.watches.incident import ChangeKind, Incident, IncidentChange
from core.watches.source import FolderSource
from core.watches.watch import Recipient, Watch
from tests.support.databases import wait_for_abandoned_calls

START = datetime(2026, 3, 1, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
Row = tuple[str, datetime]
"""Entity and instant."""


@contextmanager
def open_watch_stores(folder: Path, url: str) -> Iterator[WatchStores]:
    """Open the stores of a data folder, as one process does, and close them."""
    stores = WatchStores.open(folder, url)
    yield stores
    wait_for_abandoned_calls()
    stores.close()


def build_watch(name: str = "calls", **fields: Any) -> Watch:
    """Return a watch of a folder."""
    values = {
        "task": "anomalies",
        "model": "model@champion",
        "source": FolderSource(path="/data"),
        "schedule": "1 hour",
    }
    return Watch(name=name, **values | fields)


def build_recipient(name: str = "ops") -> Recipient:
    return Recipient(name=name, channel="mail", address=f"{name}@example.org")


def build_incident(watch: str = "calls", entity: str = "north", start: datetime = START, **fields: Any) -> Incident:
    """Return an incident of one row."""
    return Incident(watch=watch, entity=entity, **{"start": start, "end": start, "peak_at": start, **fields})


def build_announcement(incident: Incident, number: int = 1, kind: ChangeKind = "opened") -> Announcement:
    change = IncidentChange(kind=kind, incident=incident)
    return Announcement(id=f"{number:032x}", recipient="ops", watch=incident.watch, change=change, due=START)


def claim_watch(stores: WatchStores, now: datetime = START, worker: str = "worker", name: str = "") -> TickLease:
    lease = stores.ticks.claim_tick(worker, now, name)
    assert lease is not None
    return lease


def build_outcome(lease: TickLease, rows: Mapping[Row, float] | None = None, **fields: Any) -> TickOutcome:
    """Return the outcome of a tick that judged `rows`, with values; negative ones are alarms."""
    batch = build_batch(rows) if rows else None
    ended = fields.pop("ended", lease.due)
    record = TickRecord(lease.tick, lease.watch.name, lease.due, ended, ended, rows_new=len(rows or ()))
    return TickOutcome(record, **{"cursor": lease.cursor, "judged": batch, **fields})


def build_batch(rows: Mapping[Row, float]) -> JudgedBatch:
    values = np.array(list(rows.values()), dtype=np.float64)
    digests = compute_digests(pd.DataFrame({"value": values}))
    return JudgedBatch(*split_keys(rows), digests, values < 0)


def split_keys(rows: Mapping[Row, float]) -> tuple[Any, Any]:
    """Return the arrays of entities and instants."""
    entities = np.array([entity for entity, _ in rows], dtype=object)
    return entities, pd.to_datetime([instant for _, instant in rows], utc=True).tz_localize(None).to_numpy()


def build_arrivals(rows: Mapping[Row, float]) -> pd.DataFrame:
    """Return the rows as the table that a tick stores."""
    index = pd.MultiIndex.from_arrays(split_keys(rows), names=["entity", "instant"])
    return pd.DataFrame({"value": list(rows.values())}, index=index, dtype=np.float64)


def classify_rows(stores: WatchStores, rows: Mapping[Row, float], name: str = "calls") -> RowStates:
    batch = build_batch(rows)
    return stores.rows.classify(name, batch.entities, batch.instants, batch.digests)


def commit_rows(stores: WatchStores, rows: Mapping[Row, float], now: datetime = START, **fields: Any) -> None:
    """Judge rows of the watch `calls` in a tick at `now`."""
    lease = claim_watch(stores, now, name="calls")
    assert stores.ticks.commit_tick(lease, build_outcome(lease, rows, ended=now, **fields), now + HOUR)


def expire_leases(stores: WatchStores) -> None:
    """Let all leases end, as if their workers had been killed a while ago."""
    stores.database.write(lambda session: session.execute(WATCHES.update().values(lease_until=1.0)))


def dump_watch_tables(stores: WatchStores) -> dict[str, list[Any]]:
    """Return all rows of all tables, without leases."""

    def read_rows(session: Any) -> dict[str, list[Any]]:
        return {
            name: [
                tuple(value for key, value in row.items() if not key.startswith("lease_") and key != "attempts")
                for row in session.execute(select(table)).mappings()
            ]
            for name, table in METADATA.tables.items()
        }

    return stores.database.read(read_rows)
