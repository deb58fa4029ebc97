"""Files with one column per entity: which entity a header means, what is refused, and what stays an ordinary column."""

import unicodedata
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from core.data.covariates import Covariates, CovariateTable, join_covariates, read_covariates
from core.data.dataset import Dataset, make_index
from core.data.ingest.layouts.base import normalise_name
from core.errors import UnknownLayoutError

DAYS = pd.date_range("2024-01-01", periods=30, name="day")


def make_loads(*entities: str) -> Dataset:
    index = make_index(np.repeat(list(entities), len(DAYS)), np.tile(DAYS, len(entities)))
    frame = pd.DataFrame({"load": np.arange(len(index), dtype=float)}, index=index)
    return Dataset(frame, "tidy_series", step=pd.Timedelta(days=1), files=("loads.csv",))


def read_columns(folder: Path, headers: list[str], entities: list[str], name: str = "file.csv") -> CovariateTable:
    """Read a file whose column number k has values around 10 (k + 1)."""
    values = {header: 10.0 * (number + 1) + np.sin(DAYS.day) for number, header in enumerate(headers)}
    path = folder / name
    pd.DataFrame({"date": DAYS.strftime("%Y-%m-%d"), **values}).to_csv(path, index=False)
    (table,) = read_covariates([path], entities=entities)
    return table


def join(table: CovariateTable, *entities: str) -> Covariates:
    return join_covariates(make_loads(*entities), [table], DAYS[-1], calendar="none")


def list_levels(covariates: Covariates, column: str = "temperature") -> list[int]:
    """Return the number of the column of the file that every entity got, from 1 on."""
    means = covariates.values[:, :, covariates.columns.index(column)].mean(axis=1)
    return [round(mean / 10) for mean in means]


def strip_accents(text: str) -> str:
    letters = unicodedata.normalize("NFKD", text)
    return "".join(letter for letter in letters if not unicodedata.combining(letter))


WORDS = st.text("abcdefghijklmnopqrstuvwxyzéèüçñ", min_size=4, max_size=9)
SPELLINGS = (
    str,
    str.upper,
    str.title,
    strip_accents,
    lambda text: text.replace(" ", "_"),
    lambda text: text.replace(" ", "-"),
)
FORMS = ("temperature {}", "{} temperature", "{}_temp", "tmoy-{}", "{} (°C)", "{}: temperature (°C)", "TEMPERATURE_{}")


@pytest.mark.parametrize("form", FORMS)
@given(
    names=st.lists(
        st.lists(WORDS, min_size=1, max_size=2).map(" ".join), min_size=2, max_size=5, unique_by=normalise_name
    ),
    spelling=st.sampled_from(SPELLINGS),
    data=st.data(),
)
@settings(max_examples=20)
def test_headers_name_entities_in_any_spelling_and_order(
    tmp_path: Path, form: str, names: list[str], spelling: Callable[[str], str], data: st.DataObject
) -> None:
    """Each entity gets its own column, whatever the order of the columns, case, accents, separators and the form."""
    plain = [normalise_name(name) for name in names]
    parts = [normalise_name(part) for name in names for part in name.split()]
    assume(len(set(parts)) == len(parts))  # else a header can name two entities
    assume(not any(first != second and first in second for first in plain for second in plain))
    order = data.draw(st.permutations(range(len(names))))
    headers = [form.format(spelling(names[number])) for number in order]
    covariates = join(read_columns(tmp_path, headers, names), *names)
    assert covariates.columns == ["temperature"]
    levels = dict(zip(covariates.entities, list_levels(covariates), strict=True))
    assert [levels[names[number]] for number in order] == list(range(1, len(names) + 1))


@pytest.mark.parametrize(
    ("entities", "headers", "column"),
    [
        (("Germany", "Poland"), ("temp DE", "temp PL"), "temperature"),
        (("DE", "FR"), ("price Allemagne", "price France"), "price"),
        (("Ohio", "Kentucky"), ("wind US-OH", "wind US-KY"), "wind"),
        (("north", "south"), ("north price forecast", "south price forecast"), "price forecast"),
        (("PV 1", "PV 11"), ("PV11temp", "pv1temp"), "temperature"),
        (("Grid · nord", "Grid · sud"), ("nord_tmin", "sud_tmin"), "temperature_min"),
        (("Lyon",), ("temperature Lyon",), "temperature"),
    ],
)
def test_codes_parts_and_own_quantities(
    tmp_path: Path, entities: tuple[str, ...], headers: tuple[str, ...], column: str
) -> None:
    covariates = join(read_columns(tmp_path, list(headers), list(entities)), *entities)
    assert column in covariates.columns
    levels = dict(zip(covariates.entities, list_levels(covariates, column), strict=True))
    expected = (2, 1) if entities[0] == "PV 1" else range(1, len(entities) + 1)
    assert [levels[entity] for entity in entities] == list(expected)


def test_reading_of_the_columns_is_told(tmp_path: Path) -> None:
    table = read_columns(tmp_path, ["temp Lyon", "temp_nice", "remark code"], ["Lyon", "Nice"])
    (text,) = [str(note.message) for note in table.notes if note.kind == "place_columns"]
    assert "2 columns count for one region or entity each, by their names: temp Lyon → temperature, Lyon" in text
    assert any("remark code" in str(note.message) for note in table.notes if note.kind == "ignored_columns")


def test_units_of_the_columns_are_converted(tmp_path: Path) -> None:
    table = read_columns(tmp_path, ["Lyon (°F)", "Nice (°F)"], ["Lyon", "Nice"])
    assert list_levels(join(table, "Lyon", "Nice")) == [-1, -1]  # 10 and 20 °F


def test_name_of_the_file_tells_the_quantity(tmp_path: Path) -> None:
    table = read_columns(tmp_path, ["Lyon", "Nice"], ["Lyon", "Nice"], name="temperature_villes.csv")
    assert list_levels(join(table, "Lyon", "Nice")) == [1, 2]


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        (["Lyon", "Nice"], r"columns Lyon, Nice are regions or entities, but nothing says.*'temperature Lyon'"),
        (["temperature Lyon", "lyon temp"], r"'temperature Lyon' and 'lyon temp' are both temperature of"),
        (["Lyon Nice", "temperature Nice"], r"'Lyon Nice' names several entities: Lyon, Nice\. Accepted is one"),
    ],
)
def test_ambiguous_columns_are_refused_with_what_is_accepted(tmp_path: Path, headers: list[str], message: str) -> None:
    with pytest.raises(UnknownLayoutError, match=message):
        read_columns(tmp_path, headers, ["Lyon", "Nice"])


@pytest.mark.parametrize(
    ("headers", "entities"),
    [
        (["load", "price"], ["load"]),  # a column that is named like the only entity
        (["price of gas", "spot"], ["gas", "power"]),
        (["price", "spot"], ["Lyon", "Nice"]),
        (["gas_index"], ["gas", "power"]),
    ],
)
def test_column_that_names_an_entity_by_chance_stays_as_it_is(
    tmp_path: Path, headers: list[str], entities: list[str]
) -> None:
    table = read_columns(tmp_path, headers, entities)
    assert table.places == [""]
    assert table.columns == headers


def test_entity_without_a_column_is_named(tmp_path: Path) -> None:
    covariates = join(
        read_columns(tmp_path, ["temp Lyon", "temp Nice"], ["Lyon", "Nice", "Metz"]), "Lyon", "Nice", "Metz"
    )
    assert any("Metz" in str(note.message) for note in covariates.notes if note.kind == "unmatched_entities")
    assert np.isnan(covariates.values[covariates.entities.index("Metz")]).all()
