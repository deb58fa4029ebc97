"""Merging of overlapping windows into the original series, one row per timestamp."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.array_types import Floats
from core.data.dataset import make_clock_labels
from core.data.ingest.readers.base import MAX_CELLS, RawTable, check_columns
from core.data.ingest.readers.netmob import QUARTERS_PER_DAY
from core.data.timestamp_format import parse_stamps
from core.errors import UnreadableFileError
from core.messages import N_

Stamps = NDArray[np.int64]


@dataclass(eq=False)
class _SeriesState:
    """State of one series during merging: the row of each timestamp, and the latest window."""

    number: int
    name: str
    file: str
    has_timestamps: bool
    first_stamp: int = 0
    row_by_stamp: dict[int, int] = field(default_factory=dict)
    window_count: int = 0
    last_window: Floats = field(default_factory=lambda: np.empty((0, 0)))


class WindowMerger:
    """Merger of windows into series, in one growing array.

    The rows of a window with timestamps are placed by timestamp, in any order of windows; the first values of a
    timestamp are kept. A window without timestamps (all zero) continues the previous one after their longest overlap.
    A window that starts at the first timestamp of the series again, with other values, starts another series.

    Example:
        >>> merger = WindowMerger("cpu")
        >>> merger.add("0.seq", np.array([[1.0], [2.0], [3.0]]), None, None)
        >>> merger.add("1.seq", np.array([[2.0], [3.0], [4.0]]), None, None)
        >>> frame = merger.build_table().frame
        >>> frame["column_1"].tolist(), frame["ts"].tolist()
        ([1.0, 2.0, 3.0, 4.0], [0, 1, 2, 3])
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._row_count = 0
        self._values = np.empty((0, 0))
        self._stamps = np.empty(0, np.int64)
        self._labels = np.empty(0, np.int8)
        self._codes = np.empty(0, np.int32)
        self._series: list[_SeriesState] = []
        self._current: dict[str, _SeriesState] = {}
        self._has_labels = False
        self._differing_rows: set[int] = set()
        self._break_count = 0

    def add(self, file: str, values: Floats, labels: Stamps | None, stamps: Stamps | None, entity: str = "") -> None:
        """Add a window: values of shape (rows, columns), labels and timestamps of shape (rows,).

        Raises UnreadableFileError for another number of columns than before, and for a window without timestamps in a
        series with timestamps or the reverse.
        """
        if self._series and values.shape[1] != self._values.shape[1]:
            raise UnreadableFileError(
                N_("{file}: the window has {count} columns. The previous windows have {accepted}."),
                file=file,
                count=values.shape[1],
                accepted=self._values.shape[1],
            )
        if not self._series:
            check_columns([str(number) for number in range(values.shape[1])], file)
        self._has_labels |= labels is not None
        labels = np.zeros(len(values), np.int64) if labels is None else labels
        series = self._find_series(entity, file, stamps, values)
        if series.has_timestamps != _has_timestamps(stamps, series.has_timestamps):
            raise UnreadableFileError(
                N_("{file}: 'ts' contains no timestamps, but the previous windows have timestamps (or the reverse)."),
                file=file,
            )
        if series.has_timestamps and stamps is not None:
            self._merge_by_timestamp(series, values, labels, stamps)
        else:
            self._append_continuation(series, values, labels)
        series.window_count, series.last_window = series.window_count + 1, values

    def _find_series(self, entity: str, file: str, stamps: Stamps | None, values: Floats) -> _SeriesState:
        """Return the series of a window; create it for its first window."""
        current = self._current.get(entity)
        first_stamp = 0 if stamps is None else int(stamps[0])
        starts_again = (
            current is not None
            and _has_timestamps(stamps, current.has_timestamps)
            and current.first_stamp == first_stamp
            and (current.window_count > 1 or not _has_equal_row(values, current.last_window))
        )
        if current is None or starts_again:
            current = _SeriesState(len(self._series), entity, file, _has_timestamps(stamps), first_stamp)
            self._current[entity] = current
            self._series.append(current)
        return current

    def _merge_by_timestamp(self, series: _SeriesState, values: Floats, labels: Stamps, stamps: Stamps) -> None:
        """Append the rows of new timestamps; compare the other rows with the stored ones."""
        new_rows: list[int] = []
        positions = np.empty(len(stamps), np.intp)
        for row, stamp in enumerate(stamps.tolist()):
            next_position = self._row_count + len(new_rows)
            positions[row] = series.row_by_stamp.setdefault(stamp, next_position)
            if positions[row] == next_position:
                new_rows.append(row)
        self._append_rows(series, values[new_rows], labels[new_rows], stamps[new_rows])
        stored = self._values[positions]
        is_equal = (stored == values) | (np.isnan(stored) & np.isnan(values))
        self._differing_rows.update(
            positions[~is_equal.all(axis=1) | (self._labels[positions] != (labels > 0))].tolist()
        )

    def _append_continuation(self, series: _SeriesState, values: Floats, labels: Stamps) -> None:
        """Append the rows after the longest overlap with the previous window; all rows without an overlap."""
        max_overlap = min(len(series.last_window), len(values) - 1)
        overlap = next(
            length
            for length in range(max_overlap, -1, -1)
            if not length or np.array_equal(series.last_window[-length:], values[:length], equal_nan=True)
        )
        self._break_count += bool(series.window_count and not overlap)
        rows = len(series.row_by_stamp)
        stamps = np.arange(rows, rows + len(values) - overlap)
        series.row_by_stamp.update(zip(stamps.tolist(), stamps.tolist(), strict=True))
        self._append_rows(series, values[overlap:], labels[overlap:], stamps)

    def _append_rows(self, series: _SeriesState, values: Floats, labels: Stamps, stamps: Stamps) -> None:
        rows = self._row_count + len(values)
        if rows * values.shape[1] > MAX_CELLS:
            raise UnreadableFileError(
                N_("{file}: the table has {count} cells. At most {accepted} are accepted."),
                file=self.name,
                count=rows * values.shape[1],
                accepted=MAX_CELLS,
            )
        if rows > len(self._stamps):
            self._grow_arrays(max(rows, 2 * self._row_count, 1024), values.shape[1])
        target = slice(self._row_count, rows)
        self._values[target], self._stamps[target], self._labels[target] = values, stamps, labels > 0
        self._codes[target] = series.number
        self._row_count = rows

    def _grow_arrays(self, rows: int, width: int) -> None:
        self._values = _extend_array(self._values.reshape(-1, width), rows)
        self._stamps, self._labels = _extend_array(self._stamps, rows), _extend_array(self._labels, rows)
        self._codes = _extend_array(self._codes, rows)

    def build_table(self) -> RawTable:
        """Return the merged table with the columns ts, column_1 … column_n.

        Where rows are days of 96 values, the columns are quarter-hours, 00:00 … 23:45. A column "entity" is added for
        named or several series, and "label" if a window has labels. Raises UnreadableFileError without any row.
        """
        if not self._row_count:
            raise UnreadableFileError(N_("{file}: no row could be read."), file=self.name)
        order = np.lexsort((self._stamps[: self._row_count], self._codes[: self._row_count]))
        values = self._values[: self._row_count] if (np.diff(order) > 0).all() else self._values[order]
        stamps = self._stamps[order]
        dates = parse_stamps(stamps)
        frame = pd.DataFrame(values, columns=pd.Index(_name_columns(values.shape[1], dates)), copy=False)
        frame.insert(0, "ts", stamps if dates is None else dates)
        if len(self._series) > 1 or self._series[0].name:
            frame.insert(1, "entity", np.array(self._name_entities(), dtype=object)[self._codes[order]])
        if self._has_labels:
            frame["label"] = self._labels[order].astype(float)
        table = RawTable(self.name, frame)
        self._add_notes(table)
        return table

    def _name_entities(self) -> list[str]:
        """Return a name for each series, that of its file if each has one file; equal names are numbered."""
        has_own_file = all(series.window_count == 1 for series in self._series)
        names = [
            series.name or (series.file.removesuffix(".seq") if has_own_file else self.name) for series in self._series
        ]
        return [
            f"{name} · {names[: number + 1].count(name)}" if names.count(name) > 1 else name
            for number, name in enumerate(names)
        ]

    def _add_notes(self, table: RawTable) -> None:
        if self._differing_rows:
            table.add_note(
                "differing_windows",
                len(self._differing_rows),
                N_(
                    "{file}: {count} row has other values in a later window. The first values were kept.",
                    "{file}: {count} rows have other values in a later window. The first values were kept.",
                ),
            )
        untimed_windows = sum(series.window_count for series in self._series if not series.has_timestamps)
        if untimed_windows:
            table.add_note(
                "windows_without_moments",
                untimed_windows,
                N_(
                    "{file}: {count} window has no timestamps. The windows were merged in the order of "
                    "their file names.",
                    "{file}: {count} windows have no timestamps. They were merged in the order of their file names.",
                ),
            )
        if self._break_count:
            table.add_note(
                "broken_windows",
                self._break_count,
                N_(
                    "{file}: {count} window does not overlap with the previous one. All its rows were added.",
                    "{file}: {count} windows do not overlap with the previous one. All their rows were added.",
                ),
            )


