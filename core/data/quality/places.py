"""Worst place of a finding: the values around the largest change of a repair, before and after."""

from collections.abc import Iterator
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
MAX_RUN_ROWS = 200  # of the consecutive changed rows of a series
MAX_RUN_DAYS = 14  # the same for a profile


@dataclass(frozen=True)
class Place:
    """Values of an entity around the largest change of a repair.

    entity, time, column  where the change is largest; `time` of data without dates is a row number; `column` is empty
                          for a profile
    before, after         tables by timestamp: `value`, and `is_changed` for values that change, appear or disappear
    added                 timestamps of added rows
    """

    entity: str
    time: Any
    column: str
    before: pd.DataFrame
    after: pd.DataFrame
    added: pd.Index


@dataclass(frozen=True)
class RepairPreview:
    """What a repair changes: its numbers (None for a sample of large data), and its worst place (None without one)."""

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
    data, row_sizes = trace.before, sizes.sum(axis=1)
    if not row_sizes.any():
        data, row_sizes, sizes = trace.after, (trace.origins < 0).astype(float), np.zeros(trace.after.frame.shape)
    if not row_sizes.any():
        return None
    order = np.lexsort((data.time.to_numpy(), data.entity_codes))
    codes, ordered_sizes = data.entity_codes[order], row_sizes[order]
    is_start = np.append(True, (codes[1:] != codes[:-1]) | ((ordered_sizes[1:] > 0) != (ordered_sizes[:-1] > 0)))
    runs = np.cumsum(is_start) - 1
    positions = np.flatnonzero(runs == np.argmax(np.bincount(runs, weights=ordered_sizes)))
    worst = int(positions[np.argmax(ordered_sizes[positions])])
    half_run = (MAX_RUN_DAYS if data.profile else MAX_RUN_ROWS) // 2
    first, last = max(positions[0], worst - half_run), min(positions[-1], worst + half_run)
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
    before, after = (
        _take_line(
            data, columns, rows, _mark_changes(trace, origins)[:, [trace.columns.index(name) for name in columns]]
        )
        for data, rows, origins in _find_rows(trace, entity, first, last)
    )
    added = trace.after.time[(trace.origins < 0) & np.asarray(trace.after.entity == entity)]
    return Place(entity, time, "" if profile else column, before, after, added[(added >= first) & (added <= last)])


def _add_margin(trace: Trace, entity: str, span: tuple[Any, Any]) -> tuple[Any, Any]:
    """Return the timestamps of `entity` that lie `MARGIN_POINTS` before and after `span`, or its ends."""
    times = np.sort(trace.before.time[np.asarray(trace.before.entity == entity)])
    margin = -(-MARGIN_POINTS // len(trace.columns)) if trace.before.profile else MARGIN_POINTS
    first = int(np.searchsorted(times, np.asarray(span[0], times.dtype), side="left")) - margin
    last = int(np.searchsorted(times, np.asarray(span[1], times.dtype), side="right")) - 1 + margin
    return times[max(first, 0)], times[min(last, len(times) - 1)]


def _find_rows(trace: Trace, entity: str, first: Any, last: Any) -> Iterator[tuple[Dataset, Rows, Rows]]:
    """Yield both datasets, their rows of `entity` from `first` to `last` in order of time, and these rows before."""
    for data in (trace.before, trace.after):
        rows = np.flatnonzero(np.asarray((data.entity == entity) & (data.time >= first) & (data.time <= last)))
        rows = rows[np.argsort(data.time.to_numpy()[rows], kind="stable")]
        yield data, rows, rows if data is trace.before else trace.origins[rows]


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


def _take_line(data: Dataset, columns: list[str], rows: Rows, mask: NDArray[np.bool_]) -> pd.DataFrame:
    """Return the values of `rows` and whether they change, by timestamp; a profile is unrolled to its hours."""
    near = data.take_rows(rows)
    values = near.frame[columns]
    marks = pd.DataFrame(mask.astype(float), values.index, columns)
    value, mark = (near.replace(frame=frame).to_series().frame.iloc[:, 0] for frame in (values, marks))
    return pd.DataFrame(
        {"value": value.to_numpy(), "is_changed": mark.to_numpy() > 0}, value.index.get_level_values("time")
    )
