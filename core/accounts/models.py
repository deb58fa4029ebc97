"""Accounts as plain data: what pages and commands see of them."""

from dataclasses import dataclass, field
from datetime import datetime

ROLES = ("analyst", "operator", "administrator")


@dataclass(frozen=True)
class User:
    """Somebody with an account. Times are UTC."""

    name: str
    roles: frozenset[str]
    local: bool  # has a password here; else signs in through the identity provider only
    disabled: bool
    created: datetime


@dataclass(frozen=True)
class Session:
    """A sign-in that goes on until `expires`."""

    user: User
    created: datetime
    expires: datetime
    csrf: str = field(repr=False)  # derived from the token: a hidden field of the session's forms


@dataclass(frozen=True)
class SignIn:
    """An attempt to sign in. `name` is None where nobody has the name that was typed, which is not kept."""

    name: str | None
    time: datetime
    success: bool
    address: str
