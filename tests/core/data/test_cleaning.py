"""Spikes and holes of regular series: the worked example of the specification, missing weeks, and what always holds."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from core.array_types import Floats
from core.data.cleaning import CleanedSeries, clean_series, compute_deviations, learn_thresholds
from core.data.dataset import Dataset, make_index
from core.data.regular_series import RegularSeries
from core.errors import OptionError

QUARTER = pd.Timedelta(minutes=15)
EXAMPLE = [12000.0, 14621.0, 17761.0, 21014.0, 26387.0, 22866.0]
DAY_STEPS, WEEK_STEPS = 96, 672


def make_series(values: object, start: str = "2020-08-31", zone: str = "") -> RegularSeries:
    """Return a series of quarter-hours; one column for flat values."""
    grid = np.asarray(values, dtype=float)
    grid = grid[:, None] if grid.ndim == 1 else grid
    times = pd.date_range(start, periods=len(grid), freq=QUARTER)
    return RegularSeries(times, tuple(f"T{number}" for number in range(grid.shape[1])), grid, QUARTER, zone=zone)


def simulate_calls(weeks: int = 4, scale: float = 1000.0, seed: int = 0) -> Floats:
    """Return Poisson counts of quarter-hours with steep mornings and calm weekends."""
    times = pd.date_range("2020-08-03", periods=weeks * WEEK_STEPS, freq=QUARTER)
    hours = (times.hour + times.minute / 60).to_numpy()
    shape = 0.05 + 1 / (1 + np.exp(-(hours - 8) * 2.5)) / (1 + np.exp((hours - 18) * 1.5))
    rate = scale * shape * np.where(times.dayofweek < 5, 1.0, 0.35)
    return np.random.default_rng(seed).poisson(rate).astype(float)


# ---- spikes ---------------------------------------------------------------------------------------------------------


def test_worked_example() -> None:
    cleaned = clean_series(make_series(EXAMPLE), spike_window=5, spike_threshold=7000)
    assert cleaned.is_spike.ravel().tolist() == [False] * 4 + [True, False]
    assert cleaned.values.ravel().tolist() == [12000.0, 14621.0, 17761.0, 21014.0, 21940.0, 22866.0]
    assert not cleaned.is_imputed.any()
    assert compute_deviations(cleaned.original.values, 5)[4, 0] == 26387 - 17761


def test_incomplete_window_judges_nothing() -> None:
    cleaned = clean_series(make_series(EXAMPLE[1:]), spike_threshold=7000)
    assert not cleaned.is_spike.any()
    assert cleaned.values.ravel().tolist() == EXAMPLE[1:]


def test_level_shift_is_kept_and_marked() -> None:
    values = np.r_[np.full(20, 100.0), np.full(20, 500.0)]
    cleaned = clean_series(make_series(values), spike_threshold=50)
    assert not cleaned.is_spike.any()
    assert np.flatnonzero(cleaned.is_shift).tolist() == [20, 21]
    assert np.array_equal(cleaned.values[:, 0], values)


def test_rise_at_the_end_is_kept_until_it_returns() -> None:
    values = np.r_[np.full(20, 100.0), 500.0, 500.0]
    assert clean_series(make_series(values), spike_threshold=50).is_shift[-2:].all()
    returned = clean_series(make_series(np.r_[values, 100.0]), spike_threshold=50)
    assert np.flatnonzero(returned.is_spike).tolist() == [20, 21]


def test_spike_as_last_value_stays_missing_without_an_earlier_week() -> None:
    cleaned = clean_series(make_series(np.r_[np.full(20, 100.0), 500.0]), spike_threshold=50)
    assert np.flatnonzero(cleaned.is_spike).tolist() == np.flatnonzero(cleaned.is_missing).tolist() == [20]
    assert np.isnan(cleaned.values[-1, 0])


def test_constant_has_no_spike() -> None:
    assert not clean_series(make_series(np.full(500, 7.0))).is_spike.any()
    assert clean_series(make_series(np.r_[np.full(250, 7.0), 90.0, np.full(249, 7.0)])).is_spike.sum() == 1


def test_no_threshold_is_learnt_from_a_few_values() -> None:
    cleaned = clean_series(make_series(EXAMPLE))
    assert np.isnan(cleaned.thresholds).all()
    assert not cleaned.is_spike.any()


@pytest.mark.parametrize("scale", [0.05, 0.5, 5, 50, 1000, 60_000])
def test_learnt_threshold_leaves_steep_mornings_and_rare_counts(scale: float) -> None:
    columns = np.column_stack([simulate_calls(scale=scale, seed=seed) for seed in range(5)])
    assert clean_series(make_series(columns, "2020-08-03")).is_spike.mean() < 1e-3


def test_learnt_threshold_finds_spikes_of_twice_the_peak() -> None:
    values = simulate_calls()
    places = np.arange(200, len(values) - 200, 173)
    values[places] += 2 * np.quantile(values, 0.99)
    cleaned = clean_series(make_series(values, "2020-08-03"))
    assert np.flatnonzero(cleaned.is_spike).tolist() == places.tolist()
    assert cleaned.values.max() < 1.5 * np.quantile(simulate_calls(), 0.99)


@pytest.mark.parametrize(("name", "step"), [("bank_calls_15min.csv", "15min"), ("bank_calls_5min.csv", "5min")])
def test_learnt_threshold_on_real_calls(shared_data: Path, name: str, step: str) -> None:
    table = pd.read_csv(shared_data / "call_counts" / name)
    counts = pd.Series(table.iloc[:, 1].to_numpy(), pd.to_datetime(table.iloc[:, 0])).asfreq(step)
    values = counts.to_numpy()[:, None]
    cleaned = clean_series(RegularSeries(pd.DatetimeIndex(counts.index), ("bank",), values, pd.Timedelta(step)))
    assert cleaned.is_spike.sum() <= 2  # of 8,692 and 27,060 judged values
    assert 0 < cleaned.thresholds[0] < counts.max()


# ---- holes ----------------------------------------------------------------------------------------------------------


def test_missing_week_comes_from_the_week_before_and_a_real_value_survives() -> None:
    values = simulate_calls(weeks=3)
    expected = values.copy()
    expected[WEEK_STEPS : 2 * WEEK_STEPS] = values[:WEEK_STEPS]
    values[WEEK_STEPS : 2 * WEEK_STEPS] = np.nan
    values[2 * WEEK_STEPS - 1] = expected[2 * WEEK_STEPS - 1] = 4321.0
    cleaned = clean_series(make_series(values, "2020-08-31"), spike_threshold=1e9)
    assert np.array_equal(cleaned.values[:, 0], expected)
    assert cleaned.is_imputed.sum() == WEEK_STEPS - 1
    assert not cleaned.is_imputed[2 * WEEK_STEPS - 1, 0]
    assert set(cleaned.weeks_back[cleaned.is_imputed]) == {1}


def test_second_missing_week_comes_from_two_weeks_before() -> None:
    values = simulate_calls(weeks=4)
    expected = np.r_[np.tile(values[:WEEK_STEPS], 3), values[3 * WEEK_STEPS :]]
    values[WEEK_STEPS : 3 * WEEK_STEPS] = np.nan
    cleaned = clean_series(make_series(values, "2020-08-31"), spike_threshold=1e9)
    assert np.array_equal(cleaned.values[:, 0], expected)
    assert cleaned.weeks_back[WEEK_STEPS, 0] == 1
    assert cleaned.weeks_back[2 * WEEK_STEPS, 0] == 2


def test_hole_without_an_earlier_week_stays_and_is_told() -> None:
    values = simulate_calls(weeks=1)
    values[100:110] = np.nan
    cleaned = clean_series(make_series(values))
    assert np.flatnonzero(cleaned.is_missing).tolist() == list(range(100, 110))
    assert not cleaned.is_imputed.any()


def test_short_gap_is_interpolated() -> None:
    values = np.arange(2000.0)
    values[1000:1004] = np.nan
    cleaned = clean_series(make_series(values), spike_threshold=100)
    assert np.array_equal(cleaned.values[:, 0], np.arange(2000.0))
    assert (
        clean_series(make_series(values), spike_threshold=100, short_gap_steps=3).values[1000, 0] == 1000 - WEEK_STEPS
    )


def test_fill_from() -> None:
    values = np.arange(2000.0)
    values[1000:1100] = np.nan
    series = make_series(values)
    assert np.array_equal(clean_series(series, fill_from="interpolate").values[:, 0], np.arange(2000.0))
    left = clean_series(series, fill_from="none")
    assert left.is_missing.sum() == 100
    assert not left.is_imputed.any()


def test_nothing_is_added_before_an_entity_appears_or_after_it_ends() -> None:
    values = np.column_stack([simulate_calls(weeks=3)] * 2)
    values[:800, 0] = np.nan
    values[1500:, 1] = np.nan
    cleaned = clean_series(make_series(values, "2020-08-03"), spike_threshold=1e9)
    assert not cleaned.is_imputed.any()
    assert not cleaned.is_missing.any()
    assert np.array_equal(cleaned.values, values, equal_nan=True)


def test_week_without_any_call_is_missing_and_the_outage_of_one_trunk_is_not() -> None:
    values = np.column_stack([simulate_calls(weeks=4, seed=seed) for seed in range(2)])
    values[WEEK_STEPS : 2 * WEEK_STEPS] = 0
    values[2 * WEEK_STEPS + 200 : 2 * WEEK_STEPS + 400, 0] = 0
    series = make_series(values, "2020-08-03")
    cleaned = clean_series(series, spike_threshold=1e9)
    assert np.array_equal(cleaned.is_imputed, cleaned.is_silent)
    assert np.flatnonzero(cleaned.is_silent.all(axis=1)).tolist() == list(range(WEEK_STEPS, 2 * WEEK_STEPS))
    assert np.array_equal(cleaned.values[WEEK_STEPS : 2 * WEEK_STEPS], values[:WEEK_STEPS])
    assert not clean_series(series, spike_threshold=1e9, silent_days="zero").is_imputed.any()


def test_usual_weekends_and_a_lasting_silence_are_values() -> None:
    values = simulate_calls(weeks=4)
    times = make_series(values, "2020-08-03").times
    values[np.asarray(times.dayofweek >= 5) | (np.arange(len(values)) > 3 * WEEK_STEPS + 100)] = 0
    assert not clean_series(make_series(values, "2020-08-03"), spike_threshold=1e9).is_silent.any()


def test_week_before_is_that_of_the_local_clock() -> None:
    times = pd.date_range("2020-10-18", "2020-11-02", freq=QUARTER, tz="Europe/Paris")
    clock = (times.hour * 60 + times.minute).to_numpy(dtype=float)  # a value says its local time
    hole = np.asarray((times >= "2020-10-26 08:00") & (times < "2020-10-26 12:00"))
    values = np.where(hole, np.nan, clock)
    utc = pd.DatetimeIndex(times.tz_convert("UTC").tz_localize(None))
    cleaned = clean_series(
        RegularSeries(utc, ("a",), values[:, None], QUARTER, zone="Europe/Paris"), spike_threshold=1e9
    )
    assert np.array_equal(cleaned.values[:, 0], clock)


# ---- what always holds ----------------------------------------------------------------------------------------------

SERIES = hnp.arrays(
    float,
    st.tuples(st.integers(6, 60), st.integers(1, 3)),
    elements=st.one_of(st.just(float("nan")), st.integers(0, 1000).map(float)),
)


@given(SERIES, st.sampled_from(["previous-week", "interpolate", "none"]), st.integers(0, 500))
def test_original_is_kept_and_other_values_unchanged(values: Floats, fill_from: str, threshold: int) -> None:
    original = values.copy()
    cleaned = clean_series(make_series(values), spike_threshold=threshold, fill_from=fill_from)
    assert np.array_equal(cleaned.original.values, original, equal_nan=True)
    untouched = ~cleaned.is_spike & ~np.isnan(original)
    assert np.array_equal(cleaned.values[untouched], original[untouched])
    assert not (cleaned.is_spike & np.isnan(original)).any()
    assert not (cleaned.is_imputed & ~np.isnan(original)).any()
    assert not (cleaned.is_spike & cleaned.is_shift).any()
    assert not (cleaned.is_missing & ~np.isnan(cleaned.values)).any()


@given(SERIES, st.sampled_from(["previous-week", "interpolate", "none"]))
def test_filling_again_changes_nothing(values: Floats, fill_from: str) -> None:
    once = clean_series(make_series(values), spike_threshold=np.inf, fill_from=fill_from)
    twice = clean_series(once.series, spike_threshold=np.inf, fill_from=fill_from)
    if fill_from != "previous-week" or not once.is_missing.any():
        assert np.array_equal(once.values, twice.values, equal_nan=True)
        assert not twice.is_imputed.any()


@given(SERIES, st.sampled_from([2.0**-10, 0.5, 4.0, 2.0**20]))
def test_scale_does_not_matter(values: Floats, scale: float) -> None:
    plain, scaled = clean_series(make_series(values)), clean_series(make_series(values * scale))
    assert np.array_equal(plain.is_spike, scaled.is_spike)
    assert np.allclose(plain.values * scale, scaled.values, equal_nan=True)
    assert np.allclose(plain.thresholds * scale, scaled.thresholds, equal_nan=True)


@given(SERIES)
def test_entities_do_not_matter_to_each_other(values: Floats) -> None:
    together = clean_series(make_series(values))
    for entity in range(values.shape[1]):
        alone = clean_series(make_series(values[:, entity]))
        assert np.array_equal(alone.values[:, 0], together.values[:, entity], equal_nan=True)


@given(hnp.arrays(float, st.integers(40, 200), elements=st.integers(0, 5).map(float)))
def test_few_values_are_beyond_a_learnt_threshold(values: Floats) -> None:
    deviations = compute_deviations(values[:, None], 5)
    threshold = learn_thresholds(deviations)[0]
    assert (np.abs(deviations) > threshold).sum() <= max(1, 0.01 * len(values))


@pytest.mark.parametrize(
    "options",
    [
        {"spike_window": 2},
        {"spike_threshold": -1.0},
        {"fill_from": "next-week"},
        {"short_gap_steps": -1},
        {"silent_days": ""},
    ],
)
def test_unaccepted_options(options: dict[str, object]) -> None:
    with pytest.raises(OptionError, match=next(iter(options))):
        clean_series(make_series(EXAMPLE), **options)  # type: ignore[arg-type]


# ---- datasets -------------------------------------------------------------------------------------------------------


def test_uncleaned_dataset_reads_as_its_own_original() -> None:
    frame = pd.DataFrame(
        {"total": EXAMPLE}, make_index(["all"] * 6, pd.date_range("2020-08-31", periods=6, freq=QUARTER))
    )
    cleaned = CleanedSeries.from_dataset(Dataset(frame, "tidy_series", step=QUARTER), "total")
    assert cleaned.values.ravel().tolist() == cleaned.original.values.ravel().tolist() == EXAMPLE
    assert not cleaned.is_spike.any()
    assert not cleaned.is_imputed.any()
