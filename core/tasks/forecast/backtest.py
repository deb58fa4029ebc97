"""Backtest as tables of the result, and the example input of a saved model."""

import numpy as np
import pandas as pd

from core.data.covariates import Drivers
from core.data.panel import Panel
from core.evaluation.forecasts import mae
from core.evaluation.intervals import Errors
from core.forecasters.backtest import Backtest, naive_forecasts, weekly_error
from core.forecasters.forecast_model import ForecastModel
from core.forecasters.scoring import judged
from core.tasks.forecast.spec import ForecastSpec

EXAMPLE_DAYS = 120


def score_backtest(tested: Backtest, spec: ForecastSpec, drivers: Drivers) -> dict[str, pd.DataFrame]:
    """Return the tables of the errors and the coverage of a backtest."""
    temperature = None
    if "temperature" in drivers.columns:
        temperature = drivers.array(tested.series.entities, tested.days)[:, :, drivers.columns.index("temperature")]
    return judged(tested, np.array(spec.quantiles), temperature)


def rebuild_backtest(series: Panel, errors: Errors, spec: ForecastSpec) -> Backtest:
    """Return the backtest of a saved model from its errors, from the start of the test on."""
    start = len(series) - errors.forecast.shape[1]
    first = max(int(series.days.searchsorted(pd.Timestamp(spec.backtest_from))), start)
    naive = naive_forecasts(series, start, spec.horizon)
    return Backtest(series, first, start, errors, naive, weekly_error(series, first))


def measure_importance(tested: Backtest) -> pd.DataFrame:
    """Return the growth of the mean absolute error when a group of features is shuffled.

    Columns: group, step, spared (growth as a share of the error).
    """
    forecaster, known, amounts = tested.forecaster, tested.known, tested.series.amounts[tested.first :]
    assert forecaster is not None
    assert known is not None
    rows = []
    for step in sorted({1, tested.horizon}):
        spared = forecaster.importance(tested.series, known, step, tested.first)
        error = mae(amounts, forecaster.predict(tested.series, known, step, tested.first))
        rows += [
            {"group": group, "step": step, "spared": value / error if error else 0.0} for group, value in spared.items()
        ]
    return pd.DataFrame(rows, columns=["group", "step", "spared"])


def example_table(series: Panel, drivers: Drivers, model: ForecastModel) -> pd.DataFrame:
    """Return the last 120 days and the future covariates as a table.

    It is the example input of the model that MLflow serves.
    """
    longer = series.last(EXAMPLE_DAYS).extended(model.horizon + 1)
    days, entities, slots = longer.values.shape
    table = pd.DataFrame(
        {
            "entity": np.tile(np.repeat(np.array(longer.entities, dtype=object), slots), days),
            "time": np.repeat(longer.moments(longer.days).to_numpy().reshape(days, 1, slots), entities, axis=1).ravel(),
            "value": longer.values.ravel(),
        }
    )
    given = drivers.array(longer.entities, longer.days)
    for name in model.columns_:
        table[name] = np.repeat(given[:, :, drivers.columns.index(name)], slots, axis=1).ravel()
    return table
