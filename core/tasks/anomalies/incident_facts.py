"""Figures of incidents: the value or the part of a day that deviates, measured and expected, and who is alike."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.array_types import Floats

DAY_SHARE = 0.75  # of the values of a day: where more of them deviate in one direction, the whole day does
NO_FACTS = pd.DataFrame(
    {"part": "", "first": "", "last": "", "measured": 0.0, "expected": 0.0, "spreads": 0.0}, index=[]
)


def measure_rows(
    rows: pd.DataFrame, cells: pd.DataFrame, positions: Sequence[int], columns: Sequence[str], *, is_profile: bool
) -> pd.DataFrame:
    """Return what deviates in the rows at `positions`, one line per row; `rows` and `cells` are those of a detection.

    part                 value (the only one of a row), column, hours (values of a daily profile that follow one
                         another and deviate in one direction), day (nearly all of its values), level (of a day without
                         an unusual value), jump, pattern, combination; unknown for a row that is not explained.
    first, last          first and last column of the part; "" without one.
    measured, expected   mean of the part, sum of a whole day, size of a jump and its largest usual size; else NaN.
    spreads              distance of the value that deviates most to its expected value.
    """
    chosen = rows.loc[list(positions)]
    explained = chosen.index[chosen.index < len(cells) // max(len(columns), 1)]
    facts = _measure_cells(cells, explained.to_numpy(), columns, is_profile) if len(explained) else NO_FACTS
    facts = facts.set_axis(explained).reindex(chosen.index).fillna({"part": "unknown", "first": "", "last": ""})
    if len(explained):
        _name_levels(facts, chosen)
        _name_jumps_and_patterns(facts, chosen)
    return facts


def count_alike(incidents: pd.DataFrame, flagged: pd.DataFrame) -> NDArray[np.int64]:
    """Return for every incident how many other entities deviate in the same direction during it, (incidents,).

    `flagged` are the flagged rows: entity, time and direction. `incidents` have entity, start, end and direction. The
    direction "" is not alike to any.

    Example:
        >>> import pandas as pd
        >>> flagged = pd.DataFrame({"entity": ["a", "b", "c"], "time": 1, "direction": ["above", "above", "below"]})
        >>> incidents = pd.DataFrame({"entity": ["a", "c"], "start": 1, "end": 1, "direction": ["above", "below"]})
        >>> count_alike(incidents, flagged).tolist()
        [1, 0]
    """
    counts = np.zeros(len(incidents), dtype=np.int64)
    codes, names = pd.factorize(flagged["entity"].astype(str))
    own = pd.Index(names).get_indexer(incidents["entity"].astype(str))
    for direction in sorted(set(flagged["direction"]) - {""}):
        side = np.flatnonzero(flagged["direction"].to_numpy() == direction)
        side = side[np.argsort(flagged["time"].to_numpy()[side], kind="stable")]
        times, entities = flagged["time"].to_numpy()[side], codes[side]
        mine = np.flatnonzero(incidents["direction"].to_numpy() == direction)
        first = np.searchsorted(times, incidents["start"].to_numpy()[mine], side="left")
        last = np.searchsorted(times, incidents["end"].to_numpy()[mine], side="right")
        for incident, begin, end in zip(mine, first, last, strict=True):
            counts[incident] = len(np.setdiff1d(entities[begin:end], own[incident]))
    return counts


def _measure_cells(
    cells: pd.DataFrame, positions: NDArray[np.intp], columns: Sequence[str], is_profile: bool
) -> pd.DataFrame:
    """Return the facts of explained rows from their cells: part, first, last, measured, expected, spreads."""
    count = len(columns)
    value, expected, low, high, deviation = (
        cells[name].to_numpy(dtype=np.float64).reshape(-1, count)[positions]
        for name in ("value", "expected", "low", "high", "deviation")
    )
    outside = (value > high) | (value < low)
    worst = np.where(outside, np.abs(deviation), -1.0 if count > 1 else 0.0).argmax(axis=1)
    line = np.arange(len(positions))
    has_part = outside.any(axis=1) | (count == 1)
    alike = outside & (np.sign(deviation) == np.sign(deviation[line, worst])[:, None])
    first, last = _find_run(alike, worst) if is_profile else (worst, worst)
    is_whole_day = is_profile & (count > 1) & (alike.mean(axis=1) >= DAY_SHARE)
    first, last = np.where(is_whole_day, 0, first), np.where(is_whole_day, count - 1, last)
    inside = (np.arange(count) >= first[:, None]) & (np.arange(count) <= last[:, None])
    size = np.where(is_whole_day, 1, inside.sum(axis=1))
    names = np.asarray(columns, dtype=object)
    part = np.where(is_whole_day, "day", "hours" if is_profile else "column")
    return pd.DataFrame(
        {
            "part": np.where(has_part, part if count > 1 else "value", "combination"),
            "first": np.where(has_part, names[first], ""),
            "last": np.where(has_part, names[last], ""),
            "measured": np.where(has_part, _sum_inside(value, inside) / size, np.nan),
            "expected": np.where(has_part, _sum_inside(expected, inside) / size, np.nan),
            "spreads": np.where(has_part, deviation[line, worst], np.nan),
        }
    )


def _find_run(alike: NDArray[np.bool_], worst: NDArray[np.intp]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the first and the last column of the unbroken run of `alike` around the column `worst` of every row."""
    count = alike.shape[1]
    column = np.arange(count)
    is_break = ~alike
    before = np.where(is_break & (column < worst[:, None]), column, -1).max(axis=1)
    after = np.where(is_break & (column > worst[:, None]), column, count).min(axis=1)
    return before + 1, after - 1


def _sum_inside(values: Floats, inside: NDArray[np.bool_]) -> Floats:
    return np.where(inside, values, 0.0).sum(axis=1)


def _name_levels(facts: pd.DataFrame, rows: pd.DataFrame) -> None:
    """Name the level of the day for the rows without an unusual value whose level is unusual."""
    mask = (facts["part"] == "combination") & rows["level"].notna()
    facts.loc[mask, "part"] = "level"
    facts.loc[mask, "measured"], facts.loc[mask, "expected"] = rows["level"][mask], rows["expected_level"][mask]


def _name_jumps_and_patterns(facts: pd.DataFrame, rows: pd.DataFrame) -> None:
    """Name the jump, else the pattern of the rows in which no value and no level is unusual."""
    is_pattern = (facts["part"] == "combination") & (rows["repeats"].notna() | rows["shift_gain"].notna())
    is_jump = (facts["part"] == "combination") & rows["jump_column"].notna()
    facts.loc[is_pattern, "part"] = "pattern"
    facts.loc[is_jump, "part"] = "jump"
    facts.loc[is_jump, ["first", "last"]] = rows.loc[is_jump, ["jump_column", "jump_column"]].to_numpy()
    facts.loc[is_jump, "measured"], facts.loc[is_jump, "expected"] = rows["jump"][is_jump], rows["jump_high"][is_jump]
