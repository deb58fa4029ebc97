"""Injected anomalies: known changes in normal series, for data without labels.

Results hold for injected anomalies only.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import cycle
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.array_types import Floats
from core.errors import DataError, OptionError
from core.evaluation.explanation import RootCause
from core.evaluation.validation import Flags, Indices
from core.messages import N_

Values = NDArray[np.floating[Any]]

MEDIAN_EVENT_ROWS = 30  # median rows of an event; lengths are geometric
MAX_SPIKE_ROWS = 3  # rows of a spike, at most
MIN_GAP_ROWS = 10  # normal rows around an event, at least
MIN_ROWS = 100  # rows of a series, at least
MAX_EVENT_COLUMNS = 5  # columns of an event, at most
SIZE_RANGE = (0.5, 8.0)  # standard deviations of the column: from barely visible to obvious
MIN_SIZE = 0.1  # standard deviations; smaller changes are not injected


@dataclass(frozen=True)
class InjectedEvent(RootCause):
    """Injected event with its kind, and its largest change in standard deviations of the column."""

    kind: str
    size: float


@dataclass(frozen=True)
class _InjectionTarget:
    """Target of one event: the original `values`, its rows and columns, and the size of the change in each column."""

    values: Floats
    rows: slice
    columns: Indices
    amount: Floats
    rng: np.random.Generator

    @property
    def original(self) -> Floats:
        """Original values in the rows and columns of the event."""
        return self.values[self.rows, self.columns]

    @property
    def length(self) -> int:
        """Number of rows."""
        return int(self.rows.stop - self.rows.start)


def inject(values: Values, *, seed: int, share: float = 0.05) -> tuple[Values, Flags, list[InjectedEvent]]:
    """Inject anomalies into about `share` of the rows of a copy of `values` (rows, columns).

    Returns the copy, the labels (rows,) and the injected events. The kinds take turns (see `ANOMALY_KINDS`). An event
    changes up to 5 columns; lengths and sizes vary, and normal rows separate the events. Missing values stay missing.
    An event without a visible change is left out. The same seed injects the same events. Raises OptionError for a share
    outside 0 to 0.5, DataError for fewer than 100 rows and if all columns are constant.

    Example:
        >>> import numpy as np
        >>> values = np.random.default_rng(1).normal(size=(400, 3))
        >>> copy, labels, events = inject(values, seed=0)
        >>> [(event.kind, event.start, event.stop, event.columns) for event in events], int(labels.sum())
        ([('drift', 191, 211, (1, 2))], 20)
    """
    _check_arguments(values, share)
    original = values.astype(np.float64)
    spread = _compute_spread(original)
    if not spread.any():
        raise DataError(N_("No column varies (columns: {count}). No anomaly can be injected."), count=len(spread))
    rng = np.random.default_rng(seed)
    injected, labels, events = original.copy(), np.zeros(len(values), dtype=bool), []
    for kind, rows in _draw_events(len(values), share, rng):
        target = _choose_target(original, rows, spread, rng)
        kind, change = _compute_change(kind, target, spread)
        size = np.abs(change).max(axis=0) / spread[target.columns]
        if (is_visible := size >= MIN_SIZE).any():
            injected[rows, target.columns[is_visible]] += change[:, is_visible]
            labels[rows] = True
            causes = tuple(target.columns[is_visible].tolist())
            events.append(InjectedEvent(rows.start, rows.stop, causes, kind, float(size.max())))
    return injected.astype(values.dtype), labels, events


def _check_arguments(values: Values, share: float) -> None:
    if not 0 < share <= 0.5:
        raise OptionError(
            N_("{name} = {value} is out of range. Accepted: {low} to {high}."),
            name="share",
            value=share,
            low=0,
            high=0.5,
        )
    if len(values) < MIN_ROWS:
        raise DataError(
            N_("Too few rows to inject anomalies: {count}. At least {accepted} are needed."),
            count=len(values),
            accepted=MIN_ROWS,
        )


def _compute_spread(values: Floats) -> Floats:
    """Return the standard deviation of every column; 0 for a column that is constant or has no value."""
    is_known = np.isfinite(values)
    count = np.maximum(is_known.sum(axis=0), 1)
    filled = np.where(is_known, values, 0.0)
    deviation = np.where(is_known, values - filled.sum(axis=0) / count, 0.0)
    spread = np.sqrt((deviation**2).sum(axis=0) / count)
    return np.where(spread > 1e-9 * np.abs(filled).max(axis=0), spread, 0.0)


def _draw_events(rows: int, share: float, rng: np.random.Generator) -> Iterator[tuple[str, slice]]:
    """Yield kinds and rows of the events, in the order of time, with normal rows before, between and after."""
    kinds, lengths = _draw_lengths(rows, share, rng)
    spare = rows - sum(lengths) - MIN_GAP_ROWS * (len(lengths) + 1)
    offsets = np.sort(rng.integers(0, spare + 1, len(lengths)))
    start = MIN_GAP_ROWS
    for kind, length, offset in zip(kinds, lengths, offsets.tolist(), strict=True):
        yield kind, slice(start + offset, start + offset + length)
        start += length + MIN_GAP_ROWS


def _draw_lengths(rows: int, share: float, rng: np.random.Generator) -> tuple[list[str], list[int]]:
    """Draw kinds and lengths of events until they fill the share of the rows or the remaining room."""
    kinds: list[str] = []
    lengths: list[int] = []
    for kind in cycle(rng.permutation(list(ANOMALY_KINDS)).tolist()):
        length = int(rng.geometric(1 - 0.5 ** (1 / MEDIAN_EVENT_ROWS)))
        length = 1 + length % MAX_SPIKE_ROWS if kind == "spike" else max(length, 2)
        remaining_rows = min(
            round(rows * share) - sum(lengths), rows - sum(lengths) - MIN_GAP_ROWS * (len(lengths) + 2)
        )
        if remaining_rows < 1:
            break
        kinds.append(kind)
        lengths.append(min(length, remaining_rows))
    return kinds, lengths


def _choose_target(values: Floats, rows: slice, spread: Floats, rng: np.random.Generator) -> _InjectionTarget:
    varying_columns = np.flatnonzero(spread)
    count = int(rng.integers(1, min(len(varying_columns), MAX_EVENT_COLUMNS) + 1))
    columns = np.sort(rng.choice(varying_columns, count, replace=False))
    size = float(np.exp(rng.uniform(*np.log(SIZE_RANGE))))
    return _InjectionTarget(values, rows, columns, size * spread[columns] * rng.choice([-1.0, 1.0], count), rng)


def _compute_change(kind: str, target: _InjectionTarget, spread: Floats) -> tuple[str, Floats]:
    """Return the kind and the change added to the values, 0 where they are missing.

    A kind that would change nothing here becomes a shift.
    """
    change = np.nan_to_num(ANOMALY_KINDS[kind](target))
    if (np.abs(change).max(axis=0) < MIN_SIZE * spread[target.columns]).all():
        kind, change = "shift", _shift_level(target)
    return kind, np.where(np.isfinite(target.original), change, 0.0)


def _shift_level(target: _InjectionTarget) -> Floats:
    """Return another level, reached from one row to the next."""
    return np.broadcast_to(target.amount, target.original.shape)


def _add_drift(target: _InjectionTarget) -> Floats:
    """Return a linear drift away from the level."""
    return np.linspace(0, 1, target.length + 1)[1:, None] * target.amount


def _add_noise(target: _InjectionTarget) -> Floats:
    """Return a burst of noise."""
    return target.rng.normal(size=target.original.shape) * target.amount


def _freeze_value(target: _InjectionTarget) -> Floats:
    """Return the change of a sensor that repeats its last value before the event."""
    return target.values[target.rows.start - 1, target.columns] - target.original


def _flatten_to_line(target: _InjectionTarget) -> Floats:
    """Return the change to a straight line from before to after: the cycle is missing."""
    before, after = (target.values[row, target.columns] for row in (target.rows.start - 1, target.rows.stop))
    return np.linspace(before, after, target.length + 2)[1:-1] - target.original


def _shift_time(target: _InjectionTarget) -> Floats:
    """Return the change to earlier rows, or to later rows where there are no earlier ones."""
    lag = int(target.rng.integers(1, 2 * target.length + 2))
    lag = lag if target.rows.start >= lag else -min(lag, len(target.values) - target.rows.stop)
    return target.values[target.rows.start - lag : target.rows.stop - lag, target.columns] - target.original


def _shuffle_columns(target: _InjectionTarget) -> Floats:
    """Return the change to other rows of each column: plausible alone, wrong in combination with the other columns."""
    starts = target.rng.integers(0, len(target.values) - target.length + 1, len(target.columns))
    rows = starts + np.arange(target.length)[:, None]
    return target.values[rows, target.columns] - target.original


ANOMALY_KINDS: dict[str, Callable[[_InjectionTarget], Floats]] = {
    "spike": _shift_level,
    "shift": _shift_level,
    "drift": _add_drift,
    "noise": _add_noise,
    "frozen": _freeze_value,
    "line": _flatten_to_line,
    "late": _shift_time,
    "stranger": _shuffle_columns,
}
