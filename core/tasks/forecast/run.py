"""What comes next, how sure that is, and what it hangs on."""

import json
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core import forecasters as rooms
from core.actor import Actor
from core.data.covariates import CovariateTable, Drivers, joined
from core.data.dataset import DAY, Dataset
from core.data.panel import STALE, Panel, Resolution
from core.errors import DataError, OptionError
from core.evaluation.forecasts import mae
from core.evaluation.intervals import Errors
from core.exports import written_csv
from core.forecasters.backtest import Backtest, backtest, naive_forecasts, weekly_error
from core.forecasters.base import Forecaster
from core.forecasters.forecast_model import ForecastModel
from core.forecasters.known import Weather
from core.forecasters.leakage import refuse_leaks
from core.forecasters.recalibration import recalibrated
from core.forecasters.scoring import judged
from core.messages import N_, Text
from core.progress import Progress
from core.runs.model_files import load_model, save_model
from core.runs.stored_runs import load_run
from core.runs.tracked_run import Run, tracked_run
from core.spec.hyperparameters import build_from_settings, get_params
from core.spec.plugins import members
from core.tasks.forecast.result import Forecast, ForecastQuestion
from core.tasks.forecast.scenarios import forecast_rows, response_curve, strike_effects
from core.tasks.selection import EVERYTHING, Selection
from core.workspace import Workspace

Floats = NDArray[np.float64]

TASK = "forecast"
LONGEST = 28
YEAR = 365
EXAMPLE_DAYS = 120


@dataclass(frozen=True)
class Plan:
    """What to forecast and how to test it.

    horizon        days ahead, 1 to 28
    resolution     "day": daily amounts, "hour": the moments of the day as the data have them
    measure        the column, where the data have several
    quantiles      levels of the interval's ends and of what lies between
    weather        what the weather columns of the days to come are worth: see `known.Weather`
    backtest_from  the test's first day; None: the last year, or the last fifth of a shorter history
    """

    horizon: int = 7
    resolution: Resolution = "day"
    measure: str = ""
    quantiles: tuple[float, ...] = (0.05, 0.5, 0.95)
    weather: Weather = "as given"
    backtest_from: pd.Timestamp | None = None

    def check(self) -> None:
        """Raises OptionError for a horizon or quantiles that cannot be."""
        if not 1 <= self.horizon <= LONGEST:
            raise OptionError(
                N_("{name} = {value} is outside {low} to {high}."),
                name="horizon",
                value=self.horizon,
                low=1,
                high=LONGEST,
            )
        ordered = list(self.quantiles) == sorted(set(self.quantiles))
        if not ordered or len(self.quantiles) < 2 or not all(0 < level < 1 for level in self.quantiles):
            raise OptionError(
                N_("{name} = {value!r} is not accepted; choose {accepted}."),
                name="quantiles",
                value=", ".join(map(str, self.quantiles)),
                accepted="0.05, 0.5, 0.95",
            )


def forecasters() -> dict[str, type[Forecaster]]:
    """Name → class of every forecaster."""
    return members(rooms, Forecaster)


def forecast(
    dataset: Dataset,
    forecaster: Forecaster,
    plan: Plan,
    *,
    workspace: Workspace,
    actor: Actor,
    tables: tuple[CovariateTable, ...] = (),
    selection: Selection = EVERYTHING,
    progress: Progress | None = None,
) -> tuple[Forecast, Run]:
    """Test `forecaster` on the past, fit it on everything, and forecast the days after the last.

    Raises DataError where the series cannot be forecast or a driver gives the answer away, OptionError for a plan that
    cannot
    be, Cancelled where `progress` was told to stop.
    """
    plan.check()
    model = ForecastModel(forecaster, plan.horizon, plan.resolution, plan.measure, plan.weather)
    part = selection.of(dataset)
    series = model.series(part)
    plan = replace(plan, backtest_from=plan.backtest_from or _usual_start(series))
    progress = progress or Progress()
    with tracked_run(TASK, type(forecaster).__name__, _params(model, plan, series), dataset, actor, workspace) as run:
        drivers = _drivers(part, tables, series, plan)
        refuse_leaks(series, drivers)
        progress.tell(0.0, N_("Forecasting the past again"))
        tested = backtest(
            forecaster,
            series,
            drivers,
            start=pd.Timestamp(plan.backtest_from),
            horizon=plan.horizon,
            weather=plan.weather,
            progress=progress.part(0, 2),
        )
        progress.tell(0.5, N_("Fitting on all days"))
        model.fit(series, drivers, tested.errors, progress.part(1, 2))
        progress.tell(1.0, N_("Intervals, figures and the record"))
        question = _question(model, plan, dataset, series, selection, drivers)
        question = replace(question, driver_tables=workspace.drivers.save(tables) if tables else "")
        found = _answer(question, model, tested, series, drivers)
        _keep(run, found, series)
        save_model(run.folder / "model", model, _example(series, drivers, model))
    return found, run


