"""Features of the temperature: degree-days with memory for linear models, changes since the origin for trees."""

import numpy as np
import pandas as pd

from core.array_types import Floats
from core.data.dataset import DAY
from core.data.panel import Panel
from core.forecasters.features.feature_matrix import FeatureBuilder
from core.forecasters.features.feature_plan import FeaturePlan, find_season_lag
from core.forecasters.panels.covariate_panel import CovariatePanel

HEATING_BASES_C = (10, 13, 16, 19)  # °C; several bases, because consumption bends over a range of temperatures
COOLING_BASES_C = (20, 24)  # °C
TIME_HEATING_C, TIME_COOLING_C = 16, 21  # °C, below and above which the temperature at a time counts
TIME_MEMORY_SHARE = 4  # of a day: the temperature of the last quarter of a day counts, too
MEMORY_WEIGHTS = (0.6, 0.35, 0.15)  # of exponential means: buildings store heat for days


def _ends_next_morning(panel: Panel) -> bool:
    """Tell whether a period is a day that ends in the next morning, such as the gas day at 06:00."""
    return panel.frequency == "D" and panel.day_start > 0


def _list_temperatures(
    panel: Panel, covariates: CovariatePanel, periods_back: int, step: int
) -> list[tuple[str, Floats]]:
    """Return the temperature of a day, and of the next morning for a day that ends then (gas day: 06:00)."""
    temperatures = [("", covariates.get_known_values("temperature", periods_back, step))]
    if _ends_next_morning(panel):
        temperatures.append((", next morning", covariates.get_known_values("temperature", periods_back - 1, step)))
    return temperatures


def add_degree_days(
    builder: FeatureBuilder, panel: Panel, covariates: CovariatePanel, step: int, plan: FeaturePlan
) -> Floats:
    """Add degree-days with several bases and memories; return the degrees below 16 °C, (days, entities)."""
    for suffix, temperature in _list_temperatures(panel, covariates, 0, step):
        builder.add_feature("weather", f"temperature{suffix}", temperature)
        for base in HEATING_BASES_C:
            builder.add_feature("weather", f"heating {base}{suffix}", np.maximum(base - temperature, 0))
        for base in COOLING_BASES_C:
            builder.add_feature("weather", f"cooling {base}{suffix}", np.maximum(temperature - base, 0))
    for column in ("temperature_min", "temperature_max"):
        if column in covariates.columns:
            builder.add_feature("weather", column, covariates.get_known_values(column, 0, step))
    if _ends_next_morning(panel) and "temperature_min" in covariates.columns:
        builder.add_feature(
            "weather", "temperature_min, next morning", covariates.get_known_values("temperature_min", -1, step)
        )
    for weight in MEMORY_WEIGHTS:
        mean_temperature = _compute_memory(covariates, weight, 0, step, plan)
        builder.add_feature("weather", f"heating 16, memory {weight}", np.maximum(16 - mean_temperature, 0))
    return np.maximum(16 - covariates.get_known_values("temperature", 0, step), 0)


def list_lagged_heating(
    panel: Panel, covariates: CovariatePanel, lag: int, step: int, plan: FeaturePlan
) -> list[tuple[str, Floats]]:
    """Return the degree-days on the day of a lag, so that the model can separate its weather from its level."""
    if not covariates.has_temperature:
        return []
    at_times = [(f"{name} at its time", values) for name, values in _list_degrees_at_times(covariates, lag)]
    heating = [
        (f"heating 16{suffix}", np.maximum(16 - value, 0))
        for suffix, value in _list_temperatures(panel, covariates, lag, step)
    ]
    return [
        *heating,
        *at_times,
        ("heating 16, memory", np.maximum(16 - _compute_memory(covariates, 0.35, lag, step, plan), 0)),
    ]


