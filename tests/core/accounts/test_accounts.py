"""Accounts on SQLite and PostgreSQL: users, roles, sign-in, sessions, passwords, and hidden secrets."""

import logging
import re
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select, update
from sqlalchemy.orm import Session as DbSession

from core.accounts import ROLES, Session, User, database, login_throttling, passwords
from core.accounts.orm import HEAD, Base, CredentialRow, SessionRow, SignInRow
from core.accounts.service import Accounts
from core.errors import AccessDeniedError, OptionError
from tests.support.commands import start_code
from tests.support.concurrency import CLIENT_ADDRESS, run_concurrently
from tests.support.databases import OTHER_PASSWORD, PASSWORD, THIRD_PASSWORD, dump_tables, open_accounts

VALID_NAMES = (
    "alice",
    "Zoé.O'Neil-3",
    "a",
    "x" * 100,
    "bob+vigie@mail.example.org",
    "auth0|5f7c8ec7c33c",
    "Élodie",
    "Ольга",
)
HOSTILE_NAMES = [
    "",
    " ",
    "'; DROP TABLE users; --",
    "' OR '1'='1",
    "alice'--/*",
    "../../etc/passwd",
    "..",
    "a/b",
    "a\\b",
    "C:\\x",
    "admin\x00",
    "a\nb",
    "=1+1",
    "-alice",
    "@alice",
    "<script>alert(1)</script>",
    "%s",
    "{name}",
    "${x}",
    "\ud800",
    "x" * 101,
    "x" * 1_000_000,
    "\u0430dmin",
    "adm\u0456n",
    "a\u202eb",
    "a\u200bb",
    ".hidden",
    "_",
    "ali ce",
]


@pytest.fixture
def accounts(database_url: str, tmp_path: Path) -> Iterator[Accounts]:
    with open_accounts(database_url, tmp_path) as service:
        yield service


@pytest.fixture
def ada(accounts: Accounts) -> User:
    return accounts.add_first_administrator("Ada", PASSWORD)


def expect_denial(work: Callable[[], object]) -> str:
    with pytest.raises(AccessDeniedError) as error:
        work()
    return str(error.value)


def age_records(accounts: Accounts, duration: timedelta) -> None:
    """Move the times of all sign-ins and sessions back by `duration`."""

    def move_back(rows: DbSession) -> None:
        for row in rows.scalars(select(SignInRow)):
            row.time -= duration
        for row in rows.scalars(select(SessionRow)):
            row.created, row.expires = row.created - duration, row.expires - duration

    accounts.database.write(move_back)


# ---- users ---------------------------------------------------------------------------------------------------------


def test_accounts_store_and_find_users(accounts: Accounts, database_url: str, tmp_path: Path) -> None:
    assert accounts.is_empty()
    before = datetime.now(UTC)
    ada = accounts.add_first_administrator("Ada", PASSWORD)
    bob = accounts.add_user("bob@example.org", None, ["analyst", "operator"], granted_by="Ada")
    assert (ada.name, ada.roles, ada.local, ada.disabled) == ("Ada", {"administrator"}, True, False)
    assert (bob.roles, bob.local) == ({"analyst", "operator"}, False)
    assert before <= ada.created <= bob.created <= datetime.now(UTC)
    assert not accounts.is_empty()
    with open_accounts(database_url, tmp_path) as again:
        assert again.list_users() == [ada, bob]
        assert again.find_user("ADA") == again.find_user(" ada ") == again.find_user("\uff21da") == ada
        assert again.find_user("nobody") is None


def test_accounts_reject_taken_name_in_any_spelling(accounts: Accounts, ada: User) -> None:
    for spelling in ("Ada", "ADA", " ada", "\uff41\uff44\uff41"):
        with pytest.raises(OptionError, match="taken"):
            accounts.add_user(spelling, None, [])
    assert accounts.list_users() == [ada]


def test_accounts_accept_valid_names(accounts: Accounts, subtests: pytest.Subtests) -> None:
    for name in VALID_NAMES:
        with subtests.test(name=name):
            assert accounts.add_user(name, None, []).name == name
            assert accounts.find_user(name.upper()) == accounts.find_user(name)


