"""Alarms of a replay at any threshold: incidents, and how they meet the stretches that are known to be abnormal."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.array_types import Floats
from core.evaluation.alarm_rates import PERIOD_LENGTHS_S
from core.evaluation.threshold_views import list_thresholds
from core.watches.merging import MAX_GAP_STEPS

SPAN_COLUMNS = ("entity", "start", "end", "is_true")
MAX_GRID_THRESHOLDS = 101
MAX_FLAGGED_SHARE = 0.5  # of the rows: a threshold that flags more is of no use

Positions = NDArray[np.intp]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class ReplayedRows:
    """Judged rows of several entities, those of an entity together, in the order of time.

    codes      (rows,), position of the entity in `entities`
    instants   (rows,), datetime64[ns]
    scores     (rows,), score of each row above its own threshold, shifted so that `threshold` is the limit of all
    threshold  current threshold
    step       time between two rows of an entity
    months     length of the period
    """

    entities: tuple[str, ...]
    codes: Positions
    instants: NDArray[np.datetime64]
    scores: Floats
    threshold: float
    step: pd.Timedelta
    months: float

    @classmethod
    def from_table(cls, rows: pd.DataFrame, step: pd.Timedelta) -> "ReplayedRows":
        """Build them from a table with the columns entity, instant, score and threshold, in any order.

        The threshold of the latest row is the current one. A row whose model had another threshold keeps its distance
        to it.
        """
        codes, names = pd.factorize(rows["entity"], sort=True)
        instants = rows["instant"].to_numpy("datetime64[ns]")
        scores, limits = (rows[name].to_numpy(dtype=np.float64) for name in ("score", "threshold"))
        threshold = float(limits[np.argmax(instants)]) if len(rows) else float("nan")
        shifted = scores if (limits == threshold).all() else scores - limits + threshold
        order = np.lexsort((instants, codes))
        seconds = float((instants.max() - instants.min()) / np.timedelta64(1, "s")) if len(rows) else 0.0
        months = (seconds + step.total_seconds()) / PERIOD_LENGTHS_S["month"]
        entities = tuple(map(str, names))
        return cls(entities, codes[order].astype(np.intp), instants[order], shifted[order], threshold, step, months)

    def find_alarms(self, is_flagged: Flags) -> tuple[Positions, Positions]:
        """Return the positions of the first and the last row of every incident of the flagged rows, (incidents,) each.

        Alarms of one entity at most `MAX_GAP_STEPS` steps apart are one incident, as a watch merges them.
        """
        flagged = np.flatnonzero(is_flagged)
        gaps = np.diff(self.instants[flagged]) > MAX_GAP_STEPS * self.step.to_timedelta64()
        is_start = np.ones(len(flagged), dtype=bool)
        is_start[1:] = gaps | (np.diff(self.codes[flagged]) != 0)
        is_end = np.roll(is_start, -1)
        return flagged[is_start], flagged[is_end]

    def list_thresholds(self) -> list[float]:
        """Return the thresholds of a slider, highest first: the current one, and those that flag at most half."""
        known = self.scores[np.isfinite(self.scores)]
        ranked = np.sort(known)
        thresholds = [
            value
            for value in list_thresholds(known, self.threshold)
            if value == self.threshold
            or len(ranked) - np.searchsorted(ranked, value, side="right") <= MAX_FLAGGED_SHARE * len(ranked)
        ]
        chosen = np.unique(np.linspace(0, len(thresholds) - 1, MAX_GRID_THRESHOLDS).round().astype(int))
        values = {thresholds[position] for position in chosen} if thresholds else set()
        return sorted(values | {self.threshold}, reverse=True)


@dataclass(frozen=True)
class KnownSpans:
    """Stretches of time of an entity about which the truth is known, as positions among the times of replayed rows.

    is_true      (spans,), True for a fault, False for what a person called a false alarm
    codes        (spans,), position of the entity
    starts       (spans,), datetime64[ns]
    low, high    (spans,), first and last key of rows that belong to the span, see `compute_keys`
    is_complete  True where everything outside the spans is known to be normal, as labels say
    """

    is_true: Flags
    codes: Positions
    starts: NDArray[np.datetime64]
    low: Positions
    high: Positions
    is_complete: bool

    @classmethod
    def from_table(cls, spans: pd.DataFrame, rows: ReplayedRows, is_complete: bool) -> "KnownSpans":
        """Build them from a table with `SPAN_COLUMNS`. Spans of entities that were not replayed are left out.

        A row belongs to a span up to `MAX_GAP_STEPS` steps before and after it, as alarms of one incident do.
        """
        code_by_entity = {entity: code for code, entity in enumerate(rows.entities)}
        spans = spans[spans["entity"].isin(code_by_entity)]
        codes = spans["entity"].map(code_by_entity).to_numpy(dtype=np.intp)
        times, margin = np.unique(rows.instants), MAX_GAP_STEPS * rows.step.to_timedelta64()
        starts, ends = (spans[name].to_numpy("datetime64[ns]") for name in ("start", "end"))
        low = codes * len(times) + np.searchsorted(times, starts - margin, side="left")
        high = codes * len(times) + np.searchsorted(times, ends + margin, side="right") - 1
        return cls(spans["is_true"].to_numpy(dtype=bool), codes, starts, low, high, is_complete)

    def __len__(self) -> int:
        return len(self.starts)

    def match(self, first: Positions, last: Positions) -> tuple[Positions, Positions]:
        """Return for every span the range of the incidents that touch it, (spans,) each: from the first up to the stop.

        `first` and `last` are the keys of the first and the last row of every incident.
        """
        return np.searchsorted(last, self.low, side="left"), np.searchsorted(first, self.high, side="right")


def compute_keys(rows: ReplayedRows) -> Positions:
    """Return one number per row, (rows,), that grows with the entity and then with the time."""
    times = np.unique(rows.instants)
    return rows.codes * len(times) + np.searchsorted(times, rows.instants)


def find_labelled_spans(rows: ReplayedRows, is_labelled: Flags) -> pd.DataFrame:
    """Return the stretches of labelled rows, (rows,) in the order of `rows`, as a table with `SPAN_COLUMNS`."""
    first, last = rows.find_alarms(is_labelled)
    entities = np.asarray(rows.entities, dtype=object)[rows.codes[first]]
    columns = (entities, rows.instants[first], rows.instants[last], np.ones(len(first), dtype=bool))
    return pd.DataFrame(dict(zip(SPAN_COLUMNS, columns, strict=True)))


def judge_incidents(rows: ReplayedRows, incidents: pd.DataFrame, spans: KnownSpans) -> Floats:
    """Return what is known about incidents with the columns entity, start and end, (incidents,).

    1 for a true alarm, 0 for a false one, NaN where nothing is known.
    """
    code_by_entity = {entity: code for code, entity in enumerate(rows.entities)}
    times = np.unique(rows.instants)
    offsets = incidents["entity"].map(code_by_entity).to_numpy(dtype=np.intp) * len(times)
    first, last = (
        offsets + np.searchsorted(times, incidents[name].to_numpy("datetime64[ns]")) for name in ("start", "end")
    )
    order = np.argsort(first, kind="stable")
    truth = np.empty(len(incidents))
    truth[order] = _tell_truth(first[order], last[order], spans)
    return truth


def tabulate_replay(rows: ReplayedRows, spans: KnownSpans) -> pd.DataFrame:
    """Return one line per threshold of the slider, the highest first.

    Columns:

    threshold, flagged_rows, incidents, incidents_per_month  counts of the whole period, and of a month
    precision  share of true incidents among those about which something is known; NaN without any
    recall     share of the faults that an incident touches; NaN without a fault
    delay_s    median time from the beginning of a fault to its first alarm; 0 where the alarm was there before
    """
    keys, faults = compute_keys(rows), _select_faults(spans)
    lines: list[dict[str, Any]] = []
    for threshold in rows.list_thresholds():
        is_flagged = rows.scores > threshold
        first, last = rows.find_alarms(is_flagged)
        truth = _tell_truth(keys[first], keys[last], spans)
        begin, stop = faults.match(keys[first], keys[last])
        is_found = stop > begin
        alarms = rows.instants[first[begin[is_found]]]
        delays = np.maximum((alarms - faults.starts[is_found]) / np.timedelta64(1, "s"), 0.0)
        is_known = np.isfinite(truth)
        lines.append(
            {
                "threshold": threshold,
                "flagged_rows": int(is_flagged.sum()),
                "incidents": len(first),
                "incidents_per_month": len(first) / rows.months if rows.months else np.nan,
                "precision": float(truth[is_known].mean()) if is_known.any() else np.nan,
                "recall": float(is_found.mean()) if len(faults) else np.nan,
                "delay_s": float(np.median(delays)) if len(delays) else np.nan,
            }
        )
    return pd.DataFrame(lines)


def find_faults(rows: ReplayedRows, spans: KnownSpans, incidents: pd.DataFrame) -> pd.DataFrame:
    """Return the faults: entity, start, is_found by one of the incidents, delay_s (NaN for one that is not found)."""
    faults, times = _select_faults(spans), np.unique(rows.instants)
    ordered = incidents.assign(code=incidents["entity"].map({name: code for code, name in enumerate(rows.entities)}))
    ordered = ordered.sort_values(["code", "start"], kind="stable")
    offsets = ordered["code"].to_numpy(dtype=np.intp) * len(times)
    starts, ends = (ordered[name].to_numpy("datetime64[ns]") for name in ("start", "end"))
    begin, stop = faults.match(offsets + np.searchsorted(times, starts), offsets + np.searchsorted(times, ends))
    is_found, delays = stop > begin, np.full(len(faults), np.nan)
    waits = (starts[begin[is_found]] - faults.starts[is_found]) / np.timedelta64(1, "s")
    delays[is_found] = np.maximum(waits, 0.0)
    entities = np.asarray(rows.entities, dtype=object)[faults.codes]
    return pd.DataFrame({"entity": entities, "start": faults.starts, "is_found": is_found, "delay_s": delays})


def _select_faults(spans: KnownSpans) -> KnownSpans:
    """Return the spans that are faults."""
    parts = {name: getattr(spans, name)[spans.is_true] for name in ("is_true", "codes", "starts", "low", "high")}
    return replace(spans, **parts)


def _tell_truth(first: Positions, last: Positions, spans: KnownSpans) -> Floats:
    """Return 1 for incidents that touch a fault, 0 for those that touch only a false alarm, else NaN.

    With complete spans, an incident that touches no fault is false. `first` and `last` are keys, in ascending order.
    """
    begin, stop = spans.match(first, last)
    touches = {}
    for is_true in (True, False):
        chosen = (spans.is_true == is_true) & (stop > begin)
        edges = np.bincount(begin[chosen], minlength=len(first) + 1) - np.bincount(
            stop[chosen], minlength=len(first) + 1
        )
        touches[is_true] = np.cumsum(edges)[: len(first)] > 0
    is_false = np.ones(len(first), dtype=bool) if spans.is_complete else touches[False]
    return np.where(touches[True], 1.0, np.where(is_false, 0.0, np.nan))