def add_times(builder: FeatureBuilder, covariates: CovariatePanel, step: int, plan: FeaturePlan) -> None:
    """Add the covariates at the times of the day, as differences to their days, for steps shorter than a day."""
    for name in covariates.at_times:
        value = covariates.get_times(name, 0)[:, :, 0]
        builder.add_feature("weather", f"{name} at its time", value - covariates.get_known_values(name, 0, step))
    for name, degrees in _list_degrees_at_times(covariates, 0):
        builder.add_feature("weather", f"{name} at its time", degrees)
        memory = pd.DataFrame(degrees).ewm(span=max(plan.day_length // TIME_MEMORY_SHARE, 2)).mean().to_numpy()
        builder.add_feature("weather", f"{name} at its time, memory", memory)


def add_times_change(builder: FeatureBuilder, covariates: CovariatePanel, step: int, plan: FeaturePlan) -> None:
    """Add the covariates at the times of the day, and their change since the same time of the last known day."""
    lag = find_season_lag(step, min(plan.seasons, default=1))
    for name in covariates.at_times:
        value, earlier = (covariates.get_times(name, periods)[:, :, 0] for periods in (0, lag))
        builder.add_feature("weather", f"{name} at its time", value)
        builder.add_feature("weather", f"{name} at its time, change", value - earlier)


def _list_degrees_at_times(covariates: CovariatePanel, periods_back: int) -> list[tuple[str, Floats]]:
    """Return the heating and cooling degrees of steps shorter than a day, some periods before every period."""
    if "temperature" not in covariates.at_times or covariates.at_times["temperature"].shape[2] > 1:
        return []
    celsius = covariates.get_times("temperature", periods_back)[:, :, 0]
    heating, cooling = np.maximum(TIME_HEATING_C - celsius, 0), np.maximum(celsius - TIME_COOLING_C, 0)
    return [(f"heating {TIME_HEATING_C}", heating), (f"cooling {TIME_COOLING_C}", cooling)]


def add_weather_change(
    builder: FeatureBuilder, panel: Panel, covariates: CovariatePanel, step: int, plan: FeaturePlan
) -> None:
    """Add the weather of the day, and its change since the forecast origin."""
    season_lag = find_season_lag(step, min(plan.seasons, default=1))

    def add_with_change(name: str, value: Floats, origin_value: Floats) -> None:
        builder.add_feature("weather", name, value)
        builder.add_feature("weather", f"{name}, change", value - origin_value)

    for (suffix, current), (_, at_origin) in zip(
        _list_temperatures(panel, covariates, 0, step), _list_temperatures(panel, covariates, step, step), strict=True
    ):
        add_with_change(f"temperature{suffix}", current, at_origin)
    for weight in MEMORY_WEIGHTS:
        current, at_origin = (
            _compute_memory(covariates, weight, periods_back, step, plan) for periods_back in (0, step)
        )
        add_with_change(f"memory {weight}", current, at_origin)
    cold_today, cold_at_origin, cold_a_season_before = (
        _compute_felt_cold(panel, covariates, periods_back, step, plan) for periods_back in (0, step, season_lag)
    )
    add_with_change("cold", cold_today, cold_at_origin)
    builder.add_feature("weather", "cold, ratio", np.log((cold_today + 2) / (cold_at_origin + 2)))
    builder.add_feature(
        "weather", "cold, ratio to the same weekday", np.log((cold_today + 2) / (cold_a_season_before + 2))
    )
    for column, periods_back in (("temperature_min", -1 if _ends_next_morning(panel) else 0), ("temperature_max", 0)):
        if column in covariates.columns:
            builder.add_feature("weather", column, covariates.get_known_values(column, periods_back, step))


def _compute_felt_cold(
    panel: Panel, covariates: CovariatePanel, periods_back: int, step: int, plan: FeaturePlan
) -> Floats:
    """Return the degrees below 16 °C of a temperature with memory of the previous days.

    A day that ends in the next morning includes the temperature of that morning.
    """
    felt_temperature = 0.5 * sum(
        _compute_memory(covariates, weight, periods_back, step, plan) for weight in (0.6, 0.35)
    )
    if _ends_next_morning(panel):
        felt_temperature = 0.7 * felt_temperature + 0.3 * covariates.get_known_values(
            "temperature", periods_back - 1, step
        )
    return np.maximum(16 - felt_temperature, 0)


def _compute_memory(
    covariates: CovariatePanel, last_day_weight: float, periods_back: int, step: int, plan: FeaturePlan
) -> Floats:
    """Return an exponentially weighted mean of the temperature.

    Where the history is short, the mean of its first two weeks has only the periods that are known.
    """
    mean = covariates.compute_weighted_mean("temperature", last_day_weight, periods_back, step)
    if plan.is_complete:
        return mean
    table = pd.DataFrame(covariates.get_known_values("temperature", periods_back, step))
    weight = 1 - (1 - last_day_weight) ** min(covariates.step / DAY, 1.0)
    return np.where(np.isfinite(mean), mean, table.ewm(alpha=weight).mean().where(table.notna()))
