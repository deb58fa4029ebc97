"""The one table: unrolling and rolling up, slices that stay aligned, digests, and nothing changed in place."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from core.data.dataset import Dataset, make_clock_labels, make_index
from core.data.quality import doctor, repairs
from core.data.quality.findings import Repair
from core.errors import DataError

quick = settings(max_examples=40, deadline=None)


def profile(columns: int = 24, day_start: int = 0, entities: int = 2, days: int = 5, seed: int = 0) -> Dataset:
    """Noise in even steps, with everything a row can carry."""
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
    profile,
    st.sampled_from([24, 96]),
    st.sampled_from([0, 6]),
    st.integers(1, 3),
    st.integers(1, 8),
    st.integers(0, 99),
)


@quick
@given(profiles)
def test_a_profile_unrolled_and_rolled_up_is_the_same(dataset: Dataset) -> None:
    series = dataset.to_series()
    assert (len(series), series.columns, series.profile) == (dataset.frame.size, ["value"], False)
    again = series.to_profile()
    pd.testing.assert_frame_equal(again.frame, dataset.frame.sort_index(), check_names=False)
    assert (again.step, again.day_start, again.profile) == (dataset.step, dataset.day_start, True)
    assert series.to_series() is series
    assert dataset.to_profile() is dataset


@quick
@given(profiles)
def test_the_moments_of_a_day_follow_each_other(dataset: Dataset) -> None:
    for _, part in dataset.to_series().frame.groupby(level=0):
        steps = part.index.get_level_values("time").to_series().diff().dropna()
        assert (steps == dataset.step).all()
    first = dataset.to_series().time.min()
    assert first == dataset.time.min() + pd.Timedelta(hours=dataset.day_start)


def test_the_gas_day_ends_on_the_next_date() -> None:
    dataset = profile(day_start=6, entities=1, days=1)
    series = dataset.to_series().frame["value"].droplevel(0)
    assert series[pd.Timestamp("2024-03-28 06:00")] == dataset.frame["06:00"].iloc[0]
    assert series[pd.Timestamp("2024-03-29 05:00")] == dataset.frame["05:00"].iloc[0]


def test_what_cannot_become_a_profile_is_refused() -> None:
    series = profile().to_series()
    crooked = series.replace(
        frame=series.frame.set_axis(make_index(series.entity, series.time + pd.Timedelta(minutes=7)), axis=0)
    )
    twice = series.take_rows(np.array([0, 0, 1, 2]))
    for dataset in (crooked, twice, series.replace(step=None), series.replace(step=pd.Timedelta(hours=7))):
        with pytest.raises(DataError):
            dataset.to_profile()


def aligned(part: Dataset, whole: Dataset) -> None:
    """Every row of `part` carries what it carried in `whole`."""
    assert whole.covariates is not None and whole.context is not None and whole.labels is not None  # noqa: PT018
    for own, all_rows in zip(
        (part.frame, part.covariates, part.context, part.labels),
        (whole.frame, whole.covariates, whole.context, whole.labels),
        strict=True,
    ):
        assert own is not None
        assert own.index.equals(part.frame.index)
        assert own.equals(all_rows.loc[part.frame.index])


@quick
@given(profiles, st.data())
def test_rows_keep_what_belongs_to_them(dataset: Dataset, data: st.DataObject) -> None:
    order = np.array(data.draw(st.permutations(range(len(dataset)))))[: data.draw(st.integers(1, len(dataset)))]
    picked = dataset.take_rows(order)
    aligned(picked, dataset)
    assert np.array_equal(picked.values, dataset.values[order])
    mask = np.zeros(len(dataset), dtype=bool)
    mask[order] = True
    masked = dataset.take_rows(mask)
    aligned(masked, dataset)
    assert np.array_equal(masked.values, dataset.values[np.sort(order)])
    assert [picked.entities[code] for code in picked.entity_codes] == list(picked.entity)


@quick
@given(profiles)
def test_select_keeps_what_belongs_to_rows(dataset: Dataset) -> None:
    chosen, start, end = dataset.entities[:1], dataset.time[len(dataset) // 2], dataset.time.max()
    part = dataset.filter_rows(chosen, start, end)
    aligned(part, dataset)
    assert part.entities == chosen
    assert part.time.min() >= start
    assert part.time.max() == end
    assert dataset.filter_rows() is dataset
    with pytest.raises(DataError):
        dataset.filter_rows(["nowhere"])


@quick
@given(profiles, st.data())
def test_the_digest_changes_with_anything_and_only_then(dataset: Dataset, data: st.DataObject) -> None:
    values = dataset.frame.to_numpy().copy()
    again = dataset.replace(frame=pd.DataFrame(values, index=dataset.frame.index, columns=dataset.columns))
    assert again.digest == dataset.digest == dataset.take_rows(np.arange(len(dataset))).digest
    row, column = data.draw(st.integers(0, len(dataset) - 1)), data.draw(st.integers(0, len(dataset.columns) - 1))
    changed = values.copy()
    changed[row, column] = np.nextafter(changed[row, column], np.inf)
    names = list(dataset.entity)
    names[row] = "elsewhere"
    moved = dataset.time.to_numpy().copy()
    moved[row] += np.timedelta64(400, "D")
    assert dataset.covariates is not None
    others = [
        dataset.replace(frame=pd.DataFrame(changed, index=dataset.frame.index, columns=dataset.columns)),
        dataset.replace(unit="kWh"),
        dataset.replace(day_start=7),
        dataset.replace(frame=dataset.frame.set_axis(make_index(names, dataset.time), axis=0)),
        dataset.replace(frame=dataset.frame.set_axis(make_index(dataset.entity, moved), axis=0)),
        dataset.replace(frame=dataset.frame.rename(columns={"00:00": "0"})),
        dataset.replace(covariates=1 - dataset.covariates),
        dataset.replace(recipe=(Repair("drop_duplicates"),)),
    ]
    digests = {each.digest for each in others} | {dataset.digest}
    assert len(digests) == len(others) + 1


def faulty() -> Dataset:
    """A profile with every fault the doctor mends, repeated rows and gaps among them."""
    dataset = profile(days=400, entities=2)
    values = dataset.values.copy()
    values[3, 4], values[7, 2:5], values[90, 6] = 1e6, np.nan, 800
    values[120:150] *= 1000
    values[200:260] = np.roll(values[200:260], 6, axis=1)
    values[3, 12] = values[1, 2] = 0.0
    whole = dataset.replace(frame=pd.DataFrame(values, index=dataset.frame.index, columns=dataset.columns))
    keep = np.r_[0:50, 55:300, 299, 300:800]
    return whole.take_rows(keep)


@pytest.mark.parametrize("unrolled", [False, True])
def test_nothing_is_changed_in_place(unrolled: bool) -> None:
    dataset = faulty().to_series() if unrolled else faulty()
    before = {name: None if table is None else table.copy(deep=True) for name, table in parts(dataset).items()}
    assert doctor.run_checks(dataset).findings
    for kind in repairs.REPAIRS:
        repaired = repairs.apply_repairs([Repair(kind)], dataset)
        assert repaired.recipe == (Repair(kind),)
    for name, table in parts(dataset).items():
        if table is not None:
            assert table.equals(before[name]), name


def parts(dataset: Dataset) -> dict:
    return {name: getattr(dataset, name) for name in ("frame", "covariates", "context", "labels")}


@quick
@given(arrays(float, st.tuples(st.integers(1, 40), st.just(24)), elements=st.floats(-1e6, 1e6) | st.just(float("nan"))))
def test_the_row_median_is_numpys(values: np.ndarray) -> None:
    index = pd.MultiIndex.from_arrays([["a"] * len(values), pd.date_range("2024-01-01", periods=len(values))])
    dataset = Dataset(
        pd.DataFrame(values, index=index.set_names(["entity", "time"])), layout="daily_profile", profile=True
    )
    assert np.array_equal(dataset.row_median, np.median(values, axis=1), equal_nan=True)
