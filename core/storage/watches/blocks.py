"""Blocks: rows of a watch in few records of the database, because a tick of a thousand rows is one of a thousand ticks.

A block holds rows of one day (UTC) that were written by one tick. Small blocks are merged, so that their number stays
low. Where two blocks have the same row, that of the later one counts.
"""

import zlib
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.orm import Session

from core.errors import VigieError
from core.messages import N_
from core.storage.watches.tables import BLOCKS

BlockKind = Literal["judged", "arrived", "alarms"]
KEY_COLUMNS = ["entity", "instant"]
SECONDS_PER_DAY = 86_400
NS_PER_S, NS_PER_DAY = 10**9, SECONDS_PER_DAY * 10**9
SMALL_BYTES, MERGED_AT_ONCE = 64 * 1024, 32
MERGED_DAYS = 3  # a batch with rows of more days writes large blocks anyway
SELECTED_DAYS = 64  # more are selected as one stretch of time
CHECKSUM_BYTES = 4


@dataclass(frozen=True)
class Block:
    """Rows of one day: its number since 1970, seconds of the first and last row, and the rows."""

    day: int
    first: float
    last: float
    body: bytes


@dataclass(frozen=True)
class BlockChange:
    """Blocks to insert, and keys of those that are merged into them."""

    blocks: list[Block] = field(default_factory=list)
    merged_ids: list[int] = field(default_factory=list)


def plan_blocks(session: Session, watch_id: int, kind: BlockKind, rows: pd.DataFrame) -> BlockChange:
    """Return the change that stores `rows`: entity (int), instant (ns since 1970), and values."""
    parts = split_days(rows)
    change = BlockChange([_make_block(day, part) for day, part in parts])
    if len(parts) > MERGED_DAYS:
        return change
    merged = [_merge_small(session, watch_id, kind, day) for day, _ in parts]
    return BlockChange(
        [*(block for part in merged for block in part.blocks), *change.blocks],
        [key for part in merged for key in part.merged_ids],
    )


def write_blocks(session: Session, watch_id: int, kind: BlockKind, change: BlockChange) -> None:
    """Apply a change in the transaction of `session`."""
    if change.merged_ids:
        session.execute(BLOCKS.delete().where(BLOCKS.c.id.in_(change.merged_ids)))
    rows = [{"watch_id": watch_id, "kind": kind, "bytes": len(block.body), **vars(block)} for block in change.blocks]
    if rows:
        session.execute(BLOCKS.insert(), rows)


def read_blocks(session: Session, watch_id: int, kind: BlockKind, instants: NDArray[np.int64]) -> pd.DataFrame:
    """Return the stored rows of the days of `instants` from the first to the last of them, and maybe others.

    Raises VigieError for a damaged block.
    """
    if not len(instants):
        return pd.DataFrame(columns=KEY_COLUMNS)
    days = instants // NS_PER_DAY
    groups = pd.Series(instants).groupby(days).agg(["min", "max"])
    conditions = [
        and_(BLOCKS.c.day == int(day), *_overlaps(int(first), int(last)))
        for day, first, last in groups.itertuples(name=None)
    ]
    if len(conditions) > SELECTED_DAYS:
        conditions = [
            and_(BLOCKS.c.day.between(int(days.min()), int(days.max())), *_overlaps(instants.min(), instants.max()))
        ]
    return _select_rows(session, and_(_is_in_watch(watch_id, kind), or_(*conditions)))


