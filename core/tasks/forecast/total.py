"""Total of all entities as one more series of a forecast, with its own prediction intervals."""

from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.array_types import Floats
from core.evaluation.conformal import ResidualHistory
from core.forecasters.backtests.backtest_report import format_quantile_name
from core.tasks.forecast.result import Forecast

TOTAL_ENTITY = ""
"""The name of the sum: no entity has it."""


def sum_entities(forecast: Forecast) -> Forecast:
    """Return the forecast of the sum of the entities of `list_summable_entities`, as one entity `TOTAL_ENTITY`.

    Quantiles cannot be added, because the errors of the entities are not perfectly correlated. The intervals of the
    total come from the errors of the summed forecasts in the backtest. Timestamps without all entities are left out.
    `checked` has no quantiles.

    Example:
        >>> from core.data.dataset import DataSummary
        >>> from core.tasks.forecast.spec import ForecastSpec
        >>> days, empty, spec = pd.date_range("2024-01-01", periods=100), pd.DataFrame(), ForecastSpec()
        >>> errors = np.random.default_rng(0).normal(0, 10, (2, 100))  # independent errors of two entities, 10 MWh
        >>> checked = pd.concat(
        ...     pd.DataFrame({"entity": name, "step": 1, "time": days, "actual": 100 + errors[index],
        ...                   "forecast": 100.0, "naive7": 100.0})
        ...     for index, name in enumerate(("a", "b"))
        ... )
        >>> rows = pd.DataFrame({"entity": ["a", "b"], "step": 1, "time": days[-1] + pd.Timedelta(days=1),
        ...                      "forecast": 100.0, "naive1": 100.0, "naive7": 100.0, "assumed": False})
        >>> data = DataSummary(("load.csv",), "MWh", False, ("load",))
        >>> forecast = Forecast(spec, spec, data, "2024-04-09", ("day",), (), (), {}, (), rows, empty, checked, empty)
        >>> sum_entities(forecast).rows[["q0.05", "forecast", "q0.95"]].round(0).values.tolist()
        [[174.0, 200.0, 230.0]]
    """
    entities = list_summable_entities(forecast)
    tables = [table[table["entity"].isin(entities)] for table in (forecast.rows, forecast.checked)]
    rows = _sum_rows(tables[0], ["forecast", "naive1", "naive7"], len(entities))
    rows["assumed"] = _align_to_rows(rows, tables[0].groupby(["step", "time"], observed=True)["assumed"].any())
    checked = _sum_rows(tables[1], ["actual", "forecast", "naive7"], len(entities))
    if "temperature" in forecast.checked:
        checked["temperature"] = _align_to_rows(
            checked, tables[1].groupby(["step", "time"], observed=True)["temperature"].mean()
        )
    bands = _compute_quantiles(rows, checked, np.array(forecast.model_spec.quantiles))
    quantile_columns = {
        format_quantile_name(level): bands[:, index] for index, level in enumerate(forecast.model_spec.quantiles)
    }
    return replace(forecast, rows=rows.assign(**quantile_columns), checked=checked)


def list_summable_entities(forecast: Forecast) -> list[str]:
    """Return the entities with a forecast; an entity whose data end long before the others has none."""
    forecast_entities = forecast.rows.loc[forecast.rows["forecast"].notna(), "entity"]
    return sorted(forecast_entities.astype(str).unique())


def _align_to_rows(rows: pd.DataFrame, values: pd.Series) -> NDArray[np.generic]:
    """Return `values`, indexed by step and time, for every row."""
    aligned: NDArray[np.generic] = values.reindex(pd.MultiIndex.from_frame(rows[["step", "time"]])).to_numpy()
    return aligned


def _sum_rows(table: pd.DataFrame, columns: list[str], count: int) -> pd.DataFrame:
    """Return the sums over `count` entities by step and time; timestamps with fewer entities are left out."""
    groups = table.groupby(["step", "time"], observed=True)
    sums = groups[columns].sum(min_count=count)[groups.size() == count]
    return sums.astype("float64").reset_index().assign(entity=TOTAL_ENTITY)


def _compute_quantiles(rows: pd.DataFrame, checked: pd.DataFrame, quantiles: Floats) -> Floats:
    """Return the quantiles of `rows`, (rows, quantiles); NaN without errors of the backtest."""
    quantile_values = np.full((len(rows), len(quantiles)), np.nan)
    for step in rows["step"].unique():
        past_rows = _select_backtest_rows(checked, int(step))
        past_forecast, actual = (_arrange_by_day(past_rows, column) for column in ("forecast", "actual"))
        positions = np.flatnonzero(rows["step"] == step)
        slots = actual.columns.get_indexer(rows["time"].dt.time.iloc[positions])
        positions, slots = positions[slots >= 0], slots[slots >= 0]
        if not len(positions):
            continue
        forecast = np.full((1, actual.shape[1]), np.nan)
        forecast[0, slots] = rows["forecast"].to_numpy(np.float64)[positions]
        past_forecasts = np.broadcast_to(
            past_forecast.to_numpy(np.float64)[:, None], (int(step), len(actual), 1, forecast.shape[1])
        )
        errors = ResidualHistory(past_forecasts, actual.to_numpy(np.float64)[:, None])
        quantile_values[positions] = errors.compute_quantiles(forecast, int(step), quantiles)[0, slots]
    return quantile_values


def _select_backtest_rows(checked: pd.DataFrame, step: int) -> pd.DataFrame:
    """Return the rows of the backtest of the same step.

    The backtest of hourly amounts has only some steps. The next larger step replaces a missing one, because its errors
    are not smaller.
    """
    steps = np.sort(checked["step"].unique())
    nearest = steps[steps >= step][:1] if (steps >= step).any() else steps[-1:]
    return checked[checked["step"].isin(nearest)]


def _arrange_by_day(rows: pd.DataFrame, column: str) -> pd.DataFrame:
    """Return a column as a table of days × times of the day."""
    times = rows["time"].dt
    return rows.assign(day=times.normalize(), slot=times.time).pivot_table(
        column, index="day", columns="slot", aggfunc="first", dropna=False
    )
