"""Input data of the benchmarks: the gas files, and generated files of the same layout, equal at every call."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from core.data.dataset import make_clock_labels

SEED = 20240229
ENTITIES, DAYS = 15, 2245  # same number of rows as in the gas files
HOURS = np.arange(24)
SHAPE = 1 + 0.2 * np.exp(-(((HOURS - 7.5) / 2) ** 2)) + 0.2 * np.exp(-(((HOURS - 19) / 2.5) ** 2))


def find_shared_data() -> Path:
    """Return the folder of the shared data, which may be missing."""
    return Path(os.environ.get("VIGIE_SHARED_DATA") or Path(__file__).parents[2] / "shared" / "data")


def find_gas_files() -> list[Path]:
    """Return the three files of French regional gas; [] if they are missing."""
    return sorted((find_shared_data() / "gas_france").glob("df_part?.csv"))


def find_demand_file() -> Path | None:
    """Return the file of half-hourly electricity demand in Victoria; None if it is missing."""
    path = find_shared_data() / "vic_elec" / "vic_electricity.csv"
    return path if path.exists() else None


def find_bank_calls_file() -> Path | None:
    """Return the file of calls of a bank per quarter-hour; None if it is missing."""
    path = find_shared_data() / "call_counts" / "bank_calls_15min.csv"
    return path if path.exists() else None


def generate_gas_days(entities: int = ENTITIES) -> Iterator[pd.DataFrame]:
    """Yield the gas days of one entity after the other.

    The amounts have a winter level, low Sundays, weather noise, a morning peak and an evening peak.
    """
    random = np.random.default_rng(SEED)
    days = pd.date_range("2018-06-01", periods=DAYS)
    winter = 1 + 0.75 * np.cos(2 * np.pi * (days.dayofyear.to_numpy() - 15) / 365.25)
    for number in range(entities):
        level = 50 * np.exp(random.normal(3, 1)) * winter * np.where(days.dayofweek == 6, 0.9, 1.0)
        level = level * np.exp(random.normal(0, 0.1, DAYS))
        values = np.round(level[:, None] * SHAPE * np.exp(random.normal(0, 0.015, (DAYS, 24))), 4)
        table = pd.DataFrame(values, columns=make_clock_labels(24))
        table.insert(0, "date", days.strftime("%Y-%m-%d"))
        table.insert(1, "operator", f"Operator {number % 2}")
        table.insert(2, "region", f"Region {number:03d}")
        table["daily_consumption (MWh)"] = values.sum(axis=1).round(4)
        table["strike"] = (random.random(DAYS) < 0.03).astype(int)
        yield table


def write_gas_days(path: Path, size: int | None = None, entities: int = 10_000) -> None:
    """Write gas days as CSV until the file has `size` bytes or contains all `entities`."""
    import pyarrow as pa
    import pyarrow.csv

    with path.open("wb") as file:
        for number, table in enumerate(generate_gas_days(entities)):
            if number == 0:
                file.write((",".join(table.columns) + "\n").encode())
            options = pyarrow.csv.WriteOptions(include_header=False, quoting_style="none")
            pyarrow.csv.write_csv(pa.Table.from_pandas(table, preserve_index=False), file, options)
            if size is not None and file.tell() >= size:
                return
