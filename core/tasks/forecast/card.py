"""Data of the run card of a forecast."""

import pandas as pd

from core.messages import N_, Text
from core.runs.card_data import CardData, describe_part, finite
from core.runs.card_model import Intervals, Picture, ScoreCard
from core.tasks.forecast.result import Forecast

NAIVE = ("naive1", "naive7")
COLUMNS = ("mae", "wape", "rmse", "r2", "mase", "quantile_loss")


def describe(forecast: Forecast) -> CardData:
    """Return the errors, those of the naive forecasts, nominal and measured coverage, and the errors by days ahead."""
    quantiles, overall = forecast.model_spec.quantiles, _overall(forecast)
    low, high = min(quantiles), max(quantiles)
    return CardData(
        files=forecast.data.files,
        covariate_files=tuple(filter(None, (str(join.get("file", "")) for join in forecast.joins))),
        part=describe_part(forecast.rows, forecast.selection),
        score_card=_score_card(forecast, overall),
        intervals=Intervals(low, high, high - low, finite(overall.get("coverage"))),
        counts={
            name: value
            for name in ("skill_naive1", "skill_naive7", "days")
            if (value := finite(overall.get(name))) is not None
        },
        picture=_errors_by_day(forecast),
        notes=forecast.notes,
    )


def _overall(forecast: Forecast) -> pd.Series:
    """Return the metrics over all entities and days ahead; empty without them."""
    together = forecast.scores[(forecast.scores["entity"] == "") & (forecast.scores["step"] == 0)]
    return together.iloc[0] if len(together) else pd.Series(dtype=float)


def _score_card(forecast: Forecast, overall: pd.Series) -> ScoreCard:
    own = (forecast.model_spec.forecaster.name, tuple(finite(overall.get(name)) for name in COLUMNS))
    naive = ((name, tuple(finite(overall.get(f"{column}_{name}")) for column in COLUMNS)) for name in NAIVE)
    return ScoreCard(COLUMNS, (own, *naive))


def _errors_by_day(forecast: Forecast) -> Picture:
    steps = forecast.per_step()
    columns = {forecast.model_spec.forecaster.name: "wape", **{name: f"wape_{name}" for name in NAIVE}}
    series = {name: tuple(map(finite, steps[column])) for name, column in columns.items()}
    return Picture("lines", Text(N_("WAPE by number of days ahead")), tuple(map(float, steps["step"])), series)
