"""Counts of the call records that Elasticsearch holds, per trunk and interval, as the import counts them.

A record is written when its call ends, so that the counts of the last intervals change. The last day is counted again
at every tick.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd

from core.data.call_records.buckets import BUCKET_COLUMNS, UNKNOWN, build_counts
from core.errors import OptionError
from core.messages import N_
from core.settings import Settings
from core.storage.call_records import CallQuery, NoRecordError, count_records
from core.storage.search_server import SearchServer
from core.storage.sources.base import NO_STATE, Portion
from core.watches.source import SearchSource

RECOUNT = pd.Timedelta("1D")
LONGEST_CALL = pd.Timedelta("1D")  # a call that began earlier is not counted in the traffic of a recounted interval
TRUNK_MEMORY = pd.Timedelta("35D")  # a trunk without a call counts 0 for so long, as one that fell silent
CHECK_SPAN = pd.Timedelta("1h")
GROUP_PREFIX = "ko_"


@dataclass(frozen=True)
class SearchReader:
    """Reader of an index. `sleep` waits a number of seconds between two attempts."""

    source: SearchSource
    settings: Settings
    sleep: Callable[[float], None] = time.sleep

    def read(self, state: Mapping[str, Any], folder: Path, max_bytes: int, now: datetime) -> Portion:
        """Count the intervals that are over, since the last day before those that were counted; see `RowSource`."""
        memory = _Memory.parse(state)
        end = pd.Timestamp(now).tz_convert("UTC").tz_localize(None).floor(self._step)
        start = None if memory.counted_until is None else min(memory.counted_until, end) - RECOUNT
        first = None if start is None else start - LONGEST_CALL
        server = self._find_server()
        try:
            buckets = count_records(server, CallQuery(self._step, start=first, end=end)).buckets
        except NoRecordError:
            buckets = pd.DataFrame()
        if first is not None:
            buckets = memory.add_silent_trunks(buckets, first, end)
        if buckets.empty:
            return Portion((), state)
        counts = build_counts(buckets, self._step, True, first, end)
        counts = counts.assign(**{name: 0 for name in memory.groups if name not in counts})
        path = folder / "0"
        counts[counts["timestamp"] >= (start or pd.Timestamp(0)).tz_localize("UTC")].to_csv(path, index=False)
        return Portion(((path, f"{server.index}.csv"),), memory.update(counts, buckets, end).dump())

    def check(self) -> None:
        """Count the last hour; see `RowSource`."""
        now = pd.Timestamp.now("UTC").tz_localize(None)
        try:
            count_records(self._find_server(), CallQuery(self._step, start=now - CHECK_SPAN, end=now))
        except NoRecordError:
            return

    def start_late(self, since: datetime | None) -> Mapping[str, Any]:
        """Return the state from which the intervals since `since` are counted; see `RowSource`."""
        if since is None:
            return NO_STATE
        return _Memory(pd.Timestamp(since).tz_convert("UTC").tz_localize(None)).dump()

    @property
    def _step(self) -> pd.Timedelta:
        step = pd.Timedelta(minutes=self.source.step_minutes)
        if pd.Timedelta("1D") % step:
            raise OptionError(
                N_("{name} = {value!r} is not accepted. Accepted: {accepted}."),
                name="step_minutes",
                value=self.source.step_minutes,
                accepted="1, 5, 15, 30, 60, 1440",
            )
        return step

    def _find_server(self) -> SearchServer:
        server = SearchServer.from_settings(self.settings)
        if server is None:
            raise OptionError(N_("No server of call records is set. CALL_RECORDS_ENDPOINT is its address."))
        return replace(server, index=self.source.index or server.index, sleep=self.sleep)


@dataclass(frozen=True)
class _Memory:
    """Facts about former counts: until when, the last call of each trunk, the groups of causes."""

    counted_until: pd.Timestamp | None = None
    last_call_by_trunk: Mapping[str, pd.Timestamp] | None = None
    groups: tuple[str, ...] = ()

    @classmethod
    def parse(cls, state: Mapping[str, Any]) -> "_Memory":
        try:
            trunks = {str(name): pd.Timestamp(time) for name, time in state.get("trunks", {}).items()}
            until = pd.Timestamp(state["until"]) if "until" in state else None
            return cls(until, trunks, tuple(map(str, state.get("groups", ()))))
        except (ValueError, TypeError, AttributeError):
            return cls()

    def dump(self) -> dict[str, Any]:
        trunks = {name: time.isoformat() for name, time in (self.last_call_by_trunk or {}).items()}
        until = {} if self.counted_until is None else {"until": self.counted_until.isoformat()}
        return {**until, "trunks": trunks, "groups": list(self.groups)}

    def add_silent_trunks(self, buckets: pd.DataFrame, first: pd.Timestamp, end: pd.Timestamp) -> pd.DataFrame:
        """Return the buckets with an empty one for each known trunk, which counts 0 without a call since `first`."""
        trunks = [name for name, time in (self.last_call_by_trunk or {}).items() if end - time <= TRUNK_MEMORY]
        empty = {"first": first, "last": first, "null_duration": False, "cause_group": UNKNOWN}
        rows = [{"trunk": name, **empty, "calls": 0, "first_seconds": 0.0, "last_seconds": 0.0} for name in trunks]
        tables = [table for table in (buckets, pd.DataFrame(rows)) if len(table)]
        return pd.concat([table.astype(BUCKET_COLUMNS) for table in tables]) if tables else buckets

    def update(self, counts: pd.DataFrame, buckets: pd.DataFrame, end: pd.Timestamp) -> "_Memory":
        """Return what is remembered after the intervals before `end` were counted."""
        latest = buckets[buckets["calls"] > 0].groupby("trunk", observed=True)["last"].max().to_dict()
        trunks = {**(self.last_call_by_trunk or {}), **{str(name): time for name, time in latest.items()}}
        trunks = {name: time for name, time in trunks.items() if end - time <= TRUNK_MEMORY}
        return _Memory(end, trunks, tuple(str(name) for name in counts if str(name).startswith(GROUP_PREFIX)))
