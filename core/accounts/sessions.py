"""Sessions in the database, stored under the SHA-256 of a random token that only the browser has."""

import hashlib
import hmac
import secrets
from datetime import UTC, datetime, timedelta

from sqlalchemy import delete
from sqlalchemy.orm import Session as DbSession

from core.accounts import users
from core.accounts.models import Session
from core.accounts.orm import DeviceRow, SessionRow, UserRow
from core.accounts.tokens import TOKEN_BYTES, hash_token

SESSION_LIFETIME = timedelta(hours=12)


def create_session(db: DbSession, user: UserRow, address: str) -> str:
    """Create a session and return its token."""
    token, now = secrets.token_urlsafe(TOKEN_BYTES), datetime.now(UTC)
    db.add(
        SessionRow(key=hash_token(token), user_id=user.id, created=now, expires=now + SESSION_LIFETIME, address=address)
    )
    return token


def find_session(db: DbSession, token: str) -> Session | None:
    """Return the session of `token`; None if it is unknown or has expired, or if its user is disabled."""
    row = db.get(SessionRow, hash_token(token))
    if row is None or row.user.disabled or row.expires <= datetime.now(UTC):
        return None
    return Session(users.to_user(row.user), row.created, row.expires, _derive_csrf(token))


def end_all_sessions(db: DbSession, user: UserRow, except_token: str = "") -> None:
    """Delete all sessions and devices of `user`, except the session of the token `except_token`."""
    db.execute(delete(DeviceRow).where(DeviceRow.user_id == user.id))
    db.execute(delete(SessionRow).where(SessionRow.user_id == user.id, SessionRow.key != hash_token(except_token)))


def _derive_csrf(token: str) -> str:
    return hmac.new(token.encode("utf-8", "surrogatepass"), b"csrf", hashlib.sha256).hexdigest()
