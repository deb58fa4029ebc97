"""Judge of watched values: the calibrated interval of a forecast from the rows before each horizon."""

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from datetime import timedelta
from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.array_types import Floats
from core.data.cleaning import clean_series
from core.data.compatibility import check_compatible
from core.data.dataset import Dataset
from core.data.nameless import code_fitted_entities
from core.data.regular_series import RegularSeries
from core.data.time_zones import has_clock_changes
from core.errors import DataError, OptionError
from core.evaluation.interval_events import grade_scores, measure_distance
from core.forecasters.series.interval_model import IntervalModel, MeasureModel, WindowForecast
from core.messages import N_
from core.runs.model_files import load_model
from core.runs.model_template import load_template
from core.runs.stored_runs import load_result
from core.tasks.intervals.result import Intervals
from core.tasks.intervals.spec import IntervalsSpec
from core.tasks.intervals.tables import MeasureData, measure_width
from core.watches.judged_table import build_judged_table
from core.watches.judgement import Judgement
from core.workspace import Workspace

LOOKBACK_WEEKS, LOOKBACK_HORIZONS = 2, 2  # of the history that a forecast uses, whichever is longer
MAX_CAUSES = 3


@dataclass(frozen=True)
class IntervalJudge:
    """Judges each value by the interval of a forecast. Implements `core.watches.judgement.Judge`.

    Forecasts begin at fixed steps: one horizon after the other from the end of the calibration. Each uses as many rows
    before it, and the calibration begins with the horizon before. So a split into ticks changes no interval.
    """

    model: IntervalModel
    spec: IntervalsSpec
    template: Dataset

    @classmethod
    def load(cls, run_id: str, workspace: Workspace) -> Self:
        """Return the judge of a run.

        Raises OptionError for a model of daily profiles, and the errors of `load_model` and `load_result`.
        """
        model, result = load_model(run_id, IntervalModel, workspace), load_result(run_id, Intervals, workspace)
        template = load_template(result.spec.dataset, result.data, result.step_seconds, workspace)
        if template.profile:
            raise OptionError(
                N_("This model was trained on daily profiles. A watch of intervals needs one row per step.")
            )
        return cls(model, result.model_spec, template)

    @property
    def past_rows(self) -> int:
        """Rows of an entity before a new one: a history, the horizon before, and that of the row."""
        return self._lookback + 2 * self.model.horizon

    @property
    def _step(self) -> pd.Timedelta:
        return pd.Timedelta(seconds=next(iter(self.model.measures_.values())).step_s_)

    @property
    def _lookback(self) -> int:
        week_steps = int(pd.Timedelta(days=7) / self._step)
        return max(LOOKBACK_WEEKS * week_steps, LOOKBACK_HORIZONS * self.model.horizon)

    def judge_rows(self, dataset: Dataset, is_new: NDArray[np.bool_]) -> Judgement:
        """Judge the new rows whose entity the model knows, with enough history before them.

        A value outside its interval is an alarm. The score is its distance in widths of the interval, of the measure
        that is farthest outside. Raises DataError for data of another unit or without the measures of the model.
        """
        self._check(dataset)
        grid = _RowGrid.build(dataset, is_new, self._get_measure_model(), self._step)
        tables = [self._judge_measure(dataset, grid, name) for name in self.spec.value]
        score = np.stack([table["score"].to_numpy() for table in tables])
        is_known = np.isfinite(score).any(axis=0)
        worst = np.where(np.isfinite(score), score, -1.0).argmax(axis=0)
        judged = dataset.take_rows(grid.rows[is_known])
        picked = pd.concat([table[is_known & (worst == number)] for number, table in enumerate(tables)]).sort_index()
        outside = score[:, is_known] > 0
        names = np.array(self.spec.value, dtype=object)
        is_anomalous = np.asarray(outside.any(axis=0), dtype=bool)
        causes = [tuple(names[column][:MAX_CAUSES]) for column in outside.T]
        picked = picked.assign(causes=pd.Series(causes, index=picked.index, dtype=object))
        values = picked["score"].to_numpy()
        table = build_judged_table(
            judged.entity,
            judged.compute_instants(),
            values,
            0.0,
            is_anomalous,
            grade_scores(values),
            picked[is_anomalous],
        )
        left_out = int(is_new.sum()) - int(is_known.sum())
        return Judgement(table, timedelta(seconds=self._step.total_seconds()), 1 - self.model.level, left_out)

    def _check(self, dataset: Dataset) -> None:
        missing = [name for name in self.spec.value if name not in dataset.columns]
        if missing:
            raise DataError(
                N_("{file} has no column {value}. Its measurements: {accepted}."),
                file=", ".join(dataset.files) or "?",
                value=missing[0],
                accepted=", ".join(dataset.columns),
            )
        check_compatible(dataset, dataset.columns, dataset.profile, self.template.unit)

    def _get_measure_model(self) -> MeasureModel:
        return self.model.measures_[self.spec.value[0]]

    def _judge_measure(self, dataset: Dataset, grid: "_RowGrid", name: str) -> pd.DataFrame:
        """Return score, measured, expected, low and high of the new rows of a measure; NaN where unknown."""
        columns = ("score", "measured", "expected", "low", "high")
        answer = np.full((len(grid.rows), len(columns)), np.nan)
        model, attempts = self.model.measures_[name], self.spec.find_attempts(name, dataset)
        for origin, positions in grid.iter_origins(self.model.horizon):
            first, last = origin - self.model.horizon - self._lookback, int(grid.steps[positions].max())
            series = grid.fill(dataset, name, attempts, first, last + 1)
            start = np.flatnonzero(np.isfinite(series.values).any(axis=1))
            begin = origin - first
            if not len(start) or begin - start[0] < self._lookback // 2:
                continue  # too little history
            bands = self._forecast(series, begin, deepcopy(model), has_warm_up=begin - start[0] > self._lookback)
            steps, entities = grid.steps[positions] - first, grid.entities[positions]
            measured = series.values[steps, entities]
            low, middle, high = (bands[steps - begin, entities, place] for place in range(3))
            distance = measure_distance(measured, low, high)
            score = np.abs(distance) / measure_width(low, high)
            answer[positions] = np.column_stack([score, measured, middle, low, high])
        return pd.DataFrame(answer, columns=list(columns)).assign(column=name)

    def _forecast(self, series: RegularSeries, begin: int, model: MeasureModel, has_warm_up: bool) -> Floats:
        """Return low, middle and high of the steps from `begin` on, (steps, entities, 3).

        `has_warm_up` tells that there is history enough to calibrate with the horizon before.
        """
        horizon = self.model.horizon
        origins = [begin - horizon, begin] if has_warm_up else [begin]
        windows = [model.forecaster.predict_quantiles(self._clean(series, at), horizon, model.levels) for at in origins]
        quantiles = np.concatenate(windows)[: len(series) - origins[0]]
        actual = series
        if series.attempts is not None:
            actual = series.with_values(np.where(series.attempts > 0, series.values, np.nan))
        band, _ = model.judge(actual, WindowForecast(origins[0], model.levels, quantiles))
        bounds = np.stack([band.bounds[..., 0], band.median, band.bounds[..., -1]], axis=-1)
        return bounds[begin - origins[0] :]

    def _clean(self, series: RegularSeries, origin: int) -> RegularSeries:
        """Return the history before `origin` as a forecaster sees it: cleaned with what was known there."""
        history = series.select(max(origin - self._lookback, 0), origin)
        threshold = {"auto": None, "none": np.inf}.get(self.model.spike_threshold, self.model.spike_threshold)
        limit = threshold if threshold is None else float(threshold)
        cleaned = clean_series(history, self.model.spike_window, limit, self.model.fill_from)
        return MeasureData("", history, cleaned.series, cleaned).hide_later_values([len(history)])


