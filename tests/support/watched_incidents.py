"""Stored watches with incidents and the rows around them, as ticks leave them."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd

from core.storage.watches.judged_rows import JudgedBatch
from core.storage.watches.ticks import TickOutcome, TickRecord
from core.watches.incident import Incident, IncidentChange
from core.watches.source import FolderSource
from core.watches.watch import Watch
from core.workspace import Workspace

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
WATCHED_HOURS = 6


def make_incident(entity: str = "lyon", **fields: object) -> Incident:
    """Return an incident of the last hour with all that a task tells about it."""
    values = {
        "watch": "gas",
        "entity": entity,
        "start": NOW - HOUR,
        "end": NOW,
        "peak_at": NOW,
        "peak": 5.3,
        "severity": 3,
        "rows": 2,
        "column": "load",
        "measured": 182.3,
        "expected": 101.2,
        "low": 60.0,
        "high": 140.0,
        "zone": "Europe/Paris",
        "unit": "MW",
        **fields,
    }
    return Incident.model_validate(values)


def store_incidents(
    workspace: Workspace, *incidents: Incident, name: str = "gas", model: str = "ab" * 16, owner: str = ""
) -> None:
    """Store a watch with one tick that opened the incidents, and keeps the rows of lyon."""
    watch = Watch(
        name=name,
        task="anomalies",
        model=model,
        source=FolderSource(path=str(workspace.folder / "inbox")),
        schedule="1 hour",
        reading={"zone": "Europe/Paris"},
        history_days=1000,
        owner=owner,
    )
    workspace.watches.watches.add_watch(watch, NOW)
    lease = workspace.watches.ticks.claim_tick("worker", NOW, name)
    assert lease is not None
    instants = pd.date_range(NOW.replace(tzinfo=None) - (WATCHED_HOURS - 1) * HOUR, periods=WATCHED_HOURS, freq="h")
    entities = np.array(["lyon"] * WATCHED_HOURS, dtype=object)
    values = np.linspace(100, 182.3, WATCHED_HOURS)
    index = pd.MultiIndex.from_arrays([entities, instants], names=["entity", "instant"])
    outcome = TickOutcome(
        TickRecord(lease.tick, name, NOW, NOW, NOW + timedelta(seconds=1), rows_new=WATCHED_HOURS, alarms=2),
        "cursor",
        JudgedBatch(
            entities,
            instants.to_numpy(),
            np.arange(WATCHED_HOURS, dtype=np.uint64),
            np.zeros(WATCHED_HOURS, dtype=bool),
        ),
        pd.DataFrame({"load": values}, index=index),
        tuple(IncidentChange(kind="opened", incident=incident) for incident in incidents),
    )
    assert workspace.watches.ticks.commit_tick(lease, outcome, NOW + HOUR)
