"""Merging of overlapping windows into the original series, one row per timestamp."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.data.ingest.readers.base import MAX_CELLS, Table, check_columns
from core.data.stamps import dates_of
from core.errors import UnreadableFileError
from core.messages import N_

Floats = NDArray[np.float64]
Stamps = NDArray[np.int64]


@dataclass(eq=False)
class _Series:
    """State of one series during merging: the row of each timestamp, and the latest window."""

    number: int
    name: str
    timed: bool
    first: int = 0
    places: dict[int, int] = field(default_factory=dict)
    windows: int = 0
    newest: Floats = field(default_factory=lambda: np.empty((0, 0)))


class Joined:
    """Merger of windows into series, in one growing array.

    The rows of a window with timestamps are placed by timestamp, in any order of windows; the first values of a
    timestamp are kept. A window without timestamps (all zero) continues the previous one after their longest overlap.
    A window that starts at the first timestamp of the series again starts another series.

    Example:
        >>> merger = Joined("cpu")
        >>> merger.add("0.seq", np.array([[1.0], [2.0], [3.0]]), None, None)
        >>> merger.add("1.seq", np.array([[2.0], [3.0], [4.0]]), None, None)
        >>> frame = merger.table().frame
        >>> frame["column_1"].tolist(), frame["ts"].tolist()
        ([1.0, 2.0, 3.0, 4.0], [0, 1, 2, 3])
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._rows = 0
        self._values = np.empty((0, 0))
        self._stamps = np.empty(0, np.int64)
        self._labels = np.empty(0, np.int8)
        self._codes = np.empty(0, np.int32)
        self._series: list[_Series] = []
        self._current: dict[str, _Series] = {}
        self._labelled = False
        self._differing: set[int] = set()
        self._breaks = 0

    def add(self, file: str, values: Floats, labels: Stamps | None, stamps: Stamps | None, entity: str = "") -> None:
        """Add a window: values of shape (rows, columns), labels and timestamps of shape (rows,).

        Raises UnreadableFileError for another number of columns than before, and for a window without timestamps in a
        series with timestamps or the reverse.
        """
        if self._series and values.shape[1] != self._values.shape[1]:
            raise UnreadableFileError(
                N_("{file}: {count} columns where the windows before have {accepted}."),
                file=file,
                count=values.shape[1],
                accepted=self._values.shape[1],
            )
        if not self._series:
            check_columns([str(number) for number in range(values.shape[1])], file)
        self._labelled |= labels is not None
        labels = np.zeros(len(values), np.int64) if labels is None else labels
        series = self._series_of(entity, stamps)
        if series.timed != _timed(stamps, series.timed):
            raise UnreadableFileError(
                N_("{file}: 'ts' holds no moments, although the windows before have them (or the reverse)."), file=file
            )
        if series.timed and stamps is not None:
            self._lay(series, values, labels, stamps)
        else:
            self._continue(series, values, labels)
        series.windows, series.newest = series.windows + 1, values

    def _series_of(self, entity: str, stamps: Stamps | None) -> _Series:
        """Return the series of a window; create it for its first window."""
        current = self._current.get(entity)
        first = 0 if stamps is None else int(stamps[0])
        again = current is not None and _timed(stamps, current.timed) and current.windows > 1 and current.first == first
        if current is None or again:
            current = _Series(len(self._series), entity, _timed(stamps), first)
            self._current[entity] = current
            self._series.append(current)
        return current

    def _lay(self, series: _Series, values: Floats, labels: Stamps, stamps: Stamps) -> None:
        """Append the rows of new timestamps; compare the other rows with the stored ones."""
        fresh: list[int] = []
        at = np.empty(len(stamps), np.intp)
        for row, moment in enumerate(stamps.tolist()):
            new = self._rows + len(fresh)
            at[row] = series.places.setdefault(moment, new)
            if at[row] == new:
                fresh.append(row)
        self._append(series, values[fresh], labels[fresh], stamps[fresh])
        there = self._values[at]
        same = (there == values) | (np.isnan(there) & np.isnan(values))
        self._differing.update(at[~same.all(axis=1) | (self._labels[at] != (labels > 0))].tolist())

    def _continue(self, series: _Series, values: Floats, labels: Stamps) -> None:
        """Append the rows after the longest overlap with the previous window; all rows without an overlap."""
        most = min(len(series.newest), len(values) - 1)
        shared = next(
            each
            for each in range(most, -1, -1)
            if not each or np.array_equal(series.newest[-each:], values[:each], equal_nan=True)
        )
        self._breaks += bool(series.windows and not shared)
        rows = len(series.places)
        stamps = np.arange(rows, rows + len(values) - shared)
        series.places.update(zip(stamps.tolist(), stamps.tolist(), strict=True))
        self._append(series, values[shared:], labels[shared:], stamps)

    def _append(self, series: _Series, values: Floats, labels: Stamps, stamps: Stamps) -> None:
        rows = self._rows + len(values)
        if rows * values.shape[1] > MAX_CELLS:
            raise UnreadableFileError(
                N_("{file}: {count} cells; at most {accepted} are read."),
                file=self.name,
                count=rows * values.shape[1],
                accepted=MAX_CELLS,
            )
        if rows > len(self._stamps):
            self._grow(max(rows, 2 * self._rows, 1024), values.shape[1])
        place = slice(self._rows, rows)
        self._values[place], self._stamps[place], self._labels[place] = values, stamps, labels > 0
        self._codes[place] = series.number
        self._rows = rows

    def _grow(self, rows: int, width: int) -> None:
        self._values = _longer(self._values.reshape(-1, width), rows)
        self._stamps, self._labels = _longer(self._stamps, rows), _longer(self._labels, rows)
        self._codes = _longer(self._codes, rows)

    def table(self) -> Table:
        """Return the merged table with the columns ts, column_1 … column_n.

        A column "entity" is added for named or several series, and "label" if a window has labels.
        Raises UnreadableFileError without any row.
        """
        if not self._rows:
            raise UnreadableFileError(N_("{file}: no row could be read."), file=self.name)
        order = np.lexsort((self._stamps[: self._rows], self._codes[: self._rows]))
        values = self._values[: self._rows] if (np.diff(order) > 0).all() else self._values[order]
        names = [f"column_{number}" for number in range(1, values.shape[1] + 1)]
        frame = pd.DataFrame(values, columns=pd.Index(names), copy=False)
        stamps = self._stamps[order]
        frame.insert(0, "ts", dates if (dates := dates_of(stamps)) is not None else stamps)
        if len(self._series) > 1 or self._series[0].name:
            frame.insert(1, "entity", np.array(self._entities(), dtype=object)[self._codes[order]])
        if self._labelled:
            frame["label"] = self._labels[order].astype(float)
        table = Table(self.name, frame)
        self._note(table)
        return table

    def _entities(self) -> list[str]:
        """Return a name for each series; series with the same name are numbered."""
        names = [series.name or self.name for series in self._series]
        return [
            f"{name} · {names[: number + 1].count(name)}" if names.count(name) > 1 else name
            for number, name in enumerate(names)
        ]

    def _note(self, table: Table) -> None:
        if self._differing:
            table.note(
                "differing_windows",
                len(self._differing),
                N_("{file}: {count} moments have other values in a later window; the first were kept."),
            )
        untimed = sum(series.windows for series in self._series if not series.timed)
        if untimed:
            table.note(
                "windows_without_moments",
                untimed,
                N_("{file}: {count} windows without moments, joined in the order of their numbers."),
            )
        if self._breaks:
            table.note(
                "broken_windows",
                self._breaks,
                N_("{file}: {count} windows do not continue the one before; all their rows were added."),
            )


def _longer(array: NDArray[Any], rows: int) -> NDArray[Any]:
    """Return a copy of the array with space for `rows` rows."""
    grown = np.empty((rows, *array.shape[1:]), array.dtype)
    grown[: len(array)] = array
    return grown


def _timed(stamps: Stamps | None, alone: bool = True) -> bool:
    """Tell whether a window has timestamps: at least two different numbers.

    A window of one row has timestamps if `alone` is True and its number is not zero.
    """
    if stamps is None:
        return False
    return alone and bool(stamps.any()) if len(stamps) == 1 else bool((stamps != stamps[0]).any())
