"""Malformed and hostile files: loading rejects each one or repairs it, and names the problem."""

import gzip
import io
import json
import pickle
import resource
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import openpyxl
import pyarrow as pa
import pyarrow.parquet
import pytest

from core.data.ingest.loading import load
from core.data.quality.doctor import run_checks
from core.errors import InputError, UnknownLayoutError, UnreadableFileError

MAX_PROCESSOR_S = 5
MAX_MEMORY_MB = 500


@dataclass(frozen=True)
class Case:
    """A file and its expected result: an error of exactly this class that contains `words`, or these findings."""

    file: str
    build: Callable[[], bytes]
    error: type[InputError] | None = None
    words: tuple[str, ...] = ()
    findings: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.build.__name__


CASES: list[Case] = []


def expect_error(file: str, *words: str, error: type[InputError] = UnreadableFileError) -> Callable:
    """Register a file that loading rejects; the message names the file and contains `words`."""

    def register(build: Callable[[], bytes]) -> Callable[[], bytes]:
        is_archive = file.endswith((".zip", ".gz"))  # the message names the member of the archive
        CASES.append(Case(file, build, error=error, words=words if is_archive else (file, *words)))
        return build

    return register


def expect_findings(file: str, *findings: str) -> Callable:
    """Register a file that loading accepts; the data-quality issues include `findings`."""

    def register(build: Callable[[], bytes]) -> Callable[[], bytes]:
        CASES.append(Case(file, build, findings=findings))
        return build

    return register


def make_series(**changes: str) -> bytes:
    """Return a CSV series of 30 days; `changes` replaces lines: row_7="…" (row_0 is the header)."""
    lines = ["date,site,value", *(f"2024-01-{day:02d},nord,{100 + day * 7 % 13}.5" for day in range(1, 31))]
    for name, line in changes.items():
        lines[int(name.removeprefix("row_"))] = line
    return "\n".join(lines).encode() + b"\n"


def make_profile(hours: list[str], days: int = 10) -> bytes:
    """Return a CSV of daily gas profiles with these columns for the hours."""
    lines = [",".join(["date", "opérateur", "région", *hours])]
    lines += [
        ",".join([f"2024-03-{day:02d}", "GRTgaz", "bretagne", *(f"{100 + day + hour}.5" for hour in range(len(hours)))])
        for day in range(1, days + 1)
    ]
    return "\n".join(lines).encode()


HOURS = [f"{hour:02d}:00" for hour in range(24)]


