"""Backtest as tables of the result, and the example input of a saved model."""

from typing import Any

import numpy as np
import pandas as pd

from core.data.covariates import Covariates
from core.data.panel import Panel
from core.evaluation.conformal import ResidualHistory
from core.evaluation.forecast_metrics import mae
from core.forecasters.backtests.backtest import Backtest, compute_naive_forecasts, compute_weekly_error
from core.forecasters.backtests.backtest_report import build_report
from core.forecasters.forecast_model import ForecastModel
from core.forecasters.panels.covariate_periods import read_deviations, read_periods
from core.tasks.forecast.alarms import judge_backtest
from core.tasks.forecast.spec import ForecastSpec

EXAMPLE_DAYS = 120


def score_backtest(backtest: Backtest, spec: ForecastSpec, covariates: Covariates) -> dict[str, Any]:
    """Return the tables of the errors, the coverage and the alarms of a backtest, with the counts of the alarms."""
    temperature = None
    if "temperature" in covariates.columns:
        values = read_periods(covariates, backtest.series, backtest.periods)
        temperature = values[:, :, covariates.columns.index("temperature")]
    return {
        **build_report(backtest, np.array(spec.quantiles), temperature),
        **judge_backtest(backtest, spec.alarm_level),
    }


def rebuild_backtest(series: Panel, errors: ResidualHistory, spec: ForecastSpec) -> Backtest:
    """Rebuild the backtest of a saved model from its stored forecasts, without fitting.

    The test starts at `spec.backtest_from`, or at the first stored forecast if that is later.
    """
    errors_start = len(series) - errors.forecast.shape[1]
    test_start = max(int(series.periods.searchsorted(pd.Timestamp(spec.backtest_from))), errors_start)
    naive = compute_naive_forecasts(series, errors_start, spec.horizon_periods)
    return Backtest(series, test_start, errors_start, errors, naive, compute_weekly_error(series, test_start))


def measure_importance(backtest: Backtest) -> pd.DataFrame:
    """Return the growth of the mean absolute error when a group of features is shuffled.

    Columns: group, step, spared (growth as a share of the error).
    """
    forecaster, covariates, amounts = (
        backtest.forecaster,
        backtest.covariates,
        backtest.series.amounts[backtest.test_start :],
    )
    assert forecaster is not None
    assert covariates is not None
    rows = []
    for step in sorted({1, backtest.horizon}):
        error_growth = forecaster.compute_importance(backtest.series, covariates, step, backtest.test_start)
        if not error_growth:  # a forecast of the whole period takes minutes with some forecasters
            continue
        error = mae(amounts, forecaster.predict(backtest.series, covariates, step, backtest.test_start))
        rows += [
            {"group": group, "step": step, "spared": value / error if error else 0.0}
            for group, value in error_growth.items()
        ]
    return pd.DataFrame(rows, columns=["group", "step", "spared"])


def build_example_table(series: Panel, covariates: Covariates, model: ForecastModel) -> pd.DataFrame:
    """Return the last 120 days and the future covariates as a table.

    It is the example input of the model that MLflow serves.
    """
    extended_series = series.tail(EXAMPLE_DAYS).extend(model.horizon + 1)
    days, entities, slots = extended_series.values.shape
    table = pd.DataFrame(
        {
            "entity": np.tile(np.repeat(np.array(extended_series.entities, dtype=object), slots), days),
            "time": np.repeat(
                extended_series.make_timestamps(extended_series.periods).to_numpy().reshape(days, 1, slots),
                entities,
                axis=1,
            ).ravel(),
            "value": extended_series.values.ravel(),
        }
    )
    values = read_periods(covariates, extended_series, extended_series.periods)
    for name in model.covariate_names_:
        by_slot = np.repeat(values[:, :, covariates.columns.index(name)][:, :, None], slots, axis=2)
        if name in model.timed_names_:
            by_slot = by_slot + read_deviations(covariates, extended_series, extended_series.periods, name)
        table[name] = by_slot.ravel()
    return table
