"""Readers of tables: text dialects, encodings, containers, file types, layouts, roles, dates and numbers."""

import gzip
import io
import itertools
import json
import zipfile
from pathlib import Path

import numpy as np
import openpyxl
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.data.dataset import Dataset
from core.data.ingest.loading import load, load_preview
from core.data.ingest.number_parsing import parse_numbers
from core.data.read_options import ReadOptions, format_roles
from core.errors import OptionError, UnknownLayoutError

DELIMITERS = ",;\t|"
ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "latin-1", "cp1252")
DATE_FORMATS = (
    "%Y-%m-%d",
    "%Y/%m/%d",
    "%d/%m/%Y",
    "%d-%m-%Y",
    "%d.%m.%Y",
    "%Y-%m-%dT%H:%M:%S",
    "%d/%m/%Y %H:%M",
    "%Y-%m-%dT%H:%M:%SZ",
)
LINE_ENDINGS = ("\n", "\r\n", "\r")
CONTAINERS = ("plain", "gz", "zip")

site_names = st.text(st.sampled_from("abcdefghijklmnopqrstuvwxyzéèàçùœ ÎÉ'-."), min_size=3, max_size=12).map(
    lambda name: "x" + name.strip()
)
finite_values = st.floats(-1e9, 1e9, allow_nan=False, allow_infinity=False).map(lambda value: round(value, 6))


@st.composite
def tables(draw: st.DrawFn) -> pd.DataFrame:
    """Draw a table of entities, consecutive days and values, some missing. The days pass the 12th of a month."""
    entities = draw(st.lists(site_names, min_size=1, max_size=4, unique=True))
    days = pd.date_range(
        draw(st.dates(pd.Timestamp("1980-01-01").date(), pd.Timestamp("2090-01-01").date())), periods=14
    )
    frame = pd.DataFrame(itertools.product(entities, days), columns=["site", "date"])
    column = draw(st.lists(finite_values | st.none(), min_size=len(frame), max_size=len(frame)))
    frame["mesure"] = pd.array(column, dtype="float64") if any(value is not None for value in column) else 1.5
    frame["autre"] = draw(st.lists(finite_values, min_size=len(frame), max_size=len(frame)))
    return frame.astype({"mesure": float})


def encode_table(
    frame: pd.DataFrame, delimiter: str, encoding: str, decimal: str, date_format: str, ending: str
) -> bytes:
    text = frame.to_csv(index=False, sep=delimiter, decimal=decimal, date_format=date_format, lineterminator=ending)
    return text.encode(encoding, errors="strict")


def write_file(content: bytes, container: str, folder: Path, name: str = "mesures.csv") -> Path:
    if container == "gz":
        name, content = f"{name}.gz", gzip.compress(content)
    elif container == "zip":
        archive_bytes = io.BytesIO()
        with zipfile.ZipFile(archive_bytes, "w") as archive:
            archive.writestr(f"export/{name}", content)
        name, content = f"{name}.zip", archive_bytes.getvalue()
    path = folder / name
    path.write_bytes(content)
    return path


def assert_same_data(dataset: Dataset, frame: pd.DataFrame) -> None:
    assert dataset.layout == "tidy_series"
    assert dataset.columns == ["mesure", "autre"]
    assert list(dataset.entity) == list(frame["site"].str.strip())
    assert (dataset.time == pd.DatetimeIndex(frame["date"])).all()
    np.testing.assert_allclose(dataset.values, frame[["mesure", "autre"]].to_numpy(), rtol=1e-12)


