"""Queries and changes of user rows: look-up, insertion, roles, passwords, users of an identity provider."""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session as Rows

from core.accounts import login_throttling, passwords, usernames
from core.accounts.models import ROLES, User
from core.accounts.orm import CredentialRow, RoleRow, SignInRow, UserRow
from core.errors import OptionError
from core.messages import N_

ADMINISTRATOR = "administrator"
VOUCHED_EVERY = timedelta(days=1)  # interval between stored sign-ins through the provider


@dataclass(frozen=True)
class New:
    """A validated user to be added, with a password that is hashed already."""

    name: str
    key: str
    roles: frozenset[str]
    by: str
    hash: str | None = field(repr=False)


def new(name: str, password: str | None, roles: Collection[str], by: str) -> New:
    """Validate a new user and hash the password.

    Raises OptionError for a name or role that is not accepted, and for a weak password.
    """
    kept = usernames.accepted(name)
    check_roles(roles)
    if password is not None:
        passwords.check(password, kept)
    hash_ = None if password is None else passwords.hashed(password)
    return New(kept, usernames.folded(kept), frozenset(roles), by, hash_)


def check_roles(roles: Collection[str]) -> None:
    """Raise OptionError if a role does not exist."""
    for role in roles:
        if role not in ROLES:
            raise OptionError(N_("There is no role {role!r}; choose {accepted}."), role=role, accepted=", ".join(ROLES))


def added(rows: Rows, user: New) -> UserRow:
    """Insert a user with roles, and with a password if there is a hash."""
    row = UserRow(name=user.name, key=user.key, disabled=False, created=datetime.now(UTC))
    if user.hash is not None:
        set_hash(row, user.hash)
    grant(row, user.roles, user.by)
    rows.add(row)
    rows.flush()
    return row


def found(rows: Rows, name: str) -> UserRow | None:
    """Return the user with this name in any spelling, or None."""
    key = usernames.key(name)
    return None if key is None else rows.scalar(select(UserRow).where(UserRow.key == key))


def there(rows: Rows, name: str) -> UserRow:
    """Return the user with this name. Raises OptionError if there is none."""
    row = found(rows, name)
    if row is None:
        raise OptionError(N_("There is no user of that name."))
    return row


def count(rows: Rows) -> int:
    """Return the number of users."""
    return rows.scalar(select(func.count()).select_from(UserRow)) or 0


def administrators(rows: Rows) -> int:
    """Return the number of enabled users with the role administrator."""
    active = select(func.count()).select_from(RoleRow).join(UserRow)
    return rows.scalar(active.where(RoleRow.role == ADMINISTRATOR, UserRow.disabled.is_(False))) or 0


def grant(row: UserRow, roles: Collection[str], by: str) -> None:
    """Replace the roles of a user; a role that stays keeps its `granted_by`."""
    kept = [each for each in row.roles if each.role in roles]
    missing = sorted(set(roles) - {each.role for each in kept})
    now = datetime.now(UTC)
    row.roles = kept + [RoleRow(role=role, granted_by=by[: usernames.LONGEST], granted=now) for role in missing]


def hash_of(row: UserRow | None) -> str | None:
    """Return the password hash; None for no user, a disabled user or a user without a password."""
    return None if row is None or row.disabled or row.credential is None else row.credential.hash


def set_hash(row: UserRow, hash_: str) -> None:
    """Store the hash of a password if it differs from the current one."""
    if row.credential is None or row.credential.hash != hash_:
        row.credential = row.credential or CredentialRow()
        row.credential.hash, row.credential.changed = hash_, datetime.now(UTC)


def vouched_lately(rows: Rows, identity: str) -> UserRow | None:
    """Return the user if a sign-in through the provider was stored in the last day, so that no write is needed."""
    row = found(rows, identity)
    return row if row is not None and _noted_lately(rows, row) else None


def _noted_lately(rows: Rows, row: UserRow) -> bool:
    latest = select(func.max(SignInRow.time)).where(SignInRow.user_id == row.id, SignInRow.typed.is_(None))
    noted = rows.scalar(latest)
    return noted is not None and noted > datetime.now(UTC) - VOUCHED_EVERY


def vouched(rows: Rows, identity: str, address: str) -> UserRow:
    """Return the user of an identity, added if new, and store the sign-in unless one is recent."""
    row = found(rows, identity) or added(rows, new(identity, None, (), "identity provider"))
    if not row.disabled and not _noted_lately(rows, row):
        login_throttling.note(rows, row, address)
    return row


def plain(row: UserRow) -> User:
    """Convert a row to a `User`."""
    roles = frozenset(each.role for each in row.roles)
    return User(row.name, roles, row.credential is not None, row.disabled, row.created)
