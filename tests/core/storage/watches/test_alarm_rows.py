"""Stored alarms let incidents follow corrections, with the real stores."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from core.storage.watches import judged_rows
from core.storage.watches.judged_rows import JudgedBatch, compute_digests
from core.storage.watches.stores import WatchStores
from core.storage.watches.ticks import TickOutcome, TickRecord
from core.watches.judgement import JUDGED_COLUMNS
from core.watches.merging import NO_ALARMS, measure_reach, merge_judgement, select_alarms
from tests.core.watches.judged_tables import START, STEP, WATCH, PlannedRow, build_judgement
from tests.core.watches.test_merging import ENTITIES, merge_plainly

NOW = START + timedelta(days=2)


@pytest.fixture
def stores(tmp_path: Path) -> Iterator[WatchStores]:
    opened = WatchStores.open(tmp_path)
    opened.watches.add_watch(WATCH, NOW)
    yield opened
    opened.close()


def run_tick(stores: WatchStores, rows: list[PlannedRow], now: datetime = NOW) -> None:
    """Judge rows as a tick does."""
    lease = stores.ticks.claim_tick("worker", now, WATCH.name)
    assert lease is not None
    judgement = build_judgement(rows)
    entities = judgement.rows["entity"].to_numpy(dtype=object)
    instants = judgement.rows["instant"].to_numpy(dtype="datetime64[ns]")
    digests = compute_digests(judgement.rows[["score", "severity", "measured", "is_anomalous"]])
    was_anomalous = stores.rows.classify(WATCH.name, entities, instants, digests).was_anomalous
    reach = measure_reach(judgement)
    first, last = (pd.Timestamp(value, tz=UTC).to_pydatetime() for value in (instants.min(), instants.max()))
    incidents = [
        *stores.incidents.list_touching(WATCH.name, set(entities), first - reach, last + reach),
        *stores.incidents.list_incidents(watch=WATCH.name, is_open=True),
    ]
    past = NO_ALARMS
    if was_anomalous.any() and incidents:
        span = min(incident.start for incident in incidents), max(incident.end for incident in incidents)
        past = stores.rows.load_alarms(WATCH.name, set(entities), *span)
    changes = merge_judgement(WATCH, incidents, judgement, was_anomalous, now, "run", past)
    batch = JudgedBatch(
        entities,
        instants,
        digests,
        judgement.rows["is_anomalous"].to_numpy(dtype=bool),
        select_alarms(judgement, was_anomalous),
    )
    record = TickRecord(lease.tick, WATCH.name, lease.due, now, now)
    assert stores.ticks.commit_tick(lease, TickOutcome(record, judged=batch, changes=changes), now)


@pytest.mark.parametrize("seed", range(3))
def test_incidents_follow_corrections_in_database(stores: WatchStores, seed: int) -> None:
    random = np.random.default_rng(seed)
    ticks = []
    for _ in range(8):
        keys = {(str(random.choice(ENTITIES)), int(random.integers(16))) for _ in range(10)}
        severities = [None if random.random() < 0.4 else int(random.integers(4)) for _ in keys]
        ticks.append(
            [
                PlannedRow(*key, float(random.integers(1, 5)), severity, float(random.choice([-1, 1])))
                for key, severity in zip(keys, severities, strict=True)
            ]
        )
    names = ("entity", "start", "end", "rows", "severity", "peak_at", "rows_above")
    for number, rows in enumerate(ticks):
        run_tick(stores, rows)
        found = stores.incidents.list_incidents(is_open=True)
        expected = merge_plainly([row for tick in ticks[: number + 1] for row in tick])
        assert {tuple(getattr(incident, name) for name in names) for incident in found} == expected
        assert len(found) == len(expected)


def test_alarms_are_loaded_as_they_were_judged_last(stores: WatchStores) -> None:
    rows = [PlannedRow(entity, step, 2.0, 1, -3.0) for entity in ENTITIES for step in range(4)]
    run_tick(stores, rows)
    run_tick(stores, [PlannedRow("paris", 1), PlannedRow("paris", 2, 5.0, 3, 2.0)])
    alarms = stores.rows.load_alarms(WATCH.name, {"paris"}, START, START + 2 * STEP)
    assert list(alarms.columns) == list(JUDGED_COLUMNS)
    assert alarms["instant"].tolist() == [pd.Timestamp("2024-05-01 00:00"), pd.Timestamp("2024-05-01 02:00")]
    assert alarms["score"].tolist() == [2.0, 5.0]
    assert alarms["measured"].tolist() == [7.0, 12.0]
    assert alarms["causes"].tolist() == [["load"], ["load"]]
    assert stores.rows.load_alarms(WATCH.name, {"nice"}, START, NOW).empty


def test_alarms_are_forgotten_with_the_ledger(stores: WatchStores, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judged_rows, "MAX_LEDGER_BYTES", 0)
    run_tick(stores, [PlannedRow("paris", 0, 2.0, 1)])
    later = 40 * 24
    run_tick(stores, [PlannedRow("paris", later, 2.0, 1)], NOW + timedelta(days=40))
    alarms = stores.rows.load_alarms(WATCH.name, {"paris"}, START, NOW + timedelta(days=40))
    assert alarms["instant"].tolist() == [pd.Timestamp(START + later * STEP).tz_localize(None)]
