"""Queries and changes of user rows: look-up, insertion, roles, passwords, users of an identity provider."""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session as DbSession

from core.accounts import login_throttling, passwords, usernames
from core.accounts.models import ROLES, User
from core.accounts.orm import CredentialRow, RoleRow, SignInRow, UserRow
from core.errors import OptionError
from core.messages import N_

ADMINISTRATOR = "administrator"
EXTERNAL_SIGN_IN_INTERVAL = timedelta(days=1)  # interval between stored sign-ins through the provider


@dataclass(frozen=True)
class NewUser:
    """A validated user to be added, with a password that is hashed already."""

    name: str
    key: str
    roles: frozenset[str]
    granted_by: str
    hash: str | None = field(repr=False)


def prepare_user(name: str, password: str | None, roles: Collection[str], granted_by: str) -> NewUser:
    """Validate a new user and hash the password.

    Raises OptionError for a name or role that is not accepted, and for a weak password.
    """
    valid_name = usernames.validate_username(name)
    check_roles(roles)
    if password is not None:
        passwords.check_password(password, valid_name)
    hash_ = None if password is None else passwords.hash_password(password)
    return NewUser(valid_name, usernames.fold_name(valid_name), frozenset(roles), granted_by, hash_)


def check_roles(roles: Collection[str]) -> None:
    """Raise OptionError if a role does not exist."""
    for role in roles:
        if role not in ROLES:
            raise OptionError(
                N_("The role {role!r} does not exist. Accepted roles: {accepted}."),
                role=role,
                accepted=", ".join(ROLES),
            )


def insert_user(db: DbSession, user: NewUser) -> UserRow:
    """Insert a user with roles, and with a password if there is a hash."""
    row = UserRow(name=user.name, key=user.key, disabled=False, created=datetime.now(UTC))
    if user.hash is not None:
        set_password_hash(row, user.hash)
    replace_roles(row, user.roles, user.granted_by)
    db.add(row)
    db.flush()
    return row


def find_user(db: DbSession, name: str) -> UserRow | None:
    """Return the user with this name in any spelling, or None."""
    key = usernames.make_lookup_key(name)
    return None if key is None else db.scalar(select(UserRow).where(UserRow.key == key))


def get_user(db: DbSession, name: str) -> UserRow:
    """Return the user with this name. Raises OptionError if there is none."""
    row = find_user(db, name)
    if row is None:
        raise OptionError(N_("No user has this name."))
    return row


def count_users(db: DbSession) -> int:
    """Return the number of users."""
    return db.scalar(select(func.count()).select_from(UserRow)) or 0


def count_administrators(db: DbSession) -> int:
    """Return the number of enabled users with the role administrator."""
    query = select(func.count()).select_from(RoleRow).join(UserRow)
    return db.scalar(query.where(RoleRow.role == ADMINISTRATOR, UserRow.disabled.is_(False))) or 0


def replace_roles(row: UserRow, roles: Collection[str], granted_by: str) -> None:
    """Replace the roles of a user; a role that stays keeps its `granted_by`."""
    remaining = [role_row for role_row in row.roles if role_row.role in roles]
    missing = sorted(set(roles) - {role_row.role for role_row in remaining})
    now = datetime.now(UTC)
    row.roles = remaining + [
        RoleRow(role=role, granted_by=granted_by[: usernames.MAX_NAME_CHARS], granted=now) for role in missing
    ]


def get_password_hash(row: UserRow | None) -> str | None:
    """Return the password hash; None for no user, a disabled user or a user without a password."""
    return None if row is None or row.disabled or row.credential is None else row.credential.hash


def set_password_hash(row: UserRow, hash_: str) -> None:
    """Store the hash of a password if it differs from the current one."""
    if row.credential is None or row.credential.hash != hash_:
        row.credential = row.credential or CredentialRow()
        row.credential.hash, row.credential.changed = hash_, datetime.now(UTC)


def find_recent_external(db: DbSession, identity: str) -> UserRow | None:
    """Return the user if a sign-in through the provider was stored in the last day, so that no write is needed."""
    row = find_user(db, identity)
    return row if row is not None and _has_recent_sign_in(db, row) else None


def _has_recent_sign_in(db: DbSession, row: UserRow) -> bool:
    query = select(func.max(SignInRow.time)).where(SignInRow.user_id == row.id, SignInRow.typed.is_(None))
    latest_time = db.scalar(query)
    return latest_time is not None and latest_time > datetime.now(UTC) - EXTERNAL_SIGN_IN_INTERVAL


def get_or_add_external(db: DbSession, identity: str, address: str) -> UserRow:
    """Return the user of an identity, added if new, and store the sign-in unless one is recent."""
    row = find_user(db, identity) or insert_user(db, prepare_user(identity, None, (), "identity provider"))
    if not row.disabled and not _has_recent_sign_in(db, row):
        login_throttling.record_external_sign_in(db, row, address)
    return row


def to_user(row: UserRow) -> User:
    """Convert a row to a `User`."""
    roles = frozenset(role_row.role for role_row in row.roles)
    return User(row.name, roles, row.credential is not None, row.disabled, row.created)
