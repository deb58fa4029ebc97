"""Run a forecast: fit and test a forecaster, apply a saved model, or recalibrate its intervals."""

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pandas as pd

from core.actor import Actor
from core.data.covariates import Drivers, joined
from core.data.dataset import DAY, Dataset
from core.data.panel import Panel
from core.errors import DataError
from core.exports import written_csv
from core.forecasters.backtest import Backtest, backtest
from core.forecasters.forecast_model import ForecastModel
from core.forecasters.leakage import refuse_leaks
from core.forecasters.recalibration import recalibrated
from core.messages import N_
from core.progress import Progress
from core.runs.model_files import load_model, save_model
from core.runs.promotion import resolve_run
from core.runs.stored_runs import load_result
from core.runs.tracked_run import Run, tracked_run
from core.spec.spec import Spec
from core.tasks.forecast.backtest import example_table, measure_importance, rebuild_backtest, score_backtest
from core.tasks.forecast.notes import list_notes
from core.tasks.forecast.result import Forecast
from core.tasks.forecast.scenarios import forecast_rows, response_curve, strike_effects
from core.tasks.forecast.spec import ForecastApplySpec, ForecastSpec, RecalibrationSpec
from core.workspace import Workspace

TASK = "forecast"


def forecast(
    spec: ForecastSpec, dataset: Dataset, *, workspace: Workspace, actor: Actor, progress: Progress | None = None
) -> tuple[Forecast, Run]:
    """Test the forecaster on the past, fit it on all days, and forecast the next days.

    Raises DataError for series that cannot be forecast or a covariate that reproduces the target, OptionError for a
    value that is not accepted, Cancelled if `progress` was cancelled.
    """
    spec.check()
    forecaster = replace(spec.forecaster)  # type: ignore[type-var]
    model = ForecastModel(forecaster, spec.horizon, spec.resolution, spec.measure, spec.weather)
    part, progress = spec.select(dataset), progress or Progress()
    series = model.series(part)
    spec = spec.completed_for(dataset, series)
    with tracked_run(TASK, type(forecaster).__name__, _params(spec, spec, series), dataset, actor, workspace) as run:
        drivers = _join_covariates(part, spec.covariates, series, spec.horizon, workspace)
        refuse_leaks(series, drivers)
        progress.tell(0.0, N_("Forecasting the past again"))
        tested = backtest(
            forecaster,
            series,
            drivers,
            start=pd.Timestamp(spec.backtest_from),
            horizon=spec.horizon,
            weather=spec.weather,
            progress=progress.part(0, 2),
        )
        progress.tell(0.5, N_("Fitting on all days"))
        model.fit(series, drivers, tested.errors, progress.part(1, 2))
        progress.tell(1.0, N_("Intervals, figures and the record"))
        answer = _build_forecast(spec, model, tested, dataset, series, drivers)
        _save_result(run, answer)
        save_model(run.folder / "model", model, example_table(series, drivers, model))
    return answer, run


def apply_model(
    spec: ForecastApplySpec, dataset: Dataset, *, workspace: Workspace, actor: Actor, progress: Progress | None = None
) -> tuple[Forecast, Run]:
    """Forecast the days after the end of `dataset` with the model of an earlier run; the backtest is that of the run.

    Raises the errors of `load_model`, and DataError for a dataset that does not fit the model.
    """
    (progress or Progress()).tell(0.0, N_("Forecasting with the model"))
    spec = replace(spec, dataset=dataset.digest, model=resolve_run(spec.model, workspace))
    model, fitted = load_model(spec.model, ForecastModel, workspace), load_forecast(spec.model, workspace)
    asked = fitted.model_spec
    part = replace(fitted, spec=spec).select(dataset)
    series = model.series(part)
    params = _params(spec, asked, series)
    with tracked_run(TASK, type(model.forecaster).__name__, params, dataset, actor, workspace) as run:
        drivers = _join_covariates(part, spec.covariates, series, asked.horizon, workspace)
        answer = replace(
            fitted,
            spec=spec,
            **_describe(asked, model, dataset, series, drivers),
            backtest_until=fitted.backtest_until,
            rows=forecast_rows(model, series, drivers, np.array(asked.quantiles)),
        )
        _save_result(run, answer)
    return answer, run


