"""What is known of a day before it comes: the calendar, and the drivers as seen from the day of asking."""

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

FLAGS = ("strike", "strike_rate", "holiday", "school_break")  # unknown means: nothing of the kind
WEATHER = ("temperature", "temperature_min", "temperature_max", "wind", "humidity", "visibility", "cloud_cover")
ERRING = ("temperature", "temperature_min", "temperature_max")  # degraded together: a warm error is warm all day

LEAD_ERROR = (1.1, 1.3, 1.5, 1.8, 2.1, 2.4, 2.7, 3.0, 3.2, 3.4)  # °C, standard deviation 1, 2 … 10 and more days ahead
ALIKE = 0.8  # share of a forecast error that the next day's forecast inherits
NATIONAL = 0.7  # share of a forecast error that all places have in common
LEAST_DAYS = 60  # on which a driver has to be known for it to teach anything
GAP = 14  # days over which a missing driver is interpolated; beyond, its usual value for the date stands in


@dataclass(frozen=True)
class Known:
    """Drivers on the calendar of a panel and one day more, shape (days + 1, entities) each, without gaps.

    columns   name → values
    assumed   True where no driver table reached, and the usual value for the date stands in
    error     °C by which a temperature forecast is wrong: (days of asking, days ahead, entities); None where it is
              right
    """

    days: pd.DatetimeIndex
    columns: dict[str, Floats]
    assumed: NDArray[np.bool_]
    error: Floats | None = None

    @classmethod
    def of(
        cls, panel: Panel, drivers: Drivers, columns: Sequence[str], weather: Weather = "as given", horizon: int = 28
    ) -> "Known":
        """Take `columns` of `drivers`.

        `weather` is as the tables give it, or with the error of a usual forecast on top (seed 0). Raises DataError
        where a column, flags apart, has no value at all.
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
        """The drivers that are neither flags nor temperatures."""
        return [name for name in self.columns if name not in (*FLAGS, *ERRING)]

    @property
    def warm(self) -> bool:
        """Is there a temperature?"""
        return "temperature" in self.columns

    def seen(self, name: str, back: int, step: int) -> Floats:
        """Return the driver `back` days before every day of the panel (-1: the day after).

        It is as known `step` days before that day. Shape (days, entities), NaN where that lies before the first day.
        """
        values = shifted(self.columns[name], back)[: len(self.days) - 1]
        lead = step - back
        if self.error is None or name not in ERRING or lead <= 0:
            return values
        ahead = min(lead, self.error.shape[1]) - 1
        return values + shifted(self.error[:, ahead], step)[: len(values)]

    def smooth(self, name: str, share: float, back: int, step: int) -> Floats:
        """Exponentially weighted mean of the driver over two weeks that end `back` days before every day."""
        weights = share * (1 - share) ** np.arange(14)
        weights /= weights.sum()
        return np.sum([weight * self.seen(name, back + k, step) for k, weight in enumerate(weights)], axis=0)


def usable_columns(panel: Panel, drivers: Drivers, weather: Weather = "as given") -> list[str]:
    """Return the drivers of which something can be learnt on the days of `panel`.

    Those of the weather are left out where it is "none".
    """
    given = drivers.array(panel.entities, panel.days)
    enough = np.isfinite(given).any(axis=1).sum(axis=0) >= LEAST_DAYS
    wanted = [name for name, known in zip(drivers.columns, enough, strict=True) if known]
    return [name for name in wanted if weather != "none" or name not in WEATHER]


def shifted(values: Floats, back: int) -> Floats:
    """The value `back` days before every day; the last value repeated for days after the end, NaN before the start."""
    if back == 0:
        return values
    if back < 0:
        return np.concatenate([values[-back:], np.repeat(values[-1:], -back, axis=0)])
    return np.concatenate([np.full((min(back, len(values)), *values.shape[1:]), np.nan), values[:-back]])


def _without_gaps(values: Floats, days: pd.DatetimeIndex, flag: bool) -> tuple[Floats, NDArray[np.bool_]]:
    """Short gaps interpolated; what remains is 0 for a flag, the usual value of the date for a measurement."""
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
    """Errors that grow with the days ahead and drift from one day ahead to the next, alike in all places."""
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
