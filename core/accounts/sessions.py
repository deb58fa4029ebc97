"""Sessions in the database: found by the SHA-256 of a random token that only the browser has."""

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
TOKEN = 32  # random bytes


def opened(rows: Rows, user: UserRow, address: str) -> str:
    """The token of a new session."""
    token, now = secrets.token_urlsafe(TOKEN), datetime.now(UTC)
    rows.add(SessionRow(key=key(token), user_id=user.id, created=now, expires=now + LASTS, address=address))
    return token


def found(rows: Rows, token: str) -> Session | None:
    """The session of `token`; None for one that is unknown or has ended, or whose user was disabled."""
    row = rows.get(SessionRow, key(token))
    if row is None or row.user.disabled or row.expires <= datetime.now(UTC):
        return None
    return Session(users.plain(row.user), row.created, row.expires, _csrf(token))


def end_all(rows: Rows, user: UserRow, but: str = "") -> None:
    """End every session of `user`, except that of the token `but`."""
    rows.execute(delete(SessionRow).where(SessionRow.user_id == user.id, SessionRow.key != key(but)))


def key(token: str) -> str:
    """Return the hash under which a session is stored, so that the tables hold no token."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def _csrf(token: str) -> str:
    return hmac.new(token.encode("utf-8", "surrogatepass"), b"csrf", hashlib.sha256).hexdigest()
