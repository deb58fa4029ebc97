"""Tables of a `SequenceDetection`: scored rows, events, the columns that explain them, values around them."""

import time
from contextlib import suppress
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.array_types import Floats
from core.detectors.base import SequenceScores
from core.detectors.sequence_model import SequenceModel
from core.evaluation.events import EventSpan, ScoreLevels, find_events
from core.evaluation.thresholds import compute_p_values
from core.tasks.sequences.cells import bin_values, build_cells, join_cells
from core.tasks.sequences.counterfactual import Bounds, OutOfTimeError
from core.tasks.sequences.explanations import SeriesExplainer
from core.tasks.sequences.scored_dataset import ScoredDataset

SEVERITY_BORDERS = (1.5, 3.0, 6.0)  # borders of the severities, see `grade_peaks`
MAX_CELL_EVENTS = 200  # events with cells and counterfactuals
COUNTERFACTUAL_SECONDS = 20.0  # limit for all events together
KNOWN_SHARE = 0.5  # of labelled rows in a lasting change that counts as known
COUNTERFACTUAL_COLUMNS = ("unflagged_by", "unflagged_column", "unflagged_low", "unflagged_high", "unflagged")


@dataclass(frozen=True)
class _Event:
    """Event of one series: its number, its explanation, its positions in the series, and its first row in `rows`."""

    series: int
    span: EventSpan
    offset: int


