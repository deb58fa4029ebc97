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
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.data.dataset import Dataset
from core.data.ingest.cells import numbers
from core.data.ingest.loading import load, preview
from core.errors import OptionError, UnknownLayoutError

quick = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

DELIMITERS = ",;\t|"
ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "latin-1", "cp1252")
DAYS = (
    "%Y-%m-%d",
    "%Y/%m/%d",
    "%d/%m/%Y",
    "%d-%m-%Y",
    "%d.%m.%Y",
    "%Y-%m-%dT%H:%M:%S",
    "%d/%m/%Y %H:%M",
    "%Y-%m-%dT%H:%M:%SZ",
)
ENDINGS = ("\n", "\r\n", "\r")
CONTAINERS = ("plain", "gz", "zip")

names = st.text(st.sampled_from("abcdefghijklmnopqrstuvwxyzéèàçùœ ÎÉ'-."), min_size=3, max_size=12).map(
    lambda name: "x" + name.strip()
)
values = st.floats(-1e9, 1e9, allow_nan=False, allow_infinity=False).map(lambda value: round(value, 6))


@st.composite
def tables(draw: st.DrawFn) -> pd.DataFrame:
    """Draw a table of entities, consecutive days and values, some missing. The days pass the 12th of a month."""
    entities = draw(st.lists(names, min_size=1, max_size=4, unique=True))
    days = pd.date_range(
        draw(st.dates(pd.Timestamp("1980-01-01").date(), pd.Timestamp("2090-01-01").date())), periods=14
    )
    frame = pd.DataFrame(itertools.product(entities, days), columns=["site", "date"])
    column = draw(st.lists(values | st.none(), min_size=len(frame), max_size=len(frame)))
    frame["mesure"] = pd.array(column, dtype="float64") if any(v is not None for v in column) else 1.5
    frame["autre"] = draw(st.lists(values, min_size=len(frame), max_size=len(frame)))
    return frame.astype({"mesure": float})


def written(frame: pd.DataFrame, delimiter: str, encoding: str, decimal: str, day: str, ending: str) -> bytes:
    text = frame.to_csv(index=False, sep=delimiter, decimal=decimal, date_format=day, lineterminator=ending)
    return text.encode(encoding, errors="strict")


def stored(content: bytes, container: str, folder: Path, name: str = "mesures.csv") -> Path:
    if container == "gz":
        name, content = f"{name}.gz", gzip.compress(content)
    elif container == "zip":
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr(f"export/{name}", content)
        name, content = f"{name}.zip", packed.getvalue()
    path = folder / name
    path.write_bytes(content)
    return path


def same(dataset: Dataset, frame: pd.DataFrame) -> None:
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
@pytest.mark.parametrize("ending", ENDINGS, ids=("lf", "crlf", "cr"))
@pytest.mark.parametrize("decimal", [".", ","], ids=("point", "decimal-comma"))
@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("delimiter", DELIMITERS, ids=("comma", "semicolon", "tab", "bar"))
def test_every_dialect(
    delimiter: str, encoding: str, decimal: str, ending: str, container: str, tmp_path: Path
) -> None:
    ways = [DELIMITERS, ENCODINGS, ".,", ENDINGS, CONTAINERS]
    chosen = sum(
        way.index(own) for way, own in zip(ways, (delimiter, encoding, decimal, ending, container), strict=True)
    )
    day = DAYS[chosen % len(DAYS)]  # each date format occurs with each other option, not with all combinations
    dataset = load([stored(written(SAMPLE, delimiter, encoding, decimal, day, ending), container, tmp_path)])
    same(dataset, SAMPLE)
    assert dataset.notes == ()


