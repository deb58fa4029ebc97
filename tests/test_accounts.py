"""Accounts on SQLite and on PostgreSQL: users, roles, sign-ins, sessions, and what must never be seen."""

import logging
import statistics
import subprocess
import sys
import threading
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
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, update
from sqlalchemy.orm import Session as Rows

from core.accounts import ROLES, Session, User, database, login_throttling, passwords
from core.accounts.orm import HEAD, Base, CredentialRow, SessionRow, SignInRow
from core.accounts.service import Accounts
from core.errors import AccessDeniedError, OptionError, VigieError
from tests.conftest import ROOT
from tests.databases import (
    OTHER_PASSWORD,
    PASSWORD,
    THIRD_PASSWORD,
    create_database,
    dump_tables,
    open_accounts,
    start_postgres,
)
from tests.servers import Running

HERE = "192.0.2.7"
HOSTILE = [
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


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    with start_postgres() as running:
        yield running


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    if request.param == "sqlite":
        yield ""
        return
    with create_database(request.getfixturevalue("server")) as found:
        yield found


@pytest.fixture
def accounts(url: str, tmp_path: Path) -> Iterator[Accounts]:
    with open_accounts(url, tmp_path) as found:
        yield found


@pytest.fixture
def ada(accounts: Accounts) -> User:
    return accounts.add_add_first_administrator("Ada", PASSWORD)


def refused(work: Callable[[], object]) -> str:
    with pytest.raises(AccessDeniedError) as error:
        work()
    return str(error.value)


def earlier(accounts: Accounts, by: timedelta) -> None:
    """As if everything had happened so long ago."""

    def move(rows: Rows) -> None:
        for row in rows.scalars(select(SignInRow)):
            row.time -= by
        for row in rows.scalars(select(SessionRow)):
            row.created, row.expires = row.created - by, row.expires - by

    accounts.database.write(move)


# ---- users ---------------------------------------------------------------------------------------------------------


def test_users_are_kept_and_found(accounts: Accounts, url: str, tmp_path: Path) -> None:
    assert accounts.is_empty()
    before = datetime.now(UTC)
    ada = accounts.add_add_first_administrator("Ada", PASSWORD)
    bob = accounts.add_user("bob@example.org", None, ["analyst", "operator"], granted_by="Ada")
    assert (ada.name, ada.roles, ada.local, ada.disabled) == ("Ada", {"administrator"}, True, False)
    assert (bob.roles, bob.local) == ({"analyst", "operator"}, False)
    assert before <= ada.created <= bob.created <= datetime.now(UTC)
    assert not accounts.is_empty()
    with open_accounts(url, tmp_path) as again:
        assert again.list_users() == [ada, bob]
        assert again.find_user("ADA") == again.find_user(" ada ") == again.find_user("\uff21da") == ada
        assert again.find_user("nobody") is None


def test_a_name_is_taken_in_every_spelling(accounts: Accounts, ada: User) -> None:
    for spelling in ("Ada", "ADA", " ada", "\uff41\uff44\uff41"):
        with pytest.raises(OptionError, match="taken"):
            accounts.add_user(spelling, None, [])
    assert accounts.list_users() == [ada]


@pytest.mark.parametrize(
    "name",
    ["alice", "Zoé.O'Neil-3", "a", "x" * 100, "bob+vigie@mail.example.org", "auth0|5f7c8ec7c33c", "Élodie", "Ольга"],
)
def test_accepted_names(accounts: Accounts, name: str) -> None:
    assert accounts.add_user(name, None, []).name == name
    assert accounts.find_user(name.upper()) == accounts.find_user(name)


@pytest.mark.parametrize("name", HOSTILE, ids=lambda name: repr(name)[:20])
def test_hostile_names(accounts: Accounts, name: str) -> None:
    with pytest.raises(OptionError, match="name is not accepted"):
        accounts.add_user(name, None, [])
    with pytest.raises(OptionError, match="name is not accepted"):
        accounts.sign_in_external(name)
    assert accounts.find_user(name) is None
    assert accounts.list_sign_ins(name) == []
    assert "wrong" in refused(lambda: accounts.sign_in(name, PASSWORD, HERE))
    assert accounts.is_empty()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.one_of(st.text(max_size=120), st.from_regex(r"[\w'\-@./; ]{1,12}", fullmatch=True)))
