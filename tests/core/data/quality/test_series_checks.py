"""Zeros, stuck values, spikes and level jumps: planted faults are located, natural series have none."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from core.data.dataset import Dataset, make_index
from core.data.quality.doctor import run_checks
from core.data.quality.fills import FILLS
from core.data.quality.findings import Repair
from core.data.quality.level_jumps import find_level_jumps
from core.data.quality.repairs import apply_repairs
from core.data.quality.runs import find_stuck_values, find_unexpected_zeros
from core.data.quality.spikes import find_spikes_and_dips
from core.errors import OptionError

NEW_KINDS = {"unexpected_zeros", "stuck_values", "spikes_and_dips", "level_jumps"}
CELL_CHECKS = (find_unexpected_zeros, find_stuck_values, find_spikes_and_dips)
DAYS = 100


def make_load(step: str = "1h", days: int = DAYS, noise: float = 0.02, seed: int = 0) -> pd.Series:
    """Return a load in MW with days, weeks, seasons and noise."""
    times = pd.date_range("2023-01-02", periods=days * (pd.Timedelta(days=1) // pd.Timedelta(step)), freq=step)
    hours = times.hour + times.minute / 60
    shape = np.ones(len(times)) if step == "1D" else 1 + 0.4 * np.exp(-(((hours - 19) / 3) ** 2))
    level = 100 * np.where(times.dayofweek >= 5, 0.85, 1.0) * (1 + 0.3 * np.cos(2 * np.pi * times.dayofyear / 365))
    random = np.random.default_rng(seed)
    return pd.Series(np.asarray(level * shape * random.normal(1, noise, len(times))), index=times)


def make_dataset(columns: dict[str, np.ndarray], times: pd.Index, step: str | None = "1h") -> Dataset:
    index = make_index(["a"] * len(times), times)
    return Dataset(
        pd.DataFrame(columns, index=index).astype(float),
        "tidy_series",
        step=None if step is None else pd.Timedelta(step),
    )


def make_series(load: pd.Series, step: str | None = "1h") -> Dataset:
    times = load.index if step is not None else pd.RangeIndex(len(load))
    return make_dataset({"power": load.to_numpy()}, times, step)


def list_cells(dataset: Dataset, find_cells: Callable) -> set[tuple[object, str]]:
    """Return (time, column) of the cells of a check."""
    cells = find_cells(dataset)
    return {(dataset.time[row], dataset.columns[column]) for row, column in zip(*cells, strict=True)}


def list_new_kinds(dataset: Dataset) -> set[str]:
    return {finding.kind for finding in run_checks(dataset).findings} & NEW_KINDS


# ---- planted faults -------------------------------------------------------------------------------------------------


@given(start=st.integers(100, 2000), hours=st.integers(1, 120), seed=st.integers(0, 50))
def test_planted_zeros_are_located_in_their_cells(start: int, hours: int, seed: int) -> None:
    load = make_load(seed=seed)
    load.iloc[start : start + hours] = 0.0
    series = make_series(load)
    planted = {(time, "power") for time in load.index[start : start + hours]}
    assert list_cells(series, find_unexpected_zeros) == planted
    assert list_new_kinds(series) == {"unexpected_zeros"}


@given(start=st.integers(100, 2000), hours=st.integers(4, 120), seed=st.integers(0, 50))
def test_planted_flat_line_is_located_in_its_cells(start: int, hours: int, seed: int) -> None:
    load = make_load(seed=seed)
    load.iloc[start : start + hours] = load.iloc[start]
    series = make_series(load)
    assert list_cells(series, find_stuck_values) == {(time, "power") for time in load.index[start : start + hours]}


@given(
    start=st.integers(200, 2100),
    length=st.integers(1, 4),
    factor=st.sampled_from([0.05, 0.5, 1.5, 2.0, 4.0]),
    seed=st.integers(0, 50),
)
def test_planted_spike_is_located_by_one_check(start: int, length: int, factor: float, seed: int) -> None:
    load = make_load(seed=seed)
    load.iloc[start : start + length] *= factor
    series = make_series(load)
    findings = {finding.kind: finding for finding in run_checks(series).findings}
    located = [
        (pd.Timestamp(location["time"]), location["column"])
        for finding in findings.values()
        for location in finding.locations
    ]
    assert len(located) == len(set(located)), "one cell is reported by one finding"
    assert set(located) == {(time, "power") for time in load.index[start : start + length]}


@pytest.mark.parametrize("step", ["1min", "5min", "15min", "30min", "1h", "1D"])
@pytest.mark.parametrize("kind", ["unexpected_zeros", "stuck_values", "spikes_and_dips"])
def test_faults_are_located_at_every_step(step: str, kind: str) -> None:
    load = make_load(step, days=14 if step == "1min" else 400 if step == "1D" else DAYS)
    length = max(6, int(pd.Timedelta("5h") / pd.Timedelta(step)))
    middle = len(load) // 2
    rows = slice(middle, middle + (1 if kind == "spikes_and_dips" else length))
    load.iloc[rows] = {"unexpected_zeros": 0.0, "stuck_values": load.iloc[middle]}.get(kind, load.iloc[middle] * 1.6)
    series = make_series(load, step)
    (finding,) = run_checks(series).findings
    assert (finding.kind, finding.count) == (kind, len(load.iloc[rows]))


@pytest.mark.parametrize("layout", ["entities and columns", "without dates", "profile", "unsorted"])
def test_faults_are_located_in_every_layout(layout: str) -> None:
    load = make_load()
    faulty = load.copy()
    faulty.iloc[500:510] = 0.0
    faulty.iloc[800:810] = faulty.iloc[800]
    faulty.iloc[1200] *= 1.7
    if layout == "entities and columns":
        clean = make_dataset({"x": make_load(seed=3).to_numpy(), "y": make_load(seed=4).to_numpy()}, load.index)
        other = make_dataset({"x": make_load(seed=5).to_numpy(), "y": faulty.to_numpy()}, load.index)
        frame = pd.concat([clean.frame, other.frame.rename(index={"a": "b"}, level="entity")])
        dataset, expected = clean.replace(frame=frame), {("b", "y")}
    elif layout == "without dates":
        flat = pd.Series(100 + np.random.default_rng(0).normal(0, 2, len(load)))
        flat.iloc[500:510], flat.iloc[800:840] = 0.0, flat.iloc[800]
        flat.iloc[1200] *= 1.7
        dataset, expected = make_series(flat, None), {("a", "power")}
    elif layout == "profile":
        dataset, expected = make_series(faulty).to_profile(), None
    else:
        dataset = make_series(faulty)
        dataset, expected = (dataset.take_rows(np.random.default_rng(0).permutation(len(dataset))), {("a", "power")})
    findings = {finding.kind: finding for finding in run_checks(dataset).findings}
    counts = {kind: finding.count for kind, finding in findings.items()}
    flats = 40 if layout == "without dates" else 10
    assert counts == {"unexpected_zeros": 10, "stuck_values": flats, "spikes_and_dips": 1}
    if expected is not None:
        places = {
            (location["entity"], location["column"]) for finding in findings.values() for location in finding.locations
        }
        assert places == expected


@pytest.mark.parametrize("step", ["15min", "1h", "1D"])
@pytest.mark.parametrize("factor", [0.1, 0.4, 3.0, 1000.0])
def test_level_jump_is_located_to_a_day(step: str, factor: float) -> None:
    load = make_load(step, days=150)
    row = len(load) // 2 + 5
    load.iloc[row:] *= factor
    dataset = make_series(load, step).replace(
        frame=make_series(load, step).frame.assign(other=make_load(step, 150).to_numpy())
    )
    (jump,) = find_level_jumps(dataset)
    assert jump.column == "power"
    assert abs(dataset.time[jump.row] - load.index[row]) <= pd.Timedelta("1D")
    assert jump.after / jump.before == pytest.approx(factor, rel=0.3)


def test_offset_of_a_signed_sensor_is_a_level_jump() -> None:
    load = make_load(days=150, noise=0.0)
    temperature = pd.Series(np.random.default_rng(0).normal(0, 2, len(load)), index=load.index)
    temperature.iloc[2000:] += 15
    (jump,) = find_level_jumps(make_series(temperature))
    assert abs(jump.row - 2000) <= 24


def test_months_in_another_unit_are_no_level_jump() -> None:
    load = make_load(days=240)
    load[load.index.month.isin([4, 5])] *= 1000
    kinds = {finding.kind for finding in run_checks(make_series(load)).findings}
    assert kinds == {"mixed_units"}


# ---- natural series -------------------------------------------------------------------------------------------------


def make_natural_values(name: str, times: pd.DatetimeIndex, random: np.random.Generator) -> np.ndarray:
    hours = times.hour.to_numpy()
    day = np.maximum(np.sin(np.pi * (hours - 6) / 12), 0)
    return {
        "solar power": day * random.uniform(0.2, 1, len(times)),
        "calls with empty nights": random.poisson(30 * day),
        "rare counts": random.poisson(0.2, len(times)),
        "counts": random.poisson(50, len(times)),
        "steps of a tariff": np.where((hours >= 7) & (hours < 22), 20.5, 14.2),
        "set-point that changes each week": 18.0 + (times.isocalendar().week.to_numpy() % 5),
        "status": (random.random(len(times)) < 0.02).cumsum() % 2,
        "coarse temperature": np.round(
            5 * np.sin(2 * np.pi * (hours - 9) / 24)
            + np.repeat(random.normal(0, 3, len(times) // 24 + 1), 24)[: len(times)]
        ),
        "constant": np.full(len(times), 5.0),
        "zero": np.zeros(len(times)),
        "empty": np.full(len(times), np.nan),
        "traffic with bursts": random.lognormal(0, 1.2, len(times)),
        "bursts on a quiet level": 10
        + random.normal(0, 0.1, len(times))
        + np.where(random.random(len(times)) < 0.03, random.exponential(20, len(times)), 0),
        "load with a sharp daily peak": np.where(hours == 7, 300.0, 100.0) * random.normal(1, 0.02, len(times)),
        "random walk": 1000 + random.normal(0, 1, len(times)).cumsum(),
        "ramp of each day": hours.astype(float),
        "daily temperature": 12
        + 9 * np.cos(2 * np.pi * np.arange(len(times)) / 365)
        + pd.Series(random.normal(0, 6, len(times))).ewm(alpha=0.3).mean().to_numpy(),
        "season": 100 * np.exp(np.cos(2 * np.pi * times.dayofyear / 365)) * random.normal(1, 0.05, len(times)),
    }[name]


NATURAL_SERIES = (
    "solar power", "calls with empty nights", "rare counts", "counts", "steps of a tariff",
    "set-point that changes each week", "status", "coarse temperature", "constant", "zero", "empty",
    "traffic with bursts", "bursts on a quiet level", "load with a sharp daily peak", "random walk", "season",
    "ramp of each day",
)  # fmt: skip


@pytest.mark.parametrize("name", NATURAL_SERIES)
@given(seed=st.integers(0, 10_000), has_dates=st.booleans())
@settings(max_examples=12)
def test_natural_series_have_no_finding(name: str, seed: int, has_dates: bool) -> None:
    times = pd.date_range("2023-01-02", periods=24 * 365, freq="h")
    values = make_natural_values(name, times, np.random.default_rng(seed))
    if name == "load with a sharp daily peak" and not has_dates:
        return  # without the time of day a peak of one hour is known by its frequency only
    dataset = make_series(pd.Series(np.asarray(values, float), index=times), "1h" if has_dates else None)
    assert list_new_kinds(dataset) == set()


def make_temperatures(seed: int, times: pd.DatetimeIndex) -> np.ndarray:
    return make_natural_values("daily temperature", times, np.random.default_rng(seed))


def test_weather_is_rarely_a_level_jump() -> None:
    """Cold spells that begin within a day and last four weeks are rare: at most one series in twenty, of ten years."""
    times = pd.date_range("2014-01-01", periods=365 * 10, freq="D")
    findings = [
        list_new_kinds(make_series(pd.Series(make_temperatures(seed, times), index=times), "1D")) for seed in range(40)
    ]
    assert sum(kinds == {"level_jumps"} for kinds in findings) <= 2
    assert all(kinds <= {"level_jumps"} for kinds in findings)


values_with_gaps = st.lists(
    st.one_of(st.just(np.nan), st.just(0.0), st.floats(-1e6, 1e6), st.sampled_from([5.0, 1e300, -1e300])),
    min_size=1,
    max_size=80,
)


@given(values=values_with_gaps, seed=st.integers(0, 100), step=st.sampled_from(["1min", "1h", "1D", None]))
@example(values=[np.nan], seed=0, step="1h")
@example(values=[0.0] * 80, seed=0, step="1D")
def test_any_values_and_times_can_be_checked_and_repaired(values: list[float], seed: int, step: str | None) -> None:
    random = np.random.default_rng(seed)
    count = len(values)
    times = pd.Timestamp("2024-01-01") + pd.to_timedelta(
        random.integers(0, 2 * count, count), "h"
    )  # repeated, unsorted
    columns = {"x": np.array(values), "y": random.permutation(values)}
    dataset = make_dataset(columns, pd.RangeIndex(count) if step is None else pd.DatetimeIndex(times), step)
    for find_cells in CELL_CHECKS:
        rows, indices = find_cells(dataset)
        assert ((rows >= 0) & (rows < count) & (indices >= 0) & (indices < 2)).all()
    find_level_jumps(dataset)
    recipe = [Repair(kind, {"fill": fill}) for kind in ("mend_zeros", "mend_stuck_values") for fill in FILLS]
    assert len(apply_repairs(recipe, dataset)) == count


@given(exponent=st.integers(-20, 20), seed=st.integers(0, 20))
@settings(max_examples=15)
def test_scale_of_the_values_changes_no_finding(exponent: int, seed: int) -> None:
    load = make_load(seed=seed, days=150)
    load.iloc[500:520], load.iloc[700:708] = 0.0, load.iloc[700]
    load.iloc[1000] *= 1.5
    load.iloc[2000:] *= 3
    series, scaled = make_series(load), make_series(load * 2.0**exponent)
    for find_cells in CELL_CHECKS:
        assert list_cells(series, find_cells) == list_cells(scaled, find_cells) != set()
    assert [jump.row for jump in find_level_jumps(series)] == [jump.row for jump in find_level_jumps(scaled)] != []


def test_entities_without_a_common_step_are_taken_in_their_order() -> None:
    load = make_load()
    load.iloc[500:510] = 0.0
    irregular = pd.DatetimeIndex(load.index[0] + pd.to_timedelta(np.arange(len(load)) ** 2, "min"))
    dataset = make_dataset({"power": load.to_numpy()}, irregular)
    assert len(find_unexpected_zeros(dataset).rows) == 10


# ---- repairs --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fill", FILLS)
@pytest.mark.parametrize("kind", ["mend_zeros", "mend_stuck_values", "mend_spikes_and_dips"])
def test_repair_changes_only_the_faulty_cells(kind: str, fill: str) -> None:
    clean = make_load(days=200)
    faulty = clean.copy()
    rows = slice(1000, 1001) if kind == "mend_spikes_and_dips" else slice(1000, 1010)
    faulty.iloc[rows] = {"mend_zeros": 0.0, "mend_stuck_values": clean.iloc[1000]}.get(kind, 1.8 * clean.iloc[1000])
    dataset = make_series(faulty)
    repaired = apply_repairs([Repair(kind, {"fill": fill})], dataset)
    is_changed = ~(repaired.values[:, 0] == faulty.to_numpy())
    assert set(np.flatnonzero(is_changed)) <= set(range(rows.start, rows.stop))
    assert list_new_kinds(repaired) == set()
    filled = repaired.values[rows, 0]
    if fill == "missing":
        assert np.isnan(filled).all()
    else:
        assert np.abs(filled / clean.iloc[rows].to_numpy() - 1).max() < 0.35


def test_first_proposed_repair_makes_zeros_and_stuck_values_missing() -> None:
    load = make_load()
    load.iloc[500:510], load.iloc[800:810] = 0.0, load.iloc[800]
    for finding in run_checks(make_series(load)).findings:
        assert finding.repairs[0].settings == {"fill": "missing"}


def test_repair_rejects_an_unknown_fill() -> None:
    with pytest.raises(OptionError, match="missing, neighbours, usual_day"):
        apply_repairs([Repair("mend_zeros", {"fill": "mean"})], make_series(make_load(days=10)))
