"""Generated sample files, one per layout, with anomalies injected at known rows."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.array_types import Floats
from core.data.call_records.simulator import CallSimulator, Fault, FaultKind
from core.data.dataset import Dataset, make_clock_labels
from core.data.ingest.loading import load
from core.data.outline import Outline, outline_dataset
from core.errors import OptionError
from core.exports import CsvFormat, write_csv
from core.messages import N_

SEED = 20240229
GAS_PERIOD = ("2022-10-01", "2024-09-30")
FUTURE_DAYS = 29  # days of weather after the data: the longest forecast and the morning after it


@dataclass(frozen=True)
class Sample:
    """Generated table with its label and summary; `outlook` tells what an analysis of it shows."""

    name: str
    label: str
    summary: str
    outlook: str
    make_table: Callable[[np.random.Generator], pd.DataFrame]


def make_sample_table(name: str) -> pd.DataFrame:
    """Return the table of the sample `name`, the same at every call.

    Raises OptionError for an unknown name.
    """
    makers = {sample.name: sample.make_table for sample in SAMPLES.values()} | COVARIATE_SAMPLES
    if name not in makers:
        raise OptionError(
            N_("The sample {name!r} does not exist. Available samples: {accepted}."),
            name=name,
            accepted=", ".join(makers),
        )
    return makers[name](np.random.default_rng(SEED))


def write_sample(name: str, path: Path, csv_format: CsvFormat = "point") -> None:
    """Write the sample `name` to the CSV file `path`."""
    write_csv(make_sample_table(name).round(4), path, csv_format)


def load_sample(name: str) -> Dataset:
    """Load the sample `name` as a dataset, through a CSV file as for any other data."""
    with TemporaryDirectory(prefix="vigie-") as folder:
        path = Path(folder) / f"sample_{name}.csv"
        write_sample(name, path)
        return load([path])


@cache
def outline_sample(name: str) -> Outline:
    """Return the outline of the sample `name`, computed once per process."""
    return outline_dataset(load_sample(name))


# ---- tables ---------------------------------------------------------------------------------------------------------


def _make_gas(random: np.random.Generator) -> pd.DataFrame:
    """Return two years of gas days in four regions: high in winter, low at weekends, two peaks a day."""
    return _make_gas_and_cold(random)[0]


def _make_gas_weather(random: np.random.Generator) -> pd.DataFrame:
    """Return the weather that the gas sample depends on, until 29 days after its end.

    The mean is about 2 °C in January and 20 °C in July; days with more consumption are colder.
    """
    cold_effect = _make_gas_and_cold(random)[1]
    days = pd.date_range(GAS_PERIOD[0], periods=len(cold_effect) + FUTURE_DAYS)
    mean = 11 - 12 * (_compute_season(days) - 1) - 25 * np.append(cold_effect, np.zeros(FUTURE_DAYS))
    table = pd.DataFrame(
        {"date": days.strftime("%Y-%m-%d"), "TMin (°C)": mean - 4, "TMax (°C)": mean + 4, "TMoy (°C)": mean}
    )
    return table.round(1)


def _make_gas_and_cold(random: np.random.Generator) -> tuple[pd.DataFrame, Floats]:
    """Return the gas table, and the effect of cold spells on the logarithm of its amounts, one value per day.

    The effect is the mean of the regions, weighted by their size.
    """
    days = pd.date_range(*GAS_PERIOD)
    tables, cold_effect, total_size = [], np.zeros(len(days)), 0.0
    for operator, region, size in (
        ("North Gas", "Coast", 420.0),
        ("North Gas", "Plain", 1500.0),
        ("South Gas", "Hills", 260.0),
        ("South Gas", "Plain", 90.0),
    ):
        hours = np.arange(24)
        shape = 1 + 0.22 * _make_peak(hours, 7.5, 2) + 0.18 * _make_peak(hours, 19, 2.5) - 0.2 * _make_peak(hours, 3, 3)
        level = size * _compute_season(days) * np.where(days.dayofweek >= 5, 0.93, 1.0)
        cold_spells = _make_random_walk(random, len(days), 0.05)
        cold_effect, total_size = cold_effect + size * cold_spells, total_size + size
        level = level * np.exp(cold_spells)
        values = level[:, None] * shape * np.exp(random.normal(0, 0.015, (len(days), 24)))
        injected = _inject_days(random, values, 8)
        table = pd.DataFrame(values, columns=make_clock_labels(24))
        table.insert(0, "date", days.strftime("%Y-%m-%d"))
        table.insert(1, "operator", operator)
        table.insert(2, "region", region)
        table["daily_consumption (MWh)"] = values.sum(axis=1)
        table["strike"] = days.isin(days[random.choice(len(days), 12, replace=False)])
        table["injected"] = injected
        tables.append(table)
    table = pd.concat(tables, ignore_index=True)
    table.loc[random.choice(len(table), 6, replace=False), ["13:00", "14:00"]] = np.nan
    return table.drop(index=[100, 101, 900]).sort_values(["date", "region"], kind="stable"), cold_effect / total_size


def _make_load(random: np.random.Generator) -> pd.DataFrame:
    """Return one year of quarter-hourly load of three substations."""
    days = pd.date_range("2024-01-01", "2024-12-31")
    quarters = np.arange(96) / 4
    tables = []
    for number, size in enumerate((35.0, 80.0, 12.0), start=1):
        shape = (
            1 + 0.5 * _make_peak(quarters, 12, 4) + 0.4 * _make_peak(quarters, 20, 2) - 0.3 * _make_peak(quarters, 4, 3)
        )
        level = size * (0.75 + 0.25 * _compute_season(days)) * np.where(days.dayofweek >= 5, 0.8, 1.0)
        values = level[:, None] * shape * np.exp(random.normal(0, 0.02, (len(days), 96)))
        injected = _inject_days(random, values, 6)
        table = pd.DataFrame(values, columns=make_clock_labels(96))
        table.insert(0, "day", days.strftime("%d/%m/%Y"))
        table.insert(1, "site", f"Substation {number}")
        table["total (MW)"] = values.sum(axis=1)
        table["injected"] = injected
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def _make_calls(random: np.random.Generator) -> pd.DataFrame:
    """Return sixteen weeks of hourly calls at three exchanges."""
    times = pd.date_range("2024-03-04", periods=16 * 7 * 24, freq="h")
    tables = []
    for name, size in (("Exchange A", 900.0), ("Exchange B", 350.0), ("Exchange C", 120.0)):
        daily_shape = (
            0.08 + _make_peak(times.hour.to_numpy(), 10.5, 2.5) + 0.8 * _make_peak(times.hour.to_numpy(), 16, 2.5)
        )
        expected_calls = size * daily_shape * np.where(times.dayofweek >= 5, 0.35, 1.0)
        calls = random.poisson(expected_calls).astype(float)
        injected_rows = random.choice(np.arange(24, len(times) - 24), 10, replace=False)
        calls[injected_rows[:5]] += 1.5 * size
        calls[injected_rows[5:]] *= 0.02
        injected = np.zeros(len(times), dtype=int)
        injected[injected_rows] = 1
        tables.append(pd.DataFrame({"timestamp": times, "series": name, "calls": calls, "injected": injected}))
    return pd.concat(tables, ignore_index=True)


TRUNK_FAULTS: tuple[tuple[FaultKind, str, str, str], ...] = (  # kind, trunk, time after the second Monday, duration
    ("outage", "T001", "134h", "2h"),
    ("ccr_drop", "T002", "86h", "3h"),
    ("spike_storm", "T003", "81h", "4h"),
    ("outage", "T004", "106h", "90min"),
    ("ccr_drop", "T001", "112h", "2h"),
)


def _make_trunk_calls(random: np.random.Generator) -> pd.DataFrame:
    """Return two weeks of quarter-hourly counts of calls on four trunks, with five faults in the second week."""
    monday = pd.Timestamp("2020-09-07")
    faults = tuple(
        Fault(kind, trunk, monday + pd.Timedelta(start), monday + pd.Timedelta(start) + pd.Timedelta(length))
        for kind, trunk, start, length in TRUNK_FAULTS
    )
    simulator = CallSimulator(
        trunks=4,
        days=14,
        start=monday - pd.Timedelta(days=7),
        calls_per_hour=400,
        faults=faults,
        seed=int(random.integers(1 << 32)),
    )
    return simulator.make_counts()


def _make_kpis(random: np.random.Generator) -> pd.DataFrame:
    """Return five days of twelve KPIs of a server per minute; ten of them follow the same load."""
    minutes = np.arange(5 * 1440)
    load = 0.5 + 0.3 * np.sin(2 * np.pi * minutes / 1440) + _make_random_walk(random, len(minutes), 0.01)
    kpis = np.column_stack(
        [load * weight + random.normal(0, 0.03, len(minutes)) for weight in np.linspace(1.0, 0.1, 10)]
        + [random.gamma(2.0, 0.05, len(minutes)), np.full(len(minutes), 0.25)]
    )
    injected = np.zeros(len(minutes), dtype=int)
    for start in random.choice(np.arange(500, len(minutes) - 100, 200), 8, replace=False):
        length = int(random.integers(5, 40))
        kpis[start : start + length, random.integers(0, 10, 3)] += 0.8
        injected[start : start + length] = 1
    table = pd.DataFrame(kpis, columns=[f"kpi_{number:02d}" for number in range(1, 13)])
    return table.assign(injected=injected)


SERVER_KPIS = (
    "cpu",
    "load",
    "memory",
    "disk_read",
    "disk_write",
    "net_in",
    "net_out",
    "requests",
    "connections",
    "latency",
    "errors",
    "temperature",
)
INCIDENTS: tuple[tuple[int, int, dict[str, float]], ...] = (  # minutes after the middle, minutes, size in noises (1 σ)
    (95, 12, {"latency": 9, "errors": 7}),
    (300, 25, {"memory": 8}),
    (470, 6, {"disk_write": 10, "latency": 6}),
    (640, 40, {"cpu": -7, "requests": -8, "net_out": -8}),
    (830, 10, {"net_in": 9, "connections": 8}),
    (1010, 18, {"temperature": 7, "cpu": 6}),
    (1200, 5, {"errors": 12}),
    (1390, 30, {"disk_read": 7, "load": 6}),
    (1600, 15, {"connections": -7}),
    (1820, 20, {"memory": 7, "latency": 8, "errors": 6}),
)


def _make_server_kpis(random: np.random.Generator) -> pd.DataFrame:
    """Return four days of twelve KPIs of a server per minute; each follows the traffic with its own weight."""
    times = pd.date_range("2024-03-04", periods=4 * 1440, freq="min")
    hours = np.arange(len(times)) / 60 % 24
    traffic = (
        0.25 + _make_peak(hours, 11, 2.5) + 0.8 * _make_peak(hours, 17, 3) + _make_random_walk(random, len(times), 0.02)
    )
    noise = np.linspace(0.02, 0.05, len(SERVER_KPIS))
    weights = np.array([0.6, 0.7, 0.15, 0.3, 0.4, 0.8, 0.9, 1.0, 0.7, 0.3, 0.1, 0.2])
    kpis = 0.2 + traffic[:, None] * weights + random.normal(0, 1, (len(times), len(SERVER_KPIS))) * noise
    injected = np.zeros(len(times), dtype=int)
    for offset, length, causes in INCIDENTS:
        rows = slice(len(times) // 2 + offset, len(times) // 2 + offset + length)
        injected[rows] = 1
        for name, size in causes.items():
            kpis[rows, SERVER_KPIS.index(name)] += size * noise[SERVER_KPIS.index(name)]
    table = pd.DataFrame(kpis, columns=list(SERVER_KPIS))
    table.insert(0, "timestamp", times.strftime("%Y-%m-%d %H:%M"))
    return table.assign(injected=injected)


COVARIATE_SAMPLES: dict[str, Callable[[np.random.Generator], pd.DataFrame]] = {"gas_weather": _make_gas_weather}
"""Name of a covariate sample → function that makes its table."""

SAMPLES: dict[str, Sample] = {
    sample.name: sample
    for sample in (
        Sample(
            "gas_daily",
            N_("Regional gas"),
            N_("Two years of hourly gas consumption in four regions, in MWh, with 32 abnormal days."),
            N_("You will see which days stand out and at which hours, and a forecast that follows the weather."),
            _make_gas,
        ),
        Sample(
            "daily_profile",
            N_("Substation load"),
            N_("One year of quarter-hourly load at three sites, with 18 abnormal days."),
            N_("You will see days without a peak, shifted days, and groups of days that are alike."),
            _make_load,
        ),
        Sample(
            "tidy_series",
            N_("Call counts"),
            N_("Sixteen weeks of hourly call counts at three exchanges, with 30 abnormal hours."),
            N_("You will see hours with far too many calls or hardly any, and what next week will bring."),
            _make_calls,
        ),
        Sample(
            "trunk_calls",
            N_("Two weeks of calls"),
            N_("Two weeks of call records, counted per quarter-hour on four trunks, with five faults."),
            N_("You will see outages, failed calls and storms of calls leave their interval, worst first."),
            _make_trunk_calls,
        ),
        Sample(
            "kpi_matrix",
            N_("Server KPIs"),
            N_("Five days of twelve KPIs per minute, with eight incidents."),
            N_("You will see faults that move several KPIs together, in rows without dates."),
            _make_kpis,
        ),
        Sample(
            "server_kpis",
            N_("Server KPIs with dates"),
            N_("Four days of twelve dated KPIs per minute, with ten incidents in the second half."),
            N_("You will see when each incident began and ended, and which KPIs it moved."),
            _make_server_kpis,
        ),
    )
}


# ---- building blocks ------------------------------------------------------------------------------------------------


def _make_peak(hours: NDArray[np.int_] | Floats, center: float, width: float) -> Floats:
    """Return a bell around the hour `center` on the circle of 24 hours."""
    distance = np.abs(hours - center)
    bell: Floats = np.exp(-((np.minimum(distance, 24 - distance) / width) ** 2) / 2)
    return bell


def _compute_season(days: pd.DatetimeIndex) -> Floats:
    """Return the yearly factor of each day: 0.25 in July, 1.75 in January."""
    season: Floats = 1 + 0.75 * np.cos(2 * np.pi * (days.dayofyear.to_numpy() - 15) / 365.25)
    return season


def _make_random_walk(random: np.random.Generator, count: int, size: float) -> Floats:
    """Return a random walk that returns to zero, as an imitation of weather."""
    steps = random.normal(0, size, count)
    walk = np.zeros(count)
    for index in range(1, count):
        walk[index] = 0.8 * walk[index - 1] + steps[index]
    return walk


def _inject_days(random: np.random.Generator, values: Floats, count: int) -> NDArray[np.int_]:
    """Inject four kinds of anomalies into `count` days of a profile, in place; return 1 for these days."""
    days = random.choice(len(values), count, replace=False)
    width = values.shape[1] // 24
    for number, day in enumerate(days):
        hour = int(random.integers(2, 21)) * width
        if number % 4 == 0:
            values[day, hour : hour + width] *= 3.5
        elif number % 4 == 1:
            values[day, hour : hour + width] = 0.0
        elif number % 4 == 2:
            values[day] = values[day].mean()
        else:
            values[day] = np.roll(values[day], 9 * width)
    injected = np.zeros(len(values), dtype=int)
    injected[days] = 1
    return injected
