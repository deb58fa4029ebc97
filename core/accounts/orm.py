"""SQLAlchemy models of the accounts. `migrations/` creates the tables; a test compares both."""

from datetime import UTC, datetime

from sqlalchemy import DateTime, ForeignKey, Index, MetaData, String
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship
from sqlalchemy.types import TypeDecorator
from typing_extensions import override

HEAD = "0002"  # the latest migration

USER_ID_COLUMN = "users.id"


class UtcDateTime(TypeDecorator[datetime]):
    """A UTC time; SQLite stores no time zone, so UTC is added on reading."""

    impl = DateTime(timezone=True)
    cache_ok = True

    @override
    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC)

    @override
    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Base(DeclarativeBase):
    """Base class of the tables, with naming conventions for keys and constraints."""

    metadata = MetaData(
        naming_convention={
            "pk": "pk_%(table_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
            "ix": "ix_%(table_name)s_%(column_0_name)s",
        }
    )


class UserRow(Base):
    """A user: `name` as typed, and `key`, the case-folded name for look-ups."""

    __tablename__ = "users"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(100))
    key: Mapped[str] = mapped_column(String(400), unique=True)  # case folding may lengthen a name
    disabled: Mapped[bool]
    created: Mapped[datetime] = mapped_column(UtcDateTime)
    credential: Mapped["CredentialRow | None"] = relationship(lazy="joined", cascade="all, delete-orphan")
    roles: Mapped[list["RoleRow"]] = relationship(lazy="selectin", cascade="all, delete-orphan")


class CredentialRow(Base):
    """The hash of a user's password."""

    __tablename__ = "credentials"

    user_id: Mapped[int] = mapped_column(ForeignKey(USER_ID_COLUMN, ondelete="CASCADE"), primary_key=True)
    hash: Mapped[str] = mapped_column(String(200))
    changed: Mapped[datetime] = mapped_column(UtcDateTime)


class RoleRow(Base):
    """A role of a user, and the user who granted it."""

    __tablename__ = "roles"

    user_id: Mapped[int] = mapped_column(ForeignKey(USER_ID_COLUMN, ondelete="CASCADE"), primary_key=True)
    role: Mapped[str] = mapped_column(String(20), primary_key=True)
    granted_by: Mapped[str] = mapped_column(String(100))
    granted: Mapped[datetime] = mapped_column(UtcDateTime)


class SignInRow(Base):
    """An attempt to sign in. `typed` is a hash of the typed name; without a user, it is deleted after the window."""

    __tablename__ = "sign_ins"
    __table_args__ = (Index(None, "typed", "time"), Index(None, "origin", "time"), Index(None, "time"))

    id: Mapped[int] = mapped_column(primary_key=True)
    time: Mapped[datetime] = mapped_column(UtcDateTime)
    success: Mapped[bool]
    address: Mapped[str] = mapped_column(String(64))
    origin: Mapped[str] = mapped_column(String(64))  # unit of the rate limit: address, IPv6 network or known device
    typed: Mapped[str | None] = mapped_column(String(64))
    user_id: Mapped[int | None] = mapped_column(ForeignKey(USER_ID_COLUMN, ondelete="CASCADE"), index=True)
    user: Mapped[UserRow | None] = relationship(lazy="joined")


class SessionRow(Base):
    """A session under the SHA-256 of its token; only the browser has the token."""

    __tablename__ = "sessions"

    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey(USER_ID_COLUMN, ondelete="CASCADE"), index=True)
    created: Mapped[datetime] = mapped_column(UtcDateTime)
    expires: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    address: Mapped[str] = mapped_column(String(64))
    user: Mapped[UserRow] = relationship(lazy="joined")


class DeviceRow(Base):
    """A device with which a user has signed in, under the SHA-256 of its token; only the browser has the token."""

    __tablename__ = "devices"

    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey(USER_ID_COLUMN, ondelete="CASCADE"), primary_key=True, index=True)
    last_sign_in: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
