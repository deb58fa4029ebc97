"""Generated files like NetMob23: both layouts, with the clock-change day, missing values and shuffled days."""

from pathlib import Path

import numpy as np
import pandas as pd

CLOCK_CHANGE_DAY = pd.Timestamp("2019-03-31")


def make_days(count: int, start: str = "2019-03-16") -> pd.DatetimeIndex:
    """Return consecutive days."""
    return pd.date_range(start, periods=count)


def make_traffic(tiles: int, count: int, seed: int = 0) -> np.ndarray:  # type: ignore[type-arg]
    """Return traffic (tiles, days, 96) up to about 60,000.

    0.3 % of the values and the lost hour of the day `CLOCK_CHANGE_DAY` are missing.
    """
    rng = np.random.default_rng(seed)
    shape = 1.2 + np.sin(np.arange(96) / 96 * 2 * np.pi - 2)
    values = np.round(rng.gamma(4, 5000, (tiles, count, 1)) * shape * rng.uniform(0.8, 1.2, (tiles, count, 96)), 4)
    values[rng.random(values.shape) < 0.003] = np.nan
    for day in np.flatnonzero(make_days(count) == CLOCK_CHANGE_DAY):
        values[:, day, 8:12] = np.nan
    return values


def format_line(first: object, quarters: np.ndarray, is_clock_change: bool) -> str:  # type: ignore[type-arg]
    """Format one line of a file; a line of the clock-change day has 92 quarters of an hour."""
    values = np.delete(quarters, range(8, 12)) if is_clock_change else quarters
    return " ".join([str(first), *("nan" if np.isnan(value) else repr(float(value)) for value in values)])


def write_tile_files(folder: Path, app: str, values: np.ndarray, seed: int = 1) -> list[Path]:  # type: ignore[type-arg]
    """Write {app}/DL/{app}_DL_Tile_{tile}.txt: one line per day, days shuffled, tile numbers from 100."""
    inside = folder / app / "DL"
    inside.mkdir(parents=True)
    dates = make_days(values.shape[1])
    order = np.random.default_rng(seed).permutation(len(dates))
    paths = []
    for number, tile in enumerate(values):
        lines = [format_line(dates[day].strftime("%Y%m%d"), tile[day], dates[day] == CLOCK_CHANGE_DAY) for day in order]
        paths.append(inside / f"{app}_DL_Tile_{100 + number}.txt")
        paths[-1].write_text("\n".join(lines) + "\n")
    return paths


def write_official_files(folder: Path, city: str, service: str, values: np.ndarray) -> list[Path]:  # type: ignore[type-arg]
    """Write {City}/{Service}/{YYYYMMDD}/{City}_{Service}_{YYYYMMDD}_{DL|UL}.txt: one line per tile.

    Uplink is a tenth of downlink.
    """
    paths = []
    for number, day in enumerate(make_days(values.shape[1])):
        stamp = day.strftime("%Y%m%d")
        inside = folder / city / service / stamp
        inside.mkdir(parents=True)
        for direction, factor in (("DL", 1.0), ("UL", 0.1)):
            lines = [
                format_line(100 + tile, quarters * factor, day == CLOCK_CHANGE_DAY)
                for tile, quarters in enumerate(values[:, number])
            ]
            paths.append(inside / f"{city}_{service}_{stamp}_{direction}.txt")
            paths[-1].write_text("\n".join(lines) + "\n")
    (folder / f"{city}.geojson").write_text('{"type": "FeatureCollection", "features": []}')
    return paths
