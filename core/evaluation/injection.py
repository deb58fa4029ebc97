"""Injected anomalies: known changes in normal series, for data without labels.

Results hold for injected anomalies only.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import cycle
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.errors import DataError, OptionError
from core.evaluation.explanation import RootCause
from core.evaluation.scores import Flags, Floats, Places
from core.messages import N_

Values = NDArray[np.floating[Any]]

MEDIAN_ROWS = 30  # median rows of an event; lengths are geometric
SPIKE_ROWS = 3  # rows of a spike, at most
REST = 10  # normal rows around an event, at least
LEAST_ROWS = 100  # rows of a series, at least
MOST_COLUMNS = 5  # columns of an event, at most
SIZES = (0.5, 8.0)  # standard deviations of the column: from barely visible to obvious
LEAST_SIZE = 0.1  # standard deviations; smaller changes are not injected


@dataclass(frozen=True)
class Planted(RootCause):
    """Injected event with its kind, and its largest change in standard deviations of the column."""

    kind: str
    size: float


@dataclass(frozen=True)
class _Place:
    """Target of one event: the original `values`, its rows and columns, and the size of the change in each column."""

    values: Floats
    rows: slice
    columns: Places
    amount: Floats
    random: np.random.Generator

    @property
    def own(self) -> Floats:
        """Original values in the rows and columns of the event."""
        return self.values[self.rows, self.columns]

    @property
    def length(self) -> int:
        """Number of rows."""
        return int(self.rows.stop - self.rows.start)


def inject(values: Values, *, seed: int, share: float = 0.05) -> tuple[Values, Flags, list[Planted]]:
    """Inject anomalies into about `share` of the rows of a copy of `values` (rows, columns).

    Returns the copy, the labels (rows,) and the injected events. The kinds take turns (see `KINDS`). An event changes
    up to 5 columns; lengths and sizes vary, and normal rows separate the events. Missing values stay missing. An
    event without a visible change is left out. The same seed injects the same events. Raises OptionError for a share
    outside 0 to 0.5, DataError for fewer than 100 rows and if all columns are constant.

    Example:
        >>> import numpy as np
        >>> values = np.random.default_rng(1).normal(size=(400, 3))
        >>> copy, labels, events = inject(values, seed=0)
        >>> [(event.kind, event.start, event.stop, event.columns) for event in events], int(labels.sum())
        ([('drift', 191, 211, (1, 2))], 20)
    """
    _check(values, share)
    before = values.astype(np.float64)
    spread = _spread(before)
    if not spread.any():
        raise DataError(N_("None of {count} columns ever changes: nothing can stand out from it."), count=len(spread))
    random = np.random.default_rng(seed)
    after, labels, planted = before.copy(), np.zeros(len(values), dtype=bool), []
    for kind, rows in _spans(len(values), share, random):
        place = _place(before, rows, spread, random)
        kind, change = _change(kind, place, spread)
        size = np.abs(change).max(axis=0) / spread[place.columns]
        if (hit := size >= LEAST_SIZE).any():
            after[rows, place.columns[hit]] += change[:, hit]
            labels[rows] = True
            causes = tuple(place.columns[hit].tolist())
            planted.append(Planted(rows.start, rows.stop, causes, kind, float(size.max())))
    return after.astype(values.dtype), labels, planted


def _check(values: Values, share: float) -> None:
    if not 0 < share <= 0.5:
        raise OptionError(
            N_("{name} = {value} is outside {low} to {high}."), name="share", value=share, low=0, high=0.5
        )
    if len(values) < LEAST_ROWS:
        raise DataError(
            N_("{count} rows are too few to plant anomalies in; at least {accepted} are needed."),
            count=len(values),
            accepted=LEAST_ROWS,
        )


def _spread(values: Floats) -> Floats:
    """Return the standard deviation of every column; 0 for a column that is constant or has no value."""
    known = np.isfinite(values)
    count = np.maximum(known.sum(axis=0), 1)
    filled = np.where(known, values, 0.0)
    away = np.where(known, values - filled.sum(axis=0) / count, 0.0)
    spread = np.sqrt((away**2).sum(axis=0) / count)
    return np.where(spread > 1e-9 * np.abs(filled).max(axis=0), spread, 0.0)


def _spans(rows: int, share: float, random: np.random.Generator) -> Iterator[tuple[str, slice]]:
    """Yield kinds and rows of the events, in the order of time, with normal rows before, between and after."""
    kinds, lengths = _lengths(rows, share, random)
    spare = rows - sum(lengths) - REST * (len(lengths) + 1)
    offsets = np.sort(random.integers(0, spare + 1, len(lengths)))
    start = REST
    for kind, length, offset in zip(kinds, lengths, offsets.tolist(), strict=True):
        yield kind, slice(start + offset, start + offset + length)
        start += length + REST


def _lengths(rows: int, share: float, random: np.random.Generator) -> tuple[list[str], list[int]]:
    """Draw kinds and lengths of events until they fill the share of the rows or the remaining room."""
    kinds: list[str] = []
    lengths: list[int] = []
    for kind in cycle(random.permutation(list(KINDS)).tolist()):
        length = int(random.geometric(1 - 0.5 ** (1 / MEDIAN_ROWS)))
        length = 1 + length % SPIKE_ROWS if kind == "spike" else max(length, 2)
        left = min(round(rows * share) - sum(lengths), rows - sum(lengths) - REST * (len(lengths) + 2))
        if left < 1:
            break
        kinds.append(kind)
        lengths.append(min(length, left))
    return kinds, lengths


def _place(values: Floats, rows: slice, spread: Floats, random: np.random.Generator) -> _Place:
    usable = np.flatnonzero(spread)
    count = int(random.integers(1, min(len(usable), MOST_COLUMNS) + 1))
    columns = np.sort(random.choice(usable, count, replace=False))
    size = float(np.exp(random.uniform(*np.log(SIZES))))
    return _Place(values, rows, columns, size * spread[columns] * random.choice([-1.0, 1.0], count), random)


def _change(kind: str, place: _Place, spread: Floats) -> tuple[str, Floats]:
    """Return the kind and the change added to the values, 0 where they are missing.

    A kind that would change nothing here becomes a shift.
    """
    change = np.nan_to_num(KINDS[kind](place))
    if (np.abs(change).max(axis=0) < LEAST_SIZE * spread[place.columns]).all():
        kind, change = "shift", _shift(place)
    return kind, np.where(np.isfinite(place.own), change, 0.0)


def _shift(place: _Place) -> Floats:
    """Return another level, reached from one row to the next."""
    return np.broadcast_to(place.amount, place.own.shape)


def _drift(place: _Place) -> Floats:
    """Return a linear drift away from the level."""
    return np.linspace(0, 1, place.length + 1)[1:, None] * place.amount


def _noise(place: _Place) -> Floats:
    """Return a burst of noise."""
    return place.random.normal(size=place.own.shape) * place.amount


def _frozen(place: _Place) -> Floats:
    """Return the change of a sensor that repeats its last value before the event."""
    return place.values[place.rows.start - 1, place.columns] - place.own


def _line(place: _Place) -> Floats:
    """Return the change to a straight line from before to after: the cycle is missing."""
    before, after = (place.values[row, place.columns] for row in (place.rows.start - 1, place.rows.stop))
    return np.linspace(before, after, place.length + 2)[1:-1] - place.own


def _late(place: _Place) -> Floats:
    """Return the change to earlier rows, or to later rows where there are no earlier ones."""
    lag = int(place.random.integers(1, 2 * place.length + 2))
    lag = lag if place.rows.start >= lag else -min(lag, len(place.values) - place.rows.stop)
    return place.values[place.rows.start - lag : place.rows.stop - lag, place.columns] - place.own


def _stranger(place: _Place) -> Floats:
    """Return the change to other rows of each column: plausible alone, wrong in combination with the other columns."""
    starts = place.random.integers(0, len(place.values) - place.length + 1, len(place.columns))
    rows = starts + np.arange(place.length)[:, None]
    return place.values[rows, place.columns] - place.own


KINDS: dict[str, Callable[[_Place], Floats]] = {
    "spike": _shift,
    "shift": _shift,
    "drift": _drift,
    "noise": _noise,
    "frozen": _frozen,
    "line": _line,
    "late": _late,
    "stranger": _stranger,
}