def read_block_range(session: Session, watch_id: int, kind: BlockKind, first: int, last: int) -> pd.DataFrame:
    """Return the stored rows from `first` to `last` (ns since 1970), and maybe others.

    Raises VigieError for a damaged block.
    """
    is_in_days = BLOCKS.c.day.between(first // NS_PER_DAY, last // NS_PER_DAY)
    return _select_rows(session, and_(_is_in_watch(watch_id, kind), is_in_days, *_overlaps(first, last)))


def measure_blocks(session: Session, watch_id: int, kind: BlockKind) -> int:
    """Return the bytes of all blocks of a watch."""
    total = select(func.coalesce(func.sum(BLOCKS.c.bytes), 0)).where(_is_in_watch(watch_id, kind))
    return int(session.scalar(total) or 0)


def delete_blocks_before(session: Session, watch_id: int, kind: BlockKind, seconds: float, limit: int) -> None:
    """Delete at most `limit` blocks whose rows are all older than `seconds` since 1970."""
    is_old = and_(
        _is_in_watch(watch_id, kind), BLOCKS.c.day <= int(seconds // SECONDS_PER_DAY), BLOCKS.c.last < seconds
    )
    keys = session.scalars(select(BLOCKS.c.id).where(is_old).limit(limit)).all()
    if keys:
        session.execute(BLOCKS.delete().where(BLOCKS.c.id.in_(keys)))


def drop_replaced(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the last row of each entity and instant."""
    return rows.drop_duplicates(KEY_COLUMNS, keep="last")


def split_days(rows: pd.DataFrame) -> list[tuple[int, pd.DataFrame]]:
    """Return the rows of each day, with its number since 1970."""
    days = rows["instant"].to_numpy() // NS_PER_DAY
    if len(days) and (days == days[0]).all():
        return [(int(days[0]), rows)]
    return [(int(day), part) for day, part in rows.groupby(days, sort=True)]


def _is_in_watch(watch_id: int, kind: BlockKind) -> ColumnElement[bool]:
    return and_(BLOCKS.c.watch_id == watch_id, BLOCKS.c.kind == kind)


def _overlaps(first: int, last: int) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return BLOCKS.c.last >= first // NS_PER_S, BLOCKS.c.first <= -(-last // NS_PER_S)


def _select_rows(session: Session, condition: ColumnElement[bool]) -> pd.DataFrame:
    bodies: Collection[bytes] = session.scalars(select(BLOCKS.c.body).where(condition).order_by(BLOCKS.c.id)).all()
    parts = [_decode(body) for body in bodies]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=KEY_COLUMNS)


def _merge_small(session: Session, watch_id: int, kind: BlockKind, day: int) -> BlockChange:
    """Return the change that merges the small blocks behind the last large one of a day, if there are many."""
    statement = (
        select(BLOCKS.c.id, BLOCKS.c.bytes)
        .where(_is_in_watch(watch_id, kind), BLOCKS.c.day == day)
        .order_by(BLOCKS.c.id.desc())
        .limit(MERGED_AT_ONCE)
    )
    blocks = session.execute(statement).all()
    if len(blocks) < MERGED_AT_ONCE or any(size >= SMALL_BYTES for _, size in blocks):
        return BlockChange()
    keys = [int(key) for key, _ in blocks]
    rows = drop_replaced(_select_rows(session, BLOCKS.c.id.in_(keys)))
    return BlockChange([_make_block(day, rows)], keys)


def _make_block(day: int, rows: pd.DataFrame) -> Block:
    instants = rows["instant"].to_numpy()
    first, last = int(instants.min()) // NS_PER_S, -(-int(instants.max()) // NS_PER_S)
    return Block(day, float(first), float(last), _encode(rows))


def _encode(rows: pd.DataFrame) -> bytes:
    """Return the rows as a compressed stream of Arrow behind its checksum."""
    batch = pa.record_batch([pa.array(rows[name].to_numpy()) for name in rows], names=list(map(str, rows.columns)))
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
        writer.write_batch(batch)
    body = sink.getvalue().to_pybytes()
    return zlib.crc32(body).to_bytes(CHECKSUM_BYTES, "big") + body


def _decode(body: bytes) -> pd.DataFrame:
    checksum, stream = body[:CHECKSUM_BYTES], body[CHECKSUM_BYTES:]
    if zlib.crc32(stream).to_bytes(CHECKSUM_BYTES, "big") != checksum:
        raise VigieError(
            N_("Rows of a watch are damaged in the database. Restore a backup, or remove the watch and add it again.")
        )
    with pa.ipc.open_stream(stream) as reader:
        table = reader.read_all()
    return pd.DataFrame({name: table[name].to_numpy() for name in table.column_names})
