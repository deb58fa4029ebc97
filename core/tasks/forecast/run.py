"""Run a forecast: fit and test a forecaster, apply a saved model, or recalibrate its intervals."""

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pandas as pd

from core.actor import Actor
from core.data.covariates import Covariates, join_covariates
from core.data.covariates.calendar_choice import choose_calendars
from core.data.covariates.matching import parse_places
from core.data.dataset import Dataset, format_timestamp
from core.data.nameless import list_name_notes
from core.data.panel import Panel
from core.errors import DataError
from core.exports import write_csv
from core.forecasters.backtests.backtest import Backtest, run_backtest
from core.forecasters.backtests.leakage import find_leaks
from core.forecasters.backtests.recalibration import recalibrate_errors
from core.forecasters.forecast_model import ForecastModel
from core.messages import N_
from core.progress import Progress
from core.runs.lineage import describe_covariates, describe_range, list_covariate_inputs
from core.runs.model_files import load_model, save_model
from core.runs.promotion import resolve_run
from core.runs.stored_runs import load_result
from core.runs.tracked_run import Run, track_run
from core.spec.spec import Spec
from core.tasks.forecast.alarm_words import tabulate_alarms
from core.tasks.forecast.backtest import build_example_table, measure_importance, rebuild_backtest, score_backtest
from core.tasks.forecast.candidates import build_candidate_table
from core.tasks.forecast.choice_notes import list_choice_notes
from core.tasks.forecast.covariate_notes import list_backtest_cautions, list_cautions, list_overlaps
from core.tasks.forecast.measured_periods import judge_measured_periods
from core.tasks.forecast.notes import list_level_cautions, list_notes
from core.tasks.forecast.result import Forecast
from core.tasks.forecast.scenarios import (
    add_up_forecast,
    build_forecast_rows,
    compute_response_curve,
    estimate_strike_effects,
    find_covariate_end,
)
from core.tasks.forecast.spec import ForecastApplySpec, ForecastSpec, RecalibrationSpec
from core.workspace import Workspace

TASK = "forecast"


def forecast(
    spec: ForecastSpec, dataset: Dataset, *, workspace: Workspace, actor: Actor, progress: Progress | None = None
) -> tuple[Forecast, Run]:
    """Test the forecaster on the past, fit it on all days, and forecast the next days.

    A covariate that reproduces the target is left out, and a caution says so. Raises DataError for series that cannot
    be forecast, OptionError for a value that is not accepted, Cancelled if `progress` was cancelled.
    """
    spec.check()
    forecaster = replace(spec.forecaster)  # type: ignore[type-var]
    asked_spec, selected_rows, progress = spec, spec.select(dataset), progress or Progress()
    spec = spec.choose_defaults(selected_rows)
    series = spec.build_panel(selected_rows)
    asked_calendar, choice = spec.calendar, choose_calendars(selected_rows, spec.calendar, parse_places(spec.places))
    spec = replace(spec.fill_defaults(dataset, series), calendar=choice.shared_code)
    model = ForecastModel(
        forecaster, spec.horizon_periods, spec.chosen_resolution, spec.measure, spec.weather, spec.aggregation
    )
    with track_run(
        TASK, type(forecaster).__name__, _build_params(spec, spec, selected_rows, series), dataset, actor, workspace
    ) as run:
        covariates = _join_covariates(
            run, selected_rows, spec.covariates, replace(spec, calendar=asked_calendar), series, workspace
        )
        leaks = find_leaks(series, covariates)
        covariates = covariates.drop_columns(leaks)
        progress.report(0.0, N_("Running the backtest"))
        backtest = run_backtest(
            forecaster,
            series,
            covariates,
            start_date=pd.Timestamp(spec.backtest_from),
            horizon=spec.horizon_periods,
            weather=spec.weather,
            progress=progress.create_part(0, 2),
        )
        model.forecaster = backtest.forecaster.renew() if backtest.forecaster is not None else forecaster
        progress.report(0.5, N_("Training the model on all days"))
        model.fit(series, covariates, backtest.errors, progress.create_part(1, 2))
        run.params |= describe_range("fit", series.periods)
        progress.report(1.0, N_("Computing intervals and saving results"))
        result = _build_forecast(spec, model, backtest, dataset, series, covariates)
        cautions = (
            *leaks.values(),
            *list_choice_notes(asked_spec, spec, selected_rows, series),
            *list_backtest_cautions(model, backtest),
            *list_level_cautions(result.alarms),
        )
        result = replace(result, notes=(*cautions, *result.notes), cautions=(*result.cautions, *cautions))
        _save_result(run, result)
        save_model(run.folder / "model", model, build_example_table(series, covariates, model))
    return result, run