def test_accounts_reject_hostile_names(accounts: Accounts, subtests: pytest.Subtests) -> None:
    """One database for all names: it stays empty."""
    for number, name in enumerate(HOSTILE_NAMES):
        with subtests.test(name=name):
            _check_name_is_rejected(accounts, name, f"198.51.100.{number}")


def _check_name_is_rejected(accounts: Accounts, name: str, address: str) -> None:
    with pytest.raises(OptionError, match="name is not accepted"):
        accounts.add_user(name, None, [])
    with pytest.raises(OptionError, match="name is not accepted"):
        accounts.sign_in_external(name)
    assert accounts.find_user(name) is None
    assert accounts.list_sign_ins(name) == []
    assert "wrong" in expect_denial(lambda: accounts.sign_in(name, PASSWORD, address))
    assert accounts.is_empty()


@given(name=st.one_of(st.text(max_size=120), st.from_regex(r"[\w'\-@./; ]{1,12}", fullmatch=True)))
def test_accounts_store_or_reject_any_name(accounts: Accounts, name: str) -> None:
    with suppress(OptionError):
        user = accounts.add_user(name, None, [])
        assert accounts.find_user(name) == accounts.find_user(user.name) == user
        assert user.name.isprintable()
        assert not set(user.name) & set('/\\\0\n\r\t<>"`;$={}')
        with pytest.raises(OptionError, match="taken"):
            accounts.add_user(user.name.lower(), None, [])
    accounts.list_sign_ins(name)


@pytest.mark.parametrize("name", ["İbrahim", "ΐ", "ẗom", "हिन्दी"])
def test_accounts_know_a_name_in_every_case(accounts: Accounts, name: str) -> None:
    """Lower and upper case of some letters are a letter and a combining mark, which is no word character."""
    user = accounts.add_user(name, None, [])
    assert accounts.find_user(name.lower()) == accounts.find_user(name.upper()) == user


def test_accounts_reject_a_name_that_begins_with_a_combining_mark(accounts: Accounts) -> None:
    with pytest.raises(OptionError, match="not accepted"):
        accounts.add_user("\u0301ada", None, [])


def test_accounts_reject_unknown_roles_and_users(accounts: Accounts, ada: User) -> None:
    with pytest.raises(
        OptionError, match=r"The role 'king' does not exist. Accepted roles: analyst, operator, administrator"
    ):
        accounts.add_user("bob", None, ["king"])
    with pytest.raises(OptionError, match="does not exist"):
        accounts.set_roles("ada", ["root"])
    for change in (
        lambda: accounts.set_roles("bob", ["analyst"]),
        lambda: accounts.set_disabled("bob", True),
        lambda: accounts.set_password("bob", PASSWORD),
        lambda: accounts.sign_out_everywhere("bob"),
    ):
        with pytest.raises(OptionError, match="No user has this name"):
            change()
    assert accounts.list_users() == [ada]


def test_accounts_store_who_granted_roles(accounts: Accounts, ada: User) -> None:
    accounts.add_user("bob", None, ["analyst"], granted_by="Ada")
    accounts.set_roles("bob", ROLES, granted_by="Eve")
    accounts.set_roles("bob", ["operator", "analyst"], granted_by="Ada")
    bob = accounts.find_user("bob")
    assert bob is not None
    assert bob.roles == {"operator", "analyst"}
    assert "'analyst', 'Ada'" in dump_tables(accounts)
    assert "'operator', 'Eve'" in dump_tables(accounts)


def test_accounts_keep_last_administrator(accounts: Accounts, ada: User) -> None:
    token = accounts.sign_in("ada", PASSWORD, CLIENT_ADDRESS)
    for change in (lambda: accounts.set_roles("ada", ["analyst"]), lambda: accounts.set_disabled("ada", True)):
        with pytest.raises(OptionError, match="last administrator"):
            change()
    assert accounts.find_user("ada") == ada
    assert accounts.find_session(token) is not None, "a refused change has no effect"
    accounts.add_user("bob", PASSWORD, ["administrator"])
    accounts.set_disabled("ada", True)
    with pytest.raises(OptionError, match="last administrator"):
        accounts.set_roles("bob", [])
    accounts.set_disabled("ada", False)
    accounts.set_roles("bob", [])


