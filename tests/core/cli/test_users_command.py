"""The command `python -m core users`, run in a process."""

import json
import os
import pty
import select
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from core.accounts.service import Accounts
from core.settings import ROOT
from tests.conftest import Command, find_free_port
from tests.support.commands import assert_one_line_error, read_json_output, run_vigie
from tests.support.databases import OTHER_PASSWORD, PASSWORD, open_accounts


@pytest.fixture
def users(tmp_path: Path) -> Command:
    """Runner of `python -m core users …` in a separate data folder."""
    return partial(run_vigie, tmp_path, "users", DATABASE_URL="", VIGIE_USER_KEY="a key of the tests")


def test_users_command_covers_life_of_account(users: Command, tmp_path: Path) -> None:
    assert users("list").stdout == "there is no account yet\n"
    created = read_json_output(
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
    assert (created["name"], created["roles"], created["local"], created["disabled"]) == (
        "Ada",
        ["administrator", "analyst"],
        True,
        False,
    )
    assert "provider" in users("add", "bob@example.org", "--provider").stdout
    assert "operator" in users("roles", "BOB@example.org", "operator").stdout
    assert read_json_output(users("disable", "bob@example.org", "--json"))["disabled"] is True
    assert read_json_output(users("enable", "bob@example.org", "--json"))["disabled"] is False
    with open_accounts("", tmp_path) as accounts:
        accounts.sign_in("ada", PASSWORD, "192.0.2.7")
    assert "password" in users("password", "ada", "--password-stdin", piped=OTHER_PASSWORD).stdout
    with open_accounts("", tmp_path) as accounts:
        assert accounts.sign_in("ada", OTHER_PASSWORD, "192.0.2.8")
    sign_ins = read_json_output(users("sign-ins", "ada", "--json"))["sign_ins"]
    assert [(entry["name"], entry["success"], entry["address"]) for entry in sign_ins] == [
        ("Ada", True, "192.0.2.8"),
        ("Ada", True, "192.0.2.7"),
    ]
    assert len(users("sign-ins", "--limit", "1").stdout.splitlines()) == 1
    all_users = read_json_output(users("list", "--json"))["users"]
    assert [(entry["name"], entry["roles"], entry["local"]) for entry in all_users] == [
        ("Ada", ["administrator", "analyst"], True),
        ("bob@example.org", ["operator"], False),
    ]
    _assert_events_hold_no_private_data(tmp_path)


def _assert_events_hold_no_private_data(folder: Path) -> None:
    text = "".join(path.read_text() for path in (folder / "events").iterdir())
    changes = [json.loads(line)["details"]["inputs"]["change"] for line in text.splitlines()]
    assert changes == ["added", "added", "roles", "disabled", "enabled", "password"]
    for private in ("ada", "bob", PASSWORD.lower(), OTHER_PASSWORD.lower(), "argon2"):
        assert private not in text.lower()


def test_users_command_rejects_invalid_input(users: Command, tmp_path: Path) -> None:
    assert_one_line_error(
        users("add", "Ada", "--password-stdin", piped="0123456789\n"),
        2,
        "It consists mostly of consecutive letters or digits, such as",
    )
    assert_one_line_error(users("add", "Ada", "--password-stdin"), 2, "has 0 characters")
    assert_one_line_error(
        users("add", "Ada", "--provider", "--role", "king"),
        2,
        "The role 'king' does not exist. Accepted roles: analyst, operator, administrator",
    )
    assert_one_line_error(users("add", "../Ada", "--provider"), 2, "name is not accepted")
    assert users("add", "Ada", "--provider", "--role", "administrator").returncode == 0
    assert_one_line_error(users("add", "ADA", "--provider"), 2, "taken")
    assert_one_line_error(users("disable", "ada"), 2, "last administrator")
    assert_one_line_error(users("roles", "nobody", "analyst"), 2, "No user has this name")


def test_users_command_reports_unreachable_database(users: Command) -> None:
    dead_url = f"postgresql://vigie:hunter2@127.0.0.1:{find_free_port()}/vigie"
    process = users("list", DATABASE_URL=dead_url)
    assert process.returncode == 1
    assert process.stderr.splitlines()[-1].startswith("PostgreSQL does not answer (connection failed")
    assert "hunter2" not in process.stderr + process.stdout
    assert_one_line_error(users("list", DATABASE_URL="mysql://vigie:hunter2@host/x"), 2, "DATABASE_URL is not valid")


def test_users_command_asks_password_twice_without_echo(tmp_path: Path) -> None:
    screen, terminal = pty.openpty()
    environment = os.environ | {"VIGIE_DATA_DIR": str(tmp_path), "DATABASE_URL": ""}
    command = [sys.executable, "-m", "core", "users", "add", "Ada", "--role", "administrator"]
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdin=terminal, stdout=terminal, stderr=terminal, start_new_session=True
    )
    os.close(terminal)
    output = _read_until(screen, "Password: ")
    os.write(screen, f"{PASSWORD}\n".encode())
    output += _read_until(screen, "Again: ")
    os.write(screen, f"{PASSWORD}\n".encode())
    output += _read_until(screen, "since ")
    assert process.wait(60) == 0
    os.close(screen)
    assert PASSWORD not in output
    with open_accounts("", tmp_path) as accounts:
        assert isinstance(accounts, Accounts)
        assert accounts.sign_in("ada", PASSWORD, "192.0.2.7")


def _read_until(screen: int, words: str, timeout_s: float = 60) -> str:
    """Return the output of a terminal up to `words`.

    The prompt discards input that arrives before the blank after its question.
    """
    output, deadline = "", time.monotonic() + timeout_s
    while words not in output:
        assert select.select([screen], [], [], max(0.0, deadline - time.monotonic()))[0], output
        output += os.read(screen, 4096).decode()
    return output


def test_users_command_rejects_password_as_argument(users: Command) -> None:
    for command in ("add", "password"):
        assert users(command, "ada", "--password", PASSWORD).returncode == 2
        assert users(command, "ada", PASSWORD).returncode == 2
