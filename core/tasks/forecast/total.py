"""Total of all entities as one more series of a forecast, with its own prediction intervals."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.evaluation.intervals import around, conformal, size
from core.forecasters.scoring import quantile_name
from core.tasks.forecast.result import Forecast

Floats = NDArray[np.float64]

TOGETHER = ""
"""The name of the sum: no entity has it."""


def total(found: Forecast) -> Forecast:
    """Return the forecast of the sum of its `summable` entities: `rows` and `checked` have one entity, `TOGETHER`.

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
        >>> total(forecast).rows[["q0.05", "forecast", "q0.95"]].round(0).values.tolist()  # the error is 14 MWh, not 20
        [[178.0, 200.0, 224.0]]
    """
    entities = summable(found)
    parts = [table[table["entity"].isin(entities)] for table in (found.rows, found.checked)]
    rows = _added(parts[0], ["forecast", "naive1", "naive7"], len(entities))
    rows["assumed"] = _of_each(rows, parts[0].groupby(["step", "time"], observed=True)["assumed"].any())
    checked = _added(parts[1], ["actual", "forecast", "naive7"], len(entities))
    if "temperature" in found.checked:
        checked["temperature"] = _of_each(
            checked, parts[1].groupby(["step", "time"], observed=True)["temperature"].mean()
        )
    bands = _bands(rows, checked, np.array(found.model_spec.quantiles))
    named = {quantile_name(level): bands[:, place] for place, level in enumerate(found.model_spec.quantiles)}
    return replace(found, rows=rows.assign(**named), checked=checked)


def summable(found: Forecast) -> list[str]:
    """Return the entities with a forecast; an entity whose data end long before the others has none."""
    known = found.rows.loc[found.rows["forecast"].notna(), "entity"]
    return sorted(known.astype(str).unique())


def _of_each(rows: pd.DataFrame, values: pd.Series) -> NDArray[np.generic]:
    """Return `values`, indexed by step and time, for every row."""
    found: NDArray[np.generic] = values.reindex(pd.MultiIndex.from_frame(rows[["step", "time"]])).to_numpy()
    return found


def _added(table: pd.DataFrame, numbers: list[str], count: int) -> pd.DataFrame:
    """Return the sums over `count` entities by step and time; timestamps with fewer entities are left out."""
    groups = table.groupby(["step", "time"], observed=True)
    sums = groups[numbers].sum(min_count=count)[groups.size() == count]
    return sums.astype("float64").reset_index().assign(entity=TOGETHER)


def _bands(rows: pd.DataFrame, checked: pd.DataFrame, quantiles: Floats) -> Floats:
    """Return the quantiles of `rows`, (rows, quantiles); NaN without errors of the backtest."""
    found = np.full((len(rows), len(quantiles)), np.nan)
    for place, past in _alike(rows, checked):
        level = np.abs(past["actual"].to_numpy(np.float64)).mean().reshape(1, 1)
        then, now = (_column(table["forecast"]) for table in (past, rows.iloc[place]))
        errors = (_column(past["actual"]) - then) / size(then, level, "root")
        spread = conformal(errors, quantiles)
        found[place] = around(now, spread, size(now, level, "root"))[:, 0, 0]
    return found


def _alike(rows: pd.DataFrame, checked: pd.DataFrame) -> Iterator[tuple[NDArray[np.intp], pd.DataFrame]]:
    """Yield the indices of the rows with the same step and time of day, and the matching rows of the backtest.

    The backtest of hourly amounts has only some steps. The next larger step replaces a missing one, because its errors
    are not smaller.
    """
    kept = np.sort(checked["step"].unique())
    for step in rows["step"].unique():
        nearest = kept[kept >= step][:1] if (kept >= step).any() else kept[-1:]
        past = checked[checked["step"].isin(nearest)]
        clock, past_clock = rows["time"].dt.time, past["time"].dt.time
        for moment in clock[rows["step"] == step].unique():
            own = past[past_clock == moment]
            if len(own):
                yield np.flatnonzero((rows["step"] == step) & (clock == moment)), own


def _column(values: pd.Series) -> Floats:
    """Return the values with the shape (values, 1, 1)."""
    return values.to_numpy(np.float64)[:, None, None]