# ---- concurrent calls ----------------------------------------------------------------------------------------------


def test_accounts_create_only_one_first_administrator(accounts: Accounts) -> None:
    results = run_concurrently(4, lambda number: accounts.add_first_administrator(f"admin{number}", PASSWORD))
    assert sorted(type(result).__name__ for result in results) == ["AccessDeniedError"] * 3 + ["User"]
    assert len(accounts.list_users()) == 1
    assert "already" in expect_denial(lambda: accounts.add_first_administrator("late", PASSWORD))


def test_accounts_concurrent_adds_create_one_user(accounts: Accounts) -> None:
    results = run_concurrently(4, lambda number: accounts.add_user(["bob", "BOB"][number % 2], None, []))
    assert sorted(type(result).__name__ for result in results) == ["OptionError"] * 3 + ["User"]
    assert len(accounts.list_users()) == 1


def test_accounts_administrators_cannot_disable_each_other(accounts: Accounts, ada: User) -> None:
    accounts.add_user("bob", None, ["administrator"])
    results = run_concurrently(2, lambda number: accounts.set_disabled(["ada", "bob"][number], True))
    assert sorted(type(result).__name__ for result in results) == ["NoneType", "OptionError"]


def test_accounts_processes_start_on_empty_database(database_url: str, tmp_path: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path; from core.accounts.service import "
        "Accounts; from core.errors import AccessDeniedError\n"
        "name, url, folder, at = sys.argv[1:]; accounts = Accounts(url, Path(folder)); "
        "time.sleep(max(0, float(at) - time.time()))\n"
        f"try: sys.stdout.write(accounts.add_first_administrator(name, {PASSWORD!r}).name)\n"
        "except AccessDeniedError: sys.stdout.write('refused')\n"
        "accounts.close()\n"
    )
    start_time = str(time.time() + 1)
    processes = [start_code(script, name, database_url, tmp_path, start_time) for name in ("ada", "bob", "eve")]
    ended = [process.complete() for process in processes]
    assert [(process.returncode, process.stderr) for process in ended] == [(0, "")] * 3
    names = sorted(process.stdout for process in ended)
    assert names.count("refused") == 2
    with open_accounts(database_url, tmp_path) as accounts:
        assert [user.name for user in accounts.list_users()] == [name for name in names if name != "refused"]


# ---- sign-in -------------------------------------------------------------------------------------------------------


def test_accounts_sign_in_and_out(accounts: Accounts, ada: User) -> None:
    token, other_token = (
        accounts.sign_in("ADA", PASSWORD, CLIENT_ADDRESS),
        accounts.sign_in("ada", PASSWORD, CLIENT_ADDRESS),
    )
    assert token != other_token
    assert len(token) >= 43, "32 random bytes"
    session = accounts.find_session(token)
    assert session is not None
    assert (session.user, session.expires - session.created) == (ada, timedelta(hours=12))
    assert session.csrf not in (token, accounts.find_session(other_token).csrf)  # type: ignore[union-attr]
    assert session == accounts.find_session(token)
    accounts.sign_out(token)
    accounts.sign_out(token)
    assert accounts.find_session(token) is None
    assert accounts.find_session(other_token) is not None
    for invalid_token in ("", "x", token[:-1], token + "=", "\ud800", "' OR 1=1", "\x00"):
        assert accounts.find_session(invalid_token) is None


def test_accounts_sign_in_error_hides_reason(accounts: Accounts, ada: User) -> None:
    accounts.add_user("bob", PASSWORD, [])
    accounts.set_disabled("bob", True)
    accounts.add_user("eve", None, [])
    attempts = [
        ("ada", OTHER_PASSWORD),
        ("ada", ""),
        ("ada", "x" * 100_000),
        ("bob", PASSWORD),
        ("eve", ""),
        ("eve", PASSWORD),
        ("nobody", PASSWORD),
    ]
    messages = {expect_denial(lambda: accounts.sign_in(*attempt, CLIENT_ADDRESS)) for attempt in attempts}  # noqa: B023 called at once
    assert len(messages) == 1


