"""The ledger of judged rows, by which no row is judged twice and none is skipped silently; and the stored arrivals.

The ledger knows every judged row of the last `CORRECTION_DAYS` days before the newest one, with a digest of its values,
and older ones while it is smaller than `MAX_LEDGER_BYTES`. Of forgotten rows it knows one thing, the newest judged
instant of each entity. So a row is

- new: the ledger does not have it, and it is not older than the ledger, or it is the newest of its entity,
- corrected: it was judged with other values, and is judged again,
- known: it was judged with these values,
- late: it is older than the ledger, and not the newest of its entity. Whether it was judged is forgotten, so it is not
  judged. A tick counts these rows.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sqlalchemy import select
from sqlalchemy.orm import Session

from core.errors import DataError
from core.messages import N_
from core.storage.watches.alarm_rows import plan_alarms, read_alarms
from core.storage.watches.blocks import (
    KEY_COLUMNS,
    NS_PER_DAY,
    NS_PER_S,
    SECONDS_PER_DAY,
    BlockChange,
    BlockKind,
    delete_blocks_before,
    drop_replaced,
    measure_blocks,
    plan_blocks,
    read_block_range,
    read_blocks,
    write_blocks,
)
from core.storage.watches.tables import ENTITIES, LEDGERS
from core.storage.watches.watch_database import TICK_TIMEOUT_S, WatchDatabase, count_changes, to_seconds

CORRECTION_DAYS, MAX_LEDGER_BYTES = 35, 16 * 2**20
BYTES_PER_ROW = 12  # of the ledger, about
NEW, CORRECTED, KNOWN, LATE = range(4)
MAX_ENTITIES = 100_000  # a column of other values, taken for names, would let every tick take longer than the last
NEVER = np.iinfo(np.int64).min
FIRST_S = -9_200_000_000.0  # near the first instant of pandas
DELETED_AT_ONCE = 1000  # blocks
LEDGER_KINDS: tuple[BlockKind, ...] = ("judged", "alarms")  # of blocks that are forgotten with the ledger


@dataclass(frozen=True)
class JudgedBatch:
    """Rows that a tick has judged, as arrays of equal length.

    entities      names
    instants      datetime64[ns], UTC, or the clock of the data
    digests       uint64 of the values, see `compute_digests`
    is_anomalous  alarms
    alarms        rows of `select_alarms`, kept as long as corrections are judged; None for none
    """

    entities: NDArray[np.object_]
    instants: NDArray[np.datetime64]
    digests: NDArray[np.uint64]
    is_anomalous: NDArray[np.bool_]
    alarms: pd.DataFrame | None = None


@dataclass(frozen=True)
class RowStates:
    """The state of each row, one of NEW, CORRECTED, KNOWN and LATE; and whether it was an alarm when it was judged."""

    states: NDArray[np.int8]
    was_anomalous: NDArray[np.bool_]

    @property
    def needs_judgement(self) -> NDArray[np.bool_]:
        """True for new and corrected rows."""
        return self.states <= CORRECTED

    def count_rows(self, state: int) -> int:
        """Return the number of rows in this state."""
        return int(np.count_nonzero(self.states == state))


@dataclass(frozen=True)
class LedgerChange:
    """Changes of the ledger and of the stored arrivals by one tick."""

    new_entities: list[tuple[int, str]] = field(default_factory=list)
    newest: bytes = b""
    horizon: float = 0.0
    judged: BlockChange = field(default_factory=BlockChange)
    arrived: BlockChange = field(default_factory=BlockChange)
    alarms: BlockChange = field(default_factory=BlockChange)
    keep_arrivals_since: float | None = None


class JudgedRows:
    """The judged rows and the stored arrivals of all watches of one data folder."""

    def __init__(self, database: WatchDatabase) -> None:
        self._database = database

    def classify(
        self,
        name: str,
        entities: Sequence[str] | NDArray[np.object_],
        instants: NDArray[np.datetime64],
        digests: NDArray[np.uint64],
    ) -> RowStates:
        """Return the states of rows of the watch `name`, none of them twice: arrays as in `JudgedBatch`.

        Raises NotFoundError, DataError for too many entities, and VigieError for a damaged ledger.
        """
        names, nanoseconds = np.asarray(entities, dtype=object), to_nanoseconds(instants)

        def classify_once(session: Session) -> RowStates:
            watch_id = self._database.find_watch_id(session, name)
            numbers = _look_up_numbers(session, watch_id, names)
            newest, horizon = _load_heads(session, watch_id)
            is_older = nanoseconds < int(horizon) * NS_PER_S
            places = np.where((numbers >= 0) & (numbers < len(newest)), numbers, len(newest))
            is_behind = nanoseconds <= np.append(newest, NEVER)[places]
            rows = read_blocks(session, watch_id, "judged", nanoseconds[~is_older & is_behind])
            return _compare(rows, numbers, nanoseconds, digests.astype(np.uint64), is_older & is_behind)

        return self._database.read(classify_once, TICK_TIMEOUT_S)

    def load_past(self, name: str, entities: Collection[str] | None, since: datetime, until: datetime) -> pd.DataFrame:
        """Return the stored arrivals of these entities, of all for None, from `since` up to, and without, `until`.

        The index is (entity, instant), sorted; instants are datetime64[ns] in UTC, or by the clock of the data. Of a
        corrected row, the last form counts. Raises NotFoundError, and VigieError for damaged rows.
        """
        first, end = _to_nanosecond(since), _to_nanosecond(until)

        def load_once(session: Session) -> tuple[pd.DataFrame, dict[str, int]]:
            watch_id = self._database.find_watch_id(session, name)
            return read_block_range(session, watch_id, "arrived", first, end - 1), _load_numbers(session, watch_id)

        rows, numbers = self._database.read(load_once, TICK_TIMEOUT_S)
        wanted = set(numbers) if entities is None else set(entities)
        names = {number: entity for entity, number in numbers.items() if entity in wanted}
        is_asked = rows["entity"].isin(list(names)) & (rows["instant"] >= first) & (rows["instant"] < end)
        rows = drop_replaced(rows[is_asked])
        index = pd.MultiIndex.from_arrays(
            [rows["entity"].map(names).astype(object), pd.to_datetime(rows["instant"].astype(np.int64))],
            names=KEY_COLUMNS,
        )
        return rows.drop(columns=KEY_COLUMNS).set_axis(index).sort_index()

    def load_alarms(self, name: str, entities: Collection[str], start: datetime, end: datetime) -> pd.DataFrame:
        """Return the alarms of these entities from `start` to `end`, with `JUDGED_COLUMNS`, sorted by their keys.

        Those older than the ledger are forgotten. Instants are datetime64[ns] in UTC. Raises NotFoundError, and
        ServiceUnavailableError for damaged rows.
        """

        def load_once(session: Session) -> pd.DataFrame:
            watch_id = self._database.find_watch_id(session, name)
            names = {number: entity for entity, number in _load_numbers(session, watch_id).items()}
            return read_alarms(session, watch_id, names, entities, _to_nanosecond(start), _to_nanosecond(end))

        return self._database.read(load_once, TICK_TIMEOUT_S)


def compute_digests(values: pd.DataFrame) -> NDArray[np.uint64]:
    """Return a digest of the values of each row; the order of the columns counts, their names do not."""
    numbers = values.astype(np.float64) + 0.0  # -0.0 and 0.0 are the same value
    digests: NDArray[np.uint64] = pd.util.hash_pandas_object(numbers, index=False).to_numpy()
    return digests


def to_nanoseconds(instants: NDArray[np.datetime64] | pd.DatetimeIndex) -> NDArray[np.int64]:
    """Return nanoseconds since 1970 (UTC). Raises ValueError for a missing instant."""
    index = pd.DatetimeIndex(instants)
    if index.hasnans:
        raise ValueError("an instant is missing")
    utc = index if index.tz is None else index.tz_convert(UTC).tz_localize(None)
    nanoseconds: NDArray[np.int64] = utc.as_unit("ns").asi8
    return nanoseconds


def _to_nanosecond(instant: datetime) -> int:
    if instant.tzinfo is None:
        raise ValueError(f"{instant} has no time zone")
    return int(pd.Timestamp(instant).as_unit("ns").value)


# ---- the part of a tick ---------------------------------------------------------------------------------------------


def plan_ledger(
    session: Session,
    watch_id: int,
    batch: JudgedBatch | None,
    arrivals: pd.DataFrame | None,
    keep_arrivals_since: datetime | None,
    now: datetime,
) -> LedgerChange:
    """Return what a tick writes about rows, from what is stored; nothing is written.

    now  instants after it do not move the ledger, which a wrong clock of a sensor would let forget all others
    """
    numbers = _load_numbers(session, watch_id)
    judged = None if batch is None or not len(batch.entities) else batch
    stored = None if arrivals is None or arrivals.empty else arrivals
    names = [] if judged is None else list(judged.entities)
    names += [] if stored is None else list(stored.index.get_level_values(0).unique())
    new_entities = [
        (number, name)
        for number, name in enumerate((n for n in dict.fromkeys(names) if n not in numbers), len(numbers))
    ]
    numbers |= {name: number for number, name in new_entities}
    newest, horizon = _load_heads(session, watch_id)
    judged_change = BlockChange()
    if judged is not None:
        rows = pd.DataFrame(
            {
                "entity": np.array([numbers[name] for name in judged.entities], dtype=np.int32),
                "instant": to_nanoseconds(judged.instants),
                "digest": judged.digests.astype(np.uint64),
                "is_anomalous": judged.is_anomalous.astype(np.bool_),
            }
        )
        newest = np.append(newest, np.full(max(len(numbers) - len(newest), 0), NEVER))
        np.maximum.at(newest, rows["entity"].to_numpy(), rows["instant"].to_numpy())
        latest = min(int(rows["instant"].max()), _to_nanosecond(now))
        horizon = _move_horizon(session, watch_id, horizon, latest, len(rows))
        recent = drop_replaced(rows[rows["instant"] >= int(horizon) * NS_PER_S])
        judged_change = plan_blocks(session, watch_id, "judged", recent) if len(recent) else judged_change
    return LedgerChange(
        new_entities,
        newest.tobytes(),
        horizon,
        judged_change,
        BlockChange() if stored is None else _plan_arrivals(session, watch_id, stored, numbers),
        plan_alarms(session, watch_id, None if judged is None else judged.alarms, numbers, horizon),
        None if keep_arrivals_since is None else to_seconds(keep_arrivals_since),
    )


def write_ledger(session: Session, watch_id: int, change: LedgerChange) -> None:
    """Write what a tick has planned, and delete what is older than the ledger."""
    if change.new_entities:
        rows = [{"watch_id": watch_id, "number": number, "name": name} for number, name in change.new_entities]
        session.execute(ENTITIES.insert(), rows)
    values = {"newest": change.newest, "horizon": change.horizon}
    if not count_changes(session, LEDGERS.update().where(LEDGERS.c.watch_id == watch_id).values(values)):
        session.execute(LEDGERS.insert().values(watch_id=watch_id, **values))
    write_blocks(session, watch_id, "judged", change.judged)
    write_blocks(session, watch_id, "arrived", change.arrived)
    write_blocks(session, watch_id, "alarms", change.alarms)
    for kind in LEDGER_KINDS:
        delete_blocks_before(session, watch_id, kind, change.horizon, DELETED_AT_ONCE)
    if change.keep_arrivals_since is not None:
        delete_blocks_before(session, watch_id, "arrived", change.keep_arrivals_since, DELETED_AT_ONCE)


def _move_horizon(session: Session, watch_id: int, horizon: float, latest: int, new_rows: int) -> float:
    """Return the seconds before which rows are forgotten, once `new_rows` up to `latest` (ns) are in the ledger.

    It moves by whole days, so that the size of the ledger is measured once a day.
    """
    limit = float((latest // NS_PER_DAY - CORRECTION_DAYS) * SECONDS_PER_DAY)
    if limit <= horizon:
        return horizon
    total_bytes = measure_blocks(session, watch_id, "judged") + new_rows * BYTES_PER_ROW
    return limit if total_bytes > MAX_LEDGER_BYTES else horizon


def _plan_arrivals(session: Session, watch_id: int, arrivals: pd.DataFrame, numbers: dict[str, int]) -> BlockChange:
    names, instants = arrivals.index.get_level_values(0), arrivals.index.get_level_values(1)
    keys = pd.DataFrame({"entity": names.map(numbers).to_numpy(np.int32), "instant": to_nanoseconds(instants)})
    rows = pd.concat([keys, arrivals.reset_index(drop=True).astype(np.float64)], axis=1)
    return plan_blocks(session, watch_id, "arrived", drop_replaced(rows))


def _load_numbers(session: Session, watch_id: int) -> dict[str, int]:
    statement = select(ENTITIES.c.name, ENTITIES.c.number).where(ENTITIES.c.watch_id == watch_id)
    return dict(session.execute(statement).all())


def _look_up_numbers(session: Session, watch_id: int, names: NDArray[np.object_]) -> NDArray[np.int64]:
    """Return the number of each entity; -1 for an unknown one. Raises DataError for too many entities."""
    numbers = _load_numbers(session, watch_id)
    total = len(numbers) + len(set(names) - numbers.keys())
    if total > MAX_ENTITIES:
        raise DataError(
            N_(
                "With these rows, the watch has {count} entities. Accepted: at most {accepted}. Check which column of "
                "the files names the entity."
            ),
            count=total,
            accepted=MAX_ENTITIES,
        )
    return np.array([numbers.get(name, -1) for name in names], dtype=np.int64)


def _load_heads(session: Session, watch_id: int) -> tuple[NDArray[np.int64], float]:
    """Return the newest judged instant of each entity (ns), and the seconds before which judged rows are forgotten."""
    statement = select(LEDGERS.c.newest, LEDGERS.c.horizon).where(LEDGERS.c.watch_id == watch_id)
    row = session.execute(statement).one_or_none()
    return (np.empty(0, dtype=np.int64), FIRST_S) if row is None else (np.frombuffer(row[0], np.int64).copy(), row[1])


def _compare(
    ledger: pd.DataFrame,
    numbers: NDArray[np.int64],
    nanoseconds: NDArray[np.int64],
    digests: NDArray[np.uint64],
    is_late: NDArray[np.bool_],
) -> RowStates:
    states = np.where(is_late, LATE, NEW).astype(np.int8)
    was_anomalous = np.zeros(len(states), dtype=np.bool_)
    if len(ledger) and len(states):
        ledger = drop_replaced(ledger).set_index(KEY_COLUMNS)
        places = ledger.index.get_indexer(pd.MultiIndex.from_arrays([numbers, nanoseconds]))
        is_stored = (places >= 0) & ~is_late
        same = ledger["digest"].to_numpy()[places] == digests
        states[is_stored] = np.where(same, KNOWN, CORRECTED)[is_stored]
        was_anomalous[is_stored] = ledger["is_anomalous"].to_numpy()[places][is_stored]
    return RowStates(states, was_anomalous)
