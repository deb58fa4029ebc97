"""Rows of a query: late ones, long answers, databases that refuse, and queries that would write."""

import csv
import json
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr
from sqlalchemy import create_engine, make_url, text

from core.errors import AccessDeniedError, DataError, OptionError, ServiceUnavailableError
from core.settings import Settings
from core.storage.sources import Arrivals, check_source, read_all, read_arrivals
from core.storage.sources import database as database_module
from core.storage.sources.read_mark import ReadMark, ReadPage
from core.watches.source import DatabaseSource
from tests.support.servers import ServerProcess, make_postgres_server

pytestmark = pytest.mark.server

NOW = datetime(2024, 5, 1, 12, 0, tzinfo=UTC)
QUERY = "SELECT time, place, mw FROM loads WHERE time > :since"
SOURCE = DatabaseSource(database="plant", query=QUERY)


@dataclass
class Plant:
    """Database of others with a table of loads, and the settings that name it."""

    url: str
    settings: Settings

    def execute(self, statement: str, rows: list[dict[str, Any]] | None = None) -> None:
        engine = create_engine(self.url)
        with engine.begin() as connection:
            connection.execute(text(statement), rows or {})
        engine.dispose()

    def add(self, *times: str) -> None:
        rows = [{"time": value, "place": "a,b", "mw": 5.5} for value in times]
        self.execute("INSERT INTO loads (time, place, mw) VALUES (:time, :place, :mw)", rows)


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    server = make_postgres_server(tmp_path_factory.mktemp("postgres"), "plant").start()
    yield server
    server.kill()


def make_settings(url: str, **values: Any) -> Settings:
    addresses = SecretStr(json.dumps({"plant": url}))
    return Settings.model_construct(vigie_source_databases=addresses, **values)


@pytest.fixture(params=["sqlite", "postgresql"])
def plant(request: pytest.FixtureRequest, tmp_path: Path) -> Plant:
    if request.param == "sqlite":
        url, kind = f"sqlite:///{tmp_path / 'plant.db'}", "TEXT"
    else:
        url, kind = request.getfixturevalue("postgres").url, "TIMESTAMP"
    made = Plant(url, make_settings(url.replace("+psycopg", "")))
    made.execute("DROP TABLE IF EXISTS loads")
    made.execute(f"CREATE TABLE loads (time {kind}, place TEXT, mw REAL)")
    return made


def take(
    plant: Plant,
    folder: Path,
    cursor: str = "",
    now: datetime = NOW,
    source: DatabaseSource = SOURCE,
    max_bytes: int = 10_000,
) -> Arrivals:
    target = folder / f"tick-{time.monotonic_ns()}"
    target.mkdir()
    return read_arrivals(source, cursor, target, plant.settings, max_bytes=max_bytes, now=now)


def list_rows(arrivals: Arrivals) -> list[list[str]]:
    rows = []
    for path, name in arrivals.files:
        assert name == "plant.csv"
        with path.open(newline="") as file:
            rows += list(csv.reader(file))[1:]
    return rows


def list_times(arrivals: Arrivals) -> list[str]:
    return [row[0] for row in list_rows(arrivals)]


def test_new_rows_arrive_in_order(plant: Plant, tmp_path: Path) -> None:
    check_source(SOURCE, plant.settings)
    first = take(plant, tmp_path)
    assert not first.files
    plant.add("2024-04-30 02:00:00", "2024-04-30 01:00:00")
    second = take(plant, tmp_path, first.cursor)
    assert list_rows(second) == [["2024-04-30 01:00:00", "a,b", "5.5"], ["2024-04-30 02:00:00", "a,b", "5.5"]]
    plant.add("2024-05-01 11:00:00")
    third = take(plant, tmp_path, second.cursor, NOW + timedelta(minutes=1))
    assert list_times(third)[-1] == "2024-05-01 11:00:00"
    later = take(plant, tmp_path, third.cursor, NOW + timedelta(minutes=2))
    assert list_times(later) == ["2024-05-01 11:00:00"], "what may still be late is read again"