@pytest.mark.usefixtures("real_hashes")
def test_accounts_sign_in_time_hides_unknown_name(accounts: Accounts, ada: User) -> None:
    """Without a password check, an unknown name would be refused ten times faster."""
    accounts.add_user("bob", PASSWORD, [])
    accounts.add_user("eve", None, [])
    names = {"known": ["ada", "bob"], "unknown": ["nobody", "noone"], "provider": ["eve", "eve"]}
    seconds: dict[str, list[float]] = {kind: [] for kind in names}
    for number in range(8):
        for kind, kind_names in names.items():
            if kind == "provider" and number >= 4:
                continue
            start_s = time.process_time()  # of the processor: other work on the machine does not count
            expect_denial(lambda: accounts.sign_in(kind_names[number % 2], OTHER_PASSWORD, ""))  # noqa: B023 called at once
            seconds[kind].append(time.process_time() - start_s)
    medians = {kind: statistics.median(durations) for kind, durations in seconds.items()}
    assert 0.5 < medians["unknown"] / medians["known"] < 2, medians
    assert 0.5 < medians["provider"] / medians["known"] < 2, medians


@pytest.mark.parametrize("name", ["ada", "nobody"])
def test_accounts_lock_name_and_address_after_five_failures(accounts: Accounts, ada: User, name: str) -> None:
    for _number in range(5):
        assert "wrong" in expect_denial(lambda: accounts.sign_in(name.upper(), OTHER_PASSWORD, CLIENT_ADDRESS))
    assert (
        expect_denial(lambda: accounts.sign_in(name, PASSWORD, CLIENT_ADDRESS))
        == "Too many attempts. Try again in 15 min."
    )
    age_records(accounts, timedelta(minutes=10, seconds=5))
    assert (
        expect_denial(lambda: accounts.sign_in(name, PASSWORD, CLIENT_ADDRESS))
        == "Too many attempts. Try again in 5 min."
    )
    assert len(accounts.list_sign_ins()) == 5, "a locked-out sign-in is not recorded, so it does not prolong the lock"
    age_records(accounts, timedelta(minutes=5))
    if name == "ada":
        assert accounts.find_session(accounts.sign_in(name, PASSWORD, CLIENT_ADDRESS)) is not None
    else:
        assert "wrong" in expect_denial(lambda: accounts.sign_in(name, PASSWORD, CLIENT_ADDRESS))


def test_accounts_sign_in_resets_failure_count(accounts: Accounts, ada: User) -> None:
    for _round in range(2):
        for _number in range(4):
            expect_denial(lambda: accounts.sign_in("ada", OTHER_PASSWORD, CLIENT_ADDRESS))
        accounts.sign_in("ada", PASSWORD, CLIENT_ADDRESS)


def test_accounts_lock_only_the_failing_name(accounts: Accounts, ada: User) -> None:
    for _number in range(5):
        expect_denial(lambda: accounts.sign_in("bob", OTHER_PASSWORD, CLIENT_ADDRESS))
    assert accounts.find_session(accounts.sign_in("ada", PASSWORD, CLIENT_ADDRESS)) is not None


def fail_sign_ins(accounts: Accounts, name: str, addresses: list[str], device: str = "") -> None:
    """Record failed attempts alone, without the slow hash."""
    for address in addresses:
        accounts.database.write(lambda rows: login_throttling.record_attempt(rows, name, address, device).id)  # noqa: B023


def test_accounts_do_not_lock_a_name_for_other_addresses(accounts: Accounts, ada: User) -> None:
    fail_sign_ins(accounts, "ada", ["192.0.2.1"] * 5)
    assert "Too many" in expect_denial(lambda: accounts.sign_in("ada", PASSWORD, "192.0.2.1"))
    assert accounts.sign_in("ada", PASSWORD, CLIENT_ADDRESS)


