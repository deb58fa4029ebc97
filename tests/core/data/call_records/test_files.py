"""Counting of records in files: every format gives the same counts, and what does not count is told."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.orc
import pytest

from core.data.call_records.buckets import build_counts, sum_records
from core.data.call_records.columns import ColumnChoice
from core.data.call_records.files import RecordCount, count_files
from core.data.call_records.simulator import CallSimulator
from core.errors import DataError, OptionError, UnreadableFileError
from core.progress import CancelledError, Progress

QUARTER = pd.Timedelta("15min")
HEADER = "CDR_ID,ORIG_T1T7,DURATION,null_duration,rc_group,Call_Start_Time"
CALL = "1,T1,748,false,HANG_UP,2020-08-30T22:43:32Z"


@pytest.fixture(scope="module")
def records() -> pd.DataFrame:
    """Records of one day on three trunks."""
    return pd.concat(CallSimulator(trunks=3, days=1, calls_per_hour=40).iter_records(), ignore_index=True)


@pytest.fixture(scope="module")
def expected_counts(records: pd.DataFrame) -> pd.DataFrame:
    """Counts of the records, from memory."""
    return build_counts(sum_records(records, QUARTER), QUARTER, by_trunk=True)


def to_texts(records: pd.DataFrame) -> pd.DataFrame:
    """Return the records as a logger writes them: times in ISO 8601 with Z."""
    times = [name for name, kind in records.dtypes.items() if str(kind).startswith("datetime")]
    return records.assign(**{name: records[name].dt.strftime("%Y-%m-%dT%H:%M:%SZ") for name in times})


def write_hits(records: pd.DataFrame, path: Path) -> None:
    """Write Elasticsearch hits: the trunk and times with dotted keys, the duration in a nested object."""
    with path.open("w", encoding="utf-8") as file:
        for record in to_texts(records).astype(object).to_dict("records"):
            duration = record.pop("DURATION")
            source = {f"gini.{name}" if name != "@timestamp" else name: value for name, value in record.items()}
            hit = {"_index": "hookah-cdrs-t1t7_t001", "_source": {**source, "gini": {"DURATION": duration}}}
            file.write(json.dumps(hit, default=str) + "\n")


WRITERS: dict[str, Callable[[pd.DataFrame, Path], None]] = {
    "comma.csv": lambda records, path: to_texts(records).to_csv(path, index=False),
    "semicolon.csv": lambda records, path: to_texts(records).to_csv(path, index=False, sep=";", encoding="utf-8-sig"),
    "tab.tsv": lambda records, path: to_texts(records).to_csv(path, index=False, sep="\t"),
    "utf16.csv": lambda records, path: to_texts(records).to_csv(path, index=False, encoding="utf-16"),
    "calls.csv.gz": lambda records, path: to_texts(records).to_csv(path, index=False, compression="gzip"),
    "plain.csv": lambda records, path: records.to_csv(path, index=False),
    "calls.parquet": lambda records, path: records.to_parquet(path),
    "text.parquet": lambda records, path: to_texts(records).to_parquet(path),
    "zoned.parquet": lambda records, path: records.assign(
        Call_Start_Time=records["Call_Start_Time"].dt.tz_localize("UTC").dt.tz_convert("Europe/Paris"),
        Call_End_Time=records["Call_End_Time"].dt.tz_localize("UTC").dt.tz_convert("Asia/Tokyo"),
    ).to_parquet(path),
    "calls.orc": lambda records, path: pyarrow.orc.write_table(
        pa.Table.from_pandas(records.astype(dict.fromkeys(records.select_dtypes("category"), str))), path
    ),
    "calls.jsonl": lambda records, path: to_texts(records).to_json(path, orient="records", lines=True),
    "epoch.jsonl": lambda records, path: records.astype(
        dict.fromkeys(records.select_dtypes("datetime"), "datetime64[ns]")
    ).to_json(path, orient="records", lines=True, date_format="epoch"),
    "calls.jsonl.gz": lambda records, path: to_texts(records).to_json(path, orient="records", lines=True),
    "array.json": lambda records, path: to_texts(records).to_json(path, orient="records"),
    "hits.jsonl": write_hits,
}


def assert_same_counts(count: RecordCount, expected_counts: pd.DataFrame) -> None:
    counts = build_counts(count.buckets, QUARTER, by_trunk=True)
    pd.testing.assert_frame_equal(counts, expected_counts, check_dtype=False, check_categorical=False)


@pytest.mark.filterwarnings("ignore:The default 'epoch' date format:FutureWarning")
@pytest.mark.parametrize("name", WRITERS)
def test_every_format_gives_the_same_counts(
    name: str, records: pd.DataFrame, expected_counts: pd.DataFrame, tmp_path: Path
) -> None:
    path = tmp_path / name
    WRITERS[name](records, path)
    count = count_files([path], QUARTER)
    assert (count.records, count.rejected, count.outside) == (len(records), {}, 0)
    assert_same_counts(count, expected_counts)


def test_folder_of_mixed_files_counts_once(
    records: pd.DataFrame, expected_counts: pd.DataFrame, tmp_path: Path
) -> None:
    """Hidden files and the markers of other programs are left out."""
    names = ["comma.csv", "calls.csv.gz", "calls.parquet", "calls.orc", "hits.jsonl", "tab.tsv"]
    for number, name in enumerate(names):
        folder = tmp_path / str(number)
        folder.mkdir()
        WRITERS[name](records.iloc[number :: len(names)], folder / name)
    (tmp_path / ".hidden.csv").write_text("nothing", encoding="utf-8")
    (tmp_path / "_SUCCESS").write_text("", encoding="utf-8")
    count = count_files([tmp_path], QUARTER)
    assert count.records == len(records)
    assert_same_counts(count, expected_counts)


def count_lines(tmp_path: Path, *lines: str, name: str = "calls.csv", **options: object) -> RecordCount:
    path = tmp_path / name
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return count_files([path], QUARTER, **options)  # type: ignore[arg-type]


def test_call_of_the_worked_example(tmp_path: Path) -> None:
    count = count_lines(tmp_path, HEADER, CALL)
    counts = build_counts(count.buckets, QUARTER, by_trunk=True)
    assert counts["erlang"].round(4).tolist() == [0.0978, 0.7333]
    assert counts["timestamp"].astype(str).tolist() == ["2020-08-30 22:30:00+00:00", "2020-08-30 22:45:00+00:00"]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("2,T1,10,false,X,", "time"),
        ("2,T1,10,false,X,30/08/2020 22:43", "time"),
        ("2,T1,10,false,X,20200830", "time"),
        ("2,T1,10,false,X,9999-12-31T23:59:59Z", "time"),
        ("2,T1,10,false,X,infinity", "time"),
        ("2,T1,10,false,X,294246-01-01", "time"),
        ("2,T1,nan,false,X,2020-08-30T22:44:00Z", "duration"),
        ("2,T1,1e18,false,X,2020-08-30T22:44:00Z", "duration"),
        ("2,T1,-10,false,X,2020-08-30T22:44:00Z", "duration"),
        ("2,T1,,false,X,2020-08-30T22:44:00Z", "duration"),
        ("2,T1,10,false,X,2020-08-30T22:44:00Z,7", "line"),
        ("2,T1,10,false", "line"),
        ("1,T1,748,false,HANG_UP,2020-08-30T22:43:32Z", "repeated"),
        ("1,T1,749,false,HANG_UP,2020-08-30T22:43:32Z", "repeated"),
    ],
)
def test_record_that_does_not_count_is_told(line: str, reason: str, tmp_path: Path) -> None:
    count = count_lines(tmp_path, HEADER, CALL, line)
    assert (count.records, dict(count.rejected)) == (2, {reason: 1})
    assert count.buckets["calls"].tolist() == [1]


def test_file_without_any_call_says_why(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="2 of 2 records have no readable time"):
        count_lines(tmp_path, HEADER, "1,T1,5,false,X,30/08/2020 22:43", "2,T1,5,false,X,30/08/2020 22:44")


@pytest.mark.parametrize(
    "line",
    [
        "1,T1,748,false,HANG_UP,2020-08-30T22:43:33Z",  # the numbers of records may begin again
        ",T1,748,false,HANG_UP,2020-08-30T22:43:32Z",
        "2,T1,,true,BUSY,2020-08-30T22:43:32Z",
        "2,T1,0,,BUSY,2020-08-30T22:43:32Z",
    ],
)
def test_record_that_counts(line: str, tmp_path: Path) -> None:
    count = count_lines(tmp_path, HEADER, CALL, line)
    assert (count.records, count.rejected, count.buckets["calls"].sum()) == (2, {}, 2)


def test_file_given_twice_counts_once(records: pd.DataFrame, expected_counts: pd.DataFrame, tmp_path: Path) -> None:
    for name in ("a.parquet", "b.parquet"):
        records.to_parquet(tmp_path / name)
    count = count_files([tmp_path], QUARTER)
    assert count.rejected == {"repeated": len(records)}
    assert_same_counts(count, expected_counts)


@pytest.mark.parametrize(
    ("text", "hour"),
    [
        ("2020-08-30T22:43:32", 22),
        ("2020-08-30 22:43:32Z", 22),
        ("2020-08-30T22:43:32.250Z", 22),
        ("2020-08-31T00:43:32+02:00", 22),
        ("2020-08-30T17:13:32-0530", 22),
        ("1598827412", 22),
        ("1598827412000", 22),
    ],
)
def test_times_are_read_as_utc(text: str, hour: int, tmp_path: Path) -> None:
    count = count_lines(tmp_path, HEADER, CALL.replace("2020-08-30T22:43:32Z", text))
    assert count.buckets["first"].tolist() == [pd.Timestamp(2020, 8, 30, hour, 30)]


def test_start_is_preferred_to_timestamp(tmp_path: Path) -> None:
    header = HEADER.replace("rc_group", "@timestamp")
    count = count_lines(tmp_path, header, CALL.replace("HANG_UP", "2020-08-31T10:00:00Z"))
    assert count.buckets["first"].tolist() == [pd.Timestamp("2020-08-30 22:30")]
    assert count.buckets["cause_group"].tolist() == ["unknown"]
    count = count_lines(tmp_path, "@timestamp,DURATION", "2020-08-31T10:00:00Z,5", by_trunk=False)
    assert count.buckets["first"].tolist() == [pd.Timestamp("2020-08-31 10:00")]


def test_columns_match_without_case_and_prefix_or_by_choice(tmp_path: Path) -> None:
    lines = ("cdr.orig_t1t7,cdr.duration,CALL_START_TIME,Exchange", "T1,5,2020-08-30T22:43:32Z,Paris")
    assert count_lines(tmp_path, *lines).buckets["trunk"].tolist() == ["T1"]
    chosen = count_lines(tmp_path, *lines, choice=ColumnChoice(trunk="exchange"))
    assert chosen.buckets["trunk"].tolist() == ["Paris"]


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("ORIG_T1T7,DURATION,Day", "Call_Start_Time / @timestamp was not found.*ORIG_T1T7, DURATION, Day"),
        ("DURATION,Call_Start_Time", "ORIG_T1T7 was not found"),
        ("ORIG_T1T7,Call_Start_Time", "DURATION / Call_End_Time was not found"),
        ("a.ORIG_T1T7,b.ORIG_T1T7,DURATION,Call_Start_Time", "several columns match ORIG_T1T7: a.ORIG_T1T7, b.ORIG"),
    ],
)
def test_missing_or_doubtful_column_is_refused_by_name(header: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        count_lines(tmp_path, header, "1,2,3,4")


def test_first_record_instead_of_header_is_not_shown(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds values") as caught:
        count_lines(tmp_path, CALL + ",ACME Ltd", CALL + ",ACME Ltd")
    assert "ACME" not in str(caught.value)


@pytest.mark.parametrize("column", ["CUSTOMER_NAME", "gini.Customer_Code_IC01", "CALLING_NUMBER", "masked_a"])
def test_private_column_is_refused(column: str, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="never read"):
        count_lines(tmp_path, HEADER, CALL, choice=ColumnChoice(trunk=column))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("empty.csv", b""),
        ("cut.parquet", b"PAR1xxxxPAR1"),
        ("cut.orc", b"ORCxxxx"),
        ("cut.csv.gz", gzip.compress((HEADER + "\n" + CALL).encode())[:-12]),
        ("program.bin", b"\x7fELF\0\0\0\0"),
        ("text.json", b'{"half": '),
    ],
)
def test_damaged_file_is_refused(name: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UnreadableFileError, match=name.replace(".", r"\.")):
        count_files([tmp_path / name], QUARTER)


def test_json_line_that_is_damaged_is_told(tmp_path: Path) -> None:
    line = '{"ORIG_T1T7": "T1", "DURATION": 5, "Call_Start_Time": "2020-08-30T22:43:32Z"}'
    count = count_lines(tmp_path, line, "{half", line, name="calls.jsonl")
    assert (count.records, dict(count.rejected)) == (3, {"line": 1})


def test_period_counts_calls_that_begin_in_it(tmp_path: Path) -> None:
    lines = [
        CALL.replace("1,T1", f"{number},T1").replace("22:43:32", f"22:{number}:00") for number in range(10, 60, 10)
    ]
    start, end = pd.Timestamp("2020-08-30 22:20"), pd.Timestamp("2020-08-30 22:40")
    count = count_lines(tmp_path, HEADER, *lines, start=start, end=end)
    assert (count.records, count.outside, count.buckets["calls"].sum()) == (5, 3, 2)


def test_quoted_names_reach_no_query(tmp_path: Path) -> None:
    """Names of files, columns and trunks are data, not SQL."""
    header = HEADER.replace("rc_group", '"""x""; DROP TABLE records; --.rc_group"')
    count = count_lines(tmp_path, header, CALL.replace("T1", "'; DROP"), name="it's; --.csv")
    assert count.buckets["trunk"].tolist() == ["'; DROP"]
    frame = pd.read_csv(tmp_path / "it's; --.csv", parse_dates=["Call_Start_Time"])
    frame.to_parquet(tmp_path / 'a "b".parquet')
    assert count_files([tmp_path / 'a "b".parquet'], QUARTER).buckets["trunk"].tolist() == ["'; DROP"]


def test_reading_can_be_cancelled(records: pd.DataFrame, tmp_path: Path) -> None:
    records.to_parquet(tmp_path / "calls.parquet")
    progress = Progress()
    progress.cancel()
    with pytest.raises(CancelledError):
        count_files([tmp_path / "calls.parquet"], QUARTER, progress=progress)