def test_late_row_is_read(plant: Plant, tmp_path: Path) -> None:
    """After an outage the newest row came first, and the rows of the days before came ten minutes later."""
    plant.add("2024-04-25 00:00:00")
    cursor = take(plant, tmp_path, "", NOW - timedelta(days=2)).cursor
    plant.add("2024-05-01 11:00:00")
    cursor = take(plant, tmp_path, cursor).cursor
    plant.add("2024-04-27 00:00:00", "2024-04-29 00:00:00")
    times = list_times(take(plant, tmp_path, cursor, NOW + timedelta(minutes=10)))
    assert {"2024-04-27 00:00:00", "2024-04-29 00:00:00"} <= set(times)


def test_future_row_does_not_hide_later_ones(plant: Plant, tmp_path: Path) -> None:
    plant.add("2024-05-01 11:00:00", "2099-01-01 00:00:00")
    cursor = take(plant, tmp_path).cursor
    plant.add("2024-05-01 12:00:00")
    times = list_times(take(plant, tmp_path, cursor, NOW + timedelta(minutes=10)))
    assert "2024-05-01 12:00:00" in times


def test_long_answer_comes_in_pages(plant: Plant, tmp_path: Path) -> None:
    """Equal times stay together, and no page begins before the last one ended."""
    times = [f"2024-04-30 {number // 7:02}:00:00" for number in range(140)]
    plant.add(*times)
    cursor, found, pages = "", [], 0
    while True:
        arrivals = take(plant, tmp_path, cursor, max_bytes=400)
        found += list_times(arrivals)
        cursor, pages = arrivals.cursor, pages + 1
        if not arrivals.has_more:
            break
    assert found == times
    assert pages > 5
    assert list_times(read_all(SOURCE, tmp_path / "all", plant.settings, max_bytes=400, now=NOW)) == times


def test_numbers_order_rows(plant: Plant, tmp_path: Path) -> None:
    plant.execute("DROP TABLE IF EXISTS numbers")
    plant.execute("CREATE TABLE numbers (id BIGINT, mw REAL)")
    plant.execute("INSERT INTO numbers VALUES (3, 1.5), (1, 2.5), (2, NULL)")
    source = DatabaseSource(database="plant", query="SELECT * FROM numbers WHERE id > :since", time_column="id")
    arrivals = take(plant, tmp_path, source=source)
    assert list_rows(arrivals) == [["1", "2.5"], ["2", ""], ["3", "1.5"]]


def test_query_that_repeats_itself_is_refused(plant: Plant, tmp_path: Path) -> None:
    plant.add(*["2024-04-30 01:00:00"] * 50, "2024-04-30 02:00:00")
    source = SOURCE.model_copy(update={"query": QUERY.replace(">", ">=")})
    cursor = take(plant, tmp_path, source=source, max_bytes=100).cursor
    with pytest.raises(DataError, match=r"again and again\. Accepted: a condition with > :since"):
        take(plant, tmp_path, cursor, source=source, max_bytes=100)


@pytest.mark.parametrize(
    "query",
    [
        "DELETE FROM loads WHERE time > :since",
        "/* SELECT :since */ DELETE FROM loads",
        "SELECT * FROM loads",
        "SELECT * FROM loads -- :since",
        "SELECT * FROM loads WHERE time > :since; DELETE FROM loads",
        "SELECT 1 AS time, :since AS s) AS x; DELETE FROM loads; SELECT * FROM (SELECT 1 AS time",
        "WITH gone AS (DELETE FROM loads RETURNING *) SELECT * FROM gone WHERE time > :since",
        "SELECT * FROM absent WHERE time > :since",
        "SELECT place FROM loads WHERE time > :since",
        "SELECT time FROM loads WHERE time > :since AND place = :other",
        "SELECT time FROM loads WHERE time > :since ORDER",
        "PRAGMA user_version = :since",
        "ATTACH DATABASE ':since' AS other",
    ],
)
def test_other_query_is_refused_and_changes_nothing(query: str, plant: Plant, tmp_path: Path) -> None:
    plant.add("2024-04-30 01:00:00")
    source = DatabaseSource(database="plant", query=query)
    with pytest.raises(OptionError) as raised:
        take(plant, tmp_path, source=source)
    assert "SELECT" in str(raised.value) or "column" in str(raised.value)
    assert list_times(take(plant, tmp_path)) == ["2024-04-30 01:00:00"]


