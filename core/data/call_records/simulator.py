"""Simulator of call detail records with labelled faults, for tests, samples and benchmarks.

Calls of every trunk arrive as a Poisson process whose rate follows the day and the week. Durations are log-normal. Some
attempts are not answered, each for one of several causes.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
from numpy.typing import NDArray

from core.array_types import Floats
from core.data.call_records.buckets import ALL_TRUNKS, build_counts, sum_records
from core.data.dataset import DAY

MONDAY = pd.Timestamp("2020-08-31")
FaultKind = Literal["outage", "ccr_drop", "spike_storm", "missing_week", "slow_drift"]
SLOT = pd.Timedelta("15min")  # the rate of calls is constant within it
SLOTS_PER_DAY = 96
CAUSES = ("HANG_UP", "BUSY", "NO_ANSWER", "NETWORK_FAILURE", "UNALLOCATED_NUMBER")
CAUSE_SHARES = (0.05, 0.35, 0.35, 0.15, 0.10)  # of the attempts that were not answered
RELEASE_CODES = {"HANG_UP": 16, "BUSY": 17, "NO_ANSWER": 19, "NETWORK_FAILURE": 38, "UNALLOCATED_NUMBER": 1}
NULL_SHARE = 0.08  # of the attempts that are not answered
CCR_DROP_SHARE = 0.6  # the same during a CCR drop
SPIKE_FACTOR = 4.0
SPIKE_SLOTS_EVERY = 3  # during a spike storm, one quarter-hour of three is a spike
WEEKEND_FACTOR = 0.45
DRIFT_FACTOR = 1.6  # of the rate at the end of a slow drift
MEAN_LOG_DURATION, SPREAD_LOG_DURATION = 4.6, 1.1  # of seconds: a median of 100 s, a mean of 3 minutes


@dataclass(frozen=True)
class Fault:
    """Fault of a trunk, or of all trunks, from `start` up to, not including, `end` (UTC).

    outage        no call arrives
    ccr_drop      60 % of the attempts are not answered
    spike_storm   every third quarter-hour has four times the calls
    missing_week  no record of any trunk exists: the export failed, the network did not
    slow_drift    the rate grows evenly to 1.6 times its value
    """

    kind: FaultKind
    trunk: str
    start: pd.Timestamp
    end: pd.Timestamp


@dataclass(frozen=True)
class CallSimulator:
    """Records of `trunks` trunks over `days` days from `start` (UTC), the same for the same `seed`.

    calls_per_hour  mean number of calls of the first trunk; the others are smaller, down to a fifth of it

    Example:
        >>> simulator = CallSimulator(trunks=2, days=1, calls_per_hour=60, seed=7)
        >>> records = pd.concat(simulator.iter_records())
        >>> sorted(records["ORIG_T1T7"].unique())
        ['T001', 'T002']
        >>> len(records) == len(pd.concat(simulator.iter_records()))
        True
    """

    trunks: int = 5
    days: int = 14
    start: pd.Timestamp = MONDAY
    calls_per_hour: float = 300.0
    faults: tuple[Fault, ...] = ()
    seed: int = 20200830

    @cached_property
    def trunk_names(self) -> tuple[str, ...]:
        """Names of the trunks."""
        return tuple(f"T{number:03d}" for number in range(1, self.trunks + 1))

    @property
    def end(self) -> pd.Timestamp:
        """End of the last day."""
        return self.start + self.days * DAY

    @property
    def labels(self) -> pd.DataFrame:
        """Faults as a table: kind, trunk ("all" for all trunks), start, end."""
        columns = {"kind": "str", "trunk": "str", "start": "datetime64[ns]", "end": "datetime64[ns]"}
        return pd.DataFrame([vars(fault) for fault in self.faults], columns=list(columns)).astype(columns)

    def iter_records(self) -> Iterator[pd.DataFrame]:
        """Yield the records of one day after the other, in the order of their trunks."""
        random = np.random.default_rng(self.seed)
        sizes = np.geomspace(1.0, 0.2, self.trunks) * random.uniform(0.9, 1.1, self.trunks)
        first_id = 1
        for day in pd.date_range(self.start, periods=self.days):
            slots = pd.date_range(day, periods=SLOTS_PER_DAY, freq=SLOT)
            rates = self.calls_per_hour / 4 * sizes[:, None] * _compute_profile(slots) * self._compute_factors(slots)
            records = self._make_records(random, slots, random.poisson(rates), first_id)
            first_id += len(records)
            yield records

    def make_counts(self, interval: pd.Timedelta = SLOT) -> pd.DataFrame:
        """Return the counts per trunk and interval (see `build_counts`), with `injected` = 1 during a fault."""
        parts = [sum_records(records, interval) for records in self.iter_records()]
        counts = build_counts(pd.concat(parts, ignore_index=True), interval, True, self.start, self.end)
        return counts.assign(injected=self.mark_faults(counts).astype(int))

    def mark_faults(self, counts: pd.DataFrame) -> NDArray[np.bool_]:
        """Return True for the rows of a table of counts during a fault of their trunk, or a spike of a storm."""
        times = pd.DatetimeIndex(counts["timestamp"]).tz_localize(None)
        is_faulty = np.zeros(len(counts), dtype=bool)
        for fault in self.faults:
            rows = np.asarray((times >= fault.start) & (times < fault.end))
            rows &= np.asarray(counts["trunk"] == fault.trunk) | (fault.trunk == ALL_TRUNKS)
            if fault.kind == "spike_storm":
                rows &= np.asarray((times - fault.start) // SLOT % SPIKE_SLOTS_EVERY == 0)
            is_faulty |= rows
        return is_faulty

    def write_parquet(self, path: Path) -> int:
        """Write the records day by day as one row group each; return their number."""
        count = 0
        writer = None
        try:
            for records in self.iter_records():
                table = pa.Table.from_pandas(records, preserve_index=False)
                writer = writer or pyarrow.parquet.ParquetWriter(path, table.schema, compression="zstd")
                writer.write_table(table)
                count += len(records)
        finally:
            if writer is not None:
                writer.close()
        return count

    def _compute_factors(self, slots: pd.DatetimeIndex) -> Floats:
        """Return the factor of the rate, shape (trunks, slots)."""
        factors = np.ones((self.trunks, len(slots)))
        for fault in self.faults:
            inside = np.asarray((slots >= fault.start) & (slots < fault.end))
            rows = self._list_rows(fault)
            if fault.kind in ("outage", "missing_week"):
                factors[np.ix_(rows, inside)] = 0.0
            elif fault.kind == "spike_storm":
                inside &= np.asarray((slots - fault.start) // SLOT % SPIKE_SLOTS_EVERY == 0)
                factors[np.ix_(rows, inside)] *= SPIKE_FACTOR
            elif fault.kind == "slow_drift":
                share = np.asarray((slots - fault.start) / (fault.end - fault.start))[inside]
                factors[np.ix_(rows, inside)] *= 1 + (DRIFT_FACTOR - 1) * share
        return factors

    def _list_rows(self, fault: Fault) -> NDArray[np.intp]:
        names = np.array(self.trunk_names)
        return np.flatnonzero((names == fault.trunk) | (fault.trunk == ALL_TRUNKS))

    def _make_records(
        self, random: np.random.Generator, slots: pd.DatetimeIndex, calls: NDArray[np.int64], first_id: int
    ) -> pd.DataFrame:
        """Return one record per call; `calls` has the shape (trunks, slots)."""
        count = int(calls.sum())
        cells = np.repeat(np.arange(calls.size), calls.ravel())
        trunk_codes, slot_codes = np.divmod(cells, len(slots))
        offsets_s = random.integers(0, int(SLOT.total_seconds()), count)
        start = slots.to_numpy(dtype="datetime64[s]")[slot_codes] + offsets_s.astype("timedelta64[s]")
        failed = random.random(count) < self._compute_null_shares(trunk_codes, start)
        duration_s = np.ceil(random.lognormal(MEAN_LOG_DURATION, SPREAD_LOG_DURATION, count)).astype(np.int64)
        duration_s[failed] = 0
        causes = np.where(failed, random.choice(len(CAUSES), count, p=CAUSE_SHARES), 0)
        cause_group = pd.Categorical.from_codes(causes, list(CAUSES))
        customers = trunk_codes % 7
        ids = np.arange(first_id, first_id + count)
        return pd.DataFrame(
            {
                "CDR_ID": ids,
                "CALLID": ids * 7919 % 1_000_003,
                "ORIG_T1T7": pd.Categorical.from_codes(trunk_codes, list(self.trunk_names)),
                "VPNID": 9000 + customers,
                "DURATION": duration_s,
                "DISC": np.array([RELEASE_CODES[cause] for cause in CAUSES])[causes],
                "rc_group": cause_group,
                "short_call": ~failed & (duration_s < 10),
                "null_duration": failed,
                "Call_Start_Time": start,
                "Call_End_Time": start + duration_s.astype("timedelta64[s]"),
                "@timestamp": start,
                "CALLING_NUMBER": pd.Categorical.from_codes(ids % 50, [f"3314209{code:02d}XXX" for code in range(50)]),
                "CUSTOMER_NAME": pd.Categorical.from_codes(customers, [f"Customer {code} Ltd" for code in range(7)]),
            }
        )

    def _compute_null_shares(self, trunk_codes: NDArray[np.intp], start: NDArray[np.datetime64]) -> Floats:
        """Return for every call the probability that it is not answered."""
        shares = np.full(len(start), NULL_SHARE)
        for fault in self.faults:
            if fault.kind == "ccr_drop":
                inside = (start >= fault.start.to_datetime64()) & (start < fault.end.to_datetime64())
                shares[inside & np.isin(trunk_codes, self._list_rows(fault))] = CCR_DROP_SHARE
        return shares


def _compute_profile(slots: pd.DatetimeIndex) -> Floats:
    """Return the rate of calls relative to its mean over a week: two peaks a day, quiet nights and weekends."""
    day = _compute_daily_profile(slots.hour.to_numpy() + slots.minute.to_numpy() / 60)
    mean = _compute_daily_profile(np.arange(SLOTS_PER_DAY) / 4).mean() * (5 + 2 * WEEKEND_FACTOR) / 7
    profile: Floats = day * np.where(slots.dayofweek >= 5, WEEKEND_FACTOR, 1.0) / mean
    return profile


def _compute_daily_profile(hours: Floats) -> Floats:
    morning, afternoon = (np.exp(-(((hours - center) / 2.6) ** 2) / 2) for center in (10.5, 16.0))
    profile: Floats = 0.06 + 1.1 * morning + afternoon
    return profile
