"""Whole forecast model: forecaster, profile of the day, covariates, and errors for prediction intervals."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from core.array_types import Floats
from core.data.aggregation import Aggregation
from core.data.covariates import Covariates
from core.data.dataset import DAY, Dataset, format_timestamp, make_index
from core.data.nameless import takes_place
from core.data.panel import Panel, Resolution
from core.errors import DataError
from core.evaluation.conformal import ResidualHistory
from core.evaluation.error_volatility import Cycles
from core.forecasters.base import Forecaster
from core.forecasters.intraday.day_shape import DayShape
from core.forecasters.intraday.step_times import choose_times
from core.forecasters.intraday.times_choice import TimesTest
from core.forecasters.panels.covariate_panel import CovariatePanel, WeatherMode, select_covariates
from core.forecasters.to_frame import to_frame
from core.messages import N_
from core.progress import Progress

ERROR_HISTORY_PERIODS = 1096  # of errors that are saved; those of the same season of two earlier years count
SHORT_ERROR_HISTORY_DAYS = 100  # of errors that are saved for periods shorter than a day
SERVED_QUANTILES = np.array([0.05, 0.95])


@dataclass
class ForecastModel:
    """Forecaster with everything it needs to forecast a new dataset, saved as one object.

    resolution  "day": daily amounts; "hour": the times of the day that the data have; "step": every step of the data
    measure     column of the data, if they have several
    aggregation whether the values of a day are summed or averaged
    weather     "original": known future weather; "degraded": with the error of a usual forecast; "none": not used

    The covariates `timed_names_` count at the times of the day; `times_test_` is the test that decided it.
    """

    forecaster: Forecaster
    horizon: int = 7
    resolution: Resolution = "day"
    measure: str = ""
    weather: WeatherMode = "original"
    aggregation: Aggregation = "auto"

    entities_: tuple[str, ...] = field(default=(), init=False)
    covariate_names_: tuple[str, ...] = field(default=(), init=False)
    timed_names_: tuple[str, ...] = field(default=(), init=False)
    times_test_: TimesTest | None = field(default=None, init=False)
    unit_: str = field(default="", init=False)
    slots_: int = field(default=1, init=False)
    day_start_: int = field(default=0, init=False)
    fitted_until_: str = field(default="", init=False)
    errors_: ResidualHistory | None = field(default=None, init=False)
    day_shape_: DayShape | None = field(default=None, init=False)
    frequency_: str = field(default="", init=False)
    step_seconds_: float = field(default=0.0, init=False)

    def select_series(self, dataset: Dataset) -> Panel:
        """Return the series of `dataset` that the model forecasts. Raises the errors of `Panel.from_dataset`."""
        return Panel.from_dataset(dataset, self.resolution, self.measure, self.aggregation)

    def fit(
        self, series: Panel, covariates: Covariates, errors: ResidualHistory, progress: Progress | None = None
    ) -> None:
        """Fit the forecaster and the shape of the day on all days of the series.

        The `errors` of a backtest calibrate the intervals.
        """
        selection = select_covariates(series, covariates, self.weather)
        self.covariate_names_ = tuple(selection.names)
        covariate_panel = CovariatePanel.from_covariates(
            series, covariates, selection.names, self.weather, self.horizon, selection.timed
        )
        covariate_panel, self.times_test_ = choose_times(series, covariate_panel, self.horizon)
        self.forecaster.fit(series, covariate_panel, self.horizon, progress)
        self.day_shape_ = DayShape().fit(series, covariate_panel, self.horizon)
        if self.day_shape_.test_ is not None:
            self.times_test_ = self.day_shape_.test_.times
        has_slots = len(series.slots) > 1
        self.timed_names_ = self.day_shape_.timed_names_ if has_slots else tuple(covariate_panel.at_times)
        self.entities_, self.unit_ = series.entities, series.unit
        self.slots_, self.day_start_ = len(series.slots), series.day_start
        self.frequency_, self.step_seconds_ = series.frequency, series.step.total_seconds()
        self.fitted_until_, self.errors_ = format_timestamp(series.periods[-1]), _select_saved_errors(errors)

    def build_covariate_panel(self, series: Panel, covariates: Covariates) -> CovariatePanel:
        """Return the covariates of all days of the series and of the days that are forecast."""
        return CovariatePanel.from_covariates(
            series.extend(self.horizon), covariates, self.covariate_names_, timed=self.timed_names_
        )

    def forecast_days(
        self, series: Panel, covariate_panel: CovariatePanel, horizon: int, quantiles: Floats
    ) -> tuple[Floats, Floats]:
        """Forecast the `horizon` days after the last day of the series.

        Returns the forecast (steps, entities, slots) and its quantiles (steps, entities, slots, quantiles). Raises
        DataError if entities, times of the day or unit differ from the training data, or if `horizon` exceeds that of
        the model.
        """
        forecasts = self.forecast_amounts(series, covariate_panel, horizon)
        assert self.errors_ is not None, "fit comes first"
        quantile_values = [
            self.errors_.compute_quantiles(forecast, step, quantiles) for step, forecast in enumerate(forecasts, 1)
        ]
        return forecasts, np.stack(quantile_values)

    def forecast_amounts(self, series: Panel, covariate_panel: CovariatePanel, horizon: int) -> Floats:
        """Forecast like `forecast_days`, without quantiles, which cost most of the time: (steps, entities, slots)."""
        self._check_compatible(series, horizon)
        extended_series, day_shape = series.extend(self.horizon), self.day_shape_ or DayShape()
        amounts = self.forecaster.predict_next(extended_series, covariate_panel, horizon, len(series))
        forecasts = [
            day_shape.spread(amounts[step - 1 : step], extended_series, covariate_panel, step, len(series) + step - 1)[
                0
            ]
            for step in range(1, horizon + 1)
        ]
        return np.stack(forecasts)

    def predict(self, table: pd.DataFrame) -> pd.DataFrame:
        """Return the forecast for a table with the columns `entity`, `time`, `value` and the covariates.

        MLflow serves this. Rows without a value are days after the last known day; they carry the future covariates.
        """
        index = make_index(table["entity"].to_numpy(), pd.DatetimeIndex(table["time"]))
        has_value = table["value"].notna().to_numpy()
        frame = pd.DataFrame({"value": table["value"].to_numpy(dtype=float)}, index=index)[has_value]
        step = pd.Timedelta(seconds=self.step_seconds_) / max(self.slots_, 1)
        series = Panel.from_dataset(
            Dataset(frame, layout="served", step=step, day_start=self.day_start_, unit=self.unit_),
            self.resolution,
            aggregation=self.aggregation,
        )
        day_start = self.day_start_ if self.slots_ > 1 else 0  # a daily row has the date of its day
        slots = int(DAY / step) if self.timed_names_ else 0
        covariates = Covariates.from_rows(table.set_index(index)[list(self.covariate_names_)], day_start, slots)
        forecast, bands = self.forecast_days(
            series, self.build_covariate_panel(series, covariates), self.horizon, SERVED_QUANTILES
        )
        periods = series.list_next_periods(self.horizon)
        return to_frame(periods, series, {"forecast": forecast, "low": bands[..., 0], "high": bands[..., 1]}).astype(
            {"entity": str}
        )

    def _check_compatible(self, series: Panel, horizon: int) -> None:
        if horizon > self.horizon:
            raise DataError(
                N_("The model forecasts at most {accepted} periods ahead. The requested horizon has {value}."),
                accepted=self.horizon,
                value=horizon,
            )
        is_taken = takes_place(series.entities, series.is_nameless, self.entities_)
        entities = self.entities_ if is_taken else series.entities
        expected, actual = (self.entities_, self.unit_, self.slots_), (entities, series.unit, len(series.slots))
        if self.frequency_ not in ("", series.frequency):
            raise DataError(
                N_("The model was trained on {accepted}. The data have {value}."),
                accepted=self.frequency_,
                value=series.frequency,
            )
        if actual != expected:
            raise DataError(
                N_("The model was trained on {accepted}. The data have {value}."),
                accepted=_describe_series(*expected),
                value=_describe_series(*actual),
            )


def _select_saved_errors(errors: ResidualHistory) -> ResidualHistory:
    cycles = Cycles.from_frequency(errors.frequency)
    return errors.select_last(SHORT_ERROR_HISTORY_DAYS * cycles.phase if cycles.is_short else ERROR_HISTORY_PERIODS)


def _describe_series(entities: tuple[str, ...], unit: str, slots: int) -> str:
    ellipsis, slot_text = " …" if len(entities) > 4 else "", f" × {slots}" if slots > 1 else ""
    return f"{', '.join(entities[:4])}{ellipsis} ({len(entities)}), {unit or '?'}{slot_text}"