def recalibrate(
    spec: RecalibrationSpec, dataset: Dataset, *, workspace: Workspace, actor: Actor, progress: Progress | None = None
) -> tuple[Forecast, Run]:
    """Repeat the forecasts of an earlier run with intervals from another choice of past errors.

    The choice has the best coverage on the first half of the backtest. The second half compares its coverage with that
    of the old intervals. Raises the errors of `load_model`, and DataError for another dataset than that of the run.
    """
    spec = replace(spec, dataset=dataset.digest, run=resolve_run(spec.run, workspace))
    model, fitted = load_model(spec.run, ForecastModel, workspace), load_forecast(spec.run, workspace)
    asked = fitted.model_spec
    if dataset.digest != fitted.spec.dataset:
        raise DataError(
            N_("Intervals are made anew from the data that the model was fitted on; {file} holds others."),
            file=", ".join(dataset.files),
        )
    part = asked.select(dataset)
    series = model.series(part)
    params = _params(spec, asked, series)
    with tracked_run(TASK, type(model.forecaster).__name__, params, dataset, actor, workspace) as run:
        drivers = _join_covariates(part, asked.covariates, series, asked.horizon, workspace)
        assert model.errors_ is not None
        model.errors_, note = recalibrated(model.errors_, min(asked.quantiles), max(asked.quantiles))
        answer = replace(
            fitted,
            spec=spec,
            calibration=asdict(model.errors_.calibration),
            notes=(*fitted.notes, note),
            rows=forecast_rows(model, series, drivers, np.array(asked.quantiles)),
            **score_backtest(rebuild_backtest(series, model.errors_, asked), asked, drivers),
        )
        _save_result(run, answer)
        save_model(run.folder / "model", model, example_table(series, drivers, model))
    return answer, run


def load_forecast(run_id: str, workspace: Workspace) -> Forecast:
    """Return the stored forecast of a run. Raises NotFoundError for an unknown run."""
    return load_result(run_id, Forecast, workspace)


# ---- parts of the result --------------------------------------------------------------------------------------------


def _params(spec: Spec, asked: ForecastSpec, series: Panel) -> Mapping[str, Any]:
    """Return everything that the result depends on: spec of the model, spec of this run, entities and period."""
    return {
        **asked.params(),
        **spec.params(),
        "entities": ", ".join(series.entities),
        "backtest_until": str(series.days[-1])[:10],
        "refit": "never",
    }


def _join_covariates(part: Dataset, digest: str, series: Panel, horizon: int, workspace: Workspace) -> Drivers:
    """Return the covariates up to the day after the horizon."""
    tables = workspace.drivers.load(digest) if digest else ()
    return joined(part, tuple(tables), until=series.days[-1] + DAY * (horizon + 1))


def _describe(
    spec: ForecastSpec, model: ForecastModel, dataset: Dataset, series: Panel, drivers: Drivers
) -> dict[str, Any]:
    """Return the fields of the result about data, covariates and intervals."""
    assert model.errors_ is not None
    return {
        "data": dataset.summary,
        "slots": tuple(series.slots),
        "covariates": tuple(model.columns_),
        "joins": tuple(asdict(join) for join in drivers.joins),
        "calibration": asdict(model.errors_.calibration),
        "notes": list_notes(model, spec, series, drivers),
    }


def _build_forecast(
    spec: ForecastSpec, model: ForecastModel, tested: Backtest, dataset: Dataset, series: Panel, drivers: Drivers
) -> Forecast:
    return Forecast(
        spec=spec,
        model_spec=spec,
        **_describe(spec, model, dataset, series, drivers),
        backtest_until=str(series.days[-1])[:10],
        rows=forecast_rows(model, series, drivers, np.array(spec.quantiles)),
        **score_backtest(tested, spec, drivers),
        importance=measure_importance(tested),
        response=response_curve(model, series, drivers),
        effects=strike_effects(series, drivers),
    )


def _save_result(run: Run, answer: Forecast) -> None:
    """Save metrics, result and tables of the run."""
    run.add_result(answer, TASK, answer.to_frame())
    known = answer.rows["forecast"].notna()
    run.details = {"successful_predictions": int(known.sum()), "failed_predictions": int((~known).sum())}
    written_csv(answer.per_step(), run.folder / "backtest.csv")
    (run.folder / "drivers.json").write_text(json.dumps(answer.joins, ensure_ascii=False), encoding="utf-8")
