"""Specs of the task forecast."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from core import forecasters as algorithms
from core.data.panel import Resolution
from core.errors import OptionError
from core.forecasters.base import Forecaster
from core.forecasters.covariate_panel import WeatherMode
from core.messages import N_
from core.spec.hyperparameters import algorithm, hyperparameter
from core.spec.plugins import discover_classes
from core.spec.spec import DataSpec, PartSpec

if TYPE_CHECKING:
    from core.data.dataset import Dataset
    from core.data.panel import Panel

MAX_HORIZON_DAYS = 28
YEAR_DAYS = 365
RESOLUTION_LABELS: Mapping[str, str] = {"day": N_("per day"), "hour": N_("per time of day")}
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
    """Forecast the days after the last one, test the forecaster on the past, and save the result as a run.

    horizon        days ahead
    resolution     "day": daily amounts; "hour": the times of the day that the data have
    measure        column of the data, if they have several
    quantiles      levels of the quantiles; the lowest and the highest are the ends of the interval
    weather        knowledge of the future weather, see `ForecastModel`
    backtest_from  first day of the test; "" for the last year, or the last fifth of a shorter history
    covariates     digest of the stored covariate tables; "" without covariates
    calendar       public holidays: "FR", "DE-BY" …, "none"; "" for those that the data point to
    places         places of entities in the covariate files, such as "AEP=Ohio"
    alarm_level    promised share of usual values inside the interval of the alarms, see `alarms`
    """

    forecaster: Forecaster = algorithm(
        list_forecasters, "automatic", help=N_("Forecasting algorithm."), label=N_("Forecasting algorithm")
    )
    horizon: int = hyperparameter(
        7,
        help=N_("Number of days ahead, 1 to 28."),
        label=N_("Days ahead"),
        low=1,
        high=MAX_HORIZON_DAYS,
        steps=tuple(range(1, MAX_HORIZON_DAYS + 1)),
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
    resolution: Resolution = hyperparameter(
        "day",
        help=N_("Daily amounts, or amounts per time of day."),
        label=N_("Amounts"),
        choices=tuple(RESOLUTION_LABELS),
        words=RESOLUTION_LABELS,
    )
    measure: str = hyperparameter("", help=N_("Column to forecast, if the files have several."), label=N_("Column"))
    backtest_from: str = hyperparameter(
        "",
        help=N_(
            "First day of the backtest. The tested model is fitted on the days before. "
            "Default: the last year, or the last fifth of a shorter history."
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
            "Share of usual values inside the interval of the alarms. A measured value outside is an alarm. "
            "With 99 %, one usual value in a hundred is a false alarm: about four days per entity and year."
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
        if self.backtest_from and _is_invalid_date(self.backtest_from):
            raise _build_option_error("backtest_from", self.backtest_from, "2023-01-01")
        _check_calendar(self.calendar, self.places)

    def fill_defaults(self, dataset: "Dataset", series: "Panel") -> "ForecastSpec":
        """Return the spec with its defaults for `dataset` and `series`: digest and first day of the test."""
        return replace(self, dataset=dataset.digest, backtest_from=self.backtest_from or _choose_default_start(series))

    @classmethod
    def list_choices(cls, name: str, dataset: "Dataset") -> tuple[Any, ...]:
        """Return the accepted values; times of the day only for data that have them."""
        if name == "resolution" and not has_day_times(dataset):
            return ("day",)
        return super().list_choices(name, dataset)


@dataclass(frozen=True)
class ForecastApplySpec(DataSpec):
    """Forecast the days after the end of a dataset with the model of an earlier run, for the entities of the model."""

    selector_field: ClassVar[str] = "model"

    model: str = hyperparameter(
        "",
        help=N_("Saved model to apply, instead of fitting one."),
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
        help=N_("Run whose intervals are recalibrated, instead of fitting a model."),
        flag="--recalibrate",
        metavar="RUN_ID|NAME@ALIAS",
    )

    def to_params(self) -> dict[str, Any]:
        """Return the parameters: the run of the recalibrated model."""
        return {"model_run": self.run}


def has_day_times(dataset: "Dataset") -> bool:
    """Tell whether the data have several times of the day."""
    from core.data.dataset import DAY

    return dataset.profile or (dataset.step is not None and dataset.step < DAY)


def _choose_default_start(series: "Panel") -> str:
    """Return the first day of the last year, or of the last fifth of a history shorter than five years."""
    days = series.periods
    return str(days[-min(YEAR_DAYS, len(series) // 5)] if len(series) >= 10 else days[-1])[:10]


def _check_calendar(calendar: str, places: tuple[str, ...]) -> None:
    """Raise OptionError for an unknown calendar, and for a place of another form than "ENTITY=PLACE"."""
    from core.data.covariates.countries import check_calendar
    from core.data.covariates.matching import parse_places

    check_calendar(calendar)
    parse_places(places)


def _is_invalid_date(text: str) -> bool:
    import pandas as pd

    return pd.to_datetime(text, format="%Y-%m-%d", errors="coerce") is pd.NaT


def _build_option_error(name: str, value: str, accepted: str) -> OptionError:
    return OptionError(
        N_("{name} = {value!r} is not accepted. Accepted: {accepted}."), name=name, value=value, accepted=accepted
    )
