"""`Accounts`: who may sign in, with which roles, and who is signed in."""

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

    Tables are made at first use. No text of an error holds a name, for errors are logged and names are not. Every
    method raises ServiceUnavailableError in less than 2 s where the database does not answer;
    only `session` goes on for a while from memory.
    """

    def __init__(self, url: str, folder: Path) -> None:
        self.database = open_database(url, folder)
        self._remembered = Remembered()

    # ---- users --------------------------------------------------------------------------------------------------

    def empty(self) -> bool:
        """Whether nobody has an account yet."""
        return self.database.read(lambda rows: users.count(rows) == 0)

    def users(self) -> list[User]:
        """Everybody with an account, by name."""
        everybody = select(UserRow).order_by(UserRow.key)
        return self.database.read(lambda rows: [users.plain(row) for row in rows.scalars(everybody)])

    def user(self, name: str) -> User | None:
        """The user of that name, in any spelling of it."""
        return self.database.read(lambda rows: _plain(users.found(rows, name)))

    def add_user(self, name: str, password: str | None, roles: Collection[str], by: str = "") -> User:
        """A new user; without a password, one who signs in through the identity provider only.

        by   who grants the roles, for the record

        Raises OptionError for a name that is taken or not accepted, an unknown role, a weak password (with the reason).
        """
        if self.user(name) is not None:  # before a password is hashed
            raise OptionError(TAKEN)
        new = users.new(name, password, roles, by)
        try:
            return self.database.write(lambda rows: users.plain(users.added(rows, new)))
        except IntegrityError as error:
            raise OptionError(TAKEN) from error

    def first_administrator(self, name: str, password: str) -> User:
        """The first user, an administrator.

        Raises AccessDeniedError where there is a user already, else as `add_user`.
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
        """Give the user these roles and no others.

        Raises OptionError for an unknown user or role, and for taking away the last administrator.
        """
        users.check_roles(roles)
        self._change(name, lambda _rows, row: users.grant(row, roles, by))

    def set_disabled(self, name: str, disabled: bool) -> None:
        """Let the user in no longer, or again; sessions end at once. Raises OptionError as `set_roles`."""

        def change(rows: Rows, row: UserRow) -> None:
            row.disabled = disabled
            sessions.end_all(rows, row)

        self._change(name, change)

    def set_password(self, name: str, password: str) -> None:
        """Another password, by an administrator; every session of the user ends.

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
        """The token of a new session.

        Raises AccessDeniedError, with one text and after the same time for whatever is wrong, and where there were
        too many attempts with this name or from this address.
        """
        attempt, kept = self._attempted(name, password, address)
        renewed = passwords.hashed(password) if passwords.outdated(kept) else kept

        def opened(rows: Rows) -> str | None:
            row = rows.get_one(SignInRow, attempt)
            if row.user is None or users.hash_of(row.user) != kept:  # changed or disabled meanwhile
                return None
            row.success = True
            users.set_hash(row.user, renewed)
            return sessions.opened(rows, row.user, row.address)

        token = self.database.write(opened)
        if token is None:
            raise AccessDeniedError(WRONG)
        return token

    def change_password(self, name: str, old: str, new: str, keep: str = "") -> None:
        """Another password, by the user; other sessions than that of the token `keep` end.

        Raises AccessDeniedError as `sign_in` for a wrong old one, OptionError for a weak new one.
        """
        passwords.check(new, name)
        attempt, kept = self._attempted(name, old, "")
        hash_ = passwords.hashed(new)

        def change(rows: Rows) -> str | None:
            row = rows.get_one(SignInRow, attempt)
            user = row.user
            if user is None or users.hash_of(user) != kept:
                return None
            rows.delete(row)  # it was no sign-in
            users.set_hash(user, hash_)
            sessions.end_all(rows, user, but=keep)
            return user.name

        changed = self.database.write(change)
        if changed is None:
            raise AccessDeniedError(WRONG)
        self._remembered.forget_user(changed)

    def _attempted(self, name: str, password: str, address: str) -> tuple[int, str]:
        """The attempt's number and the hash that the password fits. Raises AccessDeniedError as `sign_in`."""

        def begun(rows: Rows) -> tuple[int, str | None]:
            row = login_throttling.begun(rows, name, address)
            return row.id, users.hash_of(row.user)

        attempt, kept = self.database.write(begun)
        if not passwords.verified(kept, password) or kept is None:
            raise AccessDeniedError(WRONG)
        return attempt, kept

    def vouched_for(self, identity: str, address: str = "") -> User:
        """Return the user whom the identity provider authenticates, by e-mail address or subject.

        They are made without any role where new. The sign-in is noted once a day. Raises AccessDeniedError for a
        disabled account, OptionError for an identity that cannot be a name.
        """
        known = self.database.read(lambda rows: _plain(users.vouched_lately(rows, identity)))
        user = known or self.database.write(lambda rows: users.plain(users.vouched(rows, identity, address)))
        if user.disabled:
            raise AccessDeniedError(N_("This account is disabled; ask an administrator."))
        return user

    def sign_ins(self, name: str | None = None, limit: int = 100) -> list[SignIn]:
        """The latest attempts to sign in, newest first; of one user, or of everybody."""
        query = select(SignInRow).order_by(SignInRow.id.desc()).limit(max(0, min(limit, LONGEST_LIST)))

        def found(rows: Rows) -> list[SignIn]:
            wanted = query if name is None else query.join(SignInRow.user).where(UserRow.key == usernames.key(name))
            return [_sign_in(row) for row in rows.scalars(wanted)]

        return self.database.read(found)

    # ---- sessions -----------------------------------------------------------------------------------------------

    def session(self, token: str) -> Session | None:
        """The session of `token`; None for one that is unknown or has ended, and for a disabled user.

        While the database is away, sessions that were valid less than a quarter of an hour ago go on.
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
        """End the session of `token`, if there is one."""
        key = sessions.key(token)
        self._remembered.forget(key)

        def ended(rows: Rows) -> None:
            row = rows.get(SessionRow, key)
            if row is not None:
                rows.delete(row)

        self.database.write(ended)

    def sign_out_everywhere(self, name: str) -> None:
        """End every session of the user. Raises OptionError for an unknown one."""
        self._change(name, lambda rows, row: sessions.end_all(rows, row))

    # ---- the database -------------------------------------------------------------------------------------------

    def version(self) -> str:
        """Of the database, as in "PostgreSQL 15.14"."""
        return self.database.version()

    def reset(self) -> None:
        """Ask the database at the next call, even if it did not answer a moment ago."""
        self.database.breaker.reset()

    def close(self) -> None:
        """Let go of the database; the next call opens it again."""
        self.database.close()


def _plain(row: UserRow | None) -> User | None:
    return None if row is None else users.plain(row)


def _sign_in(row: SignInRow) -> SignIn:
    return SignIn(None if row.user is None else row.user.name, row.time, row.success, row.address)
