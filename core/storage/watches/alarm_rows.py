"""Alarms of a watch as they were judged, for incidents that lose a row to a correction and have to be told anew."""

import json
from collections.abc import Collection
from typing import Any

import numpy as np
import pandas as pd
from sqlalchemy.orm import Session

from core.storage.watches.blocks import KEY_COLUMNS, NS_PER_S, BlockChange, drop_replaced, plan_blocks, read_block_range
from core.watches.judgement import JUDGED_COLUMNS


def plan_alarms(
    session: Session, watch_id: int, alarms: pd.DataFrame | None, numbers: dict[str, int], horizon: float
) -> BlockChange:
    """Return the change that stores rows of `select_alarms`, without those before `horizon` (seconds since 1970).

    numbers  entity → its number
    """
    if alarms is None or alarms.empty:
        return BlockChange()
    instants = pd.to_datetime(alarms["instant"], utc=True).astype("datetime64[ns, UTC]").astype(np.int64)
    rows = alarms.assign(
        entity=alarms["entity"].astype(str).map(numbers).to_numpy(np.int32),
        instant=instants.to_numpy(),
        is_anomalous=alarms["is_anomalous"].astype(np.bool_),
        column=[_to_text(value) for value in alarms["column"]],
        causes=[json.dumps(_to_texts(value)) for value in alarms["causes"]],
    )
    recent = drop_replaced(rows[rows["instant"] >= int(horizon) * NS_PER_S])
    return plan_blocks(session, watch_id, "alarms", recent) if len(recent) else BlockChange()


def read_alarms(
    session: Session, watch_id: int, names: dict[int, str], entities: Collection[str], first: int, last: int
) -> pd.DataFrame:
    """Return the alarms of these entities from `first` to `last` (ns since 1970), with `JUDGED_COLUMNS`, sorted.

    names  number of an entity → its name

    Of a corrected row the last form counts. Raises ServiceUnavailableError for a damaged block.
    """
    rows = read_block_range(session, watch_id, "alarms", first, last)
    if rows.empty:
        return pd.DataFrame(columns=list(JUDGED_COLUMNS))
    wanted = [number for number, name in names.items() if name in set(entities)]
    rows = drop_replaced(rows[rows["entity"].isin(wanted) & rows["instant"].between(first, last)])
    rows = rows[rows["is_anomalous"].astype(np.bool_)].sort_values(KEY_COLUMNS)
    table = rows.assign(
        entity=rows["entity"].map(names).astype(object),
        instant=pd.to_datetime(rows["instant"].astype(np.int64)),
        causes=[json.loads(text) for text in rows["causes"]],
    )
    return table[list(JUDGED_COLUMNS)].reset_index(drop=True)


def _to_text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _to_texts(value: Any) -> list[str]:
    """Return the causes of an alarm as texts; a text names one."""
    if isinstance(value, str):
        return [value] if value else []
    return list(map(str, value)) if isinstance(value, list | tuple | np.ndarray) else []
