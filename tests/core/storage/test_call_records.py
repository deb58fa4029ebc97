"""Counts of call records from a search server: right counts, fields of any index, faults of the server, resumption.

The server is osmem, which has the interface of OpenSearch. A proxy in front of it produces the faults. NoidaDB, the
stand-in for Elasticsearch in other tests, has no composite aggregation.
"""

import json
import signal
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal
from pydantic import SecretStr

from core.data.call_records.buckets import BUCKET_COLUMNS, build_counts
from core.data.call_records.columns import ColumnChoice
from core.data.call_records.files import count_files
from core.data.call_records.simulator import CallSimulator
from core.errors import DataError, OptionError, ServiceUnavailableError
from core.progress import CancelledError, Progress
from core.settings import Settings
from core.storage import call_records
from core.storage.call_records import CHECKPOINT_FOLDER, CallQuery, count_records
from core.storage.page_store import STATE_FILE
from core.storage.search_server import SearchServer
from tests.conftest import find_free_port
from tests.support.commands import start_code
from tests.support.search_proxy import (
    Answer,
    Fault,
    SearchProxy,
    cut_off,
    lose_shard,
    refuse,
    run_search_proxy,
    send_login_page,
)
from tests.support.servers import ServerProcess, make_elasticsearch_server, make_opensearch_server

pytestmark = pytest.mark.server

QUARTER = pd.Timedelta("15min")
QUERY = CallQuery(QUARTER)
DAY_START = pd.Timestamp("2020-08-30 12:00")
DATE, KEYWORD, TEXT = (
    {"type": "date"},
    {"type": "keyword"},
    {"type": "text", "fields": {"keyword": {"type": "keyword"}}},
)
FIELD_TYPES = {
    "@timestamp": DATE,
    "Call_Start_Time": DATE,
    "Call_End_Time": DATE,
    "ORIG_T1T7": KEYWORD,
    "null_duration": {"type": "boolean"},
    "rc_group": TEXT,
    "CALLING_NUMBER": KEYWORD,
    "CUSTOMER_NAME": KEYWORD,
}
IMPORT_CODE = """
import sys
from pathlib import Path
import pandas as pd
from core.progress import Progress
from core.storage import call_records
from core.storage.search_server import SearchServer
call_records.PAGE_SIZE = 100
query = call_records.CallQuery(pd.Timedelta("15min"))
call_records.count_records(SearchServer(sys.argv[1], "hookah-cdrs-t1t7_*"), query, Progress(Path(sys.argv[2])))
"""
BUCKET_KEYS = list(BUCKET_COLUMNS)[:5]


def make_records(count: int = 1500, seed: int = 7) -> pd.DataFrame:
    """Return records of one afternoon: some last hours, some end with an interval, some lack a trunk or a cause."""
    random = np.random.default_rng(seed)
    start = DAY_START + pd.to_timedelta(random.integers(0, 8 * 3_600_000, count), unit="ms")
    failed = random.random(count) < 0.2
    seconds = np.where(failed, 0, np.ceil(random.lognormal(5, 2, count)).clip(1, 10_000))
    end = start + pd.to_timedelta(seconds, unit="s")
    end = end.where(random.random(count) < 0.9, end.ceil("15min")).where(~failed, start)
    trunk, cause = random.choice(["T1", "T2", "unknown"], count), random.choice(["HANG_UP", "BUSY", "unknown"], count)
    names = {"ORIG_T1T7": trunk, "null_duration": failed, "rc_group": cause}
    return pd.DataFrame({"@timestamp": start, "Call_Start_Time": start, "Call_End_Time": end, **names})


RECORDS = make_records()