def test_accounts_let_a_known_device_pass(accounts: Accounts, ada: User) -> None:
    """The device has its own limit; that of its address, which others have used up, does not count."""
    device = accounts.remember_device(accounts.sign_in("ada", PASSWORD, CLIENT_ADDRESS))
    fail_sign_ins(accounts, "ada", [CLIENT_ADDRESS] * 5)
    for number in range(25):
        fail_sign_ins(accounts, f"user{number}", [CLIENT_ADDRESS])
    assert "Too many" in expect_denial(lambda: accounts.sign_in("ada", PASSWORD, CLIENT_ADDRESS))
    assert "Too many" in expect_denial(lambda: accounts.sign_in("ada", PASSWORD, CLIENT_ADDRESS, "made-up"))
    assert accounts.sign_in("ada", PASSWORD, CLIENT_ADDRESS, device)
    fail_sign_ins(accounts, "ada", [f"192.0.2.{number}" for number in range(5)], device)
    assert "Too many" in expect_denial(lambda: accounts.sign_in("ada", PASSWORD, "198.51.100.9", device))


def test_accounts_know_a_device_for_its_users_only(accounts: Accounts, ada: User) -> None:
    accounts.add_user("bob", PASSWORD, [])
    token = accounts.sign_in("ada", PASSWORD, CLIENT_ADDRESS)
    device = accounts.remember_device(token, "chosen by somebody else")
    assert device != "chosen by somebody else"
    assert accounts.remember_device(token, device) == device
    fail_sign_ins(accounts, "bob", [CLIENT_ADDRESS] * 5)
    assert "Too many" in expect_denial(lambda: accounts.sign_in("bob", PASSWORD, CLIENT_ADDRESS, device))
    bob_token = accounts.sign_in("bob", PASSWORD, "192.0.2.99")
    assert accounts.remember_device(bob_token, device) == device, "two users share a device"
    assert accounts.sign_in("bob", PASSWORD, CLIENT_ADDRESS, device)
    assert accounts.remember_device("unknown session", device) == ""


@pytest.mark.parametrize("change", ["sign_out_everywhere", "set_password", "set_disabled"])
def test_accounts_forget_devices_with_the_sessions(accounts: Accounts, ada: User, change: str) -> None:
    accounts.add_user("bob", PASSWORD, [])
    device = accounts.remember_device(accounts.sign_in("bob", PASSWORD, CLIENT_ADDRESS))
    arguments = {"sign_out_everywhere": (), "set_password": (PASSWORD,), "set_disabled": (True,)}[change]
    getattr(accounts, change)("bob", *arguments)
    accounts.set_disabled("bob", False)
    fail_sign_ins(accounts, "bob", [CLIENT_ADDRESS] * 5)
    assert "Too many" in expect_denial(lambda: accounts.sign_in("bob", PASSWORD, CLIENT_ADDRESS, device))


def test_accounts_slow_down_a_name_tried_from_many_addresses(accounts: Accounts, ada: User) -> None:
    """One attempt in ten seconds is checked; where the user has signed in before, every one is."""
    accounts.sign_in("ada", PASSWORD, CLIENT_ADDRESS)
    for name in ("ada", "nobody"):
        fail_sign_ins(accounts, name, [f"203.0.113.{number}" for number in range(20)])
        message = expect_denial(lambda: accounts.sign_in(name, PASSWORD, "192.0.2.200"))  # noqa: B023
        assert re.fullmatch(r"Too many attempts\. Try again in \d+ s\.", message)
    assert accounts.sign_in("ada", PASSWORD, CLIENT_ADDRESS)
    age_records(accounts, timedelta(seconds=11))
    assert accounts.sign_in("ada", PASSWORD, "192.0.2.200"), "the right password is never locked out for good"


@pytest.mark.parametrize(
    ("addresses", "elsewhere"),
    [
        ([CLIENT_ADDRESS] * 30, "192.0.2.8"),
        ([f"2001:db8:1:2:{number:x}::9" for number in range(30)], "2001:db8:1:3::1"),
        (["::ffff:192.0.2.7"] * 30, "192.0.2.8"),
    ],
    ids=["IPv4", "a network of IPv6", "IPv4 as IPv6"],
)
def test_accounts_lock_address_after_thirty_failures(
    accounts: Accounts, ada: User, addresses: list[str], elsewhere: str
) -> None:
    for number, address in enumerate(addresses):  # the attempt alone, without the slow hash
        accounts.database.write(lambda rows: login_throttling.record_attempt(rows, f"user{number}", address).id)  # noqa: B023
    for locked_address in {addresses[0], CLIENT_ADDRESS if "." in addresses[0] else addresses[1]}:
        assert "Too many attempts" in expect_denial(lambda: accounts.sign_in("ada", PASSWORD, locked_address))  # noqa: B023
    assert accounts.sign_in("ada", PASSWORD, elsewhere)
    assert accounts.sign_in("ada", PASSWORD, "")