def apply_model(
    dataset: Dataset, run_id: str, *, workspace: Workspace, actor: Actor, tables: tuple[CovariateTable, ...] = ()
) -> tuple[Forecast, Run]:
    """Forecast the days after the end of `dataset` with the model of an earlier run; the test figures are that run's.

    Raises as `load_model`, and DataError where the dataset is not one the model knows.
    """
    model, fitted = load_model(run_id, ForecastModel, workspace), forecast_of(run_id, workspace)
    part = _same_entities(dataset, fitted)
    series = model.series(part)
    plan = _plan(fitted.question)
    asked = {**_params(model, plan, series), "model_run": run_id}
    with tracked_run(TASK, type(model.forecaster).__name__, asked, dataset, actor, workspace) as run:
        drivers = _drivers(part, tables, series, plan)
        question = _question(model, plan, dataset, series, Selection(tuple(fitted.question.entities)), drivers)
        question = replace(
            question,
            driver_tables=workspace.drivers.save(tables) if tables else "",
            fitted_by=run_id,
            backtest_until=fitted.question.backtest_until,
        )
        rows = forecast_rows(model, series, drivers, np.array(plan.quantiles))
        found = replace(fitted, question=question, rows=rows)
        _keep(run, found, series)
    return found, run


def recalibrate(dataset: Dataset, run_id: str, *, workspace: Workspace, actor: Actor) -> tuple[Forecast, Run]:
    """The same forecasts with intervals made of other past errors: what kept its promise best in the first half of the
    back-test, judged on the second half beside the old intervals.

    Raises as `load_model`, and DataError for another dataset than the run's.
    """
    model, fitted = load_model(run_id, ForecastModel, workspace), forecast_of(run_id, workspace)
    asked = fitted.question
    if dataset.digest != asked.dataset:
        raise DataError(
            N_("Intervals are made anew from the data that the model was fitted on; {file} holds others."),
            file=", ".join(dataset.files),
        )
    part = Selection.asked(asked).of(dataset)
    series, plan = model.series(part), _plan(asked)
    tables = tuple(workspace.drivers.load(asked.driver_tables)) if asked.driver_tables else ()
    inputs = {**_params(model, plan, series), "model_run": run_id}
    with tracked_run(TASK, type(model.forecaster).__name__, inputs, dataset, actor, workspace) as run:
        drivers = _drivers(part, tables, series, plan)
        assert model.errors_ is not None
        better, note = recalibrated(model.errors_, min(plan.quantiles), max(plan.quantiles))
        tested = _tested_again(series, better, asked)
        model.errors_ = better
        question = replace(
            asked,
            calibration=asdict(better.calibration),
            notes=(*asked.notes, (note.template, dict(note.values))),
            fitted_by=run_id,
        )
        found = replace(
            fitted,
            question=question,
            rows=forecast_rows(model, series, drivers, np.array(plan.quantiles)),
            **_judged(tested, plan, drivers),
        )
        _keep(run, found, series)
        save_model(run.folder / "model", model, _example(series, drivers, model))
    return found, run


def forecast_of(run_id: str, workspace: Workspace) -> Forecast:
    """The forecast that a run kept. Raises NotFoundError where there is none."""
    return Forecast.load(load_run(run_id, workspace).files / "result")


# ---- parts of the answer --------------------------------------------------------------------------------------------


def _drivers(part: Dataset, tables: tuple[CovariateTable, ...], series: Panel, plan: Plan) -> Drivers:
    """What is known in advance, to the morning after the horizon."""
    return joined(part, tables, until=series.days[-1] + DAY * (plan.horizon + 1))


