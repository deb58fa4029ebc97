"""Alarms of a forecast on faults planted in the test year, beside the detectors of anomalies at as many alarms.

Faults of days are a day off by 20 to 50 %, a repeated day (4 to 10 days), zeros (1 to 3 days) and a week of +10 %.
Faults of hours are a value too high, a flat stretch, shifted hours, zeros, and a week of +10 %. A fault is found if an
alarm of its series overlaps it; an alarm is right if it overlaps a fault. The forecaster is fitted on the days before
the test year; its forecasts see the faults as they come. The detectors of anomalies are fitted on all days, and their
threshold is moved until they give as many alarms. "Worst" are as many alarms as faults of each side. Year 2022 of six
other regions was looked at while the judgement was built.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from benchmarks.datasets import find_demand_file, find_gas_files
from benchmarks.report import ResultLine
from core.array_types import Floats
from core.data.covariates import Covariates, CovariateTable, join_covariates, read_covariates
from core.data.dataset import DAY, Dataset, make_clock_labels, make_index
from core.data.ingest.loading import load
from core.data.panel import Panel
from core.data.quality.repairs import undo_hour_shift
from core.detectors.baselines import BASELINE_CLASSES
from core.detectors.row_model import RowModel
from core.evaluation.conformal import ResidualHistory
from core.evaluation.day_faults import DAY_FAULT_KINDS, plant_day_faults
from core.forecasters.backtests.backtest import Backtest, run_backtest
from core.forecasters.intraday.intraday_profile import disaggregate_days
from core.tasks.anomalies.incidents import number_incidents
from core.tasks.anomalies.spec import find_default_baseline, list_detectors
from core.tasks.forecast.alarms import judge_periods
from core.tasks.forecast.spec import list_forecasters

FORECASTER, HORIZON = "blend", 7
LEVELS = (0.95, 0.98, 0.99)
MATCHED_LEVEL = 0.99  # whose number of alarms the detectors of anomalies give too
RANKED_LEVEL = 0.95  # whose worst alarms are counted too, as many as there are faults
DETECTORS = ("isolation-forest", "knn")
GAS_REGIONS = slice(6, 12)
COVARIATE_FILES = (
    "temperature-quotidienne-regionale.csv",
    "mouvements-sociaux-depuis-2002.csv",
    "vacances-scolaires.csv",
)
SEEDS = {"electricity, days": (0, 1, 2, 3, 4, 5), "gas, days": (0, 1), "gas, hours": (0, 1)}
DAY_KINDS, FAULTS_PER_KIND, MARGIN_DAYS = ("spike", "flat", "zeros", "week"), 2, 14
SPIKE_CHANGE, WEEK_CHANGE = (0.2, 0.5), 0.1
FLAT_DAYS, ZERO_DAYS, WEEK_DAYS = (4, 10), (1, 3), 7


@dataclass(frozen=True)
class Fault:
    """Planted fault of an entity, from day `first` to day `last` of the test year."""

    kind: str
    entity: int
    first: int
    last: int


@dataclass
class Tally:
    """Counts over all seeds: faults found and planted by kind, right alarms, all alarms, years of an entity."""

    found: dict[str, int]
    planted: dict[str, int]
    right: int = 0
    alarms: int = 0
    years: float = 0.0

    def add(self, faults: Sequence[Fault], spans: Sequence[tuple[int, int, int]]) -> None:
        """Add the alarms `spans`: entity, first and last day."""
        for fault in faults:
            self.planted[fault.kind] = self.planted.get(fault.kind, 0) + 1
            is_found = any(_overlap(fault, span) for span in spans)
            self.found[fault.kind] = self.found.get(fault.kind, 0) + is_found
        self.right += sum(any(_overlap(fault, span) for fault in faults) for span in spans)
        self.alarms += len(spans)

    def to_line(self, name: str) -> ResultLine:
        """Return the line of the table: recall, and by kind, precision, alarms per entity and year."""
        kinds = ", ".join(f"{kind} {self.found[kind]} of {count}" for kind, count in self.planted.items())
        found, planted = sum(self.found.values()), sum(self.planted.values())
        return ResultLine(
            name,
            f"{found / planted:.0%}",
            f"{self.right / max(self.alarms, 1):.0%} right",
            f"{kinds}; {self.alarms / self.years:.1f} alarms per entity and year",
        )


def _overlap(fault: Fault, span: tuple[int, int, int]) -> bool:
    entity, first, last = span
    return entity == fault.entity and first <= fault.last and last >= fault.first


def main() -> list[ResultLine]:
    """Plant faults in the test years and count those found."""
    lines: list[ResultLine] = []
    for name, series, covariates, start in list_sets():
        lines += _measure(name, series, covariates, start)
    return lines or [ResultLine("skipped: neither vic_elec/ nor gas_france/ in the shared data", "–")]


# ---- data -----------------------------------------------------------------------------------------------------------


def list_sets() -> Iterator[tuple[str, Panel, Covariates, pd.Timestamp]]:
    """Yield name, series up to the end of the test year, covariates, and start of the test year."""
    if find_demand_file():
        dataset, table = read_demand()
        series = Panel.from_dataset(dataset)
        covariates = join_covariates(dataset, [table], series.periods[-1] + DAY * (HORIZON + 1), with_calendar=False)
        yield "electricity, days", series, covariates, pd.Timestamp("2014-01-01")
    files = find_gas_files()
    if files and all((files[0].parent / name).exists() for name in COVARIATE_FILES):
        gas = undo_hour_shift(load(files))
        gas = gas.filter_rows(gas.entities[GAS_REGIONS])
        tables = read_covariates([files[0].parent / name for name in COVARIATE_FILES])
        covariates = join_covariates(gas, tables, pd.Timestamp("2024-01-10"))
        for name, resolution in (("gas, days", "day"), ("gas, hours", "hour")):
            series = Panel.from_dataset(gas, resolution)  # type: ignore[arg-type]
            yield name, series.select_before(pd.Timestamp("2024-01-01")), covariates, pd.Timestamp("2023-01-01")


def read_demand() -> tuple[Dataset, CovariateTable]:
    """Return the mean demand of Victoria by day, in MW, and its temperature and public holidays."""
    table = pd.read_csv(find_demand_file()).rename(columns=str.lower)
    days = table.groupby(pd.to_datetime(table["date"]))
    demand = days["demand"].mean()
    frame = pd.DataFrame({"demand": demand.to_numpy()}, make_index(["Victoria"] * len(demand), demand.index))
    weather = days["temperature"].agg(["mean", "min", "max"])
    weather.columns = pd.Index(["temperature", "temperature_min", "temperature_max"])
    weather["holiday"] = days["holiday"].first().astype(float)
    weather.index = pd.MultiIndex.from_product([[""], demand.index], names=["place", "day"])
    dataset = Dataset(frame, "planted", step=DAY, unit="MW", files=("vic_electricity.csv",))
    return dataset, CovariateTable("weather", weather, "vic_electricity.csv")


# ---- faults ---------------------------------------------------------------------------------------------------------


def plant_faults(values: Floats, seed: int) -> tuple[Floats, list[Fault]]:
    """Return a copy of the test year (days, entities, slots) with faults, and the faults."""
    rng, planted, faults = np.random.default_rng(seed), values.copy(), []
    for entity in range(values.shape[1]):
        plant = _plant_in_days if values.shape[2] == 1 else _plant_in_hours
        faults += plant(planted[:, entity], entity, rng)
    return planted, faults


def _plant_in_days(values: Floats, entity: int, rng: np.random.Generator) -> list[Fault]:
    kinds = rng.permutation(np.repeat(DAY_KINDS, FAULTS_PER_KIND)).tolist()
    room = (len(values) - MARGIN_DAYS) // len(kinds)
    faults = []
    for number, kind in enumerate(kinds):
        start = MARGIN_DAYS // 2 + number * room + int(rng.integers(room - FLAT_DAYS[1] - WEEK_DAYS))
        if kind == "spike":
            days = slice(start, start + 1)
            values[days] *= 1 + rng.choice([-1, 1]) * rng.uniform(*SPIKE_CHANGE)
        elif kind == "flat":
            days = slice(start, start + int(rng.integers(FLAT_DAYS[0], FLAT_DAYS[1] + 1)))
            values[days] = values[start]
        elif kind == "zeros":
            days = slice(start, start + int(rng.integers(ZERO_DAYS[0], ZERO_DAYS[1] + 1)))
            values[days] = 0.0
        else:
            days = slice(start, start + WEEK_DAYS)
            values[days] *= 1 + WEEK_CHANGE
        faults.append(Fault(kind, entity, days.start, days.stop - 1))
    return faults


def _plant_in_hours(values: Floats, entity: int, rng: np.random.Generator) -> list[Fault]:
    copy, day_faults = plant_day_faults(values, FAULTS_PER_KIND * len(DAY_FAULT_KINDS), seed=int(rng.integers(2**31)))
    values[:] = copy
    faults = [Fault(fault.kind, entity, fault.row, fault.row) for fault in day_faults]
    while len(faults) < FAULTS_PER_KIND * (len(DAY_FAULT_KINDS) + 1):
        week = Fault("week", entity, start := int(rng.integers(len(values) - WEEK_DAYS)), start + WEEK_DAYS - 1)
        if not any(_overlap(week, (entity, fault.first - 3, fault.last + 3)) for fault in faults):
            values[week.first : week.last + 1] *= 1 + WEEK_CHANGE
            faults.append(week)
    return faults


# ---- both sides -----------------------------------------------------------------------------------------------------


def _measure(name: str, series: Panel, covariates: Covariates, start: pd.Timestamp) -> Iterator[ResultLine]:
    forecaster = list_forecasters()[FORECASTER]()
    backtest = run_backtest(forecaster, series, covariates, start_date=start, horizon=HORIZON)
    first = backtest.test_start - backtest.errors_start
    clean = {level: judge_periods(backtest.errors, first, series, backtest.periods, level) for level in LEVELS}
    sides = [*LEVELS, *DETECTORS, "forecast, worst", *(f"{detector}, worst" for detector in DETECTORS)]
    tallies: dict[float | str, Tally] = {side: Tally({}, {}) for side in sides}
    for seed in SEEDS[name]:
        values, faults = plant_faults(backtest.get_actual(), seed)
        faulty = replace(series, values=np.concatenate([series.values[: backtest.test_start], values]))
        errors = _forecast_again(backtest, faulty)
        for level in LEVELS:
            alarms = judge_periods(errors, first, faulty, backtest.periods, level)["alarms"]
            tallies[level].add(faults, _list_spans(alarms, faulty, backtest.periods))
        alarms = judge_periods(errors, first, faulty, backtest.periods, MATCHED_LEVEL)["alarms"]
        worst = judge_periods(errors, first, faulty, backtest.periods, RANKED_LEVEL)["alarms"].head(len(faults))
        tallies["forecast, worst"].add(faults, _list_spans(worst, faulty, backtest.periods))
        for detector in DETECTORS:
            tallies[detector].add(faults, _detect(detector, faulty, backtest.periods, len(alarms)))
            tallies[f"{detector}, worst"].add(faults, _detect(detector, faulty, backtest.periods, len(faults)))
        for tally in tallies.values():
            tally.years += len(series.entities) * len(backtest.periods) / 365
    years = len(series.entities) * len(backtest.periods) / 365
    for level in LEVELS:
        counts = clean[level]["alarm_counts"]
        yield ResultLine(
            f"{name}: values outside {level:.0%}, as they are",
            f"{counts.rate:.1%}",
            basis=f"means of a week {counts.lasting_rate:.1%}; {len(clean[level]['alarms']) / years:.1f} alarms per "
            "entity and year",
        )
    for side, tally in tallies.items():
        yield tally.to_line(f"{name}: {side if isinstance(side, str) else f'forecast, {side:.0%}'}")


def _forecast_again(backtest: Backtest, faulty: Panel) -> ResidualHistory:
    """Return the errors with the forecasts of the test year made again from the values with faults."""
    start, skip = backtest.test_start, backtest.test_start - backtest.errors_start
    assert backtest.forecaster is not None
    assert backtest.covariates is not None
    amounts = backtest.forecaster.predict_steps(faulty, backtest.covariates, HORIZON, start, len(faulty))
    forecast = backtest.errors.forecast.copy()
    for step in range(1, HORIZON + 1):
        days = disaggregate_days(amounts[step - 1, step - 1 :], faulty, step, start + step - 1)
        forecast[step - 1, skip + step - 1 :] = days
    return replace(backtest.errors, forecast=forecast, actual=faulty.values[backtest.errors_start :])


def _list_spans(alarms: pd.DataFrame, series: Panel, days: pd.DatetimeIndex) -> list[tuple[int, int, int]]:
    """Return entity, first and last day of every alarm."""
    start_of_day = pd.Timedelta(hours=series.day_start if len(series.slots) > 1 else 0)
    first, last = (days.searchsorted((alarms[name] - start_of_day).dt.normalize()) for name in ("start", "end"))
    return list(zip(alarms["entity"].cat.codes.astype(int), first.tolist(), last.tolist(), strict=True))


def _detect(name: str, series: Panel, days: pd.DatetimeIndex, count: int) -> list[tuple[int, int, int]]:
    """Return entity, first and last day of the incidents of a detector in the test year, at least `count` of them."""
    dataset = _to_dataset(series)
    model = RowModel(list_detectors()[name](), BASELINE_CLASSES[find_default_baseline(dataset)]())
    rows, scores = model.fit_score(dataset)
    table = pd.DataFrame({"entity": rows.entity, "time": rows.time, "score": scores})
    table = table[table["time"] >= days[0]].sort_values("score", ascending=False, ignore_index=True)
    incident = np.full(len(table), -1)
    for flagged in range(count, len(table) + 1):
        incident = number_incidents(table.assign(anomaly=table.index < flagged), DAY.total_seconds())
        if incident.max() + 1 >= count:
            break
    groups = table.assign(incident=incident)[incident >= 0].groupby("incident")
    positions = {entity: number for number, entity in enumerate(series.entities)}
    return [
        (positions[part["entity"].iloc[0]], *map(int, days.searchsorted([part["time"].min(), part["time"].max()])))
        for _, part in groups
    ]


def _to_dataset(series: Panel) -> Dataset:
    count, entities, slots = series.values.shape
    columns = ["value"] if slots == 1 else make_clock_labels(slots)
    index = make_index(np.repeat(list(series.entities), count), np.tile(series.periods, entities))
    frame = pd.DataFrame(np.moveaxis(series.values, 0, 1).reshape(-1, slots), index=index, columns=columns)
    return Dataset(frame, "planted", profile=slots > 1, step=DAY / slots, day_start=series.day_start)
