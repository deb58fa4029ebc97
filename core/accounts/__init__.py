"""User accounts with roles, sign-ins and sessions, in SQLite or PostgreSQL."""

from core.accounts.models import DEVICE_LIFETIME, ROLES, Session, SignIn, User

__all__ = ["DEVICE_LIFETIME", "ROLES", "Session", "SignIn", "User"]
