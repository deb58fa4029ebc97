"""Rate limit of sign-ins, counted in the database and therefore across all processes.

An attempt is stored as failed before the password is checked and marked as successful afterwards, so that concurrent
attempts all count. Attempts are counted per typed name and per address, whether or not the user exists.
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
OF_NAME, OF_ADDRESS = 5, 30  # failed attempts in the window
KEPT = timedelta(days=180)


def begun(rows: Session, name: str, address: str) -> SignInRow:
    """Store a new attempt as failed and return its row.

    Raises AccessDeniedError after too many failed attempts with this name or from this address.
    """
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
    """Store a sign-in through the identity provider; it does not count for the rate limit."""
    now = datetime.now(UTC)
    clean(rows, now)
    _added(rows, SignInRow(time=now, success=True, address=shown(address), origin=network(address), user=user))


def _added(rows: Session, row: SignInRow) -> SignInRow:
    rows.add(row)
    rows.flush()
    return row


def clean(rows: Session, now: datetime) -> None:
    """Delete old sign-ins and ended sessions, and the hashes of typed names that belong to no user."""
    rows.execute(delete(SignInRow).where(SignInRow.time < now - KEPT))
    rows.execute(delete(SessionRow).where(SessionRow.expires < now))
    of_nobody = (SignInRow.user_id.is_(None), SignInRow.typed.is_not(None), SignInRow.time < now - WINDOW)
    rows.execute(update(SignInRow).where(*of_nobody).values(typed=None))


def hashed(name: str) -> str:
    """Return the hash that is stored of a typed name; all spellings of a name share it."""
    return hashlib.sha256(f"vigie name {usernames.key(name) or name}".encode("utf-8", "surrogatepass")).hexdigest()


def shown(address: str) -> str:
    """Return the printable characters of the first 64 of `address`, because a proxy may send any text."""
    return "".join(letter for letter in address[:64] if letter.isprintable())


def network(address: str) -> str:
    """Return the unit of the rate limit: an IPv4 address, or the /64 network of an IPv6 address.

    One customer usually has a whole /64 network. Text that is not an IP address is returned as in `shown`.

    Example:
        >>> network("192.0.2.7"), network("2001:db8::7"), network("::ffff:192.0.2.7")
        ('192.0.2.7', '2001:db8::/64', '192.0.2.7')
    """
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
    """Raise AccessDeniedError if the window has `most` failed attempts that fulfil `same`, with ids above `since`."""
    failed = (same, SignInRow.success.is_(False), SignInRow.time > now - WINDOW, SignInRow.id > since)
    times = rows.scalars(select(SignInRow.time).where(*failed).order_by(SignInRow.id.desc()).limit(most)).all()
    if len(times) == most:
        minutes = math.ceil((times[-1] + WINDOW - now).total_seconds() / 60)
        raise AccessDeniedError(N_("Too many attempts: try again in {minutes} min."), minutes=max(1, minutes))
