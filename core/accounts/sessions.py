"""Sessions in the database, stored under the SHA-256 of a random token that only the browser has."""

import hashlib
import hmac
import secrets
from datetime import UTC, datetime, timedelta

from sqlalchemy import delete
from sqlalchemy.orm import Session as Rows

from core.accounts import users
from core.accounts.models import Session
from core.accounts.orm import SessionRow, UserRow

LASTS = timedelta(hours=12)
TOKEN = 32  # bytes of randomness


def opened(rows: Rows, user: UserRow, address: str) -> str:
    """Create a session and return its token."""
    token, now = secrets.token_urlsafe(TOKEN), datetime.now(UTC)
    rows.add(SessionRow(key=key(token), user_id=user.id, created=now, expires=now + LASTS, address=address))
    return token


def found(rows: Rows, token: str) -> Session | None:
    """Return the session of `token`; None if it is unknown or has expired, or if its user is disabled."""
    row = rows.get(SessionRow, key(token))
    if row is None or row.user.disabled or row.expires <= datetime.now(UTC):
        return None
    return Session(users.plain(row.user), row.created, row.expires, _csrf(token))


def end_all(rows: Rows, user: UserRow, but: str = "") -> None:
    """Delete all sessions of `user`, except the session of the token `but`."""
    rows.execute(delete(SessionRow).where(SessionRow.user_id == user.id, SessionRow.key != key(but)))


def key(token: str) -> str:
    """Return the hash under which a session is stored; the tables contain no token."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def _csrf(token: str) -> str:
    return hmac.new(token.encode("utf-8", "surrogatepass"), b"csrf", hashlib.sha256).hexdigest()
