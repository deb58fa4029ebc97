"""Accounts during outages of the database: killed, hanging, rejecting, locked. No call takes 2 s."""

import logging
import sqlite3
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import make_url

from core.accounts import session_cache
from core.accounts.service import Accounts
from core.errors import OptionError, ServiceUnavailableError
from tests.conftest import assert_no_hang
from tests.support.concurrency import CLIENT_ADDRESS, run_concurrently
from tests.support.databases import OTHER_PASSWORD, PASSWORD, create_database, open_accounts, wait_for_abandoned_calls
from tests.support.servers import ServerProcess

PUBLIC_CALLS: dict[str, Callable[[Accounts], object]] = {
    "is_empty": lambda accounts: accounts.is_empty(),
    "list_users": lambda accounts: accounts.list_users(),
    "find_user": lambda accounts: accounts.find_user("ada"),
    "add_user": lambda accounts: accounts.add_user("bob", PASSWORD, []),
    "add_first_administrator": lambda accounts: accounts.add_first_administrator("bob", PASSWORD),
    "set_roles": lambda accounts: accounts.set_roles("ada", ["analyst"]),
    "set_disabled": lambda accounts: accounts.set_disabled("ada", True),
    "set_password": lambda accounts: accounts.set_password("ada", OTHER_PASSWORD),
    "change_password": lambda accounts: accounts.change_password("ada", PASSWORD, OTHER_PASSWORD),
    "sign_in": lambda accounts: accounts.sign_in("ada", PASSWORD, CLIENT_ADDRESS),
    "find_session": lambda accounts: accounts.find_session("unknown"),
    "remember_device": lambda accounts: accounts.remember_device("unknown"),
    "sign_out": lambda accounts: accounts.sign_out("unknown"),
    "sign_out_everywhere": lambda accounts: accounts.sign_out_everywhere("ada"),
    "list_sign_ins": lambda accounts: accounts.list_sign_ins(),
    "sign_in_external": lambda accounts: accounts.sign_in_external("eve"),
    "fetch_version": lambda accounts: accounts.fetch_version(),
}


@pytest.fixture
def url(postgres_server: ServerProcess) -> Iterator[str]:
    with create_database(postgres_server) as address:
        yield address


@pytest.fixture
def accounts(url: str, tmp_path: Path) -> Iterator[Accounts]:
    with open_accounts(url, tmp_path) as found:
        found.add_first_administrator("Ada", PASSWORD)
        yield found


def expect_outage(work: Callable[[], object]) -> ServiceUnavailableError:
    """Call `work` during an outage, and return its error. Fails if the call waits for an answer."""
    with assert_no_hang(), pytest.raises(ServiceUnavailableError) as error:
        work()
    return error.value


def reset_connections(accounts: Accounts) -> None:
    """Wait until the hanging calls have ended, and close the circuit breaker."""
    wait_for_abandoned_calls()
    accounts.reset()


@pytest.fixture(params=["killed", "frozen"])
def outage(
    request: pytest.FixtureRequest, postgres_server: ServerProcess
) -> Iterator[tuple[Callable[[], object], Callable[[], object]]]:
    """Functions that stop and restore the server."""
    if request.param == "killed":
        yield postgres_server.kill, postgres_server.start
        if postgres_server.process is None:
            postgres_server.start()
    else:
        yield postgres_server.freeze, postgres_server.thaw
        postgres_server.thaw()


def test_accounts_report_outage(accounts: Accounts, outage: tuple[Callable[[], object], Callable[[], object]]) -> None:
    stop_server, restore_server = outage
    calls, messages = list(PUBLIC_CALLS.items()), {}
    stop_server()

    def call(number: int) -> None:
        name, work = calls[number]
        messages[name] = str(expect_outage(lambda: work(accounts)))

    for first in range(0, len(calls), 4):
        accounts.reset()
        run_concurrently(min(4, len(calls) - first), lambda number: call(first + number))  # noqa: B023 called immediately
    assert set(messages) == set(PUBLIC_CALLS)
    assert all("PostgreSQL does not answer" in text for text in messages.values()), messages
    restore_server()
    reset_connections(accounts)
    assert "Ada" in [user.name for user in accounts.list_users()]


def test_accounts_fault_tests_cover_every_public_call() -> None:
    public = {name for name in vars(Accounts) if not name.startswith("_")}
    assert public - {"reset", "close", "load_driver"} == set(PUBLIC_CALLS)