def test_function_cannot_write_in_postgresql(postgres: ServerProcess, tmp_path: Path) -> None:
    """A function may change what it likes, and a query may turn settings off."""
    plant = Plant(postgres.url, make_settings(postgres.url))
    plant.execute("DROP TABLE IF EXISTS victims")
    plant.execute("CREATE TABLE victims (id INT)")
    plant.execute(
        "CREATE OR REPLACE FUNCTION strike() RETURNS INT AS $$ BEGIN INSERT INTO victims VALUES (1); RETURN 1; END $$ "
        "LANGUAGE plpgsql"
    )
    for column in ("strike()", "set_config('transaction_read_only', 'off', false)::text || strike()"):
        source = DatabaseSource(database="plant", query=f"SELECT {column} AS time WHERE CAST(:since AS TEXT) > ''")
        with pytest.raises(OptionError, match=r"read-only|read-write"):
            take(plant, tmp_path, source=source)


def test_slow_query_ends(plant: Plant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if plant.url.startswith("sqlite"):
        monkeypatch.setattr(database_module, "STATEMENT_TIMEOUT_S", 0.2)
        slow = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT max(x) AS time FROM n"
    else:
        options = database_module.POSTGRESQL_OPTIONS
        monkeypatch.setitem(options, "options", str(options["options"]).replace("60000", "200"))
        slow = "SELECT pg_sleep(60)::text AS time"
    source = DatabaseSource(database="plant", query=f"{slow} WHERE CAST(:since AS TEXT) > ''")
    with pytest.raises(ServiceUnavailableError, match="plant does not answer"):
        take(plant, tmp_path, source=source)


@pytest.mark.parametrize("secret", ["wr0ng-pass", "p@ss/w:rd 9"])
def test_wrong_password_is_told_and_hidden(secret: str, postgres: ServerProcess) -> None:
    url = make_url(postgres.url).set(password=secret).render_as_string(hide_password=False)
    with pytest.raises(AccessDeniedError, match="plant denies access") as raised:
        check_source(SOURCE, make_settings(url))
    assert secret not in str(raised.value)


def test_missing_right_is_told(postgres: ServerProcess) -> None:
    plant = Plant(postgres.url, make_settings(postgres.url))
    plant.execute("DROP TABLE IF EXISTS loads")
    plant.execute("CREATE TABLE loads (time TIMESTAMP, place TEXT, mw REAL)")
    plant.execute("DROP ROLE IF EXISTS reader")
    plant.execute("CREATE ROLE reader LOGIN PASSWORD 'reader-9'")
    url = make_url(postgres.url).set(username="reader", password="reader-9").render_as_string(hide_password=False)
    with pytest.raises(AccessDeniedError, match="permission denied"):
        check_source(SOURCE, make_settings(url))


def test_dead_database_is_unavailable(tmp_path: Path) -> None:
    for url in ("postgresql://ann:hunter2-9@127.0.0.1:1/plant", f"sqlite:///{tmp_path / 'absent.db'}"):
        with pytest.raises(ServiceUnavailableError, match="plant does not answer") as raised:
            check_source(SOURCE, make_settings(url))
        assert "hunter2" not in str(raised.value)
    assert not (tmp_path / "absent.db").exists()


@pytest.mark.parametrize(
    ("value", "error"),
    [
        ("", AccessDeniedError),
        ('{"other": "sqlite:////srv/x.db"}', AccessDeniedError),
        ('{"plant": "mysql://ann:hunter2@host/x"}', OptionError),
        ('{"plant": "hunter2"}', OptionError),
        ('{"plant": 5}', OptionError),
        ('["hunter2"]', OptionError),
        ("{hunter2", OptionError),
    ],
)
def test_settings_name_databases(value: str, error: type[Exception]) -> None:
    settings = Settings.model_construct(vigie_source_databases=SecretStr(value))
    with pytest.raises(error, match="VIGIE_SOURCE_DATABASES") as raised:
        check_source(SOURCE, settings)
    assert "hunter2" not in str(raised.value)


def test_database_of_others_stays_as_it_is(tmp_path: Path) -> None:
    """Not a byte is written, not even a log beside the file."""
    path = tmp_path / "db" / "plant.db"
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE loads (time, place, mw)")
        connection.execute("INSERT INTO loads VALUES ('2024-04-30', 'a', 1)")
        connection.commit()
    before = path.read_bytes()
    assert take(Plant("", make_settings(f"sqlite:///{path}")), tmp_path).files
    assert (path.read_bytes(), list(path.parent.iterdir())) == (before, [path])


@pytest.mark.parametrize("content", [b"", b"not a database at all, but a text of some length" * 100])
def test_other_file_is_no_database(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "plant.db").write_bytes(content)
    with pytest.raises(OptionError, match="plant does not accept the query"):
        check_source(SOURCE, make_settings(f"sqlite:///{tmp_path / 'plant.db'}"))


# ---- the mark --------------------------------------------------------------------------------------------------------


Delays = list[tuple[int, int]]


def run_ticks(delays: Delays, step_minutes: int, to_value: Callable[[int], Any]) -> tuple[set[Any], set[Any]]:
    """Commit row `number` at a minute and tick at even steps; return the values of all rows and of those read."""
    rows = [(to_value(minute), minute + delay) for minute, delay in delays]
    mark, seen = ReadMark(), set()
    for minute in range(0, 4 * 24 * 60, step_minutes):
        now = NOW + timedelta(minutes=minute)
        since, is_long = mark.choose_since(now)
        committed = sorted(value for value, at in rows if at <= minute and (since is None or value > since))
        seen |= set(committed)
        last = committed[-1] if committed else None
        mark = ReadMark.parse(
            json.loads(json.dumps(mark.update(ReadPage(len(committed), last, last), now, is_long).dump()))
        )
    return {value for value, _ in rows}, seen


@given(
    st.lists(st.tuples(st.integers(0, 2 * 24 * 60), st.integers(0, 22 * 60)), min_size=1, max_size=30),
    st.sampled_from([5, 15, 60]),
    st.sampled_from(["time", "text", "number"]),
)
def test_row_that_is_less_than_a_day_late_is_read(delays: Delays, step_minutes: int, kind: str) -> None:
    """Whatever the column is: times, texts of times, or numbers that rise."""

    def to_value(minute: int) -> Any:
        instant = NOW + timedelta(minutes=minute)
        return {"time": instant, "text": instant.strftime("%Y-%m-%dT%H:%M"), "number": minute}[kind]

    committed_first = [(0, 0), *delays] if kind == "number" else delays
    every, seen = run_ticks(committed_first, step_minutes, to_value)
    assert seen == every


def test_mark_stays_small() -> None:
    mark = ReadMark()
    for number in range(500):
        now = NOW + timedelta(minutes=10 * number)
        mark = mark.update(ReadPage(1, number, number), now, mark.choose_since(now)[1])
    assert len(mark.checkpoints) <= 50
    assert len(json.dumps(mark.dump())) < 4000


@pytest.mark.parametrize("state", [{"greatest": 5}, {"greatest": ["x", "1"]}, {"checkpoints": 3}, {}])
def test_foreign_mark_counts_as_empty(state: dict[str, Any]) -> None:
    assert ReadMark.parse(state) == ReadMark()
