"""Scenarios (what if): other weather or a strike, the response to both, and the effect of strikes."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.actor import Actor
from core.data.covariates import CovariateTable, Drivers, joined
from core.data.dataset import DAY, Dataset
from core.data.panel import Panel
from core.errors import DataError, OptionError
from core.evaluation.effects import LEAST_DAYS, matched_effect, raw_effect
from core.forecasters.backtest import naive_forecasts
from core.forecasters.forecast_model import ForecastModel
from core.forecasters.known import ERRING, Known, usable_columns
from core.forecasters.scoring import quantile_name
from core.forecasters.tables import table_of
from core.forecasters.thermal import weather_and_calendar
from core.messages import N_
from core.runs.model_files import load_model
from core.runs.stored_runs import load_result
from core.runs.tracked_run import recorded
from core.tasks.forecast.result import Forecast
from core.workspace import Workspace

Floats = NDArray[np.float64]

MEMORY = 450  # days of history that a forecast needs: a year of level, the longest lag, the longest horizon
SHIFTS = (-6.0, -4.0, -2.0, 0.0, 2.0, 4.0, 6.0)  # °C
STRIKE = "strike"

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

    warmer: float = 0.0
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
                    N_("{name} = {value!r} is not accepted; choose {accepted}."),
                    name="weather",
                    value=name,
                    accepted=", ".join(WEATHER_FIELDS),
                )
            _, _, low, high, _ = WEATHER_FIELDS[name]
            if not low <= value <= high:
                raise OptionError(
                    N_("{name} = {value} is outside {low} to {high}."), name=name, value=value, low=low, high=high
                )
        coldest, warmest = (self.weather.get(f"temperature_{end}") for end in ("min", "max"))
        if coldest is not None and warmest is not None and coldest > warmest:
            raise OptionError(
                N_("The minimum temperature {value} lies above the maximum {accepted}."),
                value=coldest,
                accepted=warmest,
            )

    def check_learnt(self, learnt: Sequence[str]) -> None:
        """Raise DataError for a change of a covariate that the model does not use.

        `learnt` are the names of the covariates of the model.
        """
        asked = [
            *self.weather,
            *(("temperature",) if self.warmer else ()),
            *((STRIKE,) if self.strike is not None else ()),
        ]
        for name in asked:
            if name not in learnt and not (name in ERRING and "temperature" in learnt):
                raise DataError(
                    N_(
                        "The model has not learnt {name}: no file gave it on enough days, or the question "
                        "left the weather out."
                    ),
                    name=name,
                )

    def applied(self, drivers: Drivers, first: pd.Timestamp) -> Drivers:
        """Return `covariates` with the changes, from the day `first` on.

        Example:
            >>> days = pd.date_range("2024-01-01", periods=3)
            >>> index = pd.MultiIndex.from_product([["Lyon"], days], names=["entity", "day"])
            >>> weather = Drivers(pd.DataFrame({"temperature": [5.0, 6.0, 7.0]}, index=index))
            >>> Scenario(2.0).applied(weather, days[1]).frame["temperature"].tolist()
            [5.0, 8.0, 9.0]
        """
        index = drivers.frame.index
        days = pd.DatetimeIndex(index.get_level_values("day"))
        chosen = np.asarray(days >= first)
        if self.days:
            chosen &= days.isin(pd.DatetimeIndex(list(self.days)))
        if self.entities:
            chosen &= index.get_level_values("entity").isin(list(self.entities))
        for name, value in self._values().items():
            if name in drivers.columns:
                drivers = drivers.changed(name, drivers.frame[name].mask(chosen, value))
        for name in (each for each in ERRING if self.warmer and each in drivers.columns):
            drivers = drivers.changed(name, drivers.frame[name] + np.where(chosen, self.warmer, 0.0))
        if self.strike is not None:
            drivers = drivers.changed(STRIKE, np.where(chosen, float(self.strike), drivers.frame[STRIKE]))
        return drivers

    def _values(self) -> dict[str, float]:
        ends = [self.weather[f"temperature_{end}"] for end in ("min", "max") if f"temperature_{end}" in self.weather]
        mean = {"temperature": sum(ends) / 2} if len(ends) == 2 else {}
        return {**self.weather, **mean}


def what_if(dataset: Dataset, run_id: str, scenario: Scenario, *, workspace: Workspace, actor: Actor) -> pd.DataFrame:
    """Return the forecast of a run, unchanged and under `scenario`.

    Columns: entity, time, step, forecast, low, high, changed, changed_low, changed_high. Raises the errors of
    `load_model`, OptionError for an impossible scenario, DataError for a covariate that the model does not use.
    """
    scenario.check()
    model = load_model(run_id, ForecastModel, workspace)
    scenario.check_learnt(model.columns_)
    answer = load_result(run_id, Forecast, workspace)
    asked, covariates = answer.model_spec, answer.covariate_digest
    part = answer.select(dataset)
    inputs = {"run": run_id, **{name: str(value) for name, value in asdict(scenario).items() if name != "tables"}}
    with recorded("what_if", actor, workspace, **inputs):
        series = model.series(part)
        until = series.days[-1] + DAY * (model.horizon + 1)
        tables = workspace.drivers.load(covariates) if covariates else []
        given = joined(part, tables, until=until)
        changed = joined(part, [*scenario.tables, *tables], until=until) if scenario.tables else given
        ends = np.array([min(asked.quantiles), max(asked.quantiles)])
        low, high = (quantile_name(level) for level in ends)
        rows, other = (
            forecast_rows(model, series, drivers, ends)
            for drivers in (given, scenario.applied(changed, series.days[-1] + DAY))
        )
    both = rows[["entity", "time", "step", "forecast"]].assign(low=rows[low], high=rows[high])
    return both.assign(changed=other["forecast"], changed_low=other[low], changed_high=other[high])


def forecast_rows(model: ForecastModel, series: Panel, drivers: Drivers, quantiles: Floats) -> pd.DataFrame:
    """Return the forecast of the days after the last day of the series.

    Columns: entity, time, step, forecast, one per quantile, naive1, naive7, assumed.
    """
    recent = series.last(MEMORY)
    known = model.known(recent, drivers)
    forecast, bands = model.ahead(recent, known, model.horizon, quantiles)
    days = pd.date_range(series.days[-1] + DAY, periods=model.horizon, freq="D")
    naive = naive_forecasts(recent.extended(model.horizon), len(recent), model.horizon)
    ahead = np.arange(model.horizon)
    values = {"forecast": forecast}
    values |= {quantile_name(level): bands[..., place] for place, level in enumerate(quantiles)}
    values |= {which: each[ahead, ahead] for which, each in naive.items()}
    assumed = known.assumed[len(recent) : len(recent) + model.horizon]
    per_day = {"step": (ahead + 1.0)[:, None], "assumed": assumed.astype(float)}
    values |= {name: np.broadcast_to(each[:, :, None], forecast.shape) for name, each in per_day.items()}
    rows = table_of(days, series, values)
    return rows.astype({"step": "int8", "assumed": bool})


def response_curve(model: ForecastModel, series: Panel, drivers: Drivers) -> pd.DataFrame:
    """Return the amount of the whole horizon over all entities, by temperature shift, with and without a strike.

    Columns: strike, shift (°C), amount.
    """
    recent, first = series.last(MEMORY), series.days[-1] + DAY
    shifts = SHIFTS if "temperature" in model.columns_ else (0.0,)
    strikes = (False, True) if STRIKE in model.columns_ else (None,)
    rows = []
    for strike in strikes:
        for shift in shifts if len(shifts) > 1 or len(strikes) > 1 else ():
            other = Scenario(warmer=shift, strike=strike).applied(drivers, first)
            amounts, _ = model.ahead(recent, model.known(recent, other), model.horizon, np.array([0.5]))
            rows.append(
                {
                    "strike": np.nan if strike is None else float(strike),
                    "shift": shift,
                    "amount": float(np.nansum(amounts)),
                }
            )
    return pd.DataFrame(rows, columns=["strike", "shift", "amount"])


def strike_effects(series: Panel, drivers: Drivers) -> pd.DataFrame:
    """Return the effect of strikes by three methods: raw, on similar days, and on similar days without the weather.

    Empty without a covariate `strike` or with too few strike days.
    """
    columns = ["method", "change", "low", "high", "days", "episodes"]
    if STRIKE not in drivers.columns:
        return pd.DataFrame(columns=columns)
    flags = drivers.array(series.entities, series.days)[:, :, drivers.columns.index(STRIKE)]
    amounts, event = _stacked(series, series.amounts), _stacked(series, np.nan_to_num(flags)) > 0
    if event.groupby("day").any().sum() < LEAST_DAYS:
        return pd.DataFrame(columns=columns)
    found = [raw_effect(amounts, event), matched_effect(amounts, event)]
    known = Known.of(series, drivers, usable_columns(series, drivers))
    if known.warm:
        expected = _stacked(series, weather_and_calendar(series, known, STRIKE))
        found.append(matched_effect(amounts / expected.where(expected > 0), event, N_("matched, weather taken out")))
    return pd.DataFrame([asdict(effect) for effect in found], columns=columns)


def _stacked(series: Panel, values: Floats) -> pd.Series:
    """Return values (days, entities) as a Series with the index (entity, day)."""
    index = pd.MultiIndex.from_product([series.entities, series.days], names=["entity", "day"])
    return pd.Series(values.T.ravel(), index=index)
