"""Covariates as known at a forecast origin, on the calendar of a panel."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.array_types import Floats
from core.data.covariates import Covariates
from core.data.covariates.column_names import is_flag
from core.data.panel import Panel
from core.errors import DataError
from core.forecasters.panels.covariate_periods import read_periods
from core.messages import N_, Message

WeatherMode = Literal["original", "degraded", "none"]

FLAG_COLUMNS = ("strike", "strike_rate", "holiday", "school_break", "event")  # a missing flag is 0
WEATHER_COLUMNS = ("temperature", "temperature_min", "temperature_max", "wind", "humidity", "visibility", "cloud_cover")
TEMPERATURE_COLUMNS = ("temperature", "temperature_min", "temperature_max")  # share one forecast error

LEAD_ERRORS_C = (
    1.1,
    1.3,
    1.5,
    1.8,
    2.1,
    2.4,
    2.7,
    3.0,
    3.2,
    3.4,
)  # °C, standard deviation 1, 2 … 10 and more days ahead
LEAD_AUTOCORRELATION = 0.8  # autocorrelation of the forecast error from one day ahead to the next
SHARED_VARIANCE_SHARE = 0.7  # share of the variance of the forecast error common to all places
MIN_KNOWN_SHARE = 0.5  # of the periods of a short history, that need a value for a covariate to be used
MAX_MIN_KNOWN, MIN_MIN_KNOWN = 60, 10  # periods with a value that are enough in any history, and needed in any
MIN_EVENT_PERIODS = 3  # with an event, for its effect to be learnt
MAX_GAP_DAYS = 14  # days; longer gaps get the usual value of the date


@dataclass(frozen=True)
class CovariatePanel:
    """Covariates without gaps, on the calendar of a panel and one day more.

    days               the days of the panel and the day after
    columns            name → values (days + 1, entities)
    assumed            (days + 1, entities), True where a missing value was replaced by the usual value of the date
    temperature_error  °C, (origin days, days ahead, entities): errors of a temperature forecast; None for a perfect
                       forecast

    Example:
        >>> days = pd.date_range("2024-01-01", periods=4)
        >>> temperature = np.arange(1.0, 5.0)[:, None]
        >>> covariates = CovariatePanel(days, {"temperature": temperature}, np.zeros((4, 1), dtype=bool))
        >>> covariates.get_known_values("temperature", 1, 1).ravel().tolist()
        [nan, 1.0, 2.0]
    """

    days: pd.DatetimeIndex
    columns: dict[str, Floats]
    assumed: NDArray[np.bool_]
    temperature_error: Floats | None = None

    @classmethod
    def from_covariates(
        cls,
        panel: Panel,
        covariates: Covariates,
        columns: Sequence[str],
        weather: WeatherMode = "original",
        horizon: int = 28,
    ) -> "CovariatePanel":
        """Build the table from `columns` of `covariates`; fill gaps.

        `weather` "degraded" adds the error of a usual weather forecast (seed 0) to the temperatures. Raises DataError
        for a column without any value; a flag without a value is 0.
        """
        days = panel.periods.append(panel.list_next_periods(1))
        values = read_periods(covariates, panel, days)
        values_by_name: dict[str, Floats] = {}
        assumed = np.zeros(values.shape[:2], dtype=bool)
        for name in columns:
            column_values = (
                values[:, :, covariates.columns.index(name)]
                if name in covariates.columns
                else np.full(values.shape[:2], np.nan)
            )
            if not _is_flag(name) and np.isnan(column_values).all():
                raise DataError(
                    N_(
                        "The model needs the covariate {column!r}. No file has values of it for "
                        "these entities and days."
                    ),
                    column=name,
                )
            values_by_name[name], is_assumed = _fill_gaps(column_values, days, is_flag=_is_flag(name))
            assumed |= is_assumed
        error = _draw_forecast_errors(values.shape[:2], horizon) if weather == "degraded" else None
        return cls(days, values_by_name, assumed, error)

    @property
    def numeric_names(self) -> list[str]:
        """Names of the covariates that are neither flags nor temperatures."""
        return [name for name in self.columns if not _is_flag(name) and name not in TEMPERATURE_COLUMNS]

    @property
    def flag_names(self) -> list[str]:
        """Names of the flags: all events of a kind first, then those of one name ("event: Super Bowl")."""
        kinds = [name for name in FLAG_COLUMNS if name in self.columns]
        return [*kinds, *(name for name in self.columns if _is_flag(name) and name not in kinds)]

    @property
    def has_temperature(self) -> bool:
        """True if the temperature is known."""
        return "temperature" in self.columns

    def get_known_values(self, name: str, days_back: int, step: int) -> Floats:
        """Return the covariate `days_back` days before every day of the panel (-1: the day after), (days, entities).

        The values are those known `step` days before the day; NaN before the first day of the panel.
        """
        values = shift_days(self.columns[name], days_back)[: len(self.days) - 1]
        lead = step - days_back
        if self.temperature_error is None or name not in TEMPERATURE_COLUMNS or lead <= 0:
            return values
        lead_index = min(lead, self.temperature_error.shape[1]) - 1
        return values + shift_days(self.temperature_error[:, lead_index], step)[: len(values)]

    def compute_weighted_mean(self, name: str, last_day_weight: float, days_back: int, step: int) -> Floats:
        """Return the exponentially weighted mean of the covariate, (days, entities).

        It covers the 14 days that end `days_back` days before every day. The last of them has the weight
        `last_day_weight`.
        """
        weights = last_day_weight * (1 - last_day_weight) ** np.arange(14)
        weights /= weights.sum()
        return np.sum(
            [weight * self.get_known_values(name, days_back + k, step) for k, weight in enumerate(weights)], axis=0
        )


@dataclass(frozen=True)
class CovariateSelection:
    """Names of the covariates that a model uses, and the reason for each of the others."""

    names: list[str]
    left_out: dict[str, Message]


def select_covariates(panel: Panel, covariates: Covariates, weather: WeatherMode = "original") -> CovariateSelection:
    """Return the covariates that `panel` can teach an effect of, with a reason for each of the others.

    A number needs values on 60 periods, or half of the periods of a shorter history, and must change. A flag needs
    `MIN_EVENT_PERIODS` periods with the event. Weather columns are left out without a reason if `weather` is "none".

    Example:
        >>> days = pd.date_range("2024-01-01", periods=40)
        >>> panel = Panel(days, ("Lyon",), ("day",), np.ones((40, 1, 1)))
        >>> index = pd.MultiIndex.from_product([["Lyon"], days], names=["entity", "day"])
        >>> frame = pd.DataFrame({"wind": np.arange(40.0), "price": 5.0, "holiday": 0.0}, index=index)
        >>> selection = select_covariates(panel, Covariates(frame))
        >>> selection.names, [str(reason) for reason in selection.left_out.values()]
        (['wind'], ['price is not used: all its values are 5.', 'holiday is not used: the data have no day with it.'])
    """
    values = read_periods(covariates, panel, panel.periods)
    names: list[str] = []
    left_out: dict[str, Message] = {}
    for index, name in enumerate(covariates.columns):
        if weather == "none" and name in WEATHER_COLUMNS:
            continue
        reason = (
            _find_flag_fault(name, values[:, :, index]) if _is_flag(name) else _find_fault(name, values[:, :, index])
        )
        if reason is None:
            names.append(name)
        else:
            left_out[name] = reason
    return CovariateSelection(names, left_out)


def _is_flag(name: str) -> bool:
    """Tell whether a covariate is 0 where nothing is known."""
    return is_flag(name) or name in FLAG_COLUMNS


def _find_flag_fault(name: str, values: Floats) -> Message | None:
    """Return why the effect of a flag (periods, entities) cannot be learnt, or None."""
    count = int((values > 0).any(axis=1).sum())
    if not count:
        return Message(N_("{covariate} is not used: the data have no day with it."), {"covariate": name})
    if count < MIN_EVENT_PERIODS:
        template = N_("{covariate} is not used: {count} days have it, and {accepted} are needed to learn its effect.")
        return Message(template, {"covariate": name, "count": count, "accepted": MIN_EVENT_PERIODS})
    if (values > 0).all():
        return Message(N_("{covariate} is not used: every day has it."), {"covariate": name})
    return None


def _find_fault(name: str, values: Floats) -> Message | None:
    """Return why a covariate (periods, entities) cannot be used, or None."""
    known_count = int(np.isfinite(values).any(axis=1).sum())
    accepted = max(MIN_MIN_KNOWN, min(MAX_MIN_KNOWN, int(MIN_KNOWN_SHARE * len(values))))
    if not known_count:
        template = N_("{covariate} is not used: it has no value for these entities and days.")
        return Message(template, {"covariate": name})
    if known_count < accepted:
        template = N_("{covariate} is not used: it has values on {count} of {total} days, and {accepted} are needed.")
        values_by_name = {"covariate": name, "count": known_count, "total": len(values), "accepted": accepted}
        return Message(template, values_by_name)
    if np.nanmin(values) == np.nanmax(values):
        template = N_("{covariate} is not used: all its values are {value}.")
        return Message(template, {"covariate": name, "value": float(np.nanmin(values))})
    return None


def shift_days(values: Floats, days_back: int) -> Floats:
    """Return the value `days_back` days before every day, shape unchanged.

    NaN before the first day; after the last day the last value is repeated.

    Example:
        >>> shift_days(np.arange(1.0, 4.0), 1).tolist(), shift_days(np.arange(1.0, 4.0), -1).tolist()
        ([nan, 1.0, 2.0], [2.0, 3.0, 3.0])
    """
    if days_back == 0:
        return values
    if days_back < 0:
        return np.concatenate([values[-days_back:], np.repeat(values[-1:], -days_back, axis=0)])
    return np.concatenate([np.full((min(days_back, len(values)), *values.shape[1:]), np.nan), values[:-days_back]])


def _fill_gaps(values: Floats, days: pd.DatetimeIndex, is_flag: bool) -> tuple[Floats, NDArray[np.bool_]]:
    """Return the values without gaps, and a mask of the values that are assumed.

    Gaps of up to 14 days are interpolated. Other missing values are 0 for a flag, the usual value of the date
    otherwise.
    """
    table = pd.DataFrame(values)
    if is_flag:
        return table.fillna(0.0).to_numpy(), np.zeros(values.shape, dtype=bool)
    table = table.interpolate(limit=MAX_GAP_DAYS, limit_area="inside")
    missing = table.isna().to_numpy()
    if missing.any():
        daily_mean = table.groupby(np.minimum(days.dayofyear, 365)).mean().reindex(range(1, 366))
        three_years = pd.concat([daily_mean] * 3).interpolate(limit_direction="both")
        smooth_year = three_years.rolling(15, center=True, min_periods=1).mean().iloc[365:730]
        usual_values = smooth_year.to_numpy()[np.minimum(days.dayofyear, 365) - 1]
        table = table.fillna(pd.DataFrame(usual_values)).fillna(table.mean()).fillna(float(np.nanmean(values)))
    return table.to_numpy(), missing


def _draw_forecast_errors(shape: tuple[int, int], horizon: int) -> Floats:
    """Return errors of a temperature forecast in °C, (origin days, days ahead, entities).

    They grow with the number of days ahead. They are correlated from one day ahead to the next, and between places.
    """
    days, entities = shape
    generator = np.random.default_rng(0)
    shocks = np.sqrt(SHARED_VARIANCE_SHARE) * generator.standard_normal((days, horizon + 1, 1))
    shocks = shocks + np.sqrt(1 - SHARED_VARIANCE_SHARE) * generator.standard_normal((days, horizon + 1, entities))
    drift = np.empty_like(shocks)
    drift[:, 0] = shocks[:, 0]
    for lead in range(1, horizon + 1):
        drift[:, lead] = (
            LEAD_AUTOCORRELATION * drift[:, lead - 1] + np.sqrt(1 - LEAD_AUTOCORRELATION**2) * shocks[:, lead]
        )
    deviation = np.array([LEAD_ERRORS_C[min(lead, len(LEAD_ERRORS_C) - 1)] for lead in range(horizon + 1)])
    return drift * deviation[None, :, None]
