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

RATE_LIMIT_WINDOW = timedelta(minutes=15)
MAX_PER_NAME, MAX_PER_ADDRESS = 5, 30  # failed attempts in the window
SIGN_IN_RETENTION = timedelta(days=180)


def record_attempt(db: Session, name: str, address: str) -> SignInRow:
    """Store a new attempt as failed and return its row.

    Raises AccessDeniedError after too many failed attempts with this name or from this address.
    """
    now = datetime.now(UTC)
    delete_expired_rows(db, now)
    name_hash, origin = hash_name(name), get_network(address)
    _check_limit(db, now, SignInRow.typed == name_hash, MAX_PER_NAME, after_id=_find_last_success(db, name_hash))
    if origin:
        _check_limit(db, now, SignInRow.origin == origin, MAX_PER_ADDRESS)
    key = usernames.make_lookup_key(name)
    user = None if key is None else db.scalar(select(UserRow).where(UserRow.key == key))
    return _insert_row(
        db,
        SignInRow(time=now, success=False, address=clean_address(address), origin=origin, typed=name_hash, user=user),
    )


def record_external_sign_in(db: Session, user: UserRow, address: str) -> None:
    """Store a sign-in through the identity provider; it does not count for the rate limit."""
    now = datetime.now(UTC)
    delete_expired_rows(db, now)
    _insert_row(
        db, SignInRow(time=now, success=True, address=clean_address(address), origin=get_network(address), user=user)
    )


def _insert_row(db: Session, row: SignInRow) -> SignInRow:
    db.add(row)
    db.flush()
    return row


def delete_expired_rows(db: Session, now: datetime) -> None:
    """Delete old sign-ins and ended sessions, and the hashes of typed names that belong to no user."""
    db.execute(delete(SignInRow).where(SignInRow.time < now - SIGN_IN_RETENTION))
    db.execute(delete(SessionRow).where(SessionRow.expires < now))
    unknown_names = (
        SignInRow.user_id.is_(None),
        SignInRow.typed.is_not(None),
        SignInRow.time < now - RATE_LIMIT_WINDOW,
    )
    db.execute(update(SignInRow).where(*unknown_names).values(typed=None))


def hash_name(name: str) -> str:
    """Return the hash that is stored of a typed name; all spellings of a name share it."""
    return hashlib.sha256(
        f"vigie name {usernames.make_lookup_key(name) or name}".encode("utf-8", "surrogatepass")
    ).hexdigest()


def clean_address(address: str) -> str:
    """Return the printable characters of the first 64 of `address`, because a proxy may send any text."""
    return "".join(letter for letter in address[:64] if letter.isprintable())


def get_network(address: str) -> str:
    """Return the unit of the rate limit: an IPv4 address, or the /64 network of an IPv6 address.

    One customer usually has a whole /64 network. Text that is not an IP address is returned as in `clean_address`.

    Example:
        >>> get_network("192.0.2.7"), get_network("2001:db8::7"), get_network("::ffff:192.0.2.7")
        ('192.0.2.7', '2001:db8::/64', '192.0.2.7')
    """
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return clean_address(address)
    if isinstance(ip, ipaddress.IPv4Address):
        return str(ip)
    ipv4 = ip.ipv4_mapped
    return str(ipv4 or ipaddress.ip_network((ip.packed, 64), strict=False))


def _find_last_success(db: Session, name_hash: str) -> int:
    query = select(func.max(SignInRow.id)).where(SignInRow.typed == name_hash, SignInRow.success)
    return db.scalar(query) or 0


def _check_limit(
    db: Session, now: datetime, condition: ColumnElement[bool], max_failures: int, after_id: int = 0
) -> None:
    """Raise AccessDeniedError if `max_failures` attempts with ids above `after_id` fulfil `condition`."""
    conditions = (
        condition,
        SignInRow.success.is_(False),
        SignInRow.time > now - RATE_LIMIT_WINDOW,
        SignInRow.id > after_id,
    )
    times = db.scalars(
        select(SignInRow.time).where(*conditions).order_by(SignInRow.id.desc()).limit(max_failures)
    ).all()
    if len(times) == max_failures:
        minutes = math.ceil((times[-1] + RATE_LIMIT_WINDOW - now).total_seconds() / 60)
        raise AccessDeniedError(N_("Too many attempts. Try again in {minutes} min."), minutes=max(1, minutes))
