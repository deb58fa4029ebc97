"""Run intervals: fit a forecaster and calibrate its intervals, or apply a saved model to new values."""

from dataclasses import replace

import numpy as np
import pandas as pd

from core.actor import Actor
from core.data.dataset import Dataset
from core.data.nameless import list_name_notes
from core.data.regular_series import RegularSeries
from core.exports import write_csv
from core.forecasters.series.interval_model import IntervalModel
from core.messages import N_
from core.progress import Progress
from core.runs.lineage import describe_range
from core.runs.model_files import load_model, save_model
from core.runs.promotion import resolve_run
from core.runs.stored_runs import load_result
from core.runs.tracked_run import MAX_EXPORTED_ROWS, Run, track_run
from core.spec.hyperparameters import get_params
from core.tasks.intervals.judging import (
    MeasureJudgement,
    apply_to_measure,
    collect_outcomes,
    judge_measures,
    read_measure,
    read_measures,
)
from core.tasks.intervals.notes import list_result_notes
from core.tasks.intervals.result import JUDGED, Intervals
from core.tasks.intervals.spec import IntervalsApplySpec, IntervalsSpec
from core.tasks.intervals.tables import MeasureData, tabulate_clusters
from core.tasks.intervals.windows import plan_windows
from core.workspace import Workspace

TASK = "intervals"
EXAMPLE_WEEKS = 3
LIBRARIES = ("torch",)


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
    spec, measures = read_measures(spec, part)
    plan = plan_windows(spec, measures[0].history)
    with track_run(TASK, type(spec.forecaster).__name__, spec.to_params(), dataset, actor, workspace) as run:
        model_spec, trials = _choose_settings(spec, measures[0].history.select(0, plan.fit_end), progress)
        run.params |= get_params(model_spec.forecaster)
        times = measures[0].history.local_times
        run.params |= describe_range("fit", times[: plan.fit_end])
        run.params |= describe_range("test", times[plan.test_start :])
        fit_progress = progress.create_part(1, 2) if spec.search else progress
        model, judgement = judge_measures(model_spec, part, measures, fit_progress)
        result = _build_result(spec, model_spec, dataset, measures[0], judgement)
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
            outcomes.append(apply_to_measure(measures[-1], model.measures_[name], model_spec, part_progress))
        run.params |= describe_range("data", measures[0].history.local_times)
        judgement = collect_outcomes(outcomes, measures[0])
        result = _build_result(spec, model_spec, dataset, measures[0], judgement)
        name_notes = list_name_notes(part, model.measures_[model_spec.value[0]].entities_)
        result = replace(result, clusters=source.clusters, notes=(*result.notes, *name_notes))
        _save_result(run, result)
        save_model(run.folder / "model", model, _build_example(measures), libraries=LIBRARIES)
    return result, run


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


# ---- result ---------------------------------------------------------------------------------------------------------


def _build_result(
    spec: IntervalsSpec | IntervalsApplySpec,
    model_spec: IntervalsSpec,
    dataset: Dataset,
    data: MeasureData,
    judgement: MeasureJudgement,
) -> Intervals:
    assert model_spec.horizon is not None
    judged = model_spec.test_windows if isinstance(spec, IntervalsSpec) else 0
    result = Intervals(
        spec=spec,
        model_spec=model_spec,
        data=dataset.summary,
        horizon=model_spec.horizon,
        season=judgement.season,
        step_seconds=data.history.step.total_seconds(),
        windows={"calibration": model_spec.calibration_windows or 0, "test": judged or 0},
        notes=(),
        rows=judgement.rows,
        events=judgement.events,
        scores=judgement.scores,
    )
    return replace(result, notes=(*list_result_notes(result), *judgement.notes))


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
    run.anomalies_by_entity = judged.loc[judged["anomalous"], "entity"].astype(str).value_counts().to_dict()


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
