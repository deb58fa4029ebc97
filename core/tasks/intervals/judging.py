"""Judgement of a dataset by calibrated intervals, without a run: of all measures, by a new or by a fitted model."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.array_types import Floats
from core.data.cleaning import CleanedSeries, clean_series
from core.data.dataset import Dataset
from core.data.regular_series import RegularSeries
from core.errors import DataError
from core.forecasters.seasonal_naive import SeasonalNaive
from core.forecasters.series.interval_model import IntervalModel, MeasureModel, WindowForecast
from core.messages import N_, Message
from core.progress import Progress
from core.tasks.intervals.notes import list_data_notes
from core.tasks.intervals.result import CALIBRATION, FUTURE, JUDGED, NAIVE
from core.tasks.intervals.spec import JudgingSpec
from core.tasks.intervals.tables import (
    MeasureData,
    ScoredForecast,
    build_events,
    build_rows,
    build_scores,
    compute_season,
    join_rows,
)
from core.tasks.intervals.windows import WindowPlan, fill_windows, plan_windows

S = TypeVar("S", bound=JudgingSpec)


@dataclass(frozen=True)
class MeasureOutcome:
    """Tables of one measure."""

    rows: tuple[pd.DataFrame, ...]
    scores: pd.DataFrame
    season: int
    notes: tuple[Message, ...]


@dataclass(frozen=True)
class MeasureJudgement:
    """Points, events and scores of all measures, see the fields of `Intervals`; `season` is that of the first one."""

    rows: pd.DataFrame
    events: pd.DataFrame
    scores: pd.DataFrame
    season: int
    notes: tuple[Message, ...]


def judge_measures(
    spec: JudgingSpec, dataset: Dataset, measures: Sequence[MeasureData], progress: Progress
) -> tuple[IntervalModel, MeasureJudgement]:
    """Fit and calibrate a model on `measures`, and judge their last horizons.

    `spec` and `measures` are those of `read_measures`. Raises DataError for data that are too short, Cancelled if
    `progress` was cancelled.
    """
    plan = plan_windows(spec, measures[0].history)
    model, outcomes = _build_model(spec, dataset), []
    for number, data in enumerate(measures):
        outcomes.append(_judge_measure(data, plan, spec, model, progress.create_part(number, len(measures))))
    return model, collect_outcomes(outcomes, measures[0])


def collect_outcomes(outcomes: Sequence[MeasureOutcome], first: MeasureData) -> MeasureJudgement:
    """Return the outcomes of all measures together, with their events; `first` is the first measure."""
    rows, events = build_events(
        join_rows([table for outcome in outcomes for table in outcome.rows]), first.history.day_steps
    )
    scores = pd.concat([outcome.scores for outcome in outcomes], ignore_index=True)
    notes = tuple(note for outcome in outcomes for note in outcome.notes)
    return MeasureJudgement(rows, events, scores, outcomes[0].season, notes)


# ---- values ---------------------------------------------------------------------------------------------------------


def read_measures(spec: S, dataset: Dataset) -> tuple[S, list[MeasureData]]:
    """Return the spec with its windows, which suit the length of the history, and the values of its measures.

    `spec` names its measures. Raises DataError for data that are no regular series.
    """
    measures = [read_measure(dataset, name, spec) for name in spec.value]
    return fill_windows(spec, measures[0].history), measures


def read_measure(dataset: Dataset, measure: str, spec: JudgingSpec, model: MeasureModel | None = None) -> MeasureData:
    """Return the values of a measure, cleaned as `spec` asks, unless the data were cleaned before.

    The entities are those of `model`, if one is given.
    """
    cleaned = CleanedSeries.from_dataset(dataset.to_series(), measure, spec.find_attempts(measure, dataset))
    if model is not None:
        cleaned = _align_cleaned(cleaned, model)
    if not (cleaned.is_spike.any() or cleaned.is_imputed.any()):
        threshold = {"auto": None, "none": np.inf}.get(str(spec.spike_threshold), spec.spike_threshold)
        cleaned = clean_series(cleaned.original, spec.spike_window, threshold, spec.fill_from)  # type: ignore[arg-type]
    values = np.where(cleaned.is_imputed, np.nan, cleaned.original.values)
    if cleaned.original.attempts is not None:
        values = np.where(cleaned.original.attempts > 0, values, np.nan)
    return MeasureData(measure, cleaned.original.with_values(values), cleaned.series, cleaned)


def _align_cleaned(cleaned: CleanedSeries, model: MeasureModel) -> CleanedSeries:
    """Return the entities of a model; those that are not in the data have no values."""

    def pick(grid: NDArray[Any]) -> Floats:
        return model.align(cleaned.original.with_values(grid * 1.0)).values

    masks = {name: pick(getattr(cleaned, name)) == 1 for name in ("is_spike", "is_imputed", "is_shift", "is_silent")}
    return replace(
        cleaned,
        original=model.align(cleaned.original),
        values=pick(cleaned.values),
        weeks_back=np.nan_to_num(pick(cleaned.weeks_back)).astype(np.intp),
        is_missing=pick(cleaned.is_missing) == 1,
        thresholds=np.full(len(model.entities_), np.nan),
        **masks,
    )


# ---- one measure ----------------------------------------------------------------------------------------------------


def _judge_measure(
    data: MeasureData, plan: WindowPlan, spec: JudgingSpec, model: IntervalModel, progress: Progress
) -> MeasureOutcome:
    assert spec.horizon is not None
    progress.report(0.0, N_("Training the forecasting method"))
    measure_model = MeasureModel(replace(spec.forecaster), spec.horizon, spec.level)  # type: ignore[type-var]
    history = data.hide_later_values(range(plan.fit_end, plan.end, spec.horizon))
    measure_model.fit(history.select(0, plan.fit_end), progress.create_part(0, 2))
    model.measures_[data.measure] = measure_model
    progress.report(0.5, N_("Forecasting and calibrating"))
    rows, scored = _judge_windows(data, history, plan, measure_model, spec.forecaster.name, progress.create_part(2, 4))
    season = compute_season(data.history, plan.fit_end)
    scores = [build_scores(data, scored, season, plan.fit_end, spec.level)]
    notes = list(list_data_notes(data, plan, data.history.week_steps or spec.horizon))
    if spec.forecaster.name != NAIVE:
        progress.report(0.75, N_("Comparing with seasonal naive"))
        try:
            naive_model = MeasureModel(SeasonalNaive(), spec.horizon, spec.level)
            naive_model.fit(history.select(0, plan.fit_end))
            _, scored = _judge_windows(data, history, plan, naive_model, NAIVE, progress.create_part(3, 4))
            scores.append(build_scores(data, scored, season, plan.fit_end, spec.level))
        except DataError as error:
            notes.append(Message(N_("No comparison with seasonal naive: {reason}"), {"reason": str(error)}))
    progress.report(1.0)
    return MeasureOutcome(rows, pd.concat(scores, ignore_index=True), season, tuple(notes))


def _judge_windows(
    data: MeasureData, history: RegularSeries, plan: WindowPlan, model: MeasureModel, name: str, progress: Progress
) -> tuple[tuple[pd.DataFrame, ...], ScoredForecast]:
    """Calibrate on the first held-out windows, judge the last ones, and forecast the next horizon.

    `history` holds at every origin of a window what was known there.
    """
    forecast = model.forecast_windows(history, plan.fit_end, plan.end, progress)
    calibration = forecast.slice(plan.fit_end, plan.test_start)
    calibration_band = model.start_calibration(data.actual, calibration)
    rows, scored = _judge(data, forecast.slice(plan.test_start, plan.end), model, name)
    return (build_rows(data, calibration, calibration_band, CALIBRATION), *rows), scored


def _judge(
    data: MeasureData, forecast: WindowForecast, model: MeasureModel, name: str
) -> tuple[tuple[pd.DataFrame, ...], ScoredForecast]:
    band, ahead_band = model.judge(data.actual, forecast)
    future, future_band = model.predict_future(data.history)
    rows = build_rows(data, forecast, band, JUDGED), build_rows(data, future, future_band, FUTURE)
    return rows, ScoredForecast(name, forecast, band, ahead_band)


def apply_to_measure(data: MeasureData, model: MeasureModel, spec: JudgingSpec, progress: Progress) -> MeasureOutcome:
    """Judge the steps after the calibration, or all steps with a week before them where the data have no later ones."""
    progress.report(0.0, N_("Forecasting with the model"))
    series = data.history
    start = int(series.times.searchsorted(pd.Timestamp(model.calibrated_until_), side="right"))
    least = max(series.week_steps, model.horizon) if series.week_steps else model.horizon
    if start >= len(series) or start < least:
        start = least
    if start >= len(series):
        raise DataError(
            N_(
                "{count} step is too little: at least {needed} are needed before the first judged point.",
                "{count} steps are too few: at least {needed} are needed before the first judged point.",
            ),
            count=len(series),
            needed=least,
        )
    plan = WindowPlan(start, start, len(series))
    history = data.hide_later_values(range(start, len(series), model.horizon))
    forecast = model.forecast_windows(history, start, len(series), progress)
    rows, scored = _judge(data, forecast, model, spec.forecaster.name)
    season = compute_season(series, start)
    scores = build_scores(data, scored, season, start, spec.level)
    return MeasureOutcome(rows, scores, season, tuple(list_data_notes(data, plan, least)))


def _build_model(spec: JudgingSpec, dataset: Dataset) -> IntervalModel:
    assert spec.horizon is not None
    attempts = {name: spec.find_attempts(name, dataset) for name in spec.value}
    return IntervalModel(
        spec.horizon, spec.level, spec.spike_window, str(spec.spike_threshold), spec.fill_from, attempts
    )
