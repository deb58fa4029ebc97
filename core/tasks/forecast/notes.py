"""Notes of a forecast: limits that a reader has to know."""

from collections.abc import Iterator

import numpy as np

from core.data.covariates import Drivers
from core.data.dataset import DAY
from core.data.panel import STALE, Panel
from core.forecasters.forecast_model import ForecastModel
from core.messages import N_, Text
from core.tasks.forecast.spec import ForecastSpec


def list_notes(model: ForecastModel, spec: ForecastSpec, series: Panel, drivers: Drivers) -> tuple[Text, ...]:
    """Return the notes on the test, its weather, assumed covariates, and entities without a forecast."""
    return (
        Text(
            N_(
                "Tested from {start}: the model was fitted once on the days before, then asked every day for "
                "the next {horizon}."
            ),
            {"start": spec.backtest_from, "horizon": spec.horizon},
        ),
        *_weather_notes(model, spec),
        *_assumed_notes(model, spec, series, drivers),
        *_series_notes(series),
    )


def _weather_notes(model: ForecastModel, spec: ForecastSpec) -> Iterator[Text]:
    if "temperature" in model.columns_ and spec.weather == "as given":
        yield Text(N_("The test knows the weather that really came, as a perfect weather forecast would."))
    if spec.weather == "degraded":
        yield Text(
            N_(
                "The test knows the weather with the error of a usual forecast: 1.1 °C one day ahead, 2.7 "
                "°C seven days ahead."
            )
        )


def _assumed_notes(model: ForecastModel, spec: ForecastSpec, series: Panel, drivers: Drivers) -> Iterator[Text]:
    assumed = model.known(series, drivers).assumed[len(series) : len(series) + spec.horizon].any(axis=1)
    if assumed.any():
        day = series.days[-1] + DAY * int(np.argmax(assumed))
        yield Text(
            N_(
                "No file gives all drivers beyond {day}: their usual values for the date stand in, and "
                "the real error will be larger than the test's."
            ),
            {"day": str(day)[:10]},
        )


def _series_notes(series: Panel) -> Iterator[Text]:
    amounts = series.amounts
    for number, entity in enumerate(series.entities):
        own = np.flatnonzero(np.isfinite(amounts[:, number]))
        if not len(own) or len(series) - own[-1] > STALE:
            last = str(series.days[own[-1]])[:10] if len(own) else "–"
            yield Text(N_("{entity} ends on {day}: no forecast."), {"entity": entity, "day": last})
    absurd = int((np.isfinite(amounts) & np.isnan(series.lessons)).sum())
    if absurd:
        yield Text(
            N_("Days left out of learning because their amount is absurd beside their neighbours: {count}."),
            {"count": absurd},
        )
