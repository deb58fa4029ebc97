"""Tables of a `SequenceDetection`: scored rows, events, the columns that explain them, values around them."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.array_types import Floats
from core.data.dataset import Dataset
from core.data.series import EntitySeries
from core.detectors.base import Floats32, SequenceScores
from core.detectors.sequence_model import SequenceModel
from core.evaluation.explanation import compute_moving_mean_distance, rank_causes
from core.evaluation.thresholds import compute_p_values

MAX_GAP_ROWS = 3  # maximum of normal rows inside an event
SEVERITY_BORDERS = (1.5, 3.0, 6.0)  # borders of the severities, see `_grade_peaks`
MAX_CAUSES = 5
MAX_CELL_EVENTS, MAX_CELL_ROWS, MAX_CELL_COLUMNS = 200, 240, 6
MARGIN_ROWS = (15, 120)  # minimum and maximum of rows shown before and after an event
MAX_BINS, MIN_BINS, MAX_BIN_CELLS = 2000, 40, 4_000_000  # heat map: maximum and minimum per entity, maximum of cells


@dataclass(frozen=True)
class ScoredDataset:
    """Scores of a dataset by a model.

    series  series of the dataset, and `scored` their scores in the same order
    fitted  (rows of the dataset,), True for training rows
    limits  (rows of the dataset,), threshold of each row if it adapts; None for the threshold of the model
    """

    dataset: Dataset
    series: Sequence[EntitySeries]
    series_scores: Sequence[SequenceScores]
    train_mask: NDArray[np.bool_]
    model: SequenceModel
    limits: Floats | None = None


def build_tables(data: ScoredDataset) -> dict[str, pd.DataFrame]:
    """Return the tables rows, events, shares, categories and cells of a `SequenceDetection`."""
    rows = _build_rows(data)
    events, top_columns = _build_events(data, rows)
    rows["event"] = _number_rows(rows, events)
    return {
        "rows": rows,
        "events": events,
        "cells": _build_cells(data, events, top_columns),
        "shares": _bin_values(data, [scores.shares for scores in data.series_scores], np.maximum),
        "categories": _bin_values(data, [scores.categories for scores in data.series_scores], np.add),
    }


def _build_rows(data: ScoredDataset) -> pd.DataFrame:
    """Return the scored rows, one series after the other."""
    order = np.concatenate([series.row_positions for series in data.series])
    score = np.concatenate([scores.score for scores in data.series_scores]).astype(
        np.float64
    )  # precision of the threshold
    train_mask = data.train_mask[order]
    rows = pd.DataFrame(
        {
            "entity": pd.Categorical.from_codes(data.dataset.entity_codes[order], data.dataset.entities),
            "time": data.dataset.time[order],
            "score": score.astype(np.float32),
            "anomaly": (score > (data.model.threshold_ if data.limits is None else data.limits[order])) & ~train_mask,
            "fitted": train_mask,
            "category": np.concatenate([_find_categories(scores) for scores in data.series_scores]),
        }
    )
    if data.limits is not None:
        rows["threshold"] = data.limits[order]
    if data.dataset.labels is not None:
        rows["label"] = data.dataset.labels.to_numpy(dtype=bool)[order]
    return rows


def _find_categories(scores: SequenceScores) -> NDArray[np.int16]:
    if scores.categories is None:
        return np.full(len(scores.score), -1, dtype=np.int16)
    return scores.categories.argmax(axis=1).astype(np.int16)


# ---- events ---------------------------------------------------------------------------------------------------------


def merge_anomalies(anomaly: NDArray[np.bool_], gap: int = MAX_GAP_ROWS) -> list[tuple[int, int]]:
    """Return the positions of the first and last row of every event.

    Anomalies with at most `gap` normal rows between them are one event.

    Example:
        >>> import numpy as np
        >>> scores = np.array([0.1, 3.2, 0.4, 2.9, 0.2, 0.1, 0.3, 5.0])
        >>> merge_anomalies(scores > 2.0, gap=2)
        [(1, 3), (7, 7)]
    """
    positions = np.flatnonzero(anomaly)
    if not len(positions):
        return []
    spans = np.split(positions, np.flatnonzero(np.diff(positions) > gap + 1) + 1)
    return [(int(span[0]), int(span[-1])) for span in spans]


def _build_events(data: ScoredDataset, rows: pd.DataFrame) -> tuple[pd.DataFrame, list[NDArray[np.intp]]]:
    """Return the events of all series, the highest peak first, and the columns to show for each event."""
    records, top_columns = [], []
    starts = np.cumsum([0, *(len(series.row_positions) for series in data.series)])
    for number, (series, scores) in enumerate(zip(data.series, data.series_scores, strict=True)):
        series_rows = _SeriesRows.from_rows(rows.iloc[starts[number] : starts[number + 1]])
        spans = merge_anomalies(series_rows.anomaly)
        distances = compute_moving_mean_distance(series.values) if spans else np.zeros(0)
        for first, last in spans:
            event, columns = _describe_event(data, series_rows, (first, last), scores.shares, distances)
            records.append(
                {"entity": series.entity, **event, "first": starts[number] + first, "last": starts[number] + last}
            )
            top_columns.append(columns)
    if not records:
        return _build_empty_events(data), []
    events = pd.DataFrame(records)
    order = np.argsort(-events["peak"].to_numpy(), kind="stable")
    events = events.iloc[order].reset_index(drop=True)
    events["odds"] = compute_p_values(data.model.calibration_, events["peak"])
    events["severity"] = _grade_peaks(data.model, events["peak"].to_numpy(dtype=float))
    return events.astype({"entity": pd.CategoricalDtype(data.dataset.entities)}), [
        top_columns[index] for index in order
    ]


@dataclass(frozen=True)
class _SeriesRows:
    """Rows of one series as arrays."""

    time: NDArray[np.generic]
    score: Floats32
    anomaly: NDArray[np.bool_]
    label: NDArray[np.bool_] | None

    @classmethod
    def from_rows(cls, rows: pd.DataFrame) -> "_SeriesRows":
        """Return the rows of one series from a table of scored rows."""
        label = rows["label"].to_numpy() if "label" in rows else None
        return cls(rows["time"].to_numpy(), rows["score"].to_numpy(), rows["anomaly"].to_numpy(), label)


def _describe_event(
    data: ScoredDataset, series_rows: _SeriesRows, span: tuple[int, int], shares: Floats32, distances: Floats
) -> tuple[dict[str, object], NDArray[np.intp]]:
    """Return one event, and its first columns by share and by distance to the moving mean, shape (2, columns).

    `span` holds the positions of its first and last row. `distances` is the distance of the series to the moving mean,
    (rows, columns).
    """
    event_slice = slice(span[0], span[1] + 1)
    flagged = series_rows.anomaly[event_slice]
    share = shares[event_slice][flagged].mean(axis=0, dtype=float)
    by_share, by_distance = np.argsort(-share, kind="stable"), rank_causes(distances, span[0], span[1] + 1)
    event: dict[str, object] = {
        "start": series_rows.time[span[0]],
        "end": series_rows.time[span[1]],
        "rows": int(flagged.sum()),
        "peak": float(series_rows.score[event_slice].max()),
        "causes": _format_causes(data.dataset.columns, share, by_share),
        "ranked": ", ".join(data.dataset.columns[column] for column in by_distance[:MAX_CAUSES]),
    }
    if series_rows.label is not None:
        event["known"] = bool(series_rows.label[event_slice].any())
    return event, np.stack([by_share[:MAX_CELL_COLUMNS], by_distance[:MAX_CELL_COLUMNS]])


def _format_causes(columns: list[str], share: Floats, order: NDArray[np.intp]) -> str:
    """Return the columns with the largest shares of a score, as "latency 61 %, errors 20 %"."""
    total = max(float(np.maximum(share, 0).sum()), 1e-12)
    top_columns = [column for column in order[:MAX_CAUSES] if share[column] > 0.01 * total]
    return ", ".join(f"{columns[column]} {100 * share[column] / total:.0f} %" for column in top_columns)


def _grade_peaks(model: SequenceModel, peaks: Floats) -> NDArray[np.int8]:
    """Return the severity of peaks, 0 … 3.

    It is (peak − median score) / (threshold − median score), cut at `SEVERITY_BORDERS`.
    """
    median_score = float(np.median(model.calibration_)) if len(model.calibration_) else 0.0
    distances = (peaks - median_score) / max(model.threshold_ - median_score, 1e-12)
    return np.searchsorted(SEVERITY_BORDERS, distances, side="right").astype(np.int8)


def _number_rows(rows: pd.DataFrame, events: pd.DataFrame) -> NDArray[np.int32]:
    """Return the event of every row, (rows,); −1 for rows without an event."""
    numbers = np.full(len(rows), -1, dtype=np.int32)
    for event, (first, last) in enumerate(zip(events["first"], events["last"], strict=True)):
        numbers[first : last + 1] = event
    return numbers


def _build_empty_events(data: ScoredDataset) -> pd.DataFrame:
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


def _build_cells(data: ScoredDataset, events: pd.DataFrame, top_columns: list[NDArray[np.intp]]) -> pd.DataFrame:
    """Return values, expected bands and shares around the first events."""
    starts = np.cumsum([0, *(len(series.row_positions) for series in data.series)])
    numbers = {series.entity: number for number, series in enumerate(data.series)}
    tables = []
    for event in events.head(MAX_CELL_EVENTS).itertuples():
        number = numbers[str(event.entity)]
        span = int(event.first) - starts[number], int(event.last) - starts[number]
        table = _build_event_cells(data, number, span, top_columns[event.Index])
        tables.append(table.assign(event=np.int32(event.Index)))
    if not tables:
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
    return pd.concat(tables, ignore_index=True).astype({"column": "category"})


def _build_event_cells(
    data: ScoredDataset, number: int, span: tuple[int, int], top_columns: NDArray[np.intp]
) -> pd.DataFrame:
    """Return the cells of an event and its margins; `top_columns` holds the first columns by share and by distance."""
    series, scores = data.series[number], data.series_scores[number]
    first, last = span
    margin = int(np.clip(last - first + 1, *MARGIN_ROWS))
    begin, end = max(first - margin, 0), min(last + margin + 1, len(series.row_positions))
    positions = np.arange(begin, end, max(1, -(-(end - begin) // MAX_CELL_ROWS)))
    middle, half_width = _compute_expected_band(data.model, scores, positions)
    by_share, by_distance = (list(ranking) for ranking in top_columns)
    columns = [*by_share, *(column for column in by_distance if column not in by_share)]
    count = len(columns)
    names = pd.Index([data.dataset.columns[column] for column in columns])
    return pd.DataFrame(
        {
            "time": data.dataset.time[series.row_positions[positions]].repeat(count),
            "inside": np.repeat((positions >= first) & (positions <= last), count),
            "column": np.tile(np.asarray(names, dtype=object), len(positions)),
            "value": _to_float32(series.values[np.ix_(positions, columns)]),
            "expected": _to_float32(middle[:, columns]),
            "low": _to_float32((middle - half_width)[:, columns]),
            "high": _to_float32((middle + half_width)[:, columns]),
            "share": scores.shares[np.ix_(positions, columns)].ravel(),
            "by_share": np.tile(_rank_columns(columns, by_share), len(positions)),
            "by_distance": np.tile(_rank_columns(columns, by_distance), len(positions)),
        }
    )


def _to_float32(values: Floats) -> Floats32:
    """Return the values as float32, clipped to its range, to halve their size."""
    limit = np.finfo(np.float32).max
    return np.clip(values.ravel(), -limit, limit).astype(np.float32)


def _rank_columns(columns: list[int], ranking: list[int]) -> NDArray[np.int8]:
    """Return the position of every column in a ranking; `MAX_CELL_COLUMNS` for columns outside the ranking."""
    return np.array(
        [ranking.index(column) if column in ranking else MAX_CELL_COLUMNS for column in columns], dtype=np.int8
    )


def _compute_expected_band(
    model: SequenceModel, scores: SequenceScores, positions: NDArray[np.intp]
) -> tuple[Floats, Floats]:
    """Return the middle of the expected band and half its width at `places`; NaN without expectation."""
    selection = SequenceScores(
        scores.score[positions],
        scores.shares[positions],
        *(None if values is None else values[positions] for values in (scores.expected, scores.spread)),
    )
    empty = np.full(scores.shares[positions].shape, np.nan)
    return model.compute_expected_band(selection) or (empty, empty)


def _bin_values(data: ScoredDataset, values: Sequence[Floats32 | None], reduce: np.ufunc) -> pd.DataFrame:
    """Return `values` of every series in bins of equal length: the mean per bin for `np.add`, else the maximum."""
    tables = []
    columns = max((series_values.shape[1] for series_values in values if series_values is not None), default=0)
    bin_count = int(np.clip(MAX_BIN_CELLS // max(columns * len(data.series), 1), MIN_BINS, MAX_BINS))
    for series, series_values in zip(data.series, values, strict=True):
        if series_values is None:
            continue
        starts = np.unique(np.linspace(0, len(series_values), min(bin_count, len(series_values)) + 1).astype(int))
        reduced = reduce.reduceat(series_values, starts[:-1], axis=0)
        if reduce is np.add:
            reduced = reduced / np.array([last - first for first, last in pairwise(starts)])[:, None]
        table = pd.DataFrame(
            reduced.astype(np.float32), columns=[str(column) for column in range(series_values.shape[1])]
        )
        table.insert(0, "time", data.dataset.time[series.row_positions[starts[:-1]]])
        table.insert(0, "entity", pd.Categorical([series.entity] * len(table), data.dataset.entities))
        tables.append(table)
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame({"entity": [], "time": []})