def test_accounts_cached_sessions_survive_outage(
    accounts: Accounts,
    url: str,
    tmp_path: Path,
    outage: tuple[Callable[[], object], Callable[[], object]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stop_server, restore_server = outage
    accounts.add_user("bob", PASSWORD, ["analyst"])
    seen, unseen, revoked, signed_out = (accounts.sign_in("bob", PASSWORD, CLIENT_ADDRESS) for _each in range(4))
    before = [accounts.find_session(token) for token in (seen, revoked, signed_out)]
    stop_server()
    with assert_no_hang():
        assert accounts.find_session(seen) == before[0] is not None
        assert accounts.find_session(revoked) == before[1]
    expect_outage(lambda: accounts.find_session(unseen))
    expect_outage(lambda: accounts.sign_out(signed_out))
    expect_outage(lambda: accounts.find_session(signed_out))
    restore_server()
    with open_accounts(url, tmp_path) as elsewhere:  # another process of the app
        elsewhere.sign_out(revoked)
    reset_connections(accounts)
    assert accounts.find_session(revoked) is None
    assert accounts.find_session(seen) == before[0]
    monkeypatch.setattr(session_cache, "SESSION_CACHE_TTL_S", 0.0)
    stop_server()
    expect_outage(lambda: accounts.find_session(seen))


def test_accounts_concurrent_calls_share_one_timeout(accounts: Accounts, postgres_server: ServerProcess) -> None:
    token = accounts.sign_in("ada", PASSWORD, CLIENT_ADDRESS)
    accounts.find_session(token)
    postgres_server.freeze()
    try:
        for _round in range(4):  # more calls than the pool has connections
            accounts.reset()
            with assert_no_hang():
                results = run_concurrently(6, lambda _number: accounts.find_session(token))
            assert len(results) == 6
    finally:
        postgres_server.thaw()
    reset_connections(accounts)
    assert accounts.is_empty() is False


def test_accounts_recover_if_down_at_start(url: str, postgres_server: ServerProcess, tmp_path: Path) -> None:
    postgres_server.kill()
    with open_accounts(url, tmp_path) as accounts:
        expect_outage(accounts.is_empty)
        expect_outage(accounts.is_empty)
        postgres_server.start()
        accounts.reset()
        assert accounts.is_empty()


def test_accounts_time_out_if_hanging_at_start(url: str, postgres_server: ServerProcess, tmp_path: Path) -> None:
    with open_accounts(url, tmp_path) as accounts:
        postgres_server.freeze()
        try:
            with assert_no_hang():
                results = run_concurrently(3, lambda _number: accounts.is_empty())
            assert {type(result) for result in results} == {ServiceUnavailableError}
        finally:
            postgres_server.thaw()
        reset_connections(accounts)
        assert accounts.is_empty()


@pytest.mark.parametrize("user", ["vigie", "nobody"])
def test_accounts_report_wrong_credentials(
    url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture, user: str
) -> None:
    caplog.set_level(logging.DEBUG)
    wrong = make_url(url).set(username=user, password="hunter2-never-shown").render_as_string(hide_password=False)
    with open_accounts(wrong, tmp_path) as accounts:
        error = expect_outage(accounts.list_users)
        assert f'password authentication failed for user "{user}"' in str(error)
        for text in (
            str(error),
            caplog.text,
            "".join(traceback.format_exception(error)),
            repr(vars(accounts)),
            repr(vars(accounts.database)),
        ):
            assert "hunter2" not in text


@pytest.mark.parametrize(
    "url",
    [
        "mysql://u:hunter2@host/x",
        "hunter2",
        "postgresql://u:pa:hunter2@host:port/x",
        "sqlite://",
        "sqlite:///:memory:",
        "redis://hunter2",
    ],
)
def test_accounts_reject_other_database_urls(url: str, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="DATABASE_URL is not valid") as error:
        Accounts(url, tmp_path)
    assert "hunter2" not in "".join(traceback.format_exception(error.value))


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg2"])
def test_accounts_accept_every_postgresql_url(url: str, tmp_path: Path, scheme: str) -> None:
    with open_accounts(url.replace("postgresql+psycopg", scheme), tmp_path) as accounts:
        assert accounts.is_empty()


def test_accounts_report_locked_sqlite_file(tmp_path: Path) -> None:
    with open_accounts("", tmp_path) as accounts:
        accounts.add_first_administrator("Ada", PASSWORD)
        token = accounts.sign_in("ada", PASSWORD, CLIENT_ADDRESS)
        connection = sqlite3.connect(tmp_path / "accounts.db", isolation_level=None)
        connection.execute("BEGIN EXCLUSIVE")
        assert accounts.find_session(token) is not None, "readers do not wait for the lock (WAL)"
        error = expect_outage(lambda: accounts.sign_in("ada", PASSWORD, CLIENT_ADDRESS))
        assert "database is locked" in str(error)
        connection.execute("ROLLBACK")
        connection.close()
        accounts.reset()
        assert accounts.sign_in("ada", PASSWORD, CLIENT_ADDRESS)


def test_accounts_report_read_only_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with open_accounts("", tmp_path / "file" / "below") as accounts:
        assert "SQLite does not answer" in str(expect_outage(accounts.is_empty))


def test_accounts_replace_damaged_file(tmp_path: Path) -> None:
    (tmp_path / "accounts.db").write_bytes(b"nothing of the kind" * 100)
    with open_accounts("", tmp_path) as accounts:
        assert accounts.is_empty()
    assert len(list(tmp_path.glob("accounts.db.moved-*"))) == 1


def test_accounts_sqlite_file_is_private(tmp_path: Path) -> None:
    with open_accounts("", tmp_path / "below") as accounts:
        accounts.add_first_administrator("Ada", PASSWORD)
        files = sorted((tmp_path / "below").glob("accounts.db*"))
        assert {path.name for path in files} >= {"accounts.db", "accounts.db-wal"}
        assert all(path.stat().st_mode & 0o077 == 0 for path in files if not path.name.endswith(".lock"))