def _usual_start(series: Panel) -> pd.Timestamp:
    """The last year, or the last fifth of a history shorter than five."""
    return series.days[-min(YEAR, len(series) // 5)] if len(series) >= 10 else series.days[-1]


def _params(model: ForecastModel, plan: Plan, series: Panel) -> dict[str, Any]:
    """Everything the answer depends on, as the run's parameters."""
    return {
        **get_params(model.forecaster),
        "forecaster": model.forecaster.name,
        "horizon": plan.horizon,
        "resolution": plan.resolution,
        "measure": plan.measure,
        "weather": plan.weather,
        "quantiles": ", ".join(f"{level:g}" for level in plan.quantiles),
        "entities": ", ".join(series.entities),
        "backtest_from": str(plan.backtest_from)[:10],
        "backtest_until": str(series.days[-1])[:10],
        "refit": "never",
    }


def _plan(asked: ForecastQuestion) -> Plan:
    """The plan that a kept result was made by."""
    return Plan(
        asked.horizon,
        asked.resolution,  # type: ignore[arg-type]
        asked.measure,
        asked.quantiles,
        asked.weather,  # type: ignore[arg-type]
        pd.Timestamp(asked.backtest_from),
    )


def _same_entities(dataset: Dataset, fitted: Forecast) -> Dataset:
    return dataset.select(fitted.question.entities) if fitted.question.entities else dataset


def _question(
    model: ForecastModel, plan: Plan, dataset: Dataset, series: Panel, selection: Selection, drivers: Drivers
) -> ForecastQuestion:
    assert model.errors_ is not None
    notes = _notes(model, plan, series, drivers)
    return ForecastQuestion(
        forecaster=model.forecaster.name,
        settings=get_params(model.forecaster),
        horizon=plan.horizon,
        resolution=plan.resolution,
        measure=plan.measure,
        quantiles=plan.quantiles,
        weather=plan.weather,
        backtest_from=str(plan.backtest_from)[:10],
        backtest_until=str(series.days[-1])[:10],
        dataset=dataset.digest,
        files=dataset.files,
        unit=dataset.unit,
        slots=series.slots,
        drivers=tuple(model.columns_),
        driver_tables="",
        joins=tuple(asdict(join) for join in drivers.joins),
        calibration=asdict(model.errors_.calibration),
        entities=selection.entities,
        start=str(selection.start or ""),
        end=str(selection.end or ""),
        notes=tuple((note.template, dict(note.values)) for note in notes),
    )


def _notes(model: ForecastModel, plan: Plan, series: Panel, drivers: Drivers) -> list[Text]:
    """What a reader has to know before trusting the figures."""
    notes = [
        Text(
            N_(
                "Tested from {start}: the model was fitted once on the days before, then asked every day for "
                "the next {horizon}."
            ),
            {"start": str(plan.backtest_from)[:10], "horizon": plan.horizon},
        )
    ]
    if "temperature" in model.columns_ and plan.weather == "as given":
        notes.append(Text(N_("The test knows the weather that really came, as a perfect weather forecast would.")))
    if plan.weather == "degraded":
        notes.append(
            Text(
                N_(
                    "The test knows the weather with the error of a usual forecast: 1.1 °C one day ahead, 2.7 "
                    "°C seven days ahead."
                )
            )
        )
    assumed = model.known(series, drivers).assumed[len(series) : len(series) + plan.horizon].any(axis=1)
    if assumed.any():
        day = series.days[-1] + DAY * int(np.argmax(assumed))
        notes.append(
            Text(
                N_(
                    "No file gives all drivers beyond {day}: their usual values for the date stand in, and "
                    "the real error will be larger than the test's."
                ),
                {"day": str(day)[:10]},
            )
        )
    amounts = series.amounts
    for place, entity in enumerate(series.entities):
        own = np.flatnonzero(np.isfinite(amounts[:, place]))
        if not len(own) or len(series) - own[-1] > STALE:
            last = str(series.days[own[-1]])[:10] if len(own) else "–"
            notes.append(Text(N_("{entity} ends on {day}: no forecast."), {"entity": entity, "day": last}))
    absurd = int((np.isfinite(amounts) & np.isnan(series.lessons)).sum())
    if absurd:
        notes.append(
            Text(
                N_("Days left out of learning because their amount is absurd beside their neighbours: {count}."),
                {"count": absurd},
            )
        )
    return notes


def _answer(
    question: ForecastQuestion, model: ForecastModel, tested: Backtest, series: Panel, drivers: Drivers
) -> Forecast:
    quantiles = np.array(question.quantiles)
    return Forecast(
        question,
        forecast_rows(model, series, drivers, quantiles),
        **_judged(tested, _plan(question), drivers),
        importance=_importance(tested),
        response=response_curve(model, series, drivers),
        effects=strike_effects(series, drivers),
    )


def _judged(tested: Backtest, plan: Plan, drivers: Drivers) -> dict[str, pd.DataFrame]:
    """The tables that say how good the forecasts of the back-test were."""
    temperature = None
    if "temperature" in drivers.columns:
        temperature = drivers.array(tested.series.entities, tested.days)[:, :, drivers.columns.index("temperature")]
    return judged(tested, np.array(plan.quantiles), temperature)


def _importance(tested: Backtest) -> pd.DataFrame:
    """By how much the back-test's mean absolute error grows when a group of features is shuffled, as a share of it."""
    forecaster, known, amounts = tested.forecaster, tested.known, tested.series.amounts[tested.first :]
    assert forecaster is not None
    assert known is not None
    rows = []
    for step in sorted({1, tested.horizon}):
        spared = forecaster.importance(tested.series, known, step, tested.first)
        error = mae(amounts, forecaster.predict(tested.series, known, step, tested.first))
        rows += [
            {"group": group, "step": step, "spared": value / error if error else 0.0} for group, value in spared.items()
        ]
    return pd.DataFrame(rows, columns=["group", "step", "spared"])


def _tested_again(series: Panel, errors: Errors, asked: ForecastQuestion) -> Backtest:
    """The back-test that a model's errors come from, on the days since its start."""
    start = len(series) - errors.forecast.shape[1]
    first = max(int(series.days.searchsorted(pd.Timestamp(asked.backtest_from))), start)
    naive = naive_forecasts(series, start, asked.horizon)
    return Backtest(series, first, start, errors, naive, weekly_error(series, first))


def _keep(run: Run, found: Forecast, series: Panel) -> None:
    """The figures of the run, and what a page needs to show the result again."""
    run.metrics = found.metrics()
    known = found.rows["forecast"].notna()
    run.details = {"successful_predictions": int(known.sum()), "failed_predictions": int((~known).sum())}
    found.save(run.folder / "result")
    written_csv(found.to_frame(), run.folder / "forecast.csv")
    written_csv(found.per_step(), run.folder / "backtest.csv")
    joins = [dict(join) for join in found.question.joins]
    (run.folder / "drivers.json").write_text(json.dumps(joins, ensure_ascii=False), encoding="utf-8")


def _example(series: Panel, drivers: Drivers, model: ForecastModel) -> pd.DataFrame:
    """The last months as the plain table that MLflow serves the model with, with the drivers of the days to come."""
    longer = series.last(EXAMPLE_DAYS).extended(model.horizon + 1)
    days, entities, slots = longer.values.shape
    table = pd.DataFrame(
        {
            "entity": np.tile(np.repeat(np.array(longer.entities, dtype=object), slots), days),
            "time": np.repeat(longer.moments(longer.days).to_numpy().reshape(days, 1, slots), entities, axis=1).ravel(),
            "value": longer.values.ravel(),
        }
    )
    given = drivers.array(longer.entities, longer.days)
    for name in model.columns_:
        table[name] = np.repeat(given[:, :, drivers.columns.index(name)], slots, axis=1).ravel()
    return table


# ---- as a job -------------------------------------------------------------------------------------------------------


def carry_out(arguments: dict[str, Any], *, workspace: Workspace, actor: Actor, progress: Progress) -> str:
    """The id of the run that answers the question `arguments` (see `question_of`). Raises as `forecast` and
    `apply_model`.
    """
    dataset = workspace.datasets.load(arguments["dataset"])
    tables = tuple(workspace.drivers.load(arguments["tables"])) if arguments["tables"] else ()
    if arguments.get("model_run"):
        from core.runs.promotion import resolve_run

        progress.tell(0.0, N_("Forecasting with the model"))
        return apply_model(
            dataset, resolve_run(arguments["model_run"], workspace), tables=tables, workspace=workspace, actor=actor
        )[1].id
    first = pd.Timestamp(arguments["plan"]["backtest_from"]) if arguments["plan"]["backtest_from"] else None
    selection = Selection.from_json(arguments)
    forecaster = build_from_settings(forecasters()[arguments["forecaster"]], arguments["settings"])
    plan = Plan(**{**arguments["plan"], "quantiles": tuple(arguments["plan"]["quantiles"]), "backtest_from": first})
    return forecast(
        dataset,
        forecaster,
        plan,
        tables=tables,
        selection=selection,
        workspace=workspace,
        actor=actor,
        progress=progress,
    )[1].id


def question_of(
    dataset: str,
    forecaster: Forecaster | None = None,
    plan: Plan = Plan(),
    *,
    tables: str = "",
    selection: Selection = EVERYTHING,
    model_run: str = "",
) -> dict[str, Any]:
    """What `carry_out` answers, as plain JSON: a forecaster for the dataset of this digest, or the run whose model is
    applied.

    `tables` is the digest that the drivers are stored under; "" for none.
    """
    if forecaster is None:
        return {"dataset": dataset, "tables": tables, "model_run": model_run}
    return {
        "dataset": dataset,
        "tables": tables,
        "forecaster": forecaster.name,
        "settings": get_params(forecaster),
        "plan": {**asdict(plan), "quantiles": list(plan.quantiles), "backtest_from": str(plan.backtest_from or "")},
        **selection.to_json(),
    }
