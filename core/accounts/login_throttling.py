"""How often somebody may try: counted in the database, so that all processes count together.

An attempt is written down as failed before the password is looked at and marked afterwards, so that a hundred attempts
at the same moment are a hundred attempts. It is counted by what was typed and from where, whether or not such a user
exists.
"""

import hashlib
import ipaddress
import math
from datetime import UTC, datetime, timedelta

from sqlalchemy import ColumnElement, delete, func, select, update
from sqlalchemy.orm import Session

from core.accounts import usernames
from core.accounts.orm import SessionRow, SignInRow, UserRow
from core.errors import AccessDeniedError
from core.messages import N_

WINDOW = timedelta(minutes=15)
OF_NAME, OF_ADDRESS = 5, 30  # failures in the window
KEPT = timedelta(days=180)


def begun(rows: Session, name: str, address: str) -> SignInRow:
    """A new attempt. Raises AccessDeniedError where there were too many."""
    now = datetime.now(UTC)
    clean(rows, now)
    typed, origin = hashed(name), network(address)
    _check(rows, now, SignInRow.typed == typed, OF_NAME, since=_last_success(rows, typed))
    if origin:
        _check(rows, now, SignInRow.origin == origin, OF_ADDRESS)
    key = usernames.key(name)
    user = None if key is None else rows.scalar(select(UserRow).where(UserRow.key == key))
    return _added(
        rows, SignInRow(time=now, success=False, address=shown(address), origin=origin, typed=typed, user=user)
    )


def note(rows: Session, user: UserRow, address: str) -> None:
    """A sign-in that somebody else vouches for: nothing was typed, and nothing is counted."""
    now = datetime.now(UTC)
    clean(rows, now)
    _added(rows, SignInRow(time=now, success=True, address=shown(address), origin=network(address), user=user))


def _added(rows: Session, row: SignInRow) -> SignInRow:
    rows.add(row)
    rows.flush()
    return row


def clean(rows: Session, now: datetime) -> None:
    """Remove what is no longer needed: old sign-ins, ended sessions, and what nobody's names were."""
    rows.execute(delete(SignInRow).where(SignInRow.time < now - KEPT))
    rows.execute(delete(SessionRow).where(SessionRow.expires < now))
    of_nobody = (SignInRow.user_id.is_(None), SignInRow.typed.is_not(None), SignInRow.time < now - WINDOW)
    rows.execute(update(SignInRow).where(*of_nobody).values(typed=None))


def hashed(name: str) -> str:
    """What is kept of a name that was typed; spellings of one name share it."""
    return hashlib.sha256(f"vigie name {usernames.key(name) or name}".encode("utf-8", "surrogatepass")).hexdigest()


def shown(address: str) -> str:
    """The address as it is kept: whatever a proxy wrote, it is short and printable."""
    return "".join(letter for letter in address[:64] if letter.isprintable())


def network(address: str) -> str:
    """What is counted: an IPv4 address, or the 64 bits of an IPv6 address that one customer has whole."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return shown(address)
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    mapped = found.ipv4_mapped
    return str(mapped or ipaddress.ip_network((found.packed, 64), strict=False))


def _last_success(rows: Session, typed: str) -> int:
    found = select(func.max(SignInRow.id)).where(SignInRow.typed == typed, SignInRow.success)
    return rows.scalar(found) or 0


def _check(rows: Session, now: datetime, same: ColumnElement[bool], most: int, since: int = 0) -> None:
    """Raise AccessDeniedError where `most` attempts that are the `same` failed lately, after the sign-in `since`."""
    failed = (same, SignInRow.success.is_(False), SignInRow.time > now - WINDOW, SignInRow.id > since)
    times = rows.scalars(select(SignInRow.time).where(*failed).order_by(SignInRow.id.desc()).limit(most)).all()
    if len(times) == most:
        minutes = math.ceil((times[-1] + WINDOW - now).total_seconds() / 60)
        raise AccessDeniedError(N_("Too many attempts: try again in {minutes} min."), minutes=max(1, minutes))
