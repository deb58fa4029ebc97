"""The service of accounts: users, roles, sign-ins and sessions."""

from collections.abc import Callable, Collection
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session as Rows

from core.accounts import login_throttling, passwords, sessions, usernames, users
from core.accounts.database import open_database
from core.accounts.models import Session, SignIn, User
from core.accounts.orm import SessionRow, SignInRow, UserRow
from core.accounts.session_cache import Remembered
from core.errors import AccessDeniedError, OptionError, ServiceUnavailableError
from core.messages import N_

WRONG = N_("The name or the password is wrong, or the account is disabled.")
TAKEN = N_("This name is taken.")
NOT_FIRST = N_("There is an administrator already; ask for an account.")
LONGEST_LIST = 10_000


class Accounts:
    """Accounts in the database at `url`; "" for the SQLite file `folder`/accounts.db.

    The first call creates the tables. Error messages contain no user name, because errors are logged and names must
    not be. Every method raises ServiceUnavailableError in less than 2 s if the database does not answer; only
    `session` answers from a cache for 15 minutes.
    """

    def __init__(self, url: str, folder: Path) -> None:
        self.database = open_database(url, folder)
        self._remembered = Remembered()

    # ---- users --------------------------------------------------------------------------------------------------

    def empty(self) -> bool:
        """Tell whether there is no account yet."""
        return self.database.read(lambda rows: users.count(rows) == 0)

    def users(self) -> list[User]:
        """Return all users, sorted by name."""
        everybody = select(UserRow).order_by(UserRow.key)
        return self.database.read(lambda rows: [users.plain(row) for row in rows.scalars(everybody)])

    def user(self, name: str) -> User | None:
        """Return the user with this name in any spelling, or None."""
        return self.database.read(lambda rows: _plain(users.found(rows, name)))

    def add_user(self, name: str, password: str | None, roles: Collection[str], by: str = "") -> User:
        """Add a user and return it; without a password, the user signs in through the identity provider only.

        `by` is the name of the user who grants the roles; it is stored with them.

        Raises OptionError for a name that is taken or not accepted, an unknown role, or a weak password.
        """
        if self.user(name) is not None:  # before a password is hashed
            raise OptionError(TAKEN)
        new = users.new(name, password, roles, by)
        try:
            return self.database.write(lambda rows: users.plain(users.added(rows, new)))
        except IntegrityError as error:
            raise OptionError(TAKEN) from error

    def first_administrator(self, name: str, password: str) -> User:
        """Add the first user, with the role administrator, and return it.

        Raises AccessDeniedError if there is a user already, and OptionError as `add_user` does.
        """
        if not self.empty():
            raise AccessDeniedError(NOT_FIRST)
        new = users.new(name, password, (users.ADMINISTRATOR,), name)

        def added(rows: Rows) -> User:
            if users.count(rows):
                raise AccessDeniedError(NOT_FIRST)
            return users.plain(users.added(rows, new))

        return self.database.write(added)

    def set_roles(self, name: str, roles: Collection[str], by: str = "") -> None:
        """Replace the roles of a user.

        Raises OptionError for an unknown user or role, and if no administrator would remain.
        """
        users.check_roles(roles)
        self._change(name, lambda _rows, row: users.grant(row, roles, by))

    def set_disabled(self, name: str, disabled: bool) -> None:
        """Disable or enable an account and end its sessions. Raises OptionError as `set_roles` does."""

        def change(rows: Rows, row: UserRow) -> None:
            row.disabled = disabled
            sessions.end_all(rows, row)

        self._change(name, change)

    def set_password(self, name: str, password: str) -> None:
        """Set another password as an administrator and end all sessions of the user.

        Raises OptionError for an unknown user or a weak password.
        """
        self.database.read(lambda rows: users.there(rows, name).id)
        passwords.check(password, name)
        hash_ = passwords.hashed(password)

        def change(rows: Rows, row: UserRow) -> None:
            users.set_hash(row, hash_)
            sessions.end_all(rows, row)

        self._change(name, change)

    def _change(self, name: str, change: Callable[[Rows, UserRow], None]) -> None:
        def changed(rows: Rows) -> str:
            row, before = users.there(rows, name), users.administrators(rows)
            change(rows, row)
            rows.flush()
            if before and not users.administrators(rows):
                raise OptionError(N_("This is the last administrator; make somebody else one first."))
            return row.name

        self._remembered.forget_user(self.database.write(changed))

    # ---- sign-in ------------------------------------------------------------------------------------------------

    def sign_in(self, name: str, password: str, address: str) -> str:
        """Sign a user in and return the token of the new session.

        Raises AccessDeniedError for a wrong name, a wrong password and a disabled account, with the same message and
        response time for all. Raises it as well after too many attempts with this name or from this address.
        """
        attempt, kept = self._attempted(name, password, address)
        renewed = passwords.hashed(password) if passwords.outdated(kept) else kept

        def opened(rows: Rows) -> str | None:
            row = rows.get_one(SignInRow, attempt)
            if row.user is None or users.hash_of(row.user) != kept:  # the password or the account has changed meanwhile
                return None
            row.success = True
            users.set_hash(row.user, renewed)
            return sessions.opened(rows, row.user, row.address)

        token = self.database.write(opened)
        if token is None:
            raise AccessDeniedError(WRONG)
        return token

    def change_password(self, name: str, old: str, new: str, keep: str = "") -> None:
        """Set another password as the user and end all sessions except the one of the token `keep`.

        Raises AccessDeniedError for a wrong old password as `sign_in` does, and OptionError for a weak new one.
        """
        passwords.check(new, name)
        attempt, kept = self._attempted(name, old, "")
        hash_ = passwords.hashed(new)

        def change(rows: Rows) -> str | None:
            row = rows.get_one(SignInRow, attempt)
            user = row.user
            if user is None or users.hash_of(user) != kept:
                return None
            rows.delete(row)  # this attempt was no sign-in
            users.set_hash(user, hash_)
            sessions.end_all(rows, user, but=keep)
            return user.name

        changed = self.database.write(change)
        if changed is None:
            raise AccessDeniedError(WRONG)
        self._remembered.forget_user(changed)

    def _attempted(self, name: str, password: str, address: str) -> tuple[int, str]:
        """Check a password; return the id of the attempt and the stored hash. Raises AccessDeniedError as `sign_in`."""

        def begun(rows: Rows) -> tuple[int, str | None]:
            row = login_throttling.begun(rows, name, address)
            return row.id, users.hash_of(row.user)

        attempt, kept = self.database.write(begun)
        if not passwords.verified(kept, password) or kept is None:
            raise AccessDeniedError(WRONG)
        return attempt, kept

    def vouched_for(self, identity: str, address: str = "") -> User:
        """Return the user with the e-mail address or subject that the identity provider has authenticated.

        A new user is added without any role. One sign-in per day is stored. Raises AccessDeniedError for a disabled
        account, OptionError for an identity that is not accepted as a name.
        """
        known = self.database.read(lambda rows: _plain(users.vouched_lately(rows, identity)))
        user = known or self.database.write(lambda rows: users.plain(users.vouched(rows, identity, address)))
        if user.disabled:
            raise AccessDeniedError(N_("This account is disabled; ask an administrator."))
        return user

    def sign_ins(self, name: str | None = None, limit: int = 100) -> list[SignIn]:
        """Return the latest attempts to sign in, newest first, of one user or of all users."""
        query = select(SignInRow).order_by(SignInRow.id.desc()).limit(max(0, min(limit, LONGEST_LIST)))

        def found(rows: Rows) -> list[SignIn]:
            wanted = query if name is None else query.join(SignInRow.user).where(UserRow.key == usernames.key(name))
            return [_sign_in(row) for row in rows.scalars(wanted)]

        return self.database.read(found)

    # ---- sessions -----------------------------------------------------------------------------------------------

    def session(self, token: str) -> Session | None:
        """Return the session of `token`; None if it is unknown or has ended, or if its user is disabled.

        While the database does not answer, sessions that were valid in the last 15 minutes stay valid.
        """
        key = sessions.key(token)
        try:
            found = self.database.read(lambda rows: sessions.found(rows, token))
        except ServiceUnavailableError:
            known = self._remembered.get(key)
            if known is None or known.expires <= datetime.now(UTC):
                raise
            return known
        self._remembered.put(key, found) if found else self._remembered.forget(key)
        return found

    def sign_out(self, token: str) -> None:
        """End the session of `token`; an unknown token is ignored."""
        key = sessions.key(token)
        self._remembered.forget(key)

        def ended(rows: Rows) -> None:
            row = rows.get(SessionRow, key)
            if row is not None:
                rows.delete(row)

        self.database.write(ended)

    def sign_out_everywhere(self, name: str) -> None:
        """End all sessions of a user. Raises OptionError for an unknown user."""
        self._change(name, lambda rows, row: sessions.end_all(rows, row))

    # ---- the database -------------------------------------------------------------------------------------------

    def version(self) -> str:
        """Return the name and version of the database, for example "PostgreSQL 15.14"."""
        return self.database.version()

    def reset(self) -> None:
        """Close the circuit breaker, so the next call reaches the database."""
        self.database.breaker.reset()

    def close(self) -> None:
        """Close all connections; the next call opens new ones."""
        self.database.close()


def _plain(row: UserRow | None) -> User | None:
    return None if row is None else users.plain(row)


def _sign_in(row: SignInRow) -> SignIn:
    return SignIn(None if row.user is None else row.user.name, row.time, row.success, row.address)