def make_zip(*members: tuple[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return buffer.getvalue()


def make_workbook(*sheets: list[list[object]]) -> bytes:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for number, rows in enumerate(sheets):
        sheet = book.create_sheet(f"sheet {number}")
        for row in rows:
            sheet.append(row)
    buffer = io.BytesIO()
    book.save(buffer)
    return buffer.getvalue()


def replace_member(archive: bytes, member: str, content: bytes) -> bytes:
    """Return the archive with new content in one member."""
    with zipfile.ZipFile(io.BytesIO(archive)) as original:
        return make_zip(*((name, content if name == member else original.read(name)) for name in original.namelist()))


def make_parquet(**columns: pa.Array) -> bytes:
    buffer = io.BytesIO()
    pyarrow.parquet.write_table(pa.table(columns), buffer)
    return buffer.getvalue()


class Marker:
    """Object that creates the file PATH when it is unpickled."""

    PATH = Path(tempfile.gettempdir()) / "vigie-zoo-pickle-was-loaded"

    def __reduce__(self) -> tuple:
        return Path.touch, (self.PATH,)


# ---- empty files and files without a table --------------------------------------------------------------------------


@expect_error("empty.csv", "empty")
def empty() -> bytes:
    return b""


@expect_error("blank.csv", "empty")
def only_whitespace() -> bytes:
    return b" \t\r\n \n\n   \n"


@expect_error("nul.csv", "empty")
def only_nuls() -> bytes:
    return bytes(4096)


@expect_error("bom.csv", "empty")
def only_byte_order_mark() -> bytes:
    return b"\xef\xbb\xbf"


@expect_error("header.csv", "no rows")
def header_only() -> bytes:
    return b"date,site,value\n"


@expect_error("header16.csv", "no rows")
def header_only_utf16() -> bytes:
    return "date;site;value\r\n".encode("utf-16")


@expect_error("picture.csv", "89 50 4e 47")
def png() -> bytes:
    return b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 40


@expect_error("program.csv", "7f 45 4c 46")
def elf() -> bytes:
    return b"\x7fELF\x02\x01\x01" + bytes(9) + bytes(range(256)) * 40


@expect_error("noise.csv", "not a text file")
def random_bytes() -> bytes:
    return bytes((number * 7919 + number * number * 31) % 251 for number in range(10_000))


@expect_error("page.csv", "HTML")
def html() -> bytes:
    return b"<!DOCTYPE html>\n<html><body><table><tr><td>2024-01-01</td><td>1,2</td></tr></table></body></html>"


@expect_error("feed.csv", "XML")
def xml() -> bytes:
    return b'<?xml version="1.0"?>\n<rows><row date="2024-01-01" value="1"/></rows>'


@expect_error("prose.csv", "line 3")
def prose() -> bytes:
    return "Bonjour,\nvoici le fichier demandé, comme convenu hier.\nCordialement\n".encode()


@expect_error("names.csv", "city", "country", error=UnknownLayoutError)
def only_text_columns() -> bytes:
    return b"city,country\nParis,France\nRome,Italie\nBerne,Suisse\n"


# ---- pickles --------------------------------------------------------------------------------------------------------


@expect_error("model0.csv", "pickle")
def pickle_protocol_0() -> bytes:
    return pickle.dumps(Marker(), protocol=0)


@expect_error("model1.csv", "pickle")
def pickle_protocol_1() -> bytes:
    return pickle.dumps({"date": [1, 2, 3], "run": Marker()}, protocol=1)


@expect_error("model4.csv", "pickle")
def pickle_protocol_4() -> bytes:
    return pickle.dumps(Marker(), protocol=4)


@expect_error("frame.csv", "pickle")
def large_table_pickle_protocol_0() -> bytes:
    return pickle.dumps({"date": [f"2024-01-{day % 30:02d}" for day in range(20_000)]}, protocol=0)


@expect_error("model.csv.gz", "pickle")
def pickle_in_gzip() -> bytes:
    return gzip.compress(pickle.dumps([Marker()], protocol=0))


# ---- archives -------------------------------------------------------------------------------------------------------


@expect_error("bomb.zip", "unpacks to more than")
def zip_bomb() -> bytes:
    return make_zip(("data.csv", b"date,value\n" + b"0" * 200_000_000))


@expect_error("bombs.zip", "b.zip", "unpacks to more than")
def nested_zip_bomb() -> bytes:
    inner = make_zip(("data.csv", b"0" * 50_000_000))
    return make_zip(("a.zip", make_zip(("data.csv", b"1"))), ("b.zip", inner))


@expect_error("matryoshka.zip", "the archives are nested too deep")
def deeply_nested_zip() -> bytes:
    packed = make_series()
    for depth in range(4):
        packed = make_zip((f"level{depth}.zip", packed))
    return packed


@expect_error("bomb.csv.gz", "unpacks to more than")
def gz_bomb() -> bytes:
    return gzip.compress(b"1,2\n" * 50_000_000, compresslevel=9)


@expect_error("cut.csv.gz", "damaged")
def truncated_gz() -> bytes:
    return gzip.compress(make_series() * 100)[:-60]


@expect_error("crc.csv.gz", "damaged")
def gz_with_wrong_checksum() -> bytes:
    packed = bytearray(gzip.compress(make_series()))
    packed[-8] ^= 0xFF
    return bytes(packed)


@expect_error("header.gz", "damaged")
def gz_cut_to_two_bytes() -> bytes:
    return b"\x1f\x8b"


@expect_error("void.csv.gz", "void.csv", "empty")
def gz_of_empty_file() -> bytes:
    return gzip.compress(b"")


@expect_error("corrupt.zip", "damaged")
def corrupt_zip() -> bytes:
    packed = bytearray(make_zip(("data.csv", make_series())))
    packed[60:120] = b"\xa5" * 60
    return bytes(packed)


@expect_error("cut.zip", "damaged")
def truncated_zip() -> bytes:
    return make_zip(("data.csv", make_series()))[:-40]


@expect_error("secret.zip", "protected")
def encrypted_zip() -> bytes:
    packed = bytearray(make_zip(("data.csv", make_series())))
    packed[6] |= 1  # the "encrypted" bit, in the local header and in the directory
    packed[packed.index(b"PK\x01\x02") + 8] |= 1
    return bytes(packed)


@expect_error("void.zip", "empty")
def empty_zip() -> bytes:
    return make_zip()


@expect_error("many.zip", "1,001", "1,000")
def zip_with_1001_members() -> bytes:
    return make_zip(*((f"{number}.csv", b"a\n1\n") for number in range(1001)))


@expect_findings("escape.zip", "unreadable_cells")
def zip_path_traversal() -> bytes:
    return make_zip(("../../escaped.csv", make_series(row_3="2024-01-03,nord,abc")))


@expect_error("mixed.zip", "not a text file", "x.exe")
def zip_with_program_and_data() -> bytes:
    return make_zip(("data.csv", make_series()), ("x.exe", b"MZ\x90\0\3\0\0\0\4\0" * 50))


@expect_error("layouts.zip", "a.csv", "b.csv", error=UnknownLayoutError)
def zip_with_two_layouts() -> bytes:
    return make_zip(("a.csv", make_series()), ("b.csv", make_profile(HOURS)))


# ---- encodings ------------------------------------------------------------------------------------------------------


@expect_findings("twice.csv", "garbled_text")
def utf8_encoded_twice() -> bytes:
    return make_profile(HOURS).decode("utf-8").encode().decode("cp1252").encode()


@expect_error("mixed.csv", "line 12", "UTF-8")
def mixed_encodings() -> bytes:
    return make_series(row_0="date,région,value", row_11="2024-01-11,##,111.5").replace(b"##", "île".encode("latin-1"))


@expect_error("odd.csv", "UTF-16")
def utf16_cut_inside_character() -> bytes:
    return make_series().decode().encode("utf-16")[:-1]


@expect_error("wide.csv", "NUL")
def utf16_without_bom() -> bytes:
    return make_series().decode().encode("utf-16-le")


@expect_error("wider.csv", "NUL")
def utf32() -> bytes:
    return make_series().decode().encode("utf-32")


@expect_error("null.csv", "NUL", "line 6")
def nul_in_line_6() -> bytes:
    return make_series(row_5="2024-01-05,no\0rd,105.5")


@expect_error("late.csv", "NUL", "line 9,001")
def nul_in_line_9001() -> bytes:
    lines = ["value"] + ["12345.678"] * 10_000
    lines[9000] = "12\x00345"
    return "\n".join(lines).encode()


@expect_findings("bombom.csv", "unreadable_cells")
def bom_twice() -> bytes:
    return b"\xef\xbb\xbf\xef\xbb\xbf" + make_series(row_3="2024-01-03,nord,?!")


# ---- rows, columns and header ---------------------------------------------------------------------------------------


@expect_error("short.csv", "line 9", "2", "3")
def short_row() -> bytes:
    return make_series(row_8="2024-01-08,nord")


@expect_error("long.csv", "line 9", "5", "3")
def long_row() -> bytes:
    return make_series(row_8="2024-01-08,nord,1,2,3")


@expect_error("below.csv", "line 12", "4", "3")
def long_row_after_preamble() -> bytes:
    return b"Export,,\nsep=,\n\n" + make_series(row_8="2024-01-08,nord,1,2")


@expect_findings("twins.csv", "repeated_columns")
def duplicate_columns() -> bytes:
    return b"date,value,value\n2024-01-01,1,2\n2024-01-02,3,4\n"


@expect_findings("twins.xlsx", "repeated_columns")
def duplicate_columns_in_workbook() -> bytes:
    return make_workbook([["date", "value", "value"], ["2024-01-01", 1, 2], ["2024-01-02", 3, 4]])


@expect_error("twins.json", "value", "more than once")
def duplicate_keys_in_json_record() -> bytes:
    return b'[{"date": "2024-01-01", "value": 1, "value": 2}]'


@expect_findings("nameless.csv", "ignored_columns")
def unnamed_columns() -> bytes:
    return b",date,value,\n0,2024-01-01,1,a\n1,2024-01-02,3,b\n2,2024-01-03,2,c\n"


@expect_error("none.csv", "no rows")
def only_unnamed_columns() -> bytes:
    return b'"",Unnamed: 1,_id\n1,2,3\n'


@expect_error("wide.csv", "10,000", "5,000")
def ten_thousand_columns() -> bytes:
    return ",".join(f"kpi {number}" for number in range(10_000)).encode() + b"\n" + b",".join([b"1"] * 10_000)


@expect_error("line.csv", "line")
def one_huge_line() -> bytes:
    return b"1," * 20_000_000


@expect_error("cell.csv", "line")
def one_huge_cell() -> bytes:
    return make_series() + b"2024-01-31," + b"n" * 30_000_000 + b",12\n"


@expect_error("quote.csv", "quote", "line 6")
def unclosed_quote() -> bytes:
    return make_series(row_5='2024-01-05,"nord,105.5')


@expect_findings("lines.csv", "unreadable_cells")
def quoted_newlines() -> bytes:
    return make_series(row_5='2024-01-05,"no\nrd",105.5', row_9='2024-01-09,nord,"1\n2 x"')


@expect_findings("excel.csv", "skipped_lines")
def separator_line() -> bytes:
    return b"sep=;\r\n" + make_series().replace(b",", b";").replace(b"\n", b"\r\n")


@expect_findings("comments.csv", "skipped_lines")
def comment_lines() -> bytes:
    return b"# exported by SCADA 4.2\n# site: nord, unit: MWh\n\n" + make_series()


@expect_findings("title.csv", "skipped_lines")
def title_lines() -> bytes:
    return "Consommation régionale\nÉdité le 03/02/2024\n\n".encode() + make_series()


@expect_findings("tail.csv", "empty_rows")
def empty_rows_at_end() -> bytes:
    return make_series() + b",,\n" * 40


@expect_findings("sum.csv", "skipped_footer")
def row_of_sums_at_end() -> bytes:
    return make_series() + b"Total,,3210.5\n"


@expect_error("hours.csv", "Missing: 07:00", error=UnknownLayoutError)
def missing_hour_column() -> bytes:
    return make_profile([hour for hour in HOURS if hour != "07:00"])


@expect_error("hours.csv", "Repeated: 02:00", error=UnknownLayoutError)
def hour_in_two_columns() -> bytes:
    return make_profile([*HOURS, "02h"])


# ---- dates ----------------------------------------------------------------------------------------------------------


@expect_findings("formats.csv", "mixed_date_formats")
def mixed_date_formats() -> bytes:
    return make_series(row_5="2024/01/05,nord,105", row_6="06/01/2024,nord,104")


@expect_error("impossible.csv", "'31/02/2024'", "date", "row 3")
def impossible_date() -> bytes:
    return b"date,value\n29/02/2024,1\n28/02/2024,1\n31/02/2024,2\n" + b"".join(
        b"%02d/01/2024,5\n" % day for day in range(1, 31)
    )


@expect_error("both.csv", "start with the day", "'date'")
def day_first_and_month_first_dates() -> bytes:
    return b"date,value\n25/01/2024,1\n26/01/2024,2\n01/27/2024,3\n01/28/2024,4\n"


@expect_findings("either.csv", "ambiguous_dates")
def ambiguous_dates() -> bytes:
    return b"date,value\n01/02/2024,1\n02/02/2024,2\n03/02/2024,3\n"


@expect_error("holes.csv", "row 4", "'date'", "''")
def missing_date() -> bytes:
    return make_series(row_4=",nord,104")


@expect_error("word.csv", "'soon'", "row 4")
def word_among_dates() -> bytes:
    return make_series(row_4="soon,nord,104")


@expect_error("far.csv", "'9999-12-31'", "row 4")
def date_beyond_nanosecond_range() -> bytes:
    return make_series(row_4="9999-12-31,nord,104")


@expect_error("far.parquet", "9999", "date")
def date_beyond_nanosecond_range_in_parquet() -> bytes:
    return make_parquet(date=pa.array([0, 253_402_214_400_000_000], pa.timestamp("us")), value=pa.array([1.0, 2.0]))


@expect_findings("gaps.csv", "missing_dates")
def missing_dates() -> bytes:
    return b"".join(
        line + b"\n" for line in make_series().splitlines() if not line.startswith((b"2024-01-11", b"2024-01-12"))
    )


# ---- numbers --------------------------------------------------------------------------------------------------------


@expect_findings("huge.csv", "unreadable_cells")
def number_of_308_digits() -> bytes:
    return make_series(row_5="2024-01-05,nord,1e308")


@expect_findings("inf.csv", "unreadable_cells")
def infinite_numbers() -> bytes:
    return make_series(row_5="2024-01-05,nord,inf", row_6="2024-01-06,nord,-Infinity")


@expect_findings("over.csv", "unreadable_cells")
def number_beyond_double_precision() -> bytes:
    return make_series(row_5="2024-01-05,nord,1e999")


@expect_findings("nan.csv", "incomplete_rows")
def words_for_missing_values() -> bytes:
    return make_series(
        row_5="2024-01-05,nord,NaN",
        row_6="2024-01-06,nord,N/A",
        row_7="2024-01-07,nord,null",
        row_8="2024-01-08,nord,-",
    )


@expect_findings("words.csv", "unreadable_cells")
def words_among_numbers() -> bytes:
    return make_series(row_5="2024-01-05,nord,n/a", row_6="2024-01-06,nord,abc")


@expect_findings("late.csv", "unreadable_cells")
def word_in_line_30002() -> bytes:
    return (
        b"date,value\n"
        + b"".join(b"%d-01-01,%d\n" % (1700 + row % 400, row) for row in range(30_000))
        + b"2150-01-01,abc\n"
    )


@expect_findings("calc.csv", "unreadable_cells")
def formula_cells() -> bytes:
    return make_series(row_5="2024-01-05,nord,=cmd|' /C calc'!A0", row_6="2024-01-06,nord,@SUM(1+1)*cmd|' /C calc'!A0")


@expect_error("words.csv", "value", error=UnknownLayoutError)
def words_instead_of_numbers() -> bytes:
    return b"date,value\n" + b"".join(b"2024-01-%02d,word%d\n" % (day, day) for day in range(1, 20))


@expect_error("void.csv", "no number", "00:00")
def profile_without_number() -> bytes:
    return b"date," + ",".join(HOURS).encode() + b"\n2024-01-01" + b"," * 24 + b"\n2024-01-02" + b"," * 24 + b"\n"


@expect_findings("thousands.csv", "unreadable_cells")
def thousands_separators() -> bytes:
    return make_series(
        row_5='2024-01-05,nord,"1,234.5"', row_6='2024-01-06,nord,"1,234"', row_7="2024-01-07,nord,1.2.3"
    )


@expect_findings("three.csv", "ambiguous_numbers")
def thousands_or_decimal_comma() -> bytes:
    return b"date;value\n" + b"".join(b"2024-01-%02d;1,%03d\n" % (day, 100 + day * 7 % 13) for day in range(1, 31))


@expect_findings("flat.csv", "constant_columns")
def constant_values() -> bytes:
    return b"date,value\n" + b"".join(b"2024-01-%02d,5\n" % day for day in range(1, 20))


@expect_findings("one.csv", "single_row")
def one_row() -> bytes:
    return b"date,value\n2024-01-01,5\n"


@expect_findings("minus.csv", "negative_values")
def negative_consumption() -> bytes:
    return make_profile(HOURS).replace(b"115.5", b"-115.5", 1)


@expect_findings("repeated.csv", "repeated_rows")
def repeated_rows() -> bytes:
    return make_series() + b"2024-01-07,nord,110.5\n"


@expect_findings("keys.csv", "duplicate_keys")
def duplicate_keys_with_different_values() -> bytes:
    return make_series() + b"2024-01-07,nord,999.5\n"


# ---- JSON -----------------------------------------------------------------------------------------------------------


@expect_error("deep.json", "too deep")
def deeply_nested_json() -> bytes:
    return b"[" * 100_000


@expect_error("deeper.json", "too deep")
def deeply_nested_json_lines() -> bytes:
    return b'{"a": 1}\n' + b'{"a":' * 100_000


@expect_error("scalar.json", "flat records")
def json_scalars_in_list() -> bytes:
    return b"[1, 2, 3]"


@expect_findings("scalar.json", "single_row")
def json_scalar() -> bytes:
    return b"42"


@expect_error("nested.json", "flat records")
def json_nested_records() -> bytes:
    return json.dumps([{"date": "2024-01-01", "value": {"min": 1, "max": 2}}]).encode()


@expect_error("void.json", "no rows")
def json_without_records() -> bytes:
    return b"[]"


@expect_error("broken.json", "line 2", "JSON")
def broken_json() -> bytes:
    return b'[{"date": "2024-01-01", "value": 1},\n {"date": "2024-01-02", value: 2}]'


@expect_error("broken.ndjson", "line 3", "JSON")
def broken_json_lines() -> bytes:
    return b'{"date": "2024-01-01", "v": 1}\n{"date": "2024-01-02", "v": 2}\n{"date": "2024-\n'


@expect_error("digits.json", "JSON")
def json_number_of_10000_digits() -> bytes:
    return b'[{"date": "2024-01-01", "value": ' + b"9" * 10_000 + b"}]"


@expect_findings("holes.json", "incomplete_rows")
def json_records_without_all_keys() -> bytes:
    return b'[{"date": "2024-01-01", "v": 1}, {"date": "2024-01-02"}, {"date": "2024-01-03", "v": 3}]'


# ---- Parquet, workbooks ---------------------------------------------------------------------------------------------


@expect_error("cut.parquet", "Parquet")
def truncated_parquet() -> bytes:
    return make_parquet(date=pa.array(["2024-01-01"]), value=pa.array([1.0]))[:-9]


@expect_error("scratched.parquet", "Parquet")
def parquet_with_damaged_footer() -> bytes:
    packed = bytearray(make_parquet(date=pa.array(["2024-01-01"] * 50), value=pa.array([1.0] * 50)))
    packed[-200:-20] = b"\xee" * 180
    return bytes(packed)


@expect_error("nested.parquet", "'value'", "nested")
def parquet_with_nested_columns() -> bytes:
    return make_parquet(date=pa.array(["2024-01-01", "2024-01-02"]), value=pa.array([[1.0], [2.0, 3.0]]))


@expect_error("bomb.parquet", "500,000,000")
def parquet_of_500_million_rows() -> bytes:
    packed = io.BytesIO()
    part = pa.table({"value": pa.nulls(20_000_000, pa.int8())})
    with pyarrow.parquet.ParquetWriter(packed, part.schema) as writer:
        for _ in range(25):
            writer.write_table(part, row_group_size=20_000_000)
    return packed.getvalue()


@expect_error("void.parquet", "no rows")
def parquet_without_rows() -> bytes:
    return make_parquet(date=pa.array([], pa.string()), value=pa.array([], pa.float64()))


@expect_error("broken.xlsx", "workbook")
def workbook_with_broken_xml() -> bytes:
    return replace_member(
        make_workbook([["date", "value"], ["2024-01-01", 1]]), "xl/worksheets/sheet1.xml", b"<worksheet><sheetD"
    )


@expect_error("cut.xlsx", "damaged")
def truncated_workbook() -> bytes:
    return make_workbook([["date", "value"], ["2024-01-01", 1]])[:-30]


@expect_error("scratched.xlsx", "damaged")
def workbook_with_damaged_bytes() -> bytes:
    packed = bytearray(make_workbook([["date", "value"], *(["2024-01-01", number * 1.7] for number in range(500))]))
    middle = packed.index(b"xl/worksheets/sheet1.xml") + 60
    packed[middle : middle + 200] = b"\x5a" * 200
    return bytes(packed)


@expect_error("sheets.xlsx", "no rows")
def workbook_with_empty_sheets() -> bytes:
    return make_workbook([], [], [])


@expect_findings("second.xlsx", "unreadable_cells")
def workbook_with_empty_first_sheet() -> bytes:
    return make_workbook([], [["date", "value"], ["2024-01-01", 1], ["2024-01-02", "oops"], ["2024-01-03", 3]])


@expect_error("bomb.xlsx", "unpacks to more than")
def workbook_bomb() -> bytes:
    return replace_member(make_workbook([["a"], [1]]), "xl/worksheets/sheet1.xml", b"<worksheet>" + b" " * 100_000_000)


@expect_error("corner.xlsx", "16,384", "5,000")
def workbook_with_cell_in_last_corner() -> bytes:
    book = openpyxl.Workbook()
    book.active["A1"], book.active["A1048576"], book.active["XFD1"] = "date", 1, "value"
    packed = io.BytesIO()
    book.save(packed)
    return packed.getvalue()


@expect_error("letter.xlsx", "workbook")
def word_document_named_xlsx() -> bytes:
    return make_zip(("[Content_Types].xml", b"<Types/>"), ("word/document.xml", b"<document/>"))


# ---- tests ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Empty folder that replaces the system's temporary folder."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    assert list(folder.iterdir()) == [], "a file remains in the temporary folder"


def test_malformed_file_corpus_size() -> None:
    assert len({case.build for case in CASES}) == len(CASES) >= 45


@pytest.mark.parametrize("case", CASES, ids=str)
def test_load_reports_malformed_file(case: Case, tmp_path: Path, scratch: Path) -> None:
    path = tmp_path / case.file
    path.write_bytes(case.build())
    start_s, memory_before_mb = time.process_time(), measure_peak_memory_mb()
    if case.error is not None:
        with pytest.raises(case.error) as caught:
            load([path])
        assert type(caught.value) is case.error
        message = str(caught.value)
        assert [word for word in case.words if word not in message] == [], message
        assert len(message) < 1000
    else:
        dataset = load([path])
        kinds = [finding.kind for finding in run_checks(dataset).findings]
        assert [kind for kind in case.findings if kind not in kinds] == [], kinds
    assert time.process_time() - start_s < MAX_PROCESSOR_S
    assert measure_peak_memory_mb() - memory_before_mb < MAX_MEMORY_MB
    assert not Marker.PATH.exists()
    assert sorted(path_left.name for path_left in tmp_path.iterdir()) == sorted([case.file, "scratch"])


def measure_peak_memory_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def test_load_rejects_missing_file(tmp_path: Path, scratch: Path) -> None:
    with pytest.raises(UnreadableFileError, match=r"nowhere\.csv: no such file"):
        load([tmp_path / "nowhere.csv"])


def test_load_rejects_folder(tmp_path: Path, scratch: Path) -> None:
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(UnreadableFileError, match=r"folder\.csv: .*folder"):
        load([tmp_path / "folder.csv"])


def test_load_rejects_empty_file_list(scratch: Path) -> None:
    with pytest.raises(InputError, match="No file"):
        load([])


def test_load_error_names_uploaded_file(tmp_path: Path, scratch: Path) -> None:
    (tmp_path / "upload-7f3a").write_bytes(short_row())
    with pytest.raises(UnreadableFileError, match=r"^mesures\.csv, line 9"):
        load([(tmp_path / "upload-7f3a", "mesures.csv")])


def test_load_reads_thousands_separators(tmp_path: Path) -> None:
    path = tmp_path / "thousands.csv"
    path.write_text('date,value\n2024-01-01,"1,234.5"\n2024-01-02,"1,234"\n2024-01-03,"12,345,678"\n2024-01-04,999\n')
    assert load([path]).values.ravel().tolist() == [1234.5, 1234, 12_345_678, 999]
