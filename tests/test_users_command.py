"""The command `python -m core users`, run in a process."""

import json
import os
import pty
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest

from core.accounts.service import Accounts
from tests.conftest import ROOT, Command, free_port
from tests.databases import OTHER, PASSWORD, opened
from tests.test_models_command import answer, one_line


@pytest.fixture
def users(tmp_path: Path) -> Command:
    """Function that runs `python -m core users …` in a separate data folder; `piped` is the standard input."""
    environment = os.environ | {
        "VIGIE_DATA_DIR": str(tmp_path),
        "DATABASE_URL": "",
        "VIGIE_USER_KEY": "a key of the tests",
    }

    def run(*arguments: str, piped: str = "", **settings: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "core", "users", *arguments]
        return subprocess.run(
            command,
            cwd=ROOT,
            env=environment | settings,
            input=piped,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return run


def test_from_the_first_administrator_to_the_last_sign_in(users: Command, tmp_path: Path) -> None:
    assert users("list").stdout == "nobody has an account yet\n"
    made = answer(
        users(
            "add",
            "Ada",
            "--role",
            "administrator",
            "--role",
            "analyst",
            "--password-stdin",
            "--json",
            piped=f"{PASSWORD}\n",
        )
    )
    assert (made["name"], made["roles"], made["local"], made["disabled"]) == (
        "Ada",
        ["administrator", "analyst"],
        True,
        False,
    )
    assert "provider" in users("add", "bob@example.org", "--provider").stdout
    assert "operator" in users("roles", "BOB@example.org", "operator").stdout
    assert answer(users("disable", "bob@example.org", "--json"))["disabled"] is True
    assert answer(users("enable", "bob@example.org", "--json"))["disabled"] is False
    with opened("", tmp_path) as accounts:
        accounts.sign_in("ada", PASSWORD, "192.0.2.7")
    assert "password" in users("password", "ada", "--password-stdin", piped=OTHER).stdout
    with opened("", tmp_path) as accounts:
        assert accounts.sign_in("ada", OTHER, "192.0.2.8")
    found = answer(users("sign-ins", "ada", "--json"))["sign_ins"]
    assert [(each["name"], each["success"], each["address"]) for each in found] == [
        ("Ada", True, "192.0.2.8"),
        ("Ada", True, "192.0.2.7"),
    ]
    assert len(users("sign-ins", "--limit", "1").stdout.splitlines()) == 1
    everybody = answer(users("list", "--json"))["users"]
    assert [(each["name"], each["roles"], each["local"]) for each in everybody] == [
        ("Ada", ["administrator", "analyst"], True),
        ("bob@example.org", ["operator"], False),
    ]
    _nothing_private_in_the_events(tmp_path)


def _nothing_private_in_the_events(folder: Path) -> None:
    text = "".join(path.read_text() for path in (folder / "events").iterdir())
    changes = [json.loads(line)["details"]["inputs"]["change"] for line in text.splitlines()]
    assert changes == ["added", "added", "roles", "disabled", "enabled", "password"]
    for private in ("ada", "bob", PASSWORD.lower(), OTHER.lower(), "argon2"):
        assert private not in text.lower()


def test_what_is_refused(users: Command, tmp_path: Path) -> None:
    one_line(users("add", "Ada", "--password-stdin", piped="0123456789\n"), 2, "run of letters or digits")
    one_line(users("add", "Ada", "--password-stdin"), 2, "has 0 characters")
    one_line(users("add", "Ada", "--provider", "--role", "king"), 2, "choose analyst, operator, administrator")
    one_line(users("add", "../Ada", "--provider"), 2, "name is not accepted")
    assert users("add", "Ada", "--provider", "--role", "administrator").returncode == 0
    one_line(users("add", "ADA", "--provider"), 2, "taken")
    one_line(users("disable", "ada"), 2, "last administrator")
    one_line(users("roles", "nobody", "analyst"), 2, "no user")


def test_a_database_that_does_not_answer(users: Command) -> None:
    nowhere = f"postgresql://vigie:hunter2@127.0.0.1:{free_port()}/vigie"
    ran = users("list", DATABASE_URL=nowhere)
    assert ran.returncode == 1
    assert ran.stderr.splitlines()[-1].startswith("PostgreSQL does not answer (connection failed")
    assert "hunter2" not in ran.stderr + ran.stdout
    one_line(users("list", DATABASE_URL="mysql://vigie:hunter2@host/x"), 2, "DATABASE_URL is not accepted")


def test_the_password_is_asked_for_twice_and_not_shown(tmp_path: Path) -> None:
    screen, terminal = pty.openpty()
    environment = os.environ | {"VIGIE_DATA_DIR": str(tmp_path), "DATABASE_URL": ""}
    command = [sys.executable, "-m", "core", "users", "add", "Ada", "--role", "administrator"]
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdin=terminal, stdout=terminal, stderr=terminal, start_new_session=True
    )
    os.close(terminal)
    seen = _until(screen, "Password: ")
    os.write(screen, f"{PASSWORD}\n".encode())
    seen += _until(screen, "Again: ")
    os.write(screen, f"{PASSWORD}\n".encode())
    seen += _until(screen, "since ")
    assert process.wait(60) == 0
    os.close(screen)
    assert PASSWORD not in seen
    with opened("", tmp_path) as accounts:
        assert isinstance(accounts, Accounts)
        assert accounts.sign_in("ada", PASSWORD, "192.0.2.7")


def _until(screen: int, words: str, seconds: float = 60) -> str:
    """Return the output of a terminal up to `words`.

    The prompt discards input that arrives before the blank after its question.
    """
    seen, until = "", time.monotonic() + seconds
    while words not in seen:
        assert select.select([screen], [], [], max(0.0, until - time.monotonic()))[0], seen
        seen += os.read(screen, 4096).decode()
    return seen


def test_no_password_is_ever_an_argument(users: Command) -> None:
    for command in ("add", "password"):
        assert users(command, "ada", "--password", PASSWORD).returncode == 2
        assert users(command, "ada", PASSWORD).returncode == 2