SAMPLE = pd.DataFrame(
    {
        "site": ["Île-de-France", "Bretagne", "Provence, côte d'azur"] * 20,
        "date": np.repeat(pd.date_range("2024-01-20", periods=20), 3),
        "mesure": np.round(np.random.default_rng(0).normal(1000, 300, 60), 3),
        "autre": np.arange(60) / 8,
    }
)


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("ending", LINE_ENDINGS, ids=("lf", "crlf", "cr"))
@pytest.mark.parametrize("decimal", [".", ","], ids=("point", "decimal-comma"))
@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("delimiter", DELIMITERS, ids=("comma", "semicolon", "tab", "bar"))
def test_text_reader_accepts_every_dialect(
    delimiter: str, encoding: str, decimal: str, ending: str, container: str, tmp_path: Path
) -> None:
    option_lists = [DELIMITERS, ENCODINGS, ".,", LINE_ENDINGS, CONTAINERS]
    index_sum = sum(
        options.index(option)
        for options, option in zip(option_lists, (delimiter, encoding, decimal, ending, container), strict=True)
    )
    date_format = DATE_FORMATS[
        index_sum % len(DATE_FORMATS)
    ]  # each date format occurs with each other option, not with all combinations
    dataset = load(
        [write_file(encode_table(SAMPLE, delimiter, encoding, decimal, date_format, ending), container, tmp_path)]
    )
    assert_same_data(dataset, SAMPLE)
    assert dataset.notes == ()


@given(
    tables(),
    st.sampled_from(DELIMITERS),
    st.sampled_from(ENCODINGS),
    st.sampled_from(".,"),
    st.sampled_from(DATE_FORMATS),
    st.sampled_from(LINE_ENDINGS),
    st.sampled_from(CONTAINERS),
)
def test_text_reader_round_trips_tables(
    tmp_path: Path,
    frame: pd.DataFrame,
    delimiter: str,
    encoding: str,
    decimal: str,
    day: str,
    ending: str,
    container: str,
) -> None:
    if encoding == "latin-1":
        frame["site"] = frame["site"].str.replace("œ", "oe")
    assert_same_data(
        load([write_file(encode_table(frame, delimiter, encoding, decimal, day, ending), container, tmp_path)]), frame
    )


@given(
    tables(),
    st.sampled_from(["xlsx", "parquet", "json", "ndjson", "wrapped.json"]),
    st.sampled_from(CONTAINERS),
    st.booleans(),
)
def test_readers_round_trip_workbook_parquet_and_json(
    tmp_path: Path, frame: pd.DataFrame, kind: str, container: str, typed: bool
) -> None:
    out = frame if typed and kind in ("xlsx", "parquet") else frame.assign(date=frame["date"].dt.strftime("%Y-%m-%d"))
    records = (
        json.loads(out.to_json(orient="records", force_ascii=False, double_precision=15)) if "json" in kind else []
    )
    table_bytes = io.BytesIO()
    if kind == "xlsx":
        out.to_excel(table_bytes, index=False)
    elif kind == "parquet":
        out.to_parquet(table_bytes, index=False)
    content = {
        "xlsx": table_bytes.getvalue(),
        "parquet": table_bytes.getvalue(),
        "json": json.dumps(records).encode(),
        "ndjson": "\n".join(json.dumps(record, ensure_ascii=False) for record in records).encode(),
        "wrapped.json": json.dumps({"total": len(records), "results": records}).encode(),
    }[kind]
    assert_same_data(load([write_file(content, container, tmp_path, f"mesures.{kind}")]), frame)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_json_reader_accepts_other_encodings(tmp_path: Path, encoding: str) -> None:
    out = SAMPLE.assign(date=SAMPLE["date"].dt.strftime("%Y-%m-%d"))
    content = out.to_json(orient="records", force_ascii=False).encode(encoding)
    assert_same_data(load([write_file(content, "plain", tmp_path, "mesures.json")]), SAMPLE)


def test_file_type_is_detected_from_content(tmp_path: Path) -> None:
    SAMPLE.to_parquet(tmp_path / "mesures.csv", index=False)
    assert_same_data(load([tmp_path / "mesures.csv"]), SAMPLE)


