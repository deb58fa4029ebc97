"""Specs of the task forecast."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from core import forecasters as algorithms
from core.data.aggregation import Aggregation
from core.data.dataset import format_timestamp
from core.data.durations import count_periods, parse_duration
from core.data.panel import Panel, Resolution
from core.errors import OptionError
from core.forecasters.base import Forecaster
from core.forecasters.panels.covariate_panel import WeatherMode
from core.messages import N_
from core.spec.hyperparameters import algorithm, hyperparameter
from core.spec.plugins import discover_classes
from core.spec.spec import DataSpec, PartSpec
from core.tasks.forecast.data_choices import choose_measure, choose_resolution, has_day_times, is_longer_than_day
from core.tasks.forecast.horizon import DAYS, choose_horizon

if TYPE_CHECKING:
    from core.data.dataset import Dataset

MAX_HORIZON_PERIODS: Mapping[str, int] = {"day": 92, "hour": 28, "step": 400}
RESOLUTION_LABELS: Mapping[str, str] = {
    "auto": N_("as suits the data"),
    "day": N_("per day"),
    "hour": N_("per time of day"),
    "step": N_("per step of the data"),
}
AGGREGATION_LABELS: Mapping[str, str] = {"auto": N_("by unit and name"), "sum": N_("summed"), "mean": N_("averaged")}
DATE_FORMATS = ("%Y-%m-%d", "%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S")
WEATHER_LABELS: Mapping[str, str] = {
    "original": N_("as given in the files"),
    "degraded": N_("with the usual error of a weather forecast"),
    "none": N_("without weather"),
}
COVARIATES_HELP = N_(
    "Files of covariates (weather, strikes, school breaks, public holidays) known in advance, "
    "or the digest of stored covariates."
)


def list_forecasters() -> dict[str, type[Forecaster]]:
    """Return name → class of every forecaster."""
    return discover_classes(algorithms, Forecaster)


@dataclass(frozen=True)
class ForecastSpec(PartSpec):
    """Forecast the periods after the last one, test the forecaster on the past, and save the result as a run.

    horizon        periods ahead, or a length of time such as "36h"; "": by the length of the periods, see
                   `choose_horizon`; the number of periods after `fill_defaults`
    resolution     "day": daily amounts; "hour": the times of the day that the data have; "step": every step of the
                   data; "auto": that which suits the data
    measure        column of the data, if they have several
    aggregation    whether the values of a day are summed or averaged; "auto": by unit and name
    quantiles      levels of the quantiles; the lowest and the highest are the ends of the interval
    weather        knowledge of the future weather, see `ForecastModel`
    backtest_from  first day of the test; "" for the last year, or the last fifth of a shorter history
    covariates     digest of the stored covariate tables; "" without covariates
    calendar       public holidays: "FR", "DE-BY" …, "none"; "" for those that the data point to
    places         places of entities in the covariate files, such as "AEP=Ohio"
    alarm_level    promised share of usual periods inside the interval of the alarms, see `alarms`
    """

    forecaster: Forecaster = algorithm(
        list_forecasters, "automatic", help=N_("Forecasting method."), label=N_("Forecasting method")
    )
    horizon: int | str = hyperparameter(
        "",
        help=N_(
            "How far ahead: a number of days (of steps, where every step is forecast), or a length of time such as "
            "36h, 2w or 3 months. At most 92 days, 28 days per time of day, or 400 steps. Default: 7 days, 4 weeks "
            "or 6 months; with shorter steps about a day, at most 96 steps."
        ),
        label=N_("Horizon"),
        low=1,
        high=max(MAX_HORIZON_PERIODS.values()),
        metavar="7|36h|2w|3 months",
    )
    covariates: str = hyperparameter(
        "", help=COVARIATES_HELP, label=N_("Covariates"), flag="--covariates", files="covariates"
    )
    calendar: str = hyperparameter(
        "",
        help=N_(
            "Calendar of public holidays: a country or a part of one, such as FR, DE-BY or US-NY, or none. "
            "Default: the calendar that the names or the clock of the data point to."
        ),
        label=N_("Public holidays"),
        metavar="CODE",
    )
    places: tuple[str, ...] = hyperparameter(
        (),
        help=N_(
            "Place of an entity in the covariate files and calendars, such as AEP=Ohio. The option can be repeated."
        ),
        label=N_("Places of the entities"),
        flag="--map",
        metavar="ENTITY=PLACE",
    )
    weather: WeatherMode = hyperparameter(
        "original",
        help=N_("Weather of the forecast days. With observed weather, the backtest assumes perfect weather forecasts."),
        label=N_("Weather of the forecast days"),
        choices=tuple(WEATHER_LABELS),
        words=WEATHER_LABELS,
    )
    resolution: Literal["auto"] | Resolution = hyperparameter(
        "auto",
        help=N_(
            "Daily amounts, amounts per time of day, or every step of the data. Default: days, and steps where the "
            "data have no whole days, or too few."
        ),
        label=N_("Amounts"),
        choices=tuple(RESOLUTION_LABELS),
        words=RESOLUTION_LABELS,
    )
    measure: str = hyperparameter("", help=N_("Column to forecast, if the files have several."), label=N_("Column"))
    aggregation: Aggregation = hyperparameter(
        "auto",
        help=N_(
            "How values become daily amounts. Default: energy and counts are summed; power, temperatures, prices and "
            "rates are averaged."
        ),
        label=N_("Values of a day"),
        choices=tuple(AGGREGATION_LABELS),
        words=AGGREGATION_LABELS,
    )
    backtest_from: str = hyperparameter(
        "",
        help=N_(
            "First day of the backtest. The tested model is trained on the days before. Default: the last "
            "year, or the last fifth of a shorter history."
        ),
        label=N_("Backtest from"),
        metavar="DATE",
    )
    quantiles: tuple[float, ...] = hyperparameter(
        (0.05, 0.5, 0.95),
        help=N_(
            "Quantile levels between 0 and 1, separated by commas. The lowest and the highest are "
            "the ends of the interval."
        ),
        label=N_("Prediction interval"),
        metavar="0.05,0.5,0.95",
    )
    alarm_level: float = hyperparameter(
        0.99,
        help=N_(
            "Share of usual days inside the interval of the alarms. A measured value outside is an alarm. "
            "With 99 %, one usual day in a hundred is a false alarm: about four per entity and year."
        ),
        label=N_("Level of the alarms"),
        low=0.6,
        high=0.999,
        steps=(0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999),
        format="percent",
    )

    def check(self) -> None:
        """Raise OptionError for a value that is not accepted, unsorted quantiles or an invalid date."""
        super().check()
        is_sorted = list(self.quantiles) == sorted(set(self.quantiles))
        if not is_sorted or len(self.quantiles) < 2 or not all(0 < level < 1 for level in self.quantiles):
            raise _build_option_error("quantiles", ", ".join(map(str, self.quantiles)), "0.05, 0.5, 0.95")
        if isinstance(self.horizon, str) and self.horizon:
            parse_duration(self.horizon)
        if self.backtest_from and _is_invalid_date(self.backtest_from):
            raise _build_option_error("backtest_from", self.backtest_from, "2023-01-01")
        _check_calendar(self.calendar, self.places)

    @property
    def horizon_periods(self) -> int:
        """Periods ahead, of a spec of `fill_defaults`; days for a spec without data."""
        return int(self.horizon or DAYS)

    @property
    def chosen_resolution(self) -> Resolution:
        """Resolution of a spec of `choose_defaults`; days for a spec without a dataset."""
        return "day" if self.resolution == "auto" else self.resolution

    def choose_defaults(self, selected_rows: "Dataset") -> "ForecastSpec":
        """Return the spec with a resolution and a column for these rows. Raises DataError without an obvious column."""
        return replace(
            self,
            resolution=choose_resolution(self.resolution, selected_rows)[0],
            measure=choose_measure(self.measure, selected_rows),
        )

    def build_panel(self, selected_rows: "Dataset") -> "Panel":
        """Return the series of a spec of `choose_defaults`. Raises the errors of `Panel.from_dataset`."""
        return Panel.from_dataset(selected_rows, self.chosen_resolution, self.measure, self.aggregation)

    def fill_defaults(self, dataset: "Dataset", series: "Panel") -> "ForecastSpec":
        """Return the spec of `choose_defaults` with its defaults for `series`.

        They are the digest, the horizon in periods, sum or mean, and the first period of the test. Raises OptionError
        for a horizon that is no whole number of periods, or too long.
        """
        from core.forecasters.backtests.backtest import choose_test_start

        asked = self.horizon or choose_horizon(series.frequency, len(series))
        horizon = count_periods(asked, series.periods[-1], series.frequency)
        if horizon > (high := MAX_HORIZON_PERIODS[self.chosen_resolution]):
            raise OptionError(
                N_("{name} = {value} is out of range. Accepted: {low} to {high}."),
                name="horizon",
                value=horizon,
                low=1,
                high=high,
            )
        start = series.periods[min(choose_test_start(series, horizon), len(series) - 1)]
        return replace(
            self,
            dataset=dataset.digest,
            horizon=horizon,
            aggregation="mean" if series.is_averaged else "sum",
            backtest_from=self.backtest_from or format_timestamp(start),
        )

    @classmethod
    def list_choices(cls, name: str, dataset: "Dataset") -> tuple[Any, ...]:
        """Return the accepted values; days only for data with days, times of the day only for data that have them."""
        if name == "resolution" and not has_day_times(dataset):
            return ("auto", "step") if is_longer_than_day(dataset) else ("auto", "day")
        return super().list_choices(name, dataset)


@dataclass(frozen=True)
class ForecastApplySpec(DataSpec):
    """Forecast the days after the end of a dataset with the model of an earlier run, for the entities of the model."""

    selector_field: ClassVar[str] = "model"

    model: str = hyperparameter(
        "",
        help=N_("Saved model to apply, instead of training one."),
        label=N_("Saved model"),
        metavar="RUN_ID|NAME@ALIAS",
    )
    covariates: str = hyperparameter(
        "", help=COVARIATES_HELP, label=N_("Covariates"), flag="--covariates", files="covariates"
    )

    def to_params(self) -> dict[str, Any]:
        """Return the parameters: the run of the applied model, and the covariates."""
        return {"model_run": self.model, "covariates": self.covariates}


@dataclass(frozen=True)
class RecalibrationSpec(DataSpec):
    """Recompute the intervals of an earlier run from the past errors with the best coverage."""

    selector_field: ClassVar[str] = "run"

    run: str = hyperparameter(
        "",
        help=N_("Run whose intervals are recalibrated, instead of training a model."),
        flag="--recalibrate",
        metavar="RUN_ID|NAME@ALIAS",
    )

    def to_params(self) -> dict[str, Any]:
        """Return the parameters: the run of the recalibrated model."""
        return {"model_run": self.run}


def _check_calendar(calendar: str, places: tuple[str, ...]) -> None:
    """Raise OptionError for an unknown calendar, and for a place of another form than "ENTITY=PLACE"."""
    from core.data.covariates.countries import check_calendar
    from core.data.covariates.matching import parse_places

    check_calendar(calendar)
    parse_places(places)


def _is_invalid_date(text: str) -> bool:
    import pandas as pd

    return all(pd.to_datetime(text, format=form, errors="coerce") is pd.NaT for form in DATE_FORMATS)


def _build_option_error(name: str, value: str, accepted: str) -> OptionError:
    return OptionError(
        N_("{name} = {value!r} is not accepted. Accepted: {accepted}."), name=name, value=value, accepted=accepted
    )