@pytest.mark.usefixtures("real_hashes")  # the attempts overlap while they are hashed
def test_accounts_count_concurrent_attempts(accounts: Accounts, ada: User) -> None:
    results = run_concurrently(12, lambda _number: accounts.sign_in("ada", OTHER_PASSWORD, CLIENT_ADDRESS))
    locked = [result for result in results if "Too many" in str(result)]
    assert len(locked) == 7
    assert len(accounts.list_sign_ins()) == 5


def test_accounts_list_sign_ins(accounts: Accounts, ada: User) -> None:
    accounts.sign_in("ada", PASSWORD, "2001:db8::1")
    expect_denial(lambda: accounts.sign_in("ada", OTHER_PASSWORD, CLIENT_ADDRESS))
    expect_denial(lambda: accounts.sign_in("nobody", OTHER_PASSWORD, "<evil>\n" + "x" * 200))
    sign_ins = accounts.list_sign_ins()
    assert [(sign_in.name, sign_in.success, sign_in.address) for sign_in in sign_ins] == [
        (None, False, "<evil>" + "x" * 57),
        ("Ada", False, CLIENT_ADDRESS),
        ("Ada", True, "2001:db8::1"),
    ]
    assert accounts.list_sign_ins("ADA") == sign_ins[1:]
    assert accounts.list_sign_ins(limit=1) == sign_ins[:1]
    assert accounts.list_sign_ins("nobody") == accounts.list_sign_ins(limit=-1) == []
    assert all(abs(datetime.now(UTC) - sign_in.time) < timedelta(minutes=1) for sign_in in sign_ins)


def test_accounts_delete_old_records_at_sign_in(accounts: Accounts, ada: User) -> None:
    old_token = accounts.sign_in("ada", PASSWORD, CLIENT_ADDRESS)
    expect_denial(lambda: accounts.sign_in("my-password-by-mistake", OTHER_PASSWORD, CLIENT_ADDRESS))
    name_hash = login_throttling.hash_name("my-password-by-mistake")
    assert name_hash in dump_tables(accounts)
    age_records(accounts, timedelta(days=1))
    accounts.sign_in("ada", PASSWORD, CLIENT_ADDRESS)
    assert name_hash not in dump_tables(accounts), "the hash of an unknown name is deleted as well"
    assert accounts.database.read(lambda rows: len(rows.scalars(select(SessionRow)).all())) == 1
    assert accounts.find_session(old_token) is None
    assert len(accounts.list_sign_ins()) == 3
    age_records(accounts, timedelta(days=179, hours=12))
    accounts.sign_in("ada", PASSWORD, CLIENT_ADDRESS)
    assert len(accounts.list_sign_ins()) == 2


# ---- sessions ------------------------------------------------------------------------------------------------------


def test_accounts_session_expires(accounts: Accounts, ada: User) -> None:
    token = accounts.sign_in("ada", PASSWORD, CLIENT_ADDRESS)
    age_records(accounts, timedelta(hours=11, minutes=59))
    assert accounts.find_session(token) is not None
    age_records(accounts, timedelta(minutes=1))
    assert accounts.find_session(token) is None


def test_accounts_sign_out_everywhere(accounts: Accounts, ada: User) -> None:
    accounts.add_user("bob", PASSWORD, [])
    tokens = [accounts.sign_in("ada", PASSWORD, CLIENT_ADDRESS) for _number in range(2)]
    bob_token = accounts.sign_in("bob", PASSWORD, CLIENT_ADDRESS)
    accounts.sign_out_everywhere("ADA")
    assert [accounts.find_session(token) for token in tokens] == [None, None]
    assert accounts.find_session(bob_token) is not None


