"""Values around the events of series, with their usual ranges; shares and categories in bins of time."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.array_types import Floats
from core.detectors.base import Floats32
from core.evaluation.events import EventSpan
from core.tasks.sequences.explanations import SeriesExplainer
from core.tasks.sequences.result import MAX_CELL_COLUMNS
from core.tasks.sequences.scored_dataset import ScoredDataset

MAX_CELL_ROWS = 240  # maximum per event and column
MARGIN_ROWS = (15, 120)  # minimum and maximum of rows shown before and after an event
MAX_BINS, MIN_BINS, MAX_BIN_CELLS = 2000, 40, 4_000_000  # heat map: maximum and minimum per entity, maximum of cells
CELL_COLUMNS = ("event", "time", "inside", "column", "value", "expected", "low", "high", "share", "rank")


def build_cells(times: NDArray[np.generic], explainer: SeriesExplainer, span: EventSpan, event: int) -> pd.DataFrame:
    """Return the cells of the first causes of an event and its margins; `times` are those of the series, (rows,)."""
    margin = int(np.clip(span.last - span.first + 1, *MARGIN_ROWS))
    begin, end = max(span.first - margin, 0), min(span.last + margin + 1, len(times))
    positions = np.arange(begin, end, max(1, -(-(end - begin) // MAX_CELL_ROWS)))
    columns = explainer.rank_causes(span)[0][:MAX_CELL_COLUMNS]
    usual, count = explainer.find_usual_range(span, begin, end, columns), len(columns)
    names = pd.Index([explainer.columns[column] for column in columns])
    return pd.DataFrame(
        {
            "event": np.int32(event),
            "time": times[positions].repeat(count),
            "inside": np.repeat((positions >= span.first) & (positions <= span.last), count),
            "column": np.tile(np.asarray(names, dtype=object), len(positions)),
            "value": _to_float32(explainer.values[np.ix_(positions, columns)]),
            "expected": _to_float32(usual.expected[positions - begin]),
            "low": _to_float32(usual.low[positions - begin]),
            "high": _to_float32(usual.high[positions - begin]),
            "share": explainer.scores.shares[np.ix_(positions, columns)].ravel(),
            "rank": np.tile(np.arange(count, dtype=np.int8), len(positions)),
        }
    )


def join_cells(tables: list[pd.DataFrame]) -> pd.DataFrame:
    """Return the cells of all events as one table; an empty table without cells."""
    if not tables:
        return pd.DataFrame({name: np.zeros(0) for name in CELL_COLUMNS})
    return pd.concat(tables, ignore_index=True).astype({"column": "category"})


def _to_float32(values: Floats) -> Floats32:
    """Return the values as float32, clipped to its range, to halve their size."""
    limit = np.finfo(np.float32).max
    return np.clip(values.ravel(), -limit, limit).astype(np.float32)


def bin_values(data: ScoredDataset, values: Sequence[Floats32 | None], reduce: np.ufunc) -> pd.DataFrame:
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
