"""Declaration of the task forecast for the registry of tasks."""

from core.messages import N_
from core.spec.metric import Metric
from core.spec.query import Query
from core.spec.task import Mode, Task
from core.tasks.forecast.spec import ForecastApplySpec, ForecastSpec, RecalibrationSpec
from mlflow_utils.registry import PromotionMetric

TASK = Task(
    name="forecast",
    label=N_("Forecast"),
    modes=(
        Mode(
            ForecastSpec,
            "core.tasks.forecast.run:forecast",
            "forecast",
            label=N_("Train on these days"),
            options="core.tasks.forecast.command:OPTIONS",
        ),
        Mode(ForecastApplySpec, "core.tasks.forecast.run:apply_model", "forecast", label=N_("Apply a saved model")),
        Mode(RecalibrationSpec, "core.tasks.forecast.run:recalibrate", "forecast"),
    ),
    result="core.tasks.forecast.result:Forecast",
    card="core.tasks.forecast.card:describe",
    report="core.tasks.forecast.report:describe_report",
    json_fields="core.tasks.forecast.command:to_answer",
    lines="core.tasks.forecast.command:to_lines",
    page="forecast",
    action=N_("Forecast"),
    icon="trending_up",
    headline="wape",
    accuracy="wape",
    metrics=(
        Metric("alarms", N_("Alarms")),
        Metric("alarm_rate", N_("Alarm rate"), "%"),
        Metric("promised_rate", N_("Expected alarm rate"), "%"),
        Metric("lasting_rate", N_("Alarm rate of the means of a week"), "%"),
    ),
    promotion=PromotionMetric(
        "wape",
        lower_is_better=True,
        tags=("dataset.digest",),
        params=("backtest_from", "backtest_until", "horizon", "entities", "resolution", "weather"),
        optional_params=("measure",),
    ),
    saves_model=True,
    queries=(
        Query(
            "what_if",
            "core.tasks.forecast.what_if:ScenarioSpec",
            "core.tasks.forecast.what_if:forecast_scenario",
            "core.tasks.forecast.what_if:ScenarioForecast",
        ),
    ),
)
