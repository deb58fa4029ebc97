"""Periods that were measured after the training of a saved model: forecast as they would have been, and judged."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from core.data.covariates import Covariates
from core.data.panel import Panel
from core.evaluation.conformal import ResidualHistory
from core.forecasters.forecast_model import ForecastModel
from core.forecasters.intraday.day_shape import DayShape
from core.messages import N_, Message
from core.tasks.forecast.alarm_counts import AlarmCounts
from core.tasks.forecast.alarms import judge_periods


def judge_measured_periods(
    model: ForecastModel, series: Panel, covariates: Covariates, level: float
) -> tuple[dict[str, Any], tuple[Message, ...]]:
    """Judge the periods of `series` after the training of the model by what it forecasts for each from those before.

    The saved errors of the model start the calibration, which goes on as the periods pass. Returns the fields `judged`,
    `alarms` and `alarm_counts` of a `Forecast`, empty without a later period, and a note on what was judged.
    """
    first = int(series.periods.searchsorted(pd.Timestamp(model.fitted_until_), side="right"))
    if first >= len(series):
        note = N_("The data have no period after the training of the model, which ends on {day}: no alarm is judged.")
        return _build_nothing(), (Message(note, {"day": model.fitted_until_}),)
    assert model.errors_ is not None, "a saved model is fitted"
    past = model.errors_
    errors = _forecast_periods(model, series, covariates, first)
    history = replace(
        past,
        forecast=np.concatenate([past.forecast, errors.forecast], axis=1),
        actual=np.concatenate([past.actual, errors.actual]),
    )
    fields = judge_periods(history, past.forecast.shape[1], series, series.periods[first:], level)
    counts: AlarmCounts = fields["alarm_counts"]
    return fields, (*_list_judged_notes(model, series, first, counts), *counts.list_notes(level))


def _forecast_periods(model: ForecastModel, series: Panel, covariates: Covariates, first: int) -> ResidualHistory:
    """Return the forecasts of the periods from number `first` on, 1 to the horizon ahead, and the measured values."""
    extended, count = series.extend(model.horizon), len(series) - first
    panel, day_shape = model.build_covariate_panel(series, covariates), model.day_shape_ or DayShape()
    amounts = model.forecaster.predict_steps(extended, panel, model.horizon, first, len(series))
    forecast = np.full((model.horizon, count, *series.values.shape[1:]), np.nan)
    for step in range(1, min(model.horizon, count) + 1):
        slot_amounts = day_shape.spread(amounts[step - 1, step - 1 :], series, panel, step, first + step - 1)
        forecast[step - 1, step - 1 :] = slot_amounts
    return ResidualHistory(forecast, series.values[first:])


def _list_judged_notes(model: ForecastModel, series: Panel, first: int, counts: AlarmCounts) -> Iterator[Message]:
    yield Message(
        N_("The alarms are those of {start} to {end}, the measured periods after the training of the model."),
        {"start": str(series.periods[first])[:10], "end": str(series.periods[-1])[:10]},
    )
    unknown = series.values[first:, :, 0].size - counts.judged
    if unknown:
        yield Message(
            N_(
                "Days of an entity that are not judged, because their measured values or their forecasts are missing: "
                "{count}."
            ),
            {"count": unknown},
        )


def _build_nothing() -> dict[str, Any]:
    return {"judged": pd.DataFrame(), "alarms": pd.DataFrame(), "alarm_counts": AlarmCounts()}
