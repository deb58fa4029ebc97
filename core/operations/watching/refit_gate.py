"""The gate between two models of a watch: both judge the same rows, which neither was fitted on."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.array_types import Floats
from core.data.dataset import Dataset
from core.evaluation.alarm_rates import measure_alarm_rate
from core.evaluation.planted_faults import measure_planted_recall, select_planted_rows
from core.operations.watching.known_entities import mark_known_rows
from core.watches.judgement import Judge, Judgement
from mlflow_utils.registry import FIGURE_PREFIX, ModelVersion, PromotionCheck, PromotionMetric, compare_versions

BACKTEST_SHARE, MAX_BACKTEST = 0.2, pd.Timedelta(days=28)
"""Share of the rows of each entity, its last ones, that both models judge; at most those of four weeks."""

REFIT_PROMOTION = PromotionMetric(
    "promise_kept",
    lower_is_better=False,
    then=(
        PromotionMetric("verdict_precision", lower_is_better=False),
        PromotionMetric("planted_recall", lower_is_better=False),
    ),
)
"""As for other alarms, see `ALARM_PROMOTION`; the backtest is the same because one function measures both models."""


@dataclass(frozen=True)
class SplitRows:
    """Rows of several entities in the order of time, cut into rows to fit a model on and rows to compare models by.

    is_backtest  (rows,), True for the last rows of each entity
    """

    dataset: Dataset
    is_backtest: NDArray[np.bool_]

    @property
    def training_rows(self) -> Dataset:
        """Rows before those of the backtest."""
        return self.dataset.take_rows(~self.is_backtest)

    def select_common(self, *judges: Judge) -> "SplitRows":
        """Return the rows of the entities that all judges know. Raises DataError where a judge knows none."""
        is_known = np.logical_and.reduce([mark_known_rows(judge, self.dataset) for judge in judges])
        return self if is_known.all() else SplitRows(self.dataset.take_rows(is_known), self.is_backtest[is_known])


def split_rows(dataset: Dataset) -> SplitRows:
    """Cut the last fifth of the rows of each entity off, at most four weeks of them.

    Each entity has its own cut, so that one that began lately is part of both.
    """
    codes, times = dataset.entity_codes, dataset.time.to_numpy()
    dataset = dataset.take_rows(np.lexsort((codes, times)))
    codes, times = dataset.entity_codes, pd.Series(dataset.time)
    groups = pd.Series(codes)
    number, count = groups.groupby(groups).cumcount(), groups.groupby(groups).transform("size")
    is_last = number >= count - np.floor(count * BACKTEST_SHARE)
    is_recent = times > times.groupby(codes).transform("max") - MAX_BACKTEST
    return SplitRows(dataset, (is_last & is_recent).to_numpy())


def measure_backtest(judge: Judge, rows: SplitRows) -> dict[str, float]:
    """Return what a judge makes of the rows of a backtest; NaN for a figure that is not known.

    promise_kept    0 if significantly more normal rows than promised are flagged, else 1
    planted_recall  share of planted faults that are found, see `measure_planted_recall`
    """
    figures = {"promise_kept": math.nan, "planted_recall": math.nan}
    judgement = judge.judge_rows(rows.dataset, rows.is_backtest)
    table = judgement.rows.sort_values(["entity", "instant"], kind="stable")
    if judgement.target_rate is not None and len(table):
        labels = _find_labels(rows.dataset, table)
        estimate = measure_alarm_rate(table["is_anomalous"].to_numpy(dtype=np.float64), 0.5, labels)
        figures["promise_kept"] = float(not estimate.exceeds(judgement.target_rate))
    return figures | _measure_planted_recall(judge, rows)


def compare_judges(champion: Judge, challenger: Judge, rows: SplitRows) -> PromotionCheck:
    """Compare two models on the same rows, those of the entities that both know."""
    common = rows.select_common(champion, challenger)
    return compare_figures(measure_backtest(champion, common), measure_backtest(challenger, common))


def compare_figures(champion: Mapping[str, float], challenger: Mapping[str, float]) -> PromotionCheck:
    """Compare the figures of two models, from `measure_backtest` on the same rows, by `REFIT_PROMOTION`."""
    old, new = (
        ModelVersion("", 0, "", 0, tags={FIGURE_PREFIX + name: repr(value) for name, value in figures.items()})
        for figures in (champion, challenger)
    )
    return compare_versions(old, new, REFIT_PROMOTION)


def _find_labels(dataset: Dataset, table: pd.DataFrame) -> NDArray[np.bool_] | None:
    """Return the labels of judged rows; None without labels."""
    if dataset.labels is None:
        return None
    is_abnormal = dataset.labels.to_numpy(dtype=bool)
    keys = pd.MultiIndex.from_arrays([np.asarray(dataset.entity).astype(str), dataset.compute_instants()])
    return np.asarray(pd.MultiIndex.from_frame(table[["entity", "instant"]]).isin(keys[is_abnormal]))


def _measure_planted_recall(judge: Judge, rows: SplitRows) -> dict[str, float]:
    """Return the recall of faults planted in complete rows of some entities; empty for too few rows."""
    dataset, codes = rows.dataset, rows.dataset.entity_codes
    tested = rows.is_backtest & dataset.is_complete
    positions = [np.flatnonzero(tested & (codes == code)) for code in range(len(dataset.entities))]
    chosen = [positions[number][part] for number, part in select_planted_rows([len(each) for each in positions])]
    if not chosen:
        return {}
    planted = np.concatenate(chosen)
    past = [_find_past(codes, each[0], judge.past_rows) for each in chosen]
    indices = np.unique(np.concatenate([planted, *past]))
    part, is_planted = dataset.take_rows(indices), np.isin(indices, planted)
    places = np.searchsorted(indices, planted)
    ends = np.cumsum([len(each) for each in chosen])[:-1]
    keys = pd.MultiIndex.from_arrays([np.asarray(part.entity).astype(str), part.compute_instants()])[places]

    def score(arrays: Sequence[Floats]) -> list[Floats]:
        """Return how far the planted rows lie above the threshold with other values."""
        values = part.values.copy()
        values[places] = np.concatenate(list(arrays))
        frame = pd.DataFrame(values, index=part.frame.index, columns=part.frame.columns)
        judgement = judge.judge_rows(part.replace(frame=frame), is_planted)
        return np.split(_find_margins(judgement, keys), ends)

    return measure_planted_recall(np.split(part.values[places], ends), score, 0.0)


def _find_margins(judgement: Judgement, keys: pd.MultiIndex) -> Floats:
    """Return score − threshold of the rows with these keys; −∞ for a row that was not judged."""
    rows = judgement.rows.drop_duplicates(["entity", "instant"])
    margins = pd.Series(
        (rows["score"] - rows["threshold"]).to_numpy(dtype=np.float64),
        pd.MultiIndex.from_arrays([rows["entity"].astype(str), rows["instant"]]),
    )
    return margins.reindex(keys).fillna(-np.inf).to_numpy()


def _find_past(codes: NDArray[np.intp], first: int, count: int) -> NDArray[np.intp]:
    """Return the positions of the last `count` rows of the entity of row `first` before it."""
    before = np.flatnonzero(codes[:first] == codes[first])
    return before[len(before) - min(count, len(before)) :]
