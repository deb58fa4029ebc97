"""The class `Dataset`: conversion between profile and series, aligned selections, digests, no change in place."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from core.data.dataset import Dataset, make_clock_labels, make_index
from core.data.quality import doctor, repairs
from core.data.quality.findings import Repair
from core.errors import DataError


def make_profile(columns: int = 24, day_start: int = 0, entities: int = 2, days: int = 5, seed: int = 0) -> Dataset:
    """Make noise at regular steps, with covariates, context and labels for every row."""
    random = np.random.default_rng(seed)
    times = pd.date_range("2024-03-28", periods=days)
    rows = entities * days
    index = make_index(np.repeat([f"région {number}" for number in range(entities)], days), np.tile(times, entities))
    values = random.normal(100, 10, (rows, columns))
    return Dataset(
        frame=pd.DataFrame(values, index=index, columns=make_clock_labels(columns)),
        layout="daily_profile",
        profile=True,
        step=pd.Timedelta(days=1) / columns,
        day_start=day_start,
        unit="MWh",
        covariates=pd.DataFrame({"strike": random.integers(0, 2, rows).astype(float)}, index=index),
        context=pd.DataFrame({"total": values.sum(axis=1), "status": [f"s{row}" for row in range(rows)]}, index=index),
        labels=pd.Series(random.random(rows) > 0.5, index=index, name="label"),
        files=("made.csv",),
    )


profiles = st.builds(
    make_profile,
    st.sampled_from([24, 96]),
    st.sampled_from([0, 6]),
    st.integers(1, 3),
    st.integers(1, 8),
    st.integers(0, 99),
)


@given(profiles)
def test_dataset_profile_round_trips_through_series(dataset: Dataset) -> None:
    series = dataset.to_series()
    assert (len(series), series.columns, series.profile) == (dataset.frame.size, ["value"], False)
    restored = series.to_profile()
    pd.testing.assert_frame_equal(restored.frame, dataset.frame.sort_index(), check_names=False)
    assert (restored.step, restored.day_start, restored.profile) == (dataset.step, dataset.day_start, True)
    assert series.to_series() is series
    assert dataset.to_profile() is dataset


@given(profiles)
def test_dataset_series_has_regular_steps(dataset: Dataset) -> None:
    for _, part in dataset.to_series().frame.groupby(level=0):
        steps = part.index.get_level_values("time").to_series().diff().dropna()
        assert (steps == dataset.step).all()
    first = dataset.to_series().time.min()
    assert first == dataset.time.min() + pd.Timedelta(hours=dataset.day_start)


def test_dataset_gas_day_ends_on_next_date() -> None:
    dataset = make_profile(day_start=6, entities=1, days=1)
    series = dataset.to_series().frame["value"].droplevel(0)
    assert series[pd.Timestamp("2024-03-28 06:00")] == dataset.frame["06:00"].iloc[0]
    assert series[pd.Timestamp("2024-03-29 05:00")] == dataset.frame["05:00"].iloc[0]


def test_dataset_rejects_series_without_profile() -> None:
    series = make_profile().to_series()
    irregular = series.replace(
        frame=series.frame.set_axis(make_index(series.entity, series.time + pd.Timedelta(minutes=7)), axis=0)
    )
    repeated = series.take_rows(np.array([0, 0, 1, 2]))
    for dataset in (irregular, repeated, series.replace(step=None), series.replace(step=pd.Timedelta(hours=7))):
        with pytest.raises(DataError):
            dataset.to_profile()


def assert_aligned(part: Dataset, whole: Dataset) -> None:
    """Assert that the tables of a part have the same rows as those of the whole dataset."""
    assert whole.covariates is not None and whole.context is not None and whole.labels is not None  # noqa: PT018
    for part_rows, all_rows in zip(
        (part.frame, part.covariates, part.context, part.labels),
        (whole.frame, whole.covariates, whole.context, whole.labels),
        strict=True,
    ):
        assert part_rows is not None
        assert part_rows.index.equals(part.frame.index)
        assert part_rows.equals(all_rows.loc[part.frame.index])


@given(profiles, st.data())
def test_take_rows_keeps_tables_aligned(dataset: Dataset, data: st.DataObject) -> None:
    order = np.array(data.draw(st.permutations(range(len(dataset)))))[: data.draw(st.integers(1, len(dataset)))]
    picked = dataset.take_rows(order)
    assert_aligned(picked, dataset)
    assert np.array_equal(picked.values, dataset.values[order])
    mask = np.zeros(len(dataset), dtype=bool)
    mask[order] = True
    masked = dataset.take_rows(mask)
    assert_aligned(masked, dataset)
    assert np.array_equal(masked.values, dataset.values[np.sort(order)])
    assert [picked.entities[code] for code in picked.entity_codes] == list(picked.entity)


@given(profiles)
def test_filter_rows_keeps_tables_aligned(dataset: Dataset) -> None:
    chosen, start, end = dataset.entities[:1], dataset.time[len(dataset) // 2], dataset.time.max()
    part = dataset.filter_rows(chosen, start, end)
    assert_aligned(part, dataset)
    assert part.entities == chosen
    assert part.time.min() >= start
    assert part.time.max() == end
    assert dataset.filter_rows() is dataset
    with pytest.raises(DataError):
        dataset.filter_rows(["nowhere"])


@given(profiles, st.data())
def test_dataset_digest_changes_with_any_content(dataset: Dataset, data: st.DataObject) -> None:
    values = dataset.frame.to_numpy().copy()
    copied = dataset.replace(frame=pd.DataFrame(values, index=dataset.frame.index, columns=dataset.columns))
    assert copied.digest == dataset.digest == dataset.take_rows(np.arange(len(dataset))).digest
    row, column = data.draw(st.integers(0, len(dataset) - 1)), data.draw(st.integers(0, len(dataset.columns) - 1))
    changed = values.copy()
    changed[row, column] = np.nextafter(changed[row, column], np.inf)
    names = list(dataset.entity)
    names[row] = "elsewhere"
    times = dataset.time.to_numpy().copy()
    times[row] += np.timedelta64(400, "D")
    assert dataset.covariates is not None
    variants = [
        dataset.replace(frame=pd.DataFrame(changed, index=dataset.frame.index, columns=dataset.columns)),
        dataset.replace(unit="kWh"),
        dataset.replace(day_start=7),
        dataset.replace(frame=dataset.frame.set_axis(make_index(names, dataset.time), axis=0)),
        dataset.replace(frame=dataset.frame.set_axis(make_index(dataset.entity, times), axis=0)),
        dataset.replace(frame=dataset.frame.rename(columns={"00:00": "0"})),
        dataset.replace(covariates=1 - dataset.covariates),
        dataset.replace(recipe=(Repair("drop_duplicates"),)),
    ]
    digests = {variant.digest for variant in variants} | {dataset.digest}
    assert len(digests) == len(variants) + 1


def make_faulty_profile() -> Dataset:
    """Make a profile with every issue that the doctor repairs, including repeated rows and gaps."""
    dataset = make_profile(days=400, entities=2)
    values = dataset.values.copy()
    values[3, 4], values[7, 2:5], values[90, 6] = 1e6, np.nan, 800
    values[120:150] *= 1000
    values[200:260] = np.roll(values[200:260], 6, axis=1)
    values[3, 12] = values[1, 2] = 0.0
    changed = dataset.replace(frame=pd.DataFrame(values, index=dataset.frame.index, columns=dataset.columns))
    keep = np.r_[0:50, 55:300, 299, 300:800]
    return changed.take_rows(keep)


@pytest.mark.parametrize("unrolled", [False, True])
def test_checks_and_repairs_change_nothing_in_place(unrolled: bool) -> None:
    dataset = make_faulty_profile().to_series() if unrolled else make_faulty_profile()
    before = {name: None if table is None else table.copy(deep=True) for name, table in collect_tables(dataset).items()}
    assert doctor.run_checks(dataset).findings
    for kind in repairs.REPAIRS.keys() - {"clean_columns"}:  # refuses profiles and repeated rows
        repaired = repairs.apply_repairs([Repair(kind)], dataset)
        assert repaired.recipe == (Repair(kind),)
    for name, table in collect_tables(dataset).items():
        if table is not None:
            assert table.equals(before[name]), name


def test_range_of_a_column_that_one_entity_lacks() -> None:
    index = make_index(["T1", "T1", "T2", "T2"], pd.date_range("2024-01-01", periods=2).tolist() * 2)
    dataset = Dataset(
        pd.DataFrame({"total": [1.0, 1.0, 0.0, 0.0], "ccr": [0.9, 0.9, np.nan, np.nan]}, index), "tidy_series"
    )
    median, width = dataset.entity_range
    assert np.array_equal(median, [[1.0, 0.9], [0.0, np.nan]], equal_nan=True)
    assert np.array_equal(width, [[0.0, 0.0], [0.0, np.nan]], equal_nan=True)


def collect_tables(dataset: Dataset) -> dict:
    return {name: getattr(dataset, name) for name in ("frame", "covariates", "context", "labels")}


@given(arrays(float, st.tuples(st.integers(1, 40), st.just(24)), elements=st.floats(-1e6, 1e6) | st.just(float("nan"))))
def test_row_median_matches_numpy(values: np.ndarray) -> None:
    index = pd.MultiIndex.from_arrays([["a"] * len(values), pd.date_range("2024-01-01", periods=len(values))])
    dataset = Dataset(
        pd.DataFrame(values, index=index.set_names(["entity", "time"])), layout="daily_profile", profile=True
    )
    assert np.array_equal(dataset.row_median, np.median(values, axis=1), equal_nan=True)