def _name_columns(count: int, dates: pd.DatetimeIndex | None) -> list[str]:
    """Return the names of `count` columns: quarter-hours where a row is a day of NetMob23, else numbers."""
    if count == QUARTERS_PER_DAY and dates is not None and (dates == dates.normalize()).all():
        return make_clock_labels(count)
    return [f"column_{number}" for number in range(1, count + 1)]


def _has_equal_row(values: Floats, others: Floats) -> bool:
    """Tell whether two windows have the same shape and agree in a row at least; missing values are equal."""
    if values.shape != others.shape:
        return False
    return bool(((values == others) | (np.isnan(values) & np.isnan(others))).all(axis=1).any())


def _extend_array(array: NDArray[Any], rows: int) -> NDArray[Any]:
    """Return a copy of the array with space for `rows` rows."""
    longer = np.empty((rows, *array.shape[1:]), array.dtype)
    longer[: len(array)] = array
    return longer


def _has_timestamps(stamps: Stamps | None, single_row_counts: bool = True) -> bool:
    """Tell whether a window has timestamps: at least two different numbers.

    A window of one row has timestamps if `single_row_counts` is True and its number is not zero.
    """
    if stamps is None:
        return False
    return single_row_counts and bool(stamps.any()) if len(stamps) == 1 else bool((stamps != stamps[0]).any())
