"""Covariates as known at a forecast origin, on the calendar of a panel."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.data.covariates import Drivers
from core.data.panel import Panel
from core.errors import DataError
from core.messages import N_

Floats = NDArray[np.float64]
Weather = Literal["as given", "degraded", "none"]

FLAGS = ("strike", "strike_rate", "holiday", "school_break")  # a missing flag is 0
WEATHER = ("temperature", "temperature_min", "temperature_max", "wind", "humidity", "visibility", "cloud_cover")
ERRING = ("temperature", "temperature_min", "temperature_max")  # share one forecast error

LEAD_ERROR = (1.1, 1.3, 1.5, 1.8, 2.1, 2.4, 2.7, 3.0, 3.2, 3.4)  # °C, standard deviation 1, 2 … 10 and more days ahead
ALIKE = 0.8  # autocorrelation of the forecast error from one day ahead to the next
NATIONAL = 0.7  # share of the variance of the forecast error common to all places
LEAST_DAYS = 60  # with a value, for a covariate to be used
GAP = 14  # days; longer gaps get the usual value of the date


@dataclass(frozen=True)
class Known:
    """Covariates without gaps, on the calendar of a panel and one day more.

    days               the days of the panel and the day after
    columns            name → values (days + 1, entities)
    assumed            (days + 1, entities), True where a missing value was replaced by the usual value of the date
    temperature_error  °C, (origin days, days ahead, entities): errors of a temperature forecast; None for a perfect
                       forecast

    Example:
        >>> days = pd.date_range("2024-01-01", periods=4)
        >>> covariates = Known(days, {"temperature": np.arange(1.0, 5.0)[:, None]}, np.zeros((4, 1), dtype=bool))
        >>> covariates.seen("temperature", 1, 1).ravel().tolist()  # the previous day, for a panel with three days
        [nan, 1.0, 2.0]
    """

    days: pd.DatetimeIndex
    columns: dict[str, Floats]
    assumed: NDArray[np.bool_]
    error: Floats | None = None

    @classmethod
    def of(
        cls, panel: Panel, drivers: Drivers, columns: Sequence[str], weather: Weather = "as given", horizon: int = 28
    ) -> "Known":
        """Build the table from `columns` of `drivers`; fill gaps.

        `weather` "degraded" adds the error of a usual weather forecast (seed 0) to the temperatures. Raises DataError
        for a column without any value; a flag without a value is 0.
        """
        days = panel.days.append(panel.days[-1:] + pd.Timedelta(days=1))
        given = drivers.array(panel.entities, days)
        found: dict[str, Floats] = {}
        assumed = np.zeros(given.shape[:2], dtype=bool)
        for name in columns:
            own = (
                given[:, :, drivers.columns.index(name)]
                if name in drivers.columns
                else np.full(given.shape[:2], np.nan)
            )
            if name not in FLAGS and np.isnan(own).all():
                raise DataError(
                    N_("The driver {column!r} is needed, and no file gives it for these entities and days."),
                    column=name,
                )
            found[name], guessed = _without_gaps(own, days, flag=name in FLAGS)
            assumed |= guessed
        error = _forecast_error(given.shape[:2], horizon) if weather == "degraded" else None
        return cls(days, found, assumed, error)

    @property
    def numeric(self) -> list[str]:
        """Names of the covariates that are neither flags nor temperatures."""
        return [name for name in self.columns if name not in (*FLAGS, *ERRING)]

    @property
    def warm(self) -> bool:
        """True if the temperature is known."""
        return "temperature" in self.columns

    def seen(self, name: str, back: int, step: int) -> Floats:
        """Return the covariate `back` days before every day of the panel (-1: the day after), (days, entities).

        The values are those known `step` days before the day; NaN before the first day of the panel.
        """
        values = shifted(self.columns[name], back)[: len(self.days) - 1]
        lead = step - back
        if self.error is None or name not in ERRING or lead <= 0:
            return values
        ahead = min(lead, self.error.shape[1]) - 1
        return values + shifted(self.error[:, ahead], step)[: len(values)]

    def smooth(self, name: str, share: float, back: int, step: int) -> Floats:
        """Return the exponentially weighted mean of the covariate, (days, entities).

        It covers the 14 days that end `back` days before every day. The last of them has the weight `share`.
        """
        weights = share * (1 - share) ** np.arange(14)
        weights /= weights.sum()
        return np.sum([weight * self.seen(name, back + k, step) for k, weight in enumerate(weights)], axis=0)


def usable_columns(panel: Panel, drivers: Drivers, weather: Weather = "as given") -> list[str]:
    """Return the covariates known on at least 60 days of `panel`.

    Weather columns are left out if `weather` is "none".
    """
    given = drivers.array(panel.entities, panel.days)
    enough = np.isfinite(given).any(axis=1).sum(axis=0) >= LEAST_DAYS
    wanted = [name for name, known in zip(drivers.columns, enough, strict=True) if known]
    return [name for name in wanted if weather != "none" or name not in WEATHER]


def shifted(values: Floats, back: int) -> Floats:
    """Return the value `back` days before every day, shape unchanged.

    NaN before the first day; after the last day the last value is repeated.

    Example:
        >>> shifted(np.arange(1.0, 4.0), 1).tolist(), shifted(np.arange(1.0, 4.0), -1).tolist()
        ([nan, 1.0, 2.0], [2.0, 3.0, 3.0])
    """
    if back == 0:
        return values
    if back < 0:
        return np.concatenate([values[-back:], np.repeat(values[-1:], -back, axis=0)])
    return np.concatenate([np.full((min(back, len(values)), *values.shape[1:]), np.nan), values[:-back]])


def _without_gaps(values: Floats, days: pd.DatetimeIndex, flag: bool) -> tuple[Floats, NDArray[np.bool_]]:
    """Return the values without gaps, and a mask of the values that are assumed.

    Gaps of up to 14 days are interpolated. Other missing values are 0 for a flag, the usual value of the date
    otherwise.
    """
    table = pd.DataFrame(values)
    if flag:
        return table.fillna(0.0).to_numpy(), np.zeros(values.shape, dtype=bool)
    table = table.interpolate(limit=GAP, limit_area="inside")
    missing = table.isna().to_numpy()
    if missing.any():
        usual = table.groupby(np.minimum(days.dayofyear, 365)).mean().reindex(range(1, 366))
        round_the_year = pd.concat([usual] * 3).interpolate(limit_direction="both")
        smooth = round_the_year.rolling(15, center=True, min_periods=1).mean().iloc[365:730]
        usual_day = smooth.to_numpy()[np.minimum(days.dayofyear, 365) - 1]
        table = table.fillna(pd.DataFrame(usual_day)).fillna(table.mean()).fillna(float(np.nanmean(values)))
    return table.to_numpy(), missing


def _forecast_error(shape: tuple[int, int], horizon: int) -> Floats:
    """Return errors of a temperature forecast in °C, (origin days, days ahead, entities).

    They grow with the number of days ahead. They are correlated from one day ahead to the next, and between places.
    """
    days, entities = shape
    random = np.random.default_rng(0)
    shocks = np.sqrt(NATIONAL) * random.standard_normal((days, horizon + 1, 1))
    shocks = shocks + np.sqrt(1 - NATIONAL) * random.standard_normal((days, horizon + 1, entities))
    drift = np.empty_like(shocks)
    drift[:, 0] = shocks[:, 0]
    for lead in range(1, horizon + 1):
        drift[:, lead] = ALIKE * drift[:, lead - 1] + np.sqrt(1 - ALIKE**2) * shocks[:, lead]
    size = np.array([LEAD_ERROR[min(lead, len(LEAD_ERROR) - 1)] for lead in range(horizon + 1)])
    return drift * size[None, :, None]
