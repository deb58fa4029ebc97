"""Generated consumption, weather and covariates for the tests of forecasters."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from core.array_types import Floats
from core.data.covariates import Covariates, CovariateTable, join_covariates
from core.data.covariates.covariate_table import NATION
from core.data.dataset import Dataset, make_clock_labels, make_index

START_DATE = "2021-01-01"
HOURLY_SHAPE = 1 + 0.5 * np.exp(-(((np.arange(24) - 8) / 3) ** 2))
ONE_DAY = pd.Timedelta(days=1)


def make_calendar(count: int, start: str = START_DATE) -> pd.DatetimeIndex:
    """Return `count` days from `start` on."""
    return pd.date_range(start, periods=count, freq="D", name="day")


def make_temperatures(count: int, start: str = START_DATE, seed: int = 1) -> Floats:
    """Return daily temperatures in °C: a yearly wave and weather that lasts some days."""
    days, random = make_calendar(count, start), np.random.default_rng(seed)
    weather = pd.Series(random.normal(0, 2.5, count)).ewm(alpha=0.4).mean().to_numpy()
    return np.asarray(12 - 8 * np.cos(2 * np.pi * (days.dayofyear.to_numpy() - 20) / 365.25) + 2 * weather)


def make_consumption(
    count: int, entities: int = 2, start: str = START_DATE, seed: int = 0, strike: Floats | None = None
) -> Floats:
    """Return daily consumption, shape (days, entities).

    It rises below 16 °C, is 15 % lower on weekends and 20 % lower on days of `strike`, and has a noise of 2 %.
    """
    days, random = make_calendar(count, start), np.random.default_rng(seed)
    cold = np.maximum(16 - make_temperatures(count, start), 0)
    usual = (20 + 5 * cold) * np.where(days.dayofweek >= 5, 0.85, 1.0)
    usual = usual if strike is None else usual * np.where(strike > 0, 0.8, 1.0)
    levels = 10.0 * (1 + np.arange(entities))
    return np.asarray(usual[:, None] * levels * random.normal(1, 0.02, (count, entities)))


def make_daily_dataset(
    amounts: Floats, start: str = START_DATE, unit: str = "MWh", step: pd.Timedelta = ONE_DAY
) -> Dataset:
    """Return a dataset with one row per entity ("a", "b" …) and day of `amounts`, shape (days, entities).

    Rows that are NaN are kept.
    """
    count, entities = amounts.shape
    time = pd.date_range(start, periods=count, freq=step)
    index = make_index(np.repeat(name_entities(entities), count), np.tile(time, entities))
    frame = pd.DataFrame({"value": amounts.T.ravel()}, index=index)
    return Dataset(frame, "tidy_series", step=step, unit=unit, files=("made.csv",))


def make_hourly_dataset(amounts: Floats, start: str = START_DATE, unit: str = "MWh", day_start: int = 0) -> Dataset:
    """Return a dataset of 24-hour profiles per entity and day; each entity has its peak at another hour."""
    count, entities = amounts.shape
    shapes = np.stack([np.roll(HOURLY_SHAPE, 6 * number) / HOURLY_SHAPE.sum() for number in range(entities)])
    values = amounts.T[:, :, None] * shapes[:, None]
    index = make_index(np.repeat(name_entities(entities), count), np.tile(make_calendar(count, start), entities))
    frame = pd.DataFrame(values.reshape(-1, 24), index=index, columns=make_clock_labels(24))
    return Dataset(
        frame,
        "daily_profile",
        profile=True,
        step=pd.Timedelta(hours=1),
        unit=unit,
        day_start=day_start,
        files=("made.csv",),
    )


def name_entities(count: int) -> list[str]:
    """Return the names of `count` entities: "a", "b" …."""
    return list("abcdefghijklmnop"[:count])


def make_covariate_table(
    columns: Mapping[str, Floats], start: str = START_DATE, kind: str = "weather"
) -> CovariateTable:
    """Return a national table of covariates with one value per day."""
    count = len(next(iter(columns.values())))
    index = pd.MultiIndex.from_product([[NATION], make_calendar(count, start)], names=["place", "day"])
    return CovariateTable(kind, pd.DataFrame(dict(columns), index=index, dtype=float), "covariates.csv")


def join_tables(dataset: Dataset, tables: Sequence[CovariateTable], ahead: int = 30) -> Covariates:
    """Join tables of covariates with a dataset, up to `ahead` days after its last day."""
    return join_covariates(
        dataset, tables, last_day=pd.Timestamp(dataset.time.max()) + pd.Timedelta(days=ahead), calendar="FR"
    )
