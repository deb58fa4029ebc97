"""Worst place of a finding: the values around the largest change of a repair, before and after."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.data.dataset import Dataset
from core.data.quality.changes import ChangeCounts, Trace, trace_repairs
from core.data.quality.effects import Rows, locate_rows, mark_cells, measure_sizes, take_sample
from core.data.quality.findings import Finding, Repair

MARGIN_POINTS = 24  # before and after the changed values
MAX_RUN_ROWS = 200  # consecutive changed rows of a series that are shown together; of more, only the worst
MAX_RUN_DAYS = 14  # the same for a profile


@dataclass(frozen=True)
class Place:
    """Values of an entity around the largest change of a repair.

    entity, time, column  where the change is largest; `time` of data without dates is a row number; `column` is empty
                          for a profile
    before, after         tables by timestamp: `value`; `is_changed` where it changes, appears or disappears; `is_added`
                          in a row that did not exist before
    """

    entity: str
    time: Any
    column: str
    before: pd.DataFrame
    after: pd.DataFrame


@dataclass(frozen=True)
class RepairPreview:
    """Numbers of changes of a repair (None for a sample of large data), and its worst place (None without one)."""

    counts: ChangeCounts | None
    place: Place | None


def preview_repair(finding: Finding, repair: Repair, dataset: Dataset) -> RepairPreview:
    """Return what `repair` changes in `dataset`, and the worst place among the locations of `finding`."""
    sample = take_sample(finding, dataset)
    trace = trace_repairs([repair], sample)
    counts = trace.count_changes() if sample is dataset else None
    return RepairPreview(counts, find_worst_place(finding, trace, dataset) if finding.locations else None)


def find_worst_place(finding: Finding, trace: Trace, dataset: Dataset) -> Place | None:
    """Return the surroundings of the consecutive changed rows with the largest total change.

    Only changes at the locations of `finding` count; `dataset` gives their scale. Without any, added rows count.
    Returns None if there are none either.
    """
    sizes = measure_sizes(trace, dataset)
    sizes[~mark_cells(finding.locations, locate_rows(finding.locations, trace.before), trace)] = 0.0
    data, capped, total = trace.before, np.minimum(sizes, 1.0).sum(axis=1), sizes.sum(axis=1)
    if not total.any():
        data, sizes = trace.after, np.zeros(trace.after.frame.shape)
        capped = total = (trace.origins < 0).astype(float)
    if not total.any():
        return None
    order = np.lexsort((data.time.to_numpy(), data.entity_codes))
    codes, is_changed = data.entity_codes[order], total[order] > 0
    runs = np.cumsum(np.append(True, (codes[1:] != codes[:-1]) | (is_changed[1:] != is_changed[:-1]))) - 1
    # One huge value that moves is not the worst place of a shift, so that a cell counts at most 1 at first.
    run_sizes = [np.bincount(runs, weights=amounts[order]) for amounts in (capped, total)]
    positions = np.flatnonzero(runs == np.lexsort((-run_sizes[1], -run_sizes[0]))[0])
    worst = positions[np.lexsort((-total[order[positions]], -capped[order[positions]]))[0]]
    is_long = len(positions) > (MAX_RUN_DAYS if data.profile else MAX_RUN_ROWS)
    first, last = (worst, worst) if is_long else (positions[0], positions[-1])
    column = trace.columns[int(np.argmax(sizes[order[positions]].sum(axis=0)))]
    span = (data.time[order[first]], data.time[order[last]])
    return build_place(trace, str(data.entity[order[worst]]), data.time[order[worst]], column, span)


def build_place(trace: Trace, entity: str, time: Any, column: str, span: tuple[Any, Any] | None = None) -> Place | None:
    """Return the values of `entity` in `span`, by default at `time`, and some before and after it.

    Returns None for profiles without dates, and for a column that is not in both datasets.
    """
    profile = trace.before.profile
    if column not in trace.columns or (profile and not trace.before.has_dates):
        return None
    first, last = _add_margin(trace, entity, span or (time, time))
    columns = trace.columns if profile else [column]
    before, after = (_take_line(trace, data, columns, entity, first, last) for data in (trace.before, trace.after))
    time = pd.Timestamp(time) if trace.before.has_dates else int(time)
    return Place(entity, time, "" if profile else column, before, after)


def _add_margin(trace: Trace, entity: str, span: tuple[Any, Any]) -> tuple[Any, Any]:
    """Return the timestamps of `entity` that lie `MARGIN_POINTS` before and after `span`, or its ends."""
    times = np.sort(trace.before.time[np.asarray(trace.before.entity == entity)])
    margin = -(-MARGIN_POINTS // len(trace.columns)) if trace.before.profile else MARGIN_POINTS
    first = int(np.searchsorted(times, np.asarray(span[0], times.dtype), side="left")) - margin
    last = int(np.searchsorted(times, np.asarray(span[1], times.dtype), side="right")) - 1 + margin
    return times[max(first, 0)], times[min(last, len(times) - 1)]


def _take_line(trace: Trace, data: Dataset, columns: list[str], entity: str, first: Any, last: Any) -> pd.DataFrame:
    """Return the line of `entity` from `first` to `last` in one of the datasets of `trace`, as in `Place`.

    A profile is unrolled to its hours.
    """
    rows = np.flatnonzero(np.asarray((data.entity == entity) & (data.time >= first) & (data.time <= last)))
    rows = rows[np.argsort(data.time.to_numpy()[rows], kind="stable")]
    origins = rows if data is trace.before else trace.origins[rows]
    near = data.take_rows(rows)
    is_changed = _mark_changes(trace, origins)[:, [trace.columns.index(name) for name in columns]]
    is_added = np.broadcast_to((origins < 0)[:, None], is_changed.shape)
    parts = {"value": near.frame[columns].to_numpy(), "is_changed": is_changed, "is_added": is_added}
    series = {
        name: near.replace(frame=pd.DataFrame(part.astype(float), near.frame.index, columns)).to_series().frame
        for name, part in parts.items()
    }
    line = pd.DataFrame({name: frame.iloc[:, 0].to_numpy() for name, frame in series.items()})
    times = series["value"].index.get_level_values("time")
    return line.astype({"is_changed": bool, "is_added": bool}).set_index(times)


def _mark_changes(trace: Trace, rows: Rows) -> NDArray[np.bool_]:
    """Return the mask of the changed cells of rows of the dataset before (−1: an added row), shape (rows, columns)."""
    mask = np.zeros((len(rows), len(trace.columns)), dtype=bool)
    positions = np.full(len(trace.before), -1)
    positions[rows[rows >= 0]] = np.flatnonzero(rows >= 0)
    changed_rows, changed_columns, _, _ = trace.changed_cells
    is_near = positions[changed_rows] >= 0
    mask[positions[changed_rows[is_near]], changed_columns[is_near]] = True
    mask[(rows >= 0) & (trace.is_removed | trace.is_moved)[rows]] = True
    return mask
