"""Counts of call records as a source: intervals that are over, late records, trunks that fall silent.

The server is osmem, which has the interface of OpenSearch, behind a proxy that translates its media types.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pandas as pd
import pytest
from pydantic import SecretStr

from core.data.ingest.loading import load
from core.errors import OptionError, ServiceUnavailableError
from core.settings import Settings
from core.storage.sources import check_source
from core.storage.sources.search import SearchReader
from core.watches.source import SearchSource
from tests.support.search_proxy import run_search_proxy
from tests.support.servers import ServerProcess, make_opensearch_server

pytestmark = pytest.mark.server

NOW = datetime(2024, 5, 3, 12, 10, tzinfo=UTC)
TYPES = {
    "Call_Start_Time": {"type": "date"},
    "Call_End_Time": {"type": "date"},
    "ORIG_T1T7": {"type": "keyword"},
    "null_duration": {"type": "boolean"},
    "rc_group": {"type": "keyword"},
}


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    server: ServerProcess = make_opensearch_server(tmp_path_factory.mktemp("opensearch") / "server").start()
    with run_search_proxy(server.url) as proxy:
        yield proxy.url
    server.kill()


class CallIndex:
    """Index with call records of a test."""

    def __init__(self, url: str) -> None:
        from elasticsearch import Elasticsearch

        self.client = Elasticsearch(url, request_timeout=20)
        self.name = f"calls-{uuid4().hex[:8]}"
        self.client.indices.create(index=self.name, mappings={"properties": TYPES})
        settings = Settings.model_construct(
            call_records_endpoint=url,
            call_records_username="ann",
            call_records_password=SecretStr("hunter2-do-not-show"),
        )
        self.reader = SearchReader(SearchSource(index=self.name), settings, sleep=lambda _: None)

    def add(
        self, start: datetime, trunk: str, minutes: float = 5, failed: bool = False, cause: str = "HANG_UP"
    ) -> None:
        names = {"ORIG_T1T7": trunk, "null_duration": failed, "rc_group": cause}
        times = {
            "Call_Start_Time": start.isoformat(),
            "Call_End_Time": (start + timedelta(minutes=minutes)).isoformat(),
        }
        self.client.index(index=self.name, document=times | names, refresh=True)

    def read(self, folder: Path, state: Any, now: datetime) -> tuple[pd.DataFrame, Any]:
        """Return the counts of a tick with the index (time, trunk), and the state after it."""
        (target := folder / uuid4().hex).mkdir()
        portion = self.reader.read(state, target, 10_000, now)
        if not portion.files:
            return pd.DataFrame(), portion.state
        [(path, name)] = portion.files
        assert name == f"{self.name}.csv"
        return pd.read_csv(path, parse_dates=["timestamp"], index_col=["timestamp", "trunk"]), portion.state


@pytest.fixture
def calls(url: str) -> Iterator[CallIndex]:
    index = CallIndex(url)
    yield index
    index.client.close()


def test_intervals_that_are_over_are_counted(calls: CallIndex, tmp_path: Path) -> None:
    calls.add(NOW - timedelta(days=30), "T1")
    calls.add(NOW - timedelta(minutes=40), "T1", minutes=20)
    calls.add(NOW - timedelta(minutes=5), "T1")  # its interval is not over
    counts, state = calls.read(tmp_path, {}, NOW)
    assert counts["total"].sum() == 2
    assert counts.index[-1][0] == pd.Timestamp("2024-05-03 11:45", tz="UTC")
    assert counts["erlang"].iloc[-2:].round(3).tolist() == [1.0, 0.333]
    later, _ = calls.read(tmp_path, state, NOW + timedelta(minutes=15))
    assert later["total"].iloc[-1] == 1
    assert later.index[0][0] == pd.Timestamp("2024-05-02 12:00", tz="UTC"), "the last day is counted again"


def test_late_record_corrects_its_interval(calls: CallIndex, tmp_path: Path) -> None:
    calls.add(NOW - timedelta(hours=3), "T1")
    _, state = calls.read(tmp_path, {}, NOW)
    calls.add(NOW - timedelta(hours=2), "T1", minutes=90, failed=False)
    counts, _ = calls.read(tmp_path, state, NOW + timedelta(minutes=15))
    assert counts["total"].sum() == 2
    assert counts.loc[pd.Timestamp("2024-05-03 10:00", tz="UTC"), "total"].tolist() == [1]


def test_call_that_began_before_the_day_keeps_its_traffic(calls: CallIndex, tmp_path: Path) -> None:
    """The interval at the begin of what is counted again must equal the one that was counted first."""
    calls.add(NOW - timedelta(hours=25), "T1", minutes=240)
    first, state = calls.read(tmp_path, {}, NOW)
    again, _ = calls.read(tmp_path, state, NOW)
    common = first.index.intersection(again.index)
    assert len(common) == len(again)
    pd.testing.assert_frame_equal(first.loc[common], again.loc[common])
    assert again["erlang"].iloc[0] == 1


def test_silent_trunk_counts_nothing_for_a_month(calls: CallIndex, tmp_path: Path) -> None:
    calls.add(NOW - timedelta(hours=1), "T1")
    calls.add(NOW - timedelta(hours=1), "T2", failed=True, minutes=0, cause="BUSY")
    _, state = calls.read(tmp_path, {}, NOW)
    calls.add(NOW + timedelta(days=5), "T1")
    counts, state = calls.read(tmp_path, state, NOW + timedelta(days=5, minutes=15))
    silent = counts.xs("T2", level="trunk")[pd.Timestamp(NOW) :]
    assert len(silent) > 96
    assert silent["total"].sum() == 0
    counts, state = calls.read(tmp_path, state, NOW + timedelta(days=20))
    assert counts["ko_busy"].sum() == 0, "a cause that no call has any more stays a column"
    last_days = counts.sort_index().loc[pd.Timestamp(NOW + timedelta(days=6)) :]
    assert last_days["total"].sum() == 0, "a silence of all trunks is what has to be seen"
    assert set(last_days.index.get_level_values("trunk")) == {"T1", "T2"}
    counts, state = calls.read(tmp_path, state, NOW + timedelta(days=60))
    assert counts.empty


def test_counts_are_read_as_series_of_trunks(calls: CallIndex, tmp_path: Path) -> None:
    for hour in range(1, 6):
        calls.add(NOW - timedelta(hours=hour), "T1")
        calls.add(NOW - timedelta(hours=hour), "T2", failed=hour == 3, minutes=0)
    portion = calls.reader.read({}, tmp_path, 10_000, NOW)
    dataset = load(list(portion.files))
    assert set(dataset.entities) == {"T1", "T2"}
    assert {"total", "erlang", "ccr", "ko_hang_up"} <= set(dataset.frame.columns)


def test_empty_index_has_nothing_new(calls: CallIndex, tmp_path: Path) -> None:
    calls.reader.check()
    counts, state = calls.read(tmp_path, {}, NOW)
    assert counts.empty
    assert state == {}


def test_start_late_leaves_out_older_records(calls: CallIndex, tmp_path: Path) -> None:
    calls.add(NOW - timedelta(days=30), "T1")
    calls.add(NOW - timedelta(hours=1), "T1")
    counts, _ = calls.read(tmp_path, calls.reader.start_late(NOW - timedelta(days=2)), NOW)
    assert counts["total"].sum() == 1


def test_missing_index_and_server_are_told(calls: CallIndex, url: str) -> None:
    with pytest.raises(OptionError, match="no index with this name"):
        check_source(SearchSource(index="absent-index"), calls.reader.settings)
    with pytest.raises(OptionError, match="CALL_RECORDS_ENDPOINT"):
        check_source(SearchSource(), Settings.model_construct())
    with pytest.raises(OptionError, match="step_minutes = '7'"):
        check_source(SearchSource(index=calls.name, step_minutes=7), calls.reader.settings)
    dead = calls.reader.settings.model_copy(update={"call_records_endpoint": "http://127.0.0.1:1"})
    with pytest.raises(ServiceUnavailableError, match="Elasticsearch does not answer") as raised:
        SearchReader(SearchSource(index=calls.name), dead, sleep=lambda _: None).check()
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize("state", [{"until": "x"}, {"trunks": 3}, {"trunks": {"T1": "x"}}, {"groups": 4}])
def test_foreign_memory_counts_as_empty(state: Any, calls: CallIndex, tmp_path: Path) -> None:
    calls.add(NOW - timedelta(days=30), "T1")
    assert calls.read(tmp_path, state, NOW)[0]["total"].sum() == 1
