"""Tables of a `SequenceDetection`: scored rows, events, the columns that explain them, values around them."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.data.dataset import Dataset
from core.data.series import Series
from core.detectors.base import Floats32, Scored
from core.detectors.sequence_model import SequenceModel
from core.evaluation.explanation import moving_mean_distance, ranked_causes
from core.evaluation.thresholds import p_values

Floats = NDArray[np.float64]

GAP = 3  # maximum of normal rows inside an event
GRADES = (1.5, 3.0, 6.0)  # borders of the severities, see `_severity`
CAUSES = 5
CELL_EVENTS, CELL_ROWS, CELL_COLUMNS = 200, 240, 6
MARGIN = (15, 120)  # minimum and maximum of rows shown before and after an event
BINS, MIN_BINS, BIN_CELLS = 2000, 40, 4_000_000  # heat map: maximum and minimum per entity, maximum of cells


@dataclass(frozen=True)
class ScoredDataset:
    """Scores of a dataset by a model.

    series  series of the dataset, and `scored` their scores in the same order
    fitted  (rows of the dataset,), True for training rows
    """

    dataset: Dataset
    series: Sequence[Series]
    scored: Sequence[Scored]
    fitted: NDArray[np.bool_]
    model: SequenceModel


def build_tables(data: ScoredDataset) -> dict[str, pd.DataFrame]:
    """Return the tables rows, events, shares, categories and cells of a `SequenceDetection`."""
    rows = _rows(data)
    events, blamed = _events(data, rows)
    rows["event"] = _numbered(rows, events)
    return {
        "rows": rows,
        "events": events,
        "cells": _cells(data, events, blamed),
        "shares": _binned(data, [scored.shares for scored in data.scored], np.maximum),
        "categories": _binned(data, [scored.categories for scored in data.scored], np.add),
    }


def _rows(data: ScoredDataset) -> pd.DataFrame:
    """Return the scored rows, one series after the other."""
    order = np.concatenate([series.places for series in data.series])
    score = np.concatenate([scored.score for scored in data.scored]).astype(np.float64)  # precision of the threshold
    fitted = data.fitted[order]
    rows = pd.DataFrame(
        {
            "entity": pd.Categorical.from_codes(data.dataset.entity_codes[order], data.dataset.entities),
            "time": data.dataset.time[order],
            "score": score.astype(np.float32),
            "anomaly": (score > data.model.threshold_) & ~fitted,
            "fitted": fitted,
            "category": np.concatenate([_category(scored) for scored in data.scored]),
        }
    )
    if data.dataset.labels is not None:
        rows["label"] = data.dataset.labels.to_numpy(dtype=bool)[order]
    return rows


def _category(scored: Scored) -> NDArray[np.int16]:
    if scored.categories is None:
        return np.full(len(scored.score), -1, dtype=np.int16)
    return scored.categories.argmax(axis=1).astype(np.int16)


# ---- events ---------------------------------------------------------------------------------------------------------


def merge_anomalies(anomaly: NDArray[np.bool_], gap: int = GAP) -> list[tuple[int, int]]:
    """Return the positions of the first and last row of every event.

    Anomalies with at most `gap` normal rows between them are one event.

    Example:
        >>> import numpy as np
        >>> scores = np.array([0.1, 3.2, 0.4, 2.9, 0.2, 0.1, 0.3, 5.0])
        >>> merge_anomalies(scores > 2.0, gap=2)
        [(1, 3), (7, 7)]
    """
    places = np.flatnonzero(anomaly)
    if not len(places):
        return []
    parts = np.split(places, np.flatnonzero(np.diff(places) > gap + 1) + 1)
    return [(int(part[0]), int(part[-1])) for part in parts]


def _events(data: ScoredDataset, rows: pd.DataFrame) -> tuple[pd.DataFrame, list[NDArray[np.intp]]]:
    """Return the events of all series, the highest peak first, and the columns to show for each event."""
    records, blamed = [], []
    starts = np.cumsum([0, *(len(series.places) for series in data.series)])
    for number, (series, scored) in enumerate(zip(data.series, data.scored, strict=True)):
        part = _SeriesRows.of(rows.iloc[starts[number] : starts[number + 1]])
        spans = merge_anomalies(part.anomaly)
        away = moving_mean_distance(series.values) if spans else np.zeros(0)
        for first, last in spans:
            event, columns = _event(data, part, (first, last), scored.shares, away)
            records.append(
                {"entity": series.entity, **event, "first": starts[number] + first, "last": starts[number] + last}
            )
            blamed.append(columns)
    if not records:
        return _no_events(data), []
    events = pd.DataFrame(records)
    order = np.argsort(-events["peak"].to_numpy(), kind="stable")
    events = events.iloc[order].reset_index(drop=True)
    events["odds"] = p_values(data.model.calibration_, events["peak"])
    events["severity"] = _severity(data.model, events["peak"].to_numpy(dtype=float))
    return events.astype({"entity": pd.CategoricalDtype(data.dataset.entities)}), [blamed[place] for place in order]


@dataclass(frozen=True)
class _SeriesRows:
    """Rows of one series as arrays."""

    time: NDArray[np.generic]
    score: Floats32
    anomaly: NDArray[np.bool_]
    label: NDArray[np.bool_] | None

    @classmethod
    def of(cls, rows: pd.DataFrame) -> "_SeriesRows":
        """Return the rows of one series from a table of scored rows."""
        label = rows["label"].to_numpy() if "label" in rows else None
        return cls(rows["time"].to_numpy(), rows["score"].to_numpy(), rows["anomaly"].to_numpy(), label)


def _event(
    data: ScoredDataset, part: _SeriesRows, span: tuple[int, int], shares: Floats32, away: Floats
) -> tuple[dict[str, object], NDArray[np.intp]]:
    """Return one event, and its first columns by share and by distance to the moving mean, shape (2, columns).

    `span` holds the positions of its first and last row. `away` is the distance of the series to the moving mean,
    (rows, columns).
    """
    inside = slice(span[0], span[1] + 1)
    flagged = part.anomaly[inside]
    share = shares[inside][flagged].mean(axis=0, dtype=float)
    by_share, by_distance = np.argsort(-share, kind="stable"), ranked_causes(away, span[0], span[1] + 1)
    event: dict[str, object] = {
        "start": part.time[span[0]],
        "end": part.time[span[1]],
        "rows": int(flagged.sum()),
        "peak": float(part.score[inside].max()),
        "causes": _named(data.dataset.columns, share, by_share),
        "ranked": ", ".join(data.dataset.columns[column] for column in by_distance[:CAUSES]),
    }
    if part.label is not None:
        event["known"] = bool(part.label[inside].any())
    return event, np.stack([by_share[:CELL_COLUMNS], by_distance[:CELL_COLUMNS]])


def _named(columns: list[str], share: Floats, order: NDArray[np.intp]) -> str:
    """Return the columns with the largest shares of a score, as "latency 61 %, errors 20 %"."""
    whole = max(float(np.maximum(share, 0).sum()), 1e-12)
    first = [place for place in order[:CAUSES] if share[place] > 0.01 * whole]
    return ", ".join(f"{columns[place]} {100 * share[place] / whole:.0f} %" for place in first)


def _severity(model: SequenceModel, peak: Floats) -> NDArray[np.int8]:
    """Return the severity of peaks, 0 … 3: (peak − median score) / (threshold − median score), cut at `GRADES`."""
    usual = float(np.median(model.calibration_)) if len(model.calibration_) else 0.0
    away = (peak - usual) / max(model.threshold_ - usual, 1e-12)
    return np.searchsorted(GRADES, away, side="right").astype(np.int8)


def _numbered(rows: pd.DataFrame, events: pd.DataFrame) -> NDArray[np.int32]:
    """Return the event of every row, (rows,); −1 for rows without an event."""
    number = np.full(len(rows), -1, dtype=np.int32)
    for event, (first, last) in enumerate(zip(events["first"], events["last"], strict=True)):
        number[first : last + 1] = event
    return number


def _no_events(data: ScoredDataset) -> pd.DataFrame:
    time = pd.Series(data.dataset.time[:0])
    empty = pd.DataFrame(
        {
            "entity": pd.Categorical([], data.dataset.entities),
            "start": time,
            "end": time,
            "rows": np.zeros(0, int),
            "peak": np.zeros(0),
            "causes": np.zeros(0, object),
            "ranked": np.zeros(0, object),
            "first": np.zeros(0, int),
            "last": np.zeros(0, int),
            "odds": np.zeros(0),
            "severity": np.zeros(0, np.int8),
        }
    )
    return empty if data.dataset.labels is None else empty.assign(known=np.zeros(0, bool))


# ---- explanations ---------------------------------------------------------------------------------------------------


def _cells(data: ScoredDataset, events: pd.DataFrame, blamed: list[NDArray[np.intp]]) -> pd.DataFrame:
    """Return values, expected bands and shares around the first events."""
    starts = np.cumsum([0, *(len(series.places) for series in data.series)])
    numbers = {series.entity: number for number, series in enumerate(data.series)}
    parts = []
    for event in events.head(CELL_EVENTS).itertuples():
        number = numbers[str(event.entity)]
        span = int(event.first) - starts[number], int(event.last) - starts[number]
        part = _around(data, number, span, blamed[event.Index])
        parts.append(part.assign(event=np.int32(event.Index)))
    if not parts:
        columns = [
            "event",
            "time",
            "inside",
            "column",
            "value",
            "expected",
            "low",
            "high",
            "share",
            "by_share",
            "by_distance",
        ]
        return pd.DataFrame({name: np.zeros(0) for name in columns})
    return pd.concat(parts, ignore_index=True).astype({"column": "category"})


def _around(data: ScoredDataset, number: int, span: tuple[int, int], blamed: NDArray[np.intp]) -> pd.DataFrame:
    """Return the cells of an event and its margins; `blamed` holds the first columns by share and by distance."""
    series, scored = data.series[number], data.scored[number]
    first, last = span
    margin = int(np.clip(last - first + 1, *MARGIN))
    begin, end = max(first - margin, 0), min(last + margin + 1, len(series.places))
    places = np.arange(begin, end, max(1, -(-(end - begin) // CELL_ROWS)))
    middle, half = _expected(data.model, scored, places)
    by_share, by_distance = (list(each) for each in blamed)
    columns = [*by_share, *(column for column in by_distance if column not in by_share)]
    count = len(columns)
    names = pd.Index([data.dataset.columns[column] for column in columns])
    return pd.DataFrame(
        {
            "time": data.dataset.time[series.places[places]].repeat(count),
            "inside": np.repeat((places >= first) & (places <= last), count),
            "column": np.tile(np.asarray(names, dtype=object), len(places)),
            "value": _single(series.values[np.ix_(places, columns)]),
            "expected": _single(middle[:, columns]),
            "low": _single((middle - half)[:, columns]),
            "high": _single((middle + half)[:, columns]),
            "share": scored.shares[np.ix_(places, columns)].ravel(),
            "by_share": np.tile(_place(columns, by_share), len(places)),
            "by_distance": np.tile(_place(columns, by_distance), len(places)),
        }
    )


def _single(values: Floats) -> Floats32:
    """Return the values as float32, clipped to its range, to halve their size."""
    most = np.finfo(np.float32).max
    return np.clip(values.ravel(), -most, most).astype(np.float32)


def _place(columns: list[int], ranking: list[int]) -> NDArray[np.int8]:
    """Return the position of every column in a ranking; `CELL_COLUMNS` for columns outside the ranking."""
    return np.array([ranking.index(column) if column in ranking else CELL_COLUMNS for column in columns], dtype=np.int8)


def _expected(model: SequenceModel, scored: Scored, places: NDArray[np.intp]) -> tuple[Floats, Floats]:
    """Return the middle of the expected band and half its width at `places`; NaN without expectation."""
    part = Scored(
        scored.score[places],
        scored.shares[places],
        *(None if each is None else each[places] for each in (scored.expected, scored.spread)),
    )
    unknown = np.full(scored.shares[places].shape, np.nan)
    return model.expected(part) or (unknown, unknown)


def _binned(data: ScoredDataset, values: Sequence[Floats32 | None], join: np.ufunc) -> pd.DataFrame:
    """Return `values` of every series in bins of equal length: the mean per bin for `np.add`, else the maximum."""
    parts = []
    columns = max((each.shape[1] for each in values if each is not None), default=0)
    most = int(np.clip(BIN_CELLS // max(columns * len(data.series), 1), MIN_BINS, BINS))
    for series, each in zip(data.series, values, strict=True):
        if each is None:
            continue
        starts = np.unique(np.linspace(0, len(each), min(most, len(each)) + 1).astype(int))
        reduced = join.reduceat(each, starts[:-1], axis=0)
        if join is np.add:
            reduced = reduced / np.array([last - first for first, last in pairwise(starts)])[:, None]
        part = pd.DataFrame(reduced.astype(np.float32), columns=[str(column) for column in range(each.shape[1])])
        part.insert(0, "time", data.dataset.time[series.places[starts[:-1]]])
        part.insert(0, "entity", pd.Categorical([series.entity] * len(part), data.dataset.entities))
        parts.append(part)
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame({"entity": [], "time": []})
