"""Arrived files are read as the data of the model were: hours of clock changes, marks, and one row as many."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.data.dataset import Dataset
from core.data.ingest.loading import load
from core.data.read_options import ReadOptions
from core.operations.watching.past import build_past_dataset
from core.operations.watching.reading import ArrivedRows, build_read_options, pin_reading, read_rows

Reader = Callable[[str], ArrivedRows]
PARIS_HOURS = pd.date_range("2024-10-26", periods=96, freq="h", tz="UTC").tz_convert("Europe/Paris")


@pytest.fixture
def history(tmp_path: Path) -> Dataset:
    """Hourly data of two sites on the clock of Paris, with offsets."""
    times = pd.date_range("2024-05-01", periods=200, freq="h", tz="Europe/Paris")
    lines = [f"{time.isoformat()};{site};{1.5 + hour % 24:.2f}" for hour, time in enumerate(times) for site in "ab"]
    path = tmp_path / "history.csv"
    path.write_text("time;site;power\n" + "\n".join(lines) + "\n")
    return load([path], ReadOptions(zone="Europe/Paris"))


@pytest.fixture
def read(history: Dataset, tmp_path: Path) -> Reader:
    """A function that reads a text as a file of the watch of `history`."""
    options = build_read_options(pin_reading(history, [(tmp_path / "history.csv", "history.csv")]))
    template = history.take_rows(np.zeros(0, dtype=np.intp))

    def read_text(text: str) -> ArrivedRows:
        path = tmp_path / "arrived.csv"
        path.write_text(text)
        return read_rows([(path, "arrived.csv")], options, template)

    return read_text


def test_one_row_is_read_like_many(read: Reader, history: Dataset) -> None:
    rows = read("time;site;power\n2024-06-01T10:00:00+02:00;b;7\n").dataset
    assert rows is not None
    assert (rows.columns, rows.step, rows.zone, rows.layout) == (
        ["power"],
        history.step,
        "Europe/Paris",
        history.layout,
    )
    assert rows.compute_instants().tolist() == [pd.Timestamp("2024-06-01 08:00")]


@given(positions=st.lists(st.integers(0, 95), min_size=1, max_size=12, unique=True))
def test_rows_around_clock_change_keep_their_instants(read: Reader, positions: list[int]) -> None:
    times = PARIS_HOURS[positions]
    rows = read("time;site;power\n" + "".join(f"{time.isoformat()};a;{n}.5\n" for n, time in enumerate(times))).dataset
    assert rows is not None
    assert rows.compute_instants().tolist() == times.tz_convert("UTC").tz_localize(None).tolist()
    assert rows.values.ravel().tolist() == [number + 0.5 for number in range(len(positions))]


def test_stored_rows_become_those_that_were_stored(read: Reader, history: Dataset) -> None:
    text = "".join(f"{time.isoformat()};a;{number}.5\n" for number, time in enumerate(PARIS_HOURS))
    rows = read("time;site;power\n" + text).dataset
    assert rows is not None
    index = pd.MultiIndex.from_arrays([rows.entity.astype(str), rows.compute_instants()], names=["entity", "instant"])
    past = build_past_dataset(rows.frame.set_axis(index), history.take_rows(np.zeros(0, dtype=np.intp)))
    assert past.time.tolist() == rows.time.tolist()
    assert past.is_second_pass.tolist() == rows.is_second_pass.tolist()
    assert past.compute_instants().tolist() == rows.compute_instants().tolist()


def test_open_decimal_mark_is_that_of_training_data(read: Reader) -> None:
    rows = read("time;site;power\n2024-06-01T10:00:00+02:00;b;7.125\n").dataset
    assert rows is not None
    assert rows.values.tolist() == [[7.125]]


def test_open_order_of_dates_is_refused(read: Reader) -> None:
    [refused] = read("time;site;power\n03/04/2024 10:00;b;7.5\n").refused
    assert "the order of day, month and year is open" in str(refused.reason)


@pytest.mark.parametrize("text", ["", "time;site;power\n", "time;site;power"], ids=["empty", "heading", "no line end"])
def test_file_without_rows_is_no_fault(read: Reader, text: str) -> None:
    assert read(text) == ArrivedRows(None)


def test_last_row_of_entity_and_instant_counts(read: Reader) -> None:
    arrived = read("time;site;power\n2024-06-01T10:00:00+02:00;b;7.5\n2024-06-01T08:00:00+00:00;b;8.5\n")
    assert arrived.dataset is not None
    assert (arrived.repeated, arrived.dataset.values.tolist()) == (1, [[8.5]])
