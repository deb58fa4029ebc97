"""User accounts with roles, sign-ins and sessions, in SQLite or PostgreSQL."""

from core.accounts.models import ROLES, Session, SignIn, User

__all__ = ["ROLES", "Session", "SignIn", "User"]