def test_accounts_disabling_ends_sessions(accounts: Accounts, ada: User) -> None:
    accounts.add_user("bob", PASSWORD, ["analyst"])
    token = accounts.sign_in("bob", PASSWORD, CLIENT_ADDRESS)
    accounts.set_disabled("bob", True)
    assert accounts.find_session(token) is None
    accounts.set_disabled("bob", False)
    assert accounts.find_session(token) is None


def test_accounts_role_change_acts_immediately(accounts: Accounts, ada: User) -> None:
    accounts.add_user("bob", PASSWORD, ["analyst"])
    token = accounts.sign_in("bob", PASSWORD, CLIENT_ADDRESS)
    accounts.set_roles("bob", ["operator"])
    assert accounts.find_session(token).user.roles == {"operator"}  # type: ignore[union-attr]


# ---- passwords -----------------------------------------------------------------------------------------------------


def test_accounts_set_password(accounts: Accounts, ada: User) -> None:
    accounts.add_user("bob", None, [])
    accounts.set_password("bob", PASSWORD)
    token = accounts.sign_in("bob", PASSWORD, CLIENT_ADDRESS)
    with pytest.raises(OptionError, match="too easy"):
        accounts.set_password("bob", "0123456789")
    assert accounts.find_session(token) is not None
    accounts.set_password("BOB", OTHER_PASSWORD)
    assert accounts.find_session(token) is None
    expect_denial(lambda: accounts.sign_in("bob", PASSWORD, CLIENT_ADDRESS))
    assert accounts.sign_in("bob", OTHER_PASSWORD, CLIENT_ADDRESS)
    assert accounts.find_user("bob").local  # type: ignore[union-attr]


def test_accounts_change_password(accounts: Accounts, ada: User) -> None:
    kept_token, other_token = (
        accounts.sign_in("ada", PASSWORD, CLIENT_ADDRESS),
        accounts.sign_in("ada", PASSWORD, CLIENT_ADDRESS),
    )
    with pytest.raises(OptionError, match="too easy"):
        accounts.change_password("ada", PASSWORD, "azertyuiop")
    assert "wrong" in expect_denial(lambda: accounts.change_password("ada", OTHER_PASSWORD, THIRD_PASSWORD))
    accounts.change_password("ada", PASSWORD, OTHER_PASSWORD, keep_token=kept_token)
    assert accounts.find_session(kept_token) is not None
    assert accounts.find_session(other_token) is None
    assert [sign_in.success for sign_in in accounts.list_sign_ins()] == [False, True, True]
    for _number in range(4):
        expect_denial(lambda: accounts.change_password("ada", PASSWORD, THIRD_PASSWORD))
    assert "Too many attempts" in expect_denial(lambda: accounts.change_password("ada", OTHER_PASSWORD, THIRD_PASSWORD))
    assert accounts.sign_in("ada", OTHER_PASSWORD, CLIENT_ADDRESS), "who signs in has other attempts"