@quick
@given(
    tables(),
    st.sampled_from(DELIMITERS),
    st.sampled_from(ENCODINGS),
    st.sampled_from(".,"),
    st.sampled_from(DAYS),
    st.sampled_from(ENDINGS),
    st.sampled_from(CONTAINERS),
)
def test_any_text_table(
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
    same(load([stored(written(frame, delimiter, encoding, decimal, day, ending), container, tmp_path)]), frame)


@quick
@given(
    tables(),
    st.sampled_from(["xlsx", "parquet", "json", "ndjson", "wrapped.json"]),
    st.sampled_from(CONTAINERS),
    st.booleans(),
)
def test_any_other_table(tmp_path: Path, frame: pd.DataFrame, kind: str, container: str, typed: bool) -> None:
    out = frame if typed and kind in ("xlsx", "parquet") else frame.assign(date=frame["date"].dt.strftime("%Y-%m-%d"))
    records = (
        json.loads(out.to_json(orient="records", force_ascii=False, double_precision=15)) if "json" in kind else []
    )
    packed = io.BytesIO()
    if kind == "xlsx":
        out.to_excel(packed, index=False)
    elif kind == "parquet":
        out.to_parquet(packed, index=False)
    content = {
        "xlsx": packed.getvalue(),
        "parquet": packed.getvalue(),
        "json": json.dumps(records).encode(),
        "ndjson": "\n".join(json.dumps(record, ensure_ascii=False) for record in records).encode(),
        "wrapped.json": json.dumps({"total": len(records), "results": records}).encode(),
    }[kind]
    same(load([stored(content, container, tmp_path, f"mesures.{kind}")]), frame)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_json_in_other_encodings(tmp_path: Path, encoding: str) -> None:
    out = SAMPLE.assign(date=SAMPLE["date"].dt.strftime("%Y-%m-%d"))
    content = out.to_json(orient="records", force_ascii=False).encode(encoding)
    same(load([stored(content, "plain", tmp_path, "mesures.json")]), SAMPLE)


def test_what_a_file_is_comes_from_its_bytes(tmp_path: Path) -> None:
    SAMPLE.to_parquet(tmp_path / "mesures.csv", index=False)
    same(load([tmp_path / "mesures.csv"]), SAMPLE)


def test_a_workbook_with_a_title_and_another_sheet(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    book.create_sheet("mesures").append(["Consommation 2024"])
    sheet = book["mesures"]
    sheet.append([])
    for row in [list(SAMPLE), *SAMPLE.astype({"date": object}).itertuples(index=False)]:
        sheet.append([cell.to_pydatetime() if isinstance(cell, pd.Timestamp) else cell for cell in row])
    book.save(tmp_path / "mesures.xlsx")
    dataset = load([tmp_path / "mesures.xlsx"])
    same(dataset, SAMPLE)
    assert [note.kind for note in dataset.notes] == ["skipped_lines"]


# ---- several files --------------------------------------------------------------------------------------------------


def test_files_are_joined_in_their_order_and_repeats_dropped(tmp_path: Path) -> None:
    first, second = SAMPLE.iloc[:40], SAMPLE.iloc[30:]
    first.to_csv(tmp_path / "a.csv", index=False)
    second.to_parquet(tmp_path / "b.parquet", index=False)
    dataset = load([tmp_path / "a.csv", tmp_path / "b.parquet"])
    same(dataset, SAMPLE)
    assert dataset.files == ("a.csv", "b.parquet")
    assert [(note.kind, note.count) for note in dataset.notes] == [("repeated_rows", 10)]


def test_rows_with_the_same_key_and_other_values_stay(tmp_path: Path) -> None:
    pd.concat([SAMPLE, SAMPLE.tail(3).assign(mesure=1.0)]).to_csv(tmp_path / "a.csv", index=False)
    assert len(load([tmp_path / "a.csv"])) == len(SAMPLE) + 3


def test_files_of_different_layouts_are_refused_naming_both(tmp_path: Path) -> None:
    SAMPLE.to_csv(tmp_path / "one.csv", index=False)
    SAMPLE.rename(columns={"mesure": "débit"}).to_csv(tmp_path / "two.csv", index=False)
    with pytest.raises(UnknownLayoutError, match=r"two\.csv does not match one\.csv"):
        load([tmp_path / "one.csv", tmp_path / "two.csv"])


def test_files_of_different_units_are_refused(tmp_path: Path) -> None:
    for unit in ("kWh", "MWh"):
        pd.DataFrame({"date": ["2024-01-01", "2024-01-02"], f"({unit})": [1, 2]}).to_csv(
            tmp_path / f"{unit}.csv", index=False
        )
    with pytest.raises(UnknownLayoutError, match=r"MWh\.csv.*kWh\.csv"):
        load([tmp_path / "kWh.csv", tmp_path / "MWh.csv"])


def test_context_that_one_file_lacks_is_left_out_and_told(tmp_path: Path) -> None:
    profile = gas(HEADERS["french"])
    profile.to_csv(tmp_path / "a.csv", index=False)
    profile.drop(columns="movement_social").assign(date="2025-01-01").head(2).to_csv(tmp_path / "b.csv", index=False)
    dataset = load([tmp_path / "a.csv", tmp_path / "b.csv"])
    assert dataset.drivers is None
    assert "ignored_columns" in [note.kind for note in dataset.notes]


# ---- gas files ------------------------------------------------------------------------------------------------------

HOURS = {
    "colon": [f"{hour:02d}:00" for hour in range(24)],
    "underscore": [f"{hour:02d}_00" for hour in range(24)],
    "h": [f"{hour}h" for hour in range(24)],
    "hh": [f"{hour:02d}h" for hour in range(24)],
    "seconds": [f"{hour:02d}:00:00" for hour in range(24)],
    "hour": [f"hour_{hour}" for hour in range(24)],
}
HEADERS = {
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
        "Date",
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


def gas(header: list[str], hours: str = "colon", yes_no: str = "bool") -> pd.DataFrame:
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
        ["retraites" if each == yes else None for each in strike],
    ]
    described = pd.DataFrame(dict(zip(header, columns, strict=True)))
    return pd.concat(
        [described.iloc[:, :4], pd.DataFrame(amounts, columns=HOURS[hours]), described.iloc[:, 4:]], axis=1
    )


@pytest.mark.parametrize(
    ("header", "hours", "yes_no"),
    [
        *((header, "colon", "bool") for header in HEADERS),
        *(("french", hours, "bool") for hours in HOURS),
        *(("english", "underscore", yes_no) for yes_no in YES_NO),
    ],
)
def test_gas_headers_of_every_kind_give_the_same_dataset(header: str, hours: str, yes_no: str, tmp_path: Path) -> None:
    reference, other = tmp_path / "gas.csv", tmp_path / "again" / "gas.csv"
    other.parent.mkdir()
    gas(HEADERS["french"]).to_csv(reference, index=False)
    gas(HEADERS[header], hours, yes_no).to_csv(other, index=False, sep=";", decimal=",")
    expected, found = load([reference]), load([other])
    assert (found.layout, found.unit, found.day_start, found.step) == ("gas_daily", "MWh", 6, pd.Timedelta(hours=1))
    assert found.entities == ["GRTgaz · nouvelle-aquitaine", "Teréga · nouvelle-aquitaine"]
    pd.testing.assert_frame_equal(found.frame, expected.frame)
    pd.testing.assert_frame_equal(found.drivers, expected.drivers)
    pd.testing.assert_frame_equal(found.context, expected.context)
    assert found.drivers is not None
    assert found.drivers["strike"].sum() == 2
    assert found.digest == expected.digest


# ---- layouts --------------------------------------------------------------------------------------------------------


def daily(columns: list[str]) -> pd.DataFrame:
    amounts = np.random.default_rng(2).uniform(1, 9, (3, len(columns)))
    return pd.concat(
        [pd.Series(["2024-01-29", "2024-01-30", "2024-01-31"], name="jour"), pd.DataFrame(amounts, columns=columns)],
        axis=1,
    )


QUARTERS = [f"{minute // 60:02d}:{minute % 60:02d}" for minute in range(0, 24 * 60, 15)]
LAYOUTS = {
    "gas_daily": gas(HEADERS["french"]),
    "daily_profile": daily(HOURS["colon"]),
    "tidy_series": SAMPLE,
    "kpi_matrix": pd.DataFrame(
        np.random.default_rng(3).random((30, 38)), columns=[f"kpi {number}" for number in range(38)]
    ),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_is_recognised_by_itself(layout: str, tmp_path: Path) -> None:
    LAYOUTS[layout].to_csv(tmp_path / "file.csv", index=False)
    assert load([tmp_path / "file.csv"]).layout == layout
    seen = preview([tmp_path / "file.csv"])
    assert (seen.layout, len(seen.head)) == (layout, min(20, len(LAYOUTS[layout])))
    assert set(seen.roles) == set(LAYOUTS[layout].columns)
    again = load([tmp_path / "file.csv"], layout=layout, roles=seen.roles)
    assert again.digest == load([tmp_path / "file.csv"]).digest


def test_numbers_without_a_header_are_kpis(tmp_path: Path) -> None:
    LAYOUTS["kpi_matrix"].to_csv(tmp_path / "machine-1.txt", index=False, header=False)
    dataset = load([tmp_path / "machine-1.txt"])
    assert (dataset.layout, len(dataset), len(dataset.columns)) == ("kpi_matrix", 30, 38)
    assert dataset.entities == ["machine-1"]
    assert not dataset.dated


def test_thirty_eight_numbered_columns_beside_a_date_are_no_hours(tmp_path: Path) -> None:
    daily([str(number) for number in range(38)]).to_csv(tmp_path / "smd.csv", index=False)
    assert load([tmp_path / "smd.csv"]).layout == "tidy_series"


def test_quarter_hours_are_a_profile_too(tmp_path: Path) -> None:
    daily(QUARTERS).to_csv(tmp_path / "file.csv", index=False)
    dataset = load([tmp_path / "file.csv"])
    assert (dataset.layout, dataset.step, dataset.columns) == ("daily_profile", pd.Timedelta(minutes=15), QUARTERS)


def test_hours_in_any_order_end_up_in_order(tmp_path: Path) -> None:
    table = daily(HOURS["colon"])
    table[table.columns[::-1]].to_csv(tmp_path / "file.csv", index=False)
    dataset = load([tmp_path / "file.csv"])
    assert dataset.columns == HOURS["colon"]
    np.testing.assert_allclose(dataset.values, table[HOURS["colon"]])


def test_roles_given_by_hand(tmp_path: Path) -> None:
    table = SAMPLE.rename(columns={"site": "q1", "date": "q2", "mesure": "q3", "autre": "q4"}).assign(q5=0, q6="x")
    table.to_csv(tmp_path / "odd.csv", index=False)
    roles = {"q1": "entity", "q2": "time", "q3": "measure", "q4": "driver", "q5": "label", "q6": "ignore"}
    for layout in ("tidy_series", None):
        dataset = load([tmp_path / "odd.csv"], layout=layout, roles=roles, unit="m3")  # type: ignore[arg-type]
        assert (dataset.columns, dataset.unit, dataset.entities) == (["q3"], "m3", sorted(SAMPLE["site"].unique()))
        assert dataset.drivers is not None
        assert list(dataset.drivers) == ["q4"]
        assert dataset.labels is not None
        assert not dataset.labels.any()


@pytest.mark.parametrize(
    ("roles", "error", "says"),
    [
        ({"date": "time"}, UnknownLayoutError, r"odd\.csv: no column serves as measure"),
        ({"date": "time", "débit": "measure"}, UnknownLayoutError, r"odd\.csv: column 'débit'"),
        ({"date": "when", "mesure": "measure"}, OptionError, r"'when' of column 'date'.*measure"),
    ],
)
def test_roles_that_do_not_fit_are_named(roles: dict, error: type, says: str, tmp_path: Path) -> None:
    SAMPLE.to_csv(tmp_path / "odd.csv", index=False)
    with pytest.raises(error, match=says):
        load([tmp_path / "odd.csv"], layout="tidy_series", roles=roles)


def test_a_layout_that_does_not_exist(tmp_path: Path) -> None:
    SAMPLE.to_csv(tmp_path / "odd.csv", index=False)
    with pytest.raises(UnknownLayoutError, match=r"'wide'.*gas_daily"):
        load([tmp_path / "odd.csv"], layout="wide")


# ---- dates and numbers ----------------------------------------------------------------------------------------------


def dated(texts: list[str], folder: Path) -> Dataset:
    pd.DataFrame({"date": texts, "value": np.arange(len(texts)) + 0.5}).to_csv(folder / "dates.csv", index=False)
    return load([folder / "dates.csv"])


def test_ambiguous_dates_are_told_and_read_day_first(tmp_path: Path) -> None:
    dataset = dated(["03/02/2024", "04/02/2024", "05/02/2024"], tmp_path)
    assert [note.kind for note in dataset.notes] == ["ambiguous_dates"]
    assert list(dataset.time) == list(pd.date_range("2024-02-03", periods=3))


@pytest.mark.parametrize("day_first", [True, False])
def test_an_hourly_year_tells_day_from_month_wherever_it_starts(day_first: bool, tmp_path: Path) -> None:
    times = pd.date_range("2024-01-01", periods=24 * 60, freq="h")
    dataset = dated(list(times.strftime("%d/%m/%Y %H:%M" if day_first else "%m/%d/%Y %H:%M")), tmp_path)
    assert list(dataset.time) == list(times)
    assert dataset.notes == ()
    assert dataset.step == pd.Timedelta(hours=1)


def test_moments_with_a_time_zone_become_utc(tmp_path: Path) -> None:
    dataset = dated(["2024-03-31T01:00:00+01:00", "2024-03-31T03:00:00+02:00", "2024-03-31T04:00:00+02:00"], tmp_path)
    assert list(dataset.time) == list(pd.date_range("2024-03-31", periods=3, freq="h"))


@quick
@given(
    st.lists(st.integers(-(10**12), 10**12).map(lambda n: n / 100), min_size=5, max_size=20),
    st.sampled_from([(",", "."), (" ", "."), (" ", ","), (".", ","), ("\u202f", ","), ("'", ".")]),
)
def test_thousands_separators_of_every_country(amounts: list[float], marks: tuple[str, str]) -> None:
    amounts = [*amounts, 1234.5]  # one unambiguous number
    cells = [f"{amount:,.2f}".translate(str.maketrans(",.", "".join(marks))) for amount in amounts]
    found, bad = numbers(pd.Series(cells))
    assert not len(bad)
    np.testing.assert_allclose(found, amounts)


def test_months_of_one_series_are_one_series(tmp_path: Path) -> None:
    """Files without entity names form one series if their dates are consecutive, and two if their dates overlap."""
    january, february = tmp_path / "january.csv", tmp_path / "february.csv"
    january.write_text("date,calls\n2024-01-30,1\n2024-01-31,2\n")
    february.write_text("date,calls\n2024-02-01,3\n2024-02-02,4\n")
    assert load([january, february]).entities == ["january"]
    assert len(load([january, february])) == 4
    (tmp_path / "other.csv").write_text("date,calls\n2024-01-31,5\n2024-02-01,6\n")
    assert load([january, tmp_path / "other.csv"]).entities == ["january", "other"]
