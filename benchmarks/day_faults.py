"""Planted faults of days: spikes, flat stretches, shifted hours and zeros among the most abnormal days.

80 faults in four series of days, 20 of each kind. 110 days are flagged: 66 faults found are a precision of .60. The
series are four copies of the electricity demand of Victoria, each with other faults, and four regions of gas. The first
seeds and the electricity chose features and detectors; the results are of other seeds, and gas confirms them.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from benchmarks.datasets import find_demand_file, find_gas_files
from benchmarks.report import ResultLine
from core.array_types import Floats
from core.data.dataset import DAY, Dataset, make_clock_labels, make_index
from core.data.ingest.loading import load
from core.data.quality.repairs import undo_hour_shift
from core.detectors.baselines import CalendarBaseline, DayBaseline
from core.detectors.tables.isolation_forest import IsolationForest
from core.evaluation.day_faults import DAY_FAULT_KINDS, plant_day_faults
from core.tasks.anomalies.spec import list_detectors

SERIES_COUNT, SERIES_FAULTS = 4, 20
FLAGGED_DAYS = 110
TUNING_SEEDS = (0, 1, 10, 11, 20)  # looked at while features and detectors were chosen
SEEDS = (100, 101, 102, 103, 104)
TARGET_FOUND = 66
TIME_ZONE = "Australia/Melbourne"
DEFAULT_DETECTOR = "robust-pca"


@dataclass(frozen=True)
class Series:
    """Days of one series, (days, columns), in the order of time."""

    name: str
    dates: pd.DatetimeIndex
    values: Floats


@dataclass(frozen=True)
class PlantedDays:
    """Days with planted faults, and the kind of fault of every row; "" for none."""

    dataset: Dataset
    kinds: np.ndarray[tuple[int], np.dtype[np.str_]]


def main() -> list[ResultLine]:
    """Count the planted faults among the flagged days, for the calendar and the day baseline and every detector."""
    lines: list[ResultLine] = []
    for name, series in list_series():
        planted = [plant(series, seed) for seed in SEEDS]
        counts = {
            "calendar, isolation-forest (before)": [_count_found(days, _score_forest(days)) for days in planted],
            "robust z of the shape": [_count_found(days, _score_shape(days)) for days in planted],
        }
        for detector_name, detector_class in list_detectors().items():
            counts[f"day, {detector_name}"] = [
                _count_found(days, detector_class().fit(features).score(features))
                for days in planted
                for features in [DayBaseline().fit(days.dataset).compute_features(days.dataset)]
            ]
        lines += [_build_line(f"{name}: {line}", found) for line, found in counts.items()]
    return lines or [ResultLine("skipped: neither vic_elec/ nor gas_france/ in the shared data", "–")]


def list_series() -> Iterator[tuple[str, list[Series]]]:
    """Yield names and series of days: electricity by hour and half hour, and three groups of gas regions."""
    if find_demand_file():
        for name, columns in (("electricity by hour", 24), ("electricity by half hour", 48)):
            dates, values = read_demand_days(columns)
            yield name, [Series(f"copy {number}", dates, values) for number in range(SERIES_COUNT)]
    if find_gas_files():
        regions = list(_read_gas_days())
        for first in range(3):
            yield f"gas, group {first + 1}", regions[first::3][:SERIES_COUNT]


def read_demand_days(columns: int) -> tuple[pd.DatetimeIndex, Floats]:
    """Return the local dates and the demand of the days with 48 half hours, (days, columns), in MW."""
    table = pd.read_csv(find_demand_file(), usecols=["Time", "Demand"])
    local_time = pd.to_datetime(table["Time"], utc=True).dt.tz_convert(TIME_ZONE).dt.tz_localize(None)
    days = table["Demand"].groupby(local_time.dt.normalize())
    whole_days = {date: demand.to_numpy() for date, demand in days if len(demand) == 48}
    values = np.array(list(whole_days.values()))
    return pd.DatetimeIndex(list(whole_days)), values.reshape(len(values), columns, -1).mean(axis=2)


def _read_gas_days() -> Iterator[Series]:
    gas = undo_hour_shift(load(find_gas_files()))
    gas = gas.take_rows(gas.is_complete)
    for entity in gas.entities:
        rows = gas.filter_rows([entity])
        order = np.argsort(rows.time.to_numpy(), kind="stable")
        yield Series(entity, pd.DatetimeIndex(rows.time[order]), rows.values[order])


def plant(series: list[Series], seed: int) -> PlantedDays:
    """Plant 20 faults in every series."""
    frames, kinds = [], []
    for number, one in enumerate(series):
        values, faults = plant_day_faults(one.values, SERIES_FAULTS, seed=100 * seed + number)
        row_kinds = np.full(len(values), "", dtype="<U8")
        for fault in faults:
            row_kinds[fault.row] = fault.kind
        index = make_index([one.name] * len(values), one.dates)
        frames.append(pd.DataFrame(values, index=index, columns=make_clock_labels(values.shape[1])))
        kinds.append(row_kinds)
    table = pd.concat(frames)
    dataset = Dataset(table, layout="planted", profile=True, step=DAY / table.shape[1])
    return PlantedDays(dataset, np.concatenate(kinds))


def _score_forest(days: PlantedDays) -> Floats:
    features = CalendarBaseline().fit(days.dataset).compute_features(days.dataset)
    return IsolationForest().fit(features).score(features)


def _score_shape(days: PlantedDays) -> Floats:
    """Return the largest deviation of the shape of every day, in robust spreads."""
    return CalendarBaseline().fit(days.dataset).compute_features(days.dataset)[:, 1]


def _count_found(days: PlantedDays, scores: Floats) -> dict[str, int]:
    """Return kind → number of faults among the days with the highest scores."""
    flagged = days.kinds[np.argsort(-scores, kind="stable")[:FLAGGED_DAYS]]
    return {kind: int((flagged == kind).sum()) for kind in DAY_FAULT_KINDS}


def _build_line(measured: str, counts: list[dict[str, int]]) -> ResultLine:
    totals = [sum(found.values()) for found in counts]
    mean = float(np.mean(totals))
    kinds = ", ".join(f"{kind} {np.mean([found[kind] for found in counts]):.1f}" for kind in DAY_FAULT_KINDS)
    is_target = measured.endswith(f"day, {DEFAULT_DETECTOR}")
    return ResultLine(
        measured,
        f"{mean:.1f} of 80",
        f"{min(totals)} – {max(totals)}",
        f"{kinds}; {len(counts)} seeds, precision {mean / FLAGGED_DAYS:.2f}",
        f"≥ {TARGET_FOUND}" if is_target else "",
        ("met" if mean >= TARGET_FOUND else "MISSED") if is_target else "",
    )
