"""The commands `python -m core users`: accounts and roles.

A password comes from a prompt or standard input, never from an argument.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Annotated, Any

import typer

from core.accounts import ROLES, SignIn, User
from core.cli.options import command_actor, exit_on_error
from core.cli.output import print_json
from core.runs.tracked_run import record_event
from core.workspace import get_workspace

users = typer.Typer(no_args_is_help=True, help="Accounts: add, list, roles, disable, enable, password, sign-ins.")
Name = Annotated[str, typer.Argument(metavar="NAME", help="User name or e-mail address.")]
FromStandardInput = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password from one line of standard input.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


@users.command()
def add(
    name: Name,
    role: Annotated[list[str], typer.Option(help=f"{', '.join(ROLES)}. Repeat the option for several roles.")] = [],  # noqa: B006
    provider: Annotated[
        bool, typer.Option("--provider", help="User of the identity provider, without a password.")
    ] = False,
    password_stdin: FromStandardInput = False,
    as_json: AsJson = False,
) -> None:
    """Add an account; a prompt asks twice for the password."""
    password = None if provider else _ask_password(password_stdin)
    with _record_change("added", name) as actor:
        _print_user(get_workspace().accounts.add_user(name, password, role, granted_by=actor), as_json)


@users.command("list")
def list_users(as_json: AsJson = False) -> None:
    """List all accounts."""
    with exit_on_error():
        accounts = get_workspace().accounts.list_users()
    if as_json:
        print_json({"users": [_user_to_json(user) for user in accounts]})
        return
    for user in accounts:
        typer.echo(_format_user(user))
    if not accounts:
        typer.echo("there is no account yet")


@users.command()
def roles(
    name: Name,
    role: Annotated[
        list[str], typer.Argument(metavar="ROLE...", help=f"{', '.join(ROLES)}. They replace the current roles.")
    ],
    as_json: AsJson = False,
) -> None:
    """Replace the roles of an account."""
    with _record_change("roles", name) as actor:
        get_workspace().accounts.set_roles(name, role, granted_by=actor)
        _print_user(get_workspace().accounts.find_user(name), as_json)


@users.command()
def disable(name: Name, as_json: AsJson = False) -> None:
    """Disable an account and end its sessions at once."""
    _set_disabled(name, True, as_json)


@users.command()
def enable(name: Name, as_json: AsJson = False) -> None:
    """Enable a disabled account."""
    _set_disabled(name, False, as_json)


def _set_disabled(name: str, disabled: bool, as_json: bool) -> None:
    with _record_change("disabled" if disabled else "enabled", name):
        get_workspace().accounts.set_disabled(name, disabled)
        _print_user(get_workspace().accounts.find_user(name), as_json)


@users.command()
def password(name: Name, password_stdin: FromStandardInput = False, as_json: AsJson = False) -> None:
    """Set another password for an account and end its sessions at once."""
    new_password = _ask_password(password_stdin)
    with _record_change("password", name):
        get_workspace().accounts.set_password(name, new_password)
        _print_user(get_workspace().accounts.find_user(name), as_json)


@users.command("sign-ins")
def sign_ins(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="Only attempts of this account.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Maximum number of attempts.")] = 100,
    as_json: AsJson = False,
) -> None:
    """List the latest attempts to sign in, newest first."""
    with exit_on_error():
        attempts = get_workspace().accounts.list_sign_ins(name, limit)
    if as_json:
        print_json({"sign_ins": [_sign_in_to_json(sign_in) for sign_in in attempts]})
        return
    for attempt in attempts:
        typer.echo(
            f"{_format_time(attempt.time)}  {'signed in' if attempt.success else 'rejected':9}  "
            f"{attempt.name or '(nobody)':40}  {attempt.address}"
        )


@contextmanager
def _record_change(change: str, name: str) -> Iterator[str]:
    """Record a change of an account as one event; yield the name of the acting user."""
    actor, workspace = command_actor("users"), get_workspace()
    with (
        exit_on_error(),
        record_event("account_change", actor, workspace, change=change, account=workspace.pseudonymise(name)),
    ):
        yield actor.user


def _ask_password(from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    return str(typer.prompt("Password", hide_input=True, confirmation_prompt="Again", err=True))


def _print_user(user: User | None, as_json: bool) -> None:
    if user is not None:
        print_json(_user_to_json(user)) if as_json else typer.echo(_format_user(user))


def _user_to_json(user: User) -> dict[str, Any]:
    return {
        "name": user.name,
        "roles": sorted(user.roles),
        "local": user.local,
        "disabled": user.disabled,
        "created": _format_time(user.created),
    }


def _format_user(user: User) -> str:
    state = "disabled" if user.disabled else "password" if user.local else "provider"
    return f"{user.name:40}  {', '.join(sorted(user.roles)) or '-':35}  {state:8}  since {_format_time(user.created)}"


def _sign_in_to_json(sign_in: SignIn) -> dict[str, Any]:
    return {
        "name": sign_in.name,
        "time": _format_time(sign_in.time),
        "success": sign_in.success,
        "address": sign_in.address,
    }


def _format_time(time: datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")
