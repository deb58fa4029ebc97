"""Scenarios (what if): other weather or a strike, the response to both, and the effect of strikes."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from core.actor import Actor
from core.array_types import Floats
from core.data.covariates import Covariates, CovariateTable, join_covariates
from core.data.dataset import DAY, Dataset
from core.data.panel import Panel
from core.errors import DataError, OptionError
from core.evaluation.event_effects import MIN_EVENT_DAYS, compute_matched_effect, compute_raw_effect
from core.forecasters.backtests.backtest import compute_naive_forecasts
from core.forecasters.backtests.backtest_report import format_quantile_name
from core.forecasters.backtests.weather_adjustment import predict_from_weather
from core.forecasters.forecast_model import ForecastModel
from core.forecasters.panels.covariate_panel import TEMPERATURE_COLUMNS, CovariatePanel, select_covariates
from core.forecasters.panels.covariate_periods import read_periods
from core.forecasters.to_frame import to_frame
from core.messages import N_
from core.runs.model_files import load_model
from core.runs.stored_runs import load_result
from core.runs.tracked_run import record_event
from core.tasks.forecast.result import Forecast
from core.workspace import Workspace

MAX_HISTORY_PERIODS = 20_000
HISTORY_DAYS = 450  # days of history that a forecast needs: a year of level, the longest lag, the longest horizon
TEMPERATURE_SHIFTS_C = (-6.0, -4.0, -2.0, 0.0, 2.0, 4.0, 6.0)  # °C
STRIKE_COLUMN = "strike"

WEATHER_FIELDS: dict[str, tuple[str, str, float, float, float]] = {
    "temperature_min": (N_("Minimum temperature"), "°C", -50.0, 50.0, 15.0),
    "temperature_max": (N_("Maximum temperature"), "°C", -50.0, 50.0, 25.0),
    "wind": (N_("Wind"), "km/h", 0.0, 200.0, 10.0),
    "humidity": (N_("Humidity"), "%", 0.0, 100.0, 50.0),
    "visibility": (N_("Visibility"), "km", 0.0, 50.0, 10.0),
    "cloud_cover": (N_("Cloud cover"), "%", 0.0, 100.0, 50.0),
}
"""Covariate → label, unit, lowest, highest and default value of the field on screen."""


@dataclass(frozen=True)
class Scenario:
    """Changes of the covariates of a forecast.

    temperature_delta  °C added to every temperature
    strike             True: strike, False: no strike, None: unchanged
    days               ISO dates of the horizon that change; () for all
    entities           entities that change; () for all
    weather            covariate → value; minimum and maximum temperature also set the mean
    tables             weather of many days, which replaces the weather of the days it covers
    """

    temperature_delta: float = 0.0
    strike: bool | None = None
    days: tuple[str, ...] = ()
    entities: tuple[str, ...] = ()
    weather: Mapping[str, float] = field(default_factory=dict)
    tables: tuple[CovariateTable, ...] = ()

    def check(self) -> None:
        """Raise OptionError for an unknown field, a value out of range, or a minimum above the maximum."""
        for name, value in self.weather.items():
            if name not in WEATHER_FIELDS:
                raise OptionError(
                    N_("{name} = {value!r} is not accepted. Accepted: {accepted}."),
                    name="weather",
                    value=name,
                    accepted=", ".join(WEATHER_FIELDS),
                )
            _, _, low, high, _ = WEATHER_FIELDS[name]
            if not low <= value <= high:
                raise OptionError(
                    N_("{name} = {value} is out of range. Accepted: {low} to {high}."),
                    name=name,
                    value=value,
                    low=low,
                    high=high,
                )
        coldest, warmest = (self.weather.get(f"temperature_{end}") for end in ("min", "max"))
        if coldest is not None and warmest is not None and coldest > warmest:
            raise OptionError(
                N_("The minimum temperature {value} °C is above the maximum temperature {accepted} °C."),
                value=coldest,
                accepted=warmest,
            )

    def check_covariates(self, covariate_names: Sequence[str]) -> None:
        """Raise DataError for a change of a covariate that the model does not use.

        `covariate_names` are the names of the covariates of the model.
        """
        changed_names = [
            *self.weather,
            *(("temperature",) if self.temperature_delta else ()),
            *((STRIKE_COLUMN,) if self.strike is not None else ()),
        ]
        for name in changed_names:
            if name not in covariate_names and not (name in TEMPERATURE_COLUMNS and "temperature" in covariate_names):
                raise DataError(
                    N_(
                        "The model does not use {name}. Either too few training days have it, or the model "
                        "was trained without weather."
                    ),
                    name=name,
                )

    def apply(self, covariates: Covariates, first: pd.Timestamp) -> Covariates:
        """Return `covariates` with the changes, from the day `first` on.

        Example:
            >>> days = pd.date_range("2024-01-01", periods=3)
            >>> index = pd.MultiIndex.from_product([["Lyon"], days], names=["entity", "day"])
            >>> weather = Covariates(pd.DataFrame({"temperature": [5.0, 6.0, 7.0]}, index=index))
            >>> Scenario(2.0).apply(weather, days[1]).frame["temperature"].tolist()
            [5.0, 8.0, 9.0]
        """
        index = covariates.frame.index
        days = pd.DatetimeIndex(index.get_level_values("day"))
        is_changed = np.asarray(days >= first)
        if self.days:
            is_changed &= days.isin(pd.DatetimeIndex(list(self.days)))
        if self.entities:
            is_changed &= index.get_level_values("entity").isin(list(self.entities))
        for name, value in self._complete_weather().items():
            if name in covariates.columns:
                covariates = covariates.replace_column(name, covariates.frame[name].mask(is_changed, value))
        for name in (
            column for column in TEMPERATURE_COLUMNS if self.temperature_delta and column in covariates.columns
        ):
            covariates = covariates.replace_column(
                name, covariates.frame[name] + np.where(is_changed, self.temperature_delta, 0.0)
            )
        if self.strike is not None:
            covariates = covariates.replace_column(
                STRIKE_COLUMN, np.where(is_changed, float(self.strike), covariates.frame[STRIKE_COLUMN])
            )
        return covariates

    def _complete_weather(self) -> dict[str, float]:
        temperature_limits = [
            self.weather[f"temperature_{end}"] for end in ("min", "max") if f"temperature_{end}" in self.weather
        ]
        mean = {"temperature": sum(temperature_limits) / 2} if len(temperature_limits) == 2 else {}
        return {**self.weather, **mean}


def what_if(dataset: Dataset, run_id: str, scenario: Scenario, *, workspace: Workspace, actor: Actor) -> pd.DataFrame:
    """Return the forecast of a run, unchanged and under `scenario`.

    Columns: entity, time, step, forecast, low, high, changed, changed_low, changed_high. Raises the errors of
    `load_model`, OptionError for an impossible scenario, DataError for a covariate that the model does not use.
    """
    scenario.check()
    model = load_model(run_id, ForecastModel, workspace)
    scenario.check_covariates(model.covariate_names_)
    source_forecast = load_result(run_id, Forecast, workspace)
    model_spec, covariate_digest = source_forecast.model_spec, source_forecast.covariate_digest
    selected_rows = source_forecast.select(dataset)
    inputs = {"run": run_id, **{name: str(value) for name, value in asdict(scenario).items() if name != "tables"}}
    details: dict[str, float] = {}
    with record_event("what_if", actor, workspace, details, **inputs):
        series = model.select_series(selected_rows)
        until = find_covariate_end(series, model.horizon)
        tables = workspace.covariates.load(covariate_digest) if covariate_digest else []
        calendar: dict[str, Any] = {"calendar": model_spec.calendar, "places": model_spec.places}
        base_covariates = join_covariates(selected_rows, tables, until, **calendar)
        scenario_covariates = (
            join_covariates(selected_rows, [*scenario.tables, *tables], until, **calendar)
            if scenario.tables
            else base_covariates
        )
        outer_quantiles = np.array([min(model_spec.quantiles), max(model_spec.quantiles)])
        low, high = (format_quantile_name(level) for level in outer_quantiles)
        rows, changed_rows = (
            build_forecast_rows(model, series, variant, outer_quantiles)
            for variant in (
                base_covariates,
                scenario.apply(scenario_covariates, series.list_next_periods(1)[0].normalize()),
            )
        )
        details |= add_up_forecast(changed_rows["forecast"], is_averaged=series.is_averaged)
    result = rows[["entity", "time", "step", "forecast"]].assign(low=rows[low], high=rows[high])
    return result.assign(
        changed=changed_rows["forecast"], changed_low=changed_rows[low], changed_high=changed_rows[high]
    )


def add_up_forecast(values: pd.Series, *, is_averaged: bool) -> dict[str, float]:
    """Return the detail of an event with the predicted consumption: the sum, or the mean of values that are averages.

    Without any forecast there is no such detail.

    Example:
        >>> add_up_forecast(pd.Series([2.0, 4.0, float("nan")]), is_averaged=False)
        {'predicted_consumption': 6.0}
    """
    known = values.dropna()
    return {"predicted_consumption": float(known.mean() if is_averaged else known.sum())} if len(known) else {}


def build_forecast_rows(model: ForecastModel, series: Panel, covariates: Covariates, quantiles: Floats) -> pd.DataFrame:
    """Return the forecast of the days after the last day of the series.

    Columns: entity, time, step, forecast, one per quantile, naive1, naive7, assumed.
    """
    recent = select_recent(series)
    covariate_panel = model.build_covariate_panel(recent, covariates)
    forecast, bands = model.forecast_days(recent, covariate_panel, model.horizon, quantiles)
    naive = compute_naive_forecasts(recent.extend(model.horizon), len(recent), model.horizon)
    step_indices = np.arange(model.horizon)
    values = {"forecast": forecast}
    values |= {format_quantile_name(level): bands[..., place] for place, level in enumerate(quantiles)}
    values |= {naive_name: array[step_indices, step_indices] for naive_name, array in naive.items()}
    assumed = covariate_panel.assumed[len(recent) : len(recent) + model.horizon]
    per_day = {"step": (step_indices + 1.0)[:, None], "assumed": assumed.astype(float)}
    values |= {name: np.broadcast_to(array[:, :, None], forecast.shape) for name, array in per_day.items()}
    rows = to_frame(series.list_next_periods(model.horizon), series, values)
    return rows.astype({"step": "int16", "assumed": bool})


def select_recent(series: Panel) -> Panel:
    """Return the periods that a forecast needs: 450 days, and at least as many periods.

    Steps shorter than a day have at most 20,000.
    """
    return series.tail(min(max(int(HISTORY_DAYS * DAY // series.step), HISTORY_DAYS), MAX_HISTORY_PERIODS))


def find_covariate_end(series: Panel, horizon: int) -> pd.Timestamp:
    """Return the last day of covariates that a forecast of `horizon` periods needs: the end of the period after it."""
    return series.list_next_periods(horizon + 2)[-1]


def compute_response_curve(model: ForecastModel, series: Panel, covariates: Covariates) -> pd.DataFrame:
    """Return the amount of the whole horizon over all entities, by temperature shift, with and without a strike.

    Columns: strike, shift (°C), amount.
    """
    recent, first = select_recent(series), series.list_next_periods(1)[0].normalize()
    shifts = TEMPERATURE_SHIFTS_C if "temperature" in model.covariate_names_ else (0.0,)
    strikes = (False, True) if STRIKE_COLUMN in model.covariate_names_ else (None,)
    rows = []
    for strike in strikes:
        for shift in shifts if len(shifts) > 1 or len(strikes) > 1 else ():
            changed_covariates = Scenario(temperature_delta=shift, strike=strike).apply(covariates, first)
            changed_panel = model.build_covariate_panel(recent, changed_covariates)
            amounts = model.forecast_amounts(recent, changed_panel, model.horizon)
            rows.append(
                {
                    "strike": np.nan if strike is None else float(strike),
                    "shift": shift,
                    "amount": float(np.nansum(amounts)),
                }
            )
    return pd.DataFrame(rows, columns=["strike", "shift", "amount"])


def estimate_strike_effects(series: Panel, covariates: Covariates) -> pd.DataFrame:
    """Return the effect of strikes by three methods: raw, on similar days, and on similar days without the weather.

    Empty without a covariate `strike` or with too few strike days.
    """
    columns = ["method", "change", "low", "high", "days", "episodes"]
    if STRIKE_COLUMN not in covariates.columns:
        return pd.DataFrame(columns=columns)
    values = read_periods(covariates, series, series.periods)
    flags = values[:, :, covariates.columns.index(STRIKE_COLUMN)]
    amounts, is_strike = _to_series(series, series.amounts), _to_series(series, np.nan_to_num(flags)) > 0
    if is_strike.groupby("day").any().sum() < MIN_EVENT_DAYS:
        return pd.DataFrame(columns=columns)
    effects = [compute_raw_effect(amounts, is_strike), compute_matched_effect(amounts, is_strike)]
    covariate_panel = CovariatePanel.from_covariates(series, covariates, select_covariates(series, covariates).names)
    if covariate_panel.has_temperature:
        expected = _to_series(series, predict_from_weather(series, covariate_panel, STRIKE_COLUMN))
        effects.append(
            compute_matched_effect(amounts / expected.where(expected > 0), is_strike, "matched, weather removed")
        )
    return pd.DataFrame([asdict(effect) for effect in effects], columns=columns)


def _to_series(series: Panel, values: Floats) -> pd.Series:
    """Return values (days, entities) as a Series with the index (entity, day)."""
    index = pd.MultiIndex.from_product([series.entities, series.periods], names=["entity", "day"])
    return pd.Series(values.T.ravel(), index=index)