def test_workbook_reader_skips_title_and_empty_sheet(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    book.create_sheet("mesures").append(["Consommation 2024"])
    sheet = book["mesures"]
    sheet.append([])
    for row in [list(SAMPLE), *SAMPLE.astype({"date": object}).itertuples(index=False)]:
        sheet.append([cell.to_pydatetime() if isinstance(cell, pd.Timestamp) else cell for cell in row])
    book.save(tmp_path / "mesures.xlsx")
    dataset = load([tmp_path / "mesures.xlsx"])
    assert_same_data(dataset, SAMPLE)
    assert [note.kind for note in dataset.notes] == ["skipped_lines"]


# ---- several files --------------------------------------------------------------------------------------------------


def test_load_joins_files_and_drops_repeated_rows(tmp_path: Path) -> None:
    first, second = SAMPLE.iloc[:40], SAMPLE.iloc[30:]
    first.to_csv(tmp_path / "a.csv", index=False)
    second.to_parquet(tmp_path / "b.parquet", index=False)
    dataset = load([tmp_path / "a.csv", tmp_path / "b.parquet"])
    assert_same_data(dataset, SAMPLE)
    assert dataset.files == ("a.csv", "b.parquet")
    assert [(note.kind, note.count) for note in dataset.notes] == [("repeated_rows", 10)]


def test_load_keeps_rows_with_same_key_and_other_values(tmp_path: Path) -> None:
    pd.concat([SAMPLE, SAMPLE.tail(3).assign(mesure=1.0)]).to_csv(tmp_path / "a.csv", index=False)
    assert len(load([tmp_path / "a.csv"])) == len(SAMPLE) + 3


def test_load_rejects_files_of_different_layouts(tmp_path: Path) -> None:
    SAMPLE.to_csv(tmp_path / "one.csv", index=False)
    SAMPLE.rename(columns={"mesure": "débit"}).to_csv(tmp_path / "two.csv", index=False)
    with pytest.raises(UnknownLayoutError, match=r"two\.csv does not match one\.csv"):
        load([tmp_path / "one.csv", tmp_path / "two.csv"])


def test_load_rejects_files_of_different_units(tmp_path: Path) -> None:
    for unit in ("kWh", "MWh"):
        pd.DataFrame({"date": ["2024-01-01", "2024-01-02"], f"({unit})": [1, 2]}).to_csv(
            tmp_path / f"{unit}.csv", index=False
        )
    with pytest.raises(UnknownLayoutError, match=r"MWh\.csv.*kWh\.csv"):
        load([tmp_path / "kWh.csv", tmp_path / "MWh.csv"])


def test_load_drops_covariates_missing_in_one_file(tmp_path: Path) -> None:
    profile = make_gas_table(GAS_HEADERS["french"])
    profile.to_csv(tmp_path / "a.csv", index=False)
    profile.drop(columns="movement_social").assign(date="2025-01-01").head(2).to_csv(tmp_path / "b.csv", index=False)
    dataset = load([tmp_path / "a.csv", tmp_path / "b.csv"])
    assert dataset.covariates is None
    assert "ignored_columns" in [note.kind for note in dataset.notes]


# ---- gas files ------------------------------------------------------------------------------------------------------

HOUR_HEADERS = {
    "colon": [f"{hour:02d}:00" for hour in range(24)],
    "underscore": [f"{hour:02d}_00" for hour in range(24)],
    "h": [f"{hour}h" for hour in range(24)],
    "hh": [f"{hour:02d}h" for hour in range(24)],
    "seconds": [f"{hour:02d}:00:00" for hour in range(24)],
    "hour": [f"hour_{hour}" for hour in range(24)],
}
GAS_HEADERS = {
    "french": [
        "date",
        "opérateur",
        "secteur_d'activité",
        "région",
        "consommation_journalière_(mwh_-_pcs_0°c)",
        "statut",
        "movement_social",
        "motif",
    ],
    "title": [
        "Début",
        "Opérateur",
        "Secteur d'activité",
        "Région",
        "Consommation journalière (MWh - PCS 0°C)",
        "Statut",
        "Movement_Social",
        "Motif",
    ],
    "bare": [
        "DATE",
        "operateur",
        "secteur_d_activite",
        "region",
        "conso_journaliere_mwh_pcs_0degc",
        "STATUT",
        "Mouvement social",
        "motif",
    ],
    "english": ["Gas day", "Operator", "Sector", "Region", "Daily consumption (MWh)", "Status", "Strike", "Reason"],
    "reg_name": [
        "date_heure",
        "operator",
        "sector",
        "reg_name",
        "Consommation_journaliere",
        "status",
        "grève",
        "strike_reason",
    ],
}
YES_NO = {
    "bool": (True, False),
    "number": (1, 0),
    "french": ("oui", "non"),
    "english": ("yes", "no"),
    "vrai": ("VRAI", "FAUX"),
}


def make_gas_table(header: list[str], hours: str = "colon", yes_no: str = "bool") -> pd.DataFrame:
    """Return twenty days of two operators in one region, with a strike on the fifth day."""
    days = pd.date_range("2024-01-01", periods=20)
    amounts = np.round(np.random.default_rng(1).uniform(100, 200, (40, 24)), 3)
    yes, no = YES_NO[yes_no]
    strike = [yes if day.day == 5 else no for day in days] * 2
    columns = [
        np.tile(days.strftime("%Y-%m-%d"), 2),
        np.repeat(["GRTgaz", "Teréga"], 20),
        ["GRD/ELD"] * 40,
        ["nouvelle-aquitaine"] * 40,
        amounts.sum(axis=1),
        ["Définitif"] * 40,
        strike,
        ["retraites" if is_strike == yes else None for is_strike in strike],
    ]
    details = pd.DataFrame(dict(zip(header, columns, strict=True)))
    return pd.concat(
        [details.iloc[:, :4], pd.DataFrame(amounts, columns=HOUR_HEADERS[hours]), details.iloc[:, 4:]], axis=1
    )


@pytest.mark.parametrize(
    ("header", "hours", "yes_no"),
    [
        *((header, "colon", "bool") for header in GAS_HEADERS),
        *(("french", hours, "bool") for hours in HOUR_HEADERS),
        *(("english", "underscore", yes_no) for yes_no in YES_NO),
    ],
)
def test_gas_layout_accepts_header_variants(header: str, hours: str, yes_no: str, tmp_path: Path) -> None:
    reference, variant = tmp_path / "gas.csv", tmp_path / "again" / "gas.csv"
    variant.parent.mkdir()
    make_gas_table(GAS_HEADERS["french"]).to_csv(reference, index=False)
    make_gas_table(GAS_HEADERS[header], hours, yes_no).to_csv(variant, index=False, sep=";", decimal=",")
    expected, dataset = load([reference]), load([variant])
    assert (dataset.layout, dataset.unit, dataset.day_start, dataset.step) == (
        "gas_daily",
        "MWh",
        6,
        pd.Timedelta(hours=1),
    )
    assert dataset.entities == ["GRTgaz · nouvelle-aquitaine", "Teréga · nouvelle-aquitaine"]
    pd.testing.assert_frame_equal(dataset.frame, expected.frame)
    pd.testing.assert_frame_equal(dataset.covariates, expected.covariates)
    pd.testing.assert_frame_equal(dataset.context, expected.context)
    assert dataset.covariates is not None
    assert dataset.covariates["strike"].sum() == 2
    assert dataset.digest == expected.digest


# ---- layouts --------------------------------------------------------------------------------------------------------


def make_daily_table(columns: list[str]) -> pd.DataFrame:
    amounts = np.random.default_rng(2).uniform(1, 9, (3, len(columns)))
    return pd.concat(
        [pd.Series(["2024-01-29", "2024-01-30", "2024-01-31"], name="jour"), pd.DataFrame(amounts, columns=columns)],
        axis=1,
    )


QUARTER_HOURS = [f"{minute // 60:02d}:{minute % 60:02d}" for minute in range(0, 24 * 60, 15)]
LAYOUTS = {
    "gas_daily": make_gas_table(GAS_HEADERS["french"]),
    "daily_profile": make_daily_table(HOUR_HEADERS["colon"]),
    "tidy_series": SAMPLE,
    "kpi_matrix": pd.DataFrame(
        np.random.default_rng(3).random((30, 38)), columns=[f"kpi {number}" for number in range(38)]
    ),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layout_is_detected_from_content(layout: str, tmp_path: Path) -> None:
    LAYOUTS[layout].to_csv(tmp_path / "file.csv", index=False)
    assert load([tmp_path / "file.csv"]).layout == layout
    file_preview = load_preview([tmp_path / "file.csv"])
    assert file_preview.layout == layout
    assert file_preview.columns[0].first_cells[0] == str(LAYOUTS[layout].iloc[0, 0])
    assert set(file_preview.roles) == set(LAYOUTS[layout].columns)
    reloaded = load([tmp_path / "file.csv"], ReadOptions(layout, format_roles(file_preview.roles)))
    pd.testing.assert_frame_equal(reloaded.frame, load([tmp_path / "file.csv"]).frame)


def test_kpi_layout_accepts_file_without_header(tmp_path: Path) -> None:
    LAYOUTS["kpi_matrix"].to_csv(tmp_path / "machine-1.txt", index=False, header=False)
    dataset = load([tmp_path / "machine-1.txt"])
    assert (dataset.layout, len(dataset), len(dataset.columns)) == ("kpi_matrix", 30, 38)
    assert dataset.entities == ["series"]
    assert not dataset.has_dates


def test_layout_takes_no_numbered_columns_for_hours(tmp_path: Path) -> None:
    make_daily_table([str(number) for number in range(38)]).to_csv(tmp_path / "smd.csv", index=False)
    assert load([tmp_path / "smd.csv"]).layout == "tidy_series"


def test_daily_profile_layout_accepts_quarter_hours(tmp_path: Path) -> None:
    make_daily_table(QUARTER_HOURS).to_csv(tmp_path / "file.csv", index=False)
    dataset = load([tmp_path / "file.csv"])
    assert (dataset.layout, dataset.step, dataset.columns) == ("daily_profile", pd.Timedelta(minutes=15), QUARTER_HOURS)


def test_daily_profile_layout_sorts_hours(tmp_path: Path) -> None:
    table = make_daily_table(HOUR_HEADERS["colon"])
    table[table.columns[::-1]].to_csv(tmp_path / "file.csv", index=False)
    dataset = load([tmp_path / "file.csv"])
    assert dataset.columns == HOUR_HEADERS["colon"]
    np.testing.assert_allclose(dataset.values, table[HOUR_HEADERS["colon"]])


def test_load_uses_given_roles(tmp_path: Path) -> None:
    table = SAMPLE.rename(columns={"site": "q1", "date": "q2", "mesure": "q3", "autre": "q4"}).assign(q5=0, q6="x")
    table.to_csv(tmp_path / "odd.csv", index=False)
    roles = {"q1": "entity", "q2": "time", "q3": "measure", "q4": "covariate", "q5": "label", "q6": "ignore"}
    for layout in ("tidy_series", ""):
        dataset = load([tmp_path / "odd.csv"], ReadOptions(layout, format_roles(roles), "m3"))
        assert dataset.read_options.role_by_column == roles
        assert (dataset.columns, dataset.unit, dataset.entities) == (["q3"], "m3", sorted(SAMPLE["site"].unique()))
        assert dataset.covariates is not None
        assert list(dataset.covariates) == ["q4"]
        assert dataset.labels is not None
        assert not dataset.labels.any()


@pytest.mark.parametrize(
    ("roles", "error", "says"),
    [
        (
            {"mesure": "ignore", "autre": "ignore"},
            UnknownLayoutError,
            r"odd\.csv: the layout tidy_series requires a column with the role measure",
        ),
        ({"date": "time", "débit": "measure"}, UnknownLayoutError, r"odd\.csv: the column 'débit'"),
        ({"date": "when", "mesure": "measure"}, OptionError, r"'date=when' is not accepted.*measure"),
    ],
)
def test_load_rejects_invalid_roles(roles: dict, error: type, says: str, tmp_path: Path) -> None:
    SAMPLE.to_csv(tmp_path / "odd.csv", index=False)
    with pytest.raises(error, match=says):
        load([tmp_path / "odd.csv"], ReadOptions("tidy_series", format_roles(roles)))


def test_load_rejects_unknown_layout(tmp_path: Path) -> None:
    SAMPLE.to_csv(tmp_path / "odd.csv", index=False)
    with pytest.raises(UnknownLayoutError, match=r"'wide'.*gas_daily"):
        load([tmp_path / "odd.csv"], ReadOptions("wide"))


# ---- dates and numbers ----------------------------------------------------------------------------------------------


def load_dates(texts: list[str], folder: Path) -> Dataset:
    pd.DataFrame({"date": texts, "value": np.arange(len(texts)) + 0.5}).to_csv(folder / "dates.csv", index=False)
    return load([folder / "dates.csv"])


def test_ambiguous_dates_are_read_day_first(tmp_path: Path) -> None:
    dataset = load_dates(["03/02/2024", "04/02/2024", "05/02/2024"], tmp_path)
    assert [note.kind for note in dataset.notes] == ["ambiguous_dates"]
    assert list(dataset.time) == list(pd.date_range("2024-02-03", periods=3))


@pytest.mark.parametrize("day_first", [True, False])
def test_hourly_dates_show_order_of_day_and_month(day_first: bool, tmp_path: Path) -> None:
    times = pd.date_range("2024-01-01", periods=24 * 60, freq="h")
    dataset = load_dates(list(times.strftime("%d/%m/%Y %H:%M" if day_first else "%m/%d/%Y %H:%M")), tmp_path)
    assert list(dataset.time) == list(times)
    assert dataset.notes == ()
    assert dataset.step == pd.Timedelta(hours=1)


@given(
    st.lists(st.integers(-(10**12), 10**12).map(lambda n: n / 100), min_size=5, max_size=20),
    st.sampled_from([(",", "."), (" ", "."), (" ", ","), (".", ","), ("\u202f", ","), ("'", ".")]),
)
def test_number_parser_accepts_thousands_separators(amounts: list[float], marks: tuple[str, str]) -> None:
    amounts = [*amounts, 1234.5]  # one unambiguous number
    cells = [f"{amount:,.2f}".translate(str.maketrans(",.", "".join(marks))) for amount in amounts]
    parsed, invalid = parse_numbers(pd.Series(cells))
    assert not len(invalid)
    np.testing.assert_allclose(parsed, amounts)


def test_load_joins_consecutive_files_into_one_series(tmp_path: Path) -> None:
    """Files without entity names form one series if their dates are consecutive, and two if their dates overlap."""
    january, february = tmp_path / "january.csv", tmp_path / "february.csv"
    january.write_text("date,calls\n2024-01-30,1\n2024-01-31,2\n")
    february.write_text("date,calls\n2024-02-01,3\n2024-02-02,4\n")
    assert load([january, february]).entities == ["series"]
    assert len(load([january, february])) == 4
    (tmp_path / "other.csv").write_text("date,calls\n2024-01-31,5\n2024-02-01,6\n")
    assert load([january, tmp_path / "other.csv"]).entities == ["january", "other"]