def to_document(record: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return a record as it is stored; "unknown" is a field without a value."""
    times = {name: value.isoformat() + "Z" for name, value in record.items() if isinstance(value, pd.Timestamp)}
    values = {name: bool(value) if isinstance(value, np.bool_) else value for name, value in record.items()}
    private = {"CALLING_NUMBER": "331420900XXX", "CUSTOMER_NAME": "Acme Ltd"}
    document = {name: value for name, value in (values | times | private).items() if value != "unknown"}
    return {name if name == "@timestamp" else f"{prefix}{name}": value for name, value in document.items()}


def store_records(
    url: str, index: str, records: pd.DataFrame, types: dict[str, Any] | None = None, prefix: str = ""
) -> None:
    """Create an index with the records."""
    mapping = types or {name if name == "@timestamp" else f"{prefix}{name}": kind for name, kind in FIELD_TYPES.items()}
    store_documents(url, index, [to_document(record, prefix) for record in records.to_dict("records")], mapping)


def store_documents(
    url: str, index: str, documents: Sequence[dict[str, Any]], types: dict[str, Any] = FIELD_TYPES
) -> None:
    """Create an index with the documents."""
    from elasticsearch import Elasticsearch

    operations = [entry for document in documents for entry in ({"create": {}}, document)]
    with Elasticsearch(url, request_timeout=20) as client:
        client.indices.create(index=index, mappings={"properties": types})
        if operations:
            response = client.bulk(index=index, operations=operations, refresh=True)
            assert not response["errors"]


def sum_by_hand(records: pd.DataFrame, interval: pd.Timedelta = QUARTER, by_trunk: bool = True) -> pd.DataFrame:
    """Return the buckets of records, one group at a time."""
    table = records.assign(trunk=records["ORIG_T1T7"] if by_trunk else "unknown", cause_group=records["rc_group"])
    table["first"], table["last"] = (
        table["Call_Start_Time"].dt.floor(interval),
        table["Call_End_Time"].dt.floor(interval),
    )
    table["first_seconds"] = (table["Call_Start_Time"] - table["first"]).dt.total_seconds()
    table["last_seconds"] = (table["Call_End_Time"] - table["last"]).dt.total_seconds()
    groups = table.groupby(BUCKET_KEYS)
    sums = groups.agg(
        calls=("first", "size"), first_seconds=("first_seconds", "sum"), last_seconds=("last_seconds", "sum")
    )
    return sums.reset_index().astype(BUCKET_COLUMNS)


def assert_same_buckets(buckets: pd.DataFrame, expected: pd.DataFrame) -> None:
    ordered = [frame.sort_values(BUCKET_KEYS, ignore_index=True) for frame in (buckets, expected)]
    assert_frame_equal(*ordered, check_exact=False, rtol=0, atol=1e-6)


def fetch_buckets(server: SearchServer, query: CallQuery, progress: Progress | None = None) -> pd.DataFrame:
    return count_records(server, query, progress).buckets


@pytest.fixture(scope="module")
def opensearch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    server = make_opensearch_server(tmp_path_factory.mktemp("opensearch") / "server")
    server.start()
    with run_search_proxy(server.url) as proxy:
        half = len(RECORDS) // 2
        store_records(proxy.url, "hookah-cdrs-t1t7_a", RECORDS[:half])
        store_records(proxy.url, "hookah-cdrs-t1t7_b", RECORDS[half:])
        store_records(proxy.url, "empty-calls", RECORDS[:0])
    yield server
    server.kill()


@pytest.fixture
def proxy(opensearch: ServerProcess) -> Iterator[SearchProxy]:
    with run_search_proxy(opensearch.url) as search_proxy:
        yield search_proxy


@pytest.fixture
def pauses() -> list[float]:
    """Pauses in s that the server asked for; none is waited for."""
    return []


@pytest.fixture
def server(proxy: SearchProxy, pauses: list[float]) -> SearchServer:
    return SearchServer(
        proxy.url, "hookah-cdrs-t1t7_*", "vigie", "hunter2-do-not-show", request_timeout_s=5, sleep=pauses.append
    )


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(call_records, "PAGE_SIZE", 100)


# ---- counts --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by_trunk", [True, False])
@pytest.mark.parametrize("interval", ["1min", "15min", "1h", "1D"])
def test_count_records_equals_sums_by_hand(server: SearchServer, interval: str, by_trunk: bool) -> None:
    step = pd.Timedelta(interval)
    buckets = fetch_buckets(server, CallQuery(step, by_trunk))
    assert_same_buckets(buckets, sum_by_hand(RECORDS, step, by_trunk))


@pytest.mark.usefixtures("small_pages")
def test_count_records_reads_all_pages(server: SearchServer, proxy: SearchProxy) -> None:
    progress = SharesSeen()
    assert_same_buckets(fetch_buckets(server, QUERY, progress), sum_by_hand(RECORDS))
    pages = proxy.list_pages()
    assert len(pages) == -(-len(sum_by_hand(RECORDS)) // 100) + 1
    assert [("after" in page) for page in pages] == [False] + [True] * (len(pages) - 1)
    assert progress.shares == sorted(progress.shares)
    assert 0 <= progress.shares[0] < progress.shares[-1] <= 1


class SharesSeen(Progress):
    """Progress that remembers its shares, and cancels the task at a given number of reports."""

    def __init__(self, cancel_after: int = -1, folder: Path | None = None) -> None:
        super().__init__(folder)
        self.shares: list[float] = []
        self.cancel_after = cancel_after

    def report(self, share: float, stage: str = "") -> None:
        if len(self.shares) == self.cancel_after:
            self.cancel()
        super().report(share, stage)
        self.shares.append(share)


def test_count_records_shares_seconds_of_worked_example(proxy: SearchProxy, server: SearchServer) -> None:
    start = pd.Timestamp("2020-08-30T22:43:32")
    record = {"Call_Start_Time": start, "Call_End_Time": start + pd.Timedelta(seconds=748), "@timestamp": start}
    names = {"ORIG_T1T7": "T1", "null_duration": False, "rc_group": "HANG_UP"}
    store_records(proxy.url, "worked-example", pd.DataFrame([record | names]))
    buckets = fetch_buckets(replace(server, index="worked-example"), QUERY)
    counts = build_counts(buckets, QUARTER, by_trunk=True)
    assert counts["erlang"].round(4).tolist() == [0.0978, 0.7333]


def test_count_records_of_period_includes_start_and_excludes_end(server: SearchServer) -> None:
    times = RECORDS["Call_Start_Time"].sort_values().iloc
    start, end = times[400], times[900]
    inside = RECORDS[(RECORDS["Call_Start_Time"] >= start) & (RECORDS["Call_Start_Time"] < end)]
    assert_same_buckets(fetch_buckets(server, replace(QUERY, start=start, end=end)), sum_by_hand(inside))
    paris = replace(QUERY, start=start.tz_localize("UTC").tz_convert("Europe/Paris"), end=end)
    assert_same_buckets(fetch_buckets(server, paris), sum_by_hand(inside))


def test_count_records_of_full_bucket_keeps_milliseconds(server: SearchServer, proxy: SearchProxy) -> None:
    start = pd.Timestamp("2020-08-30T22:44:59.999")
    end = pd.Timestamp("2020-08-30T22:45:00.001")
    record = {"@timestamp": start, "Call_Start_Time": start, "Call_End_Time": end}
    record |= {"ORIG_T1T7": "T1", "null_duration": False, "rc_group": "HANG_UP"}
    store_records(proxy.url, "full-bucket", pd.DataFrame([record] * 5000))
    bucket = fetch_buckets(replace(server, index="full-bucket"), QUERY).iloc[0]
    assert (bucket["calls"], bucket["first_seconds"], bucket["last_seconds"]) == (5000, 5000 * 899.999, 5.0)


def test_count_records_asks_for_no_record(server: SearchServer, proxy: SearchProxy) -> None:
    buckets = fetch_buckets(server, QUERY)
    searches = [request.body for request in proxy.requests if "_search" in request.path]
    assert {search["size"] for search in searches} == {0}
    assert not any(word in request.text + request.path for request in proxy.requests for word in ("CUSTOMER", "NUMBER"))
    assert "Acme" not in buckets.to_csv()


# ---- the same counts as from files ---------------------------------------------------------------------------------


@pytest.mark.parametrize("by_trunk", [True, False])
@pytest.mark.parametrize("seed", [1, 2])
def test_count_records_equals_count_of_files(
    server: SearchServer, proxy: SearchProxy, tmp_path: Path, seed: int, by_trunk: bool
) -> None:
    """Records with calls without a begin, without an end, and that end days before they begin."""
    documents = [to_document(record) for record in make_records(400, seed).to_dict("records")]
    for document in documents[:7]:
        del document["Call_Start_Time"]
    for document in documents[10:15]:
        del document["Call_End_Time"]
    for document in documents[20:30]:
        document["Call_End_Time"] = "2020-08-01T00:00:00Z"
    index, path = f"same-{seed}-{by_trunk}".lower(), tmp_path / "hits.jsonl"
    store_documents(proxy.url, index, documents)
    path.write_text("".join(json.dumps({"_index": index, "_source": document}) + "\n" for document in documents))
    start, end = DAY_START + pd.Timedelta(hours=1), DAY_START + pd.Timedelta("7h 7min 7.007s")
    query = CallQuery(QUARTER, by_trunk, start, end)
    from_server = count_records(replace(server, index=index), query)
    from_file = count_files([path], QUARTER, by_trunk=by_trunk, start=start, end=end)
    assert (from_server.records, from_server.rejected["time"]) == (from_file.records, from_file.rejected["time"])
    assert 0 < from_server.rejected["duration"] <= from_file.rejected["duration"]  # these are of the period alone
    assert_same_buckets(from_server.buckets, from_file.buckets.astype(BUCKET_COLUMNS))
    tables = [build_counts(count.buckets, QUARTER, by_trunk, start, end) for count in (from_server, from_file)]
    assert_frame_equal(*tables, check_exact=False, rtol=0, atol=1e-9)


def test_count_records_equals_count_of_simulated_files(
    server: SearchServer, proxy: SearchProxy, tmp_path: Path
) -> None:
    simulator = CallSimulator(trunks=3, days=1, calls_per_hour=60, seed=5)
    records = pd.concat(simulator.iter_records())
    columns = [name for name in FIELD_TYPES if name in records]
    store_documents(
        proxy.url,
        "simulated",
        [
            to_document(record)
            for record in records[columns].astype({"ORIG_T1T7": str, "rc_group": str}).to_dict("records")
        ],
    )
    simulator.write_parquet(tmp_path / "calls.parquet")
    from_server = count_records(replace(server, index="simulated"), QUERY)
    from_file = count_files([tmp_path / "calls.parquet"], QUARTER)
    assert from_server.records == from_file.records == len(records)
    assert_frame_equal(build_counts(from_server.buckets, QUARTER, True), build_counts(from_file.buckets, QUARTER, True))


def test_count_records_tells_what_became_of_every_record(server: SearchServer, proxy: SearchProxy) -> None:
    start = DAY_START + pd.Timedelta(hours=1)
    record = {"Call_Start_Time": start, "Call_End_Time": start, "null_duration": False}
    later, earlier = start + pd.Timedelta(hours=1), start - pd.Timedelta(hours=1)
    changes = [
        {},
        {"Call_Start_Time": later, "Call_End_Time": later},
        {"Call_Start_Time": earlier},
        {"Call_Start_Time": "unknown"},
        {"Call_End_Time": "unknown"},
        {"Call_End_Time": earlier},
        {"Call_End_Time": "unknown", "null_duration": True},
    ]
    store_documents(proxy.url, "fates", [to_document(record | change) for change in changes])
    count = count_records(replace(server, index="fates"), replace(QUERY, start=start, end=later))
    assert (count.records, count.outside, count.rejected) == (7, 2, {"time": 1, "duration": 2})
    assert count.buckets["calls"].tolist() == [1, 1]
    assert sorted(count.buckets["null_duration"]) == [False, True]


# ---- fields of the index -------------------------------------------------------------------------------------------


def test_count_records_finds_prefixed_fields(server: SearchServer, proxy: SearchProxy) -> None:
    store_records(proxy.url, "gini-calls", RECORDS[:200], prefix="gini.")
    assert_same_buckets(fetch_buckets(replace(server, index="gini-calls"), QUERY), sum_by_hand(RECORDS[:200]))


def test_count_records_finds_chosen_fields(server: SearchServer, proxy: SearchProxy) -> None:
    types = FIELD_TYPES | {"Gini.TRUNK": KEYWORD, "begin": DATE, "a.rc_group": KEYWORD, "b.rc_group": KEYWORD}
    del types["rc_group"]
    names = {"ORIG_T1T7": "Gini.TRUNK", "Call_Start_Time": "begin", "rc_group": "b.rc_group"}
    store_records(proxy.url, "chosen-calls", RECORDS[:200].rename(columns=names), types)
    choice = ColumnChoice(trunk="trunk", start="begin", cause="b.rc_group")
    query = replace(QUERY, choice=choice)
    assert_same_buckets(fetch_buckets(replace(server, index="chosen-calls"), query), sum_by_hand(RECORDS[:200]))
    with pytest.raises(DataError, match="no field carrier"):
        fetch_buckets(server, replace(QUERY, choice=ColumnChoice(cause="carrier")))
    with pytest.raises(OptionError, match="CUSTOMER_NAME"):
        replace(QUERY, choice=ColumnChoice(trunk="CUSTOMER_NAME"))


def test_count_records_finds_fields_of_dynamic_mapping(server: SearchServer, proxy: SearchProxy) -> None:
    types = FIELD_TYPES | {"ORIG_T1T7": TEXT, "null_duration": TEXT} | {"unrelated_rc_group": KEYWORD}
    store_records(proxy.url, "dynamic-calls", RECORDS[:200], types)
    assert_same_buckets(fetch_buckets(replace(server, index="dynamic-calls"), QUERY), sum_by_hand(RECORDS[:200]))


def test_count_records_uses_timestamp_without_start_time(server: SearchServer, proxy: SearchProxy) -> None:
    types = {name: kind for name, kind in FIELD_TYPES.items() if name not in ("Call_Start_Time", "rc_group")}
    records = RECORDS[:200]
    store_records(proxy.url, "old-calls", records.drop(columns=["Call_Start_Time", "rc_group"]), types)
    buckets = fetch_buckets(replace(server, index="old-calls"), QUERY)
    assert_same_buckets(buckets, sum_by_hand(records.assign(rc_group="unknown")))


@pytest.mark.parametrize(
    ("index", "types", "message"),
    [
        ("no-end", {"Call_End_Time": None}, "no field Call_End_Time"),
        ("no-start", {"Call_Start_Time": None, "@timestamp": None}, "no field Call_Start_Time / @timestamp"),
        ("no-outcome", {"null_duration": None}, "no field null_duration"),
        ("text-trunk", {"ORIG_T1T7": {"type": "text"}}, "ORIG_T1T7 .* type text. Accepted: keyword"),
        ("text-time", {"Call_End_Time": KEYWORD}, "Call_End_Time .* type keyword. Accepted: date"),
        ("two-trunks", {"ORIG_T1T7": None, "a.ORIG_T1T7": KEYWORD, "b.ORIG_T1T7": KEYWORD}, "a.ORIG_T1T7, b.ORIG_T1T7"),
    ],
)
def test_count_records_names_unsuitable_field(
    server: SearchServer, proxy: SearchProxy, index: str, types: dict[str, Any], message: str
) -> None:
    mapping = {name: kind for name, kind in (FIELD_TYPES | types).items() if kind is not None}
    store_records(proxy.url, index, RECORDS[:0], mapping)
    with pytest.raises(DataError, match=message):
        fetch_buckets(replace(server, index=index), QUERY)


@pytest.mark.parametrize(
    ("index", "changes", "message"),
    [
        ("odd-call", {"null_duration": "unknown"}, "1 call has no valid value in the field null_duration"),
        ("back-call", {"Call_End_Time": DAY_START}, "Among 1 calls in the interval of .* some end before they begin"),
    ],
)
def test_count_records_refuses_unclear_records(
    server: SearchServer, proxy: SearchProxy, index: str, changes: dict[str, Any], message: str
) -> None:
    start = DAY_START + pd.Timedelta(minutes=1)
    record = RECORDS.iloc[0].to_dict() | {"Call_Start_Time": start, "Call_End_Time": start} | changes
    store_documents(proxy.url, index, [to_document(record)])
    with pytest.raises(DataError, match=message):
        fetch_buckets(replace(server, index=index), QUERY)


def test_count_records_counts_attempt_without_end(server: SearchServer, proxy: SearchProxy) -> None:
    failed = RECORDS[RECORDS["null_duration"]][:20]
    store_records(proxy.url, "endless-attempts", failed.drop(columns="Call_End_Time"), FIELD_TYPES)
    assert_same_buckets(fetch_buckets(replace(server, index="endless-attempts"), QUERY), sum_by_hand(failed))


@pytest.mark.parametrize("index", ["empty-calls", "hookah-cdrs-t1t7_*"])
def test_count_records_without_calls_is_an_error(server: SearchServer, index: str) -> None:
    query = replace(QUERY, start=pd.Timestamp("2021-01-01"))
    with pytest.raises(DataError, match="no call record between 2021-01-01"):
        fetch_buckets(replace(server, index=index), query)


@pytest.mark.parametrize("index", ["missing", "missing-*"])
def test_count_records_of_missing_index_is_an_error(server: SearchServer, pauses: list[float], index: str) -> None:
    with pytest.raises(OptionError, match=index.replace("*", r"\*")):
        fetch_buckets(replace(server, index=index), QUERY)
    assert not pauses


def test_query_rejects_period_that_ends_before_it_starts() -> None:
    with pytest.raises(OptionError, match="ends at"):
        CallQuery(QUARTER, start=pd.Timestamp("2020-09-02"), end=pd.Timestamp("2020-09-01"))


# ---- faults of the server ------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("small_pages")
@pytest.mark.parametrize("fault", [refuse(429), refuse(502), refuse(503), refuse(504), lose_shard, cut_off])
def test_count_records_retries_passing_fault(
    server: SearchServer, proxy: SearchProxy, pauses: list[float], fault: Fault
) -> None:
    proxy.faults = [None, fault, fault, None, fault]
    assert_same_buckets(fetch_buckets(server, QUERY), sum_by_hand(RECORDS))
    assert 0.5 + 1.0 + 0.5 <= sum(pauses) <= 1.0 + 2.0 + 1.0


@pytest.mark.parametrize("fault", [refuse(429), refuse(503), lose_shard, cut_off])
def test_count_records_gives_up_after_five_retries(
    server: SearchServer, proxy: SearchProxy, pauses: list[float], fault: Fault
) -> None:
    proxy.faults = [fault] * 100
    with pytest.raises(ServiceUnavailableError, match=r"429|503|partial result"):
        fetch_buckets(server, QUERY)
    assert len(proxy.list_pages()) == 6
    assert (1 + 2 + 4 + 8 + 16) / 2 <= sum(pauses) <= 1 + 2 + 4 + 8 + 16


def test_count_records_waits_as_long_as_asked(server: SearchServer, proxy: SearchProxy, pauses: list[float]) -> None:
    proxy.faults = [refuse(429, "17")]
    fetch_buckets(server, QUERY)
    assert sum(pauses) == 17
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    proxy.faults = [refuse(503, date), refuse(503, "86400"), refuse(429, "soon")]
    pauses.clear()
    fetch_buckets(server, QUERY)
    assert 28 + 60 + 2 <= sum(pauses) <= 30 + 60 + 4


def test_count_records_ends_after_hang(server: SearchServer, proxy: SearchProxy) -> None:
    release = threading.Event()

    def hang(answer: Answer) -> Answer:
        release.wait(10)
        return answer

    proxy.faults = [hang] * 6
    with pytest.raises(ServiceUnavailableError, match="does not answer"):
        fetch_buckets(replace(server, request_timeout_s=0.1), QUERY)
    release.set()
    assert len(proxy.list_pages()) == 6


def test_count_records_of_absent_server_is_an_error(server: SearchServer, pauses: list[float]) -> None:
    with pytest.raises(ServiceUnavailableError, match="does not answer"):
        fetch_buckets(replace(server, endpoint=f"http://127.0.0.1:{find_free_port()}"), QUERY)
    assert sum(pauses) >= 15.5


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (refuse(401), r"denies access to hookah.* \(401\)"),
        (refuse(403), r"denies access to hookah.* \(403\)"),
        (refuse(400), r"refuses the request \(400 refused_400 as told\)"),
        (refuse(500), "refuses the request"),
        (send_login_page, "does not answer"),
        (lambda answer: Answer(200, {"hits": {}}), "invalid response"),
    ],
)
def test_count_records_does_not_retry_refusal(
    server: SearchServer, proxy: SearchProxy, pauses: list[float], fault: Fault, message: str
) -> None:
    proxy.faults = [fault]
    with pytest.raises(ServiceUnavailableError, match=message):
        fetch_buckets(server, QUERY)
    assert not pauses


def test_count_records_hides_passwords(server: SearchServer, proxy: SearchProxy) -> None:
    proxy.faults = [refuse(400, reason="user vigie with hunter2-do-not-show at https://vigie:pw@host")]
    with pytest.raises(ServiceUnavailableError) as caught:
        fetch_buckets(server, QUERY)
    message = str(caught.value)
    assert "user vigie with [removed] at https://[removed]@host" in message, "the name of the user is no secret"
    assert "hunter2" not in repr(server)
    assert all(request.authorization for request in proxy.requests)


@pytest.mark.usefixtures("small_pages")
def test_count_records_refuses_repeated_page(server: SearchServer, proxy: SearchProxy) -> None:
    answers: list[Answer] = []

    def repeat(answer: Answer) -> Answer:
        answers.append(answer)
        return answers[0]

    proxy.faults = [repeat, repeat]
    with pytest.raises(ServiceUnavailableError, match="repeats a page"):
        fetch_buckets(server, QUERY)
    assert len(proxy.list_pages()) == 2


def test_count_records_from_server_without_composite_aggregations_is_an_error(tmp_path: Path) -> None:
    noida = make_elasticsearch_server(tmp_path / "noida").start()
    try:
        store_records(noida.url, "hookah-cdrs-t1t7_a", RECORDS[:20])
        server = SearchServer(noida.url, "hookah-cdrs-t1t7_*")
        with pytest.raises(ServiceUnavailableError, match=r"refuses the request .*composite"):
            fetch_buckets(server, QUERY)  # the fields were found: this is the first page
        with pytest.raises(OptionError, match="missing"):
            fetch_buckets(replace(server, index="missing-*"), QUERY)
    finally:
        noida.kill()


# ---- cancelling and resuming ---------------------------------------------------------------------------------------


@pytest.mark.usefixtures("small_pages")
def test_count_records_continues_after_last_page(server: SearchServer, proxy: SearchProxy, tmp_path: Path) -> None:
    with pytest.raises(CancelledError):
        fetch_buckets(server, QUERY, SharesSeen(cancel_after=2, folder=tmp_path))
    assert len(proxy.list_pages()) == 3
    proxy.requests.clear()
    assert_same_buckets(fetch_buckets(server, QUERY, Progress(tmp_path)), sum_by_hand(RECORDS))
    assert len(proxy.list_pages()) == -(-len(sum_by_hand(RECORDS)) // 100) + 1 - 3
    assert not list((tmp_path / CHECKPOINT_FOLDER).iterdir())


@pytest.mark.usefixtures("small_pages")
@pytest.mark.parametrize("damage", ["other query", "other index", "state", "page", "lost page"])
def test_count_records_starts_anew_without_valid_pages(
    server: SearchServer, proxy: SearchProxy, tmp_path: Path, damage: str
) -> None:
    query, folder = QUERY, tmp_path / CHECKPOINT_FOLDER
    with pytest.raises(CancelledError):
        fetch_buckets(server, QUERY, SharesSeen(cancel_after=2, folder=tmp_path))
    first_page = folder / "page-000000.parquet"
    if damage == "other query":
        query = replace(QUERY, start=DAY_START + pd.Timedelta(hours=1))
    elif damage == "other index":
        server = replace(server, index="hookah-cdrs-t1t7_*,empty-calls")
    elif damage == "state":
        (folder / STATE_FILE).write_bytes((folder / STATE_FILE).read_bytes()[:-9])
    elif damage == "page":
        content = bytearray(first_page.read_bytes())
        content[len(content) // 2] ^= 1
        first_page.write_bytes(content)
    else:
        first_page.unlink()
    proxy.requests.clear()
    buckets = fetch_buckets(server, query, Progress(tmp_path))
    selection = RECORDS if query.start is None else RECORDS[RECORDS["Call_Start_Time"] >= query.start]
    assert_same_buckets(buckets, sum_by_hand(selection))
    assert "after" not in proxy.list_pages()[0]


@pytest.mark.usefixtures("small_pages")
def test_count_records_continues_after_kill(server: SearchServer, proxy: SearchProxy, tmp_path: Path) -> None:
    is_waiting, release = threading.Event(), threading.Event()

    def hang(answer: Answer) -> Answer:
        is_waiting.set()
        release.wait(60)
        return answer

    proxy.faults = [None, None, None, hang]
    process = start_code(IMPORT_CODE, server.endpoint, tmp_path)
    assert is_waiting.wait(60)
    process.send_signal(signal.SIGKILL)
    process.wait(10)
    release.set()
    proxy.requests.clear()
    server = replace(server, index="hookah-cdrs-t1t7_*", user="", password="")
    assert_same_buckets(fetch_buckets(server, QUERY, Progress(tmp_path)), sum_by_hand(RECORDS))
    assert len(proxy.list_pages()) == -(-len(sum_by_hand(RECORDS)) // 100) + 1 - 3


@pytest.mark.usefixtures("small_pages")
def test_count_records_ignores_half_written_page(server: SearchServer, tmp_path: Path) -> None:
    """A process that dies while it writes the state leaves a page that the state does not name."""
    with pytest.raises(CancelledError):
        fetch_buckets(server, QUERY, SharesSeen(cancel_after=1, folder=tmp_path))
    folder = tmp_path / CHECKPOINT_FOLDER
    (folder / "page-000002.parquet").write_bytes(b"half a pa")
    (folder / "pages.draft").write_bytes(b'{"digest": "')
    assert len(json.loads((folder / STATE_FILE).read_text())["checksums"]) == 2
    assert_same_buckets(fetch_buckets(server, QUERY, Progress(tmp_path)), sum_by_hand(RECORDS))


def test_count_records_is_cancelled_during_pause(server: SearchServer, proxy: SearchProxy) -> None:
    progress = Progress()
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        progress.cancel()

    proxy.faults = [refuse(429, "50")]
    with pytest.raises(CancelledError):
        fetch_buckets(replace(server, sleep=sleep), QUERY, progress)
    assert slept == [1.0]


# ---- the address ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "address",
    [
        "",
        "host:9200",
        "ftp://host",
        "file:///etc/passwd",
        "https://",
        "http://host:99999",
        "http://host?x=1",
        "http://[::1",
    ],
)
def test_server_rejects_address(address: str) -> None:
    with pytest.raises(OptionError, match="is not accepted"):
        SearchServer(address, "calls-*")


@pytest.mark.parametrize("address", ["https://vigie:hunter2@host", "https://vigie:hun/ter2@host", "ssh://hunter2@host"])
def test_server_rejects_credentials_in_address_without_showing_them(address: str) -> None:
    with pytest.raises(OptionError, match="without user and password") as caught:
        SearchServer(address, "calls-*")
    assert "ter2" not in str(caught.value)


@pytest.mark.parametrize(
    "index", ["", "*", "*-calls", ".security", "calls,.security", "a,*", "-calls", "a b", "a/_all", "A"]
)
def test_server_rejects_index(index: str) -> None:
    with pytest.raises(OptionError, match="is not accepted"):
        SearchServer("http://host", index)


@pytest.mark.parametrize(
    ("address", "url"),
    [
        ("https://host", "https://host:443"),
        ("http://host:9200/", "http://host:9200"),
        ("http://host/search/", "http://host:80/search"),
        ("http://[::1]:9200", "http://[::1]:9200"),
    ],
)
def test_server_completes_address(address: str, url: str) -> None:
    assert SearchServer(address, "calls-*").url == url


def make_settings(**values: Any) -> Settings:
    return Settings.model_construct(call_records_username="vigie", call_records_password=SecretStr("hunter2"), **values)


def test_server_from_settings() -> None:
    assert SearchServer.from_settings(make_settings()) is None
    server = SearchServer.from_settings(make_settings(call_records_endpoint="https://host:9243"))
    assert server == SearchServer("https://host:9243", "hookah-cdrs-t1t7_*", "vigie", "hunter2")


@pytest.mark.parametrize(
    ("address", "user"),
    [
        ("https://host:9243", "vigie"),
        ("https://HOST:9243/", "vigie"),
        ("http://host:9243", ""),
        ("https://host:9244", ""),
        ("https://other:9243", ""),
    ],
)
def test_server_from_address_gives_credentials_to_configured_server_alone(address: str, user: str) -> None:
    server = SearchServer.from_address(address, make_settings(call_records_endpoint="https://host:9243"))
    assert (server.user, server.password) == (user, "hunter2" if user else "")
    assert SearchServer.from_address(address, make_settings()).user == ""


def test_count_records_without_user_sends_no_credentials(server: SearchServer, proxy: SearchProxy) -> None:
    fetch_buckets(replace(server, user="", password=""), QUERY)
    assert not any(request.authorization for request in proxy.requests)