def build_tables(data: ScoredDataset) -> dict[str, pd.DataFrame]:
    """Return the tables rows, events, shares, categories and cells of a `SequenceDetection`."""
    rows = _build_rows(data)
    events, ranked_events, explainers = _build_events(data, rows)
    rows["event"] = _number_rows(rows, events)
    first_events = ranked_events[:MAX_CELL_EVENTS]
    cells = [
        build_cells(data.dataset.time[data.series[event.series].row_positions], explainers[event.series], event.span, n)
        for n, event in enumerate(first_events)
    ]
    return {
        "rows": rows,
        "events": events.assign(**_find_counterfactuals(ranked_events, explainers, data.limits is None)),
        "cells": join_cells(cells),
        "shares": bin_values(data, [scores.shares for scores in data.series_scores], np.maximum),
        "categories": bin_values(data, [scores.categories for scores in data.series_scores], np.add),
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


def _build_events(
    data: ScoredDataset, rows: pd.DataFrame
) -> tuple[pd.DataFrame, list[_Event], dict[int, SeriesExplainer]]:
    """Return the events of all series, the highest peak first, as table and as list, and the explainers by series."""
    levels = ScoreLevels.from_calibration(data.model.calibration_, data.model.threshold_)
    records, all_events, explainers = [], [], {}
    starts = np.cumsum([0, *(len(series.row_positions) for series in data.series)])
    for number, (series, scores) in enumerate(zip(data.series, data.series_scores, strict=True)):
        series_rows = rows.iloc[starts[number] : starts[number + 1]]
        anomaly = series_rows["anomaly"].to_numpy()
        spans = find_events(series_rows["score"].to_numpy(dtype=float), anomaly, levels)
        if not spans:
            continue
        explainers[number] = SeriesExplainer(
            data.model, list(data.dataset.columns), series.values, scores, anomaly, spans
        )
        for span in spans:
            all_events.append(_Event(number, span, int(starts[number])))
            records.append({"entity": series.entity, **_describe_event(series_rows, span, explainers[number])})
    if not records:
        return _build_empty_events(data), [], {}
    events = pd.DataFrame(records)
    events["first"] = [event.offset + event.span.first for event in all_events]
    events["last"] = [event.offset + event.span.last for event in all_events]
    order = np.argsort(-events["peak"].to_numpy(), kind="stable")
    events = events.iloc[order].reset_index(drop=True)
    events["odds"] = compute_p_values(data.model.calibration_, events["peak"])
    events["severity"] = grade_peaks(data.model, events["peak"].to_numpy(dtype=float))
    return (
        events.astype({"entity": pd.CategoricalDtype(data.dataset.entities)}),
        [all_events[index] for index in order],
        explainers,
    )


def _describe_event(rows: pd.DataFrame, span: EventSpan, explainer: SeriesExplainer) -> dict[str, object]:
    """Return one event of the `rows` of a series, as a line of the table."""
    event_rows = rows.iloc[span.first : span.last + 1]
    event: dict[str, object] = {
        "start": event_rows["time"].iloc[0],
        "end": event_rows["time"].iloc[-1],
        "rows": int(event_rows["anomaly"].sum()),
        "peak": float(event_rows["score"].max()),
        "kind": span.kind,
        "causes": explainer.name_causes(span),
        **asdict(explainer.describe_first_cause(span)),
    }
    if "label" in rows:
        share = float(event_rows["label"].mean())
        event["known"] = share >= KNOWN_SHARE if span.kind == "lasting change" else share > 0
    return event


def grade_peaks(model: SequenceModel, peaks: Floats) -> NDArray[np.int8]:
    """Return the severity of peaks, 0 … 3.

    It is (peak − median score) / (threshold − median score), cut at `SEVERITY_BORDERS`.
    """
    median_score = float(np.median(model.calibration_)) if len(model.calibration_) else 0.0
    distances = (peaks - median_score) / max(model.threshold_ - median_score, 1e-12)
    return np.searchsorted(SEVERITY_BORDERS, distances, side="right").astype(np.int8)


def _number_rows(rows: pd.DataFrame, events: pd.DataFrame) -> NDArray[np.int32]:
    """Return the event of every row, (rows,); −1 without one.

    A row of an event within a lasting change belongs to the event.
    """
    numbers = np.full(len(rows), -1, dtype=np.int32)
    order = np.argsort(events["kind"].to_numpy() != "lasting change", kind="stable")
    for event in order:
        numbers[events["first"].iloc[event] : events["last"].iloc[event] + 1] = event
    return numbers


def _build_empty_events(data: ScoredDataset) -> pd.DataFrame:
    no_time = pd.Series(data.dataset.time[:0])
    return pd.DataFrame(
        {
            "entity": pd.Categorical([], data.dataset.entities),
            "start": no_time,
            "end": no_time,
            "rows": np.zeros(0, int),
            "peak": np.zeros(0),
            "kind": np.zeros(0, object),
            "causes": np.zeros(0, object),
            "column": np.zeros(0, object),
            "measured": np.zeros(0),
            "usual_low": np.zeros(0),
            "usual_high": np.zeros(0),
            **({} if data.dataset.labels is None else {"known": np.zeros(0, bool)}),
            "first": np.zeros(0, int),
            "last": np.zeros(0, int),
            "odds": np.zeros(0),
            "severity": np.zeros(0, np.int8),
        }
    )


# ---- counterfactuals ------------------------------------------------------------------------------------------------


def _find_counterfactuals(
    events: list[_Event], explainers: dict[int, SeriesExplainer], has_one_threshold: bool
) -> dict[str, list[object]]:
    """Return the columns of the table that say with which values an event would not have been flagged.

    Lasting changes, and events within them, have none: their level is flagged as well. The others have one if they are
    among the first `MAX_CELL_EVENTS`, `COUNTERFACTUAL_SECONDS` suffice, and the threshold is the same for all rows.
    """
    for explainer in explainers.values():
        explainer.rescorer.deadline = time.monotonic() + COUNTERFACTUAL_SECONDS
    lasting = [event for event in events if event.span.kind == "lasting change"]
    answers = []
    for number, event in enumerate(events):
        explainer, bounds = explainers[event.series], None
        is_within = any(other.series == event.series and _holds(other.span, event.span) for other in lasting)
        if has_one_threshold and number < MAX_CELL_EVENTS and not is_within:
            with suppress(OutOfTimeError):
                bounds = explainer.find_counterfactual(event.span)
        answers.append(_describe_bounds(bounds, explainer.columns))
    return {name: [answer[name] for answer in answers] for name in COUNTERFACTUAL_COLUMNS}


def _holds(outer: EventSpan, inner: EventSpan) -> bool:
    return outer.first <= inner.first and inner.last <= outer.last


def _describe_bounds(bounds: list[Bounds] | None, columns: list[str]) -> dict[str, object]:
    """Return a counterfactual as cells of the table; None if there was no search, [] if it found nothing."""
    kind = "" if bounds is None else ("no column", "one column", "several columns")[min(len(bounds), 2)]
    ranges = [f"{columns[column]} {low:.10g} … {high:.10g}" for column, low, high in bounds or []]
    first = bounds[0] if bounds else None
    return dict(
        zip(
            COUNTERFACTUAL_COLUMNS,
            (
                kind,
                columns[first.column] if first else "",
                first.low if first else float("nan"),
                first.high if first else float("nan"),
                ", ".join(ranges),
            ),
            strict=True,
        )
    )
