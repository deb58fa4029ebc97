"""Run intervals: fit a forecaster and calibrate its intervals, or apply a saved model to new values."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.actor import Actor
from core.array_types import Floats
from core.data.cleaning import CleanedSeries, clean_series
from core.data.dataset import Dataset
from core.data.regular_series import RegularSeries
from core.errors import DataError
from core.exports import write_csv
from core.forecasters.seasonal_naive import SeasonalNaive
from core.forecasters.series.interval_model import IntervalModel, MeasureModel, WindowForecast
from core.messages import N_, Message
from core.progress import Progress
from core.runs.model_files import load_model, save_model
from core.runs.promotion import resolve_run
from core.runs.stored_runs import load_result
from core.runs.tracked_run import MAX_EXPORTED_ROWS, Run, track_run
from core.spec.hyperparameters import get_params
from core.tasks.intervals.notes import list_data_notes, list_result_notes
from core.tasks.intervals.result import CALIBRATION, FUTURE, JUDGED, NAIVE, Intervals
from core.tasks.intervals.spec import IntervalsApplySpec, IntervalsSpec
from core.tasks.intervals.tables import (
    MeasureData,
    ScoredForecast,
    build_events,
    build_rows,
    build_scores,
    compute_season,
    join_rows,
    tabulate_clusters,
)
from core.tasks.intervals.windows import WindowPlan, fill_windows, plan_windows
from core.workspace import Workspace

TASK = "intervals"
EXAMPLE_WEEKS = 3
LIBRARIES = ("torch",)


@dataclass(frozen=True)
class _MeasureOutcome:
    """Tables of one measure."""

    rows: tuple[pd.DataFrame, ...]
    scores: pd.DataFrame
    season: int
    notes: tuple[Message, ...]


def judge_points(
    spec: IntervalsSpec, dataset: Dataset, *, workspace: Workspace, actor: Actor, progress: Progress | None = None
) -> tuple[Intervals, Run]:
    """Forecast the last horizons of the history and the next one, and judge the points by calibrated intervals.

    Raises DataError for data that are no regular series or too short, OptionError for a value that is not accepted,
    Cancelled if `progress` was cancelled.
    """
    spec.check()
    progress = progress or Progress()
    part = spec.select(dataset)
    spec = replace(spec.fill_defaults(part), dataset=dataset.digest)
    measures = [read_measure(part, name, spec) for name in spec.value]
    spec = fill_windows(spec, measures[0].history)
    plan = plan_windows(spec, measures[0].history)
    with track_run(TASK, type(spec.forecaster).__name__, spec.to_params(), dataset, actor, workspace) as run:
        model_spec, trials = _choose_settings(spec, measures[0].history.select(0, plan.fit_end), progress)
        run.params |= get_params(model_spec.forecaster)
        model, outcomes = _build_model(model_spec, part), []
        fit_progress = progress.create_part(1, 2) if spec.search else progress
        for number, data in enumerate(measures):
            part_progress = fit_progress.create_part(number, len(measures))
            outcomes.append(_judge_measure(data, plan, model_spec, model, part_progress))
        result = _build_result(spec, model_spec, dataset, measures[0], outcomes)
        result = replace(result, trials=trials, clusters=tabulate_clusters(model))
        _save_result(run, result)
        save_model(run.folder / "model", model, _build_example(measures), libraries=LIBRARIES)
    return result, run


def apply_model(
    spec: IntervalsApplySpec, dataset: Dataset, *, workspace: Workspace, actor: Actor, progress: Progress | None = None
) -> tuple[Intervals, Run]:
    """Judge the values that came after the calibration of the model of an earlier run, and forecast the next horizon.

    All values with enough history are judged where none of them comes after. The calibration goes on, and the model is
    saved with it. Raises the errors of `load_model`, and DataError for data that do not fit the model.
    """
    spec, progress = (
        replace(spec, dataset=dataset.digest, model=resolve_run(spec.model, workspace)),
        progress or Progress(),
    )
    model, source = load_model(spec.model, IntervalModel, workspace), load_result(spec.model, Intervals, workspace)
    model_spec, part = source.model_spec, spec.select(dataset)
    params = replace(model_spec, entities=(), start="", end="").to_params() | spec.to_params()
    with track_run(TASK, type(model_spec.forecaster).__name__, params, dataset, actor, workspace) as run:
        measures, outcomes = [], []
        for number, name in enumerate(model_spec.value):
            measures.append(read_measure(part, name, model_spec, model.measures_[name]))
            part_progress = progress.create_part(number, len(model_spec.value))
            outcomes.append(_apply_to_measure(measures[-1], model.measures_[name], model_spec, part_progress))
        result = _build_result(spec, model_spec, dataset, measures[0], outcomes)
        result = replace(result, clusters=source.clusters)
        _save_result(run, result)
        save_model(run.folder / "model", model, _build_example(measures), libraries=LIBRARIES)
    return result, run


def read_measure(dataset: Dataset, measure: str, spec: IntervalsSpec, model: MeasureModel | None = None) -> MeasureData:
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


def _choose_settings(
    spec: IntervalsSpec, history: RegularSeries, progress: Progress
) -> tuple[IntervalsSpec, pd.DataFrame]:
    """Return the spec with the best settings of a search, and the settings tried; empty without a search."""
    if not spec.search:
        return spec, pd.DataFrame()
    from core.forecasters.series.neural_forecaster import NeuralForecaster
    from core.forecasters.series.neural_search import search_settings

    assert spec.horizon is not None
    assert isinstance(spec.forecaster, NeuralForecaster), "the spec was checked"
    progress.report(0.0, N_("Trying settings"))
    search_progress = progress.create_part(0, 2)
    best, trials = search_settings(spec.forecaster, history, spec.horizon, spec.search, search_progress)
    return replace(spec, forecaster=best, search=0), trials


# ---- one measure ----------------------------------------------------------------------------------------------------


def _judge_measure(
    data: MeasureData, plan: WindowPlan, spec: IntervalsSpec, model: IntervalModel, progress: Progress
) -> _MeasureOutcome:
    assert spec.horizon is not None
    progress.report(0.0, N_("Fitting the forecaster"))
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
            notes.append(Message(N_("Seasonal naive is not compared: {reason}"), {"reason": str(error)}))
    progress.report(1.0)
    return _MeasureOutcome(rows, pd.concat(scores, ignore_index=True), season, tuple(notes))


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


def _apply_to_measure(
    data: MeasureData, model: MeasureModel, spec: IntervalsSpec, progress: Progress
) -> _MeasureOutcome:
    """Judge the steps after the calibration, or all steps with a week before them where the data have no later ones."""
    progress.report(0.0, N_("Forecasting with the model"))
    series = data.history
    start = int(series.times.searchsorted(pd.Timestamp(model.calibrated_until_), side="right"))
    least = max(series.week_steps, model.horizon) if series.week_steps else model.horizon
    if start >= len(series) or start < least:
        start = least
    if start >= len(series):
        raise DataError(
            N_("{count} steps are too few: at least {needed} are needed before the first judged point."),
            count=len(series),
            needed=least,
        )
    plan = WindowPlan(start, start, len(series))
    history = data.hide_later_values(range(start, len(series), model.horizon))
    forecast = model.forecast_windows(history, start, len(series), progress)
    rows, scored = _judge(data, forecast, model, spec.forecaster.name)
    season = compute_season(series, start)
    scores = build_scores(data, scored, season, start, spec.level)
    return _MeasureOutcome(rows, scores, season, tuple(list_data_notes(data, plan, least)))


# ---- result ---------------------------------------------------------------------------------------------------------


def _build_model(spec: IntervalsSpec, dataset: Dataset) -> IntervalModel:
    assert spec.horizon is not None
    attempts = {name: spec.find_attempts(name, dataset) for name in spec.value}
    return IntervalModel(
        spec.horizon, spec.level, spec.spike_window, str(spec.spike_threshold), spec.fill_from, attempts
    )


def _build_result(
    spec: IntervalsSpec | IntervalsApplySpec,
    model_spec: IntervalsSpec,
    dataset: Dataset,
    data: MeasureData,
    outcomes: list[_MeasureOutcome],
) -> Intervals:
    rows, events = build_events(
        join_rows([table for outcome in outcomes for table in outcome.rows]), data.history.day_steps
    )
    assert model_spec.horizon is not None
    judged = model_spec.test_windows if isinstance(spec, IntervalsSpec) else 0
    result = Intervals(
        spec=spec,
        model_spec=model_spec,
        data=dataset.summary,
        horizon=model_spec.horizon,
        season=outcomes[0].season,
        step_seconds=data.history.step.total_seconds(),
        windows={"calibration": model_spec.calibration_windows or 0, "test": judged or 0},
        notes=(),
        rows=rows,
        events=events,
        scores=pd.concat([outcome.scores for outcome in outcomes], ignore_index=True),
    )
    notes = (*list_result_notes(result), *_iter_notes(outcomes))
    return replace(result, notes=notes)


def _iter_notes(outcomes: list[_MeasureOutcome]) -> Iterator[Message]:
    for outcome in outcomes:
        yield from outcome.notes


def _save_result(run: Run, result: Intervals) -> None:
    """Save metrics, result and tables of the run, and the details of its event."""
    run.add_result(result, "events", result.to_frame().head(MAX_EXPORTED_ROWS))
    write_csv(result.build_point_table().head(MAX_EXPORTED_ROWS), run.folder / "points.csv")
    judged = result.rows[result.rows["phase"] == JUDGED]
    run.details = {
        "anomalies_count": int(judged["anomalous"].sum()),
        "successful_predictions": int(judged["yhat"].notna().sum()),
        "failed_predictions": int(judged["yhat"].isna().sum()),
    }
    run.anomalies_by_entity = result.events["entity"].astype(str).value_counts().to_dict()


def _build_example(measures: list[MeasureData]) -> pd.DataFrame:
    """Return the last weeks of all measures as a table: the example input of the model that MLflow serves."""
    parts = []
    for data in measures:
        steps = max(EXAMPLE_WEEKS * data.history.week_steps, 50)
        series = data.history.select(max(len(data.history) - steps, 0), len(data.history))
        parts.append(
            pd.DataFrame(
                {
                    "measure": data.measure,
                    "entity": np.tile(np.array(series.entities, dtype=object), len(series)),
                    "time": series.times.repeat(len(series.entities)),
                    "value": series.values.ravel(),
                }
            )
        )
    return pd.concat(parts, ignore_index=True)
