"""The service of accounts: users, roles, sign-ins and sessions."""

from collections.abc import Callable, Collection
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session as DbSession

from core.accounts import devices, login_throttling, passwords, sessions, usernames, users
from core.accounts.database import open_database
from core.accounts.models import Session, SignIn, User
from core.accounts.orm import SessionRow, SignInRow, UserRow
from core.accounts.session_cache import SessionCache
from core.accounts.tokens import hash_token
from core.errors import AccessDeniedError, OptionError, ServiceUnavailableError
from core.messages import N_

WRONG_CREDENTIALS = N_("The name or the password is wrong, or the account is disabled.")
NAME_TAKEN = N_("This name is taken.")
ADMINISTRATOR_EXISTS = N_("There is already an administrator. Ask them for an account.")
MAX_LISTED_SIGN_INS = 10_000


class Accounts:
    """Accounts in the database at `url`; "" for the SQLite file `folder`/accounts.db.

    The first call creates the tables. Error messages contain no user name, because errors are logged and names must
    not be. Every method raises ServiceUnavailableError in less than 2 s if the database does not answer; only
    `find_session` answers from a cache for 15 minutes.
    """

    def __init__(self, url: str, folder: Path) -> None:
        self.database = open_database(url, folder)
        self._session_cache = SessionCache()

    # ---- users --------------------------------------------------------------------------------------------------

    def is_empty(self) -> bool:
        """Tell whether there is no account yet."""
        return self.database.read(lambda db: users.count_users(db) == 0)

    def list_users(self) -> list[User]:
        """Return all users, sorted by name."""
        query = select(UserRow).order_by(UserRow.key)
        return self.database.read(lambda db: [users.to_user(row) for row in db.scalars(query)])

    def find_user(self, name: str) -> User | None:
        """Return the user with this name in any spelling, or None."""
        return self.database.read(lambda db: _to_user(users.find_user(db, name)))

    def add_user(self, name: str, password: str | None, roles: Collection[str], granted_by: str = "") -> User:
        """Add a user and return it; without a password, the user signs in through the identity provider only.

        `granted_by` is the name of the user who grants the roles; it is stored with them.

        Raises OptionError for a name that is taken or not accepted, an unknown role, or a weak password.
        """
        if self.find_user(name) is not None:  # before a password is hashed
            raise OptionError(NAME_TAKEN)
        new_user = users.prepare_user(name, password, roles, granted_by)
        try:
            return self.database.write(lambda db: users.to_user(users.insert_user(db, new_user)))
        except IntegrityError as error:
            raise OptionError(NAME_TAKEN) from error

    def add_first_administrator(self, name: str, password: str) -> User:
        """Add the first user, with the role administrator, and return it.

        Raises AccessDeniedError if there is a user already, and OptionError as `add_user` does.
        """
        if not self.is_empty():
            raise AccessDeniedError(ADMINISTRATOR_EXISTS)
        new_user = users.prepare_user(name, password, (users.ADMINISTRATOR,), name)

        def add_once(db: DbSession) -> User:
            if users.count_users(db):
                raise AccessDeniedError(ADMINISTRATOR_EXISTS)
            return users.to_user(users.insert_user(db, new_user))

        return self.database.write(add_once)

    def set_roles(self, name: str, roles: Collection[str], granted_by: str = "") -> None:
        """Replace the roles of a user.

        Raises OptionError for an unknown user or role, and if no administrator would remain.
        """
        users.check_roles(roles)
        self._change_user(name, lambda _rows, row: users.replace_roles(row, roles, granted_by))

    def set_disabled(self, name: str, disabled: bool) -> None:
        """Disable or enable an account and end its sessions. Raises OptionError as `set_roles` does."""

        def change_once(db: DbSession, row: UserRow) -> None:
            row.disabled = disabled
            sessions.end_all_sessions(db, row)

        self._change_user(name, change_once)

    def set_password(self, name: str, password: str) -> None:
        """Set another password as an administrator and end all sessions of the user.

        Raises OptionError for an unknown user or a weak password.
        """
        self.database.read(lambda db: users.get_user(db, name).id)
        passwords.check_password(password, name)
        hash_ = passwords.hash_password(password)

        def change_once(db: DbSession, row: UserRow) -> None:
            users.set_password_hash(row, hash_)
            sessions.end_all_sessions(db, row)

        self._change_user(name, change_once)

    def _change_user(self, name: str, change: Callable[[DbSession, UserRow], None]) -> None:
        def change_once(db: DbSession) -> str:
            row, administrator_count = users.get_user(db, name), users.count_administrators(db)
            change(db, row)
            db.flush()
            if administrator_count and not users.count_administrators(db):
                raise OptionError(N_("This user is the last administrator. Give the role to another user first."))
            return row.name

        self._session_cache.delete_user(self.database.write(change_once))

    # ---- sign-in ------------------------------------------------------------------------------------------------

    def sign_in(self, name: str, password: str, address: str, device: str = "") -> str:
        """Sign a user in and return the token of the new session; `device` is what `remember_device` returned.

        Raises AccessDeniedError for a wrong name, a wrong password and a disabled account, with the same message and
        response time for all. Raises it as well after too many attempts with this name from this address or device.
        """
        attempt_id, password_hash = self._verify_attempt(name, password, address, device)
        new_hash = passwords.hash_password(password) if passwords.needs_rehash(password_hash) else password_hash

        def open_session(db: DbSession) -> str | None:
            row = db.get_one(SignInRow, attempt_id)
            if (
                row.user is None or users.get_password_hash(row.user) != password_hash
            ):  # the password or the account has changed meanwhile
                return None
            row.success = True
            users.set_password_hash(row.user, new_hash)
            return sessions.create_session(db, row.user, row.address)

        token = self.database.write(open_session)
        if token is None:
            raise AccessDeniedError(WRONG_CREDENTIALS)
        return token

    def remember_device(self, token: str, device: str = "") -> str:
        """Remember the device of a session; return its token for later sign-ins, which may be `device`.

        Attempts of others then do not delay its sign-ins. Returns "" for an unknown session.
        """

        def remember_once(db: DbSession) -> str:
            session = db.get(SessionRow, hash_token(token))
            return "" if session is None else devices.remember_device(db, session.user, device)

        return self.database.write(remember_once)

    def change_password(self, name: str, old_password: str, new_password: str, keep_token: str = "") -> None:
        """Set another password as the user and end all sessions except the one of the token `keep_token`.

        Raises AccessDeniedError for a wrong old password as `sign_in` does, and OptionError for a weak new one.
        """
        passwords.check_password(new_password, name)
        attempt_id, password_hash = self._verify_attempt(name, old_password, "")
        hash_ = passwords.hash_password(new_password)

        def change_once(db: DbSession) -> str | None:
            row = db.get_one(SignInRow, attempt_id)
            user = row.user
            if user is None or users.get_password_hash(user) != password_hash:
                return None
            db.delete(row)  # this attempt was no sign-in
            users.set_password_hash(user, hash_)
            sessions.end_all_sessions(db, user, except_token=keep_token)
            return user.name

        user_name = self.database.write(change_once)
        if user_name is None:
            raise AccessDeniedError(WRONG_CREDENTIALS)
        self._session_cache.delete_user(user_name)

    def _verify_attempt(self, name: str, password: str, address: str, device: str = "") -> tuple[int, str]:
        """Check a password; return the id of the attempt and the stored hash. Raises AccessDeniedError as `sign_in`."""

        def record_once(db: DbSession) -> tuple[int, str | None]:
            row = login_throttling.record_attempt(db, name, address, device)
            return row.id, users.get_password_hash(row.user)

        attempt_id, password_hash = self.database.write(record_once)
        if not passwords.verify_password(password_hash, password) or password_hash is None:
            raise AccessDeniedError(WRONG_CREDENTIALS)
        return attempt_id, password_hash

    def sign_in_external(self, identity: str, address: str = "") -> User:
        """Return the user with the e-mail address or subject that the identity provider has authenticated.

        A new user is added without any role. One sign-in per day is stored. Raises AccessDeniedError for a disabled
        account, OptionError for an identity that is not accepted as a name.
        """
        recent_user = self.database.read(lambda db: _to_user(users.find_recent_external(db, identity)))
        user = recent_user or self.database.write(
            lambda db: users.to_user(users.get_or_add_external(db, identity, address))
        )
        if user.disabled:
            raise AccessDeniedError(N_("This account is disabled. Contact an administrator."))
        return user

    def list_sign_ins(self, name: str | None = None, limit: int = 100) -> list[SignIn]:
        """Return the latest attempts to sign in, newest first, of one user or of all users."""
        query = select(SignInRow).order_by(SignInRow.id.desc()).limit(max(0, min(limit, MAX_LISTED_SIGN_INS)))

        def list_once(db: DbSession) -> list[SignIn]:
            filtered_query = (
                query
                if name is None
                else query.join(SignInRow.user).where(UserRow.key == usernames.make_lookup_key(name))
            )
            return [_to_sign_in(row) for row in db.scalars(filtered_query)]

        return self.database.read(list_once)

    # ---- sessions -----------------------------------------------------------------------------------------------

    def find_session(self, token: str) -> Session | None:
        """Return the session of `token`; None if it is unknown or has ended, or if its user is disabled.

        While the database does not answer, sessions that were valid in the last 15 minutes stay valid.
        """
        key = hash_token(token)
        try:
            session = self.database.read(lambda db: sessions.find_session(db, token))
        except ServiceUnavailableError:
            cached_session = self._session_cache.get(key)
            if cached_session is None or cached_session.expires <= datetime.now(UTC):
                raise
            return cached_session
        self._session_cache.put(key, session) if session else self._session_cache.delete(key)
        return session

    def sign_out(self, token: str) -> None:
        """End the session of `token`; an unknown token is ignored."""
        key = hash_token(token)
        self._session_cache.delete(key)

        def delete_once(db: DbSession) -> None:
            row = db.get(SessionRow, key)
            if row is not None:
                db.delete(row)

        self.database.write(delete_once)

    def sign_out_everywhere(self, name: str) -> None:
        """End all sessions of a user. Raises OptionError for an unknown user."""
        self._change_user(name, lambda db, row: sessions.end_all_sessions(db, row))

    # ---- the database -------------------------------------------------------------------------------------------

    def load_driver(self) -> None:
        """Import the driver of the database."""
        self.database.load_driver()

    def fetch_version(self) -> str:
        """Return the name and version of the database, for example "PostgreSQL 15.14"."""
        return self.database.fetch_version()

    def reset(self) -> None:
        """Close the circuit breaker, so the next call reaches the database."""
        self.database.breaker.reset()

    def close(self) -> None:
        """Close all connections; the next call opens new ones."""
        self.database.close()


def _to_user(row: UserRow | None) -> User | None:
    return None if row is None else users.to_user(row)


def _to_sign_in(row: SignInRow) -> SignIn:
    return SignIn(None if row.user is None else row.user.name, row.time, row.success, row.address)
