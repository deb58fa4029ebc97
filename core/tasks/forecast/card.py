"""Data of the run card of a forecast."""

import pandas as pd

from core.messages import N_, Message
from core.runs.card_data import CardData, describe_part, to_finite
from core.runs.card_model import CardIntervals, Picture, ScoreCard
from core.tasks.forecast.result import Forecast

NAIVE_NAMES = ("naive1", "naive7")
ALARM_METRICS = ("alarms", "alarm_rate", "promised_rate")
METRIC_COLUMNS = ("mae", "wape", "rmse", "r2", "mase", "quantile_loss", "mwql")


def describe(forecast: Forecast) -> CardData:
    """Return the errors, those of the naive forecasts, nominal and measured coverage, and the errors by days ahead."""
    quantiles, overall = forecast.model_spec.quantiles, _select_overall(forecast)
    low, high = min(quantiles), max(quantiles)
    return CardData(
        files=forecast.data.files,
        covariate_files=tuple(filter(None, (str(join.get("file", "")) for join in forecast.joins))),
        part=describe_part(forecast.rows, forecast.selection),
        score_card=_build_score_card(forecast, overall),
        intervals=CardIntervals(low, high, high - low, to_finite(overall.get("coverage"))),
        counts=_list_counts(forecast, overall),
        picture=_build_error_picture(forecast),
        notes=forecast.notes,
    )


def _list_counts(forecast: Forecast, overall: pd.Series) -> dict[str, float]:
    values = {name: to_finite(overall.get(name)) for name in ("skill_naive1", "skill_naive7", "days")}
    metrics = forecast.metrics()
    alarms = {name: metrics[name] for name in ALARM_METRICS if name in metrics}
    return {name: value for name, value in values.items() if value is not None} | alarms


def _select_overall(forecast: Forecast) -> pd.Series:
    """Return the metrics over all entities and days ahead; empty without them."""
    overall_rows = forecast.scores[(forecast.scores["entity"] == "") & (forecast.scores["step"] == 0)]
    return overall_rows.iloc[0] if len(overall_rows) else pd.Series(dtype=float)


def _build_score_card(forecast: Forecast, overall: pd.Series) -> ScoreCard:
    forecast_row = (forecast.model_spec.forecaster.name, tuple(to_finite(overall.get(name)) for name in METRIC_COLUMNS))
    naive_rows = (
        (name, tuple(to_finite(overall.get(f"{column}_{name}")) for column in METRIC_COLUMNS)) for name in NAIVE_NAMES
    )
    return ScoreCard(METRIC_COLUMNS, (forecast_row, *naive_rows))


def _build_error_picture(forecast: Forecast) -> Picture:
    steps = forecast.get_step_scores()
    columns = {forecast.model_spec.forecaster.name: "wape", **{name: f"wape_{name}" for name in NAIVE_NAMES}}
    series = {name: tuple(map(to_finite, steps[column])) for name, column in columns.items()}
    return Picture("lines", Message(N_("WAPE by number of days ahead")), tuple(map(float, steps["step"])), series)