def test_any_name_is_kept_or_refused(accounts: Accounts, name: str) -> None:
    with suppress(OptionError):
        made = accounts.add_user(name, None, [])
        assert accounts.find_user(name) == accounts.find_user(made.name) == made
        assert made.name.isprintable()
        assert not set(made.name) & set('/\\\0\n\r\t<>"`;$={}')
        with pytest.raises(OptionError, match="taken"):
            accounts.add_user(made.name.lower(), None, [])
    accounts.list_sign_ins(name)


def test_unknown_roles_and_users(accounts: Accounts, ada: User) -> None:
    with pytest.raises(OptionError, match="The role 'king' does not exist. Accepted roles: analyst, operator, administrator"):
        accounts.add_user("bob", None, ["king"])
    with pytest.raises(OptionError, match="no role"):
        accounts.set_roles("ada", ["root"])
    for change in (
        lambda: accounts.set_roles("bob", ["analyst"]),
        lambda: accounts.set_disabled("bob", True),
        lambda: accounts.set_password("bob", PASSWORD),
        lambda: accounts.sign_out_everywhere("bob"),
    ):
        with pytest.raises(OptionError, match="no user"):
            change()
    assert accounts.list_users() == [ada]


def test_roles_change_and_who_granted_them_is_kept(accounts: Accounts, ada: User) -> None:
    accounts.add_user("bob", None, ["analyst"], granted_by="Ada")
    accounts.set_roles("bob", ROLES, granted_by="Eve")
    accounts.set_roles("bob", ["operator", "analyst"], granted_by="Ada")
    found = accounts.find_user("bob")
    assert found is not None
    assert found.roles == {"operator", "analyst"}
    assert "'analyst', 'Ada'" in dump_tables(accounts)
    assert "'operator', 'Eve'" in dump_tables(accounts)


def test_the_last_administrator_stays(accounts: Accounts, ada: User) -> None:
    token = accounts.sign_in("ada", PASSWORD, HERE)
    for take_away in (lambda: accounts.set_roles("ada", ["analyst"]), lambda: accounts.set_disabled("ada", True)):
        with pytest.raises(OptionError, match="last administrator"):
            take_away()
    assert accounts.find_user("ada") == ada
    assert accounts.find_session(token) is not None, "what was refused has no consequence"
    accounts.add_user("bob", PASSWORD, ["administrator"])
    accounts.set_disabled("ada", True)
    with pytest.raises(OptionError, match="last administrator"):
        accounts.set_roles("bob", [])
    accounts.set_disabled("ada", False)
    accounts.set_roles("bob", [])


# ---- at the same moment --------------------------------------------------------------------------------------------


def together(count: int, work: Callable[[int], object]) -> list[object]:
    """What `count` threads that start at once found, errors included."""
    found: list[object] = []
    start = threading.Barrier(count)

    def run(number: int) -> None:
        start.wait()
        try:
            found.append(work(number))
        except VigieError as error:
            found.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def test_of_two_first_administrators_one_wins(accounts: Accounts) -> None:
    found = together(4, lambda number: accounts.add_add_first_administrator(f"admin{number}", PASSWORD))
    assert sorted(type(each).__name__ for each in found) == ["AccessDeniedError"] * 3 + ["User"]
    assert len(accounts.list_users()) == 1
    assert "already" in refused(lambda: accounts.add_add_first_administrator("late", PASSWORD))


def test_of_two_users_of_one_name_one_is_made(accounts: Accounts) -> None:
    found = together(4, lambda number: accounts.add_user(["bob", "BOB"][number % 2], None, []))
    assert sorted(type(each).__name__ for each in found) == ["OptionError"] * 3 + ["User"]
    assert len(accounts.list_users()) == 1


def test_two_administrators_cannot_take_each_other_away(accounts: Accounts, ada: User) -> None:
    accounts.add_user("bob", None, ["administrator"])
    found = together(2, lambda number: accounts.set_disabled(["ada", "bob"][number], True))
    assert sorted(type(each).__name__ for each in found) == ["NoneType", "OptionError"]


