"""Rate limit of sign-ins, counted in the database and therefore across all processes.

An attempt is stored as failed before the password is checked and marked as successful afterwards, so that concurrent
attempts all count. Attempts are counted per origin, and per typed name and origin together, whether or not the user
exists. The origin is an address, or a device with which the user has signed in before. So nobody can use up the
attempts of a user from elsewhere. Where many addresses try one name, they share one attempt in ten seconds.
"""

import hashlib
import ipaddress
import math
from datetime import UTC, datetime, timedelta

from sqlalchemy import ColumnElement, delete, func, select, update
from sqlalchemy.orm import Session

from core.accounts import devices, usernames
from core.accounts.models import DEVICE_LIFETIME
from core.accounts.orm import DeviceRow, SessionRow, SignInRow, UserRow
from core.accounts.tokens import hash_token
from core.errors import AccessDeniedError
from core.messages import N_

RATE_LIMIT_WINDOW = timedelta(minutes=15)
MAX_PER_PAIR, MAX_PER_ORIGIN = 5, 30  # failed attempts in the window: of a name from an origin, of all names
MAX_UNPACED, PACE = 20, timedelta(seconds=10)  # failed attempts of a name in the window, and the interval after them
SIGN_IN_RETENTION = timedelta(days=180)


def record_attempt(db: Session, name: str, address: str, device: str = "") -> SignInRow:
    """Store a new attempt as failed and return its row; `device` is the token of the browser.

    Raises AccessDeniedError after too many failed attempts from this origin, with this name or with any.
    """
    now = datetime.now(UTC)
    delete_expired_rows(db, now)
    key = usernames.make_lookup_key(name)
    user = None if key is None else db.scalar(select(UserRow).where(UserRow.key == key))
    is_known = devices.is_known_device(db, user, device)
    name_hash, origin = hash_name(name), hash_token(device) if is_known else get_network(address)
    is_name, is_origin = SignInRow.typed == name_hash, SignInRow.origin == origin
    last_success = _find_last_success(db, is_name, is_origin)
    _check_limit(db, now, MAX_PER_PAIR, is_name, is_origin, SignInRow.id > last_success)
    if origin:
        _check_limit(db, now, MAX_PER_ORIGIN, is_origin)
    if not last_success:
        _check_pace(db, now, is_name)
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
    """Delete old sign-ins, ended sessions and unused devices, and the hashes of typed names that belong to no user."""
    db.execute(delete(SignInRow).where(SignInRow.time < now - SIGN_IN_RETENTION))
    db.execute(delete(SessionRow).where(SessionRow.expires < now))
    db.execute(delete(DeviceRow).where(DeviceRow.last_sign_in < now - DEVICE_LIFETIME))
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


def _find_last_success(db: Session, *conditions: ColumnElement[bool]) -> int:
    return db.scalar(select(func.max(SignInRow.id)).where(*conditions, SignInRow.success)) or 0


def _check_limit(db: Session, now: datetime, max_failures: int, *conditions: ColumnElement[bool]) -> None:
    """Raise AccessDeniedError if `max_failures` failed attempts in the window fulfil the conditions."""
    times = _list_failures(db, now, max_failures, *conditions)
    if len(times) == max_failures:
        minutes = math.ceil((times[-1] + RATE_LIMIT_WINDOW - now).total_seconds() / 60)
        raise AccessDeniedError(N_("Too many attempts. Try again in {minutes} min."), minutes=max(1, minutes))


def _check_pace(db: Session, now: datetime, is_name: ColumnElement[bool]) -> None:
    """Raise AccessDeniedError if a name has failed often, from any origin, and was tried a moment ago."""
    times = _list_failures(db, now, MAX_UNPACED, is_name)
    if len(times) == MAX_UNPACED and now - times[0] < PACE:
        seconds = math.ceil((times[0] + PACE - now).total_seconds())
        raise AccessDeniedError(N_("Too many attempts. Try again in {seconds} s."), seconds=seconds)


def _list_failures(db: Session, now: datetime, limit: int, *conditions: ColumnElement[bool]) -> list[datetime]:
    """Return the times of the latest failed attempts in the window, newest first."""
    is_recent = SignInRow.time > now - RATE_LIMIT_WINDOW
    query = select(SignInRow.time).where(*conditions, SignInRow.success.is_(False), is_recent)
    return list(db.scalars(query.order_by(SignInRow.id.desc()).limit(limit)))
