"""Drift of a watch: how far its latest rows are from the rows that its model was trained on."""

import threading
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.array_types import Floats
from core.data.dataset import Dataset
from core.errors import NotFoundError
from core.evaluation.drift import DriftLevel, classify_psi, compute_chance_psi, compute_psi
from core.operations.drift import load_training_data
from core.watches.watch import Watch
from core.workspace import Workspace

COMPARED_DAYS = 7  # latest days of a watch, for rows of less than a day
MIN_COMPARED_ROWS = 50  # of an entity, with which chance alone gives an index of 0.34
LONG_ROWS_DAYS = 60  # the same for rows of a day
MAX_SAMPLED_ROWS, MAX_SAMPLED_VALUES = 2000, 1_000_000  # of an entity and column; of a model
MAX_LOADED_ROWS = 200_000  # of a watch; one with more rows in these days is compared over a shorter time
MAX_PAIRS = 2000  # of entities and columns; more are compared with all entities as one
RENEWED_AFTER = timedelta(days=1)
MAX_KEPT_ANSWERS, MAX_KEPT_SAMPLES = 1000, 8  # in the memory of a process


@dataclass(frozen=True)
class WatchDrift:
    """Column whose values differ most from those that a model was trained on.

    psi        population stability index
    by_chance  index that chance alone exceeds in 5 % of the comparisons
    level      "stable", "moderate" or "major"; stable where chance explains the index
    entity     "" where all entities were compared as one
    rows       latest rows that were compared
    """

    psi: float
    by_chance: float
    level: DriftLevel
    column: str
    entity: str
    rows: int

    @property
    def beyond_chance(self) -> float:
        """The index; 0 where chance alone explains it."""
        return self.psi if self.psi > self.by_chance else 0.0


@dataclass(frozen=True)
class _Sample:
    """Training values by entity and column, at most `MAX_SAMPLED_ROWS` each; entity "" for all together.

    rows_per_day  training rows a day, of all entities
    """

    values: dict[tuple[str, str], Floats]
    columns: tuple[str, ...]
    entities: tuple[str, ...]
    rows_per_day: float


_lock = threading.Lock()
_samples: OrderedDict[tuple[Path, str], _Sample] = OrderedDict()
_answers: OrderedDict[tuple[Path, str, str], tuple[datetime, WatchDrift | None]] = OrderedDict()


def measure_watch_drift(watch: Watch, run_id: str, workspace: Workspace, now: datetime) -> WatchDrift | None:
    """Return the drift of the stored rows of the last days of a watch; computed once a day for each model.

    Args:
        watch: a stored watch.
        run_id: run of the model that judges its rows.
        workspace: of its rows and the training data.
        now: end of the last days.

    Returns:
        None where the watch stores no rows or too few of them, and where the training data are no longer stored.

    Raises ServiceUnavailableError where the database of the watches does not answer.
    """
    key = (workspace.folder, watch.name, run_id)
    with _lock:
        answer = _answers.get(key)
    if answer is not None and timedelta(0) <= now - answer[0] < RENEWED_AFTER:
        return answer[1]
    drift = _measure_stored_rows(watch, run_id, workspace, now)
    with _lock:
        _answers[key] = now, drift
        _answers.move_to_end(key)
        while len(_answers) > MAX_KEPT_ANSWERS:
            _answers.popitem(last=False)
    return drift