def test_accounts_reject_password_changed_during_sign_in(
    accounts: Accounts, ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    verify_password = passwords.verify_password

    def verify_after_change(stored_hash: str | None, password: str) -> bool:
        monkeypatch.undo()
        accounts.set_password("ada", OTHER_PASSWORD)
        return verify_password(stored_hash, password)

    monkeypatch.setattr(passwords, "verify_password", verify_after_change)
    assert "wrong" in expect_denial(lambda: accounts.sign_in("ada", PASSWORD, CLIENT_ADDRESS))
    assert accounts.database.read(lambda rows: rows.scalars(select(SessionRow)).all()) == []


@pytest.mark.usefixtures("real_hashes")
def test_accounts_renew_outdated_argon2_hash(accounts: Accounts, ada: User) -> None:
    def read_hash() -> str:
        return accounts.database.read(lambda rows: rows.scalar(select(CredentialRow.hash))) or ""

    current_prefix = "$argon2id$v=19$m=47104,t=1,p=1$"
    assert read_hash().startswith(current_prefix)
    weaker_hash = passwords.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
    accounts.database.write(lambda rows: rows.execute(update(CredentialRow).values(hash=weaker_hash)))
    accounts.sign_in("ada", PASSWORD, CLIENT_ADDRESS)
    assert read_hash().startswith(current_prefix)
    renewed_hash = read_hash()
    accounts.sign_in("ada", PASSWORD, CLIENT_ADDRESS)
    assert read_hash() == renewed_hash


# ---- the identity provider -----------------------------------------------------------------------------------------


def test_accounts_sign_in_external_user(accounts: Accounts, ada: User) -> None:
    user = accounts.sign_in_external("Bob@example.org", CLIENT_ADDRESS)
    assert (user.roles, user.local) == (frozenset(), False)
    accounts.set_roles("bob@example.org", ["analyst"])
    assert accounts.sign_in_external("bob@example.org", CLIENT_ADDRESS).roles == {"analyst"}
    assert [(sign_in.name, sign_in.success) for sign_in in accounts.list_sign_ins()] == [("Bob@example.org", True)]
    age_records(accounts, timedelta(days=1))
    accounts.sign_in_external("bob@example.org", CLIENT_ADDRESS)
    assert len(accounts.list_sign_ins()) == 2
    accounts.set_disabled("bob@example.org", True)
    assert "disabled" in expect_denial(lambda: accounts.sign_in_external("bob@example.org", CLIENT_ADDRESS))
    expect_denial(lambda: accounts.sign_in("bob@example.org", PASSWORD, CLIENT_ADDRESS))


def test_accounts_external_sign_in_creates_one_user(accounts: Accounts) -> None:
    users = run_concurrently(4, lambda _number: accounts.sign_in_external("bob", CLIENT_ADDRESS))
    assert len({user.name for user in users}) == 1  # type: ignore[attr-defined]
    assert len(accounts.list_users()) == len(accounts.list_sign_ins()) == 1


# ---- the tables ----------------------------------------------------------------------------------------------------


def test_accounts_migrations_match_models(accounts: Accounts) -> None:
    accounts.is_empty()

    def compare_tables(rows: DbSession) -> list[Any]:
        return compare_metadata(
            MigrationContext.configure(rows.connection(), opts={"compare_type": True}), Base.metadata
        )

    assert accounts.database.read(compare_tables) == []
    config = Config()
    config.set_main_option("script_location", str(database.MIGRATIONS_FOLDER))
    assert ScriptDirectory.from_config(config).get_heads() == [HEAD]


def test_accounts_hide_secrets_everywhere(
    accounts: Accounts, database_url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    shown_objects: list[object] = [accounts, accounts.database, accounts.add_first_administrator("ada", PASSWORD)]
    token = accounts.sign_in("ada", PASSWORD, CLIENT_ADDRESS)
    session = accounts.find_session(token)
    assert isinstance(session, Session)
    shown_objects += [session, accounts.list_users(), accounts.list_sign_ins()]
    with pytest.raises(AccessDeniedError) as wrong:
        accounts.sign_in("ada", OTHER_PASSWORD, CLIENT_ADDRESS)
    with pytest.raises(OptionError) as taken:
        accounts.add_user("ADA", OTHER_PASSWORD, [])
    with pytest.raises(OptionError) as weak:
        accounts.set_password("ada", "motdepasse1")
    shown_objects += [wrong.value, taken.value, weak.value]
    accounts.change_password("ada", PASSWORD, OTHER_PASSWORD, keep_token=token)
    table_dump = dump_tables(accounts)
    files = b"".join(path.read_bytes() for path in tmp_path.iterdir() if path.name.startswith("accounts.db"))
    assert len(files) > 20_000 or database_url
    hashes = accounts.database.read(lambda rows: rows.scalars(select(CredentialRow.hash)).all())
    for secret in (PASSWORD, OTHER_PASSWORD, token, session.csrf, "motdepasse1"):
        assert secret not in table_dump
        assert secret.encode() not in files
    assert len(hashes) == 1
    for secret in (PASSWORD, OTHER_PASSWORD, token, session.csrf, *hashes, "motdepasse1"):
        assert secret not in caplog.text
        assert secret not in "".join(map(repr, shown_objects)) + "".join(map(str, shown_objects))


def test_accounts_report_database_version(accounts: Accounts, database_url: str) -> None:
    assert accounts.fetch_version().startswith("PostgreSQL 1" if database_url else "SQLite 3.")
