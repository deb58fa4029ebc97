"""Notes of a forecast: limits that a reader has to know."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from core.data.covariates import Covariates
from core.data.dataset import DAY, format_timestamp
from core.data.panel import Panel
from core.evaluation.error_quantiles import MIN_ERRORS
from core.forecasters.forecast_model import ForecastModel
from core.forecasters.intraday.day_shape import MIN_SHAPE_DAYS
from core.forecasters.panels.weather_errors import compute_lead_errors
from core.messages import N_, Message
from core.tasks.forecast.candidates import list_candidate_notes
from core.tasks.forecast.covariate_notes import list_times_notes
from core.tasks.forecast.spec import ForecastSpec

MIN_LEVEL_PERIODS = 3  # outside at the end of the data, from which on the level may have changed
MAX_NAMED_ENTITIES = 5


def list_notes(model: ForecastModel, spec: ForecastSpec, series: Panel, covariates: Covariates) -> tuple[Message, ...]:
    """Return the notes on the test, its history, the shape of the day, covariates, and entities without a forecast."""
    return (
        Message(
            N_(
                "Backtest from {start}: the model was trained once on the days before. It then forecast "
                "the next {horizon} days from every day."
            )
            if series.frequency == "D"
            else N_(
                "Backtest from {start}: the model was trained once on the periods before. From each period "
                "of the test, it then forecast the next {horizon} periods."
            ),
            {"start": spec.backtest_from, "horizon": spec.horizon_periods},
        ),
        *_list_shape_notes(model),
        *list_candidate_notes(model.forecaster),
        *model.forecaster.list_limits(),
        *_list_weather_notes(model, spec, series),
        *list_times_notes(model, series, covariates),
        *_list_assumption_notes(model, spec, series, covariates),
        *_list_series_notes(series),
        *_list_interval_notes(model),
    )


def _list_shape_notes(model: ForecastModel) -> Iterator[Message]:
    if model.slots_ == 1 or model.day_shape_ is None:
        return
    test = model.day_shape_.test_
    if test is None:
        yield Message(
            N_(
                "The times of a day have the usual shares of the last four weeks. A model of the "
                "shape of the day needs at least {accepted} days."
            ),
            {"accepted": MIN_SHAPE_DAYS},
        )
        return
    errors = {"model": round(100 * test.model_error, 1), "usual": round(100 * test.usual_error, 1), "days": test.days}
    if test.is_gain:
        yield Message(
            N_(
                "The shape of the day is forecast from what is known about it and about the days before. "
                "On the last {days} days its error was {model} % of the amounts, and {usual} % with the "
                "usual shares of the last four weeks."
            ),
            errors,
        )
    else:
        yield Message(
            N_(
                "The times of a day have the usual shares of the last four weeks. A model of the shape of "
                "the day was not clearly better on the last {days} days: its error was {model} % of the "
                "amounts instead of {usual} %."
            ),
            errors,
        )


def _list_weather_notes(model: ForecastModel, spec: ForecastSpec, series: Panel) -> Iterator[Message]:
    if "temperature" in model.covariate_names_ and spec.weather == "original":
        yield Message(N_("The backtest uses the observed weather, as if every weather forecast had been perfect."))
    if spec.weather == "degraded" and series.step <= DAY:
        yield Message(
            N_(
                "The backtest uses the weather with the error of a usual forecast: 1.1 °C one "
                "day ahead, 2.7 °C seven days ahead."
            )
        )
    elif spec.weather == "degraded":
        errors = compute_lead_errors(series.step, spec.horizon_periods)
        yield Message(
            N_(
                "The backtest uses the weather with the error of a usual forecast: {first} °C for the mean of the "
                "first period, {last} °C for that of the last one."
            ),
            {"first": round(float(errors[0]), 1), "last": round(float(errors[-1]), 1)},
        )


def _list_assumption_notes(
    model: ForecastModel, spec: ForecastSpec, series: Panel, covariates: Covariates
) -> Iterator[Message]:
    is_assumed = (
        model.build_covariate_panel(series, covariates)
        .assumed[len(series) : len(series) + spec.horizon_periods]
        .any(axis=1)
    )
    if is_assumed.any():
        day = series.list_next_periods(spec.horizon_periods)[int(np.argmax(is_assumed))]
        yield Message(
            N_(
                "Some covariates are missing from {day} on. Their usual values for the date "
                "are used instead. The error will be larger than in the backtest."
            )
            if not model.timed_names_
            else N_(
                "Some covariates are missing from {day} on. Their usual values for the date and the time of the day "
                "are used instead. The error will be larger than in the backtest."
            ),
            {"day": format_timestamp(day)},
        )


def _list_series_notes(series: Panel) -> Iterator[Message]:
    amounts = series.amounts
    for number, entity in enumerate(series.entities):
        known_days = np.flatnonzero(np.isfinite(amounts[:, number]))
        if not len(known_days) or len(series) - known_days[-1] > series.stale_periods:
            last = str(series.periods[known_days[-1]])[:10] if len(known_days) else "–"
            yield Message(N_("{entity} has no forecast: its data end on {day}."), {"entity": entity, "day": last})
    outlier_count = int((np.isfinite(amounts) & np.isnan(series.training_targets)).sum())
    if outlier_count:
        yield Message(
            N_(
                "Days left out of the training because their amount is an outlier compared with "
                "the days around them: {count}."
            )
            if series.frequency == "D"
            else N_(
                "Values left out of the training because they are outliers compared with those of the same time on the "
                "days around them: {count}."
            ),
            {"count": outlier_count},
        )


def _list_interval_notes(model: ForecastModel) -> Iterator[Message]:
    if model.errors_ is None:
        return
    count = model.errors_.count_periods(model.horizon)
    if count < MIN_ERRORS:
        yield Message(
            N_(
                "The intervals are computed from few past errors: {count} periods, {horizon} ahead. They "
                "are therefore wider. From {accepted} periods on, they no longer are."
            ),
            {"count": count, "horizon": model.horizon, "accepted": MIN_ERRORS},
        )


def list_level_cautions(alarms: pd.DataFrame) -> tuple[Message, ...]:
    """Return a caution for entities whose data end in an alarm: the forecast may not know the new level.

    One period outside is no level. `alarms` is that of a `Forecast`.

    Example:
        >>> start = pd.Timestamp("2024-03-01")
        >>> alarms = pd.DataFrame({"entity": ["a", "b"], "start": start, "outside": [5, 1], "is_open": True})
        >>> [str(caution)[:52] for caution in list_level_cautions(alarms)]
        ['The data of a end in an alarm (since 2024-03-01). If']
    """
    if alarms.empty:
        return ()
    lasting = alarms[alarms["is_open"] & (alarms["outside"] >= MIN_LEVEL_PERIODS)]
    if lasting.empty:
        return ()
    text = N_(
        "The data of {entities} end in an alarm (since {start}). If the level has changed for good, the forecast "
        "returns to the old one too early, and its interval is too narrow."
    )
    entities = ", ".join(lasting["entity"].astype(str).head(MAX_NAMED_ENTITIES))
    return (Message(text, {"entities": entities, "start": format_timestamp(lasting["start"].min())}),)
