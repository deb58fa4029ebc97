"""Views of a threshold that moves: thresholds to move between, and the alarms that each of them gives."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from core.array_types import Floats
from core.evaluation.alarm_rates import PERIOD_LENGTHS_S
from core.evaluation.one_class import Confusion, count_confusion
from core.evaluation.validation import check_scores

MAX_THRESHOLDS = 201
MARGIN = 0.001  # of the largest score, in absolute terms: how far the two ends lie outside the scores
DIGITS = 6  # significant digits that tell two thresholds apart

Codes = NDArray[np.intp]


def list_thresholds(scores: ArrayLike, current: float | None = None) -> list[float]:
    """Return thresholds from little to very sensitive, at most 203: from no alarm to an alarm at every score.

    They lie in the middle between two scores, so that rounding changes no alarm. Half of the steps change the number
    of alarms by a constant factor, half by a constant number. Thresholds with the same six digits are one; the current
    threshold stays as it is. Empty without scores. Raises DataError for scores that are not finite.

    Example:
        >>> list_thresholds([1.0, 2.0, 4.0], current=3.5)
        [4.004, 3.5, 3.0, 1.5, 0.996]
    """
    if not np.size(scores):
        return []
    values, counts = np.unique(check_scores(scores), return_counts=True)
    total, margin = int(counts.sum()), max(MARGIN * (float(np.abs(values).max()) or 1.0), np.finfo(float).tiny)
    ends = values[0] - margin, values[-1] + margin
    middles = values[:-1] + (values[1:] - values[:-1]) / 2
    alarms = total - np.cumsum(counts)[:-1]  # above each middle, descending
    steps = MAX_THRESHOLDS // 2
    wanted = np.concatenate([np.geomspace(1, total, steps), np.linspace(1, total, steps)])
    positions = np.unique(np.searchsorted(-alarms, -wanted))
    positions = positions[positions < len(middles)]
    candidates = [*([] if current is None else [current]), *ends, *middles[positions].tolist()]
    # The current threshold wins. Adding zero turns -0.0 into 0.0: equal thresholds have one text.
    by_text = {f"{value + 0.0:.{DIGITS}g}": float(value + 0.0) for value in reversed(candidates)}
    return sorted(by_text.values(), reverse=True)


@dataclass(frozen=True)
class ScoredRows:
    """Scored rows of several entities; the rows of an entity are together, in the order of time.

    scores    (rows,), compared with the threshold
    codes     (rows,), positions of the entities in `entities`
    entities  names
    times     (rows,), timestamps or row numbers
    labels    (rows,), True for a row that is known to be abnormal; None without labels
    gap_rows  rows that are not flagged between two flagged rows of one incident, at most

    Example:
        >>> table = pd.DataFrame({"entity": ["a"] * 5, "time": range(5), "score": [0.0, 7.0, 8.0, 1.0, 9.0]})
        >>> rows = ScoredRows.from_table(table)
        >>> view_threshold(rows, 5.0).incidents["rows"].tolist()  # neighbours form one incident
        [1, 2]
    """

    scores: Floats
    codes: Codes
    entities: tuple[str, ...]
    times: pd.Index
    labels: NDArray[np.bool_] | None = None
    gap_rows: int = 0

    @classmethod
    def from_table(cls, table: pd.DataFrame, labels: ArrayLike | None = None, gap_rows: int = 0) -> "ScoredRows":
        """Build it from a table with the columns entity, time and score, in any order of rows."""
        codes, entities = pd.factorize(table["entity"], sort=True)
        times = pd.Index(table["time"])
        order = np.lexsort((times.to_numpy(), codes))
        flags = None if labels is None else np.asarray(labels, dtype=bool)[order]
        scores = table["score"].to_numpy(dtype=np.float64)[order]
        return cls(scores, codes[order].astype(np.intp), tuple(map(str, entities)), times[order], flags, gap_rows)

    @property
    def has_dates(self) -> bool:
        """True where the rows have timestamps instead of row numbers."""
        return isinstance(self.times, pd.DatetimeIndex)

    @cached_property
    def months(self) -> tuple[Codes, tuple[str, ...]]:
        """Position of the month of every row, (rows,), and the months as "2024-01"; none without dates."""
        if not isinstance(self.times, pd.DatetimeIndex) or not len(self.times):
            return np.zeros(len(self.scores), dtype=np.intp), ()
        numbers = self.times.to_numpy().astype("datetime64[M]")
        codes = (numbers - numbers.min()).astype(np.intp)
        return codes, tuple(map(str, np.arange(numbers.min(), numbers.max() + 1)))

    @cached_property
    def highest_before(self) -> Floats:
        """Highest score among the rows just before every row that would belong to the same incident, (rows,).

        A flagged row begins an incident where the threshold is not below it.
        """
        return self.find_highest_before(self.scores, -np.inf)

    def find_highest_before(self, values: NDArray[Any], lowest: float) -> NDArray[Any]:
        """Return `highest_before` for `values` (rows,) in the order of the scores; `lowest` where there is no row."""
        highest = np.full_like(values, lowest)
        for lag in range(1, self.gap_rows + 2):
            is_same = self.codes[lag:] == self.codes[:-lag]
            np.maximum(highest[lag:], values[:-lag], out=highest[lag:], where=is_same)
        return highest

    @cached_property
    def entity_months(self) -> float:
        """Sum over the entities of the months from their first to their last row; NaN without dates."""
        if not self.has_dates or len(self.scores) < 2:
            return float("nan")
        seconds = np.diff(self.times.to_numpy()) / np.timedelta64(1, "s")
        steps = seconds[np.diff(self.codes) == 0]
        if not len(steps):
            return float("nan")
        return float(steps.sum() + len(self.entities) * np.median(steps)) / PERIOD_LENGTHS_S["month"]


@dataclass(frozen=True)
class ThresholdView:
    """The alarms of one threshold.

    flagged_rows  rows with a higher score
    incidents     entity, start, end, rows (flagged), peak; the highest peak first
    by_entity     entity, rows, incidents: the most rows first, without entities that have no alarm
    by_month      month, rows, incidents: all months in order; empty without dates
    rate          incidents per entity and month; NaN without dates
    confusion     flagged and labelled rows; None without labels
    """

    threshold: float
    flagged_rows: int
    incidents: pd.DataFrame
    by_entity: pd.DataFrame
    by_month: pd.DataFrame
    rate: float
    confusion: Confusion | None


def view_threshold(rows: ScoredRows, threshold: float) -> ThresholdView:
    """Return the alarms of `rows` at `threshold`."""
    flagged = np.flatnonzero(rows.scores > threshold)
    starts = flagged[rows.highest_before[flagged] <= threshold]
    months, names = rows.months
    by_entity = pd.DataFrame(
        {"entity": rows.entities, **_count_alarms(rows.codes, len(rows.entities), flagged, starts)}
    )
    return ThresholdView(
        float(threshold),
        len(flagged),
        _tabulate_incidents(rows, flagged, starts),
        by_entity[by_entity["rows"] > 0].sort_values("rows", ascending=False, kind="stable", ignore_index=True),
        pd.DataFrame({"month": names, **_count_alarms(months, len(names), flagged, starts)}),
        len(starts) / rows.entity_months,
        None if rows.labels is None else count_confusion(rows.labels, rows.scores, threshold),
    )


def _count_alarms(codes: Codes, groups: int, flagged: Codes, starts: Codes) -> dict[str, Codes]:
    """Return the numbers of flagged rows and of incidents by group, each (groups,)."""
    return {
        "rows": np.bincount(codes[flagged], minlength=groups)[:groups],
        "incidents": np.bincount(codes[starts], minlength=groups)[:groups],
    }


def _tabulate_incidents(rows: ScoredRows, flagged: Codes, starts: Codes) -> pd.DataFrame:
    """Return the incidents that begin at `starts`, the highest peak first."""
    first = np.searchsorted(flagged, starts)  # position of every start among the flagged rows
    last = np.append(first[1:], len(flagged))[: len(first)] - 1
    incidents = pd.DataFrame(
        {
            "entity": np.asarray(rows.entities, dtype=object)[rows.codes[starts]],
            "start": rows.times[starts],
            "end": rows.times[flagged[last]],
            "rows": last - first + 1,
            "peak": np.maximum.reduceat(rows.scores[flagged], first) if len(first) else np.zeros(0),
        }
    )
    return incidents.sort_values("peak", ascending=False, kind="stable", ignore_index=True)


def compare_incidents(rows: ScoredRows, current: float, threshold: float) -> pd.DataFrame:
    """Return the incidents at `threshold` and those of `current` that it loses, with the column `change`.

    `change` is "new" for an incident without a row above `current`, "gone" for one without a row above `threshold`, and
    "" for any other. Changes come first, then the highest peak.

    Example:
        >>> table = pd.DataFrame({"entity": "a", "time": range(5), "score": [9.0, 0.0, 5.0, 0.0, 3.0]})
        >>> compare_incidents(ScoredRows.from_table(table), 4.0, 6.0)[["start", "change"]].values.tolist()
        [[2, 'gone'], [0, '']]
    """
    after, before = view_threshold(rows, threshold).incidents, view_threshold(rows, current).incidents
    after = after.assign(change=np.where(after["peak"] > current, "", "new"))
    gone = before[before["peak"] <= threshold].assign(change="gone")
    table = pd.concat([after, gone]) if len(gone) else after
    return table.iloc[np.lexsort((-table["peak"], table["change"] == ""))].reset_index(drop=True)


def tabulate_thresholds(rows: ScoredRows, thresholds: ArrayLike) -> pd.DataFrame:
    """Return one line per threshold, in the given order.

    Columns: threshold, flagged_rows, incidents, entities (with an alarm), incidents_per_entity_month (NaN without
    dates), precision and recall of the flagged rows (only with labels; NaN without an alarm or a labelled row).

    Example:
        >>> table = pd.DataFrame({"entity": ["a", "a", "b"], "time": [0, 1, 0], "score": [5.0, 6.0, 7.0]})
        >>> tabulate_thresholds(ScoredRows.from_table(table), [6.5, 4.0])[["flagged_rows", "incidents"]].values.tolist()
        [[1, 1], [3, 2]]
    """
    values = np.asarray(thresholds, dtype=np.float64)
    ascending = np.sort(values)
    passed = np.searchsorted(ascending, rows.scores, side="left")  # number of thresholds below each score
    positions = np.searchsorted(ascending, values)

    def count_above(numbers: Codes) -> Codes:
        """Return for each threshold how many of `numbers`, the numbers of passed thresholds, go beyond it."""
        return (len(numbers) - np.cumsum(np.bincount(numbers, minlength=len(values) + 1))[:-1])[positions]

    peaks = np.zeros(len(rows.entities), dtype=np.intp)
    np.maximum.at(peaks, rows.codes, passed)
    flagged = count_above(passed)
    incidents = flagged - count_above(np.minimum(passed, rows.find_highest_before(passed, 0)))
    table = pd.DataFrame(
        {
            "threshold": values,
            "flagged_rows": flagged,
            "incidents": incidents,
            "entities": count_above(peaks),
            "incidents_per_entity_month": incidents / rows.entity_months,
        }
    )
    if rows.labels is None:
        return table
    true_alarms, labelled = count_above(passed[rows.labels]), int(rows.labels.sum())
    with np.errstate(invalid="ignore"):
        return table.assign(precision=true_alarms / flagged, recall=true_alarms / np.float64(labelled))
