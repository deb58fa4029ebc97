"""Whole forecast model: forecaster, profile of the day, covariates, and errors for prediction intervals."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.data.covariates import Drivers
from core.data.dataset import DAY, Dataset, keyed
from core.data.panel import Panel, Resolution
from core.errors import DataError
from core.evaluation.intervals import Errors
from core.forecasters.base import Forecaster
from core.forecasters.known import Known, Weather, usable_columns
from core.forecasters.shape import spread_over_day
from core.forecasters.tables import table_of
from core.messages import N_
from core.progress import Progress

Floats = NDArray[np.float64]

KEPT_DAYS = 730  # of errors that are saved; intervals use the last 90 to 365
SERVED = np.array([0.05, 0.95])


@dataclass
class ForecastModel:
    """Forecaster with everything it needs to forecast a new dataset, saved as one object.

    resolution  "day": daily amounts; "hour": the times of the day that the data have
    measure     column of the data, if they have several
    weather     "as given": known future weather; "degraded": with the error of a usual forecast; "none": not used
    """

    forecaster: Forecaster
    horizon: int = 7
    resolution: Resolution = "day"
    measure: str = ""
    weather: Weather = "as given"

    entities_: tuple[str, ...] = field(default=(), init=False)
    columns_: tuple[str, ...] = field(default=(), init=False)
    unit_: str = field(default="", init=False)
    slots_: int = field(default=1, init=False)
    day_start_: int = field(default=0, init=False)
    fitted_until_: str = field(default="", init=False)
    errors_: Errors | None = field(default=None, init=False)

    def series(self, dataset: Dataset) -> Panel:
        """Return the series of `dataset` that the model forecasts. Raises the errors of `Panel.from_dataset`."""
        return Panel.of(dataset, self.resolution, self.measure)

    def fit(self, series: Panel, drivers: Drivers, errors: Errors, progress: Progress | None = None) -> None:
        """Fit the forecaster on all days of the series; the `errors` of a backtest calibrate the intervals."""
        self.columns_ = tuple(usable_columns(series, drivers, self.weather))
        known = Known.of(series, drivers, self.columns_, self.weather, self.horizon)
        self.forecaster.fit(series, known, self.horizon, progress)
        self.entities_, self.unit_ = series.entities, series.unit
        self.slots_, self.day_start_ = len(series.slots), series.day_start
        self.fitted_until_, self.errors_ = str(series.days[-1])[:10], errors.last(KEPT_DAYS)

    def known(self, series: Panel, drivers: Drivers) -> Known:
        """Return the covariates of all days of the series and of the days that are forecast."""
        return Known.of(series.extended(self.horizon), drivers, self.columns_)

    def ahead(self, series: Panel, drivers: Known, horizon: int, quantiles: Floats) -> tuple[Floats, Floats]:
        """Forecast the `horizon` days after the last day of the series.

        Returns the forecast (steps, entities, slots) and its quantiles (steps, entities, slots, quantiles). Raises
        DataError if entities, times of the day or unit differ from the training data, or if `horizon` exceeds that of
        the model.
        """
        self._check(series, horizon)
        assert self.errors_ is not None, "fit comes first"
        longer = series.extended(self.horizon)
        steps, bands = [], []
        for step in range(1, horizon + 1):
            day = len(series) + step - 1
            amounts = self.forecaster.predict(longer, drivers, step, day)
            steps.append(spread_over_day(amounts, longer, step, day)[0])
            bands.append(self.errors_.bands(steps[-1], step, quantiles))
        return np.stack(steps), np.stack(bands)

    def predict(self, table: pd.DataFrame) -> pd.DataFrame:
        """Return the forecast for a table with the columns `entity`, `time`, `value` and the covariates.

        MLflow serves this. Rows without a value are days after the last known day; they carry the future covariates.
        """
        index = keyed(table["entity"].to_numpy(), pd.DatetimeIndex(table["time"]))
        known = table["value"].notna().to_numpy()
        frame = pd.DataFrame({"value": table["value"].to_numpy(dtype=float)}, index=index)[known]
        step = pd.Timedelta(days=1) / max(self.slots_, 1)
        series = Panel.of(
            Dataset(frame, layout="served", step=step, day_start=self.day_start_, unit=self.unit_), self.resolution
        )
        begins = self.day_start_ if self.slots_ > 1 else 0  # a daily row has the date of its day
        drivers = Drivers.of_rows(table.set_index(index)[list(self.columns_)], begins)
        forecast, bands = self.ahead(series, self.known(series, drivers), self.horizon, SERVED)
        days = pd.date_range(series.days[-1] + DAY, periods=self.horizon, freq="D")
        return table_of(days, series, {"forecast": forecast, "low": bands[..., 0], "high": bands[..., 1]}).astype(
            {"entity": str}
        )

    def _check(self, series: Panel, horizon: int) -> None:
        if horizon > self.horizon:
            raise DataError(
                N_("The model was fitted to look {accepted} days ahead; {value} were asked for."),
                accepted=self.horizon,
                value=horizon,
            )
        fitted, given = (self.entities_, self.unit_, self.slots_), (series.entities, series.unit, len(series.slots))
        if given != fitted:
            raise DataError(
                N_("The model was fitted on {accepted}; the data have {value}."),
                accepted=_described(*fitted),
                value=_described(*given),
            )


def _described(entities: tuple[str, ...], unit: str, slots: int) -> str:
    more, moments = " …" if len(entities) > 4 else "", f" × {slots}" if slots > 1 else ""
    return f"{', '.join(entities[:4])}{more} ({len(entities)}), {unit or '?'}{moments}"
