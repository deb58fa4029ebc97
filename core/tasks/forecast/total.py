"""The sum of all entities as one more series of a forecast, with intervals of its own."""

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
    """`found` for the sum of its `summable` entities: `rows` and `checked` with one entity, TOGETHER.

    Quantiles cannot be added up, because the entities do not err all at once: those of the sum come from the errors
    that
    the sums of the back-test's forecasts made. Moments at which an entity is missing are left out. `checked` has no
    quantiles then.
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
    """The entities that have a forecast; those whose data end long before the others' have none."""
    known = found.rows.loc[found.rows["forecast"].notna(), "entity"]
    return sorted(known.astype(str).unique())


def _of_each(rows: pd.DataFrame, values: pd.Series) -> NDArray[np.generic]:
    """`values` by number of days ahead and moment, for every row."""
    found: NDArray[np.generic] = values.reindex(pd.MultiIndex.from_frame(rows[["step", "time"]])).to_numpy()
    return found


def _added(table: pd.DataFrame, numbers: list[str], count: int) -> pd.DataFrame:
    """Sums over `count` entities per number of days ahead and moment."""
    groups = table.groupby(["step", "time"], observed=True)
    sums = groups[numbers].sum(min_count=count)[groups.size() == count]
    return sums.astype("float64").reset_index().assign(entity=TOGETHER)


def _bands(rows: pd.DataFrame, checked: pd.DataFrame, quantiles: Floats) -> Floats:
    """Quantiles of `rows`, shape (rows, quantiles); NaN where the back-test tells nothing."""
    found = np.full((len(rows), len(quantiles)), np.nan)
    for place, past in _alike(rows, checked):
        level = np.abs(past["actual"].to_numpy(np.float64)).mean().reshape(1, 1)
        then, now = (_column(table["forecast"]) for table in (past, rows.iloc[place]))
        errors = (_column(past["actual"]) - then) / size(then, level, "root")
        spread = conformal(errors, quantiles)
        found[place] = around(now, spread, size(now, level, "root"))[:, 0, 0]
    return found


def _alike(rows: pd.DataFrame, checked: pd.DataFrame) -> Iterator[tuple[NDArray[np.intp], pd.DataFrame]]:
    """Positions of rows with one number of days ahead and one time of the day, and the back-test's rows for them.

    Of hours the back-test keeps only some numbers of days ahead: the next larger one stands in, whose errors are no
    smaller.
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
    """Shape (values, 1, 1)."""
    return values.to_numpy(np.float64)[:, None, None]