def measure_drift(rows: pd.DataFrame, run_id: str, workspace: Workspace) -> WatchDrift | None:
    """Return the drift of rows with the index (entity, instant) from the training data of the model of a run.

    Entities are compared with themselves; all as one where there are many, or none was trained on. None where fewer
    than `MIN_COMPARED_ROWS` rows can be compared. Raises NotFoundError where the training data are no longer stored.
    """
    sample = _load_sample(run_id, workspace)
    columns = [name for name in rows.columns if name in sample.columns]
    names = np.asarray(rows.index.get_level_values(0)).astype(str)
    shared = sorted(set(names) & set(sample.entities))
    if not shared or len(shared) * len(columns) > MAX_PAIRS:
        parts = {"": rows}
    else:
        groups = rows.groupby(names, sort=True)
        parts = {entity: groups.get_group(entity) for entity in shared}
    drifts = [
        _compare(sample.values[entity, column], part[column].to_numpy(dtype=np.float64), entity, column)
        for entity, part in parts.items()
        if len(part) >= MIN_COMPARED_ROWS
        for column in columns
    ]
    return max(drifts, key=_rank, default=None)


def _measure_stored_rows(watch: Watch, run_id: str, workspace: Workspace, now: datetime) -> WatchDrift | None:
    if not watch.history_days:
        return None
    try:
        longest = MAX_LOADED_ROWS / _load_sample(run_id, workspace).rows_per_day
    except NotFoundError:
        return None
    for days in (min(COMPARED_DAYS, longest), min(LONG_ROWS_DAYS, longest)):
        rows = workspace.watches.rows.load_past(watch.name, None, now - timedelta(days=days), now)
        if len(rows) and rows.index.get_level_values(0).value_counts().max() >= MIN_COMPARED_ROWS:
            break
    return measure_drift(rows, run_id, workspace) if len(rows) else None


def measure_rows_per_day(run_id: str, workspace: Workspace) -> float:
    """Return the number of training rows a day of the model of a run. Raises NotFoundError as `load_training_data`."""
    return _load_sample(run_id, workspace).rows_per_day


def _load_sample(run_id: str, workspace: Workspace) -> _Sample:
    key = (workspace.folder, run_id)
    with _lock:
        if key in _samples:
            _samples.move_to_end(key)
            return _samples[key]
    sample = _take_sample(load_training_data(run_id, workspace))
    with _lock:
        _samples[key] = sample
        while len(_samples) > MAX_KEPT_SAMPLES:
            _samples.popitem(last=False)
    return sample


def _take_sample(dataset: Dataset) -> _Sample:
    """Return values of the training rows, evenly chosen; of each entity only where there are few."""
    has_own = len(dataset.entities) * len(dataset.columns) <= MAX_PAIRS
    parts = {"": np.arange(len(dataset))}
    if has_own:
        parts |= {entity: np.flatnonzero(dataset.entity_codes == code) for code, entity in enumerate(dataset.entities)}
    limit = max(MAX_SAMPLED_VALUES // (len(parts) * max(len(dataset.columns), 1)), MIN_COMPARED_ROWS)
    values = {
        (entity, column): dataset.values[_thin(positions, limit), number].copy()
        for entity, positions in parts.items()
        for number, column in enumerate(dataset.columns)
    }
    days = (dataset.time.max() - dataset.time.min()) / pd.Timedelta(days=1) if dataset.has_dates else 0.0
    rows_per_day = len(dataset) / max(float(days), 1.0)
    return _Sample(values, tuple(dataset.columns), tuple(dataset.entities) if has_own else (), rows_per_day)


def _thin(positions: NDArray[np.intp], limit: int = MAX_SAMPLED_ROWS) -> NDArray[np.intp]:
    """Return at most `limit` positions at even intervals, and never more than `MAX_SAMPLED_ROWS`."""
    return positions[:: -(-len(positions) // min(limit, MAX_SAMPLED_ROWS)) or 1]


def _compare(trained: Floats, latest: Floats, entity: str, column: str) -> WatchDrift:
    latest = latest[_thin(np.arange(len(latest)))]
    psi, by_chance = compute_psi(trained, latest), compute_chance_psi(len(trained), len(latest))
    return WatchDrift(psi, by_chance, classify_psi(psi, by_chance), column, entity, len(latest))


def _rank(drift: WatchDrift) -> tuple[bool, float]:
    """Return what is compared: a drift that chance does not explain is larger than one that it does."""
    return drift.level != "stable", drift.psi