@dataclass(frozen=True)
class _RowGrid:
    """Rows of a dataset on the steps and entities of a model.

    rows      positions of the new rows on the grid in the dataset, (rows,)
    steps, entities  their step from the end of the calibration, and their entity of the model, each (rows,)
    all_steps, all_entities  the same of every row of the dataset; −1 as entity for a row that is not on the grid
    """

    rows: NDArray[np.intp]
    steps: NDArray[np.intp]
    entities: NDArray[np.intp]
    all_steps: NDArray[np.intp]
    all_entities: NDArray[np.intp]
    model: MeasureModel
    step: pd.Timedelta

    @classmethod
    def build(cls, dataset: Dataset, is_new: NDArray[np.bool_], model: MeasureModel, step: pd.Timedelta) -> Self:
        """Place the rows of `dataset`; rows of other entities, and between two steps, are not on the grid."""
        offsets = (dataset.compute_instants() - _find_anchor(model, step)).as_unit("ns").asi8
        steps, rest = np.divmod(offsets, step.value)
        codes = code_fitted_entities(dataset, model.entities_)[dataset.entity_codes]
        entities = np.where(rest == 0, codes, -1)
        rows = np.flatnonzero(is_new & (entities >= 0))
        return cls(rows, steps[rows], entities[rows], steps, entities, model, step)

    def iter_origins(self, horizon: int) -> Iterator[tuple[int, NDArray[np.intp]]]:
        """Yield the first step of every horizon with new rows, and the positions of these rows in `rows`."""
        origins = self.steps // horizon * horizon
        for origin in np.unique(origins):
            yield int(origin), np.flatnonzero(origins == origin)

    def fill(self, dataset: Dataset, measure: str, attempts: str, first: int, end: int) -> RegularSeries:
        """Return the values of a measure from the step `first` up to, not including, `end`."""
        is_inside = (self.all_entities >= 0) & (self.all_steps >= first) & (self.all_steps < end)

        def fill_grid(name: str) -> Floats:
            values = np.full((end - first, len(self.model.entities_)), np.nan)
            cells = self.all_steps[is_inside] - first, self.all_entities[is_inside]
            values[cells] = dataset.frame[name].to_numpy()[is_inside]
            return values

        return RegularSeries(
            pd.date_range(_find_anchor(self.model, self.step) + first * self.step, periods=end - first, freq=self.step),
            self.model.entities_,
            fill_grid(measure),
            self.step,
            dataset.unit,
            dataset.zone if has_clock_changes(dataset.zone) else "",
            fill_grid(attempts) if attempts else None,
        )


def load_judge(run_id: str, workspace: Workspace) -> IntervalJudge:
    """Return the judge of a run. Raises the errors of `IntervalJudge.load`."""
    return IntervalJudge.load(run_id, workspace)


def _find_anchor(model: MeasureModel, step: pd.Timedelta) -> pd.Timestamp:
    """Return the first instant after the calibration."""
    return pd.Timestamp(model.calibrated_until_) + step
