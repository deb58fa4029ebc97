"""Devices with which a user has signed in before, stored under the SHA-256 of a random token of the browser.

Attempts of such a device have a rate limit of their own, so that nobody else can use up the limit of a user.
"""

import secrets
from datetime import UTC, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session as DbSession

from core.accounts.models import DEVICE_LIFETIME
from core.accounts.orm import DeviceRow, UserRow
from core.accounts.tokens import TOKEN_BYTES, hash_token


def remember_device(db: DbSession, user: UserRow, token: str) -> str:
    """Store that `user` has signed in with a device, and return its token: a new one unless `token` is stored."""
    is_stored = db.scalar(select(DeviceRow).where(DeviceRow.key == hash_token(token)).limit(1)) is not None
    device = token if is_stored else secrets.token_urlsafe(TOKEN_BYTES)
    db.merge(DeviceRow(key=hash_token(device), user_id=user.id, last_sign_in=datetime.now(UTC)))
    return device


def is_known_device(db: DbSession, user: UserRow | None, token: str) -> bool:
    """Tell whether `user` has signed in with the device of `token` in the last 180 days."""
    row = None if user is None or not token else db.get(DeviceRow, (hash_token(token), user.id))
    return row is not None and row.last_sign_in > datetime.now(UTC) - DEVICE_LIFETIME
