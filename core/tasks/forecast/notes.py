"""Notes of a forecast: limits that a reader has to know."""

from collections.abc import Iterator

import numpy as np

from core.data.covariates import Covariates
from core.data.dataset import format_timestamp
from core.data.panel import STALE_DAYS, Panel
from core.forecasters.forecast_model import ForecastModel
from core.messages import N_, Message
from core.tasks.forecast.candidates import list_candidate_notes
from core.tasks.forecast.spec import ForecastSpec


def list_notes(model: ForecastModel, spec: ForecastSpec, series: Panel, covariates: Covariates) -> tuple[Message, ...]:
    """Return the notes on the test, its weather, assumed covariates, and entities without a forecast."""
    return (
        Message(
            N_(
                "Backtest from {start}: the model was fitted once on the days before. It then "
                "forecast the next {horizon} days from every day."
            ),
            {"start": spec.backtest_from, "horizon": spec.horizon},
        ),
        *list_candidate_notes(model.forecaster),
        *_list_weather_notes(model, spec),
        *_list_assumption_notes(model, spec, series, covariates),
        *_list_series_notes(series),
    )


def _list_weather_notes(model: ForecastModel, spec: ForecastSpec) -> Iterator[Message]:
    if "temperature" in model.covariate_names_ and spec.weather == "original":
        yield Message(N_("The backtest uses the observed weather, as if every weather forecast had been perfect."))
    if spec.weather == "degraded":
        yield Message(
            N_(
                "The backtest uses the weather with the error of a usual forecast: 1.1 °C one "
                "day ahead, 2.7 °C seven days ahead."
            )
        )


def _list_assumption_notes(
    model: ForecastModel, spec: ForecastSpec, series: Panel, covariates: Covariates
) -> Iterator[Message]:
    is_assumed = (
        model.build_covariate_panel(series, covariates).assumed[len(series) : len(series) + spec.horizon].any(axis=1)
    )
    if is_assumed.any():
        day = series.list_next_periods(spec.horizon)[int(np.argmax(is_assumed))]
        yield Message(
            N_(
                "Some covariates are missing from {day} on. Their usual values for the date "
                "are used instead. The error will be larger than in the backtest."
            ),
            {"day": format_timestamp(day)},
        )


def _list_series_notes(series: Panel) -> Iterator[Message]:
    amounts = series.amounts
    for number, entity in enumerate(series.entities):
        known_days = np.flatnonzero(np.isfinite(amounts[:, number]))
        if not len(known_days) or len(series) - known_days[-1] > STALE_DAYS:
            last = str(series.periods[known_days[-1]])[:10] if len(known_days) else "–"
            yield Message(N_("{entity} has no forecast: its data end on {day}."), {"entity": entity, "day": last})
    outlier_count = int((np.isfinite(amounts) & np.isnan(series.training_targets)).sum())
    if outlier_count:
        yield Message(
            N_(
                "Days left out of the training because their amount is an outlier compared with "
                "the days around them: {count}."
            ),
            {"count": outlier_count},
        )
