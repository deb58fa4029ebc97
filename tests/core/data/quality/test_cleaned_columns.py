"""Cleaning as a repair: previewed, undone, repeated from its recipe, with the original values in the context."""

import numpy as np
import pandas as pd
import pytest

from core.data.cleaning import CleanedSeries, is_cleaned
from core.data.dataset import Dataset, make_index
from core.data.quality.changes import trace_repairs
from core.data.quality.doctor import run_checks
from core.data.quality.findings import Repair
from core.data.quality.repairs import apply_repairs
from core.errors import DataError
from core.storage.datasets import DatasetStore

QUARTER = pd.Timedelta(minutes=15)
WEEK_STEPS = 672
CLEAN = Repair("clean_columns", {"columns": ["total"], "spike_threshold": 500.0})


def make_calls(zone: str = "", start: str = "2020-08-31", weeks: int = 3) -> Dataset:
    """Return counts of two trunks without the rows of a day in the second week, and with a spike in the first."""
    times = pd.date_range(start, periods=weeks * WEEK_STEPS, freq=QUARTER)
    total = 100.0 + 50 * np.sin(np.arange(len(times)) * 2 * np.pi / 96)
    frames = []
    for trunk in ("T1", "T2"):
        table = pd.DataFrame({"total": total, "ccr": 0.9}, make_index([trunk] * len(times), times))
        if trunk == "T2":
            table.iloc[200, 0] = 5000.0
        keep = (np.arange(len(times)) < WEEK_STEPS + 96) | (np.arange(len(times)) >= WEEK_STEPS + 192)
        frames.append(table[keep])
    return Dataset(pd.concat(frames), "tidy_series", step=QUARTER, zone=zone, files=("counts.csv",))


def test_repair_keeps_original_values_beside_cleaned_ones() -> None:
    dataset = make_calls()
    repaired = apply_repairs([CLEAN], dataset)
    assert repaired.recipe == (CLEAN,)
    assert is_cleaned(repaired, "total")
    assert not is_cleaned(repaired, "ccr")
    assert len(repaired) == len(dataset) + 2 * 96
    assert repaired.frame["ccr"].isna().sum() == 2 * 96
    context = repaired.context
    assert context is not None
    assert context["total_is_spike"].sum() == 1
    assert context["total_is_imputed"].sum() == context["total_original"].isna().sum() == 2 * 96
    assert repaired.frame["total"].max() < 160
    assert context["total_original"].max() == 5000
    cleaned = CleanedSeries.from_dataset(repaired, "total")
    assert cleaned.original.values[200].tolist() == [cleaned.values[200, 0], 5000.0]
    assert np.argwhere(cleaned.is_spike).tolist() == [[200, 1]]
    assert np.flatnonzero(cleaned.is_imputed[:, 0]).tolist() == list(range(WEEK_STEPS + 96, WEEK_STEPS + 192))


def test_undo_gives_the_dataset_as_it_was_read() -> None:
    dataset = make_calls()
    repaired = apply_repairs([CLEAN], dataset)
    assert repaired.source == dataset.digest
    assert apply_repairs([], dataset).digest == dataset.digest


def test_recipe_repeats_the_cleaning(tmp_path_factory: pytest.TempPathFactory) -> None:
    dataset = make_calls()
    store = DatasetStore(tmp_path_factory.mktemp("datasets"))
    stored = store.load(store.save(apply_repairs([CLEAN], dataset)))
    again = apply_repairs(stored.recipe, dataset)
    assert again.digest == stored.digest
    assert CleanedSeries.from_dataset(stored, "total").is_spike.sum() == 1


def test_preview_counts_every_change() -> None:
    changes = trace_repairs([CLEAN], make_calls()).count_changes()
    assert (changes.replaced_cells, changes.added_rows, changes.removed_rows) == (1, 192, 0)


def test_second_cleaning_starts_from_the_original_values() -> None:
    lenient = Repair("clean_columns", {"columns": ["total"], "spike_threshold": 1e9})
    twice = apply_repairs([lenient], apply_repairs([CLEAN], make_calls()))
    assert twice.frame["total"].max() == 5000


def test_doctor_offers_the_week_before_and_ignores_the_marks() -> None:
    report = run_checks(make_calls())
    missing = next(finding for finding in report.findings if finding.kind == "missing_dates")
    assert [repair.kind for repair in missing.repairs] == ["insert_missing", "clean_columns"]
    repaired = run_checks(apply_repairs([Repair("clean_columns")], make_calls()))
    constants = [finding for finding in repaired.findings if finding.kind == "constant_columns"]
    assert [location["column"] for finding in constants for location in finding.locations] == ["ccr"]


def test_added_rows_are_on_the_local_clock() -> None:
    times = pd.date_range("2020-10-12", "2020-11-02", freq=QUARTER, tz="Europe/Paris")
    clock = times.tz_localize(None)
    fold = np.asarray(
        times.tz_convert("UTC").tz_localize(None)
        != clock.tz_localize("Europe/Paris", ambiguous=np.ones(len(clock), bool)).tz_convert("UTC").tz_localize(None)
    )
    index = make_index(["all"] * len(times), clock)
    frame = pd.DataFrame({"total": (clock.hour * 60 + clock.minute).to_numpy(float)}, index)
    dataset = Dataset(frame, "tidy_series", step=QUARTER, zone="Europe/Paris", fold=pd.Series(fold, index))
    holes = np.asarray((clock >= "2020-10-25") & (clock < "2020-10-26"))
    repaired = apply_repairs([Repair("clean_columns", {"spike_threshold": 1e9})], dataset.take_rows(~holes))
    assert len(repaired) == len(dataset)
    minutes = repaired.time.hour * 60 + repaired.time.minute
    assert repaired.frame["total"].tolist() == minutes.tolist()
    assert repaired.is_second_pass.sum() == 4
    assert set(repaired.compute_instants()) == set(dataset.compute_instants())


def test_profiles_and_repeated_rows_are_refused() -> None:
    dataset = make_calls()
    with pytest.raises(DataError, match="daily profiles"):
        apply_repairs([CLEAN], dataset.replace(profile=True))
    twice = dataset.take_rows(np.r_[0, np.arange(len(dataset))])
    with pytest.raises(DataError, match="several values"):
        apply_repairs([CLEAN], twice)
