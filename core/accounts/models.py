"""Plain data of accounts for pages and commands."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

ROLES = ("analyst", "operator", "administrator")
DEVICE_LIFETIME = timedelta(days=180)  # since the last sign-in with a device


@dataclass(frozen=True)
class User:
    """A user with an account. Times are UTC."""

    name: str
    roles: frozenset[str]
    local: bool  # True with a password stored here; False for sign-in through the identity provider only
    disabled: bool
    created: datetime


@dataclass(frozen=True)
class Session:
    """A session of a signed-in user, valid until `expires`."""

    user: User
    created: datetime
    expires: datetime
    csrf: str = field(repr=False)  # derived from the token; a hidden field in the forms of the session


@dataclass(frozen=True)
class SignIn:
    """An attempt to sign in. `name` is None if no user has the typed name, which is not stored."""

    name: str | None
    time: datetime
    success: bool
    address: str
