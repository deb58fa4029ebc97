"""Alarms of a forecast: what left its interval, merged into incidents of one entity, one for each fault.

Single values are judged by the forecasts one period ahead. A fault of a week changes what is known, and the forecast
follows it; so the mean of a week is judged too, by what was forecast before its first day.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from core.array_types import Floats
from core.data.panel import Panel
from core.evaluation.adaptive_conformal import MIN_SCORES
from core.evaluation.conformal import ResidualHistory
from core.evaluation.interval_events import (
    MIN_GAP_STEPS,
    SEVERITIES,
    JudgedPoints,
    Mask,
    grade_scores,
    list_events,
    merge_points,
    number_rows,
)
from core.forecasters.backtests.backtest import Backtest
from core.tasks.forecast.alarm_counts import AlarmCounts
from core.tasks.forecast.judgement import (
    PAST_PERIODS,
    JudgedValues,
    count_lasting_periods,
    count_start_periods,
    judge_means,
    judge_values,
    measure_width,
)

GAP_DAY_SHARE = 8  # of a day: an alarm bridges at most an eighth of a day of usual times
ECHO_SHARE = 0.5  # of the deviation from the forecast, that the deviation from the usual values has in an echo
FEW_PERIODS_RATIO = 2.0  # of the difference of a period to that of the mean, from which on few periods make the mean
ALARM_COLUMNS = ("measured", "expected", "low", "high", "score")
VALUE_NAMES = {"actual": "measured", "forecast": "expected", "low": "low", "high": "high"}
"""Column of judged values → column of alarms."""


def judge_backtest(backtest: Backtest, level: float) -> dict[str, Any]:
    """Return the fields `judged`, `alarms` and `alarm_counts` of a `Forecast` from its backtest."""
    first = backtest.test_start - backtest.errors_start
    return judge_periods(backtest.errors, first, backtest.series, backtest.periods, level)


def judge_periods(
    errors: ResidualHistory, first: int, series: Panel, periods: pd.DatetimeIndex, level: float
) -> dict[str, Any]:
    """Judge the last periods of `errors`, from number `first` on; `periods` are their times.

    `level` is the promised share of usual values inside the interval. Returns the fields `judged`, `alarms` and
    `alarm_counts` of a `Forecast`.
    """
    points = judge_values(errors, first, level)
    count = count_lasting_periods(len(errors.forecast))
    means = judge_means(errors, first, level, series.is_averaged)
    timeline = _Timeline.from_values(points, series, periods)
    incidents = [
        incident
        for number in range(len(series.entities))
        for incident in _list_incidents(timeline, number, means, count)
    ]
    alarms = _tabulate_incidents(incidents, timeline, series)
    lasting = _count_outside(means) if means else (0, 0)
    counts = AlarmCounts(*_count_outside(points), *lasting, _count_past_errors(errors, first))
    return {
        "judged": _tabulate_points(timeline, series, alarms),
        "alarms": alarms.drop(columns=["first_row", "last_row"]),
        "alarm_counts": counts,
    }


@dataclass(frozen=True)
class _Timeline:
    """Judged values in order of time, each (steps, entities); `times` are those of the steps."""

    times: pd.DatetimeIndex
    actual: Floats
    forecast: Floats
    low: Floats
    high: Floats
    distance: Floats
    period_steps: int

    @classmethod
    def from_values(cls, judged: JudgedValues, series: Panel, periods: pd.DatetimeIndex) -> "_Timeline":
        slots = len(series.slots)
        stamps = series.make_timestamps(periods)
        order = np.argsort(stamps.to_numpy(), kind="stable")  # hours before the start of a day belong to the next date
        entities = len(series.entities)

        def unroll(values: Floats) -> Floats:
            return np.moveaxis(values, 1, 2).reshape(-1, entities)[order]

        arrays = {name: unroll(getattr(judged, name)) for name in ("actual", "forecast", "low", "high", "distance")}
        return cls(stamps[order], **arrays, period_steps=slots)

    @property
    def max_gap(self) -> int:
        """Usual steps that an alarm bridges, at most; a short alarm bridges three."""
        return max(self.period_steps // GAP_DAY_SHARE, 1)


def _count_outside(judged: JudgedValues) -> tuple[int, int]:
    """Return the numbers of periods of an entity with a known and with an outside value."""
    is_outside = np.nan_to_num(judged.distance) != 0
    return int(np.isfinite(judged.distance).any(axis=2).sum()), int(is_outside.any(axis=2).sum())


def _count_past_errors(errors: ResidualHistory, first: int) -> int:
    """Return the errors that calibrate the entity with the fewest; few errors are joined by those of all entities."""
    past = slice(max(count_start_periods(first), first - PAST_PERIODS), first)
    counts = np.isfinite(errors.actual[past] - errors.forecast[0, past]).any(axis=2).sum(axis=0)
    return int(np.where(counts < MIN_SCORES, counts.sum(), counts).min())


# ---- incidents ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Incident:
    """Steps `first` to `last` of one entity; the values are those of its worst steps, `peak` to `peak_last`."""

    entity: int
    first: int
    last: int
    peak: int
    peak_last: int
    kind: str
    measured: float
    expected: float
    low: float
    high: float
    score: float

    def is_one_fault_with(self, later: "_Incident") -> bool:
        """Tell whether an incident that begins later overlaps this one, or nearly touches it where one is lasting."""
        gap = MIN_GAP_STEPS + 1 if "lasting" in (self.kind, later.kind) else 0
        return later.first <= self.last + gap

    @property
    def difference(self) -> float:
        """Signed distance to the forecast."""
        return self.measured - self.expected

    @property
    def deviation(self) -> float:
        """Signed distance to the forecast, in widths of the interval."""
        return self.difference / max(self.high - self.low, 1e-12)

    def is_echo(self, fault: "_Incident") -> bool:
        """Tell whether only the forecast is wrong here, because it knows the fault before: the values are as before it.

        The values are then much nearer to what was expected before the fault than to what is expected after it.
        """
        return (
            self.peak > fault.peak
            and self.deviation * fault.deviation < 0
            and abs(self.measured - fault.expected) < ECHO_SHARE * abs(self.measured - self.expected)
        )

    def join(self, other: "_Incident") -> "_Incident":
        """Return both as one, with the values of a fault rather than those of its echo.

        Where both are on one side, the lasting one gives the values, unless it is the mean of a few far worse periods.
        Else the larger deviation does.
        """
        first, last = min(self.first, other.first), max(self.last, other.last)
        score = max(self.score, other.score)
        return replace(self._choose_values(other), first=first, last=last, score=score)

    def _choose_values(self, other: "_Incident") -> "_Incident":
        """Return the one of both whose values tell what happened."""
        if other.is_echo(self) or self.is_echo(other):
            return min(self, other, key=lambda one: one.peak)
        by_kind = {one.kind == "lasting": one for one in (self, other)}
        if len(by_kind) == 2 and self.deviation * other.deviation > 0:
            lasting, single = by_kind[True], by_kind[False]
            is_of_few_periods = abs(single.difference) >= FEW_PERIODS_RATIO * abs(lasting.difference)
            return single if is_of_few_periods else lasting
        return max(self, other, key=lambda one: abs(one.deviation))


def _list_incidents(timeline: _Timeline, number: int, means: JudgedValues | None, count: int) -> list[_Incident]:
    """Return the incidents of an entity in order of time; those that overlap or nearly touch are one."""
    parts = list(_list_point_incidents(timeline, number))
    if means is not None:
        parts += _list_lasting_incidents(timeline, number, means, count)
    incidents: list[_Incident] = []
    for part in sorted(parts, key=lambda one: one.first):
        if incidents and incidents[-1].is_one_fault_with(part):
            incidents[-1] = incidents[-1].join(part)
        else:
            incidents.append(part)
    return incidents


def _list_point_incidents(timeline: _Timeline, number: int) -> Iterator[_Incident]:
    distance = timeline.distance[:, number]
    arrays = {target: getattr(timeline, source)[:, number] for source, target in VALUE_NAMES.items()}
    still = np.zeros(len(distance))
    points = JudgedPoints(distance, measure_width(arrays["low"], arrays["high"]), still, still > 0)
    for event in list_events(points, timeline.max_gap, shift_steps=len(distance) + 1):
        values = {name: float(array[event.peak]) for name, array in arrays.items()}
        yield _Incident(
            number, event.first, event.last, event.peak, event.peak, event.kind, score=event.score, **values
        )


def _list_lasting_incidents(timeline: _Timeline, number: int, means: JudgedValues, count: int) -> Iterator[_Incident]:
    """Yield the worst mean of every group of means outside on one side; `count` is their number of periods."""
    distance = means.distance[:, number, 0]
    arrays = {target: getattr(means, source)[:, number, 0] for source, target in VALUE_NAMES.items()}
    excess = np.abs(np.nan_to_num(distance)) / measure_width(arrays["low"], arrays["high"])
    for side in (1, -1):
        is_outside: Mask = np.nan_to_num(distance) * side > 0
        for first, last in merge_points(is_outside, np.zeros_like(is_outside), max_gap=1):
            worst = first + int((excess[first : last + 1] * is_outside[first : last + 1]).argmax())
            start = max(worst - count + 1, 0) * timeline.period_steps
            end = (worst + 1) * timeline.period_steps - 1
            values = {name: float(array[worst]) for name, array in arrays.items()}
            yield _Incident(number, start, end, start, end, "lasting", score=float(excess[worst]), **values)


# ---- tables ---------------------------------------------------------------------------------------------------------


def _tabulate_incidents(incidents: list[_Incident], timeline: _Timeline, series: Panel) -> pd.DataFrame:
    """Return one line per incident, worst first, with its first and last row in the table of points."""
    ranked = sorted(incidents, key=lambda one: -one.score)
    steps = len(timeline.times)
    first, last, peak, peak_last, entity = (
        np.array([getattr(one, name) for one in ranked], dtype=np.intp)
        for name in ("first", "last", "peak", "peak_last", "entity")
    )
    values = {name: np.array([getattr(one, name) for one in ranked], dtype=np.float64) for name in ALARM_COLUMNS}
    difference = values["measured"] - values["expected"]
    usual = np.where(values["expected"] == 0, np.nan, np.abs(values["expected"]))
    is_outside = np.nan_to_num(timeline.distance) != 0
    last_known = [int(np.flatnonzero(known)[-1]) if known.any() else -1 for known in np.isfinite(timeline.distance).T]
    table = {
        "alarm": np.arange(len(ranked), dtype=np.int32),
        "entity": pd.Categorical.from_codes(entity, list(series.entities)),
        "kind": np.array([one.kind for one in ranked], dtype=object),
        "severity": np.array(SEVERITIES, dtype=object)[grade_scores(values["score"])],
        "start": timeline.times[first],
        "end": timeline.times[last],
        "peak": timeline.times[peak],
        "peak_end": timeline.times[peak_last],
        **values,
        "difference": difference,
        "percent": 100 * difference / usual,
        "steps": last - first + 1,
        "outside": [int(is_outside[one.first : one.last + 1, one.entity].sum()) for one in ranked],
        "is_open": np.array([one.last >= last_known[one.entity] for one in ranked], dtype=bool),
        "first_row": entity * steps + first,
        "last_row": entity * steps + last,
    }
    return pd.DataFrame(table)


def _tabulate_points(timeline: _Timeline, series: Panel, alarms: pd.DataFrame) -> pd.DataFrame:
    """Return the judged values, one entity after the other in order of time, without those that are not known."""
    names = ("actual", "forecast", "low", "high", "distance")
    steps, entities = timeline.actual.shape
    table = pd.DataFrame(
        {
            "entity": pd.Categorical.from_codes(np.repeat(np.arange(entities), steps), list(series.entities)),
            "time": np.tile(timeline.times.to_numpy(), entities),
            **{name: getattr(timeline, name).T.ravel() for name in names},
        }
    )
    table["alarm"] = number_rows(alarms, len(table), "alarm")
    known = table[table["distance"].notna()]
    return known.astype(dict.fromkeys(names, np.float32)).reset_index(drop=True)
