"""Series of several entities at even steps of time: the input of the forecasters of intervals."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.tseries.frequencies import to_offset

from core.array_types import Floats
from core.data.dataset import DAY, Dataset
from core.data.frequencies import WEEK, extend_periods, list_seasons
from core.data.nameless import is_nameless
from core.data.panel import Panel
from core.data.time_zones import has_clock_changes, to_local_times
from core.errors import DataError
from core.messages import N_

DEFAULT_MEASURE = "total"  # the count that call records are judged by
MAX_CELLS = 200_000_000  # steps × entities; a longer grid comes from a mistyped year


@dataclass(frozen=True)
class RegularSeries:
    """Values of several entities on one grid of even steps.

    times     instants of the steps, without a hole: UTC where the zone of the data is known, else their own clock
    entities  names of the entities
    values    shape (steps, entities), NaN for a missing value
    step      time between two steps; the mean one for months, quarters and years
    unit      unit of the values
    zone      time zone of the local clock; "" if `times` are on that clock already
    attempts  number of events behind every value of a ratio (the calls behind a CCR), (steps, entities); None for
              other values
    frequency alias of the step in pandas for weeks, months … ; "" for the even step `step`
    is_nameless  True where no column names the only entity

    Example:
        >>> import pandas as pd
        >>> from core.data.dataset import make_index
        >>> times = pd.to_datetime(["2024-01-01 00:00", "2024-01-01 00:15", "2024-01-01 00:45"])
        >>> frame = pd.DataFrame({"total": [3.0, 4.0, 6.0]}, make_index(["T1"] * 3, times))
        >>> dataset = Dataset(frame, "tidy_series", step=pd.Timedelta(minutes=15))
        >>> RegularSeries.from_dataset(dataset, "total").values.ravel().tolist()
        [3.0, 4.0, nan, 6.0]
    """

    times: pd.DatetimeIndex
    entities: tuple[str, ...]
    values: Floats
    step: pd.Timedelta
    unit: str = ""
    zone: str = ""
    attempts: Floats | None = None
    frequency: str = ""
    is_nameless: bool = False

    @classmethod
    def from_dataset(cls, dataset: Dataset, measure: str = "", attempts: str = "") -> "RegularSeries":
        """Build the series of one column of `dataset` (default: the first); a profile becomes one long series.

        `attempts` names the column with the number of events behind every value. Raises DataError for data without
        dates or step, an unknown column, timestamps off the grid, and two values of an entity at one time.
        """
        dataset = dataset.to_series() if dataset.profile else dataset
        measure = measure or dataset.columns[0]
        for name in filter(None, (measure, attempts)):
            _check_column(name, dataset)
        step = _get_step(dataset)
        instants = dataset.compute_instants()
        times = pd.date_range(instants.min(), instants.max(), freq=step)
        if len(times) * len(dataset.entities) > MAX_CELLS:
            raise DataError(
                N_("The data range from {first} to {last}, too long for steps of {step}. Check the dates."),
                first=str(instants.min()),
                last=str(instants.max()),
                step=str(step),
            )
        rows, exact = np.divmod((instants - times[0]).asi8, step.value)
        if exact.any():
            raise DataError(
                N_("The time {value} does not match the step of {step}. The data doctor can align the times."),
                value=str(dataset.time[int(np.flatnonzero(exact)[0])]),
                step=str(step),
            )
        if dataset.mark_duplicates().any():
            raise DataError(
                N_("An entity has several values for one timestamp. Keep one of them with the data doctor.")
            )

        def fill_grid(name: str) -> Floats:
            grid = np.full((len(times), len(dataset.entities)), np.nan)
            grid[rows, dataset.entity_codes] = dataset.frame[name].to_numpy()
            return grid

        return cls(
            times,
            tuple(dataset.entities),
            fill_grid(measure),
            step,
            dataset.unit,
            dataset.zone if has_clock_changes(dataset.zone) else "",
            fill_grid(attempts) if attempts else None,
            is_nameless=is_nameless(dataset.entities, dataset.files),
        )

    @classmethod
    def from_panel(cls, panel: Panel) -> "RegularSeries":
        """Build the series of the amounts of a panel, on the clock of its periods.

        Example:
            >>> months = pd.date_range("2024-01-01", periods=3, freq="MS")
            >>> panel = Panel(months, ("Lyon",), ("day",), np.ones((3, 1, 1)), frequency="MS")
            >>> series = RegularSeries.from_panel(panel)
            >>> series.season_steps, series.extend(1).times[-1].strftime("%Y-%m-%d")
            (12, '2024-04-01')
        """
        return cls(panel.periods, panel.entities, panel.amounts, panel.step, panel.unit, frequency=panel.frequency)

    def __len__(self) -> int:
        return len(self.times)

    @cached_property
    def local_times(self) -> pd.DatetimeIndex:
        """Times of the steps on the local clock, which repeats and skips hours."""
        return to_local_times(self.times, self.zone)[0] if self.zone else self.times

    @property
    def week_steps(self) -> int:
        """Number of steps in a week; 0 where a week is no whole number of steps."""
        return int(WEEK // self.step) if WEEK % self.step == pd.Timedelta(0) else 0

    @property
    def day_steps(self) -> int:
        """Number of steps in a day; 0 where a day is no whole number of steps, or one step."""
        return int(DAY // self.step) if DAY % self.step == pd.Timedelta(0) and self.step < DAY else 0

    @property
    def season_steps(self) -> int:
        """Number of steps in the shortest season: a day of hours, a week of days, a year of months; 1 without one."""
        seasons = list_seasons(self.frequency or str(to_offset(self.step).freqstr))
        return seasons[0] if seasons else 1

    def compute_lag_positions(self, lag: pd.Timedelta) -> NDArray[np.intp]:
        """Return the position of the step with the same local clock `lag` before every step, −1 before the first.

        `lag` is whole days. In the hour that the autumn clock change repeats, both passes have the same position.
        """
        clock = self.local_times
        positions = pd.Series(np.arange(len(self)), index=clock)
        positions = positions[~positions.index.duplicated()]
        lagged = positions.reindex(clock - lag)
        fallback = np.maximum(np.arange(len(self)) - int(lag // self.step), -1)
        filled = np.where(lagged.isna(), fallback, lagged.fillna(-1).to_numpy()).astype(np.intp)
        return np.where(clock - lag < clock[0], -1, filled)

    def select(self, start: int, end: int) -> "RegularSeries":
        """Return the steps from position `start` up to, not including, `end`."""
        steps = slice(start, end)
        attempts = None if self.attempts is None else self.attempts[steps]
        return replace(self, times=self.times[steps], values=self.values[steps], attempts=attempts)

    def extend(self, horizon: int) -> "RegularSeries":
        """Return the series with `horizon` steps of missing values after the last step."""
        next_times = (
            extend_periods(self.times, horizon, self.frequency)
            if self.frequency
            else pd.date_range(self.times[-1] + self.step, periods=horizon, freq=self.step)
        )
        times = self.times.append(next_times)

        def pad(values: Floats) -> Floats:
            return np.concatenate([values, np.full((horizon, len(self.entities)), np.nan)])

        attempts = None if self.attempts is None else pad(self.attempts)
        return replace(self, times=times, values=pad(self.values), attempts=attempts)

    def with_values(self, values: Floats) -> "RegularSeries":
        """Return the series with other values, shape (steps, entities)."""
        return replace(self, values=values)


def choose_default_measure(columns: Sequence[str]) -> str:
    """Return the column that is used without a choice: `total`, else the first.

    Example:
        >>> choose_default_measure(["answered", "total"]), choose_default_measure(["load", "price"])
        ('total', 'load')
    """
    return DEFAULT_MEASURE if DEFAULT_MEASURE in columns else columns[0]


def _check_column(name: str, dataset: Dataset) -> None:
    if name not in dataset.columns:
        raise DataError(
            N_("{file} has no column {value}. Its measurements: {accepted}."),
            file=", ".join(dataset.files) or "?",
            value=name,
            accepted=", ".join(dataset.columns),
        )


def _get_step(dataset: Dataset) -> pd.Timedelta:
    """Return the time between two rows of an entity. Raises DataError for data without dates or an even step."""
    if not dataset.has_dates or dataset.step is None:
        raise DataError(N_("{file}: the rows have no regular time step."), file=", ".join(dataset.files) or "?")
    return dataset.step