def apply_model(
    spec: ForecastApplySpec, dataset: Dataset, *, workspace: Workspace, actor: Actor, progress: Progress | None = None
) -> tuple[Forecast, Run]:
    """Forecast the days after the end of `dataset` with the model of an earlier run; the backtest is that of the run.

    The measured days after the training of the model are judged by what the model forecasts for them. Raises the errors
    of `load_model`, and DataError for a dataset that does not fit the model.
    """
    (progress or Progress()).report(0.0, N_("Forecasting with the model"))
    spec = replace(spec, dataset=dataset.digest, model=resolve_run(spec.model, workspace))
    model, source_forecast = load_model(spec.model, ForecastModel, workspace), load_forecast(spec.model, workspace)
    model_spec = source_forecast.model_spec
    selected_rows = replace(source_forecast, spec=spec).select(dataset)
    series = model.select_series(selected_rows)
    params = _build_params(spec, model_spec, selected_rows, series)
    with track_run(TASK, type(model.forecaster).__name__, params, dataset, actor, workspace) as run:
        covariates = _join_covariates(run, selected_rows, spec.covariates, model_spec, series, workspace)
        shared_fields = _build_shared_fields(model_spec, model, dataset, series, covariates)
        alarm_fields, alarm_notes = judge_measured_periods(model, series, covariates, model_spec.alarm_level)
        alarm_notes = (*list_level_cautions(alarm_fields["alarms"]), *alarm_notes)
        result = replace(
            source_forecast,
            spec=spec,
            **shared_fields | {"notes": (*shared_fields["notes"], *alarm_notes)},
            **alarm_fields,
            backtest_until=source_forecast.backtest_until,
            rows=build_forecast_rows(model, series, covariates, np.array(model_spec.quantiles)),
        )
        _save_result(run, result)
    return result, run


def recalibrate(
    spec: RecalibrationSpec, dataset: Dataset, *, workspace: Workspace, actor: Actor, progress: Progress | None = None
) -> tuple[Forecast, Run]:
    """Repeat the forecasts of an earlier run with intervals from another choice of past errors.

    The choice has the least quantile loss on the first half of the backtest. The intervals stay as they were unless the
    second half gains, and a note says so. Raises the errors of `load_model`, and DataError for another dataset than
    that of the run.
    """
    spec = replace(spec, dataset=dataset.digest, run=resolve_run(spec.run, workspace))
    model, source_forecast = load_model(spec.run, ForecastModel, workspace), load_forecast(spec.run, workspace)
    model_spec = source_forecast.model_spec
    if dataset.digest != source_forecast.spec.dataset:
        raise DataError(
            N_(
                "Intervals can be recalibrated only with the data that the model was trained on. {file} has other data."
            ),
            file=", ".join(dataset.files),
        )
    selected_rows = model_spec.select(dataset)
    series = model.select_series(selected_rows)
    params = _build_params(spec, model_spec, selected_rows, series)
    with track_run(TASK, type(model.forecaster).__name__, params, dataset, actor, workspace) as run:
        covariates = _join_covariates(run, selected_rows, model_spec.covariates, model_spec, series, workspace)
        assert model.errors_ is not None
        model.errors_, note = recalibrate_errors(model.errors_, min(model_spec.quantiles), max(model_spec.quantiles))
        result = replace(
            source_forecast,
            spec=spec,
            calibration=asdict(model.errors_.calibration),
            notes=(*source_forecast.notes, note),
            rows=build_forecast_rows(model, series, covariates, np.array(model_spec.quantiles)),
            **score_backtest(rebuild_backtest(series, model.errors_, model_spec), model_spec, covariates),
        )
        _save_result(run, result)
        save_model(run.folder / "model", model, build_example_table(series, covariates, model))
    return result, run


def load_forecast(run_id: str, workspace: Workspace) -> Forecast:
    """Return the stored forecast of a run. Raises NotFoundError for an unknown run."""
    return load_result(run_id, Forecast, workspace)


