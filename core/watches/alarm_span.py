"""Alarms of one entity that touch in time, summed up so that they can be joined in any order."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Self

import numpy as np
import pandas as pd

from core.watches.incident import Incident
from core.watches.judgement import JUDGED_COLUMNS

MAX_SEVERITY, MAX_SCORE = 3, float(np.finfo(np.float64).max)


@dataclass(frozen=True)
class WorstAlarm:
    """The alarm with the highest score, of several the earliest; `run` is the run whose model judged it.

    The other fields are those of `Incident`.
    """

    peak: float
    peak_at: datetime
    column: str = ""
    measured: float | None = None
    expected: float | None = None
    low: float | None = None
    high: float | None = None
    causes: tuple[str, ...] = ()
    run: str = ""

    def exceeds(self, other: Self) -> bool:
        """Tell whether it is worse than another alarm of its entity."""
        return (self.peak, other.peak_at) > (other.peak, self.peak_at)


@dataclass(frozen=True)
class AlarmSpan:
    """Alarms from `start` to `end`; the fields are those of `Incident`."""

    start: datetime
    end: datetime
    rows: int
    rows_above: int
    rows_below: int
    severity: int
    worst: WorstAlarm

    @classmethod
    def from_incident(cls, incident: Incident) -> Self:
        """Return the alarms of an incident."""
        worst = WorstAlarm(**{field.name: getattr(incident, field.name) for field in fields(WorstAlarm)})
        counts = {field.name: getattr(incident, field.name) for field in fields(cls) if field.name != "worst"}
        return cls(**counts, worst=worst)

    @classmethod
    def from_row(cls, row: Any, instant: datetime, run: str) -> Self:
        """Return one alarm from a named tuple of `JUDGED_COLUMNS`."""
        measured, expected = _to_number(row.measured), _to_number(row.expected)
        deviation = 0.0 if measured is None or expected is None else measured - expected
        worst = WorstAlarm(
            peak=float(np.nan_to_num(row.score, posinf=MAX_SCORE, neginf=-MAX_SCORE)),
            peak_at=instant,
            column="" if pd.isna(row.column) else str(row.column),
            measured=measured,
            expected=expected,
            low=_to_number(row.low),
            high=_to_number(row.high),
            causes=_read_causes(row.causes),
            run=run,
        )
        severity = min(max(int(row.severity), 0), MAX_SEVERITY)
        return cls(instant, instant, 1, int(deviation > 0), int(deviation < 0), severity, worst)

    def judge_with(self, run: str) -> Self:
        """Return the same alarms, judged by the model of a run."""
        return replace(self, worst=replace(self.worst, run=run))

    def join(self, other: Self) -> Self:
        """Return the alarms of both; they have none in common."""
        return replace(
            self,
            start=min(self.start, other.start),
            end=max(self.end, other.end),
            rows=self.rows + other.rows,
            rows_above=self.rows_above + other.rows_above,
            rows_below=self.rows_below + other.rows_below,
            severity=max(self.severity, other.severity),
            worst=other.worst if other.worst.exceeds(self.worst) else self.worst,
        )

    def touches(self, later: Self, reach: timedelta) -> bool:
        """Tell whether alarms that start later belong to the same incident."""
        return later.start - self.end <= reach

    def build_values(self) -> dict[str, Any]:
        """Return the values of an incident with these alarms."""
        counts = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "worst"}
        return counts | {field.name: getattr(self.worst, field.name) for field in fields(self.worst)}


def iter_instants(instants: pd.Series) -> Iterator[datetime]:
    """Yield instants of a judgement as datetimes in UTC, to the microsecond."""
    for instant in pd.DatetimeIndex(pd.to_datetime(instants, utc=True)).floor("us").to_pydatetime():
        yield instant.replace(tzinfo=UTC)


def iter_rows(rows: pd.DataFrame) -> Iterator[Any]:
    """Yield the rows of a table with `JUDGED_COLUMNS` as named tuples."""
    yield from rows[list(JUDGED_COLUMNS)].itertuples(index=False)


def _to_number(value: Any) -> float | None:
    """Return a finite number, else None."""
    return None if value is None or not math.isfinite(value) else float(value)


def _read_causes(value: Any) -> tuple[str, ...]:
    """Return the columns that cause an alarm: a text names one, and an empty one or NaN none."""
    if isinstance(value, str):
        return (value,) if value else ()
    return tuple(map(str, value)) if isinstance(value, list | tuple | np.ndarray) else ()
