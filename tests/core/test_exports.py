"""Export as CSV in both forms: every table reads back as it was, through the reader and the loader of data files."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from core.data.ingest.date_parsing import parse_dates
from core.data.ingest.files import open_sources
from core.data.ingest.loading import load
from core.data.ingest.number_parsing import MAX_MAGNITUDE, parse_numbers
from core.data.ingest.readers import RawTable, read_table
from core.exports import CSV_MARKS, FORMULA_STARTS, CsvFormat, escape_formulas, write_csv

FORMS = tuple(CSV_MARKS)
# no line break in a name, and none below a first column of numbers: the reader does not accept them yet
STARTS = st.sampled_from(["", "", *FORMULA_STARTS[:-1]])
TEXTS = st.builds("{}N{}e".format, STARTS, st.text("aéß1;,.\"'|=- \t", max_size=6))
TEXTS_OF_LINES = st.builds("{}N{}e".format, STARTS, st.text('aé;,"\n\r ', max_size=6))
NUMBERS = st.one_of(
    st.floats(-MAX_MAGNITUDE, MAX_MAGNITUDE, allow_nan=False),
    st.integers(-(10**6), 10**6).map(float),
    st.sampled_from([0.1, 1.234, 987.0, -0.0, 5e-324, 1e-7, 1e22, np.nan]),
)


def read_rows(path: Path) -> RawTable:
    with open_sources([path]) as sources:
        return read_table(sources[0])


def assume_one_delimiter(path: Path, csv_format: CsvFormat) -> None:
    """Leave out files in which another mark divides every line alike: the reader takes it for the delimiter."""
    lines = path.read_text(encoding="utf-8-sig").splitlines()
    for mark in set(";,|\t") - {CSV_MARKS[csv_format][0]}:
        counts = {line.count(mark) for line in lines}
        assume(len(counts) > 1 or counts == {0})


def has_number(values: list[float]) -> bool:
    return not np.isnan(values).all()


@st.composite
def make_tables(draw: st.DrawFn) -> pd.DataFrame:
    """Make a table with a column of every kind: text, float, whole and mixed numbers, days and times."""
    rows = draw(st.integers(2, 12))
    names = draw(st.lists(TEXTS, min_size=5, max_size=5, unique_by=str.strip))
    starts = pd.date_range(draw(st.sampled_from(["2023-12-30", "2024-02-29", "1999-01-13"])), periods=rows)
    columns = [
        pd.Series(draw(st.lists(TEXTS_OF_LINES, min_size=rows, max_size=rows)), dtype=object),
        pd.Series(draw(st.lists(NUMBERS, min_size=rows, max_size=rows).filter(has_number))),
        pd.Series(draw(st.lists(st.integers(-(2**53), 2**53), min_size=rows, max_size=rows))),
        pd.Series(starts),
        pd.Series(starts + pd.to_timedelta(draw(st.integers(1, 86_399)), unit="s")),
    ]
    order = [0, *draw(st.permutations(range(1, len(columns))))]
    return pd.concat([columns[number].rename(names[number]) for number in order], axis=1)


@given(table=make_tables(), csv_format=st.sampled_from(FORMS))
def test_table_reads_back_from_csv(
    tmp_path_factory: pytest.TempPathFactory, table: pd.DataFrame, csv_format: CsvFormat
) -> None:
    path = tmp_path_factory.mktemp("table") / "table.csv"
    write_csv(table, path, csv_format)
    assume_one_delimiter(path, csv_format)
    raw, expected = read_rows(path), escape_formulas(table)
    assert list(raw.frame.columns) == [name.strip() for name in expected.columns]
    for position, column in enumerate(expected.columns):
        cells, old = raw.frame.iloc[:, position], expected[column]
        if pd.api.types.is_datetime64_any_dtype(old):
            dates = parse_dates(cells, path.name)
            assert dates.times.tolist() == old.tolist()
            assert not dates.ambiguous
        elif pd.api.types.is_numeric_dtype(old):
            values, bad_rows = parse_numbers(cells, raw.decimal_mark)
            np.testing.assert_array_equal(values, old.to_numpy(dtype=float))
            assert not len(bad_rows)
        else:
            assert cells.tolist() == old.tolist()


@st.composite
def make_series(draw: st.DrawFn) -> pd.DataFrame:
    """Make the table of a dataset: entity, time and measurements, by day or by hour."""
    entities = draw(st.lists(TEXTS, min_size=1, max_size=3, unique=True))
    times = pd.date_range("2023-12-30", periods=draw(st.integers(3, 8)), freq=draw(st.sampled_from(["D", "h"])))
    count = len(entities) * len(times)
    names = draw(st.lists(TEXTS, min_size=1, max_size=3, unique_by=str.strip))
    measures = {name: draw(st.lists(NUMBERS, min_size=count, max_size=count).filter(has_number)) for name in names}
    keys = {"entity": np.repeat(entities, len(times)), "time": np.tile(times, len(entities))}
    return pd.DataFrame(keys | measures)


@given(table=make_series(), csv_format=st.sampled_from(FORMS))
def test_dataset_loads_back_from_csv(
    tmp_path_factory: pytest.TempPathFactory, table: pd.DataFrame, csv_format: CsvFormat
) -> None:
    path = tmp_path_factory.mktemp("series") / "series.csv"
    write_csv(table, path, csv_format)
    assume_one_delimiter(path, csv_format)
    dataset, expected = load([path]), escape_formulas(table)
    assert dataset.layout == "tidy_series"
    assert dataset.columns == [name.strip() for name in expected.columns[2:]]
    assert [str(name).strip() for name in dataset.entity] == [name.strip() for name in expected["entity"]]
    assert dataset.time.tolist() == expected["time"].tolist()
    np.testing.assert_array_equal(dataset.frame.to_numpy(), expected.iloc[:, 2:].to_numpy())


@pytest.mark.parametrize(
    ("csv_format", "lines"),
    [
        ("point", ["a,b,c,d,e", "x;y,0.1,1.5,1.5,'=1+1", '"z,w",,mean,0.25,1.5']),
        ("comma", ["a;b;c;d;e", '"x;y";0,1;1,5;1,5;\'=1+1', "z,w;;mean;0,25;1.5"]),
    ],
)
def test_csv_writes_every_decimal_in_its_form(csv_format: CsvFormat, lines: list[str], tmp_path: Path) -> None:
    """Numbers of every type get the decimal mark; text stays text."""
    table = pd.DataFrame(
        {
            "a": ["x;y", "z,w"],
            "b": pd.array([0.1, None], dtype="Float64"),
            "c": pd.Series([1.5, "mean"], dtype=object),
            "d": pd.Categorical([1.5, 0.25]),
            "e": ["=1+1", "1.5"],
        }
    )
    path = tmp_path / "table.csv"
    write_csv(table, path, csv_format)
    assert path.read_bytes().startswith(b"\xef\xbb\xbf")
    assert path.read_text(encoding="utf-8-sig").splitlines() == lines


def test_csv_appends_rows_without_second_header(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    for value in (0.5, 1.5):
        write_csv(pd.DataFrame({"x": [value], "y": ["é"]}), path, "comma", append=True)
    assert path.read_bytes() == "\ufeffx;y\n0,5;é\n1,5;é\n".encode()