def test_two_processes_start_on_an_empty_database(url: str, tmp_path: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path; from core.accounts.service import "
        "Accounts; from core.errors import AccessDeniedError\n"
        "name, url, folder, at = sys.argv[1:]; accounts = Accounts(url, Path(folder)); "
        "time.sleep(max(0, float(at) - time.time()))\n"
        f"try: sys.stdout.write(accounts.add_first_administrator(name, {PASSWORD!r}).name)\n"
        "except AccessDeniedError: sys.stdout.write('refused')\n"
        "accounts.close()\n"
    )
    at = str(time.time() + 3)
    command = [sys.executable, "-W", "error", "-c", script]
    started = [
        subprocess.Popen(
            [*command, name, url, str(tmp_path), at],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for name in ("ada", "bob", "eve")
    ]
    found = [process.communicate(timeout=60) for process in started]
    assert [error for _said, error in found] == [""] * 3
    names = sorted(said for said, _error in found)
    assert names.count("refused") == 2
    with open_accounts(url, tmp_path) as accounts:
        assert [user.name for user in accounts.list_users()] == [name for name in names if name != "refused"]


# ---- sign-in -------------------------------------------------------------------------------------------------------


def test_sign_in_session_sign_out(accounts: Accounts, ada: User) -> None:
    token, other = accounts.sign_in("ADA", PASSWORD, HERE), accounts.sign_in("ada", PASSWORD, HERE)
    assert token != other
    assert len(token) >= 43, "32 random bytes"
    found = accounts.find_session(token)
    assert found is not None
    assert (found.user, found.expires - found.created) == (ada, timedelta(hours=12))
    assert found.csrf not in (token, accounts.find_session(other).csrf)  # type: ignore[union-attr]
    assert found == accounts.find_session(token)
    accounts.sign_out(token)
    accounts.sign_out(token)
    assert accounts.find_session(token) is None
    assert accounts.find_session(other) is not None
    for nonsense in ("", "x", token[:-1], token + "=", "\ud800", "' OR 1=1", "\x00"):
        assert accounts.find_session(nonsense) is None


def test_one_text_for_everything_that_is_wrong(accounts: Accounts, ada: User) -> None:
    accounts.add_user("bob", PASSWORD, [])
    accounts.set_disabled("bob", True)
    accounts.add_user("eve", None, [])
    tries = [
        ("ada", OTHER_PASSWORD),
        ("ada", ""),
        ("ada", "x" * 100_000),
        ("bob", PASSWORD),
        ("eve", ""),
        ("eve", PASSWORD),
        ("nobody", PASSWORD),
    ]
    texts = {refused(lambda: accounts.sign_in(*each, HERE)) for each in tries}  # noqa: B023 called at once
    assert len(texts) == 1


def test_wrong_names_take_as_long_as_wrong_passwords(accounts: Accounts, ada: User) -> None:
    """An unknown name would be refused ten times sooner, were no password verified for it."""
    accounts.add_user("bob", PASSWORD, [])
    accounts.add_user("eve", None, [])
    names = {"known": ["ada", "bob"], "unknown": ["nobody", "noone"], "provider": ["eve", "eve"]}
    seconds: dict[str, list[float]] = {kind: [] for kind in names}
    for number in range(8):
        for kind, of_kind in names.items():
            if kind == "provider" and number >= 4:
                continue
            began = time.perf_counter()
            refused(lambda: accounts.sign_in(of_kind[number % 2], OTHER_PASSWORD, ""))  # noqa: B023 called at once
            seconds[kind].append(time.perf_counter() - began)
    medians = {kind: statistics.median(found) for kind, found in seconds.items()}
    assert 0.5 < medians["unknown"] / medians["known"] < 2, medians
    assert 0.5 < medians["provider"] / medians["known"] < 2, medians


@pytest.mark.parametrize("name", ["ada", "nobody"])
def test_a_name_is_locked_after_five_failures(accounts: Accounts, ada: User, name: str) -> None:
    for number in range(5):
        assert "wrong" in refused(lambda: accounts.sign_in(name.upper(), OTHER_PASSWORD, f"192.0.2.{number}"))  # noqa: B023
    assert refused(lambda: accounts.sign_in(name, PASSWORD, HERE)) == "Too many attempts. Try again in 15 min."
    earlier(accounts, timedelta(minutes=10, seconds=5))
    assert refused(lambda: accounts.sign_in(name, PASSWORD, HERE)) == "Too many attempts. Try again in 5 min."
    assert len(accounts.list_sign_ins()) == 5, (
        "what was locked out was no attempt: the lock ends however often somebody tries"
    )
    earlier(accounts, timedelta(minutes=5))
    if name == "ada":
        assert accounts.find_session(accounts.sign_in(name, PASSWORD, HERE)) is not None
    else:
        assert "wrong" in refused(lambda: accounts.sign_in(name, PASSWORD, HERE))


def test_a_success_clears_the_count_of_the_name(accounts: Accounts, ada: User) -> None:
    for _round in range(2):
        for _number in range(4):
            refused(lambda: accounts.sign_in("ada", OTHER_PASSWORD, HERE))
        accounts.sign_in("ada", PASSWORD, HERE)


def test_others_are_not_locked_out_with_a_name(accounts: Accounts, ada: User) -> None:
    for _number in range(5):
        refused(lambda: accounts.sign_in("bob", OTHER_PASSWORD, HERE))
    assert accounts.find_session(accounts.sign_in("ada", PASSWORD, HERE)) is not None


@pytest.mark.parametrize(
    ("addresses", "elsewhere"),
    [
        ([HERE] * 30, "192.0.2.8"),
        ([f"2001:db8:1:2:{number:x}::9" for number in range(30)], "2001:db8:1:3::1"),
        (["::ffff:192.0.2.7"] * 30, "192.0.2.8"),
    ],
    ids=["IPv4", "a network of IPv6", "IPv4 as IPv6"],
)
def test_an_address_is_locked_after_thirty_failures(
    accounts: Accounts, ada: User, addresses: list[str], elsewhere: str
) -> None:
    for number, address in enumerate(addresses):  # the attempt alone, without the slow hash
        accounts.database.write(lambda rows: login_throttling.record_attempt(rows, f"user{number}", address).id)  # noqa: B023
    for locked in {addresses[0], HERE if "." in addresses[0] else addresses[1]}:
        assert "Too many attempts" in refused(lambda: accounts.sign_in("ada", PASSWORD, locked))  # noqa: B023
    assert accounts.sign_in("ada", PASSWORD, elsewhere)
    assert accounts.sign_in("ada", PASSWORD, "")


def test_attempts_at_the_same_moment_are_counted(accounts: Accounts, ada: User) -> None:
    found = together(12, lambda _number: accounts.sign_in("ada", OTHER_PASSWORD, HERE))
    locked = [each for each in found if "Too many" in str(each)]
    assert len(locked) == 7
    assert len(accounts.list_sign_ins()) == 5


def test_sign_ins_are_listed(accounts: Accounts, ada: User) -> None:
    accounts.sign_in("ada", PASSWORD, "2001:db8::1")
    refused(lambda: accounts.sign_in("ada", OTHER_PASSWORD, HERE))
    refused(lambda: accounts.sign_in("nobody", OTHER_PASSWORD, "<evil>\n" + "x" * 200))
    found = accounts.list_sign_ins()
    assert [(each.name, each.success, each.address) for each in found] == [
        (None, False, "<evil>" + "x" * 57),
        ("Ada", False, HERE),
        ("Ada", True, "2001:db8::1"),
    ]
    assert accounts.list_sign_ins("ADA") == found[1:]
    assert accounts.list_sign_ins(limit=1) == found[:1]
    assert accounts.list_sign_ins("nobody") == accounts.list_sign_ins(limit=-1) == []
    assert all(abs(datetime.now(UTC) - each.time) < timedelta(minutes=1) for each in found)


def test_what_is_old_is_removed_at_the_next_sign_in(accounts: Accounts, ada: User) -> None:
    old = accounts.sign_in("ada", PASSWORD, HERE)
    refused(lambda: accounts.sign_in("my-password-by-mistake", OTHER_PASSWORD, HERE))
    typed = login_throttling.hash_name("my-password-by-mistake")
    assert typed in dump_tables(accounts)
    earlier(accounts, timedelta(days=1))
    accounts.sign_in("ada", PASSWORD, HERE)
    assert typed not in dump_tables(accounts), "the name of nobody is not kept, not even as a hash"
    assert accounts.database.read(lambda rows: len(rows.scalars(select(SessionRow)).all())) == 1
    assert accounts.find_session(old) is None
    assert len(accounts.list_sign_ins()) == 3
    earlier(accounts, timedelta(days=179, hours=12))
    accounts.sign_in("ada", PASSWORD, HERE)
    assert len(accounts.list_sign_ins()) == 2


# ---- sessions ------------------------------------------------------------------------------------------------------


def test_a_session_expires(accounts: Accounts, ada: User) -> None:
    token = accounts.sign_in("ada", PASSWORD, HERE)
    earlier(accounts, timedelta(hours=11, minutes=59))
    assert accounts.find_session(token) is not None
    earlier(accounts, timedelta(minutes=1))
    assert accounts.find_session(token) is None


def test_sign_out_everywhere(accounts: Accounts, ada: User) -> None:
    accounts.add_user("bob", PASSWORD, [])
    tokens = [accounts.sign_in("ada", PASSWORD, HERE) for _each in range(2)]
    of_bob = accounts.sign_in("bob", PASSWORD, HERE)
    accounts.sign_out_everywhere("ADA")
    assert [accounts.find_session(token) for token in tokens] == [None, None]
    assert accounts.find_session(of_bob) is not None


def test_disabling_ends_sessions(accounts: Accounts, ada: User) -> None:
    accounts.add_user("bob", PASSWORD, ["analyst"])
    token = accounts.sign_in("bob", PASSWORD, HERE)
    accounts.set_disabled("bob", True)
    assert accounts.find_session(token) is None
    accounts.set_disabled("bob", False)
    assert accounts.find_session(token) is None


def test_roles_count_at_once(accounts: Accounts, ada: User) -> None:
    accounts.add_user("bob", PASSWORD, ["analyst"])
    token = accounts.sign_in("bob", PASSWORD, HERE)
    accounts.set_roles("bob", ["operator"])
    assert accounts.find_session(token).user.roles == {"operator"}  # type: ignore[union-attr]


# ---- passwords -----------------------------------------------------------------------------------------------------


def test_an_administrator_sets_a_password(accounts: Accounts, ada: User) -> None:
    accounts.add_user("bob", None, [])
    accounts.set_password("bob", PASSWORD)
    token = accounts.sign_in("bob", PASSWORD, HERE)
    with pytest.raises(OptionError, match="too easy"):
        accounts.set_password("bob", "0123456789")
    assert accounts.find_session(token) is not None
    accounts.set_password("BOB", OTHER_PASSWORD)
    assert accounts.find_session(token) is None
    refused(lambda: accounts.sign_in("bob", PASSWORD, HERE))
    assert accounts.sign_in("bob", OTHER_PASSWORD, HERE)
    assert accounts.find_user("bob").local  # type: ignore[union-attr]


def test_a_user_changes_the_password(accounts: Accounts, ada: User) -> None:
    here, elsewhere = accounts.sign_in("ada", PASSWORD, HERE), accounts.sign_in("ada", PASSWORD, HERE)
    with pytest.raises(OptionError, match="too easy"):
        accounts.change_password("ada", PASSWORD, "azertyuiop")
    assert "wrong" in refused(lambda: accounts.change_password("ada", OTHER_PASSWORD, THIRD_PASSWORD))
    accounts.change_password("ada", PASSWORD, OTHER_PASSWORD, keep_token=here)
    assert accounts.find_session(here) is not None
    assert accounts.find_session(elsewhere) is None
    assert [each.success for each in accounts.list_sign_ins()] == [False, True, True]
    for _number in range(4):
        refused(lambda: accounts.change_password("ada", PASSWORD, THIRD_PASSWORD))
    assert "Too many attempts" in refused(lambda: accounts.change_password("ada", OTHER_PASSWORD, THIRD_PASSWORD))
    assert "Too many attempts" in refused(lambda: accounts.sign_in("ada", OTHER_PASSWORD, HERE))


def test_a_password_changed_in_the_meantime_opens_nothing(
    accounts: Accounts, ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    verified = passwords.verify_password

    def meanwhile(kept: str | None, password: str) -> bool:
        monkeypatch.undo()
        accounts.set_password("ada", OTHER_PASSWORD)
        return verified(kept, password)

    monkeypatch.setattr(passwords, "verify_password", meanwhile)
    assert "wrong" in refused(lambda: accounts.sign_in("ada", PASSWORD, HERE))
    assert accounts.database.read(lambda rows: rows.scalars(select(SessionRow)).all()) == []


def test_hashes_are_argon2id_and_renewed(accounts: Accounts, ada: User) -> None:
    def kept() -> str:
        return accounts.database.read(lambda rows: rows.scalar(select(CredentialRow.hash))) or ""

    today = "$argon2id$v=19$m=47104,t=1,p=1$"
    assert kept().startswith(today)
    weaker = passwords.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
    accounts.database.write(lambda rows: rows.execute(update(CredentialRow).values(hash=weaker)))
    accounts.sign_in("ada", PASSWORD, HERE)
    assert kept().startswith(today)
    unchanged = kept()
    accounts.sign_in("ada", PASSWORD, HERE)
    assert kept() == unchanged


# ---- the identity provider -----------------------------------------------------------------------------------------


def test_the_provider_vouches_for_users(accounts: Accounts, ada: User) -> None:
    made = accounts.sign_in_external("Bob@example.org", HERE)
    assert (made.roles, made.local) == (frozenset(), False)
    accounts.set_roles("bob@example.org", ["analyst"])
    assert accounts.sign_in_external("bob@example.org", HERE).roles == {"analyst"}
    assert [(each.name, each.success) for each in accounts.list_sign_ins()] == [("Bob@example.org", True)]
    earlier(accounts, timedelta(days=1))
    accounts.sign_in_external("bob@example.org", HERE)
    assert len(accounts.list_sign_ins()) == 2
    accounts.set_disabled("bob@example.org", True)
    assert "disabled" in refused(lambda: accounts.sign_in_external("bob@example.org", HERE))
    refused(lambda: accounts.sign_in("bob@example.org", PASSWORD, HERE))


def test_somebody_new_is_made_once(accounts: Accounts) -> None:
    found = together(4, lambda _number: accounts.sign_in_external("bob", HERE))
    assert len({each.name for each in found}) == 1  # type: ignore[attr-defined]
    assert len(accounts.list_users()) == len(accounts.list_sign_ins()) == 1


# ---- the tables ----------------------------------------------------------------------------------------------------


def test_migrations_make_the_tables_of_the_models(accounts: Accounts) -> None:
    accounts.is_empty()

    def differences(rows: Rows) -> list[Any]:
        return compare_metadata(
            MigrationContext.configure(rows.connection(), opts={"compare_type": True}), Base.metadata
        )

    assert accounts.database.read(differences) == []
    config = Config()
    config.set_main_option("script_location", str(database.MIGRATIONS_FOLDER))
    assert ScriptDirectory.from_config(config).get_heads() == [HEAD]


def test_nothing_secret_is_kept_shown_or_logged(
    accounts: Accounts, url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    shown: list[object] = [accounts, accounts.database, accounts.add_add_first_administrator("ada", PASSWORD)]
    token = accounts.sign_in("ada", PASSWORD, HERE)
    session = accounts.find_session(token)
    assert isinstance(session, Session)
    shown += [session, accounts.list_users(), accounts.list_sign_ins()]
    with pytest.raises(AccessDeniedError) as wrong:
        accounts.sign_in("ada", OTHER_PASSWORD, HERE)
    with pytest.raises(OptionError) as taken:
        accounts.add_user("ADA", OTHER_PASSWORD, [])
    with pytest.raises(OptionError) as weak:
        accounts.set_password("ada", "motdepasse1")
    shown += [wrong.value, taken.value, weak.value]
    accounts.change_password("ada", PASSWORD, OTHER_PASSWORD, keep_token=token)
    held = dump_tables(accounts)
    files = b"".join(path.read_bytes() for path in tmp_path.iterdir() if path.name.startswith("accounts.db"))
    assert len(files) > 20_000 or url
    hashes = accounts.database.read(lambda rows: rows.scalars(select(CredentialRow.hash)).all())
    for secret in (PASSWORD, OTHER_PASSWORD, token, session.csrf, "motdepasse1"):
        assert secret not in held
        assert secret.encode() not in files
    assert len(hashes) == 1
    for secret in (PASSWORD, OTHER_PASSWORD, token, session.csrf, *hashes, "motdepasse1"):
        assert secret not in caplog.text
        assert secret not in "".join(map(repr, shown)) + "".join(map(str, shown))


def test_the_version_of_the_database(accounts: Accounts, url: str) -> None:
    assert accounts.fetch_version().startswith("PostgreSQL 1" if url else "SQLite 3.")
