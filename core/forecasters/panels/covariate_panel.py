"""Covariates as known at a forecast origin, on the calendar of a panel."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.array_types import Floats
from core.data.covariates import Covariates
from core.data.covariates.column_names import is_flag
from core.data.dataset import DAY
from core.data.panel import Panel
from core.errors import DataError
from core.forecasters.panels.covariate_periods import list_days, list_timed_columns, read_periods, select_slots
from core.forecasters.panels.weather_errors import count_leads, draw_forecast_errors
from core.messages import N_, Message

WeatherMode = Literal["original", "degraded", "none"]

FLAG_COLUMNS = ("strike", "strike_rate", "holiday", "school_break", "event")  # a missing flag is 0
WEATHER_COLUMNS = ("temperature", "temperature_min", "temperature_max", "wind", "humidity", "visibility", "cloud_cover")
TEMPERATURE_COLUMNS = ("temperature", "temperature_min", "temperature_max")  # share one forecast error

MIN_KNOWN_SHARE = 0.5  # of the periods of a short history, that need a value for a covariate to be used
MAX_MIN_KNOWN, MIN_MIN_KNOWN = 60, 10  # periods with a value that are enough in any history, and needed in any
MIN_EVENT_PERIODS = 3  # with an event, for its effect to be learnt
MAX_GAP_DAYS = 14  # days; longer gaps get the usual value of the date
MEMORY_DAYS = 14  # days of a weighted mean


@dataclass(frozen=True)
class CovariatePanel:
    """Covariates without gaps, on the periods of a panel and one more.

    periods            the periods of the panel and the one after
    columns            name → values (periods + 1, entities)
    assumed            (periods + 1, entities), True where a missing value was replaced by the usual value of the date
    temperature_error  °C, (origin periods, leads, entities): errors of a temperature forecast, see `count_leads`; None
                       for a perfect forecast
    at_times           name → values at the times of the day, (periods + 1, entities, slots), of those that count
                       at these times; one slot for steps shorter than a day
    step               time between two periods

    Example:
        >>> days = pd.date_range("2024-01-01", periods=4)
        >>> temperature = np.arange(1.0, 5.0)[:, None]
        >>> covariates = CovariatePanel(days, {"temperature": temperature}, np.zeros((4, 1), dtype=bool))
        >>> covariates.get_known_values("temperature", 1, 1).ravel().tolist()
        [nan, 1.0, 2.0]
    """

    periods: pd.DatetimeIndex
    columns: dict[str, Floats]
    assumed: NDArray[np.bool_]
    temperature_error: Floats | None = None
    at_times: dict[str, Floats] = field(default_factory=dict)
    step: pd.Timedelta = DAY

    @classmethod
    def from_covariates(
        cls,
        panel: Panel,
        covariates: Covariates,
        columns: Sequence[str],
        weather: WeatherMode = "original",
        horizon: int = 28,
        timed: Sequence[str] = (),
    ) -> "CovariatePanel":
        """Build the table from `columns` of `covariates`; fill gaps.

        `weather` "degraded" adds the error of a usual weather forecast (seed 0) to the temperatures. The columns
        `timed` count at the times of the day, too. Raises DataError for a column without any value; a flag without a
        value is 0.
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
            values_by_name[name], is_assumed = _fill_gaps(column_values, days, panel.step, is_flag=_is_flag(name))
            assumed |= is_assumed
        at_times = {}
        for name in timed:
            deviations, is_assumed = _read_deviations(panel, covariates, days, name)
            at_times[name] = values_by_name[name][:, :, None] + deviations
            assumed |= is_assumed
        error = draw_forecast_errors(days, panel.step, len(panel.entities), horizon) if weather == "degraded" else None
        return cls(days, values_by_name, assumed, error, at_times, panel.step)

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

    def get_known_values(self, name: str, periods_back: int, step: int) -> Floats:
        """Return the covariate `periods_back` periods before every one of the panel (-1: after), (periods, entities).

        The values are those known `step` periods before the period; NaN before the first period of the panel.
        """
        values = shift_periods(self.columns[name], periods_back)[: len(self.periods) - 1]
        if self.temperature_error is None or name not in TEMPERATURE_COLUMNS or step <= periods_back:
            return values
        lead = min(count_leads(step - periods_back, self.step), self.temperature_error.shape[1])
        return values + shift_periods(self.temperature_error[:, lead - 1], step)[: len(values)]

    def get_times(self, name: str, periods_back: int) -> Floats:
        """Return a covariate at the times of the day, some periods before every one, (periods, entities, slots)."""
        return shift_periods(self.at_times[name], periods_back)[: len(self.periods) - 1]

    def drop_times(self) -> "CovariatePanel":
        """Return the covariates with their values of days only."""
        return replace(self, at_times={})

    def compute_weighted_mean(self, name: str, last_day_weight: float, periods_back: int, step: int) -> Floats:
        """Return the exponentially weighted mean of the covariate, (periods, entities).

        It covers the 14 days that end `periods_back` periods before every period, or the last period if that is longer.
        The last day has the weight `last_day_weight`.
        """
        count = max(int(MEMORY_DAYS * DAY // max(self.step, DAY)), 1)
        weights = last_day_weight * (1 - last_day_weight) ** np.arange(count)
        weights /= weights.sum()
        day = max(int(DAY // self.step), 1)
        return np.sum(
            [weight * self.get_known_values(name, periods_back + day * k, step) for k, weight in enumerate(weights)],
            axis=0,
        )


@dataclass(frozen=True)
class CovariateSelection:
    """Names of the covariates that a model can use, and the reason for each of the others.

    timed  names of those that are known at the times of the day
    """

    names: list[str]
    left_out: dict[str, Message]
    timed: list[str] = field(default_factory=list)


def select_covariates(panel: Panel, covariates: Covariates, weather: WeatherMode = "original") -> CovariateSelection:
    """Return the covariates that `panel` can teach an effect of, with a reason for each of the others.

    A number needs values on 60 days, or half of the days of a shorter history, and must change. A flag needs
    `MIN_EVENT_PERIODS` days with the event. Periods longer than a day count like days. Weather columns are left out
    without a reason if `weather` is "none". With "degraded" weather they count by day, because the error of a forecast
    is known for days only.

    Example:
        >>> days = pd.date_range("2024-01-01", periods=40)
        >>> panel = Panel(days, ("Lyon",), ("day",), np.ones((40, 1, 1)))
        >>> index = pd.MultiIndex.from_product([["Lyon"], days], names=["entity", "day"])
        >>> frame = pd.DataFrame({"wind": np.arange(40.0), "price": 5.0, "holiday": 0.0}, index=index)
        >>> selection = select_covariates(panel, Covariates(frame))
        >>> selection.names, [str(reason) for reason in selection.left_out.values()]
        (['wind'], ['price is not used: all its values are 5.', 'holiday is not used: the data do not have it.'])
    """
    if panel.step < DAY:
        values = covariates.to_array(panel.entities, list_days(panel.periods))
    else:
        values = read_periods(covariates, panel, panel.periods)
    unit = Message(N_("days") if panel.step <= DAY else N_("periods"))
    names: list[str] = []
    left_out: dict[str, Message] = {}
    for index, name in enumerate(covariates.columns):
        if weather == "none" and name in WEATHER_COLUMNS:
            continue
        find_fault = _find_flag_fault if _is_flag(name) else _find_number_fault
        reason = find_fault(name, values[:, :, index], unit)
        if reason is None:
            names.append(name)
        else:
            left_out[name] = reason
    return CovariateSelection(names, left_out, _select_timed(panel, covariates, names, weather))


def _select_timed(panel: Panel, covariates: Covariates, names: Sequence[str], weather: WeatherMode) -> list[str]:
    """Return those of `names` that are known at the times of the day on as many days as a number needs."""
    days = list_days(panel.periods)
    timed = []
    for name in list_timed_columns(covariates, panel):
        if name in names and not (weather == "degraded" and name in WEATHER_COLUMNS):
            is_known = np.isfinite(covariates.read_deviations(name, panel.entities, days))
            if is_known.any(axis=(1, 2)).sum() >= _count_min_known(len(days)):
                timed.append(name)
    return timed


def _is_flag(name: str) -> bool:
    """Tell whether a covariate is 0 where nothing is known."""
    return is_flag(name) or name in FLAG_COLUMNS


def _find_flag_fault(name: str, values: Floats, unit: Message) -> Message | None:
    """Return why the effect of a flag (days, entities) cannot be learnt, or None."""
    count = int((values > 0).any(axis=1).sum())
    if not count:
        return Message(N_("{covariate} is not used: the data do not have it."), {"covariate": name})
    if count < MIN_EVENT_PERIODS:
        template = N_(
            "{covariate} is not used: {accepted} {unit} with it are needed to learn its effect, and the data have "
            "{count}."
        )
        return Message(template, {"covariate": name, "count": count, "unit": unit, "accepted": MIN_EVENT_PERIODS})
    if (values > 0).all():
        return Message(N_("{covariate} is not used: the data always have it."), {"covariate": name})
    return None


def _find_number_fault(name: str, values: Floats, unit: Message) -> Message | None:
    """Return why a covariate (days, entities) cannot be used, or None."""
    known_count = int(np.isfinite(values).any(axis=1).sum())
    accepted = _count_min_known(len(values))
    if not known_count:
        template = N_("{covariate} is not used: it has no value for these entities and days.")
        return Message(template, {"covariate": name})
    if known_count < accepted:
        template = N_("{covariate} is not used: it has values in {count} of {total} {unit}, and {accepted} are needed.")
        numbers = {"count": known_count, "total": len(values), "accepted": accepted}
        return Message(template, {"covariate": name, "unit": unit, **numbers})
    if np.nanmin(values) == np.nanmax(values):
        template = N_("{covariate} is not used: all its values are {value}.")
        return Message(template, {"covariate": name, "value": float(np.nanmin(values))})
    return None


def _count_min_known(count: int) -> int:
    """Return how many of `count` periods need a value of a covariate."""
    return max(MIN_MIN_KNOWN, min(MAX_MIN_KNOWN, int(MIN_KNOWN_SHARE * count)))


def _read_deviations(
    panel: Panel, covariates: Covariates, periods: pd.DatetimeIndex, name: str
) -> tuple[Floats, NDArray[np.bool_]]:
    """Return a covariate at the times of the day, less the value of the day, without gaps (periods, entities, slots).

    The mask (periods, entities) tells where it is that of other days. Raises DataError where no time is known.
    """
    days = list_days(periods)
    is_timed = name in list_timed_columns(covariates, panel)
    deviations = covariates.read_deviations(name, panel.entities, days) if is_timed else np.array(np.nan)
    if np.isnan(deviations).all():
        raise DataError(
            N_(
                "The model needs the covariate {column!r} at the times of the day. The files have it by day only, or "
                "not for these entities and days."
            ),
            column=name,
        )
    is_assumed = np.isnan(deviations)
    has_values = ~is_assumed.all(axis=(0, 2))
    for entity in np.flatnonzero(has_values):
        deviations[:, entity], is_assumed[:, entity] = _fill_gaps(deviations[:, entity], days, DAY, is_flag=False)
    deviations[:, ~has_values] = deviations[:, has_values].mean(axis=1, keepdims=True)
    is_assumed_period = select_slots(is_assumed.astype(float), panel, periods).any(axis=2)
    return select_slots(deviations, panel, periods), np.asarray(is_assumed_period)


def shift_periods(values: Floats, periods_back: int) -> Floats:
    """Return the value `periods_back` periods before every period, shape unchanged.

    NaN before the first period; after the last one, the last value is repeated.

    Example:
        >>> shift_periods(np.arange(1.0, 4.0), 1).tolist(), shift_periods(np.arange(1.0, 4.0), -1).tolist()
        ([nan, 1.0, 2.0], [2.0, 3.0, 3.0])
    """
    if periods_back == 0:
        return values
    if periods_back < 0:
        return np.concatenate([values[-periods_back:], np.repeat(values[-1:], -periods_back, axis=0)])
    return np.concatenate(
        [np.full((min(periods_back, len(values)), *values.shape[1:]), np.nan), values[:-periods_back]]
    )


def _fill_gaps(
    values: Floats, days: pd.DatetimeIndex, step: pd.Timedelta, is_flag: bool
) -> tuple[Floats, NDArray[np.bool_]]:
    """Return the values without gaps, and a mask of the values that are assumed.

    Gaps of up to 14 days are interpolated. Other missing values are 0 for a flag, the usual value of the date
    otherwise.
    """
    table = pd.DataFrame(values)
    if is_flag:
        return table.fillna(0.0).to_numpy(), np.zeros(values.shape, dtype=bool)
    table = table.interpolate(limit=max(int(MAX_GAP_DAYS * DAY // step), 1), limit_area="inside")
    missing = table.isna().to_numpy()
    if missing.any():
        daily_mean = table.groupby(np.minimum(days.dayofyear, 365)).mean().reindex(range(1, 366))
        three_years = pd.concat([daily_mean] * 3).interpolate(limit_direction="both")
        smooth_year = three_years.rolling(15, center=True, min_periods=1).mean().iloc[365:730]
        usual_values = smooth_year.to_numpy()[np.minimum(days.dayofyear, 365) - 1]
        table = table.fillna(pd.DataFrame(usual_values)).fillna(table.mean()).fillna(float(np.nanmean(values)))
    return table.to_numpy(), missing