# ---- parts of the result --------------------------------------------------------------------------------------------


def _build_params(spec: Spec, model_spec: ForecastSpec, selected_rows: Dataset, series: Panel) -> Mapping[str, Any]:
    """Return everything that the result depends on: specs of the model and of this run, target, entities and period."""
    target = model_spec.measure or ("" if selected_rows.profile else selected_rows.columns[0])
    return {
        **model_spec.to_params(),
        **spec.to_params(),
        **({"target": target} if target else {}),
        "unit": series.unit,
        "aggregation": "mean" if series.is_averaged else "sum",
        "frequency": series.frequency,
        **describe_range("data", series.periods),
        "entities": ", ".join(series.entities),
        "backtest_until": format_timestamp(series.periods[-1]),
        "refit": "never",
    }


def _join_covariates(
    run: Run, selected_rows: Dataset, digest: str, spec: ForecastSpec, series: Panel, workspace: Workspace
) -> Covariates:
    """Return the covariates `digest` up to the day after the horizon, with the calendar and the places of `spec`.

    Their files are inputs of the run.
    """
    tables = workspace.covariates.load(digest) if digest else []
    run.params |= describe_covariates(tables)
    run.inputs += list_covariate_inputs(tables)
    return join_covariates(
        selected_rows,
        tuple(tables),
        last_day=find_covariate_end(series, spec.horizon_periods),
        calendar=spec.calendar,
        places=spec.places,
    )


def _build_shared_fields(
    spec: ForecastSpec, model: ForecastModel, dataset: Dataset, series: Panel, covariates: Covariates
) -> dict[str, Any]:
    """Return the fields of the result about data, covariates and intervals."""
    assert model.errors_ is not None
    cautions = list_cautions(model, spec, series, covariates)
    return {
        "data": dataset.summary,
        "slots": tuple(series.slots),
        "frequency": series.frequency,
        "covariates": tuple(model.covariate_names_),
        "timed_covariates": tuple(model.timed_names_),
        "joins": tuple(asdict(join) for join in covariates.joins),
        "calibration": asdict(model.errors_.calibration),
        "notes": (
            *list_notes(model, spec, series, covariates),
            *list_overlaps(covariates),
            *list_name_notes(dataset, model.entities_),
            *cautions,
        ),
        "cautions": cautions,
    }


def _build_forecast(
    spec: ForecastSpec,
    model: ForecastModel,
    backtest: Backtest,
    dataset: Dataset,
    series: Panel,
    covariates: Covariates,
) -> Forecast:
    shared_fields, tables = (
        _build_shared_fields(spec, model, dataset, series, covariates),
        score_backtest(backtest, spec, covariates),
    )
    notes = (*shared_fields["notes"], *tables["alarm_counts"].list_notes(spec.alarm_level))
    return Forecast(
        spec=spec,
        model_spec=spec,
        **shared_fields | {"notes": notes},
        backtest_until=format_timestamp(series.periods[-1]),
        rows=build_forecast_rows(model, series, covariates, np.array(spec.quantiles)),
        **tables,
        importance=measure_importance(backtest),
        response=compute_response_curve(model, series, covariates),
        effects=estimate_strike_effects(series, covariates),
        candidates=build_candidate_table(model.forecaster),
    )


def _save_result(run: Run, result: Forecast) -> None:
    """Save metrics, result and tables of the run."""
    run.add_result(result, TASK, result.to_frame())
    run.params |= {f"calibration_{name}": value for name, value in result.calibration.items()}
    has_forecast = result.rows["forecast"].notna()
    run.details = {
        "successful_predictions": int(has_forecast.sum()),
        "failed_predictions": int((~has_forecast).sum()),
        **add_up_forecast(result.rows["forecast"], is_averaged=run.params["aggregation"] == "mean"),
    }
    write_csv(result.get_step_scores(), run.folder / "backtest.csv")
    write_csv(tabulate_alarms(result), run.folder / "alarms.csv")
    covariates = {
        "calendar": result.model_spec.calendar,
        "used": result.covariates,
        "used_at_times_of_day": result.timed_covariates,
        "joins": result.joins,
        "notes": [str(note) for note in result.cautions],
    }
    (run.folder / "covariates.json").write_text(json.dumps(covariates, ensure_ascii=False), encoding="utf-8")
